"""The double of the resume store: the same answers, kept in a table that outlives its owners."""

import math
import threading
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from revaer.domain.errors import InvalidInputError, StoreDownError, StoreLockedError
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import TorrentSpec
from revaer.ports.resume_store import Restored, StoredTorrent, Tombstone


@dataclass(slots=True)
class _Row:
    """One torrent; `with_data` is None while it is not buried."""

    spec: TorrentSpec
    metainfo_data: bytes | None = None
    blob: bytes | None = None
    with_data: bool | None = None

    def stored(self) -> StoredTorrent:
        return StoredTorrent(spec=self.spec, metainfo_data=self.metainfo_data, blob=self.blob)


@dataclass(slots=True)
class MemoryDisk:
    """What stays when a `MemoryResumeStore` is closed or dies; hand it to the next one.

    Attributes:
        boot_id: the boot in which the last owner opened it; empty before the first.
        is_clean: the last owner closed it.
        is_suspect: a restart of the machine followed an unclean end, and no clean one came since.
        owner: the store that holds it now.
    """

    rows: dict[InfoHash, _Row] = field(default_factory=dict)
    boot_id: str = ""
    is_clean: bool = True
    is_suspect: bool = False
    owner: object | None = None


class MemoryResumeStore:
    """`ResumeStore` without a directory.

    `go_down` makes every call fail until `come_back`, as a vanished disk does. `die` is a kill: the
    disk is let go without a word.
    """

    def __init__(self, disk: MemoryDisk | None = None, *, boot_id: str = "boot") -> None:
        """Own a disk, or a new one.

        Raises:
            StoreLockedError: another store owns it.
        """
        self._lock = threading.Lock()
        self.disk = MemoryDisk() if disk is None else disk
        if self.disk.owner is not None:
            raise StoreLockedError("the memory disk is in use by another store; close that one")
        self.disk.owner = self
        self._ended_cleanly = self.disk.is_clean
        if not self.disk.is_clean and self.disk.boot_id != boot_id:
            self.disk.is_suspect = True
        was_here = self.disk.boot_id in {"", boot_id}
        self._same_boot = was_here and not self.disk.is_suspect
        self.disk.boot_id = boot_id
        self.disk.is_clean = False
        self._down = ""
        self._is_gone = False
        self._is_unread = False
        self._unsynced: set[tuple[InfoHash, str]] = set()

    def go_down(self, cause: str = "the memory disk is gone; call come_back") -> None:
        """Fail every call from now on."""
        with self._lock:
            self._down = cause

    def come_back(self) -> None:
        """Work again."""
        with self._lock:
            self._down = ""

    def die(self) -> None:
        """End as a killed process does: nothing is noted, the disk is free."""
        with self._lock:
            self._let_go()

    def lose_everything(self) -> None:
        """Have the disk emptied by somebody, as `rm -rf` does; it is down until `reopen`."""
        with self._lock:
            self.disk.rows.clear()
            self._unsynced.clear()
            self._is_gone = True

    def load(self, only: AbstractSet[InfoHash] | None = None) -> Restored:
        """Read every torrent, or those named."""
        with self._lock:
            if self._down or self._is_gone:
                self._is_unread = True
            self._check(to_read=True)
            self._is_unread = False
            rows = [
                row
                for info_hash, row in self.disk.rows.items()
                if only is None or info_hash in only
            ]
            rows.sort(key=lambda row: (row.spec.added_at, row.spec.info_hash))
            return Restored(
                torrents=tuple(row.stored() for row in rows if row.with_data is None),
                tombstones=tuple(
                    Tombstone(row.stored(), row.with_data)
                    for row in rows
                    if row.with_data is not None
                ),
                ended_cleanly=self._ended_cleanly,
                same_boot=self._same_boot,
            )

    def known(self) -> frozenset[InfoHash]:
        """The ids of all torrents that are stored and not buried."""
        with self._lock:
            return frozenset(
                info_hash for info_hash, row in self.disk.rows.items() if row.with_data is None
            )

    def put(self, spec: TorrentSpec, metainfo_data: bytes | None = None) -> None:
        """Store what was asked for; a tombstone is lifted, and the blob before it is stale then."""
        with self._lock:
            self._check()
            _check_storable(spec)
            row = self.disk.rows.get(spec.info_hash)
            if row is None:
                row = self.disk.rows[spec.info_hash] = _Row(spec)
            is_buried = row.with_data is not None
            if metainfo_data and (is_buried or row.metainfo_data is None):
                row.metainfo_data = metainfo_data
                self._unsynced.add((spec.info_hash, "metainfo"))
            if is_buried:
                row.blob = None
            row.spec = spec
            row.with_data = None
            self._unsynced.add((spec.info_hash, "spec"))

    def put_blob(self, info_hash: InfoHash, blob: bytes) -> None:
        """Store resume data; ignored for torrents that are not stored."""
        with self._lock:
            self._check()
            row = self.disk.rows.get(info_hash)
            if row is not None and row.with_data is None:
                row.blob = blob
                self._unsynced.add((info_hash, "blob"))

    def bury(self, info_hash: InfoHash, *, with_data: bool) -> None:
        """Mark as removed; a torrent that was never stored needs no tombstone."""
        with self._lock:
            self._check()
            row = self.disk.rows.get(info_hash)
            if row is not None:
                row.with_data = with_data
                self._unsynced.add((info_hash, "tombstone"))

    def forget(self, info_hash: InfoHash) -> None:
        """Drop a buried torrent; others are left alone."""
        with self._lock:
            self._check()
            row = self.disk.rows.get(info_hash)
            if row is not None and row.with_data is not None:
                del self.disk.rows[info_hash]
                self._unsynced -= {each for each in self._unsynced if each[0] == info_hash}

    def check(self) -> None:
        """Look whether it works."""
        with self._lock:
            self._check()

    def reopen(self) -> bool:
        """Work again where nothing keeps it from working."""
        with self._lock:
            if self._down:
                raise StoreDownError(self._down)
            was_gone, self._is_gone = self._is_gone, False
            return was_gone

    def sync(self) -> int:
        """Say how many files of a real store would have been forced to the disk."""
        with self._lock:
            self._check()
            count = len(self._unsynced)
            self._unsynced.clear()
            return count

    def close(self, *, clean: bool) -> None:
        """Note whether the end was clean, and let go of the disk; idempotent."""
        with self._lock:
            if self.disk.owner is not self:
                return
            try:
                self._check()
                if clean:
                    self.disk.is_clean = True
                    self.disk.is_suspect = False
            finally:
                self._let_go()

    def _let_go(self) -> None:
        if self.disk.owner is self:
            self.disk.owner = None
        self._down = "the memory store is closed; open another one"

    def _check(self, *, to_read: bool = False) -> None:
        if self._down or self._is_gone:
            raise StoreDownError(self._down or "the memory disk was emptied; call reopen")
        if self._is_unread and not to_read:
            raise StoreDownError("what the memory disk holds was not read yet; call load")


def _check_storable(spec: TorrentSpec) -> None:
    """Refuse what no JSON file can hold."""
    if not math.isfinite(spec.ratio_limit):
        raise InvalidInputError(f"the ratio limit of {spec.info_hash} must be a finite number")
    try:
        "".join((spec.name, spec.magnet_uri, spec.save_path, spec.category, *spec.tags)).encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"torrent {spec.info_hash} cannot be stored: use names and paths that are valid Unicode"
        ) from error
