"""When is a place not the one that holds the payload, and when is there room again?"""

import pytest

from revaer.domain.ids import InfoHash
from revaer.domain.storage import (
    ENOUGH_ROOM_BYTES,
    NOT_THERE,
    FilesAsked,
    FilesSeen,
    PlaceKind,
    PlaceSeen,
    absence,
    absent_fault,
    full_fault,
    has_room,
    missing_fault,
    needed_bytes,
    size_text,
)
from revaer.domain.torrent import FaultCode, FileEntry, TorrentStatus

MIB = 1 << 20
THERE = PlaceSeen(path="/disk", device=7)
EMPTY = PlaceSeen(path="/disk", device=7, is_empty=True)
GONE = PlaceSeen(path="/disk", kind=PlaceKind.ABSENT, problem="does not exist")
BLOCKED = PlaceSeen(path="/disk", kind=PlaceKind.BLOCKED, problem="is a file")


@pytest.mark.parametrize(
    ("seen", "device_before", "reason"),
    [
        (THERE, None, None),
        (THERE, 7, None),
        (EMPTY, None, "is empty"),
        (EMPTY, 7, "is empty"),
        (GONE, None, "does not exist"),
        (GONE, 7, "does not exist"),
        (THERE, 8, "is on another disk than before"),
        (EMPTY, 8, "is on another disk than before"),
        (BLOCKED, 7, None),
    ],
    ids=[
        "there, never seen before",
        "there, as before",
        "empty",
        "empty, same disk",
        "missing",
        "missing, seen before",
        "another disk",
        "the empty mount point of another disk",
        "something that cannot be used is another fault",
    ],
)
def test_a_place_is_absent_when_it_is_not_what_it_was(
    seen: PlaceSeen, device_before: int | None, reason: str | None
) -> None:
    away = absence(seen, device_before=device_before)

    assert (None if away is None else away.reason) == reason


@pytest.mark.parametrize(
    ("seen", "concerns_all"), [(EMPTY, True), (GONE, False)], ids=["other disk", "missing"]
)
def test_only_another_disk_concerns_torrents_that_had_nothing_there(
    seen: PlaceSeen,
    concerns_all: bool,  # noqa: FBT001 a case of the table
) -> None:
    away = absence(seen, device_before=8)

    assert away is not None
    assert away.is_another_device is concerns_all


@pytest.mark.parametrize(
    ("free", "needed", "expected"),
    [
        (0, 0, False),
        (5 * MIB, 5 * MIB, True),
        (5 * MIB - 1, 5 * MIB, False),
        (MIB, 10, True),
        (MIB - 1, 10, False),
        (ENOUGH_ROOM_BYTES, 100 * ENOUGH_ROOM_BYTES, True),
        (-1, 5, False),
    ],
    ids=["nothing", "just enough", "one byte short", "little", "too little", "plenty", "unknown"],
)
def test_a_full_disk_is_tried_again_when_the_rest_fits(
    free: int,
    needed: int,
    expected: bool,  # noqa: FBT001 a case of the table
) -> None:
    assert has_room(free, needed) is expected


def test_what_is_still_to_write_is_never_negative() -> None:
    info_hash = InfoHash("a" * 40)

    assert needed_bytes(TorrentStatus(info_hash, wanted_bytes=10, wanted_done_bytes=4)) == 6
    assert needed_bytes(TorrentStatus(info_hash, wanted_bytes=10, wanted_done_bytes=12)) == 0


def test_files_are_missing_unless_they_have_their_full_size() -> None:
    files = tuple(
        FileEntry(index=index, path=path, size_bytes=10) for index, path in enumerate("abcd")
    )
    seen = FilesSeen(FilesAsked(InfoHash("a" * 40), "/disk", files), sizes=(10, 9, 11, NOT_THERE))

    assert seen.missing == ("b", "c", "d")
    assert seen.has_any


def test_a_file_without_bytes_says_nothing_of_what_was_there() -> None:
    files = (FileEntry(index=0, path="a", size_bytes=10),)

    assert not FilesSeen(FilesAsked(InfoHash("a" * 40), "/disk", files), sizes=(0,)).has_any
    assert not FilesSeen(FilesAsked(InfoHash("a" * 40), "/disk", files), (NOT_THERE,)).has_any


def test_messages_name_the_place_and_what_to_do() -> None:
    absent = absent_fault("/disk", "is empty")
    missing = missing_fault("/disk", ("a", "b", "c", "d", "e"))
    full = full_fault("/disk", needed=5 * MIB, free_bytes=700)

    assert absent.code is FaultCode.STORAGE_ABSENT
    assert "/disk is empty" in absent.message
    assert "mount" in absent.message
    assert "recheck" in absent.message
    assert missing.code is FaultCode.MISSING_FILES
    assert "a, b, c and 2 more not found in full below /disk" in missing.message
    assert full.code is FaultCode.DISK_FULL
    assert "/disk: 5.0 MiB more to write, 700 B free" in full.message


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 << 30, "3.0 GiB"), (2 << 40, "2.0 TiB")],
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert size_text(size) == text
