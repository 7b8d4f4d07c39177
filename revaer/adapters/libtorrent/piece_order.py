"""Which pieces come first when the first and last pieces of each file shall."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import libtorrent as lt

from revaer.adapters.libtorrent.registry import Entry
from revaer.domain.torrent import LIBTORRENT_DEFAULT_PRIORITY

TOP_PRIORITY: Final = 7
ENDS_PER_CENT: Final = 1
"""So much of a file counts as its beginning, and as its end: players read index tables there."""


_ORDERING: Final = threading.Lock()
"""Held from reading what is wanted to telling libtorrent: the pump and a command may do so at once,
and the older word must not come last."""


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a file lies: bytes from the beginning of the torrent, and how much it is wanted."""

    offset: int
    size_bytes: int
    priority: int


def end_pieces(extent: Extent, piece_length: int) -> set[int]:
    """The pieces that hold a file's first and last bytes; none of an empty file."""
    if not extent.size_bytes:
        return set()
    first = extent.offset // piece_length
    last = (extent.offset + extent.size_bytes - 1) // piece_length
    share = extent.size_bytes * ENDS_PER_CENT // 100
    count = min(max(-(-share // piece_length), 1), last - first + 1)
    return {*range(first, first + count), *range(last - count + 1, last + 1)}


def raised(extents: Sequence[Extent], piece_length: int) -> list[tuple[int, int]]:
    """Piece and priority for the ends of all wanted files."""
    pieces: set[int] = set()
    for extent in extents:
        if extent.priority:
            pieces |= end_pieces(extent, piece_length)
    return [(piece, TOP_PRIORITY) for piece in sorted(pieces)]


def ordinary(extents: Sequence[Extent], piece_length: int) -> list[tuple[int, int]]:
    """Piece and priority for the ends of all files as the files alone decide it.

    A piece that several files share gets the highest of their priorities, as libtorrent has it.
    """
    ends: dict[int, int] = {}
    for extent in extents:
        ends.update(dict.fromkeys(end_pieces(extent, piece_length), 0))
    for extent in extents:
        if not extent.size_bytes:
            continue
        for piece in _spanned(extent, piece_length, ends):
            ends[piece] = max(ends[piece], extent.priority)
    return sorted(ends.items())


def put_ends_first(entry: Entry, *, enabled: bool) -> None:
    """Raise or lower the ends of a torrent's files, and remember which."""
    with _ORDERING:
        entry.has_first_last_pieces = enabled
        _apply(entry)


def put_ends_first_again(entry: Entry) -> None:
    """Raise the ends where they shall be, after libtorrent set all piece priorities anew.

    It does so after every change of file priorities: it hands those to its disk thread, and derives
    the pieces' from them when that answers, whatever was asked of the pieces meanwhile.
    """
    with _ORDERING:
        if entry.has_first_last_pieces:
            _apply(entry)


def _apply(entry: Entry) -> None:
    info = entry.handle.torrent_file()
    if info is None:
        return
    extents = [*_extents(info, entry.priorities)]
    decide = raised if entry.has_first_last_pieces else ordinary
    entry.handle.prioritize_pieces(decide(extents, info.piece_length()))


def _extents(info: lt.torrent_info, priorities: Sequence[int]) -> Iterator[Extent]:
    layout = info.layout()
    pad = lt.file_flags_t.flag_pad_file
    for index in range(info.num_files()):
        is_pad = bool(layout.file_flags(index) & pad)
        given = priorities[index] if index < len(priorities) else LIBTORRENT_DEFAULT_PRIORITY
        yield Extent(layout.file_offset(index), layout.file_size(index), 0 if is_pad else given)


def _spanned(extent: Extent, piece_length: int, ends: dict[int, int]) -> Iterator[int]:
    """Those of the end pieces that have bytes of a file: its own ends, or all of a small file."""
    first = extent.offset // piece_length
    last = (extent.offset + extent.size_bytes - 1) // piece_length
    if last - first < len(ends):
        yield from (piece for piece in range(first, last + 1) if piece in ends)
    else:
        yield from (piece for piece in ends if first <= piece <= last)
