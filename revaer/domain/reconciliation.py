"""Where what is stored, what the engine does, and what a projection says differ.

The store holds: a difference is mended on the other side, and never by removing a torrent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from revaer.domain.ids import BytesPerSecond
from revaer.domain.torrent import (
    LIBTORRENT_DEFAULT_PRIORITY,
    FileEntry,
    StopReason,
    TorrentSpec,
)


class Other(StrEnum):
    """Who says something else than the store."""

    ENGINE = "engine"
    CATALOG = "catalog"


class Aspect(StrEnum):
    """What of a torrent the store and another side can disagree about."""

    PRIORITIES = "priorities"
    SEQUENTIAL = "sequential"
    FIRST_LAST_PIECES = "first_last_pieces"
    LIMITS = "limits"
    STOPPED = "stopped"
    FORCE_START = "force_start"
    SAVE_PATH = "save_path"


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTorrent:
    """What an engine does with a torrent, as far as somebody asked for it.

    Attributes:
        save_path: where it reads and writes.
        priorities: one per file; empty before the metadata is known.
        is_stopped: it stands still and would go on doing so.
        is_forced: it runs past the queue.
        is_settled: it is neither being checked, nor held, nor in trouble: only then `is_stopped`
            and `is_forced` mean what was asked for.
    """

    save_path: str
    priorities: tuple[int, ...] = ()
    sequential: bool = False
    first_last_pieces: bool = False
    download_limit: BytesPerSecond = BytesPerSecond(0)
    upload_limit: BytesPerSecond = BytesPerSecond(0)
    is_stopped: bool = False
    is_forced: bool = False
    is_settled: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement.

    Attributes:
        stored: what holds.
        found: what the other side said.
    """

    other: Other
    aspect: Aspect
    stored: object
    found: object

    def __str__(self) -> str:
        """Say it to an operator."""
        return (
            f"{self.aspect} was {_shown(self.found)} in the {self.other}, "
            f"{_shown(self.stored)} is stored"
        )


_SHOWN: Final = 12
"""Priorities that a reason spells out."""


def differences(
    stored: TorrentSpec,
    live: LiveTorrent | None,
    projected: TorrentSpec | None,
    files: Sequence[FileEntry] = (),
) -> tuple[Difference, ...]:
    """Compare the three sides of one torrent.

    Args:
        stored: what the resume store says.
        live: what the engine does; None when it does not run the torrent.
        projected: what the catalog says; None when it does not know the torrent.
        files: the metadata's list, where known: padding has no priority of anybody's choice.

    Returns:
        Every disagreement with the store, in a fixed order.
    """
    found: list[Difference] = []
    if live is not None:
        found += _engine(stored, live, files)
    if projected is not None:
        found += _compare(Other.CATALOG, _asked(stored), _asked(projected))
    return tuple(found)


def reason_of(found: Sequence[Difference]) -> str:
    """All differences as one sentence."""
    return "; ".join(str(each) for each in found)


def _engine(stored: TorrentSpec, live: LiveTorrent, files: Sequence[FileEntry]) -> list[Difference]:
    wanted = _asked(stored)
    does: dict[Aspect, object] = {
        Aspect.SEQUENTIAL: live.sequential,
        Aspect.FIRST_LAST_PIECES: live.first_last_pieces,
        Aspect.LIMITS: (live.download_limit, live.upload_limit),
        Aspect.SAVE_PATH: live.save_path,
    }
    if files:
        wanted[Aspect.PRIORITIES] = _priorities(stored.priorities, files)
        does[Aspect.PRIORITIES] = _priorities(live.priorities, files)
    if stored.moving_to:
        del does[Aspect.SAVE_PATH]  # under way: neither of the two places is wrong
    if live.is_settled:
        does[Aspect.STOPPED] = live.is_stopped
        if not live.is_stopped and stored.stop_reason is StopReason.NONE:
            does[Aspect.FORCE_START] = live.is_forced
    return _compare(Other.ENGINE, wanted, does)


def _asked(spec: TorrentSpec) -> dict[Aspect, object]:
    return {
        Aspect.PRIORITIES: spec.priorities,
        Aspect.SEQUENTIAL: spec.sequential,
        Aspect.FIRST_LAST_PIECES: spec.first_last_pieces,
        Aspect.LIMITS: (spec.download_limit, spec.upload_limit),
        Aspect.STOPPED: spec.stop_reason is not StopReason.NONE,
        Aspect.FORCE_START: spec.force_start,
        Aspect.SAVE_PATH: spec.save_path,
    }


def _compare(
    other: Other, wanted: Mapping[Aspect, object], found: Mapping[Aspect, object]
) -> list[Difference]:
    return [
        Difference(other, aspect, wanted[aspect], found[aspect])
        for aspect in Aspect
        if aspect in found and wanted[aspect] != found[aspect]
    ]


def _priorities(priorities: Sequence[int], files: Sequence[FileEntry]) -> tuple[int, ...]:
    """What each real file has; an empty list stands for all at the default."""
    full = [*priorities, *[LIBTORRENT_DEFAULT_PRIORITY] * (len(files) - len(priorities))]
    return tuple(full[entry.index] for entry in files if not entry.is_pad)


def _shown(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple() if len(value) > _SHOWN:
            return f"{value[:_SHOWN]} and {len(value) - _SHOWN} more"
        case _:
            return str(value)
