"""Tries again what could not be written: when there is room, or nothing in the way any more."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from revaer.domain.errors import TorrentNotFoundError
from revaer.domain.facts import FaultCleared, FaultRaised, TorrentFact
from revaer.domain.ids import InfoHash
from revaer.domain.storage import (
    PlaceSeen,
    blocked_fault,
    full_fault,
    has_room,
    needed_bytes,
    unwritable_fault,
)
from revaer.domain.torrent import Fault, FaultCode, TorrentRecord
from revaer.ports.logs import logger
from revaer.runtime.session_parts import SessionParts

log = logger(__name__)

RETRIED = frozenset({FaultCode.DISK_FULL, FaultCode.UNWRITABLE})

FIRST_DELAY_S = 5.0
LONGEST_DELAY_S = 300.0
"""A quota, or a name that is too long, shows in no probe: such a torrent is tried ever more rarely.
libtorrent itself would try again after 600 s."""

CONFIRM_S = 2.0
"""A torrent that did not fail again for this long is well."""

REFUSING_S = 10.0
"""The report of why a torrent writes nothing comes within this time, or never."""

REMEMBER_S = 60.0
"""A torrent that fails again within this time goes on with the delay that it had reached."""


@dataclass(slots=True)
class _Trouble:
    code: FaultCode
    tries: int = 0
    due_at: float = 0.0
    trying_since: float | None = None
    well_since: float | None = None
    is_told_room: bool = False


class StorageRetries:
    """What is known of each torrent whose writes failed.

    A retry is quiet: the fault stays on the torrent until the retry is known to have worked, so
    that people hear of one cause once, however often it is tried.
    """

    def __init__(self, parts: SessionParts) -> None:
        """Nothing has failed yet."""
        self._parts = parts
        self._troubles: dict[InfoHash, _Trouble] = {}
        self._refusing: dict[InfoHash, float] = {}

    def full_places(self) -> Iterator[str]:
        """Save paths whose disk is full."""
        for info_hash, trouble in self._troubles.items():
            spec = self._parts.roster.find(info_hash)
            if (
                spec is not None
                and trouble.code is FaultCode.DISK_FULL
                and trouble.well_since is None
            ):
                yield spec.save_path

    def failed(self, fact: FaultRaised) -> tuple[TorrentFact, ...]:
        """Take in what the engine could not write; says nothing new of what is known."""
        info_hash, fault = fact.info_hash, fact.fault
        spec = self._parts.roster.find(info_hash)
        if spec is None:
            return ()
        trouble = self._troubles.get(info_hash)
        if trouble is None or trouble.code is not fault.code:
            trouble = self._troubles[info_hash] = _Trouble(fault.code)
        is_known = trouble.well_since is None and trouble.tries > 0
        if trouble.tries:
            delay_s = min(FIRST_DELAY_S * 2 ** min(trouble.tries, 10), LONGEST_DELAY_S)
            trouble.due_at = self._parts.clock() + delay_s
        trouble.trying_since = trouble.well_since = None
        trouble.is_told_room = False
        return () if is_known else (FaultRaised(info_hash, self._shown(info_hash, fault)),)

    def cleared(self, info_hash: InfoHash) -> bool:
        """Whether the end of a fault is to be shown now, rather than when it is known to last."""
        trouble = self._troubles.get(info_hash)
        if trouble is not None and trouble.well_since is None:
            # Also without a try of ours: the engine may have looked a moment before it failed.
            if trouble.trying_since is None:
                trouble.trying_since = self._parts.clock()
            return False
        self.forget(info_hash)
        return True

    def forget(self, info_hash: InfoHash) -> None:
        """Somebody else looks after the torrent, or it is gone."""
        self._troubles.pop(info_hash, None)

    def adopt(self, info_hash: InfoHash, code: FaultCode) -> None:
        """Look after a fault that the board shows and nobody here has heard of."""
        if info_hash not in self._troubles:
            self._troubles[info_hash] = _Trouble(code)

    def refuse(self, torrents: Iterable[InfoHash]) -> None:
        """Have those that write nothing, for a reason that nobody heard, fail again or go on.

        The report may have died with a session actor, and libtorrent's own try comes after ten
        minutes, or never for a torrent that was forced to start.
        """
        now = self._parts.clock()
        due = {one: self._refusing.get(one, now + REFUSING_S) for one in torrents}
        for info_hash, due_at in due.items():
            if due_at > now or info_hash in self._troubles:
                continue
            due[info_hash] = now + LONGEST_DELAY_S
            with suppress(TorrentNotFoundError):
                if self._parts.engine.status(info_hash).in_upload_mode:
                    log.warning("torrent_writes_again", info_hash=info_hash)
                    self._parts.engine.retry_storage(info_hash)
        self._refusing = due

    def place_seen(self, seen: PlaceSeen) -> Iterator[TorrentFact]:
        """Try again what wanted room at this place, where there is enough now."""
        for info_hash, trouble in tuple(self._troubles.items()):
            spec = self._parts.roster.find(info_hash)
            if spec is None:
                self.forget(info_hash)
                continue
            if trouble.code is not FaultCode.DISK_FULL or spec.save_path != seen.path:
                continue
            record = self._parts.board.get(info_hash)
            if record is None or not self._is_waiting(trouble):
                continue
            needed = needed_bytes(record.status)
            if has_room(seen.free_bytes, needed):
                self._try(info_hash, trouble)
            elif not trouble.is_told_room and record.fault is not None:
                trouble.is_told_room = True
                fault = full_fault(seen.path, needed=needed, free_bytes=seen.free_bytes)
                yield FaultRaised(info_hash, fault)

    def writable(self, info_hash: InfoHash) -> None:
        """Nothing is in the way of a torrent's files any more, as far as can be seen."""
        trouble = self._troubles.get(info_hash)
        if trouble is not None and trouble.code is FaultCode.UNWRITABLE:
            self._try(info_hash, trouble)

    def in_the_way(self, record: TorrentRecord, obstacle: str) -> Iterator[TorrentFact]:
        """Name what a look found, where the engine said something else or nothing of use."""
        trouble = self._troubles.get(record.info_hash)
        if trouble is None or trouble.code is not FaultCode.UNWRITABLE or record.fault is None:
            return
        if obstacle.rpartition(": ")[2] not in record.fault.message:
            yield FaultRaised(record.info_hash, unwritable_fault(blocked_fault(obstacle)))

    def tick(self) -> Iterable[TorrentFact]:
        """Say which retries have held."""
        now = self._parts.clock()
        for info_hash, trouble in tuple(self._troubles.items()):
            if trouble.well_since is not None:
                if now - trouble.well_since >= REMEMBER_S:
                    self.forget(info_hash)
                continue
            if trouble.trying_since is None or now - trouble.trying_since < CONFIRM_S:
                continue
            trouble.trying_since = None
            try:
                report = self._parts.fresh(info_hash)  # what is finished is reported seldom
            except TorrentNotFoundError:
                self.forget(info_hash)
                continue
            if report.status.error or report.status.in_upload_mode:
                continue  # failed, and its report is on the way
            trouble.well_since = now
            log.info("storage_well_again", info_hash=info_hash, cause=trouble.code.value)
            yield report
            yield FaultCleared(info_hash)

    def _is_waiting(self, trouble: _Trouble) -> bool:
        is_idle = trouble.trying_since is None and trouble.well_since is None
        return is_idle and trouble.due_at <= self._parts.clock()

    def _try(self, info_hash: InfoHash, trouble: _Trouble) -> None:
        if not self._is_waiting(trouble):
            return
        trouble.tries += 1
        trouble.trying_since = self._parts.clock()
        try:
            self._parts.engine.retry_storage(info_hash)
        except TorrentNotFoundError:
            self.forget(info_hash)

    def _shown(self, info_hash: InfoHash, fault: Fault) -> Fault:
        if fault.code is not FaultCode.DISK_FULL:
            return unwritable_fault(fault)
        record = self._parts.board.get(info_hash)
        spec = self._parts.roster.get(info_hash)
        needed = 0 if record is None else needed_bytes(record.status)
        return full_fault(spec.save_path, needed=needed)
