"""The resume directory: a few small files per torrent, each whole or not there at all.

Layout, for a torrent ID: `ID.json` what was asked for; `ID.fastresume` the engine's blob;
`ID.torrent` the torrent file's bytes, written once (as `ID.torrent.new` until `ID.json` claims it);
`ID.tombstone` its removal. `ID.json.1` and
`ID.fastresume.1` are the generation before. `state.json` says how the last owner ended, `lock` who
owns the directory, `damaged/` holds what could not be read.
"""

import contextlib
import os
import threading
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from revaer.adapters.filesystem.atomic import (
    AtomicDirectory,
    CrashPoint,
    no_crash,
)
from revaer.adapters.filesystem.documents import TOMBSTONE, TORRENT, TorrentDocument, encode
from revaer.adapters.filesystem.names import (
    OURS,
    PENDING_KIND,
    blob_name,
    metainfo_name,
    pending_name,
    previous,
    spec_name,
    tombstone_name,
)
from revaer.adapters.filesystem.ownership import LastEnd, Ownership
from revaer.adapters.filesystem.room import check_writable
from revaer.adapters.filesystem.salvage import Salvage, WithheldError
from revaer.adapters.filesystem.sealed import seal
from revaer.domain.errors import StoreDownError, StoreLockedError
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import TorrentSpec
from revaer.ports.resume_store import Restored, StoredTorrent, Tombstone

CRASH_POINTS: Final = (
    "state.written",
    "state.renamed",
    "metainfo.written",
    "metainfo.renamed",
    "metainfo.settled",
    "spec.written",
    "spec.rotated",
    "spec.renamed",
    "tombstone.lifted",
    "blob.written",
    "blob.rotated",
    "blob.renamed",
    "tombstone.written",
    "tombstone.renamed",
    "forget.blob",
    "forget.metainfo",
    "forget.spec",
    "forget.tombstone",
    "damaged.written",
    "damaged.renamed",
    "sync.files",
    "sync.directory",
)
"""Every step after which a process can die and leave something new on the disk."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the next write of a torrent's JSON must carry over."""

    life: int
    has_metainfo: bool
    version: int
    document: TorrentDocument | None = None
    """Only where it holds fields that this version does not know."""


class FilesystemResumeStore:
    """`ResumeStore` on a local directory.

    Thread-safe: one lock orders the calls that change files; `sync` forces files to the disk
    outside of it, so a slow disk never holds up a `put`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        boot_id: str,
        default_save_path: str,
        crash_point: CrashPoint = no_crash,
        waits: bool = False,
    ) -> None:
        """Open and lock the directory; it is made where it is missing.

        Args:
            directory: where the store lives; nothing else should.
            boot_id: names this boot of the machine; another one than last time means that the
                machine restarted in between.
            default_save_path: payload directory of torrents whose own was lost.
            crash_point: called after each step, with a name out of `CRASH_POINTS`.
            waits: a directory that cannot be used now is no error: one that can only be read is
                read, and any other is tried again with each `load` and `reopen`.

        Raises:
            StoreLockedError: another process owns the directory.
            StoreDownError: it cannot be read or written, and `waits` is false.
        """
        self._lock = threading.RLock()
        self._files = AtomicDirectory(os.path.abspath(directory), crash_point)  # noqa: PTH100 text
        self._ownership = Ownership(self._files, boot_id, takes_read_only=waits)
        self._salvage = Salvage(self._files, default_save_path)
        self._kept: dict[InfoHash, _Kept] = {}
        self._stored: set[InfoHash] = set()
        self._buried: set[InfoHash] = set()
        self._forgotten: set[InfoHash] = set()
        self._end = LastEnd(ended_cleanly=False, same_boot=False)
        self._is_open = False
        self._is_closed = False
        self._known_takeovers = 0
        self._unread = ""
        try:
            self._open()
        except StoreDownError as error:
            if not waits:
                raise
            self._unread = str(error)

    def load(self, only: AbstractSet[InfoHash] | None = None) -> Restored:
        """Read the store: every torrent, or those named.

        Damaged files are moved to `damaged/`; what they cost is said in `problems`.
        """
        try:
            restored = self._load(only)
        except StoreDownError as error:
            with self._lock:
                self._unread = str(error)
            raise
        finally:
            self._salvage.expect(None)
        with self._lock:
            self._unread = ""
        return restored

    def _load(self, only: AbstractSet[InfoHash] | None) -> Restored:
        with self._lock:
            self._open_now()
            self._ownership.confirm(to_write=False)
            found = self._found()
        problems = [self._end.problem] if self._end.problem and only is None else []
        torrents: list[StoredTorrent] = []
        tombstones: list[Tombstone] = []
        withheld: set[InfoHash] = set()
        for info_hash in found if only is None else sorted(only & found.keys()):
            with self._lock:
                try:
                    match self._load_one(info_hash, problems):
                        case StoredTorrent() as stored:
                            torrents.append(stored)
                        case Tombstone() as tombstone:
                            tombstones.append(tombstone)
                        case None:
                            pass
                except WithheldError as error:
                    problems.append(str(error))
                    withheld.add(info_hash)
                    self._drop(info_hash)
        torrents.sort(key=lambda stored: (stored.spec.added_at, stored.spec.info_hash))
        return Restored(
            torrents=tuple(torrents),
            tombstones=tuple(tombstones),
            ended_cleanly=self._end.ended_cleanly,
            same_boot=self._end.same_boot,
            problems=tuple(problems),
            withheld=frozenset(withheld),
        )

    def known(self) -> frozenset[InfoHash]:
        """The ids of all torrents that are stored and not buried."""
        with self._lock:
            return frozenset(self._stored)

    def put(self, spec: TorrentSpec, metainfo_data: bytes | None = None) -> None:
        """Store what was asked for; a tombstone is lifted, and the blob before it is stale then."""
        info_hash = spec.info_hash
        with self._lock:
            self._confirm()
            is_buried = info_hash in self._buried
            kept = self._kept_of(info_hash)
            life = 1 if kept is None else kept.life + is_buried
            had_metainfo = kept is not None and kept.has_metainfo
            writes_metainfo = bool(metainfo_data) and (is_buried or not had_metainfo)
            document = TorrentDocument(
                spec=spec,
                life=life,
                has_metainfo=had_metainfo or writes_metainfo,
                version=1 if kept is None else kept.version,
                unknown={} if kept is None or kept.document is None else kept.document.unknown,
            )
            encoded = encode(document, TORRENT)
            if writes_metainfo and metainfo_data:
                self._write_metainfo(info_hash, metainfo_data, life, encoded)
            else:
                self._files.stage(spec_name(info_hash), encoded, "spec")
            try:
                self._files.commit(spec_name(info_hash), "spec", keeps_previous=not is_buried)
            except StoreDownError:
                if writes_metainfo:
                    self._files.delete(pending_name(info_hash))
                raise
            if writes_metainfo:
                self._settle_metainfo(info_hash)
            if is_buried:
                self._files.delete(previous(spec_name(info_hash)))
                self._files.delete(tombstone_name(info_hash), "tombstone.lifted")
            self._remember(info_hash, document)

    def put_blob(self, info_hash: InfoHash, blob: bytes) -> None:
        """Store the engine's resume data; ignored for torrents that are not stored."""
        with self._lock:
            self._confirm()
            kept = self._kept_of(info_hash) if info_hash in self._stored else None
            if kept is None:
                return
            self._files.stage(blob_name(info_hash), seal(blob, info_hash, kept.life), "blob")
            self._files.commit(blob_name(info_hash), "blob", keeps_previous=True)

    def bury(self, info_hash: InfoHash, *, with_data: bool) -> None:
        """Write the tombstone; it carries what a later start needs to finish the removal.

        Burying again only changes `with_data`; a torrent that was never stored needs no tombstone.
        """
        with self._lock:
            self._confirm()
            if info_hash in self._stored or info_hash in self._buried:
                self._bury(info_hash, with_data=with_data)

    def forget(self, info_hash: InfoHash) -> None:
        """Delete a buried torrent's files and then its tombstone; others are left alone."""
        with self._lock:
            self._confirm()
            if info_hash in self._buried:
                self._forget(info_hash)

    def check(self) -> None:
        """Look whether the directory is there and could be written; costs no disk access."""
        with self._lock:
            self._confirm()
        check_writable(self._files.path)

    def reopen(self) -> bool:
        """Use the directory again, or make it anew where it was; proven by a write.

        What was buried or forgotten since the store was opened stays so, even when an older copy of
        the directory came back. Where this fails after another directory was taken, nothing is
        written to that before a later call has ended well.
        """
        with self._lock:
            was_open = self._is_open
            self._open_now()
            self._ownership.reopen()
            is_another = self._known_takeovers != self._ownership.takeovers
            if is_another:
                self._look_round()
                self._known_takeovers = self._ownership.takeovers
            return is_another or not was_open

    def _look_round(self) -> None:
        """See what another directory than the one before holds."""
        stored, buried = self._scan()
        gone = stored & (self._buried | self._forgotten)
        self._kept = {
            one: replace(old, has_metainfo=False)
            for one, old in self._kept.items()
            if one not in stored
        }
        self._stored, self._buried = stored, buried
        for info_hash in gone:
            self._bury(info_hash, with_data=False)
            if info_hash in self._forgotten:
                self._forget(info_hash)

    def sync(self) -> int:
        """Force everything renamed so far to the disk; says how many files that were."""
        with self._lock:
            self._confirm()
        return self._files.sync()

    def close(self, *, clean: bool) -> None:
        """Sync, note whether the end was clean, and unlock; idempotent.

        Raises:
            StoreDownError: the sync failed; the end is not noted as clean then.
        """
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if not self._is_open:
                return
            try:
                self._ownership.confirm(to_write=clean)
                self._files.sync()
                if clean:
                    self._ownership.close_cleanly()
            finally:
                self._ownership.release()

    def _confirm(self) -> None:
        """Before any write: what nobody has read yet is not written over."""
        if self._unread and not self._is_closed:
            raise StoreDownError(self._unread)
        if self._known_takeovers != self._ownership.takeovers:
            raise StoreDownError(
                f"the resume directory {self._files.path} was replaced, and what is known could "
                "not be written to it yet; it is tried again in a moment"
            )
        self._ownership.confirm()

    def _open_now(self) -> None:
        """Open what could not be opened before.

        Raises:
            StoreDownError: it still cannot, or another process has it meanwhile.
        """
        if self._is_open or self._is_closed:
            return
        try:
            self._open()
        except StoreLockedError as error:
            raise StoreDownError(str(error)) from error

    def _open(self) -> None:
        self._end = self._ownership.take()
        try:
            self._stored, self._buried = self._scan()
        except BaseException:
            self._ownership.release()
            raise
        self._is_open = True

    def _write_metainfo(
        self, info_hash: InfoHash, metainfo_data: bytes, life: int, encoded: bytes
    ) -> None:
        """Stage both files before either is renamed: a full disk then changes nothing."""
        self._files.stage(pending_name(info_hash), seal(metainfo_data, info_hash, life), "metainfo")
        try:
            self._files.stage(spec_name(info_hash), encoded, "spec")
            self._files.commit(pending_name(info_hash), "metainfo")
        except StoreDownError:
            self._files.discard(pending_name(info_hash))
            self._files.discard(spec_name(info_hash))
            raise

    def _bury(self, info_hash: InfoHash, *, with_data: bool) -> None:
        document = self._salvage.present(info_hash, is_buried=info_hash in self._buried)
        document = replace(document, with_data=with_data)
        self._files.stage(tombstone_name(info_hash), encode(document, TOMBSTONE), "tombstone")
        self._files.commit(tombstone_name(info_hash), "tombstone")
        self._stored.discard(info_hash)
        self._buried.add(info_hash)
        self._kept[info_hash] = _kept(document)

    def _forget(self, info_hash: InfoHash) -> None:
        blob, spec = blob_name(info_hash), spec_name(info_hash)
        self._files.delete(previous(blob))
        self._files.delete(blob, "forget.blob")
        self._files.delete(pending_name(info_hash))
        self._files.delete(metainfo_name(info_hash), "forget.metainfo")
        self._files.delete(previous(spec))
        self._files.delete(spec, "forget.spec")
        self._files.delete(tombstone_name(info_hash), "forget.tombstone")
        self._buried.discard(info_hash)
        self._kept.pop(info_hash, None)
        self._forgotten.add(info_hash)

    def _settle_metainfo(self, info_hash: InfoHash) -> None:
        """Give claimed bytes their final name; where that fails, the next `load` does it."""
        self._files.settle(pending_name(info_hash), metainfo_name(info_hash), "metainfo.settled")

    def _kept_of(self, info_hash: InfoHash) -> _Kept | None:
        kept = self._kept.get(info_hash)
        if kept is None and (info_hash in self._stored or info_hash in self._buried):
            is_buried = info_hash in self._buried
            kept = _kept(self._salvage.present(info_hash, is_buried=is_buried))
            self._kept[info_hash] = kept
        return kept

    def _remember(self, info_hash: InfoHash, document: TorrentDocument) -> None:
        self._stored.add(info_hash)
        self._buried.discard(info_hash)
        self._forgotten.discard(info_hash)
        self._kept[info_hash] = _kept(document)

    def _scan(self) -> tuple[set[InfoHash], set[InfoHash]]:
        """Read the names once; drop what a dead process was still writing."""
        names = self._files.names()
        stored: set[InfoHash] = set()
        buried: set[InfoHash] = set()
        ours: list[str] = []
        for name in names:
            match = OURS.fullmatch(name)
            if match is None:
                continue
            if match[3] or match[4]:
                with contextlib.suppress(StoreDownError):  # it can wait for a directory that works
                    self._files.delete(name)
                self._salvage.torn.add(f"{match[1]}.{match[2]}")
                continue
            ours.append(name)
            if match[2] == "tombstone":
                buried.add(InfoHash(match[1]))
            elif match[2] != PENDING_KIND:
                stored.add(InfoHash(match[1]))
        if not self._end.ended_cleanly:
            self._files.distrust(ours)
        return stored - buried, buried

    def _found(self) -> dict[InfoHash, None]:
        """Every torrent that has a file, in the order of the directory."""
        names = self._files.names()
        self._salvage.expect(frozenset(names))
        matches = map(OURS.fullmatch, names)
        return {
            InfoHash(match[1]): None
            for match in matches
            if match is not None and not (match[3] or match[4])
        }

    def _load_one(
        self, info_hash: InfoHash, problems: list[str]
    ) -> StoredTorrent | Tombstone | None:
        found = self._salvage.load(info_hash, problems)
        if found is None:
            if info_hash not in self._buried:
                self._drop(info_hash)
            return None
        document, result = found
        self._kept[info_hash] = _kept(document)
        if isinstance(result, StoredTorrent):
            self._stored.add(info_hash)
            self._buried.discard(info_hash)
            if document.has_metainfo and self._salvage.is_there(pending_name(info_hash)):
                self._settle_metainfo(info_hash)
        return result

    def _drop(self, info_hash: InfoHash) -> None:
        self._stored.discard(info_hash)
        self._kept.pop(info_hash, None)


def _kept(document: TorrentDocument) -> _Kept:
    return _Kept(
        document.life,
        document.has_metainfo,
        document.version,
        document if document.unknown else None,
    )
