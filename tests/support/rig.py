"""The engine's part of Revaer on chosen ports, as tests and benchmarks run it."""

import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tenacity import wait_fixed

from actors import ActorSystem, RestartLimit, ShutdownPhase
from actors.testing import eventually
from revaer.adapters.environment import read_boot_id
from revaer.adapters.filesystem.payload import LocalPayload
from revaer.adapters.filesystem.resume_store import FilesystemResumeStore
from revaer.domain.ids import InfoHash
from revaer.domain.paths import PathPolicy
from revaer.domain.torrent import TorrentRecord
from revaer.ports.engine import EngineSettings, TorrentEngine
from revaer.ports.payload import PayloadFiles
from revaer.ports.projection import Projection
from revaer.ports.resume_store import ResumeStore
from revaer.ports.torrents import TorrentCatalog
from revaer.runtime.actor_events import ActorEvents
from revaer.runtime.board_table import BoardTable
from revaer.runtime.engine_holder import EngineHolder
from revaer.runtime.event_hub import HubFeed
from revaer.runtime.event_ring import EventRing
from revaer.runtime.gateway import ActorGateway
from revaer.runtime.messages import Quiesce
from revaer.runtime.session import SessionPorts
from revaer.runtime.tree import POOL_WORKERS, EnginePolicies, EnginePorts, root_tree

LOOPBACK = EngineSettings(
    listen=("127.0.0.1:0",), enable_dht=False, enable_lsd=False, enable_utp=False
)
QUICK = EnginePolicies(
    limit=RestartLimit(max_restarts=3, window_s=120.0), wait=wait_fixed(0.05), retry_failed_s=2.0
)


@dataclass(kw_only=True)
class EngineRig:
    """A tree over real or double ports; a context manager that stops what it started.

    Attributes:
        root: directory of the payload; the store lies in `.revaer/resume` below it.
        open_engine: makes the engine of each session.
        store: wraps the resume store, to plant failures.
        storage_period_s: how often the disks are looked at.
        boot_id: names the machine's boot; empty for the real one.
        catalog: what a lost store is rebuilt from.
    """

    root: Path
    open_engine: Callable[[EngineSettings], TorrentEngine]
    settings: EngineSettings = LOOPBACK
    policies: EnginePolicies = QUICK
    store: Callable[[FilesystemResumeStore], ResumeStore] = lambda store: store
    files: PayloadFiles = field(default_factory=LocalPayload)
    table: BoardTable | None = None
    projections: Sequence[Projection] = ()
    restore_only: AbstractSet[InfoHash] | None = None
    storage_period_s: float = 3.0
    boot_id: str = ""
    catalog: TorrentCatalog | None = None

    def __post_init__(self) -> None:
        """Build the tree; nothing runs yet."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.board = self.table if self.table is not None else BoardTable(self.projections)
        self.feed = HubFeed(EventRing(wall_clock=time.time))
        self.resume_store: ResumeStore = self.store(
            FilesystemResumeStore(
                self.root / ".revaer" / "resume",
                boot_id=self.boot_id or read_boot_id(),
                default_save_path=str(self.root),
                waits=True,
            )
        )
        self.holder = EngineHolder(self.open_engine, self.settings)
        self.session_ports = SessionPorts(
            holder=self.holder,
            store=self.resume_store,
            policy=PathPolicy(roots=(str(self.root),), default=str(self.root)),
            files=self.files,
            board=self.board,
            wall_clock=time.time,
            restore_only=self.restore_only,
            storage_period_s=self.storage_period_s,
            catalog=self.catalog,
        )
        watch = ActorEvents()
        self.system = ActorSystem(
            root_tree(
                table=self.board,
                feed=self.feed,
                engine=EnginePorts(session=self.session_ports, policies=self.policies),
            ),
            shutdown_phases=(ShutdownPhase("quiesce", 5.0, self._quiesce),),
            observer=watch,
            workers=POOL_WORKERS,
        )
        watch.attach(self.system)
        self.gateway = ActorGateway(self.system)

    def __enter__(self) -> Self:
        """Start the tree."""
        self.system.start(timeout_s=60.0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the tree, then the engine, then the store."""
        self.system.stop("the test ends")
        self.holder.close()
        self.resume_store.close(clean=True)
        self.feed.close()

    def record(self, info_hash: str) -> TorrentRecord:
        """The board's record, which must be there."""
        record = self.board.get(info_hash)
        assert record is not None, f"{info_hash} is not on the board"
        return record

    def wait_complete(self, *torrents: InfoHash, within_s: float = 60.0) -> None:
        """Wait until every wanted byte of these is known to be on disk."""
        eventually(lambda: all(self.record(one).is_verified for one in torrents), within_s=within_s)

    def _quiesce(self, time_left_s: float) -> None:
        self.system.address("engine.session").ask(Quiesce(), timeout_s=max(time_left_s, 0.1))
