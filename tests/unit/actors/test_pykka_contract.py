"""Does the installed Pykka still behave as the kit assumes?

Each way an actor of plain Pykka can die, and who is told; then the private hooks that `actor.py`
relies on. A failure here means: read the kit's reasons again before upgrading Pykka.
`test_actor_deaths` shows what the kit makes of the same situations.
"""

from __future__ import annotations

import inspect
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pykka
import pytest
from pykka import _actor, _envelope, messages

from actors.testing import eventually
from tests.support.children import run_python

if TYPE_CHECKING:
    from collections.abc import Iterator


class Witness(pykka.ThreadingActor):
    """Fails on demand and notes which hooks ran."""

    use_daemon_thread = True

    def __init__(self, seen: list[str], failing: str = "") -> None:
        super().__init__()
        self.seen = seen
        self.failing = failing
        self.gate = threading.Event()

    def on_start(self) -> None:
        if self.failing == "on_start":
            raise ValueError("on_start")

    def on_stop(self) -> None:
        self.seen.append("on_stop")
        if self.failing == "on_stop":
            raise ValueError("on_stop")

    def on_failure(self, *_exc_info: object) -> None:
        self.seen.append(f"on_failure alive={self.actor_ref.is_alive()}")

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, BaseException):
            raise message
        if isinstance(message, threading.Event):
            message.wait(10)
        return message


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """Nobody else's actors are in the way, and none stays behind."""
    assert pykka.ActorRegistry.get_all() == []
    yield
    for future in pykka.ActorRegistry.stop_all(block=False):
        future.get(timeout=10)
    assert pykka.ActorRegistry.get_all() == []


def test_the_version_is_the_one_that_was_examined() -> None:
    assert version("pykka").split(".")[:2] == ["4", "5"]


def test_stop_waits_behind_the_backlog_and_fails_what_comes_after_it() -> None:
    seen: list[str] = []
    gate = threading.Event()
    ref = Witness.start(seen)
    ref.tell(gate)
    before = ref.ask("before", block=False)
    stopped = ref.stop(block=False)
    after = ref.ask("after", block=False)
    gate.set()
    assert stopped.get(timeout=10)
    assert before.get(timeout=10) == "before"
    with pytest.raises(pykka.ActorDeadError):
        after.get(timeout=10)
    assert seen == ["on_stop"]
    assert not ref.is_alive()


def test_a_crash_in_a_tell_is_the_only_death_that_on_failure_hears_of() -> None:
    seen: list[str] = []
    ref = Witness.start(seen)
    ref.tell(ValueError("tell"))
    eventually(lambda: seen)
    assert seen == ["on_failure alive=False"]


def test_a_crash_in_an_ask_is_no_death_at_all() -> None:
    seen: list[str] = []
    ref = Witness.start(seen)
    with pytest.raises(ValueError, match="ask"):
        ref.ask(ValueError("ask"), timeout=10)
    assert ref.is_alive()
    assert ref.ask("still here", timeout=10) == "still here"
    assert seen == []


def test_a_failed_on_start_is_told_to_nobody() -> None:
    seen: list[str] = []
    ref = Witness.start(seen, failing="on_start")
    eventually(lambda: not ref.is_alive())
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("anybody there?", timeout=10)
    assert seen == []


def test_a_failed_on_stop_looks_like_a_clean_stop() -> None:
    seen: list[str] = []
    ref = Witness.start(seen, failing="on_stop")
    assert ref.stop(timeout=10)
    assert seen == ["on_stop"]


def test_a_system_exit_in_an_ask_leaves_the_asker_waiting_and_stops_every_other_actor() -> None:
    seen: list[str] = []
    bystander = Witness.start([])
    ref = Witness.start(seen)
    answer = ref.ask(SystemExit(3), block=False)
    eventually(lambda: not bystander.is_alive())
    eventually(lambda: seen == ["on_stop"])
    with pytest.raises(pykka.Timeout):
        answer.get(timeout=0.3)


def test_a_reply_that_somebody_else_has_set_ends_the_thread_of_an_actor_that_looks_alive() -> None:
    code, output = run_python(
        """
        import os, threading, pykka
        class Echo(pykka.ThreadingActor):
            use_daemon_thread = True
            def on_receive(self, message):
                message.wait(10)
        gate = threading.Event()
        ref = Echo.start()
        thread = next(t for t in threading.enumerate() if t.name.startswith("Echo"))
        answer = ref.ask(gate, block=False)
        answer.set("mine")
        gate.set()
        thread.join(10)
        print("thread", thread.is_alive(), "ref", ref.is_alive())
        print("registered", len(pykka.ActorRegistry.get_all()))
        try:
            ref.ask(gate, timeout=0.3)
        except pykka.Timeout:
            print("ask hangs")
        os._exit(0)
        """
    )
    assert code == 0, output
    assert "thread False ref True" in output
    assert "registered 1" in output
    assert "ask hangs" in output


def test_an_actor_whose_thread_cannot_start_stays_registered_and_blocks_stop_all_for_ever() -> None:
    code, output = run_python(
        """
        import threading, pykka
        def no_thread(self):
            raise RuntimeError("can't start new thread")
        threading.Thread.start = no_thread
        class Echo(pykka.ThreadingActor):
            pass
        try:
            Echo.start()
        except RuntimeError:
            pass
        ref = pykka.ActorRegistry.get_all()[0]
        print("alive", ref.is_alive())
        try:
            ref.ask("hello", timeout=0.2)
        except pykka.Timeout:
            print("ask hangs", flush=True)
        pykka.ActorRegistry.stop_all()
        print("stop_all returned")
        """,
        timeout_s=2,
    )
    assert code is None, output
    assert "alive True" in output
    assert "ask hangs" in output
    assert "stop_all returned" not in output


def test_an_ask_that_arrives_after_the_drain_is_never_answered() -> None:
    class Slow(pykka.ThreadingActor):
        """Lets a test look at the inbox between the check and the put of an ask."""

        use_daemon_thread = True

    ref = Slow.start()
    inbox = ref.actor_inbox
    assert ref.is_alive()  # the asker's check...
    ref.stop(timeout=10)
    eventually(lambda: not any(t.name.startswith("Slow") for t in threading.enumerate()))
    answer: pykka.ThreadingFuture[Any] = pykka.ThreadingFuture()
    inbox.put(_envelope.Envelope("too late", reply_to=answer))  # ... and its put
    with pytest.raises(pykka.Timeout):
        answer.get(timeout=0.3)


def test_nothing_notices_a_handler_that_hangs() -> None:
    seen: list[str] = []
    gate = threading.Event()
    ref = Witness.start(seen)
    ref.tell(gate)
    with pytest.raises(pykka.Timeout):
        ref.ask("anybody there?", timeout=0.3)
    assert ref.is_alive()
    assert seen == []
    gate.set()


def test_an_unknown_message_is_answered_with_none() -> None:
    class Silent(pykka.ThreadingActor):
        use_daemon_thread = True

    ref = Silent.start()
    assert ref.ask("what?", timeout=10) is None
    ref.stop(timeout=10)


def test_a_future_may_be_set_once_and_tells_no_one_when_it_is() -> None:
    future: pykka.ThreadingFuture[int] = pykka.ThreadingFuture()
    future.set(1)
    with pytest.raises(Exception, match=r"^$") as second:
        future.set(2)
    assert type(second.value).__module__ == "_queue" or type(second.value).__name__ == "Full"
    assert not [name for name in dir(future) if "callback" in name]


def test_the_envelope_has_the_two_fields_that_the_inbox_reads() -> None:
    future: pykka.ThreadingFuture[int] = pykka.ThreadingFuture()
    envelope = _envelope.Envelope("message", reply_to=future)
    assert (envelope.message, envelope.reply_to) == ("message", future)


@pytest.mark.parametrize("hook", ["_create_actor_inbox", "_create_future", "_start_actor_loop"])
def test_the_hooks_for_new_actor_types_are_still_the_abstract_ones(hook: str) -> None:
    assert hook in _actor.Actor.__abstractmethods__


def test_the_inbox_is_made_on_the_instance_and_the_future_on_the_class() -> None:
    assert "self._create_actor_inbox()" in inspect.getsource(_actor.Actor.__init__)
    assert "self.actor_class._create_future()" in inspect.getsource(pykka.ActorRef.ask)


def test_handle_receive_passes_other_messages_to_on_receive_and_stops_on_pykkas_own() -> None:
    seen: list[object] = []

    class Stub(pykka.ThreadingActor):
        def on_receive(self, message: Any) -> Any:
            return ("received", message)

        def _stop(self) -> None:
            seen.append("stopped")

    actor = Stub()
    assert actor._handle_receive("hello") == ("received", "hello")
    actor._handle_receive(messages._ActorStop())
    assert seen == ["stopped"]


def test_construction_registers_nothing() -> None:
    Witness([])
    assert pykka.ActorRegistry.get_all() == []
