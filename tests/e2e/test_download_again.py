"""Does the same command find its way when the directory was moved, damaged or thinned out?"""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.support import Download, environment
from tests.support.swarm import Payload, Seeder, make_payload


@pytest.fixture
def album(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "album", {"a.mkv": 300_000, "b.txt": 5_000})


def test_a_moved_directory_goes_on_where_it_is_now(
    download: Download, album: Payload, tmp_path: Path
) -> None:
    with Seeder(album) as seeder:
        assert download.run(album.torrent_path, peers=[seeder.peer]).code == 0
        moved = tmp_path / "moved"
        download.output.rename(moved)
        (moved / "album" / "b.txt").unlink()

        again = replace(download, output=moved).run(album.torrent_path, peers=[seeder.peer])

    assert again.code == 0, again.err
    assert album.is_whole_in(moved)
    assert not download.output.exists()


def test_a_copy_does_not_reach_back_into_the_original(
    download: Download, album: Payload, tmp_path: Path
) -> None:
    with Seeder(album) as seeder:
        assert download.run(album.torrent_path, peers=[seeder.peer]).code == 0
        copy = tmp_path / "copy"
        shutil.copytree(download.output, copy)
        (copy / "album" / "a.mkv").unlink()

        again = replace(download, output=copy).run(album.torrent_path, peers=[seeder.peer])

    assert again.code == 0, again.err
    assert album.is_whole_in(copy)


@pytest.mark.parametrize("damage", ["truncated", "deleted"])
def test_a_file_that_was_lost_is_fetched_again(
    download: Download, album: Payload, damage: str
) -> None:
    with Seeder(album) as seeder:
        assert download.run(album.torrent_path, peers=[seeder.peer]).code == 0
        lost = download.output / "album" / "a.mkv"
        if damage == "deleted":
            lost.unlink()
        else:
            os.truncate(lost, 299_999)

        again = download.run(album.torrent_path, peers=[seeder.peer])

    assert again.code == 0, again.err
    assert album.is_whole_in(download.output)


def test_state_beyond_use_costs_nothing_when_the_source_is_at_hand(
    download: Download, album: Payload
) -> None:
    with Seeder(album) as seeder:
        assert download.run(album.torrent_path, peers=[seeder.peer]).code == 0
        for path in (download.output / ".revaer" / "resume").glob(f"{album.info_hash}*"):
            path.write_bytes(b"junk")

        again = download.run(album.torrent_path, peers=[seeder.peer])

    assert again.code == 0, again.err
    assert album.is_whole_in(download.output)


def test_a_state_directory_that_cannot_be_used_is_told_at_once(
    download: Download, album: Payload
) -> None:
    """Nobody watches a health here: what could not be resumed must not run."""
    state = download.output / ".revaer" / "resume"
    state.parent.mkdir(parents=True)
    state.touch()

    ended = download.run(album.torrent_path)

    assert ended.code == 3
    assert f"{state}" in ended.err
    assert "move the file away" in ended.err
    assert "Traceback" not in ended.err
    assert not (download.output / "album").exists()


def test_rules_that_left_nothing_of_a_magnet_can_be_dropped(
    download: Download, album: Payload
) -> None:
    with Seeder(album) as seeder:
        refused = download.run(album.magnet, "--include", "nomatch*", peers=[seeder.peer])
        again = download.run(album.magnet, peers=[seeder.peer])

    assert refused.code == 3
    assert "nomatch" in refused.err
    assert again.code == 0, again.err
    assert album.is_whole_in(download.output)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["download", "--help"]])
def test_an_output_that_cannot_be_written_is_one_line_and_exit_3(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 a device
        ended = subprocess.run(
            [sys.executable, "-m", "revaer", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
            text=True,
            timeout=60,
        )

    assert ended.returncode == 3
    assert "standard output cannot be written" in ended.stderr
    assert "Traceback" not in ended.stderr
