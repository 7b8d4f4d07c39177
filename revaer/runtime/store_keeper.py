"""Keeps the session and its resume store together, whatever becomes of the directory.

A store that cannot be read when the session starts holds nothing up: the engine runs what it runs
already, and what the catalog knows. When the store comes back it is read before anything is written
to it, and what it says holds. A store that was lost while the session ran is written again.
"""

from collections.abc import Set as AbstractSet
from contextlib import suppress

from revaer.domain import facts as f
from revaer.domain.errors import StoreDownError
from revaer.domain.ids import InfoHash
from revaer.ports.logs import logger
from revaer.ports.resume_store import Restored
from revaer.ports.torrents import TorrentCatalog
from revaer.runtime.reconciling import read_catalog
from revaer.runtime.report_desk import ReportDesk
from revaer.runtime.restoration import restore, run_without_store
from revaer.runtime.session_parts import SessionParts

log = logger(__name__)

RETRY_S = 2.0
"""How often a store that is down is tried again."""

WRITES_PER_TICK = 500
"""A spec costs some 60 us, so 10,000 are back in 20 s and no command waits for long."""

EXPORTS_PER_TICK = 100
"""A torrent file costs the engine as much as a save."""


class StoreKeeper:
    """Reads the store at the start, tries again what is down, and writes again what was lost.

    Attributes:
        trouble: why the store cannot be used, or empty.
    """

    def __init__(
        self,
        parts: SessionParts,
        reports: ReportDesk,
        *,
        catalog: TorrentCatalog | None = None,
        only: AbstractSet[InfoHash] | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            parts: the session's.
            reports: takes the torrent files that are to be stored again.
            catalog: what a lost store is rebuilt from.
            only: load only these torrents; None for all of the store.
        """
        self._parts = parts
        self._reports = reports
        self._catalog = catalog
        self._only = only
        self._is_read = False
        self._is_replaced = False
        self._next_try_at = 0.0
        self._well_since = 0.0
        self._unwritten: dict[InfoHash, None] = {}
        self._unexported: dict[InfoHash, None] = {}
        self.trouble = ""

    def start(self, *, is_adopted: bool) -> tuple[f.TorrentFact, ...]:
        """Bring the engine to what the store says, or, without it, to what else is known."""
        catalog = read_catalog(self._catalog, self._only)
        try:
            restored = self._parts.store.load(self._only)
        except StoreDownError as error:
            self._is_down(str(error))
            return run_without_store(
                self._parts, self._reports, is_adopted=is_adopted, catalog=catalog
            )
        self._is_read = True
        return restore(self._parts, self._reports, restored, is_adopted=is_adopted, catalog=catalog)

    def hear(self, trouble: str, seen_at: float) -> None:
        """Somebody looked at the directory: what was seen before the last mend is out of date."""
        if seen_at > self._well_since and not self.trouble:
            self._is_down(trouble, tries_now=True)

    def tick(self) -> tuple[f.TorrentFact, ...]:
        """Try again what is down, and go on writing what was lost."""
        parts = self._parts
        facts: tuple[f.TorrentFact, ...] = ()
        if (self.trouble or parts.saver.trouble) and parts.clock() >= self._next_try_at:
            self._next_try_at = parts.clock() + RETRY_S
            try:
                facts = self._try_again()
            except StoreDownError as error:
                self._is_down(str(error))
        try:
            self._write_some(WRITES_PER_TICK)
        except StoreDownError as error:
            self._is_down(str(error))
        return facts

    def write_all(self) -> None:
        """Shutdown has no time for slices; what cannot be written is left."""
        with suppress(StoreDownError):
            if self._is_read:
                self._write_some(len(self._unwritten))

    @property
    def unwritten(self) -> int:
        """How many torrents the store has lost and not got back."""
        return len(self._unwritten)

    def _is_down(self, trouble: str, *, tries_now: bool = False) -> None:
        if not self.trouble:
            log.warning("resume_store_down", cause=trouble)
        self.trouble = trouble
        if not tries_now:
            self._next_try_at = self._parts.clock() + RETRY_S

    def _try_again(self) -> tuple[f.TorrentFact, ...]:
        """Read what could not be read, and see whether it can be written.

        Raises:
            StoreDownError: it cannot even be read.
        """
        parts = self._parts
        trouble = ""
        try:
            # Said once: kept until what is there was read, which may fail, too.
            self._is_replaced |= parts.store.reopen()
        except StoreDownError as error:
            if self._is_read:
                raise
            trouble = str(error)
        facts: tuple[f.TorrentFact, ...] = ()
        if self._is_replaced or not self._is_read:
            facts = self._read_again(parts.store.load(self._only))
        self._see(trouble)
        return facts

    def _see(self, trouble: str) -> None:
        parts = self._parts
        try:
            parts.store.check()
        except StoreDownError as error:
            trouble = trouble or str(error)
        if trouble:
            self._is_down(trouble)
            return
        if self.trouble:
            log.warning("resume_store_back", unwritten=len(self._unwritten))
        self.trouble = ""
        self._well_since = parts.clock()
        if not parts.saver.unsaved:  # else whether it works shows with the next save
            parts.saver.trouble = ""

    def _read_again(self, restored: Restored) -> tuple[f.TorrentFact, ...]:
        """Take in what nobody has read; what the session was told itself holds against a copy."""
        parts = self._parts
        is_lost, self._is_replaced = self._is_replaced and self._is_read, False
        catalog = {} if is_lost else read_catalog(self._catalog, self._only)
        if self._is_read:
            newcomers = tuple(
                stored
                for stored in restored.torrents
                if parts.roster.find(stored.spec.info_hash) is None
                and stored.spec.info_hash not in parts.roster.removing
            )
            restored = Restored(
                torrents=newcomers,
                ended_cleanly=restored.ended_cleanly,
                same_boot=restored.same_boot,
                problems=restored.problems,
            )
        self._is_read = True
        facts = restore(parts, self._reports, restored, is_adopted=True, catalog=catalog)
        stored = parts.store.known()
        self._unwritten.update(
            (spec.info_hash, None)
            for spec in parts.roster
            if is_lost or spec.info_hash not in stored
        )
        return facts

    def _write_some(self, count: int) -> None:
        """Specs first: with them no torrent is lost any more. Then torrent files, then blobs."""
        if self.trouble:
            return
        for info_hash in tuple(self._unwritten)[:count]:
            self._write(info_hash)
            del self._unwritten[info_hash]
        if self._unwritten:
            return
        for info_hash in tuple(self._unexported)[:EXPORTS_PER_TICK]:
            del self._unexported[info_hash]
            self._reports.want_metainfo(info_hash)
            self._parts.saver.queue((info_hash,))

    def _write(self, info_hash: InfoHash) -> None:
        spec = self._parts.roster.specs.get(info_hash)
        if spec is None:
            return
        self._parts.store.put(spec)
        self._unexported[info_hash] = None
