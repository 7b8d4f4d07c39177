"""What does whoever sends to an address get, whatever happens behind it?"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, ClassVar

import pytest

from actors import (
    ActorSystem,
    Address,
    AskTimeout,
    ChildSpec,
    DeadlockError,
    MailboxFull,
    MailboxOptions,
    Overflow,
    PooledActorMayNotAskError,
    ThreadActor,
    Unavailable,
    UnknownName,
)
from actors.deadletters import DeadLetters
from actors.testing import ManualClock, ManualTimers, Probe, eventually, run_system
from tests.unit.actors.cast import (
    KINDS,
    AskFor,
    Fail,
    Generation,
    Hold,
    LoopPlayer,
    PooledPlayer,
    Script,
    ThreadPlayer,
    generation_of,
    spec,
)

if TYPE_CHECKING:
    from tests.unit.actors.cast import _Player


def test_a_tell_is_delivered_in_order() -> None:
    received: list[object] = []
    with run_system(ChildSpec(name="a", factory=lambda: Probe(received))) as system:
        for n in range(100):
            system.address("a").tell(n)
        assert system.address("a").ask(100, timeout_s=10) is None
    assert received == list(range(101))


def test_an_ask_has_the_type_that_its_question_declares() -> None:
    with run_system(spec("a")) as system:
        number: int = system.address("a").ask(Generation(), timeout_s=10)
    assert number == 1


def test_an_ask_that_is_not_answered_in_time_says_who_did_not() -> None:
    gate = threading.Event()
    with run_system(spec("a")) as system:
        began = time.monotonic()
        with pytest.raises(AskTimeout, match=r"a gave no answer within 0\.05 s"):
            system.address("a").ask(Hold(gate), timeout_s=0.05)
        assert time.monotonic() - began < 5
        gate.set()


def test_an_answer_can_be_collected_later_and_more_than_once() -> None:
    gate = threading.Event()
    with run_system(spec("a")) as system:
        future = system.address("a").ask_later(Hold(gate, answer="done"))
        with pytest.raises(AskTimeout):
            future.get(timeout_s=0.02)
        gate.set()
        assert future.get(timeout_s=10) == "done"
        assert future.done
        assert future.get(timeout_s=0) == "done"


def test_during_a_backoff_the_sender_learns_when_to_come_back() -> None:
    clock = ManualClock()
    timers = ManualTimers(clock)
    backoff = spec("a", wait=lambda _state: 8.0)
    with run_system(backoff, clock=clock, timers=timers) as system:
        address = system.address("a")
        address.tell(Fail(ValueError("boom")))
        eventually(lambda: system.health()["children"][0]["state"] == "backing_off")
        timers.advance(3)
        with pytest.raises(Unavailable):
            address.ask_later("hello?")
        with pytest.raises(Unavailable) as refused:
            address.tell("hello?")
        assert refused.value.path == "a"
        assert refused.value.state == "backing_off"
        assert refused.value.retry_after_s == pytest.approx(5.0)
        assert str(refused.value) == "a is backing_off; try again in 5.00 s"
        timers.advance(5)
        eventually(lambda: generation_of(address) == 2)


def test_while_it_starts_nobody_waits_for_it() -> None:
    script, gate, entered = Script(), threading.Event(), threading.Event()

    def start() -> None:
        entered.set()
        gate.wait(30)

    script.start = start
    root = ActorSystem(spec("root", script=script))
    starter = threading.Thread(target=lambda: root.start(30))
    starter.start()
    assert entered.wait(10)
    with pytest.raises(Unavailable, match="root is starting"):
        root.address("root").ask("hello?", timeout_s=10)
    gate.set()
    starter.join(10)
    assert root.address("root").ask("hello", timeout_s=10) == "hello"
    root.stop()


def test_a_full_mailbox_refuses_at_once() -> None:
    class Small(ThreadPlayer):
        mailbox: ClassVar[MailboxOptions] = MailboxOptions(capacity=2)

    gate, entered = threading.Event(), threading.Event()
    with run_system(spec("a", Small)) as system:
        address = system.address("a")
        address.tell(Hold(gate, entered))
        assert entered.wait(10)
        address.tell("one")
        address.tell("two")
        with pytest.raises(MailboxFull, match="a holds its 2 messages"):
            address.tell("three")
        with pytest.raises(MailboxFull):
            address.ask("four", timeout_s=10)
        assert not address.tell_or_drop("five")
        mailbox = system.health()["children"][0]["mailbox"]
        assert (mailbox["depth"], mailbox["rejected"]) == (2, 3)
        gate.set()


def test_an_ask_that_is_dropped_for_a_newer_one_is_told_so() -> None:
    class Forgetful(ThreadPlayer):
        mailbox: ClassVar[MailboxOptions] = MailboxOptions(
            capacity=1, overflow=Overflow.DROP_OLDEST
        )

    gate, entered = threading.Event(), threading.Event()
    with run_system(spec("a", Forgetful)) as system:
        address = system.address("a")
        address.tell(Hold(gate, entered))
        assert entered.wait(10)
        old, new = address.ask_later("old"), address.ask_later("new")
        with pytest.raises(MailboxFull):
            old.get(timeout_s=10)
        gate.set()
        assert new.get(timeout_s=10) == "new"


@pytest.mark.parametrize("kind", [ThreadPlayer, LoopPlayer], ids=lambda kind: kind.__name__)
def test_an_ask_to_oneself_is_refused(kind: type[_Player]) -> None:
    with run_system(spec("a", kind)) as system:
        address = system.address("a")
        with pytest.raises(DeadlockError, match="a -> a"):
            address.ask(AskFor(address, "hello"), timeout_s=10)


def test_asks_that_go_round_in_a_circle_are_refused_where_the_circle_closes() -> None:
    with run_system(spec("a"), spec("b"), spec("c")) as system:
        a, b, c = (system.address(name) for name in "abc")
        began = time.monotonic()
        with pytest.raises(DeadlockError, match="c -> a -> b -> c"):
            a.ask(AskFor(b, AskFor(c, AskFor(a, "hello"))), timeout_s=20)
        assert time.monotonic() - began < 5


def test_asks_in_a_row_are_no_circle() -> None:
    with run_system(spec("a"), spec("b"), spec("c")) as system:
        a, b, c = (system.address(name) for name in "abc")
        assert a.ask(AskFor(b, AskFor(c, "hello")), timeout_s=10) == "hello"
        assert b.ask(AskFor(c, AskFor(a, "hello")), timeout_s=10) == "hello"


def test_a_pooled_actor_may_not_ask() -> None:
    with run_system(spec("a", PooledPlayer), spec("b")) as system:
        with pytest.raises(PooledActorMayNotAskError, match="a shares its thread"):
            system.address("a").ask(AskFor(system.address("b"), "hello"), timeout_s=10)
        assert generation_of(system.address("b")) == 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_actor_can_tell_itself_in_on_start(kind: type[_Player]) -> None:
    told = threading.Event()

    class Eager(kind):  # type: ignore[misc, valid-type] # a class made for each kind
        def on_start(self) -> None:
            self.context.address.tell("begin")

        def on_receive(self, message: object) -> object:
            told.set()
            return message

    with run_system(spec("a", Eager)):
        assert told.wait(10)


def test_a_given_up_actor_can_send_nothing() -> None:
    gate, entered = threading.Event(), threading.Event()
    outcomes: list[object] = []

    class Late(ThreadActor):
        def on_receive(self, message: object) -> object:
            if message != "hang":
                return message
            entered.set()
            gate.wait(30)
            try:
                self.context.address_of("probe").tell("from the grave")
            except Unavailable as refused:
                outcomes.append(refused.state)
            outcomes.append(self.context.address.tell_or_drop("to my successor"))
            self.after(0, "tick").cancel()
            return "too late, but you asked"

    received: list[object] = []
    late = ChildSpec(name="a", factory=Late, hang_after_s=0.05, wait=lambda _state: 0.0)
    probe = ChildSpec(name="probe", factory=lambda: Probe(received))
    with run_system(late, probe) as system:
        asked = system.address("a").ask_later("hang")
        assert entered.wait(10)
        eventually(lambda: system.health()["children"][0]["generation"] == 2)
        gate.set()
        assert asked.get(timeout_s=10) == "too late, but you asked"
    assert outcomes == ["abandoned", False]
    assert received == []


def test_an_event_for_a_dead_listener_hurts_nobody_and_is_counted() -> None:
    with run_system(spec("a", wait=lambda _state: 30.0)) as system:
        address = system.address("a")
        address.tell(Fail(ValueError("boom")))
        eventually(lambda: system.health()["children"][0]["state"] == "backing_off")
        assert not address.tell_or_drop("event")
        assert system.health()["children"][0]["dead_letters"] == 1


def test_dead_letters_are_logged_ten_times_and_then_not_for_five_minutes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    letters = DeadLetters(clock)
    with caplog.at_level(logging.WARNING, "actors"):
        for _ in range(25):
            letters.lost("a", "secret content", "stopped")
        assert (letters.total, len(caplog.records)) == (25, 10)
        clock.advance(300)
        letters.lost("a", "secret content", "stopped")
    assert len(caplog.records) == 11
    assert caplog.records[-1].__dict__["not_logged_before"] == 15
    assert "secret" not in str([record.__dict__ for record in caplog.records])


def test_a_name_that_no_spec_names_is_refused() -> None:
    with run_system(spec("a")) as system:
        with pytest.raises(UnknownName, match="no actor is named 'b'"):
            system.address("b")
        with pytest.raises(Unavailable, match="b is unknown"):
            Address("b", system.address("a")._directory).tell("hello?")


def test_addresses_are_values() -> None:
    with run_system(spec("a"), spec("b")) as system, run_system(spec("a")) as other:
        a = system.address("a")
        assert a == system.address("a")
        assert len({a, system.address("a"), system.address("b")}) == 2
        assert a != other.address("a")
        assert repr(a) == "Address('a')"
