"""Owns the engine: commands, resume store, completion, restore and adoption."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from actors import Address, AskTimeout, MailboxFull, MailboxOptions, Reply, ThreadActor, Unavailable
from revaer.domain import commands as cmd
from revaer.domain import events as ev
from revaer.domain import facts as f
from revaer.domain.errors import ConflictError, RevaerError, StoreDownError, UnavailableError
from revaer.domain.ids import InfoHash, Revision
from revaer.domain.paths import PathPolicy
from revaer.domain.torrent import FaultCode, TorrentState
from revaer.ports.board import Board
from revaer.ports.logs import logger
from revaer.ports.payload import PayloadFiles
from revaer.ports.resume_store import ResumeStore
from revaer.ports.torrents import TorrentCatalog
from revaer.runtime.board import ApplyFacts
from revaer.runtime.command_desk import CommandDesk
from revaer.runtime.component_health import ComponentHealth
from revaer.runtime.engine_holder import EngineHolder
from revaer.runtime.event_hub import Publish
from revaer.runtime.limits_watch import LimitsWatch
from revaer.runtime.listeners import NOBODY, Audience
from revaer.runtime.messages import (
    ApplySettings,
    EngineReported,
    Quiesce,
    Quiesced,
    Republish,
    StorageSeen,
    StoreSeen,
    Tick,
)
from revaer.runtime.network_watch import NetworkWatch
from revaer.runtime.report_desk import ReportDesk
from revaer.runtime.restoration import ghosts
from revaer.runtime.saver import Saver
from revaer.runtime.session_desk import SessionDesk
from revaer.runtime.session_parts import SessionParts, Watch
from revaer.runtime.share_limit_watch import ShareLimitWatch
from revaer.runtime.stats_watch import StatsWatch
from revaer.runtime.storage_watch import PERIOD_S, StorageWatch
from revaer.runtime.store_keeper import StoreKeeper

log = logger(__name__)

BOARD_PATH = "board"
EVENTS_PATH = "events"
STORAGE_PROBE_PATH = "engine.storage_probe"
BOARD_TIMEOUT_S = 5.0
FACTS_PER_MESSAGE = 500
TICK_S = 1.0
FILE_PROGRESS_PER_TICK = 20
"""Each costs a round trip to the engine's network thread: 10 us idle, 32 ms at worst."""
SAVE_INTERVAL_S = 300.0
LOOK_AGAIN_S = 5.0
"""How often a finished torrent whose files nobody has seen yet is looked at again."""
NEXT_LOOK_S = 30.0
LOOKS_AT_ONCE = 100
MAX_UNSHOWN = 10_000
"""Facts held while the board is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPorts:
    """What every generation of the session actor is given.

    Attributes:
        holder: keeps the engine across generations.
        store: the truth about which torrents exist.
        policy: where payload may lie.
        files: looks at payload files.
        board: read side of the read model.
        wall_clock: seconds since 1970.
        restore_only: load only these torrents; None for all of the store.
        storage_period_s: how often the disks are looked at.
        catalog: another record of all torrents, which a lost store is rebuilt from; None for none.
        stats_audience: whose totals and rates are published each second; `root_tree` sets it.
    """

    holder: EngineHolder
    store: ResumeStore
    policy: PathPolicy
    files: PayloadFiles
    board: Board
    wall_clock: Callable[[], float]
    restore_only: AbstractSet[InfoHash] | None = None
    storage_period_s: float = PERIOD_S
    catalog: TorrentCatalog | None = None
    stats_audience: Callable[[], Audience] = lambda: NOBODY


class SessionActor(ThreadActor):
    """One thread that talks to the engine; everything it knows can be rebuilt from the store."""

    mailbox: ClassVar[MailboxOptions] = MailboxOptions(capacity=10_000)
    expected_errors: ClassVar[tuple[type[Exception], ...]] = (RevaerError,)

    def __init__(self, ports: SessionPorts) -> None:
        """Nothing is opened before the actor starts."""
        super().__init__()
        self._ports = ports
        self._quiescing: Reply | None = None
        self._since_save_s = 0.0
        self._since_look_s = 0.0
        self._exports: dict[InfoHash, list[Reply]] = {}
        self._file_turn = 0
        self._unshown: list[f.TorrentFact] = []
        self._unstored: dict[tuple[type[f.Fact], InfoHash | None], f.Fact] = {}
        self._looked_at: dict[InfoHash, float] = {}

    def on_start(self) -> None:
        """Open or adopt the engine and bring it to what the store says."""
        self._board: Address = self.context.address_of(BOARD_PATH)
        self._events: Address = self.context.address_of(EVENTS_PATH)
        ports = self._ports
        lease = ports.holder.acquire()
        self._parts = SessionParts(
            engine=lease.engine,
            holder=ports.holder,
            store=ports.store,
            policy=ports.policy,
            files=ports.files,
            board=ports.board,
            wall_clock=ports.wall_clock,
            clock=self.context.clock,
            health=ComponentHealth(self._publish),
            publish=self._publish,
            saver=Saver(lease.engine, ports.store, self.context.clock),
            has_catalog=ports.catalog is not None,
        )
        self._reports = ReportDesk(self._parts)
        self._keeper = StoreKeeper(
            self._parts, self._reports, catalog=ports.catalog, only=ports.restore_only
        )
        self._commands = CommandDesk(self._parts)
        self._settings = SessionDesk(self._parts)
        self._network = NetworkWatch(self._parts)
        probe = self.context.address_of(STORAGE_PROBE_PATH)
        self._storage = StorageWatch(
            self._parts,
            probe.tell_or_drop,
            self._reports.finished,
            period_s=ports.storage_period_s,
        )
        self._watches: tuple[Watch, ...] = (
            self._network,
            LimitsWatch(self._parts),
            self._storage,
            self._reports.relocation,
            ShareLimitWatch(self._parts, self._commands.execute),
            StatsWatch(self._parts, ports.stats_audience),
        )
        facts = self._keeper.start(is_adopted=lease.is_adopted)
        ports.holder.confirm()
        self._show(facts)
        if self.context.generation > 1:  # whatever a predecessor said of these is out of date
            self._publish(
                *(
                    ev.HealthChanged(component, "ok", "")
                    for component in ("engine", "resume_store", "network", "limits", "storage")
                )
            )
        self._tell_health()
        self.every(TICK_S, Tick())
        log.info("session_ready", torrents=len(self._parts.roster), adopted=lease.is_adopted)

    def on_receive(self, message: Any) -> Any:
        """Commands are answered with their outcome, once the board shows it."""
        answer: Any = None
        match message:
            case EngineReported(facts):
                self._take(facts)
            case Tick():
                self._tick()
            case StorageSeen():
                self._storage_seen(message)
            case Quiesce():
                self._quiesce()
            case Republish():
                self._republish()
            case StoreSeen(trouble, seen_at):
                self._keeper.hear(trouble, seen_at)
                self._tell_health()
            case cmd.ExportTorrent():
                self._export(message)
            case _ if isinstance(message, cmd.TorrentCommand):
                answer = self._execute(message)
            case _ if isinstance(message, cmd.SessionCommand | ApplySettings):
                self._refuse_when_quiescing()
                answer = self._settings.apply(message)
            case _:
                self.unknown(message)
        return answer

    def _execute(self, command: cmd.TorrentCommand) -> cmd.CommandDone:
        self._refuse_when_quiescing()
        outcome = self._commands.execute(command)
        facts = (*outcome.facts, *self._storage.obeyed(command))
        done = cmd.CommandDone(outcome.info_hash, self._show(facts))
        record = self._ports.board.get(outcome.info_hash)
        if record is not None and record.status.is_finished and not record.is_verified:
            self._reports.finished(outcome.info_hash)  # no report of its end may come any more
        return done

    def _storage_seen(self, seen: StorageSeen) -> None:
        if self._quiescing is None:
            self._tell_board(self._storage.seen(seen))

    def _export(self, command: cmd.ExportTorrent) -> None:
        """Answered when the engine has written the torrent file."""
        self._refuse_when_quiescing()
        spec = self._parts.running(command.info_hash)
        self._parts.engine.export(spec.info_hash)
        self._exports.setdefault(spec.info_hash, []).append(self.defer_reply())

    def _answer_exports(self, fact: f.Fact) -> None:
        match fact:
            case f.TorrentExported(info_hash, data):
                for reply in self._exports.pop(info_hash, ()):
                    reply.set(data)
            case f.ResumeDataFailed(info_hash, reason) | f.TorrentGone(info_hash, _, reason):
                for reply in self._exports.pop(info_hash, ()):
                    reply.set_error(ConflictError(f"{info_hash} cannot be exported: {reason}"))
            case _:
                pass

    def _refuse_when_quiescing(self) -> None:
        if self._quiescing is not None:
            raise UnavailableError("Revaer is shutting down; ask again after its next start")

    def _take(self, facts: Iterable[f.Fact]) -> None:
        shown: list[f.TorrentFact] = []
        has_caught_up = False
        for fact in facts:
            if isinstance(fact, f.SessionFailed):
                self._session_failed(fact)
            if isinstance(fact, f.ListenSucceeded | f.ListenFailed):
                self._network.hear(fact)
            self._answer_exports(fact)
            if isinstance(fact, f.AlertsDropped):
                if has_caught_up:
                    continue
                has_caught_up = True
            shown.extend(self._act_on(fact))
        self._tell_board(shown)
        self._tell_health()
        self._answer_when_quiet()

    def _act_on(self, fact: f.Fact) -> tuple[f.TorrentFact, ...]:
        """One report that cannot be acted on costs none of the others."""
        try:
            if isinstance(fact, f.FaultRaised | f.FaultCleared):
                return self._storage.hear(fact)
            if isinstance(fact, f.ResumeRejected):
                self._storage.hear(fact)
            return self._reports.take(fact)
        except StoreDownError as error:
            self._parts.saver.trouble = str(error)
            self._unstored[type(fact), getattr(fact, "info_hash", None)] = fact
        except RevaerError as error:
            log.warning("report_not_acted_on", report=type(fact).__name__, cause=str(error))
        return ()

    def _tell_board(self, facts: Iterable[f.TorrentFact]) -> None:
        """What the board does not take now goes first the next time."""
        self._unshown.extend(facts)
        told = 0
        # Told before it is cut: a start with thousands of seeds has more to say than may be held.
        while told < len(self._unshown):
            batch = tuple(self._unshown[told : told + FACTS_PER_MESSAGE])
            if not self._board.tell_or_drop(ApplyFacts(batch)):
                break
            told += len(batch)
        del self._unshown[:told]
        del self._unshown[:-MAX_UNSHOWN]

    def _session_failed(self, fact: f.SessionFailed) -> None:
        """A session that cannot go on is replaced by way of a crash, seen by everybody."""
        self._ports.holder.condemn()
        self._publish(
            ev.HealthChanged("engine", "failing", fact.reason),
            *(
                ev.TorrentFailed(spec.info_hash, FaultCode.ENGINE, fact.reason)
                for spec in self._parts.roster
            ),
        )
        raise EngineSessionFailedError(fact.reason)

    def _tick(self) -> None:
        saver = self._parts.saver
        self._since_save_s += TICK_S
        if self._since_save_s >= SAVE_INTERVAL_S:
            self._since_save_s = 0.0
            saver.queue(
                record.info_hash
                for record in self._ports.board.records()
                if record.status.needs_save
            )
        self._since_look_s += TICK_S
        if self._since_look_s >= LOOK_AGAIN_S:
            self._since_look_s = 0.0
            self._look_again()
        self._keep_store()
        saver.tick()
        self._take_unstored()
        self._report_files()
        self._tell_health()
        self._watch()

    def _keep_store(self) -> None:
        """A store that came back may bring thousands of torrents: too many to hold unshown."""
        facts = self._keeper.tick()
        if facts:
            with suppress(BoardAwayError):  # it asks for everything again when it is back
                self._show(facts)

    def _take_unstored(self) -> None:
        """Act again on what the store could not take; a round without trouble ends the trouble."""
        if not self._unstored:
            return
        unstored = tuple(self._unstored.values())
        self._unstored.clear()
        self._take(unstored)
        if not self._unstored:
            self._parts.saver.trouble = ""

    def _watch(self) -> None:
        """One watch that cannot do its work keeps none of the others from theirs."""
        if self._quiescing is not None:
            return
        for watch in self._watches:
            try:
                self._tell_board(watch.tick())
            except RevaerError as error:
                log.warning("watch_failed", watch=type(watch).__name__, cause=str(error))

    def _look_again(self) -> None:
        """Whatever report was lost: no finished torrent stays unverified, no magnet unjudged."""
        now = self.context.clock()
        engine = self._parts.engine
        open_ones: dict[InfoHash, float] = {}
        looked = 0
        for record in self._ports.board.records():
            info_hash = record.info_hash
            if record.fault is not None or not (
                record.metainfo is None or (record.status.is_finished and not record.is_verified)
            ):
                continue
            # The first look waits, too: most often the report is on its way.
            due_at = open_ones[info_hash] = self._looked_at.get(info_hash, now + LOOK_AGAIN_S / 2)
            if due_at > now or looked >= LOOKS_AT_ONCE or not engine.knows(info_hash):
                continue
            looked += 1
            open_ones[info_hash] = now + NEXT_LOOK_S
            if record.metainfo is not None:
                self._reports.finished(info_hash)
                continue
            metainfo = engine.metainfo(info_hash)
            if metainfo is not None:
                self._take((f.MetadataReceived(info_hash, metainfo),))
        self._looked_at = open_ones

    def _report_files(self) -> None:
        """File progress of what is downloading, in turns."""
        records = self._ports.board.records()
        active = [
            record
            for record in records
            if record.state is TorrentState.DOWNLOADING and record.metainfo is not None
        ]
        turn = self._file_turn % max(len(active), 1)
        facts: list[f.TorrentFact] = []
        for record in (active[turn:] + active[:turn])[:FILE_PROGRESS_PER_TICK]:
            if self._parts.engine.knows(record.info_hash):
                done = self._parts.engine.file_progress(record.info_hash)
                facts.append(f.FilesProgressed(record.info_hash, done))
        self._file_turn = turn + FILE_PROGRESS_PER_TICK
        self._tell_board(facts)

    def _tell_health(self) -> None:
        trouble = self._keeper.trouble or self._parts.saver.trouble
        self._parts.health.set("resume_store", trouble)

    def _publish(self, *events: ev.Event) -> None:
        revision = self._ports.board.revision
        self._events.tell_or_drop(Publish(tuple((event, revision) for event in events)))

    def _quiesce(self) -> None:
        """Answered when the last blob is stored; the pump keeps running until then."""
        if self._quiescing is None:
            self._quiescing = self.defer_reply()
            parts = self._parts
            parts.engine.quiesce()
            parts.saver.saved = 0
            self._keeper.write_all()
            parts.saver.queue(
                spec.info_hash for spec in parts.roster if self._is_worth_saving(spec.info_hash)
            )
            parts.saver.request_all_waiting()
        self._answer_when_quiet()

    def _is_worth_saving(self, info_hash: InfoHash) -> bool:
        record = self._ports.board.get(info_hash)
        if record is None or record.status.needs_save:
            return True
        return not (record.is_verified or record.status.is_paused)

    def _answer_when_quiet(self) -> None:
        saver = self._parts.saver
        if self._quiescing is not None and saver.is_idle:
            self._quiescing.set(Quiesced(saver.saved, saver.unsaved + self._left_unstored))

    @property
    def _left_unstored(self) -> int:
        return len(self._unstored) + self._keeper.unwritten

    def _republish(self) -> None:
        engine = self._parts.engine
        facts: list[f.TorrentFact] = []
        for spec in self._parts.roster:
            metainfo = engine.metainfo(spec.info_hash) if engine.knows(spec.info_hash) else None
            facts.append(f.TorrentKnown(spec.info_hash, spec, metainfo, f.Origin.ADOPTED))
        facts.extend(ghosts(self._parts))
        self._show(facts)
        self._tell_board(self._reports.catch_up())

    def _show(self, facts: Iterable[f.TorrentFact]) -> Revision:
        """Let the board take facts in, and say which revision shows them."""
        waiting = [*self._unshown, *facts]  # what was not taken before is older
        self._unshown.clear()
        revision = self._ports.board.revision
        try:
            while waiting:
                batch = tuple(waiting[:FACTS_PER_MESSAGE])
                revision = self._board.ask(ApplyFacts(batch), timeout_s=BOARD_TIMEOUT_S)
                del waiting[:FACTS_PER_MESSAGE]
        except (Unavailable, AskTimeout, MailboxFull) as error:
            self._unshown = waiting[-MAX_UNSHOWN:]
            raise BoardAwayError(
                "the change took effect, but the board that shows it is being restarted; it will "
                "show within seconds"
            ) from error
        return revision


class BoardAwayError(UnavailableError):
    """The read model did not answer in time."""

    code = "board-away"


class EngineSessionFailedError(Exception):
    """Crashes the session actor on purpose: its engine has to be rebuilt."""
