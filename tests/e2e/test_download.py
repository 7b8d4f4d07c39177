"""Does `revaer download` fetch what it was asked for, show it, and end with the right code?"""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.support import LOCAL, ROOT, Download, Ended, environment, events, payload_files
from tests.support.swarm import Payload, Seeder, make_payload

KIB: Final = 1024
MIB: Final = 1024 * KIB


@pytest.fixture
def album(tmp_path: Path) -> Payload:
    """A torrent of several files."""
    return make_payload(
        tmp_path / "seed", "album", {"a.bin": 2 * MIB, "sub/b.bin": 300_000, "sub/c.txt": 7}
    )


def test_a_torrent_file_arrives_byte_for_byte(download: Download, album: Payload) -> None:
    with Seeder(album) as seeder:
        ended = download.run(album.torrent_path, peers=[seeder.peer])
    assert (ended.code, ended.err) == (0, "")
    assert album.is_whole_in(download.output)
    assert payload_files(download.output) == set(album.files)
    first, *_, last = ended.out.splitlines()
    assert first == f"album: added, 2.29 MiB in 3 files, into {download.output}"
    assert last == f"album: complete, 2.29 MiB in 3 files, at {download.output}/album"


@pytest.mark.parametrize("kind", ["v2", "hybrid"])
def test_a_magnet_link_with_a_peer_is_enough(download: Download, tmp_path: Path, kind: str) -> None:
    payload = make_payload(tmp_path / "seed", "film", 400_000, kind=kind)  # type: ignore[arg-type]
    with Seeder(payload) as seeder:
        ended = download.run(payload.magnet, "--json", peers=[seeder.peer])
    assert ended.code == 0, ended.err
    assert payload.is_whole_in(download.output)
    (added,) = events(ended, "added")
    assert (added["info_hash"], added["name"]) == (payload.info_hash, "film")
    (known,) = events(ended, "metadata")
    assert (known["info_hash"], known["files"]) == (payload.info_hash, 1)


def test_two_files_and_a_magnet_arrive_in_one_command(download: Download, tmp_path: Path) -> None:
    payloads = [make_payload(tmp_path / f"seed{n}", f"p{n}", 200_000 + n) for n in range(3)]
    with Seeder(*payloads) as seeder:
        ended = download.run(
            payloads[0].torrent_path,
            payloads[1].magnet,
            payloads[2].torrent_path,
            "--json",
            peers=[seeder.peer],
        )
    assert (ended.code, ended.err) == (0, "")
    assert all(payload.is_whole_in(download.output) for payload in payloads)
    assert {line["info_hash"] for line in events(ended, "completed")} == {
        payload.info_hash for payload in payloads
    }
    assert ended.lines[-1] == {
        "event": "done",
        "exit_code": 0,
        "complete": 3,
        "failed": 0,
        "unfinished": 0,
    }


def test_a_magnet_link_without_a_peer_says_that_it_waits(download: Download) -> None:
    link = "magnet:?xt=urn:btih:" + "12" * 20
    running = download.start(link, "--json")
    added = running.wait_for(lambda line: line["event"] == "added")
    running.signal(signal.SIGTERM)
    assert (added["phase"], added["files"], added["name"]) == ("fetching_metadata", None, "12" * 20)
    assert running.end().code == 3


def test_json_lines_tell_the_whole_story(download: Download, album: Payload) -> None:
    with Seeder(album, upload_limit=MIB) as seeder:
        began = time.monotonic()
        ended = download.run(album.torrent_path, "--json", peers=[seeder.peer])
        took_s = time.monotonic() - began
    assert (ended.code, ended.err) == (0, "")
    kinds = [line["event"] for line in ended.lines]
    assert kinds[0] == "added"
    assert kinds[-1] == "done"
    assert kinds.count("completed") == 1
    assert 1 < kinds.count("progress") <= 2 * took_s + 2
    about = [line for line in ended.lines if line["event"] in {"added", "progress", "completed"}]
    assert all(line["info_hash"] == album.info_hash for line in about)
    assert all(a["progress"] <= b["progress"] for a, b in pairwise(about))
    assert max(line["download_rate"] for line in about) > 0
    assert max(line["peers"] for line in about) == 1
    done = about[-1]
    assert done["is_complete"] is True
    assert done["done"] == done["wanted"] == done["size"] == album.size_bytes
    assert done["downloaded_session"] == album.size_bytes
    assert done["save_path"] == str(download.output)
    assert done["content_path"] == f"{download.output}/album"
    assert (done["was_there"], done["error"], done["eta_s"]) == (False, None, 0)


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        (["--include", "sub/*", "--exclude", "*.bin"], {"album/sub/b.bin", "album/sub/c.txt"}),
        (["--exclude", "*.bin", "--include", "sub/*"], {"album/sub/c.txt"}),
        (["--include=a.*", "--include", "c.*"], {"album/a.bin", "album/sub/c.txt"}),
        (["--exclude", "sub/"], {"album/a.bin"}),
    ],
    ids=["include-first", "exclude-first", "two-includes", "folder"],
)
def test_of_includes_and_excludes_the_first_on_the_command_line_decides(
    download: Download, album: Payload, rules: list[str], wanted: set[str]
) -> None:
    with Seeder(album) as seeder:
        ended = download.run(album.torrent_path, "--json", *rules, peers=[seeder.peer])
    assert ended.code == 0, ended.err
    assert payload_files(download.output) == wanted
    for path in wanted:
        assert (download.output / path).read_bytes() == album.files[path]
    (completed,) = events(ended, "completed")
    assert (completed["files"], completed["files_wanted"]) == (3, len(wanted))


def test_the_files_of_a_magnet_are_chosen_when_its_metadata_comes(
    download: Download, album: Payload
) -> None:
    with Seeder(album) as seeder:
        ended = download.run(album.magnet, "--include", "*.txt", peers=[seeder.peer])
    assert ended.code == 0, ended.err
    assert payload_files(download.output) == {"album/sub/c.txt"}
    assert "album: complete, 7 B in 1 of 3 files, at " in ended.out


def test_other_rules_in_a_later_command_fetch_what_they_name(
    download: Download, album: Payload
) -> None:
    with Seeder(album) as seeder:
        first = download.run(album.torrent_path, "--include", "a.bin", peers=[seeder.peer])
        second = download.run(album.torrent_path, "--include", "*", peers=[seeder.peer])
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert album.is_whole_in(download.output)


def test_a_download_limit_holds_on_loopback_too(download: Download, tmp_path: Path) -> None:
    payload = make_payload(tmp_path / "seed", "film", 3_000_000)
    with Seeder(payload) as seeder:
        running = download.start(
            payload.torrent_path, "--json", "--limit-down", "1 MB/s", peers=[seeder.peer]
        )
        running.wait_for(lambda line: line["event"] == "added")
        began = time.monotonic()
        running.wait_for(lambda line: line["event"] == "completed")
        took_s = time.monotonic() - began
        assert running.end().code == 0
    assert took_s > 1.5  # unlimited it takes a small part of that


def test_sequential_fetches_the_beginning_first(download: Download, tmp_path: Path) -> None:
    payload = make_payload(tmp_path / "seed", "film", 4 * MIB)
    with Seeder(payload, upload_limit=MIB) as seeder:
        running = download.start(
            payload.torrent_path, "--json", "--sequential", peers=[seeder.peer]
        )
        running.wait_progress(0.4)
        running.signal(signal.SIGINT)
        assert running.end().code == 3
    got = (download.output / "film").read_bytes()
    whole = payload.files["film"]
    right = [
        start
        for start in range(0, len(whole), 16 * KIB)
        if got[start : start + 16 * KIB] == whole[start : start + 16 * KIB]
    ]
    assert len(right) > 20
    in_order = sum(1 for place, start in enumerate(right) if start == place * 16 * KIB)
    assert in_order > 0.8 * len(right)


def test_what_is_complete_already_is_said_and_nothing_is_fetched(
    download: Download, album: Payload
) -> None:
    with Seeder(album) as seeder:
        assert download.run(album.torrent_path, peers=[seeder.peer]).code == 0
    again = download.run(album.torrent_path)
    assert (again.code, again.err) == (0, "")
    assert "album: already complete, 2.29 MiB in 3 files, at " in again.out


def test_payload_that_lies_there_without_any_state_is_checked_and_taken(
    download: Download, album: Payload
) -> None:
    for path, content in album.files.items():
        target = download.output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    ended = download.run(album.torrent_path, "--json")
    assert ended.code == 0, ended.err
    (completed,) = events(ended, "completed")
    assert (completed["was_there"], completed["downloaded_session"]) == (True, 0)


def test_quiet_says_nothing_when_all_is_well(download: Download, album: Payload) -> None:
    with Seeder(album) as seeder:
        ended = download.run(album.torrent_path, "-q", peers=[seeder.peer])
        outcomes = download.run(album.torrent_path, "-q", "--json")
    assert ended == Ended(0, "", "")
    assert [line["event"] for line in outcomes.lines] == ["completed", "done"]


def test_one_torrent_in_trouble_does_not_keep_the_other_from_its_end(
    download: Download, album: Payload, tmp_path: Path
) -> None:
    film = make_payload(tmp_path / "seed2", "film", 300_000)
    (download.output / "film").mkdir(parents=True)  # where the file should go
    with Seeder(album, film) as seeder:
        ended = download.run(film.torrent_path, album.torrent_path, "--json", peers=[seeder.peer])
    assert ended.code == 3
    assert album.is_whole_in(download.output)
    (complaint,) = ended.complaints
    assert complaint.startswith("revaer: film: ")
    (error,) = events(ended, "error")
    assert error["info_hash"] == film.info_hash
    assert error["code"] == "unwritable"
    assert ended.lines[-1]["failed"] == 1
    assert ended.lines[-1]["complete"] == 1


def test_a_name_cannot_speak_to_the_terminal(download: Download, album: Payload) -> None:
    evil = album.magnet.replace("dn=album", "dn=%1b%5b31mred%1b%5d0;title%07%e2%80%ae%c2%9b[bold]x")
    running = download.start(evil)
    running.wait_out("fetching metadata")
    running.signal(signal.SIGTERM)
    ended = running.end()
    assert ended.code == 3
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", ended.out + ended.err)
    assert ended.out.startswith("[31mred]0;title[bold]x: added")


def test_a_reader_that_goes_away_ends_the_command_without_a_traceback(
    download: Download, album: Payload
) -> None:
    with Seeder(album, upload_limit=200_000) as seeder:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "revaer", "download", str(album.torrent_path), "--json"),
                *("-o", str(download.output), "--peer", f"127.0.0.1:{seeder.port}", *LOCAL),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            cwd=ROOT,
        )
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"event":"added"')
        process.stdout.close()
        assert process.wait(timeout=60) == 3
        assert process.stderr is not None
        assert process.stderr.read() == b""
        process.stderr.close()


def on_a_terminal(
    arguments: list[str], *, width: int = 120, env: dict[str, str] | None = None
) -> tuple[int, str]:
    """Run the command with all its streams on a terminal; its code and all it wrote there."""
    leader, follower = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "revaer", *arguments],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env=environment(TERM="xterm-256color", COLUMNS=str(width), LINES="24", **(env or {})),
            cwd=ROOT,
        )
    finally:
        os.close(follower)
    try:
        return _read_terminal(process, leader)
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def _read_terminal(process: "subprocess.Popen[bytes]", leader: int) -> tuple[int, str]:
    written = bytearray()
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not select.select([leader], [], [], 0.2)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            written += os.read(leader, 65536)
        except OSError:  # the follower's last owner is gone
            break
    return process.wait(timeout=60), written.decode()


@pytest.mark.parametrize("no_color", [False, True], ids=["colour", "no-colour"])
def test_a_terminal_shows_bars_and_is_left_as_it_was(
    download: Download, album: Payload, *, no_color: bool
) -> None:
    with Seeder(album, upload_limit=MIB) as seeder:
        code, shown = on_a_terminal(
            [
                *("download", str(album.torrent_path), "-o", str(download.output), *LOCAL),
                *("--peer", f"127.0.0.1:{seeder.port}"),
            ],
            env={"NO_COLOR": "1"} if no_color else {},
        )
    assert code == 0, shown
    assert "━" in shown  # the bar
    assert "1 peer" in shown
    assert "ETA" in shown
    assert re.search(r"MiB / 2\.29 MiB", shown)
    assert "album: complete, 2.29 MiB in 3 files, at" in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is back
    coloured = re.search(r"\x1b\[[0-9;]*3[0-9]", shown) is not None
    assert coloured is not no_color
