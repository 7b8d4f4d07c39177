"""Which payload files are reported as missing, by the real look at the disk and by its double?"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from revaer.adapters.filesystem import LocalPayload
from revaer.adapters.memory.payload import MemoryPayload
from revaer.domain.storage import NOT_THERE, PlaceKind
from revaer.domain.torrent import FileEntry
from revaer.ports.payload import PayloadFiles


class Disk(Protocol):
    """Something to put files on, and the port that looks at it."""

    def look(self) -> PayloadFiles: ...

    def write(self, save_path: str, path: str, size_bytes: int) -> None: ...


class LocalDisk:
    def look(self) -> PayloadFiles:
        return LocalPayload()

    def write(self, save_path: str, path: str, size_bytes: int) -> None:
        target = Path(save_path, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(bytes(size_bytes))


class MemoryDisk:
    def __init__(self) -> None:
        self._payload = MemoryPayload()

    def look(self) -> PayloadFiles:
        return self._payload

    def write(self, save_path: str, path: str, size_bytes: int) -> None:
        self._payload.write(save_path, path, size_bytes)


@pytest.fixture(params=[LocalDisk, MemoryDisk], ids=["filesystem", "memory"])
def disk(request: pytest.FixtureRequest) -> Disk:
    made: Disk = request.param()
    return made


def entry(path: str, size_bytes: int) -> FileEntry:
    return FileEntry(index=0, path=path, size_bytes=size_bytes)


def test_whole_files_are_not_missing(disk: Disk, tmp_path: Path) -> None:
    wanted = [entry("album/a.bin", 10), entry("album/deep/er/b.bin", 0), entry("c", 1)]
    for each in wanted:
        disk.write(str(tmp_path), each.path, each.size_bytes)
    assert disk.look().missing(str(tmp_path), wanted) == ()


def test_absent_files_are_named_in_the_order_given(disk: Disk, tmp_path: Path) -> None:
    disk.write(str(tmp_path), "b", 1)
    wanted = [entry(path, 1) for path in "cba"]
    assert disk.look().missing(str(tmp_path), wanted) == ("c", "a")


@pytest.mark.parametrize("found", [0, 9, 11])
def test_a_file_of_another_size_is_missing(disk: Disk, tmp_path: Path, found: int) -> None:
    disk.write(str(tmp_path), "a", found)
    assert disk.look().missing(str(tmp_path), [entry("a", 10)]) == ("a",)


def test_the_same_file_elsewhere_does_not_count(disk: Disk, tmp_path: Path) -> None:
    disk.write(str(tmp_path / "one"), "a", 10)
    assert disk.look().missing(str(tmp_path / "two"), [entry("a", 10)]) == ("a",)


def test_nothing_wanted_is_nothing_missing(disk: Disk) -> None:
    assert disk.look().missing("/nowhere", []) == ()


def _directory(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link_to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("make", [_directory, _pipe, _link_to_nowhere, _loop])
def test_what_is_no_regular_file_is_missing(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a")
    assert LocalPayload().missing(str(tmp_path), [entry("a", 0)]) == ("a",)


def test_a_link_to_a_whole_file_is_followed_as_the_engine_does(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"12345")
    (tmp_path / "a").symlink_to("real")
    assert LocalPayload().missing(str(tmp_path), [entry("a", 5)]) == ()


@pytest.mark.parametrize("path", ["../secret", "/{tmp}/secret", "a/../../secret", "a\0b", "a//b"])
def test_a_path_that_leads_out_is_missing_whatever_lies_there(tmp_path: Path, path: str) -> None:
    inside = tmp_path / "inside"
    (inside / "a").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"12345")
    path = path.replace("{tmp}", str(tmp_path))
    assert LocalPayload().missing(str(inside), [entry(path, 5)]) == (path,)


def test_a_name_that_is_too_long_is_missing(tmp_path: Path) -> None:
    assert LocalPayload().missing(str(tmp_path), [entry("x" * 300, 1)]) == ("x" * 300,)


def test_what_lies_at_a_path_occupies_it_and_all_below_a_file(disk: Disk, tmp_path: Path) -> None:
    disk.write(str(tmp_path), "album/a.bin", 3)
    asked = ("album", "album/a.bin", "album/b.bin", "album/a.bin/c", "alb", "elsewhere/a.bin")

    found = disk.look().occupied(str(tmp_path), asked)

    assert found == ("album", "album/a.bin", "album/a.bin/c")


def test_a_link_to_nowhere_and_an_impossible_name_count_as_occupied(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")

    found = LocalPayload().occupied(str(tmp_path), ("dangling", "a\0b", "x" * 300, "free"))

    assert found == ("dangling", "a\0b", "x" * 300)


def test_sizes_are_told_in_the_order_of_the_files(disk: Disk, tmp_path: Path) -> None:
    disk.write(str(tmp_path), "a", 3)
    disk.write(str(tmp_path), "d/b", 0)

    sizes = disk.look().sizes(str(tmp_path), [entry("d/b", 9), entry("c", 1), entry("a", 3)])

    assert sizes == (0, NOT_THERE, 3)


def test_a_place_is_empty_until_something_lies_in_it(disk: Disk, tmp_path: Path) -> None:
    before = disk.look().place(str(tmp_path))
    disk.write(str(tmp_path), "d/a", 0)
    after = disk.look().place(str(tmp_path))

    assert before.is_empty
    assert not after.is_empty
    assert before.kind is after.kind is PlaceKind.THERE
    assert before.device == after.device > 0
    assert after.free_bytes > 0


def test_what_is_no_directory_is_blocked_and_nothing_is_absent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    look = LocalPayload()

    blocked = look.place(str(tmp_path / "file"))
    below = look.place(str(tmp_path / "file" / "more"))
    too_long = look.place(f"{tmp_path}/{'n' * 300}")
    absent = look.place(str(tmp_path / "gone"))

    assert blocked.kind is below.kind is too_long.kind is PlaceKind.BLOCKED
    assert "Not a directory" in blocked.problem
    assert absent.kind is PlaceKind.ABSENT
    assert absent.problem == "does not exist"


def test_files_that_can_be_made_have_nothing_in_their_way(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("x")
    wanted = [entry("d/a", 5), entry("d/b", 5), entry("new/er/c", 5)]

    assert LocalPayload().obstacle(str(tmp_path), wanted) == ""
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["a", "d"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("file/a", "Not a directory"),
        (f"{'n' * 300}/a", "File name too long"),
    ],
    ids=["a file where a directory should be", "a name that is too long"],
)
def test_an_obstacle_is_named_with_its_path(tmp_path: Path, path: str, problem: str) -> None:
    (tmp_path / "file").write_text("x")

    found = LocalPayload().obstacle(str(tmp_path), [entry("ok", 1), entry(path, 5)])

    assert str(tmp_path) in found
    assert problem in found


def test_a_directory_without_permission_is_an_obstacle(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    is_allowed = os.access(locked, os.W_OK)  # as root everything is

    found = LocalPayload().obstacle(str(locked), [entry("a", 5)])

    assert found == ("" if is_allowed else f"{locked}: Permission denied")


def test_a_disk_that_is_unmounted_takes_its_files_along_and_brings_them_back() -> None:
    disk = MemoryPayload()
    disk.mount("/disk")
    disk.write("/disk", "a", 3)
    there = disk.place("/disk")

    disk.unmount("/disk")
    away = disk.place("/disk")
    missing = disk.missing("/disk", [entry("a", 3)])
    disk.mount("/disk", device=9)
    back = disk.place("/disk")

    assert missing == ("a",)
    assert away.is_empty
    assert disk.missing("/disk", [entry("a", 3)]) == ()
    assert [there.device, away.device, back.device] == [2, 1, 9]
