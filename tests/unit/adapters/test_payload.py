"""Which payload files are reported as missing, by the real look at the disk and by its double?"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from revaer.adapters.filesystem import LocalPayload
from revaer.adapters.memory.payload import MemoryPayload
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
