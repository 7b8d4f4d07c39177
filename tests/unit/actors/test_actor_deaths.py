"""However an actor dies: is it reported once, restarted, and is every asker answered?

The situations are those of `test_pykka_contract`, for all three kinds of actors.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pykka
import pytest

from actors import (
    ActorSystem,
    ChildSpec,
    PooledActor,
    Reply,
    Restart,
    StartFailed,
    Supervisor,
    ThreadActor,
    Unavailable,
    UnknownMessage,
)
from actors.kit import start_daemon_thread
from actors.testing import eventually, run_system
from tests.unit.actors.cast import (
    AT_ONCE,
    GENEROUS,
    KINDS,
    DomainError,
    Fail,
    Generation,
    Hold,
    Leave,
    LoopPlayer,
    Script,
    ThreadPlayer,
    await_state,
    generation_of,
    spec,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors import Address
    from tests.unit.actors.cast import _Player

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def back_as(address: Address, generation: int) -> None:
    eventually(lambda: generation_of(address) == generation, what=f"generation {generation}")


@each_kind
def test_a_crash_in_a_tell_restarts_it_behind_the_same_address(kind: type[_Player]) -> None:
    script = Script()
    with run_system(spec("a", kind, script=script)) as system:
        address = system.address("a")
        address.tell(Fail(ValueError("boom")))
        back_as(address, 2)
    assert script.log == ["a#1 start", "a#1 crash message ValueError", "a#2 start", "a#2 stop"]


@each_kind
def test_an_unexpected_error_in_an_ask_reaches_the_asker_and_is_a_crash_all_the_same(
    kind: type[_Player],
) -> None:
    with run_system(spec("a", kind)) as system:
        address = system.address("a")
        with pytest.raises(ValueError, match="boom"):
            address.ask(Fail(ValueError("boom")), timeout_s=10)
        back_as(address, 2)


@each_kind
def test_a_declared_error_is_an_answer_and_no_crash(kind: type[_Player]) -> None:
    with run_system(spec("a", kind)) as system:
        address = system.address("a")
        with pytest.raises(DomainError, match="no such thing"):
            address.ask(Fail(DomainError("no such thing")), timeout_s=10)
        address.tell(Fail(DomainError("nobody listens")))
        assert address.ask(Generation(), timeout_s=10) == 1
        messages = system.health()["children"][0]["messages"]
    assert messages["failed"] == 2


@each_kind
def test_an_unknown_message_is_the_senders_mistake(kind: type[_Player]) -> None:
    with run_system(spec("a", kind)) as system:
        address = system.address("a")
        with pytest.raises(UnknownMessage, match=r"a \(.*Player\) has no handler for float"):
            address.ask(1.5, timeout_s=10)
        assert address.ask(Generation(), timeout_s=10) == 1


@each_kind
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_a_base_exception_ends_only_that_actor(kind: type[_Player], error: BaseException) -> None:
    class HostActor(pykka.ThreadingActor):
        use_daemon_thread = True

    host = HostActor.start()
    try:
        with run_system(spec("a", kind), spec("sibling", kind)) as system:
            address = system.address("a")
            with pytest.raises(Unavailable, match=type(error).__name__) as told:
                address.ask(Fail(error), timeout_s=10)
            assert told.value.__cause__ is error
            back_as(address, 2)
            assert generation_of(system.address("sibling")) == 1
        assert host.is_alive()
    finally:
        host.stop(timeout=10)


@each_kind
def test_a_failed_on_start_is_a_death_like_any_other(kind: type[_Player]) -> None:
    script = Script()
    failures = iter([ValueError("one"), SystemExit(2), ValueError("three")])

    def start() -> None:
        for error in failures:
            raise error

    script.start = start
    with run_system(spec("a", kind, script=script), limit=GENEROUS) as system:
        assert generation_of(system.address("a")) == 4
    assert script.log[:4] == [
        "a#1 start",
        "a#1 crash start ValueError",
        "a#2 start",
        "a#2 crash start SystemExit",
    ]


@each_kind
def test_a_failed_on_stop_hides_no_end(kind: type[_Player]) -> None:
    script = Script()
    stops: list[str] = []

    def stop() -> None:
        stops.append("stop")
        raise ValueError("cannot clean up")

    script.stop = stop
    with run_system(spec("a", kind, script=script)) as system:
        address = system.address("a")
        address.tell(Leave())
        eventually(lambda: len(stops) == 1)
        back_as(address, 2)
    assert len(stops) == 2
    assert "a#1 stop" in script.log


@each_kind
def test_a_failed_on_crash_hides_no_end(kind: type[_Player]) -> None:
    script = Script()

    def crash() -> None:
        raise SystemExit(1)

    script.crash = crash
    with run_system(spec("a", kind, script=script)) as system:
        address = system.address("a")
        address.tell(Fail(ValueError("boom")))
        back_as(address, 2)


@each_kind
def test_a_last_hook_that_hangs_does_not_keep_the_next_generation_waiting(
    kind: type[_Player],
) -> None:
    script, gate = Script(), threading.Event()
    script.crash = lambda: gate.wait(30)
    with run_system(spec("a", kind, script=script, shutdown_timeout_s=0.1)) as system:
        address = system.address("a")
        address.tell(Fail(ValueError("boom")))
        back_as(address, 2)
        assert system.health()["children"][0]["abandoned"] == 1
        gate.set()
        eventually(lambda: system.health()["children"][0]["abandoned"] == 0)
        assert system.health()["children"][0]["abandoned_total"] == 1


def test_a_crash_in_a_step_is_a_crash() -> None:
    script = Script()
    failures = iter([ValueError("boom")])

    def step() -> None:
        for error in failures:
            raise error

    script.step = step
    with run_system(spec("a", LoopPlayer, script=script)) as system:
        back_as(system.address("a"), 2)
    assert "a#1 crash step ValueError" in script.log


@each_kind
def test_what_is_queued_behind_a_crash_fails_at_once(kind: type[_Player]) -> None:
    gate, entered = threading.Event(), threading.Event()
    with run_system(spec("a", kind)) as system:
        address = system.address("a")
        held = address.ask_later(Hold(gate, entered))
        assert entered.wait(10)
        address.tell(Fail(ValueError("boom")))
        futures = [address.ask_later(f"ask {n}") for n in range(50)]
        for n in range(7):
            address.tell(f"tell {n}")
        gate.set()
        assert held.get(timeout_s=10) == "held"
        for future in futures:
            with pytest.raises(Unavailable, match="a is exiting"):
                future.get(timeout_s=10)
        back_as(address, 2)
        assert system.health()["children"][0]["dead_letters"] == 7
        assert system.health()["dead_letters_total"] == 7


@each_kind
def test_whoever_learns_of_a_crash_finds_the_address_cleared_already(kind: type[_Player]) -> None:
    with run_system(spec("a", kind, wait=lambda _state: 0.3), limit=GENEROUS) as system:
        address = system.address("a")
        for generation in (1, 2, 3):
            back_as(address, generation)
            with pytest.raises(ValueError, match="boom"):
                address.ask(Fail(ValueError("boom")), timeout_s=10)
            with pytest.raises(Unavailable):
                address.tell("too late")


def test_a_thread_that_cannot_start_is_a_failed_start() -> None:
    refusals = iter(["a", "a"])

    def spawn(target: Callable[[], None], name: str) -> None:
        if name.startswith("actor-a") and next(refusals, None):
            raise RuntimeError("can't start new thread")
        start_daemon_thread(target, name)

    with run_system(spec("a"), spec("b", LoopPlayer), spawn=spawn) as system:
        assert generation_of(system.address("a")) == 3
        assert generation_of(system.address("b")) == 1
        assert system.health()["children"][0]["last_error"]["message"] == "can't start new thread"


def test_a_root_whose_thread_cannot_start_is_reported() -> None:
    def spawn(_target: Callable[[], None], _name: str) -> None:
        raise RuntimeError("can't start new thread")

    system = ActorSystem(ChildSpec(name="root", factory=Supervisor), spawn=spawn)
    with pytest.raises(StartFailed, match="can't start new thread"):
        system.start(10)


def test_an_actor_that_forgets_its_base_class_is_a_failed_start() -> None:
    class Forgetful(ThreadActor):
        def __init__(self) -> None:
            pass

    child = ChildSpec(name="a", factory=Forgetful, wait=AT_ONCE)
    system = ActorSystem(ChildSpec(name="root", factory=lambda: Supervisor(children=[child])))
    with pytest.raises(StartFailed, match=r"a died .*super\(\).__init__\(\)|does not call super"):
        system.start(10)


@each_kind
def test_an_actor_may_end_by_itself(kind: type[_Player]) -> None:
    script = Script()
    with run_system(spec("a", kind, script=script, restart=Restart.TRANSIENT)) as system:
        address = system.address("a")
        address.tell(Leave())
        eventually(lambda: system.health()["children"][0]["state"] == "stopped")
        with pytest.raises(Unavailable, match="a is stopped"):
            address.tell("hello?")
    assert script.log == ["a#1 start", "a#1 stop"]


@each_kind
def test_a_handler_that_hangs_is_seen_from_outside(kind: type[_Player]) -> None:
    gate, entered = threading.Event(), threading.Event()
    with run_system(spec("a", kind)) as system:
        system.address("a").tell(Hold(gate, entered))
        assert entered.wait(10)
        eventually(lambda: (system.health()["children"][0]["messages"]["busy_for_s"] or 0) > 0)
        gate.set()


@each_kind
def test_a_stop_overtakes_what_is_queued(kind: type[_Player]) -> None:
    gate, entered = threading.Event(), threading.Event()
    with run_system(spec("a", kind)) as system:
        address = system.address("a")
        address.tell(Hold(gate, entered))
        assert entered.wait(10)
        queued = [address.ask_later("queued") for _ in range(100)]
        system.restart("a")
        eventually(lambda: system.health()["children"][0]["state"] == "stopping")
        gate.set()
        back_as(address, 2)
        for future in queued:
            with pytest.raises(Unavailable):
                future.get(timeout_s=10)


def test_kit_actors_never_enter_pykkas_registry_and_cannot_be_started_past_the_kit() -> None:
    with run_system(*(spec(kind.__name__, kind) for kind in KINDS)):
        assert pykka.ActorRegistry.get_all() == []
    for kind in KINDS:
        with pytest.raises(TypeError, match="ChildSpec"):
            kind.start()


def test_pykkas_own_reference_reaches_a_kit_actor() -> None:
    made: list[ThreadPlayer] = []

    def factory() -> ThreadPlayer:
        made.append(ThreadPlayer())
        return made[-1]

    with run_system(ChildSpec(name="a", factory=factory, restart=Restart.TRANSIENT)) as system:
        ref = made[0].actor_ref
        assert ref.ask("hello", timeout=10) == "hello"
        with pytest.raises(DomainError):
            ref.ask(Fail(DomainError()), timeout=10)
        gate = threading.Event()
        taken = ref.ask(Hold(gate), block=False)
        taken.set("somebody else's")
        gate.set()
        assert ref.ask("still here", timeout=10) == "still here"
        ref.stop(timeout=10)
        eventually(lambda: not ref.is_alive())
        with pytest.raises(pykka.ActorDeadError):
            ref.tell("too late")
        await_state(system, "a", "stopped")


class Deferring(PooledActor):
    """Answers each ask when the next message arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.pending: list[Reply] = []

    def on_receive(self, message: object) -> None:
        if message == "crash":
            raise ValueError("crash")
        waiting = self.pending
        self.pending = [self.defer_reply()]
        for reply in waiting:
            reply.set(message)


def test_an_answer_may_come_after_the_handler() -> None:
    with run_system(ChildSpec(name="a", factory=Deferring, wait=AT_ONCE)) as system:
        address = system.address("a")
        first = address.ask_later("first")
        address.tell("second")
        assert first.get(timeout_s=10) == "second"
        address.tell("third")  # the reply of a tell goes nowhere, and harms nobody
        last = address.ask_later("last")
        assert not last.done
        address.tell("crash")
        with pytest.raises(Unavailable):
            last.get(timeout_s=10)
