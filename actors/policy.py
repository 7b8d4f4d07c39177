"""The restart core: what follows when a child starts, ends, hangs or a timer fires. Pure.

`SupervisorCore.handle(event, now)` answers with commands; the supervisor's shell carries them out
in order and reports what comes of them as further events. Nothing here has a thread, a clock or
an effect. The shell must not call `handle` while it carries out commands: it queues what it
learns meanwhile.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, assert_never

from actors.backoff import RestartWindow, backoff_delay_s
from actors.child import Child
from actors.groups import siblings_of, to_start, to_stop
from actors.lifecycle import (
    LIVE,
    NORMAL_ENDS,
    Abandon,
    AddChild,
    Arm,
    Became,
    Boot,
    Cause,
    ChildState,
    ChildStatus,
    Command,
    Disarm,
    Done,
    Escalate,
    Event,
    Exited,
    Fired,
    Halt,
    Hung,
    Launch,
    Ready,
    RemoveChild,
    Removed,
    RestartChild,
    Started,
    Stop,
    Timer,
    TimerKind,
)
from actors.spec import ChildSpec, OnHang, Restart, RestartLimit, Strategy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class SupervisorCore:
    """The children of one supervisor and the rules for them.

    Static supervisors start children in list order and stop them one at a time, last first. The
    affected group of a restart is stopped as a whole before the first of it starts again.

    Dynamic supervisors have no order: children come and go by `AddChild` and `RemoveChild`, each
    has a restart budget of its own and is failed when it has spent it, siblings never notice, a
    child that ended by design is forgotten, and a stop reaches all at once. Each event costs the
    same with ten children or ten thousand.
    """

    def __init__(
        self,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        children: Sequence[ChildSpec] = (),
        limit: RestartLimit | None = None,
        *,
        dynamic: bool = False,
        last_generation: int = 0,
    ) -> None:
        """Nothing starts before `Boot`.

        Args:
            strategy: one_for_one if dynamic.
            children: in start order; none if dynamic.
            limit: shared by the children; each child's own if dynamic.
            dynamic: see the class.
            last_generation: the first instance of each child gets the number after it. A
                supervisor that follows a dead one counts on, so that the dead one's late
                reports stay recognisable.

        Raises:
            ValueError: for two children of one name, or a dynamic supervisor with an order.
        """
        if dynamic and (children or strategy is not Strategy.ONE_FOR_ONE):
            raise ValueError("a dynamic supervisor is one_for_one and starts without children")
        self.strategy = strategy
        self.limit = limit or RestartLimit()
        self.dynamic = dynamic
        self.counts: Counter[ChildState] = Counter()
        self._ordered = strategy is not Strategy.ONE_FOR_ONE
        self._window = self._new_window()
        self._last_generation = last_generation
        self._children: dict[str, Child] = {}
        for spec in children:
            if spec.name in self._children:
                raise ValueError(f"two children are named {spec.name!r}; rename one")
            self._enter(spec)
        self._booted = False
        self._ready = False
        self._ending = False
        self._done = False
        self._commands: list[Command] = []

    # --- what the shell and health read --------------------------------------------------------

    @property
    def ending(self) -> bool:
        """Whether it was told to stop, or has escalated."""
        return self._ending

    def __len__(self) -> int:
        """Number of children known."""
        return len(self._children)

    def __contains__(self, name: str) -> bool:
        """Whether a child of this name is known."""
        return name in self._children

    def names(self) -> Iterator[str]:
        """Names of all children, in start order."""
        return iter(self._children)

    def spec(self, name: str) -> ChildSpec:
        """The spec of a child; KeyError if there is none of this name."""
        return self._children[name].spec

    def status(self, name: str) -> ChildStatus:
        """A child as health shows it; KeyError if there is none of this name."""
        return self._children[name].status()

    def restarts_in_window(self, now: float) -> int:
        """Deaths that count against the shared limit at `now`."""
        return self._window.spent(now)

    # --- events ----------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> list[Command]:
        """Decide what follows an event.

        Args:
            event: what happened. Reports of an earlier generation, and any report that does not
                fit the child's state, lead to nothing.
            now: seconds on a clock that never goes back.

        Returns:
            Commands, to be carried out in this order.

        Raises:
            ValueError: for an `AddChild` that names a child which exists, or a static supervisor.
        """
        match event:
            case Started(name, generation):
                self._on_started(self._live(name, generation), now)
            case Exited(name, generation, cause, error):
                self._on_exited(self._live(name, generation), cause, error, now)
            case Hung(name, generation):
                self._on_hung(self._live(name, generation), now)
            case Fired(timer):
                self._on_fired(timer, now)
            case RestartChild(name):
                self._on_restart_wanted(self._children.get(name), now)
            case AddChild(spec):
                self._on_add(spec, now)
            case RemoveChild(name):
                self._on_remove(self._children.get(name), now)
            case Boot():
                self._booted = True
                self._advance(now)
            case Stop():
                self._end(now)
            case _:
                assert_never(event)
        commands, self._commands = self._commands, []
        return commands

    def _on_started(self, child: Child | None, now: float) -> None:
        if child is None or child.state is not ChildState.STARTING:
            return
        child.running_since = now
        child.decided = True
        self._become(child, ChildState.RUNNING, now)
        self._advance(now, child)

    def _on_exited(
        self, child: Child | None, cause: Cause, error: BaseException | None, now: float
    ) -> None:
        if child is None:
            return
        early = child.must_stop and cause in NORMAL_ENDS  # its turn to be stopped was to come
        if early or child.state is ChildState.STOPPING:
            self._stopped(child, now)
        else:
            # A HANG reported as an end comes from a supervisor that had a fatal one below it.
            self._died(child, cause, error, now, fatal=cause is Cause.HANG)
        self._advance(now, child)

    def _on_hung(self, child: Child | None, now: float) -> None:
        # A slow start and a slow stop have time limits of their own.
        if child is None or child.state is not ChildState.RUNNING:
            return
        self._abandon(child)
        fatal = child.spec.on_hang is OnHang.ESCALATE
        self._died(child, Cause.HANG, None, now, fatal=fatal)
        self._advance(now, child)

    def _on_fired(self, timer: Timer, now: float) -> None:
        child = self._children.get(timer.name)
        if child is None or child.timer != timer:
            return
        child.timer = None
        match timer.kind:
            case TimerKind.START if self._ending:
                pass  # its turn to be stopped comes anyway
            case TimerKind.START:
                # Politely first: a supervisor that is slow to start has children to take down.
                self._mark(child, Cause.START_TIMEOUT)
            case TimerKind.SHUTDOWN:
                self._abandon(child)
                if child.spec.on_hang is OnHang.ESCALATE and not (self._ending or child.removing):
                    # Nothing may be started beside it, so nobody can take its place.
                    self._died(child, Cause.HANG, None, now, fatal=True)
                else:
                    self._stopped(child, now)
            case TimerKind.BACKOFF:
                child.due = True
                child.retry_at = None
            case TimerKind.RETRY:
                self._release(child, None, now)
        self._advance(now, child)

    def _on_restart_wanted(self, child: Child | None, now: float) -> None:
        if child is None or self._ending or child.state is ChildState.STOPPING:
            return
        if child.state is ChildState.FAILED:
            child.attempt = 0
            if child.window is not None:
                child.window.clear()
        if child.live:
            self._mark(child, Cause.OPERATOR)
            self._mark_group(child, now)
        elif child.state is not ChildState.ABSENT:
            self._release(child, Cause.OPERATOR, now)
        self._advance(now, child)

    def _on_add(self, spec: ChildSpec, now: float) -> None:
        if not self.dynamic:
            raise ValueError(f"{spec.name!r}: only dynamic supervisors take children at run time")
        if self._ending:
            return
        child = self._children.get(spec.name)
        if child is None:
            self._advance(now, self._enter(spec, now))
        elif child.removing:
            child.successor = spec
        else:
            raise ValueError(f"a child named {spec.name!r} exists already")

    def _on_remove(self, child: Child | None, now: float) -> None:
        if not self.dynamic or child is None or self._ending:
            return
        child.removing = True
        child.successor = None
        if not child.live:
            self._rest(child, Cause.SHUTDOWN, None, now)
        elif child.state is not ChildState.STOPPING:
            self._halt(child, Cause.SHUTDOWN, now)

    # --- ends ------------------------------------------------------------------------------------

    def _died(
        self,
        child: Child,
        cause: Cause,
        error: BaseException | None,
        now: float,
        *,
        fatal: bool = False,
    ) -> None:
        """Decide about a child that ended without having been told to, and is gone."""
        spec = child.spec
        child.end_run(now)
        failed = cause not in NORMAL_ENDS
        if failed:
            child.note_failure(cause, error, now)
        if self._ending:
            self._rest(child, cause, error, now)
        elif fatal:
            self._escalate(child, cause, error, now)
        elif spec.restart is Restart.TEMPORARY or (
            spec.restart is Restart.TRANSIENT and not failed
        ):
            self._rest(child, cause, error, now)
        elif cause is Cause.ESCALATED and spec.retry_failed_s is not None:
            self._hold(child, cause, error, now)
        elif not self._counts(child, error) or not self._spend(child, now):
            self._back_off(child, cause, error, now)
        elif child.window is not None:
            self._hold(child, cause, error, now)
        else:
            self._escalate(child, cause, error, now)

    def _stopped(self, child: Child, now: float) -> None:
        """Decide about a child that was told to stop, and is gone or given up."""
        cause = child.end_cause
        if cause is Cause.START_TIMEOUT and not child.removing:
            self._died(child, cause, None, now)
            return
        child.end_run(now)
        group_leaves_it = cause is Cause.GROUP and child.spec.restart is Restart.TEMPORARY
        if self._ending or child.removing or group_leaves_it:
            self._rest(child, cause, None, now)
        else:
            self._release(child, cause, now)

    @staticmethod
    def _counts(child: Child, error: BaseException | None) -> bool:
        spec = child.spec
        return spec.counts_against_limit and not isinstance(error, spec.transient_errors)

    def _spend(self, child: Child, now: float) -> bool:
        """Count a death; True when that is one too many."""
        window = child.window if child.window is not None else self._window
        return window.spend(now)

    def _back_off(
        self, child: Child, cause: Cause, error: BaseException | None, now: float
    ) -> None:
        child.attempt += 1
        delay_s = backoff_delay_s(child.spec.wait, child.attempt)
        child.due = False
        child.decided = True
        self._become(
            child, ChildState.BACKING_OFF, now, retry_in_s=delay_s, cause=cause, error=error
        )
        self._arm(child, TimerKind.BACKOFF, delay_s, now)
        self._mark_group(child, now)

    def _hold(self, child: Child, cause: Cause, error: BaseException | None, now: float) -> None:
        delay_s = child.spec.retry_failed_s
        child.decided = True
        self._become(child, ChildState.FAILED, now, retry_in_s=delay_s, cause=cause, error=error)
        if delay_s is not None:
            self._arm(child, TimerKind.RETRY, delay_s, now)
        self._mark_group(child, now)

    def _rest(self, child: Child, cause: Cause, error: BaseException | None, now: float) -> None:
        child.decided = True
        self._become(child, ChildState.STOPPED, now, cause=cause, error=error)
        if self.dynamic:
            self._remove(child, now)

    def _release(self, child: Child, cause: Cause | None, now: float) -> None:
        """Let a child that is not live start as soon as its siblings allow."""
        child.due = True
        child.decided = True
        self._become(child, ChildState.BACKING_OFF, now, cause=cause)

    def _escalate(
        self, child: Child, cause: Cause, error: BaseException | None, now: float
    ) -> None:
        self._become(child, ChildState.FAILED, now, cause=cause, error=error)
        self._emit(Escalate(child.spec.name, cause, error))
        self._end(now)

    # --- groups and order ------------------------------------------------------------------------

    def _mark(self, child: Child, cause: Cause) -> None:
        if child.state in {ChildState.STARTING, ChildState.RUNNING}:
            child.must_stop = True
            child.end_cause = cause

    def _mark_group(self, dead: Child, now: float) -> None:
        """See to the siblings that the strategy restarts along with `dead`."""
        if not self._ordered:
            return
        for child in siblings_of(dead, self._children.values(), self.strategy):
            if child.live and not child.must_stop:
                self._mark(child, Cause.GROUP)
            elif child.state is ChildState.STOPPED and child.spec.restart is Restart.TRANSIENT:
                # Its work was done for the instances that are now replaced.
                self._release(child, Cause.GROUP, now)

    def _advance(self, now: float, touched: Child | None = None) -> None:
        """Do the next steps that the state of the children allows."""
        if self.dynamic:
            # Nobody waits for anybody, so only the child of the event can have a step to do.
            for child in (touched,) if touched else self._children.values():
                self._advance_alone(child, now)
        elif self._stop_next(now):
            self._start_next(now)
        self._settle()

    def _advance_alone(self, child: Child, now: float) -> None:
        if self._ending or not self._booted:
            return
        if child.must_stop:
            self._halt(child, child.end_cause, now)
        elif child.wants_start:
            self._launch(child, now)

    def _stop_next(self, now: float) -> bool:
        """Stop what is next to be stopped; True when that is over and starts may go on."""
        one_at_a_time = self._ordered or self._ending
        if one_at_a_time and self.counts[ChildState.STOPPING]:
            return False
        for child in to_stop(self._children.values(), everything=self._ending):
            self._halt(child, child.end_cause, now)
            if one_at_a_time:
                return False
        return not self._ending

    def _start_next(self, now: float) -> None:
        if self._booted:
            for child in to_start(self._children.values(), self.strategy):
                self._launch(child, now)

    def _settle(self) -> None:
        """Tell when boot, or all, is over."""
        if self._ending:
            if not self._done and not any(self.counts[state] for state in LIVE):
                self._done = True
                self._emit(Done())
        elif self._booted and not self._ready:
            children = () if self.dynamic else self._children.values()
            self._ready = all(child.ready if self._ordered else child.decided for child in children)
            if self._ready:
                self._emit(Ready())

    def _end(self, now: float) -> None:
        """Begin to take everything down; nothing starts after this."""
        if self._ending:
            return
        self._ending = True
        for child in list(self._children.values()):
            if child.state in {ChildState.BACKING_OFF, ChildState.ABSENT}:
                self._rest(child, Cause.SHUTDOWN, None, now)
            elif child.state in {ChildState.STARTING, ChildState.RUNNING}:
                child.end_cause = Cause.SHUTDOWN
                if self.dynamic:
                    self._halt(child, Cause.SHUTDOWN, now)
            elif child.state is ChildState.FAILED:
                self._disarm(child)
        self._advance(now)

    # --- single steps ----------------------------------------------------------------------------

    def _launch(self, child: Child, now: float) -> None:
        child.generation += 1
        child.launches += 1
        child.due = False
        self._become(child, ChildState.STARTING, now)
        self._arm(child, TimerKind.START, child.spec.start_timeout_s, now)
        self._emit(Launch(child.spec.name, child.generation))

    def _halt(self, child: Child, cause: Cause, now: float) -> None:
        child.must_stop = False
        child.end_cause = cause
        self._become(child, ChildState.STOPPING, now, cause=cause)
        self._emit(Halt(child.spec.name, child.generation))
        self._arm(child, TimerKind.SHUTDOWN, child.spec.shutdown_timeout_s, now)

    def _live(self, name: str, generation: int) -> Child | None:
        """The child, if it is this generation of it that lives."""
        child = self._children.get(name)
        if child is None or child.generation != generation or not child.live:
            return None
        return child

    def _abandon(self, child: Child) -> None:
        child.abandoned += 1
        self._emit(Abandon(child.spec.name, child.generation))

    def _enter(self, spec: ChildSpec, now: float = 0.0) -> Child:
        own_budget = self.dynamic or spec.retry_failed_s is not None
        window = self._new_window() if own_budget else None
        child = Child(spec, self._last_generation, window, now)
        self._children[spec.name] = child
        self.counts[child.state] += 1
        return child

    def _new_window(self) -> RestartWindow:
        return RestartWindow(self.limit.max_restarts, self.limit.window_s)

    def _remove(self, child: Child, now: float) -> None:
        # A later child of this name must not be mistaken for this one.
        self._last_generation = max(self._last_generation, child.generation)
        self.counts[child.state] -= 1
        del self._children[child.spec.name]
        self._emit(Removed(child.spec.name, child.generation))
        if child.successor is not None:
            self._on_add(child.successor, now)

    def _become(
        self,
        child: Child,
        state: ChildState,
        now: float,
        *,
        retry_in_s: float | None = None,
        cause: Cause | None = None,
        error: BaseException | None = None,
    ) -> None:
        self.counts[child.state] -= 1
        self.counts[state] += 1
        child.state = state
        child.since = now
        self._emit(Became(child.spec.name, child.generation, state, retry_in_s, cause, error))
        self._disarm(child)  # whatever it was for, that state is over

    def _arm(self, child: Child, kind: TimerKind, delay_s: float, now: float) -> None:
        child.timer = Timer(kind, child.spec.name, child.generation)
        if kind in {TimerKind.BACKOFF, TimerKind.RETRY}:
            child.retry_at = now + delay_s
        self._emit(Arm(child.timer, delay_s))

    def _disarm(self, child: Child) -> None:
        child.retry_at = None
        if child.timer is not None:
            self._emit(Disarm(child.timer))
            child.timer = None

    def _emit(self, command: Command) -> None:
        self._commands.append(command)
