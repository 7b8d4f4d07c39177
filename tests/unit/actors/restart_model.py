"""An independent model of supervision, and a world that drives a restart core against it.

The model keeps facts (which instance lives, who died when, what is still to be stopped) and rules
about them. Per event it predicts what becomes of each child and allows or forbids each command;
afterwards nothing that the rules allow may have been left undone. The tests only choose events.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from actors.lifecycle import (
    Abandon,
    AddChild,
    Arm,
    Became,
    Boot,
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
    import random
    from collections.abc import Callable, Sequence

    from tenacity import RetryCallState

    from actors.lifecycle import ChildStatus, Command, Event

NORMAL = (Cause.NORMAL, Cause.SHUTDOWN)
# All times are multiples of a quarter second: exact in binary, so that edges are really hit.
TICK_S = 0.25
DELAYS_S = (0.75, 1.5, 3.0, 4.0)


class DependencyDownError(Exception):
    """What the specs here list as transient."""


def wait(state: RetryCallState) -> float:
    """A backoff without randomness."""
    return DELAYS_S[min(state.attempt_number, len(DELAYS_S)) - 1]


class Core(Protocol):
    """The part of a restart core that the world uses; mutants have it too."""

    @property
    def counts(self) -> Counter[ChildState]: ...
    def handle(self, event: Event, now: float) -> list[Command]: ...
    def status(self, name: str) -> ChildStatus: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One supervisor to try."""

    strategy: Strategy = Strategy.ONE_FOR_ONE
    specs: tuple[ChildSpec, ...] = ()
    limit: RestartLimit = field(default_factory=RestartLimit)
    dynamic: bool = False


@dataclass(eq=False)
class Kid:
    """The facts about one child."""

    spec: ChildSpec
    generation: int
    state: ChildState = ChildState.ABSENT
    marked: bool = False
    end_cause: Cause | None = None
    due: bool = False
    decided: bool = False
    ran_since: float | None = None
    attempt: int = 0
    deaths: list[float] = field(default_factory=list)
    starts: int = 0
    abandoned: int = 0
    removing: bool = False
    successor: ChildSpec | None = None

    @property
    def live(self) -> bool:
        return self.state in (ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING)

    @property
    def stoppable(self) -> bool:
        return self.state in (ChildState.STARTING, ChildState.RUNNING)

    @property
    def dependable(self) -> bool:
        return self.state in (ChildState.RUNNING, ChildState.STOPPED)

    @property
    def waiting(self) -> bool:
        return self.state is ChildState.BACKING_OFF and not self.due


class World:
    """Sends events to a core; every one of its commands is checked and then made true."""

    def __init__(self, plan: Plan, core: Core) -> None:
        self.plan = plan
        self.core = core
        self.now = 1000.0
        self.kids = {spec.name: Kid(spec, 0) for spec in plan.specs}
        self.timers: dict[Timer, float] = {}
        self.reports: list[Event] = []
        self.booted = False
        self.ended = False
        self.readies = 0
        self.dones = 0
        self.escalations = 0
        self._used_timers: set[Timer] = set()
        self._shared_deaths: list[float] = []
        self._forgotten_generation = 0
        self._becames: dict[str, list[Became]] = {}
        self._signals: list[Command] = []

    # --- what can happen ---------------------------------------------------------------------

    def boot(self) -> None:
        self.booted = True
        self._tell(Boot())

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def child_starts(self, name: str) -> None:
        kid = self.kids[name]
        assert kid.state is ChildState.STARTING
        kid.ran_since = self.now
        kid.decided = True
        self._become(kid, ChildState.RUNNING)
        self._report(Started(name, kid.generation))

    def child_dies(self, name: str, cause: Cause, error: BaseException | None = None) -> None:
        kid = self.kids[name]
        assert kid.live
        if kid.state is ChildState.STOPPING or (kid.marked and cause in NORMAL):
            self._judge_stop(kid)
        else:
            self._judge_death(kid, cause, error, fatal=cause is Cause.HANG)
        self._report(Exited(name, kid.generation, cause, error))

    def child_hangs(self, name: str) -> None:
        kid = self.kids[name]
        generation = kid.generation
        if kid.state is not ChildState.RUNNING:
            self._tell_in_vain(Hung(name, generation))
            return
        self._give_up(kid)
        self._judge_death(kid, Cause.HANG, None, fatal=kid.spec.on_hang is OnHang.ESCALATE)
        self._report(Hung(name, generation))

    def timer_fires(self, timer: Timer) -> None:
        self.now = max(self.now, self.timers.pop(timer))
        kid = self.kids[timer.name]
        match timer.kind:
            case TimerKind.START:
                if not self.ended:
                    kid.marked = True
                    kid.end_cause = Cause.START_TIMEOUT
            case TimerKind.SHUTDOWN:
                self._give_up(kid)
                if kid.spec.on_hang is OnHang.ESCALATE and not (self.ended or kid.removing):
                    self._judge_death(kid, Cause.HANG, None, fatal=True)
                else:
                    self._judge_stop(kid)
            case TimerKind.BACKOFF:
                kid.due = True
            case TimerKind.RETRY:
                self._free(kid, None)
        self._report(Fired(timer))

    def operator_restarts(self, name: str) -> None:
        kid = self.kids.get(name)
        if kid is None or self.ended or kid.state in (ChildState.STOPPING, ChildState.ABSENT):
            self._tell_in_vain(RestartChild(name))
            return
        if kid.state is ChildState.FAILED:
            kid.attempt = 0
            kid.deaths.clear()
        if kid.live:
            kid.marked = True
            kid.end_cause = Cause.OPERATOR
            self._mark_others(kid)
        else:
            self._free(kid, Cause.OPERATOR)
        self._tell(RestartChild(name))

    def stop(self) -> None:
        if self.ended:
            self._tell_in_vain(Stop())
            return
        self._end()
        self._tell(Stop())

    def add(self, spec: ChildSpec) -> None:
        kid = self.kids.get(spec.name)
        if self.ended:
            self._tell_in_vain(AddChild(spec))
        elif kid is None:
            self.kids[spec.name] = Kid(spec, self._forgotten_generation)
            self._tell(AddChild(spec))
        else:
            assert kid.removing
            kid.successor = spec
            self._tell_in_vain(AddChild(spec))

    def remove(self, name: str) -> None:
        kid = self.kids.get(name)
        if kid is None or self.ended:
            self._tell_in_vain(RemoveChild(name))
            return
        kid.removing = True
        kid.successor = None
        if kid.stoppable:
            kid.marked = True
            kid.end_cause = Cause.SHUTDOWN
        elif not kid.live:
            self._rest(kid, Cause.SHUTDOWN, None)
        self._tell(RemoveChild(name))

    def replay(self, report: Event) -> None:
        """An earlier report arrives again; it must change nothing."""
        assert report in self.reports
        self._tell_in_vain(report)

    # --- predictions ---------------------------------------------------------------------------

    def _judge_death(
        self, kid: Kid, cause: Cause, error: BaseException | None, *, fatal: bool
    ) -> None:
        spec = kid.spec
        self._end_run(kid)
        final = spec.restart is Restart.TEMPORARY or (
            spec.restart is Restart.TRANSIENT and cause in NORMAL
        )
        if self.ended or (final and not fatal):
            self._rest(kid, cause, error)
        elif fatal or self._too_many(kid, cause, error):
            if not fatal and self._own_budget(kid):
                kid.decided = True
                self._become(kid, ChildState.FAILED, spec.retry_failed_s, cause, error)
                self._mark_others(kid)
            else:
                self._become(kid, ChildState.FAILED, None, cause, error)
                self._signals.append(Escalate(spec.name, cause, error))
                self._end()
        else:
            kid.attempt += 1
            kid.due = False
            kid.decided = True
            delay_s = DELAYS_S[min(kid.attempt, len(DELAYS_S)) - 1]
            self._become(kid, ChildState.BACKING_OFF, delay_s, cause, error)
            self._mark_others(kid)

    def _judge_stop(self, kid: Kid) -> None:
        if kid.end_cause is Cause.START_TIMEOUT and not kid.removing:
            self._judge_death(kid, Cause.START_TIMEOUT, None, fatal=False)
            return
        self._end_run(kid)
        if (
            self.ended
            or kid.removing
            or (kid.end_cause is Cause.GROUP and kid.spec.restart is Restart.TEMPORARY)
        ):
            self._rest(kid, kid.end_cause, None)
        else:
            self._free(kid, kid.end_cause)

    def _end_run(self, kid: Kid) -> None:
        if kid.ran_since is not None and self.now >= kid.ran_since + kid.spec.healthy_after_s:
            kid.attempt = 0
        kid.ran_since = None
        kid.marked = False

    def _own_budget(self, kid: Kid) -> bool:
        return self.plan.dynamic or kid.spec.retry_failed_s is not None

    def _too_many(self, kid: Kid, cause: Cause, error: BaseException | None) -> bool:
        if cause is Cause.ESCALATED and kid.spec.retry_failed_s is not None:
            return True
        if not kid.spec.counts_against_limit or isinstance(error, DependencyDownError):
            return False
        deaths = kid.deaths if self._own_budget(kid) else self._shared_deaths
        deaths.append(self.now)
        first = self.now - self.plan.limit.window_s
        return sum(at >= first for at in deaths) > self.plan.limit.max_restarts

    def _mark_others(self, dead: Kid) -> None:
        kids = list(self.kids.values())
        at = kids.index(dead)
        others = {
            Strategy.ONE_FOR_ONE: [],
            Strategy.ONE_FOR_ALL: kids[:at] + kids[at + 1 :],
            Strategy.REST_FOR_ONE: kids[at + 1 :],
        }[self.plan.strategy]
        for kid in others:
            if kid.stoppable and not kid.marked:
                kid.marked = True
                kid.end_cause = Cause.GROUP
            if kid.state is ChildState.STOPPED and kid.spec.restart is Restart.TRANSIENT:
                self._free(kid, Cause.GROUP)

    def _free(self, kid: Kid, cause: Cause | None) -> None:
        kid.due = True
        kid.decided = True
        self._become(kid, ChildState.BACKING_OFF, None, cause)

    def _rest(self, kid: Kid, cause: Cause | None, error: BaseException | None) -> None:
        kid.decided = True
        self._become(kid, ChildState.STOPPED, None, cause, error)
        if self.plan.dynamic:
            name = kid.spec.name
            self._signals.append(Removed(name, kid.generation))
            self._forgotten_generation = max(self._forgotten_generation, kid.generation)
            del self.kids[name]
            if kid.successor is not None and not self.ended:
                self.kids[name] = Kid(kid.successor, self._forgotten_generation)

    def _give_up(self, kid: Kid) -> None:
        kid.abandoned += 1
        self._signals.append(Abandon(kid.spec.name, kid.generation))

    def _end(self) -> None:
        self.ended = True
        for kid in list(self.kids.values()):
            if kid.stoppable:
                kid.end_cause = Cause.SHUTDOWN
            elif kid.state in (ChildState.ABSENT, ChildState.BACKING_OFF):
                self._rest(kid, Cause.SHUTDOWN, None)

    def _become(
        self,
        kid: Kid,
        state: ChildState,
        retry_in_s: float | None = None,
        cause: Cause | None = None,
        error: BaseException | None = None,
    ) -> None:
        kid.state = state
        name = kid.spec.name
        became = Became(name, kid.generation, state, retry_in_s, cause, error)
        self._becames.setdefault(name, []).append(became)

    # --- what a core may do --------------------------------------------------------------------

    def _report(self, report: Event) -> None:
        self.reports.append(report)
        self._tell(report)

    def _tell_in_vain(self, event: Event) -> None:
        assert self.core.handle(event, self.now) == [], f"{event} is stale and must do nothing"
        self._check_view()

    def _tell(self, event: Event) -> None:
        commands = self.core.handle(event, self.now)
        becames: dict[str, list[Became]] = {}
        signals: list[Command] = []
        for command in commands:
            match command:
                case Became(name=name):
                    becames.setdefault(name, []).append(command)
                case Launch(name, generation):
                    self._obey_launch(name, generation)
                case Halt(name, generation):
                    self._obey_halt(name, generation)
                case Arm(timer, delay_s):
                    self._obey_arm(timer, delay_s)
                case Disarm(timer):
                    assert timer in self.timers, f"{timer} is not armed"
                    del self.timers[timer]
                case Ready():
                    self.readies += 1
                case Done():
                    self.dones += 1
                case _:
                    signals.append(command)
        assert becames == self._becames, f"{event}: {becames} instead of {self._becames}"
        assert signals == self._signals, f"{event}: {signals} instead of {self._signals}"
        self._becames, self._signals = {}, []
        self._check_address_first(event, commands)
        self._check_nothing_left_undone()
        self._check_timers()
        self._check_view()

    def _obey_launch(self, name: str, generation: int) -> None:
        kid = self.kids[name]
        assert self._may_launch(kid), f"{name} may not start yet"
        assert generation == kid.generation + 1
        kid.generation = generation
        kid.starts += 1
        kid.due = False
        self._become(kid, ChildState.STARTING)

    def _may_launch(self, kid: Kid) -> bool:
        wants = kid.state is ChildState.ABSENT or (kid.state is ChildState.BACKING_OFF and kid.due)
        if not wants or not self.booted or self.ended:
            return False
        kids = list(self.kids.values())
        earlier = kids[: kids.index(kid)]
        if self.plan.dynamic:
            return True
        if self.plan.strategy is Strategy.ONE_FOR_ONE:
            return kid.decided or all(other.decided for other in earlier)
        return (
            all(other.dependable for other in earlier)
            and not any(other.marked or other.state is ChildState.STOPPING for other in kids)
            and not (
                self.plan.strategy is Strategy.ONE_FOR_ALL
                and any(other.waiting or other.state is ChildState.FAILED for other in kids)
            )
        )

    def _obey_halt(self, name: str, generation: int) -> None:
        kid = self.kids[name]
        assert generation == kid.generation
        assert self._may_halt(kid), f"it is not {name}'s turn to be stopped"
        kid.marked = False
        self._become(kid, ChildState.STOPPING, None, kid.end_cause)

    def _may_halt(self, kid: Kid) -> bool:
        if not kid.stoppable or not (kid.marked or self.ended):
            return False
        if self.plan.dynamic or (self.plan.strategy is Strategy.ONE_FOR_ONE and not self.ended):
            return True
        kids = list(self.kids.values())
        later = kids[kids.index(kid) + 1 :]
        return not any(other.state is ChildState.STOPPING for other in kids) and not any(
            other.stoppable and (other.marked or self.ended) for other in later
        )

    def _obey_arm(self, timer: Timer, delay_s: float) -> None:
        kid = self.kids[timer.name]
        assert timer.generation in (kid.generation, kid.generation + 1)
        assert timer not in self._used_timers, f"{timer} was armed before"
        assert not any(armed.name == timer.name for armed in self.timers)
        self._used_timers.add(timer)
        self.timers[timer] = self.now + delay_s

    # --- what must hold after each event -------------------------------------------------------

    def _check_address_first(self, event: Event, commands: list[Command]) -> None:
        """A dead child's address is cleared before anybody else is touched."""
        if isinstance(event, Exited | Hung):
            acts = [command for command in commands if isinstance(command, Became | Halt | Launch)]
            assert isinstance(acts[0], Became)
            assert acts[0].name == event.name

    def _check_nothing_left_undone(self) -> None:
        for kid in self.kids.values():
            assert not self._may_halt(kid), f"{kid.spec.name} should have been told to stop"
            assert not self._may_launch(kid), f"{kid.spec.name} should have been started"
        kids = self.kids.values()
        if self.booted and not self.ended and not self.readies:
            ordered = self.plan.strategy is not Strategy.ONE_FOR_ONE
            boot_is_over = self.plan.dynamic or all(
                kid.dependable if ordered else kid.decided for kid in kids
            )
            assert not boot_is_over, "boot is over and nobody was told"
        assert self.readies <= 1
        assert self.dones == (self.ended and not any(kid.live for kid in kids))

    def _check_timers(self) -> None:
        armed = {timer.name: (timer.kind, timer.generation) for timer in self.timers}
        for name, kid in self.kids.items():
            spec = kid.spec
            kind, delay_s = {
                ChildState.STARTING: (TimerKind.START, spec.start_timeout_s),
                ChildState.STOPPING: (TimerKind.SHUTDOWN, spec.shutdown_timeout_s),
                ChildState.BACKING_OFF: (TimerKind.BACKOFF if kid.waiting else None, None),
                ChildState.FAILED: (
                    TimerKind.RETRY if spec.retry_failed_s is not None and not self.ended else None,
                    spec.retry_failed_s,
                ),
            }.get(kid.state, (None, None))
            if kind is TimerKind.START and (self.ended or kid.marked) and name not in armed:
                continue  # fired while others were being stopped; its turn to be stopped comes
            assert armed.pop(name, None) == (kind and (kind, kid.generation))
            since = self.core.status(name).since
            if kind is not None and delay_s is not None:
                assert self.timers[Timer(kind, name, kid.generation)] == since + delay_s
        assert not armed, f"{armed} belong to nobody"

    def _check_view(self) -> None:
        assert len(self.core) == len(self.kids)
        for name, kid in self.kids.items():
            status = self.core.status(name)
            seen = (status.state, status.generation, status.attempt, status.abandoned)
            assert seen == (kid.state, kid.generation, kid.attempt, kid.abandoned)
            assert status.restarts == max(0, kid.starts - 1)
            waits = [
                due
                for timer, due in self.timers.items()
                if timer.name == name and timer.kind in (TimerKind.BACKOFF, TimerKind.RETRY)
            ]
            assert status.retry_at == (waits[0] if waits else None)
        assert +self.core.counts == Counter(kid.state for kid in self.kids.values())

    # --- a friendly environment ----------------------------------------------------------------

    def settle(self) -> None:
        """From here on everything works; what should run must come to run."""
        for _ in range(200):
            if not self._one_friendly_step():
                break
        else:
            raise AssertionError("the supervisor never comes to rest")
        if self.ended:
            assert self.dones == 1
            assert not any(kid.live for kid in self.kids.values())
        elif self.booted:
            self._check_all_came_back()

    def _check_all_came_back(self) -> None:
        assert self.readies == 1 or any(
            kid.state is ChildState.FAILED for kid in self.kids.values()
        )
        stuck = self.plan.strategy is not Strategy.ONE_FOR_ONE and any(
            kid.state is ChildState.FAILED for kid in self.kids.values()
        )
        for kid in self.kids.values():
            if kid.spec.restart is Restart.PERMANENT and not stuck:
                assert kid.state is ChildState.RUNNING or (
                    kid.state is ChildState.FAILED and kid.spec.retry_failed_s is None
                )

    def _one_friendly_step(self) -> bool:
        for name, kid in self.kids.items():
            if kid.state is ChildState.STARTING:
                self.child_starts(name)
                return True
            if kid.state is ChildState.STOPPING:
                self.child_dies(name, Cause.SHUTDOWN)
                return True
        for timer in self.timers:
            self.timer_fires(timer)
            return True
        return False

    # --- choosing what happens -----------------------------------------------------------------

    def interesting_pauses(self) -> list[float]:
        """Seconds until something turns: just before, at, and just after."""
        moments = [
            kid.ran_since + kid.spec.healthy_after_s
            for kid in self.kids.values()
            if kid.ran_since is not None
        ]
        deaths = [at for kid in self.kids.values() for at in kid.deaths] + self._shared_deaths
        moments += [at + self.plan.limit.window_s for at in deaths[-8:]]
        ahead = [
            moment + offset - self.now for moment in moments for offset in (-TICK_S, 0.0, TICK_S)
        ]
        return [TICK_S, *(seconds for seconds in ahead if seconds > 0)]

    def names_in(self, *states: ChildState) -> list[str]:
        return [name for name, kid in self.kids.items() if kid.state in states]


def walk(plan: Plan, core: Core, rng: random.Random, steps: int) -> World:
    """A random life of a supervisor, checked at each step; ends in a friendly environment."""
    world = World(plan, core)
    if rng.random() < 0.95:
        world.boot()
    for _ in range(steps):
        _random_move(world, rng)
    if rng.random() < 0.3:
        world.stop()
    world.settle()
    return world


def _random_move(world: World, rng: random.Random) -> None:
    live = world.names_in(ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING)
    moves: list[tuple[float, Callable[[], None]]] = [
        (2, lambda: world.pass_time(rng.choice(world.interesting_pauses()))),
        (0.15, world.stop),
        (0.1, world.boot),
    ]
    if starting := world.names_in(ChildState.STARTING):
        moves.append((8, lambda: world.child_starts(rng.choice(starting))))
    if stopping := world.names_in(ChildState.STOPPING):
        moves.append((5, lambda: world.child_dies(rng.choice(stopping), *random_end(rng))))
    if live:
        moves.append((5, lambda: world.child_dies(rng.choice(live), *random_end(rng))))
        moves.append((1, lambda: world.child_hangs(rng.choice(live))))
    if world.timers:
        moves.append((3, lambda: world.timer_fires(rng.choice(list(world.timers)))))
    if waiting := [timer for timer in world.timers if timer.kind is TimerKind.BACKOFF]:
        moves.append((4, lambda: world.timer_fires(rng.choice(waiting))))
    if world.reports:
        moves.append((3, lambda: world.replay(rng.choice(world.reports))))
    if world.kids:
        moves.append((0.7, lambda: world.operator_restarts(rng.choice(list(world.kids)))))
    if world.plan.dynamic:
        moves.append((2, lambda: _random_dynamic_move(world, rng)))
    weights = [weight for weight, _ in moves]
    rng.choices([move for _, move in moves], weights)[0]()


def _random_dynamic_move(world: World, rng: random.Random) -> None:
    name = rng.choice("abc")
    kid = world.kids.get(name)
    if kid is None or (kid.removing and rng.random() < 0.5):
        world.add(random_spec(name, rng))
    else:
        world.remove(name)


def random_end(rng: random.Random) -> tuple[Cause, BaseException | None]:
    """How an instance ends."""
    return rng.choices(
        [
            (Cause.CRASH, RuntimeError("broken")),
            (Cause.CRASH, DependencyDownError("down")),
            (Cause.START_FAILED, OSError("no port")),
            (Cause.NORMAL, None),
            (Cause.SHUTDOWN, None),
            (Cause.ESCALATED, RuntimeError("below")),
            (Cause.HANG, None),
        ],
        [8, 2, 2, 2, 1, 1, 0.1],
    )[0]


def random_spec(name: str, rng: random.Random) -> ChildSpec:
    """A child with one or another peculiarity."""
    return make_spec(
        name,
        restart=rng.choices(list(Restart), [6, 2, 2])[0],
        on_hang=rng.choices(list(OnHang), [4, 1])[0],
        counts_against_limit=rng.random() < 0.85,
        retry_failed_s=rng.choices([None, 5.0, 40.0], [5, 1, 1])[0],
    )


def make_spec(
    name: str,
    *,
    restart: Restart = Restart.PERMANENT,
    on_hang: OnHang = OnHang.REPLACE,
    counts_against_limit: bool = True,
    retry_failed_s: float | None = None,
) -> ChildSpec:
    """A spec with this module's exact times."""
    return ChildSpec(
        name=name,
        factory=object,
        restart=restart,
        wait=wait,
        healthy_after_s=10.0,
        start_timeout_s=6.0,
        shutdown_timeout_s=2.0,
        hang_after_s=3.0,
        on_hang=on_hang,
        counts_against_limit=counts_against_limit,
        transient_errors=(DependencyDownError,),
        retry_failed_s=retry_failed_s,
    )


def random_plan(rng: random.Random) -> Plan:
    """A small supervisor of any kind."""
    limit = RestartLimit(max_restarts=rng.choice([0, 1, 2, 2, 3, 20]), window_s=20.0)
    if rng.random() < 0.2:
        return Plan(dynamic=True, limit=limit)
    names: Sequence[str] = "abcd"[: rng.randint(1, 4)]
    return Plan(
        strategy=rng.choice(list(Strategy)),
        specs=tuple(random_spec(name, rng) for name in names),
        limit=limit,
    )
