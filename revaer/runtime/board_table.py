"""The read model's table: one writer, any number of reading threads, no lock between them.

A torrent's cell is replaced as a whole, never changed, so a reader has either the old record or
the new one. What readers walk over (the list of rows, the journal) only ever grows in place;
shrinking makes a new one. `revision` moves last: who sees it sees everything up to it.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from revaer.domain.ids import InfoHash, Revision
from revaer.domain.reducer import EVERYTHING, FIELD_BITS
from revaer.domain.torrent import TorrentRecord
from revaer.ports.board import BoardChanges
from revaer.ports.projection import Projection

_ID_LENGTH: Final = 40
_NAMING_BITS: Final = (
    FIELD_BITS["metainfo"] | FIELD_BITS["spec.infohash_v1"] | FIELD_BITS["spec.infohash_v2"]
)
_REMOVED: Final = 0
"""As a journal's mask: a change without a changed field is never written down."""


class RowChange(NamedTuple):
    """What a batch of facts did to one torrent; a tuple, because thousands are made per second.

    Attributes:
        record: the new record; None when the torrent is gone.
        mask: changed-field bits; 0 for a record that shows the same as before, but was reported
            later: it is kept, and no reader is told.
    """

    info_hash: InfoHash
    record: TorrentRecord | None
    mask: int


class _Cell:
    """One version of a torrent, and how the projections encode it as far as that was asked."""

    __slots__ = ("fragments", "record")

    def __init__(self, record: TorrentRecord, fragments: list[bytes | None]) -> None:
        self.record = record
        self.fragments = fragments


class _Row:
    """A torrent's place in the list."""

    __slots__ = ("cell", "names")

    def __init__(self, cell: _Cell) -> None:
        self.cell = cell
        self.names: frozenset[str] = frozenset()


class _Journal:
    """The last changes: `entries[i]` is what revision `base + i + 1` changed."""

    __slots__ = ("base", "entries", "size")

    def __init__(self, base: int, entries: list[dict[InfoHash, int]]) -> None:
        self.base = base
        self.entries = entries
        self.size = sum(map(len, entries))


class BoardTable:
    """Satisfies `Board`; outlives the generations of the actor that writes it.

    Composition owns it and hands it to readers as a `Board`, to the one writer as it is.
    """

    def __init__(
        self,
        projections: Sequence[Projection] = (),
        *,
        first_revision: Revision = Revision(0),
        journal_size: int = 50_000,
    ) -> None:
        """Start without torrents.

        Args:
            projections: how the faces of Revaer encode a torrent.
            first_revision: where counting starts. Microseconds since epoch keep the revisions
                of one process apart from those of the next.
            journal_size: about how many changes of one torrent each `changes_since` can look
                back; at least as many, at most twice as many are held.
        """
        self._projections = tuple(projections)
        self._positions = {projection.name: i for i, projection in enumerate(self._projections)}
        if len(self._positions) < len(self._projections):
            raise ValueError("two projections of one board have the same name")
        self._unread: list[bytes | None] = [None] * len(self._projections)
        self._journal_size = journal_size
        self._rows: dict[str, _Row] = {}
        self._other_names: dict[str, _Row] = {}
        self._ordered: list[_Row] = []
        self._journal = _Journal(first_revision, [])
        self._revision = first_revision
        self._moved = threading.Condition(threading.Lock())
        self._awaited: list[int] = []
        self._lowest_awaited: int | None = None

    @property
    def revision(self) -> Revision:
        """See `Board`."""
        return self._revision

    def get(self, info_hash: str) -> TorrentRecord | None:
        """See `Board`."""
        row = self._find(info_hash)
        return None if row is None else row.cell.record

    def records(self) -> Sequence[TorrentRecord]:
        """See `Board`."""
        return [row.cell.record for row in self._ordered]

    def changes_since(self, revision: Revision) -> BoardChanges | None:
        """See `Board`."""
        newest = self._revision  # before the journal: what it has not yet seen is not claimed
        journal = self._journal
        if not journal.base <= revision <= newest:
            return None
        changed: dict[InfoHash, int] = {}
        removed: set[InfoHash] = set()
        for entry in journal.entries[revision - journal.base : newest - journal.base]:
            for info_hash, mask in entry.items():
                if mask == _REMOVED:
                    changed.pop(info_hash, None)
                    removed.add(info_hash)
                elif info_hash in removed:
                    removed.discard(info_hash)
                    changed[info_hash] = EVERYTHING
                else:
                    changed[info_hash] = changed.get(info_hash, 0) | mask
        return BoardChanges(newest, changed, frozenset(removed))

    def wait_for(self, revision: Revision, *, timeout_s: float) -> bool:
        """See `Board`."""
        if self._revision >= revision:
            return True
        deadline = time.monotonic() + timeout_s
        with self._moved:
            self._awaited.append(revision)
            # Registered before looking again: the writer moves the revision before it looks
            # whether anybody waits, so one of the two sees the other.
            self._lowest_awaited = min(self._awaited)
            try:
                while self._revision < revision:
                    left_s = deadline - time.monotonic()
                    if left_s <= 0:
                        return False
                    self._moved.wait(left_s)
                return True
            finally:
                self._awaited.remove(revision)
                self._lowest_awaited = min(self._awaited, default=None)

    def fragment(self, projection: str, info_hash: InfoHash) -> bytes | None:
        """See `Board`; takes every name that `get` takes."""
        position = self._position(projection)
        row = self._find(info_hash)
        if row is None:
            return None
        cell = row.cell
        return cell.fragments[position] or self._encode(cell, position)

    def joined(self, projection: str) -> bytes:
        """See `Board`."""
        position = self._position(projection)
        cells = [row.cell for row in self._ordered]
        return b",".join(
            [cell.fragments[position] or self._encode(cell, position) for cell in cells]
        )

    def __len__(self) -> int:
        """How many torrents there are."""
        return len(self._ordered)

    def commit(self, changes: Iterable[RowChange]) -> Revision:
        """Take a batch in; only the one writer calls this.

        Returns:
            The revision that shows the batch: the next one, or the present one when nothing
            changed, so that a poll of an unchanged board stays cheap for everybody.
        """
        entry: dict[InfoHash, int] = {}
        gone: list[_Row] = []
        for change in changes:
            if change.record is None:
                row = self._rows.pop(change.info_hash, None)
                if row is None:
                    continue
                gone.append(row)
                entry[change.info_hash] = _REMOVED
            else:
                self._put(change.record, change.mask)
                if change.mask:
                    entry[change.info_hash] = change.mask
        if not entry:
            return self._revision
        if gone:
            self._drop(gone)
        self._write_down(entry)
        self._revision = revision = Revision(self._revision + 1)
        lowest = self._lowest_awaited
        if lowest is not None and lowest <= revision:
            with self._moved:
                self._moved.notify_all()
        return revision

    def _find(self, name: str) -> _Row | None:
        row = self._rows.get(name)
        if row is None:
            lower = name.lower()
            row = self._rows.get(lower) or self._other_names.get(lower)
        return row

    def _position(self, projection: str) -> int:
        position = self._positions.get(projection)
        if position is None:
            raise LookupError(f"this board has no projection {projection!r}")
        return position

    def _encode(self, cell: _Cell, position: int) -> bytes:
        # Two readers may both encode: the answer is the same, and cheaper than a lock.
        fragment = self._projections[position].encode(cell.record)
        cell.fragments[position] = fragment
        return fragment

    def _put(self, record: TorrentRecord, mask: int) -> None:
        row = self._rows.get(record.info_hash)
        if row is None:
            row = _Row(_Cell(record, self._unread.copy()))
            self._rows[record.info_hash] = row
            self._rename(row, record)
            self._ordered.append(row)
        elif mask:
            row.cell = _Cell(record, self._unread.copy())
            if mask & _NAMING_BITS:
                self._rename(row, record)
        elif row.cell.record is not record:
            row.cell = _Cell(record, row.cell.fragments)

    def _rename(self, row: _Row, record: TorrentRecord) -> None:
        hashes = {record.spec.infohash_v1, record.spec.infohash_v2}
        if record.metainfo is not None:
            hashes |= {record.metainfo.infohash_v1, record.metainfo.infohash_v2}
        names = frozenset(h.lower() for h in hashes) | {h[:_ID_LENGTH].lower() for h in hashes}
        names -= {"", record.info_hash}
        for name in row.names - names:
            if self._other_names.get(name) is row:
                del self._other_names[name]
        for name in names:
            self._other_names.setdefault(name, row)
        row.names = names

    def _drop(self, gone: list[_Row]) -> None:
        for row in gone:
            for name in row.names:
                if self._other_names.get(name) is row:
                    del self._other_names[name]
        left_out = set(map(id, gone))
        self._ordered = [row for row in self._ordered if id(row) not in left_out]

    def _write_down(self, entry: dict[InfoHash, int]) -> None:
        journal = self._journal
        journal.entries.append(entry)
        journal.size += len(entry)
        if journal.size > 2 * self._journal_size:
            kept, size = len(journal.entries), 0
            while kept and size < self._journal_size:
                kept -= 1
                size += len(journal.entries[kept])
            self._journal = _Journal(journal.base + kept, journal.entries[kept:])
