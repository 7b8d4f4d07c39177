"""Whether the place of a torrent's payload is there, has room and can be written: pure decisions.

Nothing marks a directory as ours, because it is the user's. That a disk is away is told by what was
there before: the directory is missing or empty although the torrent had data in it, or it is on
another device than the one on which that data was seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from revaer.domain.ids import InfoHash
from revaer.domain.torrent import Fault, FaultCode, FileEntry, TorrentStatus

STORAGE_FAULTS: Final = frozenset(
    {
        FaultCode.DISK_FULL,
        FaultCode.MISSING_FILES,
        FaultCode.STORAGE_ABSENT,
        FaultCode.UNWRITABLE,
    }
)
"""Faults that pass when the storage is well again, without a user's action."""

HELD_FAULTS: Final = frozenset({FaultCode.MISSING_FILES, FaultCode.STORAGE_ABSENT})
"""Faults for which a torrent stands still, so that nothing is downloaded into the wrong place."""

NOT_THERE: Final = -1
"""The size of a file that is no regular file, or not there at all."""

ENOUGH_ROOM_BYTES: Final = 1 << 30
"""With so much free a torrent may go on, however much more it wants."""

LEAST_ROOM_BYTES: Final = 1 << 20
NAMED_FILES: Final = 3


class PlaceKind(StrEnum):
    """What lies at a save path."""

    THERE = "there"
    ABSENT = "absent"
    BLOCKED = "blocked"
    """Something that is no directory, or one that may not be entered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceSeen:
    """What one look at a save path found.

    Attributes:
        path: the save path.
        kind: what lies there.
        problem: why it is absent or blocked, in the system's words; else empty.
        is_empty: a directory with nothing in it.
        device: number of the file system that a directory is on; 0 when there is none.
        free_bytes: what may still be written there; -1 when nobody knows.
    """

    path: str
    kind: PlaceKind = PlaceKind.THERE
    problem: str = ""
    is_empty: bool = False
    device: int = 0
    free_bytes: int = -1


@dataclass(frozen=True, slots=True)
class FilesAsked:
    """Files of a torrent to look at.

    Attributes:
        files: under the paths that they have now, padding left out.
        for_writing: say what keeps them from being written, too.
    """

    info_hash: InfoHash
    save_path: str
    files: tuple[FileEntry, ...]
    for_writing: bool = False


@dataclass(frozen=True, slots=True)
class FilesSeen:
    """What a look at files found.

    Attributes:
        asked: the question.
        sizes: bytes per file, in the order asked; `NOT_THERE` for what is no regular file.
        obstacle: what keeps the files from being written; empty when nothing does.
    """

    asked: FilesAsked
    sizes: tuple[int, ...]
    obstacle: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """Paths of the files that do not have their full size."""
        return tuple(
            entry.path
            for entry, size in zip(self.asked.files, self.sizes, strict=True)
            if size != entry.size_bytes
        )

    @property
    def has_any(self) -> bool:
        """Whether there are bytes in any of them."""
        return any(size > 0 for size in self.sizes)


@dataclass(frozen=True, slots=True)
class Absence:
    """Why a place is not the one that holds the payload.

    Attributes:
        reason: what is wrong, as the rest of a sentence that begins with the path.
        is_another_device: whatever lies there now is not what was there: nothing may run on it.
    """

    reason: str
    is_another_device: bool = False


def absence(seen: PlaceSeen, *, device_before: int | None = None) -> Absence | None:
    """Say why a place in which payload was seen is not that place now.

    Args:
        seen: the look.
        device_before: the device on which the payload was; None when nobody knows.
    """
    if seen.kind is PlaceKind.BLOCKED:
        return None  # it is there, and cannot be used: another fault
    is_gone = seen.kind is PlaceKind.ABSENT
    if not is_gone and device_before is not None and seen.device != device_before:
        return Absence("is on another disk than before", is_another_device=True)
    if is_gone:
        return Absence(seen.problem)
    if seen.is_empty:
        return Absence("is empty")
    return None


def needed_bytes(status: TorrentStatus) -> int:
    """How much a torrent still has to write."""
    return max(status.wanted_bytes - status.wanted_done_bytes, 0)


def has_room(free_bytes: int, needed: int) -> bool:
    """Whether a torrent that ran out of space should try again."""
    return free_bytes >= min(max(needed, LEAST_ROOM_BYTES), ENOUGH_ROOM_BYTES)


def absent_fault(path: str, reason: str) -> Fault:
    """Name both remedies: nobody can tell an unmounted disk from one that was emptied."""
    return Fault(
        FaultCode.STORAGE_ABSENT,
        f"{path} {reason}, and the files of this torrent were in it; mount the disk and it goes on "
        "by itself, or recheck to download it again",
    )


def missing_fault(save_path: str, missing: Sequence[str]) -> Fault:
    """Name the first of the missing files."""
    named = ", ".join(missing[:NAMED_FILES])
    more = f" and {len(missing) - NAMED_FILES} more" if len(missing) > NAMED_FILES else ""
    return Fault(
        FaultCode.MISSING_FILES,
        f"{named}{more} not found in full below {save_path}; put the files back and they are "
        "checked by themselves, or recheck to download them again",
    )


def full_fault(path: str, *, needed: int, free_bytes: int | None = None) -> Fault:
    """Say how much room is lacking, as far as it is known."""
    free = "" if free_bytes is None or free_bytes < 0 else f", {size_text(free_bytes)} free"
    return Fault(
        FaultCode.DISK_FULL,
        f"no space left at {path}: {size_text(needed)} more to write{free}; free some space and it "
        "goes on by itself",
    )


def blocked_fault(what: str) -> Fault:
    """Say what keeps files from being made.

    Args:
        what: a path and what is wrong with it.
    """
    return Fault(
        FaultCode.UNWRITABLE, f"{what}; choose a place that can hold the files, or mend this one"
    )


def unwritable_fault(fault: Fault) -> Fault:
    """Add that nobody has to resume it."""
    return Fault(fault.code, f"{fault.message}; it is tried again by itself")


def size_text(size_bytes: int) -> str:
    """A size for people: `700 B`, `4.5 MiB`."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:  # noqa: PLR2004 -- the unit's own step
            return f"{size_bytes} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
