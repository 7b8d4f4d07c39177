"""The engine's tree with its real ports: what the library and the command line run on."""

import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
from revaer.adapters.libtorrent.startup import check_libtorrent
from revaer.domain.errors import EngineDownError, InvalidInputError, RevaerError, StoreDownError
from revaer.domain.ids import InfoHash, Revision
from revaer.domain.paths import PathPolicy
from revaer.ports.engine import EngineSettings, TorrentEngine
from revaer.ports.projection import Projection
from revaer.runtime.actor_events import ActorEvents
from revaer.runtime.board_table import BoardTable
from revaer.runtime.engine_holder import EngineHolder
from revaer.runtime.event_hub import HubFeed
from revaer.runtime.event_ring import EventRing
from revaer.runtime.gateway import SESSION_PATH, ActorGateway
from revaer.runtime.messages import Quiesce
from revaer.runtime.session import SessionPorts
from revaer.runtime.tree import POOL_WORKERS, EnginePolicies, EnginePorts, root_tree

START_TIMEOUT_S = 180.0
LISTEN_TIMEOUT_S = 2.0
QUIESCE_BUDGET_S = 5.0
SHUTDOWN_BUDGET_S = 9.0
ANY_PORT = ("0.0.0.0:0", "[::]:0")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePlan:
    """What one run of the engine is made from.

    Attributes:
        resume_dir: the store; locked for as long as the run is open.
        policy: where payload may lie.
        settings: of the session.
        policies: how the actors are restarted.
        projections: how the board's readers encode torrents.
        open_engine: makes the engine of each session.
        waits_for_store: a store that cannot be used now is a health cause instead of an error.
        must_listen: where peers have to be accepted, for messages; empty when anywhere will do.
        listen_knob: what chooses another place, for messages.
    """

    resume_dir: Path
    policy: PathPolicy
    settings: EngineSettings = field(default_factory=lambda: EngineSettings(listen=ANY_PORT))
    policies: EnginePolicies = field(default_factory=EnginePolicies)
    projections: Sequence[Projection] = ()
    open_engine: Callable[[EngineSettings], TorrentEngine] = LibtorrentEngine
    waits_for_store: bool = False
    must_listen: str = ""
    listen_knob: str = "`listen` or `interface`"


class EngineRun:
    """The tree, the engine and the store of one run: open, start, use, stop.

    It ends no process, installs no signal handler and configures no logging.
    """

    def __init__(
        self,
        plan: EnginePlan,
        *,
        restore_only: Callable[[FilesystemResumeStore], AbstractSet[InfoHash]] | None = None,
    ) -> None:
        """Lock the store and build the tree; nothing runs before `start`.

        Args:
            plan: what it is made from.
            restore_only: looks at the store once it is locked, and names the torrents that are
                loaded; None for all.

        Raises:
            EngineUnsupportedError: the installed libtorrent lacks what is needed.
            StoreLockedError: another run has this store.
            StoreDownError: the directory cannot be made or written, and the plan does not wait.
        """
        check_libtorrent()
        self._plan = plan
        self.store = FilesystemResumeStore(
            plan.resume_dir,
            boot_id=read_boot_id(),
            default_save_path=plan.policy.default,
            waits=plan.waits_for_store,
        )
        try:
            only = None if restore_only is None else frozenset(restore_only(self.store))
        except BaseException:
            self._close_store()
            raise
        self.board = BoardTable(plan.projections, first_revision=Revision(int(time.time() * 1e6)))
        self.feed = HubFeed(EventRing(wall_clock=time.time))
        self.holder = EngineHolder(plan.open_engine, plan.settings)
        watch = ActorEvents()
        self.system = ActorSystem(
            root_tree(
                table=self.board,
                feed=self.feed,
                engine=EnginePorts(
                    session=SessionPorts(
                        holder=self.holder,
                        store=self.store,
                        policy=plan.policy,
                        files=LocalPayload(),
                        board=self.board,
                        wall_clock=time.time,
                        restore_only=only,
                    ),
                    policies=plan.policies,
                ),
            ),
            shutdown_phases=(ShutdownPhase("quiesce", QUIESCE_BUDGET_S, self._quiesce),),
            shutdown_budget_s=SHUTDOWN_BUDGET_S,
            observer=watch,
            workers=POOL_WORKERS,
        )
        watch.attach(self.system)
        self.gateway = ActorGateway(self.system)
        self.is_saved = True
        """False once `stop` had to end without an answer from the store."""

    @property
    def policy(self) -> PathPolicy:
        """Where payload may lie."""
        return self._plan.policy

    def start(self) -> None:
        """Start the actors; the torrents of the store run when this returns.

        Raises:
            RevaerError: the engine could not be started; everything was stopped again.
        """
        try:
            self.system.start(timeout_s=START_TIMEOUT_S)
            self._check_listening()
        except StartFailed as error:
            self.stop()
            raise _start_error(error) from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> ShutdownReport:
        """Save everything, stop the actors, close the engine and the store; idempotent."""
        report = self.system.stop("the run ends")
        self.holder.close()
        self._close_store()
        self.feed.close()
        return report

    def broken(self) -> ExitReason | None:
        """Why the tree as a whole ended by itself, or None while it stands."""
        return self.system.wait(timeout_s=0.0)

    def health(self) -> dict[str, Any]:
        """The actors as a report."""
        return self.system.health()

    def has_failed(self) -> bool:
        """Whether the engine is gone for good, or until it is tried again minutes later."""
        if self.broken() is not None:
            return True
        children = self.health()["children"]
        return any(one["name"] == "engine" and one["state"] == "failed" for one in children)

    def _check_listening(self) -> None:
        """A device that does not exist leaves libtorrent deaf without a word."""
        if not self._plan.must_listen:
            return
        deadline = time.monotonic() + LISTEN_TIMEOUT_S
        subscription = self.feed.subscribe(("health.*",))
        try:
            while not self.holder.current().listen_ports():
                if time.monotonic() >= deadline:
                    raise InvalidInputError(
                        f"cannot accept peers on {self._plan.must_listen}: the address, device or "
                        f"port is not there or in use; choose another with {self._plan.listen_knob}"
                    )
                subscription.next(0.1)
        finally:
            subscription.close()

    def _close_store(self) -> None:
        try:
            self.store.close(clean=True)
        except StoreDownError:
            self.is_saved = False  # a full disk: the next start finds an unclean end

    def _quiesce(self, time_left_s: float) -> None:
        try:
            session = self.system.address(SESSION_PATH)
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
