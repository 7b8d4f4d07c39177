"""A whole tree: boot, names, health, the operator's button, a shutdown within a budget."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from actors import health
from actors.actor import Actor
from actors.address import Address
from actors.directory import Directory, LastError
from actors.dispatcher import Dispatcher
from actors.errors import ChildHung, RestartsExhausted, StartFailed, UnknownName, text_of
from actors.hooks import Ending, StopOrder
from actors.kit import Kit, start_daemon_thread, utc_now
from actors.lifecycle import NORMAL_ENDS, Cause, ChildState, Exited, RestartChild, Started
from actors.shutdown import PhaseReport, ShutdownPhase, run_phase
from actors.timers import TimerService

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from actors.directory import Slot
    from actors.hooks import Report
    from actors.kit import KitEvent
    from actors.life import Life
    from actors.spec import ChildSpec
    from actors.timers import Clock, Timers

log = logging.getLogger("actors")

ROOT = "root"

# A signal handler runs only between two waits of the main thread.
_SLICE_S = 0.2

# Kept back from the budget for ending the kit's own threads.
_OWN_THREADS_S = 0.2

_POLL_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitReason:
    """Why a system ended.

    Attributes:
        stopped: somebody called `stop`, or the root ended by design; else it broke.
        hung: an actor that may not be replaced is stuck; its thread still runs.
        path: the actor that is to blame; `root` if none is known.
        message: in words.
        error: what the root died of.
    """

    stopped: bool
    hung: bool
    path: str
    message: str
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownReport:
    """How a stop went.

    Attributes:
        reason: given to `stop`.
        took_s: seconds from the call to the end.
        phases: in order.
        abandoned: paths of actors that did not stop; their threads may still run.
        clean: everything ended in time.
    """

    reason: str
    took_s: float
    phases: tuple[PhaseReport, ...]
    abandoned: tuple[str, ...]
    clean: bool


@dataclass(slots=True)
class _Fate:
    """What became of the root."""

    over: threading.Event = field(default_factory=threading.Event)
    reason: ExitReason | None = None


class ActorSystem:
    """Owns the threads that all actors share, the names, and the root.

    It never ends the process and installs no signal handler: `wait` tells its owner what happened.
    """

    def __init__(
        self,
        root: ChildSpec,
        *,
        clock: Clock = time.monotonic,
        shutdown_phases: Sequence[ShutdownPhase] = (),
        shutdown_budget_s: float = 9.0,
        observer: Callable[[KitEvent], None] | None = None,
        workers: int = 4,
        timers: Timers | None = None,
        spawn: Callable[[Callable[[], None], str], None] = start_daemon_thread,
        wall_clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Plan a system; nothing runs before `start`.

        Args:
            root: usually a supervisor. Only its factory and shutdown_timeout_s are looked at: the
                root is not restarted, its end is the system's end.
            clock: for every decision of the kit.
            shutdown_phases: what `stop` does before it stops the tree, in order.
            shutdown_budget_s: a stop takes no longer, whatever hangs.
            observer: told of children's starts, restarts and ends, in their supervisor's thread;
                must not block.
            workers: threads for pooled actors.
            timers: a double for tests; a thread of its own if None.
            spawn: starts an actor's thread; a double for tests.
            wall_clock: for health and events, never for decisions.
        """
        self._root = root
        self._phases = tuple(shutdown_phases)
        self._budget_s = shutdown_budget_s
        self._own_timers = TimerService(clock=clock, name="actors-timers")
        self._dispatcher = Dispatcher(workers=workers, name="actors-pool")
        self._kit = Kit(
            clock=clock,
            timers=timers if timers is not None else self._own_timers,
            dispatcher=self._dispatcher,
            directory=Directory(clock),
            spawn=spawn,
            observer=observer,
            wall_clock=wall_clock,
        )
        self._slot = self._kit.directory.enter(ROOT, None)
        self._life: Life | None = None
        self._fate = _Fate()
        self._stop_lock = threading.RLock()
        # A stop either finds the root, or keeps it from being launched. Reentrant, for a signal
        # handler that stops what it has interrupted in the middle of its start.
        self._gate = threading.RLock()
        self._stopping = False
        self._shutdown: ShutdownReport | None = None

    # --- life ------------------------------------------------------------------------------------

    def start(self, timeout_s: float) -> None:
        """Start the root and wait until all its permanent descendants run.

        Args:
            timeout_s: longest wait in seconds; a child that failed and is tried again only later
                than that is not waited for.

        Raises:
            StartFailed: naming the child and the cause; everything has been stopped again.
            RuntimeError: when called twice.
        """
        deadline = time.monotonic() + timeout_s
        with self._gate:
            if self._life is not None or self._shutdown is not None:
                raise RuntimeError("an actor system starts once; make a new one")
        try:
            with self._gate:
                life = self._launch()
            if self._stopping:
                life.signal(StopOrder())  # by a signal handler, in the middle of the launch
            self._await_start(deadline)
        except BaseException:
            self.stop(reason="start failed")
            raise

    def wait(self, timeout_s: float | None = None) -> ExitReason | None:
        """Wait until the system has ended. Made for the main thread: signal handlers run meanwhile.

        Args:
            timeout_s: longest wait in seconds; None: no limit.

        Returns:
            Why it ended; None when the time is up. After a broken root, `stop` has still to be
            called for the shutdown phases and the shared threads.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._fate.over.is_set():
            left_s = _SLICE_S if deadline is None else deadline - time.monotonic()
            if left_s <= 0:
                return None
            self._fate.over.wait(min(left_s, _SLICE_S))
        return self._fate.reason

    def stop(self, reason: str = "stopped") -> ShutdownReport:
        """Run the shutdown phases, stop the tree in reverse start order, end the shared threads.

        Never takes longer than the budget: what hangs is abandoned and named in the report.
        Calling it again, also from another thread, waits for the first call and gives its report;
        a signal handler that interrupts a stop in the same thread gets an empty one at once. Better
        let handlers set a flag or raise: they may interrupt code that holds a lock of the kit.
        """
        with self._stop_lock:
            if self._shutdown is None:
                if self._stopping:
                    # A signal handler inside of the call it interrupted, in the same thread.
                    return ShutdownReport(
                        reason=reason, took_s=0.0, phases=(), abandoned=(), clean=False
                    )
                with self._gate:
                    self._stopping = True
                self._shutdown = self._stop(reason)
            return self._shutdown

    # --- use -------------------------------------------------------------------------------------

    def address(self, path: str) -> Address:
        """The address of an actor, for as long as the system lives.

        Args:
            path: dotted; the root's children are at the top, the root itself is `root`.

        Raises:
            UnknownName: no spec names it. Names below a supervisor are known once it runs, those
                of dynamic children while they exist.
        """
        self._known(path)
        return Address(path, self._kit.directory)

    def health(self) -> dict[str, Any]:
        """The tree as plain data; asks nobody and waits for nothing."""
        node = health.report(self._slot, self._kit)
        node["dead_letters_total"] = self._kit.directory.dead_letters.total
        return node

    def restart(self, path: str) -> None:
        """Restart an actor, whatever state it is in; costs it no budget. Does not wait.

        If its supervisor is down, the nearest one above that runs restarts what leads there.

        Raises:
            UnknownName: no actor has this path.
            ValueError: for the root, whose end is the system's.
        """
        slot = self._known(path)
        while slot.parent is not None:
            supervisor = slot.parent.current
            if supervisor is not None and supervisor.signal(RestartChild(slot.name)):
                return
            slot = slot.parent
        raise ValueError(f"{path}: the root cannot be restarted; stop the system")

    # --- steps -----------------------------------------------------------------------------------

    def _launch(self) -> Life:
        if self._stopping:
            raise StartFailed(ROOT, "the system was stopped before it started")
        self._own_timers.start()
        self._dispatcher.start()
        self._slot.state = ChildState.STARTING
        self._slot.generation = 1
        try:
            actor = self._root.factory()
            if not isinstance(actor, Actor):
                raise TypeError(f"the root's factory made {actor!r}, which is no Actor")  # noqa: TRY301 - told like any other cause
            life = actor.join(self._kit, self._slot, 1, self._on_report)
        except Exception as error:
            raise StartFailed(ROOT, f"{type(error).__name__}: {error}") from error
        self._life = self._slot.current = life
        actor.begin()
        return life

    def _on_report(self, report: Report) -> None:
        """In the root's thread."""
        slot, now = self._slot, self._kit.clock()
        match report:
            case Started():
                slot.state, slot.since = ChildState.RUNNING, now
                if self._life is not None:
                    self._kit.directory.publish(slot, self._life)
            case Exited(_, _, cause, error):
                by_design = cause in NORMAL_ENDS
                slot.state = ChildState.STOPPED if by_design else ChildState.FAILED
                slot.since, slot.current = now, None
                if not by_design:
                    slot.last_error = LastError(cause, error, now, 1)
                self._fate.reason = self._fate.reason or _reason(cause, error)
                self._fate.over.set()
            case Ending():
                pass

    def _await_start(self, deadline: float) -> None:
        pause = threading.Event()
        while True:
            trouble = health.first_not_running(self._slot)
            if self._fate.over.is_set():
                reason = self._fate.reason
                path, message = (reason.path, reason.message) if reason else (ROOT, "it ended")
                raise StartFailed(path, message) from (reason.error if reason else None)
            if trouble is None:
                return
            self._refuse_what_comes_too_late(deadline)
            if time.monotonic() >= deadline:
                raise StartFailed(*trouble)
            pause.wait(_POLL_S)

    def _refuse_what_comes_too_late(self, deadline: float) -> None:
        """A failed child whose next try lies beyond the deadline need not be waited for."""
        held = health.first_held(self._slot)
        retry_at = held.retry_at if held is not None else None
        if held is None or retry_at is None:
            return
        if retry_at - self._kit.clock() <= deadline - time.monotonic():
            return
        last = held.last_error
        if last is None:  # it ended by design, again and again
            raise StartFailed(held.path, f"it is {held.state}")
        reason = _reason(last.cause, last.error)
        path = held.path if reason.path == ROOT else reason.path
        raise StartFailed(path, reason.message) from reason.error

    def _stop(self, reason: str) -> ShutdownReport:
        began = time.monotonic()
        end = began + self._budget_s
        phases: list[PhaseReport] = []
        carried_s = 0.0
        for phase in self._phases:
            left_s = max(0.0, end - time.monotonic())
            done = run_phase(phase, min(phase.budget_s + carried_s, left_s))
            phases.append(done)
            carried_s = max(0.0, phase.budget_s + carried_s - done.took_s)
        if self._fate.reason is None:
            self._fate.reason = ExitReason(stopped=True, hung=False, path=ROOT, message=reason)
        self._stop_tree(end)
        threads_ended = self._stop_own_threads(end)
        abandoned = self._kit.directory.stuck
        self._fate.over.set()
        report = ShutdownReport(
            reason=reason,
            took_s=time.monotonic() - began,
            phases=tuple(phases),
            abandoned=abandoned,
            clean=threads_ended and not abandoned and all(p.finished for p in phases),
        )
        log.info("system_stopped", extra={"reason": reason, "took_s": round(report.took_s, 3)})
        return report

    def _stop_tree(self, end: float) -> None:
        life = self._life
        if life is None:
            return
        left_s = max(0.0, end - _OWN_THREADS_S - time.monotonic())
        limit_s = min(left_s, self._tree_limit_s(life))
        life.signal(StopOrder(self._kit.clock() + limit_s))
        if not life.hooks.actor_stopped.wait(limit_s):
            life.give_up()

    def _tree_limit_s(self, life: Life) -> float:
        nested_s = life.hooks.longest_stop_s()
        return self._root.shutdown_timeout_s if nested_s is None else float("inf")

    def _stop_own_threads(self, end: float) -> bool:
        dispatcher_ended = self._dispatcher.stop(max(0.0, end - time.monotonic()))
        timers_ended = self._own_timers.stop(max(0.0, end - time.monotonic()))
        return dispatcher_ended and timers_ended

    def _known(self, path: str) -> Slot:
        slot = self._kit.directory.find(path)
        if slot is None:
            raise UnknownName(f"no actor is named {path!r}; see the names in health()")
        return slot


def _reason(cause: Cause, error: BaseException | None) -> ExitReason:
    """Why the root ended, blaming the actor at the bottom of it."""
    if cause in NORMAL_ENDS:
        return ExitReason(stopped=True, hung=False, path=ROOT, message="the root ended by design")
    path, bottom = ROOT, error
    at = error
    while isinstance(at, RestartsExhausted | ChildHung):
        path, bottom = at.path, at
        at = at.__cause__
    if at is not None:
        bottom = at
    message = f"{type(bottom).__name__}: {text_of(bottom)}" if bottom is not None else cause.value
    hung = cause is Cause.HANG
    return ExitReason(stopped=False, hung=hung, path=path, message=message, error=error)
