"""Does a supervisor carry out what its core decides, with real actors that fail in every way?"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from actors import (
    ActorSystem,
    AskTimeout,
    Cause,
    ChildAbandoned,
    ChildFailed,
    ChildRestarted,
    ChildSpec,
    ChildStarted,
    ChildStopped,
    KitEvent,
    OnHang,
    Restart,
    RestartLimit,
    StartFailed,
    Strategy,
    Supervisor,
    Unavailable,
)
from actors.testing import ManualClock, ManualTimers, eventually, run_system
from tests.unit.actors.cast import (
    AT_ONCE,
    GENEROUS,
    KINDS,
    Fail,
    Hold,
    Leave,
    PooledPlayer,
    Script,
    ThreadPlayer,
    await_state,
    generation_of,
    nested,
    node,
    spec,
)

if TYPE_CHECKING:
    from tests.unit.actors.cast import _Player

BOOM = Fail(ValueError("boom"))


# --- strategies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_rest_for_one_restarts_what_started_later(kind: type[_Player]) -> None:
    log = Script()
    children = [spec(name, kind, script=log) for name in "abc"]
    with run_system(*children, strategy=Strategy.REST_FOR_ONE) as system:
        del log.log[:]
        system.address("b").tell(BOOM)
        eventually(lambda: len(log.log) == 4)
        assert generation_of(system.address("a")) == 1
        assert log.log == ["b#1 crash message ValueError", "c#1 stop", "b#2 start", "c#2 start"]


def test_one_for_all_restarts_everybody_stopping_the_last_first() -> None:
    log = Script()
    children = [spec(name, script=log) for name in "abc"]
    with run_system(*children, strategy=Strategy.ONE_FOR_ALL) as system:
        del log.log[:]
        system.address("b").tell(BOOM)
        eventually(lambda: len(log.log) == 6)
        assert log.log == [
            "b#1 crash message ValueError",
            "c#1 stop",
            "a#1 stop",
            "a#2 start",
            "b#2 start",
            "c#2 start",
        ]


def test_a_system_stops_in_reverse_start_order() -> None:
    log = Script()
    inner = nested("n", spec("x", script=log), spec("y", script=log))
    with run_system(spec("a", script=log), inner, spec("b", script=log)):
        assert log.log == ["a#1 start", "n.x#1 start", "n.y#1 start", "b#1 start"]
    assert log.log[4:] == ["b#1 stop", "n.y#1 stop", "n.x#1 stop", "a#1 stop"]


def test_two_that_crash_in_the_same_instant_both_come_back() -> None:
    gate = threading.Event()

    with run_system(spec("a"), spec("b"), strategy=Strategy.ONE_FOR_ALL) as system:
        for name in "ab":
            system.address(name).tell(Hold(gate))
            system.address(name).tell(BOOM)
        gate.set()
        eventually(lambda: generation_of(system.address("a")) >= 2)
        eventually(lambda: generation_of(system.address("b")) >= 2)


def test_a_sibling_that_crashes_while_its_group_restarts_delays_nobody_for_ever() -> None:
    log = Script()
    failures = iter([ValueError("first stop"), ValueError("second stop")])

    def stop() -> None:
        for error in failures:
            raise error

    log.stop = stop
    children = [spec(name, script=log) for name in "abc"]
    with run_system(*children, strategy=Strategy.ONE_FOR_ALL, limit=GENEROUS) as system:
        system.address("a").tell(BOOM)
        for name in "abc":
            eventually(lambda n=name: generation_of(system.address(n)) == 2)  # type: ignore[misc]


def test_a_child_that_dies_while_it_is_being_stopped_has_stopped() -> None:
    gate, entered = threading.Event(), threading.Event()
    with run_system(spec("a")) as system:
        address = system.address("a")
        address.tell(Hold(gate, entered))
        assert entered.wait(10)
        system.restart("a")
        await_state(system, "a", "stopping")
        gate.set()
        eventually(lambda: generation_of(address) == 2)
        assert node(system, "a")["last_error"] is None


# --- starts --------------------------------------------------------------------------------------


def test_a_factory_that_raises_is_a_failed_start_and_is_tried_again() -> None:
    failures = iter([OSError("not yet"), SystemExit(1)])

    def factory() -> ThreadPlayer:
        for error in failures:
            raise error
        return ThreadPlayer()

    with run_system(ChildSpec(name="a", factory=factory, wait=AT_ONCE)) as system:
        assert generation_of(system.address("a")) == 3
        last = node(system, "a")["last_error"]
        assert (last["type"], last["cause"], last["count"]) == ("SystemExit", "start_failed", 2)


def test_a_factory_that_makes_no_actor_is_named() -> None:
    child = ChildSpec(name="a", factory=object, wait=AT_ONCE)
    system = ActorSystem(nested("root", child))
    with pytest.raises(StartFailed, match=r"the factory of a made .*which is no Actor"):
        system.start(10)


def test_a_start_that_takes_too_long_is_given_up_and_repeated() -> None:
    gate, script = threading.Event(), Script()
    only_the_first = iter([1])

    def start() -> None:
        for _ in only_the_first:
            gate.wait(30)

    script.start = start
    slow = spec("a", script=script, start_timeout_s=0.05, shutdown_timeout_s=0.05)
    with run_system(slow) as system:
        assert generation_of(system.address("a")) == 2
        assert node(system, "a")["last_error"]["cause"] == "start_timeout"
        assert node(system, "a")["abandoned"] == 1
        gate.set()
        eventually(lambda: node(system, "a")["abandoned"] == 0)
        assert generation_of(system.address("a")) == 2


def test_a_later_sibling_starts_when_the_earlier_one_runs() -> None:
    log, gate = Script(), threading.Event()
    log.start = lambda: gate.wait(30) if len(log.log) == 1 else None
    system = ActorSystem(nested("root", spec("a", script=log), spec("b", script=log)))
    starter = threading.Thread(target=system.start, args=(30,))
    starter.start()
    eventually(lambda: log.log == ["a#1 start"])
    gate.set()
    starter.join(10)
    assert log.log == ["a#1 start", "b#1 start"]
    system.stop()


def test_a_supervisor_may_take_longer_to_start_than_any_of_its_children() -> None:
    failures = iter([ValueError("1"), ValueError("2"), ValueError("3")])
    script = Script()

    def start() -> None:
        for error in failures:
            raise error

    script.start = start
    inner = nested(
        "n",
        spec("x", script=script, wait=lambda _state: 0.1),
        strategy=Strategy.REST_FOR_ONE,
        start_timeout_s=0.05,
    )
    with run_system(inner) as system:
        assert generation_of(system.address("n.x")) == 4
        assert node(system, "n")["generation"] == 1


def test_two_children_of_one_name_are_refused_with_the_reason() -> None:
    system = ActorSystem(nested("root", spec("a"), spec("a")))
    with pytest.raises(StartFailed, match="two children are named 'a'"):
        system.start(10)


# --- limits and escalation -----------------------------------------------------------------------


def test_one_death_more_than_the_limit_ends_the_supervisor_and_all_its_children() -> None:
    log = Script()
    children = [spec(name, script=log) for name in "ab"]
    system = ActorSystem(
        nested("root", *children, limit=RestartLimit(max_restarts=3, window_s=10.0))
    )
    system.start(10)
    for generation in (1, 2, 3, 4):
        eventually(lambda g=generation: generation_of(system.address("b")) == g)  # type: ignore[misc]
        system.address("b").tell(BOOM)
    reason = system.wait(10)
    assert reason is not None
    assert not reason.stopped
    assert not reason.hung
    assert reason.path == "b"
    assert reason.message == "ValueError: boom"
    assert "a#1 stop" in log.log
    assert str(reason.error) == "b died more than 3 times in 10 s, last of crash: boom"
    system.stop()
    assert log.log.count("b#5 start") == 0


def test_a_broken_supervisor_is_restarted_by_its_own() -> None:
    inner = nested("n", spec("x"), spec("y"), limit=RestartLimit(max_restarts=0))
    with run_system(inner, spec("z")) as system:
        system.address("n.x").tell(BOOM)
        eventually(lambda: generation_of(system.address("n.x")) == 2)
        eventually(lambda: generation_of(system.address("n.y")) == 2)
        assert generation_of(system.address("z")) == 1
        last = node(system, "n")["last_error"]
        assert (last["type"], last["cause"]) == ("RestartsExhausted", "escalated")
        assert last["message"].startswith("n.x died more than 0 times")


def test_a_supervisor_that_may_fail_is_held_and_tried_again_later() -> None:
    clock = ManualClock()
    timers = ManualTimers(clock)
    inner = nested("n", spec("x"), limit=RestartLimit(max_restarts=0), retry_failed_s=300.0)
    with run_system(inner, spec("z"), clock=clock, timers=timers) as system:
        system.address("n.x").tell(BOOM)
        await_state(system, "n", "failed")
        timers.advance(100)
        assert system.health()["status"] == "failing"
        assert node(system, "n")["retry_in_s"] == pytest.approx(200)
        assert node(system, "n.x")["last_error"]["message"] == "boom"
        assert generation_of(system.address("z")) == 1
        with pytest.raises(Unavailable):
            system.address("n.x").tell("hello?")
        timers.advance(200)
        eventually(lambda: generation_of(system.address("n.x")) == 2)
        eventually(lambda: system.health()["status"] == "ok")


@pytest.mark.parametrize("button", ["n", "n.x"])
def test_an_operator_can_bring_a_failed_supervisor_back(button: str) -> None:
    inner = nested("n", spec("x"), limit=RestartLimit(max_restarts=0), retry_failed_s=300.0)
    with run_system(inner) as system:
        system.address("n.x").tell(BOOM)
        await_state(system, "n", "failed")
        system.restart(button)
        eventually(lambda: generation_of(system.address("n.x")) == 2)


def test_a_child_whose_dependency_is_down_backs_off_without_end() -> None:
    patient = spec("a", transient_errors=(ConnectionError,))
    with run_system(patient, limit=RestartLimit(max_restarts=0)) as system:
        for generation in range(1, 8):
            eventually(lambda g=generation: generation_of(system.address("a")) == g)  # type: ignore[misc]
            system.address("a").tell(Fail(ConnectionRefusedError("down")))
        eventually(lambda: generation_of(system.address("a")) == 8)


def test_a_bug_in_the_supervisor_itself_leaves_no_child_behind() -> None:
    script = Script()

    class Buggy(Supervisor):
        def child_became(self, became: object) -> None:
            if bug.is_set():
                raise ValueError("bug")

    bug = threading.Event()

    def factory() -> Supervisor:
        return Buggy(children=[spec("x", script=script), spec("y", script=script)])

    with run_system(ChildSpec(name="n", factory=factory, wait=AT_ONCE)) as system:
        bug.set()
        system.address("n.x").tell(BOOM)
        eventually(lambda: "n.y#1 stop" in script.log)
        bug.clear()
        eventually(lambda: generation_of(system.address("n.y")) >= 2)
        eventually(lambda: generation_of(system.address("n.x")) >= 2)


def test_a_supervisor_that_dies_while_a_child_starts_takes_the_child_along() -> None:
    gate, slow = threading.Event(), Script()
    first = iter([1])
    slow.start = lambda: [gate.wait(30) for _ in first]
    inner = nested("n", spec("x"), spec("y", script=slow), limit=RestartLimit(max_restarts=0))
    system = ActorSystem(nested("root", inner))
    starter = threading.Thread(target=system.start, args=(30,))
    starter.start()
    eventually(lambda: "n.y#1 start" in slow.log)
    system.address("n.x").tell(BOOM)
    await_state(system, "n.y", "stopping")
    gate.set()
    eventually(lambda: generation_of(system.address("n.y")) >= 2)
    starter.join(10)
    assert slow.log[:2] == ["n.y#1 start", "n.y#1 stop"]
    system.stop()


# --- hangs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_child_that_hangs_is_replaced(kind: type[_Player]) -> None:
    gate, entered = threading.Event(), threading.Event()
    events: list[KitEvent] = []
    with run_system(spec("a", kind, hang_after_s=0.05), observer=events.append) as system:
        address = system.address("a")
        in_flight = address.ask_later(Hold(gate, entered, answer="better late"))
        assert entered.wait(10)
        queued = address.ask_later("queued")
        with pytest.raises(Unavailable):
            queued.get(timeout_s=10)
        eventually(lambda: generation_of(address) == 2)
        assert node(system, "a")["abandoned"] == 1
        assert system.health()["status"] == "failing"
        with pytest.raises(AskTimeout):
            in_flight.get(timeout_s=0)
        gate.set()
        assert in_flight.get(timeout_s=10) == "better late"
        eventually(lambda: system.health()["status"] == "ok")
        assert generation_of(address) == 2
    assert [event.path for event in events if isinstance(event, ChildAbandoned)] == ["a"]
    assert [e.cause for e in events if isinstance(e, ChildRestarted)] == [Cause.HANG]


def test_a_loop_actor_that_waits_for_its_own_descriptor_never_looks_hung() -> None:
    kind = KINDS[2]
    with run_system(spec("a", kind, hang_after_s=0.8)) as system:
        pause = threading.Event()
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            assert generation_of(system.address("a")) == 1
            pause.wait(0.1)


def test_many_pooled_actors_that_hang_cost_nobody_a_worker() -> None:
    gate = threading.Event()
    children = [spec(f"h{n}", PooledPlayer, hang_after_s=0.05) for n in range(6)]
    with run_system(*children, spec("other", PooledPlayer), workers=2, limit=GENEROUS) as system:
        entered = [threading.Event() for _ in children]
        for child, flag in zip(children, entered, strict=True):
            system.address(child.name).tell(Hold(gate, flag))
        for flag in entered:
            assert flag.wait(20)
        eventually(lambda: generation_of(system.address("other")) == 1)
        gate.set()


def test_a_hang_that_must_not_be_replaced_ends_everything_above_it() -> None:
    gate, entered = threading.Event(), threading.Event()
    session = spec("session", hang_after_s=0.05, on_hang=OnHang.ESCALATE)
    engine = nested("engine", session, spec("pump"), retry_failed_s=300.0)
    system = ActorSystem(nested("root", engine, spec("other")))
    system.start(10)
    system.address("engine.session").tell(Hold(gate, entered))
    assert entered.wait(10)
    reason = system.wait(20)
    assert reason is not None
    assert reason.hung
    assert not reason.stopped
    assert reason.path == "engine.session"
    report = system.stop("it hangs")
    assert report.abandoned == ("engine.session",)
    assert not report.clean
    gate.set()
    eventually(lambda: not any(t.name.startswith("actor-") for t in threading.enumerate()))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_one_that_must_not_be_replaced_is_not_replaced_beside_its_hanging_last_hook(
    kind: type[_Player],
) -> None:
    gate, script = threading.Event(), Script()
    script.crash = lambda: gate.wait(30)
    session = spec("session", kind, script=script, on_hang=OnHang.ESCALATE, shutdown_timeout_s=0.05)
    system = ActorSystem(nested("root", nested("engine", session)))
    system.start(10)
    system.address("engine.session").tell(BOOM)
    reason = system.wait(20)
    assert reason is not None
    assert reason.hung
    assert reason.path == "engine.session"
    assert [line for line in script.log if line.endswith("start")] == ["engine.session#1 start"]
    system.stop()
    gate.set()
    eventually(lambda: not any(t.name.startswith("actor-") for t in threading.enumerate()))


def test_a_supervisor_whose_child_does_not_stop_ends_in_order_itself() -> None:
    gate, entered = threading.Event(), threading.Event()
    stuck = spec("stuck", shutdown_timeout_s=0.3)
    system = ActorSystem(nested("root", nested("n", stuck, shutdown_timeout_s=0.0)))
    system.start(10)
    system.address("n.stuck").tell(Hold(gate, entered))
    assert entered.wait(10)
    assert system.stop().abandoned == ("n.stuck",)
    gate.set()
    eventually(lambda: not any(t.name.startswith("actor-") for t in threading.enumerate()))


def test_a_supervisor_that_is_stuck_in_a_factory_is_given_up_with_its_children() -> None:
    gate, stuck = threading.Event(), threading.Event()
    made: list[int] = []

    def factory() -> ThreadPlayer:
        made.append(1)
        if len(made) == 2:
            stuck.set()
            gate.wait(30)
        return ThreadPlayer()

    blocking = ChildSpec(name="y", factory=factory, wait=AT_ONCE, shutdown_timeout_s=0.05)
    inner = nested("n", spec("x", shutdown_timeout_s=0.05), blocking, shutdown_timeout_s=0.05)
    with run_system(inner) as system:
        system.address("n.y").tell(BOOM)
        assert stuck.wait(10)
        system.restart("n")
        eventually(lambda: generation_of(system.address("n.x")) == 3)
        eventually(lambda: generation_of(system.address("n.y")) == 3)
        eventually(lambda: not any(t.name == "actor-n.x-1" for t in threading.enumerate()))
        assert node(system, "n")["abandoned"] == 1
        gate.set()
        eventually(lambda: system.health()["status"] == "ok")
        # What the stuck one was about to start has not come between.
        assert generation_of(system.address("n.y")) == 3
        assert len(made) == 3


# --- stops ---------------------------------------------------------------------------------------


def test_a_stop_during_a_backoff_starts_nobody() -> None:
    log = Script()
    with run_system(spec("a", script=log, wait=lambda _state: 0.3)) as system:
        system.address("a").tell(BOOM)
        await_state(system, "a", "backing_off")
    assert log.log == ["a#1 start", "a#1 crash message ValueError"]


def test_a_child_that_does_not_stop_is_abandoned_after_its_time() -> None:
    gate, entered = threading.Event(), threading.Event()
    log = Script()
    stuck = spec("stuck", shutdown_timeout_s=0.1)
    system = ActorSystem(nested("root", spec("a", script=log), stuck))
    system.start(10)
    system.address("stuck").tell(Hold(gate, entered))
    assert entered.wait(10)
    report = system.stop()
    assert report.abandoned == ("stuck",)
    assert report.took_s < 5
    assert log.log[-1] == "a#1 stop"
    gate.set()
    eventually(lambda: not any(t.name.startswith("actor-") for t in threading.enumerate()))


def test_a_restart_loop_that_hangs_in_its_start_does_not_hold_up_a_stop() -> None:
    gate, script = threading.Event(), Script()
    script.start = lambda: gate.wait(30) if len(script.log) > 1 else None
    system = ActorSystem(nested("root", spec("a", script=script, shutdown_timeout_s=0.1)))
    system.start(10)
    system.address("a").tell(BOOM)
    eventually(lambda: "a#2 start" in script.log)
    report = system.stop()
    assert report.abandoned == ("a",)
    assert report.took_s < 5
    gate.set()
    eventually(lambda: not any(t.name.startswith("actor-") for t in threading.enumerate()))


# --- events --------------------------------------------------------------------------------------


def test_an_observer_sees_the_life_of_a_child() -> None:
    events: list[KitEvent] = []
    gate, entered = threading.Event(), threading.Event()
    with run_system(spec("a"), observer=events.append) as system:
        address = system.address("a")
        address.tell(Hold(gate, entered))
        assert entered.wait(10)
        address.tell(BOOM)
        address.tell("lost")
        address.tell("lost too")
        gate.set()
        eventually(lambda: len(events) >= 2)
        eventually(lambda: generation_of(address) == 2)
    kinds = [type(event) for event in events]
    assert kinds == [ChildStarted, ChildRestarted, ChildStarted, ChildStopped]
    restarted = events[1]
    assert isinstance(restarted, ChildRestarted)
    assert (restarted.path, restarted.generation, restarted.cause) == ("a", 1, Cause.CRASH)
    assert (restarted.error_type, restarted.message) == ("ValueError", "boom")
    assert (restarted.mailbox_depth, restarted.backoff_s) == (2, 0.01)
    assert restarted.at.tzinfo is not None


def test_an_observer_that_raises_harms_nobody() -> None:
    def observer(_event: KitEvent) -> None:
        raise ValueError("bad observer")

    with run_system(spec("a"), observer=observer) as system:
        system.address("a").tell(BOOM)
        eventually(lambda: generation_of(system.address("a")) == 2)


def test_a_failed_child_is_an_event() -> None:
    events: list[KitEvent] = []
    held = spec("a", retry_failed_s=300.0)
    with run_system(held, observer=events.append, limit=RestartLimit(max_restarts=0)) as system:
        system.address("a").tell(BOOM)
        await_state(system, "a", "failed")
        eventually(lambda: any(isinstance(event, ChildFailed) for event in events))
        with pytest.raises(Unavailable) as refused:
            system.address("a").tell("hello?")
        assert 200 < (refused.value.retry_after_s or 0) <= 300
    failed = next(event for event in events if isinstance(event, ChildFailed))
    assert (failed.path, failed.error_type, failed.retry_in_s) == ("a", "ValueError", 300.0)


def test_work_that_is_done_stays_done() -> None:
    with run_system(
        spec("once", restart=Restart.TEMPORARY), spec("job", restart=Restart.TRANSIENT)
    ) as system:
        system.address("once").tell(BOOM)
        system.address("job").tell(Leave())
        await_state(system, "once", "stopped")
        await_state(system, "job", "stopped")
        assert system.health()["status"] == "ok"
        assert node(system, "once")["last_error"]["message"] == "boom"
