"""What does `revaer download` say to what it cannot use, and does it leave the disk alone then?"""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import structlog

from revaer.cli.main import run
from tests.e2e.support import LOCAL, ROOT, Download, environment, events
from tests.support.swarm import Payload, Seeder, make_payload

MIB: Final = 1024 * 1024
MAGNET: Final = "magnet:?xt=urn:btih:" + "ab" * 20


@pytest.fixture
def film(tmp_path: Path) -> Payload:
    """A sound torrent."""
    return make_payload(tmp_path / "seed", "film", 100_000)


@dataclass(frozen=True, slots=True)
class Bad:
    """Arguments that cannot be used.

    Attributes:
        arguments: `{dir}` is a directory with the files of `place`, `{film}` a sound torrent's
            file, `{magnet}` its link.
        told: a part of the one line on standard error.
    """

    arguments: tuple[str, ...]
    told: str


def written(directory: Path, name: str, content: bytes) -> Path:
    """A file with this content."""
    path = directory / name
    path.write_bytes(content)
    return path


@pytest.fixture
def place(tmp_path: Path, film: Payload) -> dict[str, str]:
    """What the templates of `Bad` mean."""
    written(tmp_path, "junk", b"\x89PNG not bencoded")
    written(tmp_path, "page", b"<!DOCTYPE html><html></html>")
    written(tmp_path, "cut", film.torrent[:-40])
    written(tmp_path, "noinfo", b"d8:announce1:xe")
    written(tmp_path, "empty", b"")
    written(tmp_path, "twin", film.torrent)
    reserved = make_payload(tmp_path / "seed2", ".revaer", {"resume/x": 10})
    written(tmp_path, "reserved", reserved.torrent)
    return {"dir": str(tmp_path), "film": str(film.torrent_path), "magnet": film.magnet}


def arguments_of(bad: Bad, place: dict[str, str]) -> list[str]:
    return [text.format(**place) for text in bad.arguments]


BAD: Final[dict[str, Bad]] = {
    "missing": Bad(("{dir}/nothere.torrent",), "nothere.torrent: no such file"),
    "junk": Bad(("{dir}/junk",), "/junk"),
    "page": Bad(("{dir}/page",), "/page"),
    "cut": Bad(("{dir}/cut",), "/cut"),
    "no-info": Bad(("{dir}/noinfo",), "/noinfo"),
    "empty": Bad(("{dir}/empty",), "is empty"),
    "directory": Bad(("{dir}",), "is a directory"),
    "web-address": Bad(("https://example.org/x.torrent",), "web address"),
    "magnet-without-hash": Bad(("magnet:?dn=x",), "magnet:?dn=x"),
    "magnet-short-hash": Bad(("magnet:?xt=urn:btih:abc",), "btih:abc"),
    "one-of-two": Bad(("{film}", "{dir}/nothere"), "nothere: no such file"),
    "no-source": Bad((), "SOURCE"),
    "rate-down": Bad(("{film}", "--limit-down", "fast"), "--limit-down: 'fast' is not a rate"),
    "rate-up": Bad(("{film}", "--limit-up", "-5"), "--limit-up: '-5' is not a rate"),
    "rate-bits": Bad(("{film}", "--limit-up", "5 Mb/s"), "may mean bits or bytes"),
    "peer-without-port": Bad(("{film}", "--peer", "localhost"), "is not HOST:PORT"),
    "peer-port": Bad(("{film}", "--peer", "127.0.0.1:99999"), "give 1 to 65535"),
    "peer-name": Bad(("{film}", "--peer", "no-such.invalid:1"), "has no address"),
    "listen-port": Bad(("{film}", "--listen", "127.0.0.1:99999"), "give 0 to 65535"),
    "listen-address": Bad(("{film}", "--listen", "192.0.2.1:0"), "does not have that address"),
    "interface": Bad(("{film}", "--interface", "tun77"), "no network device tun77"),
    "unknown-option": Bad(("{film}", "--bogus"), "No such option '--bogus'"),
    "glob": Bad(("{film}", "--include", "[a"), "[a"),
    "preset": Bad(("{film}", "--exclude", "@nothing"), "Preset '@nothing' is unknown"),
    "include-of-nothing": Bad(("{film}", "--include", "*.mkv"), "leaves nothing to download"),
    "two-files-of-one": Bad(("{film}", "{dir}/twin"), "is the same torrent as"),
    "file-and-magnet": Bad(("{film}", "{magnet}"), "is the same torrent as"),
    "reserved-name": Bad(("{dir}/reserved",), "is reserved for Revaer's own files"),
}


@pytest.fixture
def logs_kept() -> Iterator[None]:
    """The command configures logging; running it in this process must not outlast the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.usefixtures("logs_kept")
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_clear_line_and_leaves_nothing_behind(
    capsys: pytest.CaptureFixture[str], place: dict[str, str], tmp_path: Path, bad: Bad
) -> None:
    output = tmp_path / "out"
    code = run(["download", *LOCAL, *arguments_of(bad, place), "-o", str(output)])
    said = capsys.readouterr()
    assert (code, said.out) == (2, ""), said
    (line,) = said.err.splitlines()
    assert line.startswith("revaer: ")
    assert bad.told in line
    assert not output.exists()


@pytest.mark.parametrize("name", ["junk", "unknown-option"])
def test_bad_input_ends_the_process_with_code_two(
    download: Download, place: dict[str, str], name: str
) -> None:
    ended = download.run(*arguments_of(BAD[name], place))
    assert (ended.code, ended.out) == (2, ""), ended
    (line,) = ended.complaints
    assert BAD[name].told in line
    assert not download.output.exists()


def test_bad_input_is_a_json_line_too(download: Download, tmp_path: Path) -> None:
    ended = download.run(tmp_path / "nothere", "--json")
    assert ended.code == 2
    (error,) = ended.lines
    assert (error["event"], error["info_hash"], error["code"]) == ("error", None, "invalid-input")
    assert ended.err == f"revaer: {error['message']}\n"


def test_a_log_level_that_is_none_is_bad_input(download: Download) -> None:
    ended = download.run(MAGNET, env={"REVAER_LOG": "loud"})
    assert ended.code == 2
    assert "REVAER_LOG: 'loud' is not a log level" in ended.err
    assert not download.output.exists()


def test_a_listening_port_in_use_is_named(download: Download, film: Payload) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = download.run(film.torrent_path, "--listen", f"127.0.0.1:{port}")
    assert ended.code == 2
    (line,) = ended.complaints
    assert f"127.0.0.1 port {port}: the port is in use; choose another" in line
    assert not download.output.exists()


@pytest.mark.parametrize("where", ["file", "below-file", "system"])
def test_an_output_that_can_hold_nothing_is_refused(
    film: Payload, tmp_path: Path, where: str
) -> None:
    plain = written(tmp_path, "plain", b"mine")
    output = {
        "file": plain,
        "below-file": plain / "below",
        "system": Path("/etc"),
    }[where]
    code, _, err = run_plain([str(film.torrent_path), "-o", str(output)])
    assert code == 2, err
    (line,) = err.splitlines()
    assert line.startswith("revaer: ")
    assert str(output) in line or str(plain) in line
    assert plain.read_bytes() == b"mine"
    assert not Path("/etc/.revaer").exists()


def test_a_state_directory_that_cannot_be_made_is_a_failure_with_a_remedy(
    download: Download, film: Payload
) -> None:
    download.output.mkdir()
    written(download.output, ".revaer", b"not a directory")
    ended = download.run(film.torrent_path)
    assert ended.code in {2, 3}
    (line,) = ended.complaints
    assert ".revaer" in line
    assert not (download.output / "film").exists()


def unwritable(directory: Path) -> Path:
    """A directory below which this user, root included, can make nothing."""
    if os.geteuid() == 0:
        return Path("/sys/kernel/revaer")  # permission bits do not bind root
    directory.mkdir()
    directory.chmod(0o555)
    return directory / "below"


def test_an_unwritable_output_is_one_clear_line(film: Payload, tmp_path: Path) -> None:
    output = unwritable(tmp_path / "locked")
    code, _, err = run_plain([str(film.torrent_path), "-o", str(output)])
    assert code == (2 if os.geteuid() == 0 else 3), err
    (line,) = err.splitlines()
    assert str(output) in line


def test_a_second_process_in_one_directory_is_refused(download: Download, film: Payload) -> None:
    first = download.start(MAGNET, "--json")
    first.wait_for(lambda line: line["event"] == "added")
    second = download.run(film.torrent_path)
    first.signal(signal.SIGTERM)
    assert second.code == 3
    (line,) = second.complaints
    assert re.search(rf"{download.output}.* is in use by process \d+", line)
    assert first.end().code == 3


def test_a_magnet_whose_files_are_refused_fails_alone_and_writes_nothing(
    download: Download, tmp_path: Path
) -> None:
    evil = make_payload(tmp_path / "seed", ".revaer", {"resume/x": 40_000})
    with Seeder(evil) as seeder:
        ended = download.run(evil.magnet, "--json", peers=[seeder.peer])
    assert ended.code == 3
    (error,) = events(ended, "error")
    assert error["code"] == "path_refused"
    assert not (download.output / ".revaer/resume/x").exists()


def test_a_magnet_of_which_nothing_is_wanted_fails(download: Download, film: Payload) -> None:
    with Seeder(film) as seeder:
        ended = download.run(film.magnet, "--json", "--include", "*.mkv", peers=[seeder.peer])
    assert ended.code == 3
    (error,) = events(ended, "error")
    assert error["code"] == "nothing_selected"
    assert not (download.output / "film").exists()


def run_plain(
    arguments: Sequence[str], prefix: Sequence[str] = (), *, within_s: float = 90
) -> tuple[int, str, str]:
    """Run the command with chosen arguments, after a prefix that changes its surroundings."""
    process = subprocess.run(
        [*prefix, sys.executable, "-m", "revaer", "download", *arguments, *LOCAL],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
        cwd=ROOT,
        timeout=within_s,
    )
    return process.returncode, process.stdout, process.stderr


def test_a_file_larger_than_the_place_allows_is_one_clear_line(
    download: Download, tmp_path: Path
) -> None:
    payload = make_payload(tmp_path / "seed", "film", 4 * MIB)
    limited = (
        "import os, resource, sys;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({MIB}, {MIB}));"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    with Seeder(payload) as seeder:
        process = subprocess.run(
            [
                *(sys.executable, "-c", limited, "-m", "revaer", "download"),
                *(str(payload.torrent_path), "-o", str(download.output), "--json", *LOCAL),
                *("--peer", f"127.0.0.1:{seeder.port}"),
            ],
            check=False,
            capture_output=True,
            text=True,
            env=environment(),
            cwd=ROOT,
            timeout=90,
        )
    assert process.returncode == 3, process.stderr
    (line,) = process.stderr.splitlines()
    assert line.startswith("revaer: film: ")
    # Which of the two libtorrent says depends on whether it reads the block back before it is told.
    assert "File too large" in line or "file too short" in line
    errors = [one for text in process.stdout.splitlines() if "error" in (one := json.loads(text))]
    assert errors


def namespaces() -> list[list[str]]:
    """Ways to mount something that only one process sees; none where the system forbids it."""
    ways = [["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]]
    probe = "mount -t tmpfs -o size=8m tmpfs /mnt"
    return [way for way in ways if _works([*way, "sh", "-c", probe])][:1]


def _works(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.mark.parametrize("way", namespaces(), ids=lambda way: "-".join(way[1:]))
def test_a_full_disk_is_named_with_its_remedy(
    download: Download, tmp_path: Path, way: list[str]
) -> None:
    payload = make_payload(tmp_path / "seed", "film", 16 * MIB)
    download.output.mkdir()
    script = 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"'
    with Seeder(payload) as seeder:
        code, out, err = run_plain(
            [
                *(str(payload.torrent_path), "-o", str(download.output), "--json"),
                *("--peer", f"127.0.0.1:{seeder.port}"),
            ],
            [*way, "sh", "-c", script, str(download.output)],
        )
    assert code == 3, err
    assert "Traceback" not in err
    failed = [json.loads(text) for text in out.splitlines() if '"event":"error"' in text]
    assert [one["code"] for one in failed] == ["disk_full"]
    lines = [line for line in err.splitlines() if line.startswith("revaer: film: ")]
    assert len(lines) == 1
    assert "no space left" in lines[0].lower()
    assert "free some space" in lines[0]
