"""Does the same command go on where it was, however the one before was ended?"""

import random
import signal
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.support import Download, Ended, Running, events, states
from tests.support.soak import scaled
from tests.support.swarm import Payload, Seeder, make_payload

MIB: Final = 1024 * 1024
SLOW: Final = MIB
"""Bytes per second: leaves seconds to interrupt a download of a few MiB."""
KILLED_RATE: Final = 400_000
"""So slow that fifty short runs do not complete it."""
HINT: Final = "run the same command again to continue"


@pytest.fixture
def film(tmp_path: Path) -> Payload:
    """A torrent of one file that takes seconds from a slow seeder."""
    return make_payload(tmp_path / "seed", "film", 4 * MIB)


def interrupt(running: Running, number: signal.Signals, *, at: float) -> Ended:
    """Signal a download when it has come so far, and wait for its end."""
    running.wait_progress(at)
    running.signal(number)
    return running.end()


def started_at(ended: Ended, payload: Payload) -> float:
    """The progress that a torrent began with."""
    (added,) = (line for line in events(ended, "added") if line["info_hash"] == payload.info_hash)
    return float(added["progress"])


def last_progress(ended: Ended) -> float:
    return max(float(line["progress"]) for line in ended.lines if "progress" in line)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_download_is_saved_and_goes_on(
    download: Download, film: Payload, number: signal.Signals
) -> None:
    with Seeder(film, upload_limit=SLOW) as seeder:
        running = download.start(film.torrent_path, "--json", peers=[seeder.peer])
        first = interrupt(running, number, at=0.25)
    assert first.code == 3
    assert first.complaints == [f"revaer: interrupted, saved; {HINT}"]
    assert [line["event"] for line in first.lines[-2:]] == ["interrupted", "done"]
    assert (first.lines[-1]["exit_code"], first.lines[-1]["unfinished"]) == (3, 1)

    with Seeder(film) as seeder:
        second = download.run(film.torrent_path, "--json", peers=[seeder.peer])
    assert (second.code, second.err) == (0, "")
    assert film.is_whole_in(download.output)
    (added,) = events(second, "added")
    assert added["resumed"] is True
    assert added["progress"] >= last_progress(first) >= 0.25
    assert "checking" not in states(second)
    (completed,) = events(second, "completed")
    assert completed["downloaded_session"] <= (1 - added["progress"]) * film.size_bytes + 16_384


def test_a_killed_download_goes_on_from_its_last_save(download: Download, film: Payload) -> None:
    with Seeder(film, upload_limit=SLOW) as seeder:
        command = [str(film.torrent_path), "--json"]
        saved = interrupt(download.start(*command, peers=[seeder.peer]), signal.SIGINT, at=0.25)
        killed = interrupt(download.start(*command, peers=[seeder.peer]), signal.SIGKILL, at=0.6)
    assert killed.code == -signal.SIGKILL
    with Seeder(film) as seeder:
        last = download.run(*command, peers=[seeder.peer])
    assert (last.code, last.err) == (0, "")
    assert film.is_whole_in(download.output)
    assert started_at(last, film) >= last_progress(saved)
    assert "checking" not in states(last)
    (completed,) = events(last, "completed")
    assert completed["downloaded_session"] < film.size_bytes


def test_a_magnet_killed_before_it_had_metadata_is_not_lost(
    download: Download, film: Payload
) -> None:
    running = download.start(film.magnet, "--json")
    running.wait_for(lambda line: line["event"] == "added")
    running.signal(signal.SIGKILL)
    running.end()
    with Seeder(film) as seeder:
        ended = download.run(film.magnet, "--json", peers=[seeder.peer])
    assert (ended.code, ended.err) == (0, "")
    assert events(ended, "added")[0]["resumed"] is True
    assert film.is_whole_in(download.output)


def test_a_magnet_goes_on_as_the_torrent_file_of_the_same_torrent(
    download: Download, film: Payload
) -> None:
    with Seeder(film, upload_limit=SLOW) as seeder:
        running = download.start(film.magnet, "--json", peers=[seeder.peer])
        first = interrupt(running, signal.SIGINT, at=0.25)
    with Seeder(film) as seeder:
        second = download.run(film.torrent_path, "--json", peers=[seeder.peer])
    assert (second.code, second.err) == (0, "")
    assert started_at(second, film) >= last_progress(first)
    assert film.is_whole_in(download.output)


def test_a_second_signal_does_not_wait_for_the_saving(download: Download, film: Payload) -> None:
    with Seeder(film, upload_limit=SLOW) as seeder:
        running = download.start(film.torrent_path, "--json", peers=[seeder.peer])
        running.wait_progress(0.2)
        running.signal(signal.SIGINT)
        running.signal(signal.SIGTERM)
        assert running.end().code == 3
    with Seeder(film) as seeder:
        ended = download.run(film.torrent_path, "--json", peers=[seeder.peer])
    assert (ended.code, ended.err) == (0, "")
    assert film.is_whole_in(download.output)


def test_other_torrents_of_the_directory_are_left_alone(
    download: Download, film: Payload, tmp_path: Path
) -> None:
    other = make_payload(tmp_path / "seed2", "other", 100_000)
    with Seeder(film, other, upload_limit=SLOW) as seeder:
        running = download.start(film.torrent_path, "--json", peers=[seeder.peer])
        first = interrupt(running, signal.SIGINT, at=0.25)
        second = download.run(other.torrent_path, "--json", peers=[seeder.peer])
    assert second.code == 0, second.err
    assert {line["info_hash"] for line in events(second, "added")} == {other.info_hash}
    with Seeder(film) as seeder:
        third = download.run(film.torrent_path, "--json", peers=[seeder.peer])
    assert third.code == 0, third.err
    assert started_at(third, film) >= last_progress(first)
    assert film.is_whole_in(download.output)


def test_payload_that_was_deleted_is_fetched_again(download: Download, film: Payload) -> None:
    with Seeder(film) as seeder:
        assert download.run(film.torrent_path, peers=[seeder.peer]).code == 0
        (download.output / "film").unlink()
        ended = download.run(film.torrent_path, "--json", peers=[seeder.peer])
    assert ended.code == 0, ended.err
    assert film.is_whole_in(download.output)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_kills_at_random_moments_lose_no_torrent_and_no_byte(
    download: Download, tmp_path: Path
) -> None:
    film = make_payload(tmp_path / "seed", "film", 8 * MIB)
    album = make_payload(tmp_path / "seed2", "album", {f"{n}.bin": 500_000 for n in range(8)})
    chance = random.Random(20)
    known: set[str] = set()
    saved = dict.fromkeys((film.info_hash, album.info_hash), 0.0)
    command = [str(film.torrent_path), album.magnet, "--json"]
    with Seeder(film, album, upload_limit=KILLED_RATE) as seeder:
        for _ in range(scaled(5, 50)):
            running = download.start(*command, peers=[seeder.peer])
            number = chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
            running.wait_ended(within_s=chance.uniform(0.2, 4.0))
            running.signal(number)
            ended = running.end()
            assert ended.code in {3, -number}, ended.err
            for line in events(ended, "added"):
                info_hash = line["info_hash"]
                assert line["resumed"] or info_hash not in known, "a torrent was lost"
                assert line["progress"] >= saved[info_hash], "a save was lost"
                known.add(info_hash)
            if ended.code == 3:
                for line in ended.lines:
                    if "progress" in line:
                        saved[line["info_hash"]] = line["progress"]
    with Seeder(film, album) as seeder:
        last = download.run(*command, peers=[seeder.peer])
    assert (last.code, last.err) == (0, "")
    assert {line["info_hash"] for line in events(last, "added")} == set(saved)
    assert film.is_whole_in(download.output)
    assert album.is_whole_in(download.output)
