"""The engine without a database or a server: what `revaer download` runs on."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog

from actors import (
    ActorSystem,
    AskTimeout,
    ExitReason,
    MailboxFull,
    ShutdownPhase,
    ShutdownReport,
    StartFailed,
    Unavailable,
)
from revaer.adapters.environment import read_boot_id
from revaer.adapters.filesystem.payload import LocalPayload
from revaer.adapters.filesystem.resume_store import FilesystemResumeStore
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.adapters.libtorrent.metainfo import describe
from revaer.adapters.libtorrent.startup import check_libtorrent
from revaer.domain.commands import (
    AddTorrent,
    ConnectPeers,
    RecheckTorrent,
    ResumeTorrent,
    SelectFiles,
    SetSequential,
)
from revaer.domain.errors import (
    ConflictError,
    EngineDownError,
    InvalidInputError,
    InvalidTorrentError,
    PathRefusedError,
    RevaerError,
    StoreDownError,
)
from revaer.domain.ids import NEVER, UNLIMITED, BytesPerSecond, InfoHash, Revision
from revaer.domain.paths import PathPolicy
from revaer.domain.selection import SelectionRules, priorities_for
from revaer.domain.torrent import (
    Activity,
    FaultCode,
    MagnetSource,
    TorrentDescription,
    TorrentRecord,
    TorrentSource,
)
from revaer.ports.board import Board
from revaer.ports.engine import EngineSettings
from revaer.ports.event_feed import EventFeed
from revaer.ports.gateway import Gateway
from revaer.ports.projection import Projection
from revaer.runtime.actor_events import ActorEvents
from revaer.runtime.board_table import BoardTable
from revaer.runtime.engine_holder import EngineHolder
from revaer.runtime.event_hub import HubFeed
from revaer.runtime.event_ring import EventRing
from revaer.runtime.gateway import ActorGateway
from revaer.runtime.messages import Quiesce
from revaer.runtime.session import SessionPorts
from revaer.runtime.tree import POOL_WORKERS, EnginePolicies, EnginePorts, root_tree

log = structlog.get_logger(__name__)

STATE_DIR = ".revaer"
START_TIMEOUT_S = 180.0
LISTEN_TIMEOUT_S = 2.0
QUIESCE_BUDGET_S = 5.0
SHUTDOWN_BUDGET_S = 9.0
COMMAND_S = 30.0
SETTLE_S = 10.0
"""How long the look at the files of a complete torrent may take before it is taken as it says."""
_AT_WORK = frozenset({Activity.DOWNLOADING, Activity.CHECKING, Activity.FETCHING_METADATA})
ANY_PORT = ("0.0.0.0:0", "[::]:0")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadOptions:
    """What the command line asked for, already parsed.

    Attributes:
        output: directory of the payload; the state lies in its `.revaer`.
        listen: `host:port` to accept peers on; empty for any address and a port of the system's.
        interface: device or address for all traffic; empty for any.
        enable_dht: find peers without a tracker.
        enable_utp: use uTP beside TCP; a peer that takes TCP alone is reached 3 s later then.
        download_limit: bytes per second, 0 unlimited.
        upload_limit: bytes per second, 0 unlimited.
        selection: which files; empty for all (or for what was chosen before).
        peers: `(IP address, port)` to connect to at once.
    """

    output: str
    listen: str = ""
    interface: str = ""
    enable_dht: bool = True
    enable_utp: bool = True
    download_limit: BytesPerSecond = UNLIMITED
    upload_limit: BytesPerSecond = UNLIMITED
    sequential: bool = False
    selection: SelectionRules = field(default_factory=SelectionRules)
    peers: tuple[tuple[str, int], ...] = ()
    policies: EnginePolicies = field(default_factory=EnginePolicies)


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A source and how the user named it, for messages."""

    label: str
    source: TorrentSource


class DownloadRun:
    """One run of the download command: open, start, watch the feed and the board, stop.

    Everything that can be wrong with the input is found by the constructor, before the network is
    touched or a file is written outside the state directory.
    """

    _gateway: Gateway

    def __init__(
        self,
        options: DownloadOptions,
        sources: Sequence[NamedSource],
        projections: Sequence[Projection] = (),
    ) -> None:
        """Judge the sources, lock the output directory, and build the tree.

        Raises:
            InvalidInputError: a source, path or selection that cannot be used, which is named.
            StoreLockedError: another process downloads into this directory.
            StoreDownError: the directory cannot be written.
            EngineUnsupportedError: the installed libtorrent lacks what is needed.
        """
        check_libtorrent()
        self._options = options
        output = os.path.realpath(options.output)
        self._policy = PathPolicy(roots=(output,), default=output, knob="-o")
        self._policy.resolve(None)
        self._sources = self._judge(sources)
        _make_directory(output)
        self._store = FilesystemResumeStore(
            Path(output) / STATE_DIR / "resume",
            boot_id=read_boot_id(),
            default_save_path=output,
        )
        self.wanted: tuple[InfoHash, ...] = tuple(self._sources)
        self._settle_here()
        self.resumed: frozenset[InfoHash] = frozenset(self._store.known()) & set(self.wanted)
        self._table = BoardTable(projections, first_revision=Revision(int(time.time() * 1e6)))
        self._feed = HubFeed(EventRing(wall_clock=time.time))
        self._holder = EngineHolder(LibtorrentEngine, _settings(options))
        watch = ActorEvents()
        self._system = ActorSystem(
            root_tree(
                table=self._table,
                feed=self._feed,
                engine=EnginePorts(
                    session=SessionPorts(
                        holder=self._holder,
                        store=self._store,
                        policy=self._policy,
                        files=LocalPayload(),
                        board=self._table,
                        wall_clock=time.time,
                        restore_only=frozenset(self.wanted),
                    ),
                    policies=options.policies,
                ),
            ),
            shutdown_phases=(ShutdownPhase("quiesce", QUIESCE_BUDGET_S, self._quiesce),),
            shutdown_budget_s=SHUTDOWN_BUDGET_S,
            observer=watch,
            workers=POOL_WORKERS,
        )
        watch.attach(self._system)
        self._gateway = ActorGateway(self._system)
        self.is_saved = True
        """False once `stop` had to end without an answer from the store."""

    @property
    def board(self) -> Board:
        """Every torrent of this run."""
        return self._table

    @property
    def feed(self) -> EventFeed:
        """What happens, live."""
        return self._feed

    def description(self, info_hash: InfoHash) -> TorrentDescription:
        """What the source said of a torrent."""
        return self._sources[info_hash][1]

    def start(self) -> None:
        """Start the actors, add what is new, and let what was stopped go on.

        Raises:
            RevaerError: the engine could not be started or a torrent could not be added.
        """
        try:
            self._system.start(timeout_s=START_TIMEOUT_S)
        except StartFailed as error:
            raise _start_error(error) from error
        self._check_listening()
        for info_hash, (named, _) in self._sources.items():
            record = self._table.get(info_hash)
            if record is None:  # new, or its stored state was beyond use
                self._add(named)
            else:
                self._continue(record)

    def stop(self) -> ShutdownReport:
        """Save everything, stop the actors, close the engine and the store; idempotent."""
        report = self._system.stop("the command ends")
        self._holder.close()
        try:
            self._store.close(clean=True)
        except StoreDownError:
            self.is_saved = False  # a full disk: the next start finds an unclean end
        self._feed.close()
        return report

    def broken(self) -> ExitReason | None:
        """Why the tree as a whole ended by itself, or None while it stands."""
        return self._system.wait(timeout_s=0.0)

    def health(self) -> dict[str, Any]:
        """The actors as a report."""
        return self._system.health()

    def _judge(
        self, sources: Sequence[NamedSource]
    ) -> dict[InfoHash, tuple[NamedSource, TorrentDescription]]:
        judged: dict[InfoHash, tuple[NamedSource, TorrentDescription]] = {}
        for named in sources:
            try:
                description = describe(named.source)
                if description.metainfo is not None:
                    files = description.metainfo.files
                    self._policy.check_files(self._policy.default, files)
                    if not self._options.selection.is_empty:
                        priorities_for(self._options.selection, files)
            except InvalidTorrentError as error:
                is_magnet = isinstance(named.source, MagnetSource)
                remedy = "copy the whole link" if is_magnet else "get the torrent file again"
                raise InvalidTorrentError(f"{named.label}: {error}; {remedy}") from error
            except InvalidInputError as error:
                raise type(error)(f"{named.label}: {error}") from error
            twin = _twin(judged, description)
            if twin is not None:
                raise InvalidInputError(
                    f"{named.label} is the same torrent as {twin.label}; name it once"
                )
            judged[description.info_hash] = (named, description)
        return judged

    def _check_listening(self) -> None:
        """A device that does not exist leaves libtorrent deaf without a word."""
        options = self._options
        if not (options.listen or options.interface):
            return
        deadline = time.monotonic() + LISTEN_TIMEOUT_S
        subscription = self._feed.subscribe(("health.*",))
        try:
            while not self._holder.current().listen_ports():
                if time.monotonic() >= deadline:
                    where = options.listen or options.interface
                    raise InvalidInputError(
                        f"cannot accept peers on {where}: the address, device or port is not there "
                        "or in use; choose another with --listen or --interface"
                    )
                subscription.next(0.1)
        finally:
            subscription.close()

    def _add(self, named: NamedSource) -> None:
        options = self._options
        self._gateway.execute(
            AddTorrent(
                source=named.source,
                selection=options.selection,
                sequential=options.sequential,
                peers=options.peers,
            ),
            timeout_s=COMMAND_S,
        )

    def _continue(self, record: TorrentRecord) -> None:
        """The same command again: go on, with the files and peers that it names now."""
        options = self._options
        info_hash = record.info_hash
        asked = options.selection
        if self._must_choose(record):
            self._gateway.execute(SelectFiles(info_hash, selection=asked), timeout_s=COMMAND_S)
        if options.sequential != record.spec.sequential:
            self._gateway.execute(SetSequential(info_hash, options.sequential), timeout_s=COMMAND_S)
        try:
            if self._lost_files(info_hash):
                self._gateway.execute(RecheckTorrent(info_hash), timeout_s=COMMAND_S)
            self._gateway.execute(ResumeTorrent(info_hash), timeout_s=COMMAND_S)
        except (InvalidInputError, ConflictError):
            return  # refused again, or could not be loaded: the board says so, the others go on
        if options.peers:
            self._gateway.execute(ConnectPeers(info_hash, options.peers), timeout_s=COMMAND_S)

    def _must_choose(self, record: TorrentRecord) -> bool:
        """Whether to choose anew: other rules, or none where the old ones left nothing."""
        asked = self._options.selection
        if asked.is_empty:
            fault = record.fault
            return fault is not None and fault.code is FaultCode.NOTHING_SELECTED
        return asked != record.spec.selection

    def _lost_files(self, info_hash: InfoHash) -> bool:
        """Whether a torrent that was complete misses files now; known once they were looked at."""
        deadline = time.monotonic() + SETTLE_S
        subscription = self._feed.subscribe(("torrent.*",), torrents=(info_hash,))
        try:
            while time.monotonic() < deadline:
                record = self._table.get(info_hash)
                if record is None or record.is_verified or record.spec.completed_at == NEVER:
                    return False
                if record.fault is not None:
                    return record.fault.code is FaultCode.MISSING_FILES
                if record.status.activity in _AT_WORK:
                    return False
                subscription.next(0.2)
        finally:
            subscription.close()
        return False

    def _settle_here(self) -> None:
        """Let torrents of a directory that was moved or copied go on where it is now."""
        output = self._policy.default
        restored = self._store.load(frozenset(self.wanted))
        for problem in restored.problems:
            log.warning("resume_store_damage", problem=problem)
        for stored in restored.torrents:
            for problem in stored.problems:
                log.warning("resume_data_damage", info_hash=stored.spec.info_hash, problem=problem)
            if stored.spec.save_path != output:
                self._store.put(replace(stored.spec, save_path=output))

    def _quiesce(self, time_left_s: float) -> None:
        try:
            session = self._system.address("engine.session")
            answer = session.ask(Quiesce(), timeout_s=max(time_left_s, 0.1))
            self.is_saved = answer.failed == 0
        except (Unavailable, AskTimeout, MailboxFull):
            self.is_saved = False


def _start_error(failed: StartFailed) -> RevaerError:
    """What the actor died of when that is one of ours, else that the engine did not start."""
    cause: BaseException | None = failed
    while cause is not None:
        if isinstance(cause, RevaerError):
            return cause
        cause = cause.__cause__
    return EngineDownError(f"the engine could not be started: {failed}")


def _twin(
    judged: dict[InfoHash, tuple[NamedSource, TorrentDescription]], new: TorrentDescription
) -> NamedSource | None:
    hashes = {h for h in (new.infohash_v1, new.infohash_v2, new.infohash_v2[:40]) if h}
    for named, known in judged.values():
        if hashes & {known.infohash_v1, known.infohash_v2, known.infohash_v2[:40]}:
            return named
    return None


def _make_directory(output: str) -> None:
    try:
        Path(output).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise PathRefusedError(
            f"{error.filename} is not a directory; choose another with -o"
        ) from error
    except OSError as error:
        raise StoreDownError(
            f"cannot create {output}: {error.strerror}; make it writable or choose another with -o"
        ) from error


def _settings(options: DownloadOptions) -> EngineSettings:
    listen = (options.listen,) if options.listen else ANY_PORT
    if options.interface and not options.listen:
        listen = (f"{options.interface}:0",)
    return EngineSettings(
        listen=listen,
        outgoing_interface=options.interface,
        download_limit=options.download_limit,
        upload_limit=options.upload_limit,
        enable_dht=options.enable_dht,
        enable_lsd=options.enable_dht,
        enable_utp=options.enable_utp,
    )
