"""Does a system come up, tell what is wrong if not, and go down within its budget, always?

What involves signals and exit codes runs in processes of its own.
"""

from __future__ import annotations

import signal
import threading
import time
from textwrap import dedent
from typing import Any

import pytest

from actors import ActorSystem, ChildSpec, ShutdownPhase, StartFailed, Supervisor
from actors.testing import ManualClock, ManualTimers, Probe, eventually, run_system
from tests.support.children import start_python
from tests.unit.actors.cast import (
    KINDS,
    Fail,
    Hold,
    Script,
    ThreadPlayer,
    await_state,
    generation_of,
    nested,
    node,
    spec,
)


def no_actor_threads() -> bool:
    return not any(t.name.startswith("actor") for t in threading.enumerate())


# --- start ---------------------------------------------------------------------------------------


def test_start_returns_when_every_permanent_actor_runs() -> None:
    inner = nested("n", spec("x"), nested("m", spec("y")))
    with run_system(spec("a"), inner) as system:
        for path in ("a", "n", "n.x", "n.m", "n.m.y"):
            assert node(system, path)["state"] == "running"


def test_a_start_that_takes_too_long_names_the_child_and_its_error() -> None:
    script = Script()

    def start() -> None:
        raise OSError("port 6881 is taken")

    script.start = start
    bad = spec("x", script=script, wait=lambda _state: 30.0)
    system = ActorSystem(nested("root", spec("a"), nested("n", bad)))
    with pytest.raises(StartFailed, match=r"n\.x did not start: OSError: port 6881 is taken"):
        system.start(0.5)
    assert no_actor_threads()


def test_a_start_that_exhausts_a_budget_fails_at_once_and_names_the_child() -> None:
    script = Script()

    def start() -> None:
        raise OSError("port 6881 is taken")

    script.start = start
    system = ActorSystem(nested("root", nested("n", spec("x", script=script))))
    with pytest.raises(StartFailed, match=r"n\.x did not start: OSError: port 6881 is taken"):
        system.start(60)
    assert no_actor_threads()


def port_taken() -> Script:
    """A start that never succeeds."""
    script = Script()

    def start() -> None:
        raise OSError("port 6881 is taken")

    script.start = start
    return script


@pytest.mark.parametrize("is_nested", [True, False])
def test_a_start_does_not_wait_for_a_failed_child_that_is_tried_again_too_late(
    *, is_nested: bool
) -> None:
    held: dict[str, Any] = {"retry_failed_s": 300.0}
    bad = spec("x", script=port_taken(), **({} if is_nested else held))
    inner = nested("n", bad, **(held if is_nested else {}))
    began = time.monotonic()
    system = ActorSystem(nested("root", spec("a"), inner))
    with pytest.raises(StartFailed, match=r"n\.x did not start: OSError: port") as caught:
        system.start(120)
    cause = caught.value.__cause__
    assert isinstance(cause.__cause__ if is_nested and cause else cause, OSError)
    assert time.monotonic() - began < 60
    assert no_actor_threads()


def test_a_start_waits_for_a_failed_child_that_is_tried_again_in_time() -> None:
    script = port_taken()
    fail, attempts = script.start, iter(range(100))

    def start() -> None:
        if next(attempts) < 6:  # one more than its budget
            fail()

    script.start = start
    with run_system(spec("x", script=script, retry_failed_s=0.05)) as system:
        assert node(system, "x")["state"] == "running"


@pytest.mark.parametrize(
    ("root", "why"),
    [
        (ChildSpec(name="root", factory=object), "which is no Actor"),
        (ChildSpec(name="root", factory=lambda: 1 // 0), "ZeroDivisionError"),
    ],
    ids=["no actor", "factory raises"],
)
def test_a_root_that_cannot_be_made_says_why(root: ChildSpec, why: str) -> None:
    with pytest.raises(StartFailed, match=why):
        ActorSystem(root).start(10)
    assert no_actor_threads()


def test_a_system_starts_once() -> None:
    with run_system(spec("a")) as system, pytest.raises(RuntimeError, match="starts once"):
        system.start(1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_root_need_not_be_a_supervisor(kind: type[ThreadPlayer]) -> None:
    with run_system(root=spec("root", kind)) as system:
        assert generation_of(system.address("root")) == 1
        system.address("root").tell(Fail(ValueError("boom")))
        reason = system.wait(10)
    assert reason is not None
    assert (reason.path, reason.message) == ("root", "ValueError: boom")


# --- wait ----------------------------------------------------------------------------------------


def test_wait_gives_up_when_its_time_is_over() -> None:
    with run_system(spec("a")) as system:
        assert system.wait(0.01) is None


def test_wait_returns_when_another_thread_stops_the_system() -> None:
    with run_system(spec("a")) as system:
        stopper = threading.Thread(target=system.stop, args=("enough",))
        stopper.start()
        reason = system.wait(30)
        stopper.join(10)
    assert reason is not None
    assert (reason.stopped, reason.message) == (True, "enough")


# --- stop ----------------------------------------------------------------------------------------


def test_phases_run_in_order_before_the_tree_and_unused_time_passes_on() -> None:
    seen: list[tuple[str, float]] = []
    log = Script()

    def phase(name: str, budget_s: float) -> ShutdownPhase:
        def action(time_left_s: float) -> None:
            assert "a#1 stop" not in log.log
            seen.append((name, time_left_s))

        return ShutdownPhase(name, budget_s, action)

    phases = [phase("one", 2.0), phase("two", 3.0), phase("three", 60.0)]
    system = ActorSystem(
        nested("root", spec("a", script=log)), shutdown_phases=phases, shutdown_budget_s=20.0
    )
    system.start(10)
    report = system.stop("test")
    assert [name for name, _ in seen] == ["one", "two", "three"]
    (_, one_s), (_, two_s), (_, three_s) = seen
    assert one_s == pytest.approx(2.0, abs=0.01)
    assert 3.0 < two_s <= 5.0
    assert 10.0 < three_s <= 20.0
    assert [(p.name, p.finished) for p in report.phases] == [
        ("one", True),
        ("two", True),
        ("three", True),
    ]
    assert report.clean
    assert log.log[-1] == "a#1 stop"


def test_a_phase_that_raises_or_hangs_does_not_keep_the_others_from_running() -> None:
    gate = threading.Event()
    seen: list[str] = []

    def bad(_time_left_s: float) -> None:
        raise OSError("disk full")

    def stuck(_time_left_s: float) -> None:
        gate.wait(30)

    phases = [
        ShutdownPhase("bad", 0.0, bad),
        ShutdownPhase("stuck", 0.2, stuck),
        ShutdownPhase("last", 1.0, lambda _s: seen.append("last")),
    ]
    log = Script()
    system = ActorSystem(nested("root", spec("a", script=log)), shutdown_phases=phases)
    system.start(10)
    report = system.stop()
    gate.set()
    assert seen == ["last"]
    second = report.phases[1]
    assert (second.finished, second.error) == (False, "took too long")
    assert not report.phases[0].finished
    assert not report.clean
    assert log.log[-1] == "a#1 stop"
    eventually(lambda: not any(t.name == "shutdown-stuck" for t in threading.enumerate()))


def test_a_stop_never_takes_longer_than_its_budget_and_lets_everybody_else_end() -> None:
    gate = threading.Event()
    log = Script()
    stuck = [spec(f"s{n}", shutdown_timeout_s=60.0) for n in range(3)]
    inner = nested("n", spec("x", script=log), spec("s", shutdown_timeout_s=60.0))
    system = ActorSystem(
        nested("root", spec("a", script=log), inner, *stuck), shutdown_budget_s=2.0
    )
    system.start(10)
    for path in ("s0", "s1", "s2", "n.s"):
        entered = threading.Event()
        system.address(path).tell(Hold(gate, entered))
        assert entered.wait(10)
    report = system.stop()
    assert report.took_s < 2.0 + 1.0
    assert sorted(report.abandoned) == ["n.s", "s0", "s1", "s2"]
    assert log.log[-2:] == ["n.x#1 stop", "a#1 stop"]
    gate.set()
    eventually(no_actor_threads)


def test_a_stop_also_hurries_what_was_being_stopped_already() -> None:
    gate, entered, log = threading.Event(), threading.Event(), Script()
    stuck = spec("stuck", shutdown_timeout_s=60.0)
    system = ActorSystem(nested("root", spec("a", script=log), stuck), shutdown_budget_s=2.0)
    system.start(10)
    system.address("stuck").tell(Hold(gate, entered))
    assert entered.wait(10)
    system.restart("stuck")
    await_state(system, "stuck", "stopping")
    report = system.stop()
    assert report.abandoned == ("stuck",)
    assert log.log[-1] == "a#1 stop"
    gate.set()
    eventually(no_actor_threads)


def test_stopping_twice_gives_the_same_report() -> None:
    with run_system(spec("a")) as system:
        first = system.stop("first")
        assert system.stop("second") is first
        assert first.reason == "first"


def test_a_system_that_was_never_started_can_be_stopped() -> None:
    system = ActorSystem(ChildSpec(name="root", factory=Supervisor))
    assert system.stop().clean
    with pytest.raises(RuntimeError):
        system.start(1)


def test_time_for_decisions_comes_from_the_clock_that_was_passed_in() -> None:
    clock = ManualClock()
    timers = ManualTimers(clock)
    received: list[object] = []

    class Ticking(Probe):
        def on_start(self) -> None:
            self.every(10, "tick")
            self.after(25, "once")
            self.after(26, "never").cancel()

    ticking = ChildSpec(name="a", factory=lambda: Ticking(received))
    with run_system(ticking, clock=clock, timers=timers) as system:
        for count in (1, 2):
            timers.advance(10)
            eventually(lambda n=count: len(received) == n)  # type: ignore[misc]
        timers.advance(6)
        eventually(lambda: received == ["tick", "tick", "once"])
        assert system.address("a").ask("done", timeout_s=10) is None
    assert received == ["tick", "tick", "once", "done"]


def test_a_period_that_was_missed_is_not_made_up_for() -> None:
    timers = ManualTimers(ManualClock())
    received: list[object] = []
    entered, gate = threading.Event(), threading.Event()

    class Slow(Probe):
        def on_start(self) -> None:
            self.every(10, "tick")

        def on_receive(self, message: object) -> object:
            if message == "tick" and not received:
                entered.set()
                gate.wait(30)
            return super().on_receive(message)

    child = ChildSpec(name="a", factory=lambda: Slow(received))
    with run_system(child, clock=timers.clock, timers=timers) as system:
        timers.advance(10)
        assert entered.wait(10)
        timers.advance(35)
        gate.set()
        system.address("a").ask("one", timeout_s=10)
        timers.advance(9)
        system.address("a").ask("two", timeout_s=10)
        timers.advance(1)
        eventually(lambda: received == ["tick", "one", "two", "tick"])


def test_a_timer_can_be_cancelled_when_its_message_is_queued_already() -> None:
    timers = ManualTimers(ManualClock())
    received: list[object] = []
    armed, gate = threading.Event(), threading.Event()

    class Regretful(Probe):
        def on_receive(self, message: object) -> object:
            if message == "arm":
                timer = self.after(1, "never")
                armed.set()
                gate.wait(30)
                assert timer.cancel()
                assert not timer.cancel()
            return super().on_receive(message)

    child = ChildSpec(name="a", factory=lambda: Regretful(received))
    with run_system(child, clock=timers.clock, timers=timers) as system:
        system.address("a").tell("arm")
        assert armed.wait(10)
        assert timers.advance(1) >= 1
        gate.set()
        system.address("a").ask("end", timeout_s=10)
    assert received == ["arm", "end"]


def test_a_timer_ends_with_its_generation() -> None:
    clock = ManualClock()
    timers = ManualTimers(clock)
    received: list[object] = []

    class Once(Probe):
        def on_receive(self, message: object) -> object:
            if message == "arm":
                self.after(10, f"from generation {self.context.generation}")
            if message == "crash":
                raise ValueError("crash")
            return super().on_receive(message)

    child = ChildSpec(name="a", factory=lambda: Once(received), wait=lambda _state: 0.0)
    with run_system(child, clock=clock, timers=timers) as system:
        address = system.address("a")
        address.ask("arm", timeout_s=10)
        address.tell("crash")
        await_state(system, "a", "backing_off")
        timers.advance(0)
        await_state(system, "a", "running")
        address.ask("arm", timeout_s=10)
        timers.advance(60)
        eventually(lambda: len(received) == 3)
        address.ask("end", timeout_s=10)
    assert received == ["arm", "arm", "from generation 2", "end"]


# --- signals, in a process of its own ------------------------------------------------------------

PROGRAM = """
    import faulthandler, os, signal, sys, threading, time
    faulthandler.dump_traceback_later(60, exit=True)  # if it hangs, let it say where
    from actors import *
    from tests.unit.actors.cast import *

    BUDGET_S = 3.0
    reached = threading.Event()
    held = threading.Event()

    class Slow(ThreadPlayer):
        def on_start(self):
            reached.set()
            if {slow_start}:
                held.wait(60)
            super().on_start()

    def stop(number, frame):
        raise SystemExit(number)

    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    stopping = threading.Event()
    system = ActorSystem(
        nested("root", spec("a"), spec("p", PooledPlayer), spec("loop", LoopPlayer),
               spec("slow", Slow, wait=lambda _: 60.0, shutdown_timeout_s=60.0)),
        shutdown_budget_s=BUDGET_S,
        shutdown_phases=[ShutdownPhase("drain", 0.5, lambda left: None)],
    )
    def say(line):  # in one piece, whatever other threads print
        os.write(1, (line + "\\n").encode())

    def boot():
        try:
            system.start(30)
        except StartFailed:
            say("start failed")

    starter = threading.Thread(target=boot, daemon=True)
    starter.start()
    if {slow_start}:
        reached.wait(30)
    else:
        starter.join()

    def load(path):
        while True:
            try:
                system.address(path).ask("hello", timeout_s=5)
            except Unavailable:
                held.wait(0.001)

    if {load}:
        for path in ("a", "p", "loop") * 2:
            threading.Thread(target=load, args=(path,), daemon=True).start()
    if {hang}:
        entered = threading.Event()
        system.address("slow").tell(Hold(held, entered))
        entered.wait(10)
    if {backoff}:
        system.address("slow").tell(Fail(ValueError("boom")))
        while system.health()["status"] != "degraded":
            held.wait(0.001)
    say("ready")
    while not stopping.is_set():
        system.wait(0.05)
    began = time.monotonic()
    report = system.stop("SIGTERM")
    say(f"abandoned {{report.abandoned}} took {{time.monotonic() - began}}")
    sys.exit(7 if report.clean else 8)
"""


@pytest.mark.parametrize(
    ("situation", "code", "abandoned"),
    [
        ("load", 7, "()"),
        ("hang", 8, "('slow',)"),
        ("slow_start", 8, "('slow',)"),
        ("backoff", 7, "()"),
    ],
)
def test_a_sigterm_ends_the_process_in_time_and_with_its_own_code(
    situation: str, code: int, abandoned: str
) -> None:
    switches = dict.fromkeys(("load", "hang", "slow_start", "backoff"), False)
    program = dedent(PROGRAM).format(**{**switches, situation: True})
    with start_python(program) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "ready\n":
                break
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        took_s = time.monotonic() - began
    everything = "".join(lines) + output
    assert process.returncode == code, everything
    assert f"abandoned {abandoned}" in everything
    assert took_s < 3.0 + 5.0, everything


def test_a_stop_that_comes_before_the_start_wins() -> None:
    system = ActorSystem(nested("root", spec("a")))
    system.stop("too early")
    with pytest.raises(RuntimeError, match="make a new one"):
        system.start(10)
    assert no_actor_threads()


def test_a_stop_in_the_middle_of_a_start_ends_both() -> None:
    script, gate, entered = Script(), threading.Event(), threading.Event()

    def start() -> None:
        entered.set()
        gate.wait(30)

    script.start = start
    errors: list[BaseException] = []
    system = ActorSystem(nested("root", spec("a", script=script), spec("b", script=script)))

    def boot() -> None:
        try:
            system.start(30)
        except StartFailed as error:
            errors.append(error)

    starter = threading.Thread(target=boot)
    starter.start()
    assert entered.wait(10)
    stopper = threading.Thread(target=system.stop, args=("changed my mind",))
    stopper.start()
    await_state(system, "a", "stopping")
    gate.set()
    stopper.join(20)
    starter.join(20)
    assert [str(error) for error in errors] == ["root did not start: changed my mind"]
    assert script.log == ["a#1 start", "a#1 stop"]
    eventually(no_actor_threads)


def test_a_second_signal_in_the_middle_of_a_stop_does_not_block() -> None:
    program = """
        import os, signal, threading
        from actors import *
        from tests.unit.actors.cast import *
        reports = []
        signal.signal(signal.SIGTERM, lambda *_: reports.append(system.stop("again")))
        phase = ShutdownPhase("kill", 5.0, lambda left: os.kill(os.getpid(), signal.SIGTERM))
        system = ActorSystem(nested("root", spec("a")), shutdown_phases=[phase])
        system.start(10)
        report = system.stop("first")
        print(report.reason, report.clean, [r.reason for r in reports], flush=True)
    """
    with start_python(program) as process:
        output, _ = process.communicate(timeout=60)
    assert "first True ['again']" in output
    assert process.returncode == 0
