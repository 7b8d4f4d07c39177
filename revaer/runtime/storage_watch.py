"""Holds torrents whose storage is away, and brings them back when it is well again.

The looks themselves are the storage probe's, in a thread of its own: a disk that does not answer
must not stop the session. Every few seconds the probe is asked about each save path, about the
files of the torrents in trouble, and about those of a few complete ones in turn.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from revaer.domain.commands import (
    RecheckTorrent,
    ResumeTorrent,
    SetForceStart,
    TorrentCommand,
)
from revaer.domain.errors import TorrentNotFoundError
from revaer.domain.facts import (
    Fact,
    FaultCleared,
    FaultRaised,
    ResumeRejected,
    TorrentFact,
)
from revaer.domain.ids import NEVER, InfoHash
from revaer.domain.storage import (
    HELD_FAULTS,
    Absence,
    FilesSeen,
    PlaceKind,
    PlaceSeen,
    absence,
    absent_fault,
    blocked_fault,
    missing_fault,
)
from revaer.domain.torrent import (
    Activity,
    Fault,
    FaultCode,
    StopReason,
    TorrentRecord,
    TorrentSpec,
)
from revaer.ports.logs import logger
from revaer.runtime.holds import Hold
from revaer.runtime.messages import ProbeStorage, StorageSeen
from revaer.runtime.session_parts import SessionParts
from revaer.runtime.storage_retries import RETRIED, StorageRetries
from revaer.runtime.storage_rounds import Round, StorageRounds, has_data, is_on_the_move

log = logger(__name__)

COMPONENT = "storage"
PERIOD_S = 3.0
SLOW_AFTER_S = 2.0
"""A place that has not answered for this long is not looked at by the session itself."""

SILENT_AFTER_S = 15.0
ASK_AGAIN_S = 60.0
"""A probe that died took its question along; one that hangs takes only the newest."""

DOUBT_S = 10.0
"""How long the engine may take to read resume data before it is asked."""

SHOWN_CAUSES = 3


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A place with payload in it: on which device, and whose."""

    device: int
    owners: frozenset[InfoHash]


class StorageWatch:
    """Decides from what the probe saw; everything it knows can be seen anew."""

    def __init__(
        self,
        parts: SessionParts,
        ask: Callable[[ProbeStorage], bool],
        finished: Callable[[InfoHash], None],
        *,
        period_s: float = PERIOD_S,
    ) -> None:
        """Share the session's parts.

        Args:
            parts: the session's parts.
            ask: gives a round of questions to the probe; False while there is none.
            finished: has a torrent with all of its files back looked at as a new completion.
            period_s: from one round of questions to the next; not below the session's own second.
        """
        self._parts = parts
        self._ask = ask
        self._finished = finished
        self._period_s = period_s
        self._retries = StorageRetries(parts)
        self._rounds = StorageRounds(parts.board, parts.roster, parts.holds)
        self._round = Round(number=0, asked_at=float("-inf"), is_done=True)
        self._is_due = True
        self._has_looked = False
        self._there: dict[str, _Sighting] = {}
        self._away: dict[str, Absence] = {}
        self._devices: dict[str, int] = {}

    # --- what the session tells

    def tick(self) -> tuple[TorrentFact, ...]:
        """Settle doubts and retries, and ask the probe when its time has come."""
        facts = [*self._settle_doubts(), *self._retries.tick()]
        now = self._parts.clock()
        age_s = now - self._round.asked_at
        if self._round.is_done:
            if self._is_due or age_s >= self._period_s:
                facts.extend(self._begin_round(now))
        elif age_s >= ASK_AGAIN_S:
            self._round.asked_at += ASK_AGAIN_S - SILENT_AFTER_S  # it stays silent for the health
            self._ask(self._round.message)
        self._note_silence(now)
        if self._has_looked or self._is_silent():
            self._tell_health()
        return tuple(facts)

    def seen(self, news: StorageSeen) -> tuple[TorrentFact, ...]:
        """Act on what the probe found."""
        if news.number != self._round.number:
            return ()
        facts: list[TorrentFact] = []
        for place in news.places:
            self._round.waiting.pop(place.path, None)
            facts.extend(self._place(place))
        for look in news.files:
            facts.extend(self._files(look))
        if news.is_last:
            self._round.waiting.clear()
            self._round.is_done = self._has_looked = True
            self._tell_health()  # not before: what one look holds, the next may let go
        return tuple(facts)

    def hear(self, fact: Fact) -> tuple[TorrentFact, ...]:
        """Say what the board is to show of a fault that the engine reported or took back."""
        holds = self._parts.holds
        match fact:
            case FaultRaised(info_hash, fault):
                if info_hash in holds:
                    return ()  # it is stopped, and its cause is known
                fault = self._as_it_is(info_hash, fault)
                fact = FaultRaised(info_hash, fault)
                if fault.code in RETRIED:
                    self._is_due = True
                    return self._retries.failed(fact)
                if fault.code in HELD_FAULTS:
                    self._is_due = True
                return (fact,)
            case FaultCleared(info_hash):
                if info_hash in holds or not self._retries.cleared(info_hash):
                    return ()
                return (fact,)
            case ResumeRejected(info_hash):
                hold = holds.find(info_hash)
                if hold is not None:
                    hold.must_check = True
            case _:
                pass
        return ()

    def _as_it_is(self, info_hash: InfoHash, fault: Fault) -> Fault:
        """A file that nobody has seen yet is not missing: it could not be made.

        Of a block that could not be written libtorrent may say that its file is not there, when it
        wants to read it back for the hash before the failure is told.
        """
        record = self._parts.board.get(info_hash)
        if fault.code is not FaultCode.MISSING_FILES or record is None:
            return fault
        sighting = self._there.get(record.spec.save_path)
        if self._has_looked:
            was_seen = sighting is not None and info_hash in sighting.owners
        else:
            was_seen = has_data(record)
        if was_seen or record.spec.completed_at != NEVER:
            return fault
        return blocked_fault(f"the files of {record.spec.name} cannot be made")

    def obeyed(self, command: TorrentCommand) -> tuple[TorrentFact, ...]:
        """Follow a command that was carried out: a recheck ends a hold, a resume does not."""
        if not isinstance(command, RecheckTorrent | ResumeTorrent | SetForceStart):
            return ()
        spec = self._parts.roster.find(command.info_hash)
        if spec is None:
            return ()
        hold = self._parts.holds.find(spec.info_hash)
        if hold is None:
            if not isinstance(command, SetForceStart) or command.force_start:
                self._retries.forget(spec.info_hash)  # it was told to try now
            return ()
        if not isinstance(command, RecheckTorrent):
            self._parts.engine.pause(spec.info_hash)
            return () if hold.is_doubt else (FaultRaised(spec.info_hash, hold.fault),)
        self._parts.holds.drop(spec.info_hash)
        self._disown(spec)
        if spec.stop_reason is StopReason.NONE:
            self._parts.engine.resume(spec.info_hash, forced=spec.force_start)
        return ()

    # --- asking

    def _begin_round(self, now: float) -> Iterator[TorrentFact]:
        roster, holds = self._parts.roster, self._parts.holds
        for info_hash, _ in holds:
            if roster.find(info_hash) is None:
                holds.drop(info_hash)
        self._round = plan = self._rounds.plan(now)
        for path in tuple(self._there):
            if path not in plan.by_place:
                del self._there[path]
        for path in self._devices.keys() - plan.by_place.keys():
            del self._devices[path]
        for record in plan.troubled:
            hold = holds.find(record.info_hash)
            if hold is not None:
                yield from self._keep_held(record, hold)
            elif record.fault is not None and record.fault.code in HELD_FAULTS:
                yield from self._hold(record, record.fault)
            elif record.fault is not None:
                self._retries.adopt(record.info_hash, record.fault.code)
        self._retries.refuse(plan.refusing)
        plan.is_done = not self._ask(plan.message)
        self._is_due = False

    def _note_silence(self, now: float) -> None:
        """Name the place that is waited for, and those that lie on its disk.

        The others that wait have not been asked yet.
        """
        silent = self._parts.silent_places
        silent.clear()
        waiting = next(iter(self._round.waiting), None)
        is_slow = not self._round.is_done and now - self._round.asked_at >= SLOW_AFTER_S
        if waiting is None or not is_slow:
            return
        silent.add(waiting)
        device = self._devices.get(waiting)
        if device is not None:
            silent.update(path for path, its_own in self._devices.items() if its_own == device)

    # --- deciding about places

    def _place(self, seen: PlaceSeen) -> Iterator[TorrentFact]:
        if seen.device:
            self._devices[seen.path] = seen.device
        sighting = self._there.get(seen.path)
        owners = frozenset(self._round.by_place.get(seen.path, ()))
        owners &= frozenset() if sighting is None else sighting.owners
        device = sighting.device if sighting is not None and owners else None
        away = absence(seen, device_before=device)
        hit = self._hit(seen.path, away, owners)
        if away is not None and (hit or seen.path in self._round.held):
            self._away[seen.path] = away
            for record in hit:
                yield from self._hold(record, absent_fault(seen.path, away.reason))
            return
        if away is None:
            self._away.pop(seen.path, None)
            if seen.kind is PlaceKind.THERE and not seen.is_empty:
                owners = self._round.owners.get(seen.path, frozenset())
                owners |= self._being_checked(sighting)
                self._there[seen.path] = _Sighting(seen.device, owners)
        yield from self._release_empty_handed(seen)
        yield from self._retries.place_seen(seen)

    def _hit(
        self, path: str, away: Absence | None, owners: frozenset[InfoHash]
    ) -> list[TorrentRecord]:
        """Whom an absence concerns.

        Another device concerns everybody: nothing may be written there. A directory that is missing
        or empty concerns those that had data in it: others may just be beginning.
        """
        if away is None:
            return []
        hit: list[TorrentRecord] = []
        for info_hash in self._round.by_place.get(path, ()):
            record = self._parts.board.get(info_hash)
            if record is None or record.spec.save_path != path or is_on_the_move(record):
                continue
            was_there = info_hash in owners or record.is_verified
            if (
                away.is_another_device
                or (has_data(record) and was_there)
                or (info_hash in owners and _is_being_checked(record))
            ):
                hit.append(record)
        return hit

    def _being_checked(self, sighting: _Sighting | None) -> frozenset[InfoHash]:
        """Those that had data in a place until their check began: it is not known to be gone."""
        owners = frozenset() if sighting is None else sighting.owners
        records = (self._parts.board.get(info_hash) for info_hash in owners)
        return frozenset(
            record.info_hash
            for record in records
            if record is not None and _is_being_checked(record)
        )

    def _release_empty_handed(self, seen: PlaceSeen) -> Iterator[TorrentFact]:
        """Those without data have no files to look for: the place is all that they wait for."""
        if seen.kind is not PlaceKind.THERE or seen.path in self._away:
            return
        for info_hash, hold in self._parts.holds:
            record = self._parts.board.get(info_hash)
            if (
                hold.fault.code is FaultCode.STORAGE_ABSENT
                and not hold.is_doubt
                and record is not None
                and record.spec.save_path == seen.path
                and record.status.done_bytes == 0
                and not hold.must_check
            ):
                yield from self._release(record, hold)

    # --- deciding about files

    def _files(self, look: FilesSeen) -> Iterator[TorrentFact]:
        info_hash = look.asked.info_hash
        record = self._parts.board.get(info_hash)
        if record is None or record.spec is not self._round.specs.get(info_hash):
            return  # it was changed meanwhile: what was looked at is not what it has now
        if self._parts.roster.find(info_hash) is None or is_on_the_move(record):
            return
        hold = self._parts.holds.find(info_hash)
        if hold is not None:
            if not hold.is_doubt:
                yield from self._held_files(record, hold, look)
        elif record.fault is not None:
            if look.asked.for_writing and look.obstacle:
                yield from self._retries.in_the_way(record, look.obstacle)
            elif look.asked.for_writing:
                self._retries.writable(info_hash)
        elif record.is_verified and look.missing:
            away = self._away.get(look.asked.save_path)
            if away is None:
                yield from self._hold(record, missing_fault(look.asked.save_path, look.missing))

    def _held_files(
        self, record: TorrentRecord, hold: Hold, look: FilesSeen
    ) -> Iterator[TorrentFact]:
        is_back = not look.missing if record.status.is_finished else look.has_any
        path = look.asked.save_path
        if is_back:
            away = self._away.get(path)
            if away is not None and away.is_another_device:
                # The same files on another device number: the disk was mounted again.
                del self._there[path]
                del self._away[path]
            hold.must_check = hold.must_check or hold.fault.code is FaultCode.MISSING_FILES
            yield from self._release(record, hold)
        elif path in self._away or not record.status.is_finished:
            return
        elif hold.fault.code is FaultCode.STORAGE_ABSENT and self._is_in_use(path):
            # The place is there, and others use it: the files are what is missing.
            hold.fault = missing_fault(path, look.missing)
            yield FaultRaised(record.info_hash, hold.fault)

    def _is_in_use(self, path: str) -> bool:
        """Whether a place was seen with something in it in this round."""
        return path in self._there and path not in self._round.waiting

    # --- holding and letting go

    def _hold(self, record: TorrentRecord, fault: Fault) -> Iterator[TorrentFact]:
        info_hash = record.info_hash
        hold = self._parts.holds.find(info_hash)
        if hold is not None:
            if not hold.is_doubt and hold.fault.code is not fault.code:
                hold.fault = fault
                yield FaultRaised(info_hash, fault)
            return
        try:
            self._parts.engine.pause(info_hash)
        except TorrentNotFoundError:
            return
        self._retries.forget(info_hash)
        hold = Hold(
            fault=fault,
            must_check=_is_being_checked(record),  # what it has looked at it took for missing
            since=self._parts.clock(),
        )
        self._parts.holds.put(info_hash, hold)
        log.warning(
            "torrent_held", info_hash=info_hash, cause=fault.code.value, message=fault.message
        )
        yield FaultRaised(info_hash, fault)

    def _keep_held(self, record: TorrentRecord, hold: Hold) -> Iterator[TorrentFact]:
        """Undo what other commands may have done to a torrent that is to stand still."""
        if hold.is_doubt:
            return
        if not record.status.is_paused and self._parts.engine.knows(record.info_hash):
            self._parts.engine.pause(record.info_hash)
        if record.fault is None or record.fault.code is not hold.fault.code:
            yield FaultRaised(record.info_hash, hold.fault)

    def _release(self, record: TorrentRecord, hold: Hold) -> Iterator[TorrentFact]:
        """Let a torrent go on with what it had; hash it only where nothing vouches for it."""
        info_hash = record.info_hash
        engine = self._parts.engine
        self._parts.holds.drop(info_hash)
        spec = self._parts.roster.find(info_hash)
        if spec is None:
            return
        try:
            if spec.stop_reason is StopReason.NONE:
                engine.resume(info_hash, forced=spec.force_start)
            if hold.must_check:
                engine.recheck(info_hash)
        except TorrentNotFoundError:
            return
        log.info("torrent_let_go", info_hash=info_hash, is_checked=hold.must_check)
        yield FaultCleared(info_hash)
        if record.status.is_finished and not record.is_verified and not hold.must_check:
            self._finished(info_hash)

    def _settle_doubts(self) -> Iterator[TorrentFact]:
        """Say of what came held whether it had data: the engine has read its resume data now."""
        for info_hash, hold in self._parts.holds:
            if not hold.is_doubt:
                continue
            record = self._parts.board.get(info_hash)
            if record is None or not self._parts.engine.knows(info_hash):
                continue
            status = record.status
            if status.activity is Activity.CHECKING_RESUME:
                if self._parts.clock() - hold.since < DOUBT_S:
                    continue
                status = self._parts.engine.status(info_hash)
            if hold.fault.code is FaultCode.STORAGE_ABSENT:
                is_true = status.done_bytes > 0
            else:
                is_true = status.is_finished
                hold.must_check = hold.must_check or not is_true  # its resume data is out of date
            hold.is_doubt = False
            if is_true:
                yield FaultRaised(info_hash, hold.fault)
            else:
                yield from self._release(record, hold)

    def _disown(self, spec: TorrentSpec) -> None:
        """Somebody wants the torrent anew in this place, whatever was there before."""
        sighting = self._there.get(spec.save_path)
        if sighting is None:
            return
        away = self._away.get(spec.save_path)
        if away is not None and away.is_another_device:
            del self._there[spec.save_path]
            del self._away[spec.save_path]
        else:
            owners = sighting.owners - {spec.info_hash}
            self._there[spec.save_path] = _Sighting(sighting.device, owners)

    # --- health

    def _tell_health(self) -> None:
        causes: set[str] = set()
        for info_hash, hold in self._parts.holds:
            if hold.fault.code is FaultCode.STORAGE_ABSENT and not hold.is_doubt:
                spec = self._parts.roster.find(info_hash)
                if spec is not None:
                    away = self._away.get(spec.save_path)
                    causes.add(f"{spec.save_path} {away.reason if away else 'is not back yet'}")
        causes.update(f"the disk of {path} is full" for path in self._retries.full_places())
        if self._is_silent() and self._round.waiting:
            causes.add(f"{next(iter(self._round.waiting))} does not answer")
        shown = sorted(causes)[:SHOWN_CAUSES]
        if len(causes) > SHOWN_CAUSES:
            shown.append(f"{len(causes) - SHOWN_CAUSES} more")
        self._parts.health.set(COMPONENT, "; ".join(shown))

    def _is_silent(self) -> bool:
        age_s = self._parts.clock() - self._round.asked_at
        return not self._round.is_done and age_s >= SILENT_AFTER_S


def _is_being_checked(record: TorrentRecord) -> bool:
    return record.status.activity is Activity.CHECKING
