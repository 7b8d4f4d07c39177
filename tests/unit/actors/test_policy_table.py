"""What follows a child's end? Every kind of child, end, strategy and position, and the edges."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import pairwise
from typing import Any, NoReturn

import pytest

from actors.backoff import DEFAULT_WAIT, RestartWindow, backoff_delay_s
from actors.lifecycle import (
    Abandon,
    AddChild,
    Arm,
    Became,
    Boot,
    Cause,
    ChildState,
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
from actors.policy import SupervisorCore
from actors.spec import ChildSpec, OnHang, Restart, RestartLimit, Strategy
from tests.unit.actors.restart_model import DELAYS_S, DependencyDownError, make_spec

CRASH = RuntimeError("broken")
OUTAGE = DependencyDownError("database away")


VERBS: dict[type[Command], str] = {
    Launch: "start",
    Halt: "stop",
    Abandon: "abandon",
    Escalate: "escalate",
    Removed: "forget",
    Ready: "ready",
    Done: "done",
}


class Tree:
    """A supervisor whose children do as they are told, and a log of what it told them."""

    def __init__(self, core: SupervisorCore, *, obedient: bool = True) -> None:
        self.core = core
        self.obedient = obedient
        self.now = 1000.0
        self.log: list[str] = []
        self.timers: dict[Timer, float] = {}
        self.delays_s: list[float] = []
        self.escalations: list[Escalate] = []
        self.fails_to_start: set[str] = set()

    def tell(self, event: Event) -> None:
        events = deque([event])
        while events:
            for command in self.core.handle(events.popleft(), self.now):
                events.extend(self._carry_out(command))

    def _carry_out(self, command: Command) -> list[Event]:
        if (verb := VERBS.get(type(command))) is not None:
            self.log.append(f"{verb} {getattr(command, 'name', '')}".rstrip())
        match command:
            case Launch(name, generation) if name in self.fails_to_start:
                return [Exited(name, generation, Cause.START_FAILED, CRASH)]
            case Launch(name, generation) if self.obedient:
                return [Started(name, generation)]
            case Halt(name, generation) if self.obedient:
                return [Exited(name, generation, Cause.SHUTDOWN)]
            case Arm(timer, delay_s):
                self.timers[timer] = self.now + delay_s
                if timer.kind is TimerKind.BACKOFF:
                    self.delays_s.append(delay_s)
            case Disarm(timer):
                del self.timers[timer]
            case Escalate():
                self.escalations.append(command)
        return []

    def boot(self) -> Tree:
        self.tell(Boot())
        return self

    def generation(self, name: str) -> int:
        return self.core.status(name).generation

    def state(self, name: str) -> ChildState:
        return self.core.status(name).state

    def states(self) -> list[ChildState]:
        return [self.state(name) for name in self.core.names()]

    def ends(self, name: str, cause: Cause, error: BaseException | None = None) -> None:
        self.tell(Exited(name, self.generation(name), cause, error))

    def crashes(self, name: str) -> None:
        self.ends(name, Cause.CRASH, CRASH)

    def fires(self, kind: TimerKind, name: str) -> None:
        timer = Timer(kind, name, self.generation(name))
        self.now = max(self.now, self.timers.pop(timer))
        self.tell(Fired(timer))

    def crashes_and_returns(self, name: str) -> None:
        self.crashes(name)
        self.fires(TimerKind.BACKOFF, name)

    def log_since(self, mark: int) -> list[str]:
        return self.log[mark:]


def tree(
    *specs: ChildSpec,
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    max_restarts: int = 5,
    window_s: float = 20.0,
    obedient: bool = True,
) -> Tree:
    core = SupervisorCore(strategy, specs, RestartLimit(max_restarts, window_s))
    return Tree(core, obedient=obedient)


def dynamic_tree(max_restarts: int = 1, window_s: float = 20.0) -> Tree:
    return Tree(SupervisorCore(limit=RestartLimit(max_restarts, window_s), dynamic=True)).boot()


# --- the table -------------------------------------------------------------------------------

ENDS = ("normal", "shutdown", "crash", "start_failed", "hang")

COMES_BACK = {
    Restart.PERMANENT: {"normal", "shutdown", "crash", "start_failed", "hang"},
    Restart.TRANSIENT: {"crash", "start_failed", "hang"},
    Restart.TEMPORARY: set[str](),
}

# Which of a, b, c are stopped, and which started, because one of them died while all ran.
RESTART_GROUP = {
    (Strategy.ONE_FOR_ONE, "a"): ("", "a"),
    (Strategy.ONE_FOR_ONE, "b"): ("", "b"),
    (Strategy.ONE_FOR_ONE, "c"): ("", "c"),
    (Strategy.REST_FOR_ONE, "a"): ("cb", "abc"),
    (Strategy.REST_FOR_ONE, "b"): ("c", "bc"),
    (Strategy.REST_FOR_ONE, "c"): ("", "c"),
    (Strategy.ONE_FOR_ALL, "a"): ("cb", "abc"),
    (Strategy.ONE_FOR_ALL, "b"): ("ca", "abc"),
    (Strategy.ONE_FOR_ALL, "c"): ("ba", "abc"),
}

# The same for a child whose first start fails at boot, when the later ones have not started yet.
# one_for_one does not hold them back while it waits to try again.
BOOT_GROUP = {
    (Strategy.ONE_FOR_ONE, "a"): ("", "bc", "a"),
    (Strategy.ONE_FOR_ONE, "b"): ("", "c", "b"),
    (Strategy.ONE_FOR_ONE, "c"): ("", "", "c"),
    (Strategy.REST_FOR_ONE, "a"): ("", "", "abc"),
    (Strategy.REST_FOR_ONE, "b"): ("", "", "bc"),
    (Strategy.REST_FOR_ONE, "c"): ("", "", "c"),
    (Strategy.ONE_FOR_ALL, "a"): ("", "", "abc"),
    (Strategy.ONE_FOR_ALL, "b"): ("a", "", "abc"),
    (Strategy.ONE_FOR_ALL, "c"): ("ba", "", "abc"),
}


@pytest.mark.parametrize("position", "abc")
@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("restart", Restart)
def test_what_follows_an_end(restart: Restart, end: str, strategy: Strategy, position: str) -> None:
    family = tree(*(make_spec(name, restart=restart) for name in "abc"), strategy=strategy)
    if end == "start_failed":
        family.fails_to_start = {position}
        mark = "abc".index(position) + 1
    else:
        mark = 4
    family.boot()
    assert family.log[:mark] == [*starts("abc"), "ready"][:mark]
    if end == "hang":
        family.tell(Hung(position, 1))
    elif end != "start_failed":
        family.ends(position, Cause(end), CRASH if end == "crash" else None)

    comes_back = end in COMES_BACK[restart]
    assert family.state(position) is (ChildState.BACKING_OFF if comes_back else ChildState.STOPPED)
    assert family.delays_s == ([DELAYS_S[0]] if comes_back else [])
    if comes_back:
        family.fails_to_start = set()
        family.fires(TimerKind.BACKOFF, position)
    told = [entry for entry in family.log_since(mark) if entry != "ready"]
    assert told == expected_log(restart, end, strategy, position)
    assert family.log.count("ready") == 1
    assert family.log[-1] != "done"


def expected_log(restart: Restart, end: str, strategy: Strategy, position: str) -> list[str]:
    if end == "start_failed":
        if end not in COMES_BACK[restart]:
            return starts("abc"["abc".index(position) + 1 :])
        stopped, meanwhile, started = BOOT_GROUP[strategy, position]
        return [*stops(stopped), *starts(meanwhile), *starts(started)]
    abandoned = [f"abandon {position}"] if end == "hang" else []
    if end not in COMES_BACK[restart]:
        return abandoned
    stopped, started = RESTART_GROUP[strategy, position]
    return [*abandoned, *stops(stopped), *starts(started)]


def starts(names: str) -> list[str]:
    return [f"start {name}" for name in names]


def stops(names: str) -> list[str]:
    return [f"stop {name}" for name in names]


@pytest.mark.parametrize(
    ("strategy", "log"),
    [
        (Strategy.REST_FOR_ONE, ["stop d", "stop c", "start a", "start b", "start d"]),
        (Strategy.ONE_FOR_ALL, ["stop d", "stop c", "start a", "start b", "start d"]),
    ],
)
def test_in_a_group_done_transients_return_and_temporaries_do_not(
    strategy: Strategy, log: list[str]
) -> None:
    family = tree(
        make_spec("a"),
        make_spec("b", restart=Restart.TRANSIENT),
        make_spec("c", restart=Restart.TEMPORARY),
        make_spec("d"),
        strategy=strategy,
    ).boot()
    family.ends("b", Cause.NORMAL)
    mark = len(family.log)
    family.crashes_and_returns("a")
    assert family.log_since(mark) == log
    assert family.state("c") is ChildState.STOPPED


# --- edges -----------------------------------------------------------------------------------


def test_the_limit_itself_is_allowed_and_one_more_is_too_many() -> None:
    family = tree(make_spec("a"), make_spec("b"), max_restarts=3).boot()
    for _ in range(3):
        family.crashes_and_returns("b")
    assert family.states() == [ChildState.RUNNING, ChildState.RUNNING]
    mark = len(family.log)
    family.crashes("b")
    assert family.log_since(mark) == ["escalate b", "stop a", "done"]
    assert family.escalations == [Escalate("b", Cause.CRASH, CRASH)]
    assert family.states() == [ChildState.STOPPED, ChildState.FAILED]


def test_siblings_share_the_limit() -> None:
    family = tree(make_spec("a"), make_spec("b"), max_restarts=1).boot()
    family.crashes_and_returns("a")
    family.crashes("b")
    assert [escalation.name for escalation in family.escalations] == ["b"]


def test_with_a_limit_of_zero_the_first_death_is_too_many() -> None:
    family = tree(make_spec("a"), max_restarts=0).boot()
    family.crashes("a")
    assert family.log == ["start a", "ready", "escalate a", "done"]


@pytest.mark.parametrize(
    ("pause_s", "escalates"), [(19.75, True), (20.0, True), (20.25, False)], ids=str
)
def test_a_death_counts_up_to_the_edge_of_the_window(pause_s: float, *, escalates: bool) -> None:
    family = tree(make_spec("a"), max_restarts=1, window_s=20.0).boot()
    died_at = family.now
    family.crashes_and_returns("a")
    family.now = died_at + pause_s
    assert family.core.restarts_in_window(family.now) == escalates
    family.crashes("a")
    assert bool(family.escalations) is escalates


@pytest.mark.parametrize(
    ("ran_s", "delay_s"),
    [(9.75, DELAYS_S[2]), (10.0, DELAYS_S[0]), (10.25, DELAYS_S[0])],
    ids=str,
)
def test_the_delay_starts_over_after_a_healthy_run(ran_s: float, delay_s: float) -> None:
    family = tree(make_spec("a")).boot()
    family.crashes_and_returns("a")
    family.crashes_and_returns("a")
    family.now += ran_s
    family.crashes("a")
    assert family.delays_s == [DELAYS_S[0], DELAYS_S[1], delay_s]


def test_a_healthy_run_that_a_sibling_ended_counts_as_healthy() -> None:
    family = tree(make_spec("a"), make_spec("b"), strategy=Strategy.REST_FOR_ONE).boot()
    family.crashes_and_returns("b")
    family.now += 10.0
    family.crashes_and_returns("a")
    family.crashes("b")
    assert family.delays_s == [DELAYS_S[0], DELAYS_S[0], DELAYS_S[0]]


def test_an_outage_backs_off_for_ever_without_counting() -> None:
    family = tree(make_spec("a"), max_restarts=0).boot()
    for _ in range(50):
        family.ends("a", Cause.CRASH, OUTAGE)
        family.fires(TimerKind.BACKOFF, "a")
    assert family.state("a") is ChildState.RUNNING
    assert family.delays_s[:5] == [0.75, 1.5, 3.0, 4.0, 4.0]
    assert family.core.status("a").failures == 50


def test_a_child_outside_the_limit_never_escalates() -> None:
    family = tree(make_spec("a", counts_against_limit=False), max_restarts=0).boot()
    for _ in range(20):
        family.crashes_and_returns("a")
    assert family.state("a") is ChildState.RUNNING


# --- failed, and tried again -----------------------------------------------------------------


def test_a_child_with_a_retry_is_held_as_failed_and_its_siblings_never_notice() -> None:
    family = tree(make_spec("a", retry_failed_s=40.0), make_spec("b"), max_restarts=1).boot()
    family.crashes_and_returns("a")
    mark = len(family.log)
    family.crashes("a")
    assert family.states() == [ChildState.FAILED, ChildState.RUNNING]
    assert family.core.status("a").retry_at == family.now + 40.0
    family.crashes_and_returns("b")  # has the whole shared budget to itself
    family.fires(TimerKind.RETRY, "a")
    assert family.log_since(mark) == ["start b", "start a"]
    assert family.states() == [ChildState.RUNNING, ChildState.RUNNING]


def test_a_supervisor_that_gave_up_is_held_without_costing_a_restart() -> None:
    family = tree(make_spec("a", retry_failed_s=40.0), max_restarts=0).boot()
    for _ in range(3):
        family.ends("a", Cause.ESCALATED, CRASH)
        assert family.state("a") is ChildState.FAILED
        family.fires(TimerKind.RETRY, "a")
        assert family.state("a") is ChildState.RUNNING


def test_a_supervisor_that_gave_up_is_restarted_when_nothing_else_is_said() -> None:
    family = tree(make_spec("a"), max_restarts=1).boot()
    family.ends("a", Cause.ESCALATED, CRASH)
    assert family.state("a") is ChildState.BACKING_OFF
    family.fires(TimerKind.BACKOFF, "a")
    family.ends("a", Cause.ESCALATED, CRASH)
    assert family.escalations == [Escalate("a", Cause.ESCALATED, CRASH)]


def test_what_depends_on_a_failed_child_waits_for_it() -> None:
    family = tree(
        make_spec("a"),
        make_spec("b", retry_failed_s=40.0),
        make_spec("c"),
        strategy=Strategy.REST_FOR_ONE,
        max_restarts=0,
    ).boot()
    mark = len(family.log)
    family.crashes("b")
    assert family.states() == [ChildState.RUNNING, ChildState.FAILED, ChildState.BACKING_OFF]
    family.fires(TimerKind.RETRY, "b")
    assert family.log_since(mark) == ["stop c", "start b", "start c"]


def test_an_operator_restarts_a_failed_child_with_a_fresh_budget() -> None:
    family = tree(make_spec("a", retry_failed_s=40.0), max_restarts=1).boot()
    family.crashes_and_returns("a")
    family.crashes("a")
    family.tell(RestartChild("a"))
    assert family.state("a") is ChildState.RUNNING
    assert not [timer for timer in family.timers if timer.kind is TimerKind.RETRY]
    family.crashes_and_returns("a")
    assert family.delays_s == [DELAYS_S[0], DELAYS_S[0]]


# --- the operator's button -------------------------------------------------------------------


@pytest.mark.parametrize("position", "abc")
@pytest.mark.parametrize("strategy", Strategy)
def test_an_operator_restarts_a_running_child_along_with_its_group(
    strategy: Strategy, position: str
) -> None:
    family = tree(*map(make_spec, "abc"), strategy=strategy, max_restarts=0).boot()
    mark = len(family.log)
    family.tell(RestartChild(position))
    stopped, started = RESTART_GROUP[strategy, position]
    in_order = "".join(sorted({*stopped, position}, reverse=True))
    assert family.log_since(mark) == [*stops(in_order), *starts(started)]
    assert family.delays_s == []


def test_an_operator_ends_a_backoff() -> None:
    family = tree(make_spec("a")).boot()
    family.crashes("a")
    family.tell(RestartChild("a"))
    assert family.state("a") is ChildState.RUNNING
    assert [timer.kind for timer in family.timers] == []


def test_an_operator_starts_a_temporary_child_again() -> None:
    family = tree(make_spec("a", restart=Restart.TEMPORARY)).boot()
    family.ends("a", Cause.NORMAL)
    family.tell(RestartChild("a"))
    assert family.state("a") is ChildState.RUNNING


# --- time limits and hangs -------------------------------------------------------------------


def test_a_start_that_takes_too_long_is_stopped_and_counts_as_a_death() -> None:
    family = tree(make_spec("a"), max_restarts=0, obedient=False).boot()
    family.fires(TimerKind.START, "a")
    assert family.state("a") is ChildState.STOPPING
    family.ends("a", Cause.SHUTDOWN)
    assert family.escalations == [Escalate("a", Cause.START_TIMEOUT, None)]


def test_a_start_that_takes_too_long_is_stopped_in_its_turn() -> None:
    family = tree(
        make_spec("a", restart=Restart.TEMPORARY), make_spec("b"), strategy=Strategy.REST_FOR_ONE
    ).boot()
    family.ends("a", Cause.NORMAL)
    family.obedient = False
    family.tell(RestartChild("a"))  # while b, which was started after it, runs
    family.tell(RestartChild("b"))
    mark = len(family.log)
    family.fires(TimerKind.START, "a")
    assert family.log_since(mark) == []
    family.ends("b", Cause.SHUTDOWN)
    assert family.log_since(mark) == ["stop a"]


def test_a_start_that_is_stuck_is_abandoned_before_the_next() -> None:
    family = tree(make_spec("a"), obedient=False).boot()
    family.fires(TimerKind.START, "a")
    family.fires(TimerKind.SHUTDOWN, "a")
    family.fires(TimerKind.BACKOFF, "a")
    assert family.log == ["start a", "stop a", "abandon a", "ready", "start a"]
    assert family.core.status("a").abandoned == 1


def test_a_child_that_does_not_stop_is_abandoned_and_the_rest_still_stops() -> None:
    family = tree(make_spec("a"), make_spec("b")).boot()
    family.obedient = False
    family.tell(Stop())
    family.fires(TimerKind.SHUTDOWN, "b")
    family.ends("a", Cause.SHUTDOWN)
    assert family.log_since(3) == ["stop b", "abandon b", "stop a", "done"]


def test_a_hang_that_may_not_be_replaced_escalates_at_once() -> None:
    family = tree(make_spec("a"), make_spec("b", on_hang=OnHang.ESCALATE)).boot()
    mark = len(family.log)
    family.tell(Hung("b", 1))
    assert family.log_since(mark) == ["abandon b", "escalate b", "stop a", "done"]
    assert family.escalations == [Escalate("b", Cause.HANG, None)]


def test_a_fatal_hang_below_is_passed_on_whatever_the_spec_says() -> None:
    spec = make_spec("a", restart=Restart.TEMPORARY, retry_failed_s=5.0)
    family = tree(spec, max_restarts=20).boot()
    family.ends("a", Cause.HANG)
    assert family.escalations == [Escalate("a", Cause.HANG, None)]


def test_the_late_end_of_an_abandoned_instance_changes_nothing() -> None:
    family = tree(make_spec("a")).boot()
    family.tell(Hung("a", 1))
    assert family.core.handle(Exited("a", 1, Cause.NORMAL), family.now) == []
    family.fires(TimerKind.BACKOFF, "a")
    assert family.core.handle(Exited("a", 1, Cause.NORMAL), family.now) == []
    assert family.core.handle(Started("a", 1), family.now) == []
    assert family.core.handle(Hung("a", 1), family.now) == []
    assert family.state("a") is ChildState.RUNNING


# --- groups in trouble -----------------------------------------------------------------------


def test_a_sibling_that_crashes_during_a_group_restart_counts_and_waits_its_own_delay() -> None:
    family = tree(*map(make_spec, "abcd"), strategy=Strategy.REST_FOR_ONE).boot()
    family.obedient = False
    mark = len(family.log)
    family.crashes("a")
    family.crashes("b")
    family.ends("d", Cause.SHUTDOWN)
    family.ends("c", Cause.SHUTDOWN)
    assert family.core.restarts_in_window(family.now) == 2
    family.obedient = True
    family.fires(TimerKind.BACKOFF, "a")
    assert family.log_since(mark) == ["stop d", "stop c", "start a"]
    family.fires(TimerKind.BACKOFF, "b")
    assert family.log_since(mark) == ["stop d", "stop c", *starts("abcd")]


def test_a_crash_while_being_stopped_does_not_count() -> None:
    family = tree(make_spec("a"), make_spec("b"), strategy=Strategy.REST_FOR_ONE, max_restarts=1)
    family.boot()
    family.obedient = False
    family.crashes("a")
    family.crashes("b")
    assert family.escalations == []
    assert family.core.restarts_in_window(family.now) == 1


def test_a_group_does_not_start_before_its_last_member_has_stopped() -> None:
    family = tree(*map(make_spec, "abc"), strategy=Strategy.ONE_FOR_ALL).boot()
    family.obedient = False
    mark = len(family.log)
    family.crashes("b")
    family.fires(TimerKind.BACKOFF, "b")
    assert family.log_since(mark) == ["stop c"]
    family.ends("c", Cause.SHUTDOWN)
    assert family.log_since(mark) == ["stop c", "stop a"]
    family.ends("a", Cause.SHUTDOWN)
    assert family.log_since(mark) == ["stop c", "stop a", "start a"]


def test_the_address_of_a_dead_child_is_cleared_before_anybody_else_is_touched() -> None:
    family = tree(*map(make_spec, "ab"), strategy=Strategy.REST_FOR_ONE).boot()
    commands = family.core.handle(Exited("a", 1, Cause.CRASH, CRASH), family.now)
    assert commands[0] == Became("a", 1, ChildState.BACKING_OFF, 0.75, Cause.CRASH, CRASH)
    assert [type(command) for command in commands[1:]] == [Arm, Became, Halt, Arm]


# --- boot and stop ---------------------------------------------------------------------------


def test_boot_of_an_ordered_supervisor_waits_for_each_child_to_run() -> None:
    family = tree(*map(make_spec, "ab"), strategy=Strategy.REST_FOR_ONE, obedient=False).boot()
    assert family.log == ["start a"]
    family.tell(Started("a", 1))
    assert family.log == ["start a", "start b"]
    family.tell(Started("b", 1))
    assert family.log == ["start a", "start b", "ready"]


def test_boot_of_one_for_one_goes_on_past_a_child_whose_dependency_is_down() -> None:
    family = tree(*map(make_spec, "ab"), obedient=False).boot()
    assert family.log == ["start a"]
    family.ends("a", Cause.START_FAILED, OUTAGE)
    assert family.log == ["start a", "start b"]
    family.tell(Started("b", 1))
    assert family.log == ["start a", "start b", "ready"]


def test_stop_goes_one_at_a_time_last_first() -> None:
    family = tree(*map(make_spec, "abc")).boot()
    mark = len(family.log)
    family.obedient = False
    family.tell(Stop())
    for name in "cba":
        assert family.log[-1] == f"stop {name}"
        family.ends(name, Cause.SHUTDOWN)
    assert family.log_since(mark) == ["stop c", "stop b", "stop a", "done"]
    assert family.timers == {}


def test_a_stop_during_a_backoff_ends_it() -> None:
    family = tree(make_spec("a"), make_spec("b")).boot()
    family.crashes("a")
    mark = len(family.log)
    family.tell(Stop())
    assert family.log_since(mark) == ["stop b", "done"]
    assert family.timers == {}
    assert family.core.handle(Fired(Timer(TimerKind.BACKOFF, "a", 1)), family.now) == []


def test_a_stop_before_boot_is_done_at_once() -> None:
    family = tree(make_spec("a"))
    family.tell(Stop())
    family.boot()
    assert family.log == ["done"]


def test_a_stop_while_starting_reaches_the_starting_child() -> None:
    family = tree(*map(make_spec, "ab"), obedient=False).boot()
    family.tell(Stop())
    family.ends("a", Cause.SHUTDOWN)
    assert family.log == ["start a", "stop a", "done"]


def test_a_supervisor_that_follows_a_dead_one_counts_generations_on() -> None:
    core = SupervisorCore(children=[make_spec("a")], last_generation=7)
    family = Tree(core).boot()
    assert family.generation("a") == 8
    assert family.core.status("a").restarts == 0


# --- dynamic supervisors ---------------------------------------------------------------------


def test_each_dynamic_child_has_its_own_budget() -> None:
    family = dynamic_tree(max_restarts=1)
    for name in "abc":
        family.tell(AddChild(make_spec(name)))
    for name in "abc":
        family.crashes_and_returns(name)
    mark = len(family.log)
    family.crashes("b")
    assert family.states() == [ChildState.RUNNING, ChildState.FAILED, ChildState.RUNNING]
    assert family.log_since(mark) == []
    family.tell(RestartChild("b"))
    family.crashes_and_returns("b")
    assert family.state("b") is ChildState.RUNNING


@pytest.mark.parametrize(
    ("restart", "cause"),
    [
        (Restart.TRANSIENT, Cause.NORMAL),
        (Restart.TEMPORARY, Cause.CRASH),
        (Restart.TEMPORARY, Cause.NORMAL),
    ],
)
def test_a_dynamic_child_that_is_done_is_forgotten(restart: Restart, cause: Cause) -> None:
    family = dynamic_tree()
    family.tell(AddChild(make_spec("a", restart=restart)))
    family.ends("a", cause)
    assert "a" not in family.core
    assert family.log == ["ready", "start a", "forget a"]


def test_a_name_can_be_used_again_and_old_reports_do_not_reach_its_new_child() -> None:
    family = dynamic_tree()
    family.tell(AddChild(make_spec("a")))
    family.tell(RemoveChild("a"))
    family.tell(AddChild(make_spec("a")))
    assert family.generation("a") == 2
    assert family.core.handle(Exited("a", 1, Cause.CRASH, CRASH), family.now) == []
    assert family.log == ["ready", "start a", "stop a", "forget a", "start a"]


def test_a_name_that_is_being_removed_goes_to_the_next_child_when_it_is_free() -> None:
    family = dynamic_tree()
    family.tell(AddChild(make_spec("a")))
    family.obedient = False
    family.tell(RemoveChild("a"))
    family.tell(AddChild(make_spec("a", restart=Restart.TEMPORARY)))
    assert family.log == ["ready", "start a", "stop a"]
    family.ends("a", Cause.SHUTDOWN)
    assert family.log == ["ready", "start a", "stop a", "forget a", "start a"]
    assert family.core.spec("a").restart is Restart.TEMPORARY


def test_a_name_in_use_is_refused() -> None:
    family = dynamic_tree()
    family.tell(AddChild(make_spec("a")))
    with pytest.raises(ValueError, match="exists already"):
        family.tell(AddChild(make_spec("a")))


def test_children_added_before_boot_start_with_it() -> None:
    family = Tree(SupervisorCore(dynamic=True))
    family.tell(AddChild(make_spec("a")))
    assert family.log == []
    family.boot()
    assert family.log == ["start a", "ready"]


def test_a_dynamic_supervisor_stops_all_children_at_once() -> None:
    family = dynamic_tree()
    for name in "abc":
        family.tell(AddChild(make_spec(name)))
    mark = len(family.log)
    family.obedient = False
    family.tell(Stop())
    assert family.log_since(mark) == ["stop a", "stop b", "stop c"]
    for name in "bac":
        family.ends(name, Cause.SHUTDOWN)
    assert family.log[-1] == "done"


class Unscannable(dict[str, Any]):
    """A dictionary that can be looked up but not gone through."""

    def _refuse(self) -> NoReturn:
        raise AssertionError("the children were scanned")

    __iter__ = keys = values = items = __reversed__ = _refuse


def test_an_event_of_one_of_ten_thousand_children_looks_at_no_other() -> None:
    family = dynamic_tree(max_restarts=2)
    for number in range(10_000):
        family.tell(AddChild(make_spec(f"t{number}")))
    family.core._children = Unscannable(family.core._children)
    family.crashes_and_returns("t77")
    family.tell(Hung("t77", 2))
    family.fires(TimerKind.BACKOFF, "t77")
    family.crashes("t77")
    assert family.state("t77") is ChildState.FAILED
    family.tell(RestartChild("t77"))
    family.tell(RemoveChild("t77"))
    family.tell(AddChild(make_spec("t77")))
    assert family.core.counts[ChildState.RUNNING] == 10_000
    assert len(family.core) == 10_000


# --- refusals and delays ---------------------------------------------------------------------


def test_two_children_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two children are named 'a'"):
        SupervisorCore(children=[make_spec("a"), make_spec("a")])


def test_a_dynamic_supervisor_has_no_order() -> None:
    with pytest.raises(ValueError, match="one_for_one"):
        SupervisorCore(Strategy.REST_FOR_ONE, dynamic=True)


def test_a_static_supervisor_takes_no_children_at_run_time() -> None:
    with pytest.raises(ValueError, match="only dynamic"):
        tree().tell(AddChild(make_spec("a")))
    family = tree(make_spec("a")).boot()
    family.tell(RemoveChild("a"))
    assert family.state("a") is ChildState.RUNNING


@pytest.mark.parametrize("name", ["", "a.b"])
def test_a_child_needs_a_name_that_fits_into_a_path(name: str) -> None:
    with pytest.raises(ValueError, match="without dots"):
        make_spec(name)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_time_that_cannot_work_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="start_timeout_s"):
        replace(make_spec("a"), start_timeout_s=seconds)


@pytest.mark.parametrize(("max_restarts", "window_s"), [(-1, 1.0), (1, 0.0)])
def test_a_limit_that_cannot_work_is_refused(max_restarts: int, window_s: float) -> None:
    with pytest.raises(ValueError, match="max_restarts"):
        RestartLimit(max_restarts, window_s)


def test_the_default_delay_grows_to_a_cap_and_is_random_there_too() -> None:
    at_cap = {backoff_delay_s(DEFAULT_WAIT, 100_000) for _ in range(50)}
    assert all(30.0 <= delay_s <= 32.0 for delay_s in at_cap)
    assert len(at_cap) > 1
    least = [min(backoff_delay_s(DEFAULT_WAIT, n) for _ in range(200)) for n in (1, 3, 5, 7)]
    assert all(shorter < longer for shorter, longer in pairwise(least))
    assert least[0] >= 0.5


def test_a_delay_is_never_negative() -> None:
    assert backoff_delay_s(lambda _: -3.0, 1) == 0.0


def test_a_window_keeps_no_more_deaths_than_it_needs() -> None:
    window = RestartWindow(max_restarts=2, window_s=10.0)
    assert [window.spend(float(now)) for now in (0, 1, 2, 3, 14)] == [
        False,
        False,
        True,
        True,
        False,
    ]
    window.clear()
    assert window.spent(14.0) == 0


@pytest.mark.parametrize("reason", ["the operator's button", "a start that takes too long"])
def test_a_child_that_may_not_be_started_beside_itself_is_never_replaced_while_stuck(
    reason: str,
) -> None:
    spec = ChildSpec(name="session", factory=lambda: None, on_hang=OnHang.ESCALATE)
    core = SupervisorCore(children=[spec])
    core.handle(Boot(), 0.0)
    if reason == "the operator's button":
        core.handle(Started("session", 1), 1.0)
        core.handle(RestartChild("session"), 2.0)
    else:
        core.handle(Fired(Timer(TimerKind.START, "session", 1)), 30.0)

    commands = core.handle(Fired(Timer(TimerKind.SHUTDOWN, "session", 1)), 40.0)

    assert any(isinstance(command, Escalate) for command in commands)
    assert not any(isinstance(command, Launch) for command in commands)
