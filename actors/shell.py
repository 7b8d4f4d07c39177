"""The hands of a supervisor: carries out what the restart core decides, and never waits.

Everything runs in the supervisor's own thread. A child's reports, timers and an operator's wishes
arrive as signals; each is given to the core, whose commands are carried out in order. What happens
meanwhile (a factory that raises) is queued and given to the core afterwards.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Protocol

from actors.actor import Actor
from actors.directory import LastError
from actors.errors import ChildHung, RestartsExhausted, text_of
from actors.hooks import Ending, StopOrder
from actors.kit import ChildAbandoned, event_of
from actors.lifecycle import (
    LIVE,
    Abandon,
    Arm,
    Became,
    Cause,
    ChildState,
    Disarm,
    Done,
    Escalate,
    Exited,
    Fired,
    Halt,
    Hung,
    Launch,
    Ready,
    Removed,
    Timer,
    TimerKind,
)
from actors.spec import OnHang
from actors.watch import HangWatch, Look

if TYPE_CHECKING:
    from actors.directory import Slot
    from actors.kit import Kit
    from actors.life import Life
    from actors.lifecycle import Command, Event
    from actors.policy import SupervisorCore
    from actors.timers import TimerHandle

log = logging.getLogger("actors")

_FAILURES = frozenset(
    {
        Cause.CRASH,
        Cause.START_FAILED,
        Cause.START_TIMEOUT,
        Cause.HANG,
        Cause.ESCALATED,
    }
)

# While the system goes down in a hurry, a child that does not stop gets at most this part of the
# time that is left, so that those after it get their turn.
_PART_FOR_A_CHILD = 0.5
_PART_FOR_A_SUPERVISOR = 0.8
# What a supervisor is told, a little less than what it gets, so that it ends by itself.
_PART_TOLD = 0.7


class Host(Protocol):
    """What the shell needs of the supervisor it works for."""

    def child_launched(self, name: str) -> None:
        """A child has begun to start; it cannot be reached yet."""

    def child_removed(self, name: str) -> None:
        """A dynamic child is forgotten."""

    def child_became(self, became: Became) -> None:
        """A child changed its state."""

    def all_ready(self) -> None:
        """Boot is over."""

    def all_done(self, cause: Cause, error: BaseException | None) -> None:
        """No child is left and none will start."""


class Shell:
    """See the module."""

    def __init__(self, core: SupervisorCore, kit: Kit, life: Life, host: Host) -> None:
        """Work for one generation of a supervisor.

        Args:
            core: decides.
            kit: of the system.
            life: the supervisor's, to which signals are sent.
            host: the supervisor.
        """
        self.core = core
        self.lives: dict[str, Life] = {}
        self.given_up: list[Life] = []
        self._kit = kit
        self._life = life
        self._host = host
        self._slots: dict[str, Slot] = {}
        self._timers: dict[Timer, TimerHandle] = {}
        self._last_hooks: dict[str, TimerHandle] = {}
        self._depths: dict[str, int] = {}
        self._watch = HangWatch(kit.clock, kit.timers, self._tell)
        self._events: deque[Event] = deque()
        self._working = False
        self._escalated: Escalate | None = None
        self._deadline: float | None = None

    # --- in ------------------------------------------------------------------------------------

    def enter(self, name: str) -> Slot:
        """Give a child its name in the directory."""
        slot = self._kit.directory.enter(self.path(name), self._life.slot)
        self._slots[name] = slot
        return slot

    def path(self, name: str) -> str:
        """A child's path; the root's name is no part of it."""
        supervisor = self._life.slot
        return name if supervisor.parent is None else f"{supervisor.path}.{name}"

    def forget_all(self) -> None:
        """Free the children's names."""
        for slot in self._slots.values():
            self._kit.directory.forget(slot.path)
        self._slots.clear()

    def slot(self, name: str) -> Slot | None:
        """A child's slot."""
        return self._slots.get(name)

    def signal(self, signal: object) -> bool:
        """Deal with a signal; False when it is none of this shell's."""
        match signal:
            case Ending():
                self._on_ending(signal)
            case _HookTimeout():
                self._on_hook_timeout(signal)
            case Look():
                for name, generation in self._watch.look(self.lives):
                    self.feed(Hung(name, generation))
                self._watch.go_on(unless=self.core.ending)
            case _:
                return False
        return True

    def hurry(self, deadline: float | None) -> None:
        """Be down by then, on the system's clock; also with what is being stopped already."""
        if deadline is None:
            return
        self._deadline = deadline
        for timer in [timer for timer in self._timers if timer.kind is TimerKind.SHUTDOWN]:
            limit_s = self.core.spec(timer.name).shutdown_timeout_s
            self._disarm(timer)
            self._arm(timer, limit_s)

    def feed(self, event: Event) -> None:
        """Give an event to the core and do what it says."""
        if isinstance(event, Fired):
            self._timers.pop(event.timer, None)
        self._events.append(event)
        if self._working:
            return
        self._working = True
        try:
            while self._events:
                self._feed_one(self._events.popleft())
        finally:
            self._working = False

    def tear_down(self) -> None:
        """The supervisor itself has crashed: stop the children, last first, and wait for them.

        Runs in the dying thread, which has nothing else to do. Bounded by the children's own
        limits, and by the supervisor's, whose thread is given up past it.
        """
        for handle in (*self._timers.values(), *self._last_hooks.values()):
            handle.cancel()
        for name, life in reversed(list(self.lives.items())):
            life.signal(StopOrder(self._deadline))
            limit_s = self._stop_limit_s(life, self.core.spec(name).shutdown_timeout_s)
            if not life.hooks.actor_stopped.wait(limit_s):
                self._give_up(name, life)
            if self._life.given_up:
                return  # a successor has these names by now
            slot = self._slots[name]
            self._put(slot, ChildState.STOPPED)
            slot.current = None
        self.lives.clear()

    def give_up_all(self) -> None:
        """The supervisor was abandoned, and its children go with it."""
        for life in list(self.lives.values()):
            life.give_up()

    # --- what follows --------------------------------------------------------------------------

    def _feed_one(self, event: Event) -> None:
        if isinstance(event, Exited):
            self._on_exited(event)
        for command in self.core.handle(event, self._kit.clock()):
            if self._life.given_up:
                return  # somebody else has taken over the names
            self._carry_out(command)

    def _on_exited(self, event: Exited) -> None:
        name = event.name
        life = self.lives.get(name)
        if life is None or life.generation != event.generation:
            return
        del self.lives[name]
        self._depths[name] = life.left_behind
        hook = self._last_hooks.pop(name, None)
        if hook is not None:
            hook.cancel()

    def _carry_out(self, command: Command) -> None:  # noqa: C901 - one line for each command
        match command:
            case Launch(name, generation):
                self._launch(name, generation)
            case Halt(name):
                self._halt(name)
            case Abandon(name):
                self._abandon(name)
            case Arm(timer, delay_s):
                self._arm(timer, delay_s)
            case Disarm(timer):
                self._disarm(timer)
            case Became():
                self._became(command)
            case Removed(name):
                self._removed(name)
            case Ready():
                self._host.all_ready()
            case Escalate():
                self._escalated = command
            case Done():
                self._done()

    def _launch(self, name: str, generation: int) -> None:
        slot = self._slots[name]
        slot.restarts += slot.generation > 0
        slot.generation = generation
        spec = self.core.spec(name)
        try:
            actor = spec.factory()
            if self._is_given_up():
                return
            if not isinstance(actor, Actor):
                raise TypeError(f"the factory of {slot.path} made {actor!r}, which is no Actor")  # noqa: TRY301 - ends like any other start failure
            life = actor.join(self._kit, slot, generation, self._tell)
        except BaseException as error:
            log.exception("factory_failed", extra={"path": slot.path, "child": name})
            error.__traceback__ = None
            self.feed(Exited(name, generation, Cause.START_FAILED, error))
            return
        self.lives[name] = life
        slot.current = life
        if self._is_given_up():
            # Meanwhile: either `give_up_all` has seen this life, or it is seen here. It begins all
            # the same, because only what has begun can report its end.
            life.give_up()
        if spec.hang_after_s is not None:
            self._watch.add(name, spec.hang_after_s)
        if actor.longest_stop_s() is not None:
            # A supervisor's start is as long as its children's starts, which have limits of
            # their own and are repeated within a budget of their own.
            self._disarm(Timer(TimerKind.START, name, generation))
        actor.begin()
        self._host.child_launched(name)

    def _is_given_up(self) -> bool:
        """Whether the supervisor was; another thread may decide so at any time."""
        return self._life.given_up

    def _halt(self, name: str) -> None:
        life = self.lives.get(name)
        if life is not None:
            life.signal(StopOrder(self._deadline_for(life)))

    def _deadline_for(self, life: Life) -> float | None:
        if self._deadline is None or life.hooks.longest_stop_s() is None:
            return self._deadline
        now = self._kit.clock()
        return now + max(0.0, self._deadline - now) * _PART_TOLD

    def _abandon(self, name: str) -> None:
        life = self.lives.pop(name, None)
        if life is None:
            return
        self._give_up(name, life)

    def _give_up(self, name: str, life: Life) -> None:
        slot = self._slots[name]
        log.error("actor_abandoned", extra={"path": slot.path, "generation": life.generation})
        life.give_up()
        self.given_up = [stuck for stuck in (*self.given_up, life) if not stuck.over]
        self._depths[name] = life.left_behind
        self._kit.emit(ChildAbandoned(slot.path, life.generation, self._kit.wall_clock()))

    def _arm(self, timer: Timer, delay_s: float) -> None:
        if timer.kind is TimerKind.SHUTDOWN:
            delay_s = self._stop_limit_s(self.lives.get(timer.name), delay_s)
        self._timers[timer] = self._kit.timers.after(delay_s, lambda: self._tell(Fired(timer)))

    def _disarm(self, timer: Timer) -> None:
        handle = self._timers.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def _stop_limit_s(self, life: Life | None, limit_s: float) -> float:
        """How long a child may take to stop.

        A supervisor gets at least what its own children may take, or they would be abandoned in
        the middle of an orderly stop. In a hurry everybody gets a part of what is left.
        """
        nested_s = life.hooks.longest_stop_s() if life is not None else None
        limit_s = max(limit_s, nested_s or 0.0)
        if self._deadline is None:
            return limit_s
        part = _PART_FOR_A_CHILD if nested_s is None else _PART_FOR_A_SUPERVISOR
        return min(limit_s, max(0.0, self._deadline - self._kit.clock()) * part)

    def _became(self, became: Became) -> None:
        slot = self._slots[became.name]
        life = self.lives.get(became.name)
        self._put(slot, became.state)
        if became.name in self.core:  # a dynamic child that ended is forgotten already
            slot.attempt = self.core.status(became.name).attempt
        if became.state is ChildState.RUNNING:
            if life is not None:
                self._kit.directory.publish(slot, life)
        elif slot.target is not None:
            self._kit.directory.withdraw(slot, slot.target)
        if became.state not in LIVE:
            slot.current = None
            if became.cause in _FAILURES:
                count = 1 + (slot.last_error.count if slot.last_error else 0)
                slot.last_error = LastError(became.cause, became.error, slot.since, count)
        if became.retry_in_s is not None:  # last: who sees it may rely on the error
            slot.retry_at = slot.since + became.retry_in_s
        if became.state is not ChildState.STARTING:
            depth = self._depths.pop(became.name, 0)
            event = event_of(became, slot.path, depth, self._kit.wall_clock())
            if event is not None:
                self._kit.emit(event)
        self._host.child_became(became)

    def _put(self, slot: Slot, state: ChildState) -> None:
        slot.state = state
        slot.since = self._kit.clock()
        slot.retry_at = None

    def _removed(self, name: str) -> None:
        slot = self._slots.pop(name)
        self._watch.discard(name)
        self._depths.pop(name, None)
        self._kit.directory.forget(slot.path)
        self._host.child_removed(name)

    def _done(self) -> None:
        fate = self._escalated
        if fate is None:
            self._host.all_done(Cause.SHUTDOWN, None)
            return
        path = self._slots[fate.name].path
        if fate.cause is Cause.HANG:
            error = fate.error if isinstance(fate.error, ChildHung) else ChildHung(path)
            self._host.all_done(Cause.HANG, error)
            return
        limit = self.core.limit
        why = f": {text_of(fate.error)}" if fate.error is not None else ""
        exhausted = RestartsExhausted(
            path,
            f"{path} died more than {limit.max_restarts} times in {limit.window_s:g} s, "
            f"last of {fate.cause}{why}",
        )
        exhausted.__cause__ = fate.error
        self._host.all_done(Cause.ESCALATED, exhausted)

    # --- what hangs ----------------------------------------------------------------------------

    def _on_ending(self, ending: Ending) -> None:
        """A child runs its last hook. One that is stopped has a time limit already."""
        life = self.lives.get(ending.name)
        if life is None or life.generation != ending.generation:
            return
        if self.core.status(ending.name).state is ChildState.STOPPING:
            return
        limit_s = self._stop_limit_s(life, self.core.spec(ending.name).shutdown_timeout_s)
        timeout = _HookTimeout(ending)
        self._last_hooks[ending.name] = self._kit.timers.after(limit_s, lambda: self._tell(timeout))

    def _on_hook_timeout(self, timeout: _HookTimeout) -> None:
        ending = timeout.ending
        life = self.lives.get(ending.name)
        if life is None or life.generation != ending.generation:
            return
        if self.core.spec(ending.name).on_hang is OnHang.ESCALATE:
            self.feed(Hung(ending.name, ending.generation))
            return
        self._give_up(ending.name, life)
        self.feed(Exited(ending.name, ending.generation, ending.cause, ending.error))

    def _tell(self, signal: object) -> None:
        self._life.signal(signal)


class _HookTimeout:
    """A child's last hook has taken too long."""

    __slots__ = ("ending",)

    def __init__(self, ending: Ending) -> None:
        self.ending = ending
