"""Do ten thousand children that come and go behave, and does one bad child stay alone?"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from actors import (
    ChildSpec,
    ChildStopped,
    DynamicSupervisor,
    KitEvent,
    Restart,
    RestartLimit,
    StartChild,
    StartFailed,
    StopChild,
    TooManyChildren,
    Unavailable,
    UnknownName,
)
from actors.testing import Probe, eventually, run_system
from tests.support.soak import scaled
from tests.unit.actors.cast import (
    AT_ONCE,
    Fail,
    Hold,
    Leave,
    PooledPlayer,
    Script,
    ThreadPlayer,
    generation_of,
    node,
    spec,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.actors.cast import _Player

BOOM = Fail(ValueError("boom"))


def dynamic(
    template: Callable[..., ChildSpec] | None = None,
    *,
    max_children: int = 100_000,
    limit: RestartLimit | None = None,
) -> ChildSpec:
    def players(key: str) -> ChildSpec:
        return spec(key, PooledPlayer, restart=Restart.TRANSIENT)

    def factory() -> DynamicSupervisor:
        return DynamicSupervisor(
            template=template or players, limit_per_child=limit, max_children=max_children
        )

    return ChildSpec(name="pool", factory=factory, wait=AT_ONCE)


def probing(received: list[object]) -> Callable[..., ChildSpec]:
    def template(key: str) -> ChildSpec:
        return ChildSpec(name=key, factory=lambda: Probe(received), restart=Restart.TRANSIENT)

    return template


def test_a_child_is_started_on_demand_and_answers_to_its_path() -> None:
    with run_system(dynamic()) as system:
        child = system.address("pool").ask(StartChild("k"), timeout_s=10)
        assert child.path == "pool.k"
        assert child.ask("hello", timeout_s=10) == "hello"
        assert system.address("pool.k") == child


def test_starting_a_running_child_gives_the_same_child() -> None:
    with run_system(dynamic()) as system:
        pool = system.address("pool")
        first = pool.ask(StartChild("k"), timeout_s=10)
        assert pool.ask(StartChild("k"), timeout_s=10) == first
        assert generation_of(first) == 1
        assert node(system, "pool")["children_by_state"] == {"running": 1}


def test_a_message_for_a_key_reaches_a_new_or_a_running_child_once_and_in_order() -> None:
    received: list[object] = []
    with run_system(dynamic(probing(received))) as system:
        for n in range(50):
            system.address("pool").tell(StartChild("k", first_message=n))
        eventually(lambda: len(received) == 50)
    assert received == list(range(50))


def test_the_template_gets_the_arguments() -> None:
    seen: list[tuple[object, ...]] = []

    def template(key: str, *args: object) -> ChildSpec:
        seen.append((key, *args))
        return spec("any name", PooledPlayer)

    with run_system(dynamic(template)) as system:
        child = system.address("pool").ask(StartChild("k", (1, "two")), timeout_s=10)
        assert child.path == "pool.k"
    assert seen == [("k", 1, "two")]


def test_a_child_that_ends_by_itself_is_forgotten_and_its_key_starts_another() -> None:
    with run_system(dynamic()) as system:
        pool = system.address("pool")
        child = pool.ask(StartChild("k"), timeout_s=10)
        child.tell(Leave())
        eventually(lambda: node(system, "pool")["children_by_state"] == {})
        with pytest.raises(UnknownName):
            system.address("pool.k")
        with pytest.raises(Unavailable, match=r"pool\.k is unknown"):
            child.tell("hello?")
        again = pool.ask(StartChild("k"), timeout_s=10)
        assert again == child
        assert child.ask("hello", timeout_s=10) == "hello"


@pytest.mark.soak
def test_no_message_is_lost_between_a_child_that_goes_to_sleep_and_its_successor() -> None:
    """Each child leaves after each message, so that nearly every message meets an ending child."""
    received: list[object] = []
    lock = threading.Lock()

    class Sleepy(PooledPlayer):
        def on_receive(self, message: object) -> None:
            with lock:
                received.append(message)
            if self._life.mailbox_stats.depth == 0:
                self.stop()

    def template(key: str) -> ChildSpec:
        return ChildSpec(name=key, factory=Sleepy, restart=Restart.TRANSIENT, wait=AT_ONCE)

    total = scaled(2_000, 50_000)
    with run_system(dynamic(template)) as system:
        for n in range(total):
            system.address("pool").tell(StartChild(f"k{n % 3}", first_message=n))
            if n % 500 == 499:
                eventually(lambda: system.health()["children"][0]["mailbox"]["depth"] < 100)
        eventually(
            lambda: len(received) + system.health()["dead_letters_total"] >= total, within_s=60
        )
        lost = system.health()["dead_letters_total"]
    # One that was put into the mailbox between the last look into it and the end is a dead letter.
    assert len(received) + lost == total
    assert len(set(received)) == len(received)
    assert lost < total / 2


def test_messages_that_meet_an_ending_child_all_reach_its_successor_in_order() -> None:
    received: list[object] = []
    ending, gate = threading.Event(), threading.Event()

    class Sleepy(Probe):
        def on_receive(self, message: object) -> object:
            if message == "sleep":
                self.stop()
            return super().on_receive(message)

        def on_stop(self) -> None:
            ending.set()
            gate.wait(30)

    def template(key: str) -> ChildSpec:
        return ChildSpec(name=key, factory=lambda: Sleepy(received), restart=Restart.TRANSIENT)

    with run_system(dynamic(template)) as system:
        pool = system.address("pool")
        pool.tell(StartChild("k", first_message="sleep"))
        assert ending.wait(10)
        for message in ("one", "two", "three"):
            pool.tell(StartChild("k", first_message=message))
        started = pool.ask_later(StartChild("k"))
        gate.set()
        assert started.get(timeout_s=10).path == "pool.k"
        eventually(lambda: received == ["sleep", "one", "two", "three"])
        assert system.health()["dead_letters_total"] == 0
        assert node(system, "pool")["generation"] == 1


def test_messages_that_wait_for_a_child_are_counted_when_the_supervisor_dies() -> None:
    ending, gate = threading.Event(), threading.Event()

    class Sleepy(PooledPlayer):
        def on_stop(self) -> None:
            ending.set()
            gate.wait(30)

    def template(key: str) -> ChildSpec:
        if key == "bad":
            raise SystemExit(1)
        return spec(key, Sleepy, restart=Restart.TRANSIENT, shutdown_timeout_s=30.0)

    with run_system(dynamic(template)) as system:
        pool = system.address("pool")
        pool.tell(StartChild("k", first_message=Leave()))
        assert ending.wait(10)
        for message in ("one", "two", "three"):
            pool.tell(StartChild("k", first_message=message))
        pool.tell(StartChild("bad"))
        eventually(lambda: node(system, "pool")["messages"]["failed"] == 1)
        gate.set()
        eventually(lambda: node(system, "pool")["generation"] == 2)
        assert system.health()["dead_letters_total"] == 3


def test_a_child_can_be_stopped() -> None:
    log = Script()

    def template(key: str) -> ChildSpec:
        return spec(key, PooledPlayer, script=log)

    with run_system(dynamic(template)) as system:
        pool = system.address("pool")
        pool.ask(StartChild("k"), timeout_s=10)
        assert pool.ask(StopChild("k"), timeout_s=10) is True
        assert log.log == ["pool.k#1 start", "pool.k#1 stop"]
        assert pool.ask(StopChild("k"), timeout_s=10) is False


def test_a_start_that_meets_a_stop_waits_for_it() -> None:
    gate, entered = threading.Event(), threading.Event()
    with run_system(dynamic(lambda key: spec(key, ThreadPlayer))) as system:
        pool = system.address("pool")
        child = pool.ask(StartChild("k"), timeout_s=10)
        child.tell(Hold(gate, entered))
        assert entered.wait(10)
        stopped = pool.ask_later(StopChild("k"))
        restarted = pool.ask_later(StartChild("k"))
        eventually(lambda: node(system, "pool")["children_by_state"] == {"stopping": 1})
        gate.set()
        assert stopped.get(timeout_s=10) is True
        assert restarted.get(timeout_s=10) == child
        assert child.ask("hello", timeout_s=10) == "hello"


def test_a_child_in_a_crash_loop_is_failed_alone() -> None:
    with run_system(dynamic(limit=RestartLimit(max_restarts=2, window_s=60))) as system:
        pool = system.address("pool")
        bad = pool.ask(StartChild("bad"), timeout_s=10)
        good = pool.ask(StartChild("good"), timeout_s=10)
        for generation in (1, 2, 3):
            eventually(lambda g=generation: generation_of(bad) == g)  # type: ignore[misc]
            bad.tell(BOOM)
        eventually(lambda: node(system, "pool")["children_by_state"].get("failed") == 1)
        assert generation_of(good) == 1
        assert system.health()["status"] == "failing"
        worst = node(system, "pool")["children"]
        assert [child["path"] for child in worst] == ["pool.bad"]
        with pytest.raises(Unavailable, match=r"pool\.bad is failed"):
            pool.ask(StartChild("bad"), timeout_s=10)
        pool.tell(StartChild("bad", first_message="lost"))
        eventually(lambda: system.health()["dead_letters_total"] == 1)
        system.restart("pool.bad")
        eventually(lambda: generation_of(bad) == 4)
        assert system.health()["status"] == "ok"


def test_a_start_that_fails_is_told_to_who_asked() -> None:
    script = Script()
    failures = iter([ValueError("no")])

    def start() -> None:
        for error in failures:
            raise error

    script.start = start
    with run_system(dynamic(lambda key: spec(key, PooledPlayer, script=script))) as system:
        pool = system.address("pool")
        with pytest.raises(Unavailable, match=r"pool\.k is backing_off"):
            pool.ask(StartChild("k"), timeout_s=10)
        eventually(lambda: node(system, "pool")["children_by_state"] == {"running": 1})
        assert generation_of(pool.ask(StartChild("k"), timeout_s=10)) == 2


@pytest.mark.parametrize("key", ["", "a.b"])
def test_a_key_that_is_no_name_is_refused(key: str) -> None:
    with run_system(dynamic(lambda _key: spec("x"))) as system:
        pool = system.address("pool")
        with pytest.raises(StartFailed, match="without dots"):
            pool.ask(StartChild(key), timeout_s=10)
        pool.tell(StartChild(key))
        assert generation_of(pool.ask(StartChild("fine"), timeout_s=10)) == 1


def test_a_template_that_raises_harms_no_other_child() -> None:
    def template(key: str) -> ChildSpec:
        if key == "bad":
            raise KeyError(key)
        return spec(key)

    with run_system(dynamic(template)) as system:
        pool = system.address("pool")
        good = pool.ask(StartChild("good"), timeout_s=10)
        with pytest.raises(StartFailed, match="KeyError"):
            pool.ask(StartChild("bad"), timeout_s=10)
        assert generation_of(good) == 1


def test_a_full_supervisor_refuses_one_more() -> None:
    with run_system(dynamic(max_children=2)) as system:
        pool = system.address("pool")
        for key in "ab":
            pool.ask(StartChild(key), timeout_s=10)
        with pytest.raises(TooManyChildren, match="pool has its 2 children"):
            pool.ask(StartChild("c"), timeout_s=10)
        assert pool.ask(StartChild("a"), timeout_s=10).path == "pool.a"
        pool.ask(StopChild("a"), timeout_s=10)
        assert pool.ask(StartChild("c"), timeout_s=10).path == "pool.c"


def test_a_temporary_child_that_crashes_is_gone() -> None:
    with run_system(
        dynamic(lambda key: spec(key, ThreadPlayer, restart=Restart.TEMPORARY))
    ) as system:
        child = system.address("pool").ask(StartChild("k"), timeout_s=10)
        child.tell(BOOM)
        eventually(lambda: node(system, "pool")["children_by_state"] == {})
        assert system.health()["status"] == "ok"


def test_a_temporary_child_that_cannot_start_is_tried_once_for_each_who_asks() -> None:
    attempts: list[str] = []

    def template(key: str) -> ChildSpec:
        def factory() -> ThreadPlayer:
            attempts.append(key)
            raise OSError("no room")

        return ChildSpec(name=key, factory=factory, restart=Restart.TEMPORARY)

    with run_system(dynamic(template)) as system:
        pool = system.address("pool")
        for asked in (1, 2):
            with pytest.raises(StartFailed, match=r"pool\.k.*no room"):
                pool.ask(StartChild("k"), timeout_s=10)
            assert len(attempts) == asked
        assert node(system, "pool")["children_by_state"] == {}


def test_a_child_that_hangs_is_replaced_and_counted() -> None:
    gate, entered = threading.Event(), threading.Event()
    with run_system(dynamic(lambda key: spec(key, PooledPlayer, hang_after_s=0.05))) as system:
        child = system.address("pool").ask(StartChild("k"), timeout_s=10)
        child.tell(Hold(gate, entered))
        assert entered.wait(10)
        eventually(lambda: generation_of(child) == 2)
        assert node(system, "pool")["children_abandoned"] == 1
        assert system.health()["status"] == "failing"
        gate.set()
        eventually(lambda: system.health()["status"] == "ok")


def test_when_the_supervisor_is_restarted_its_children_are_gone_with_their_names() -> None:
    with run_system(dynamic()) as system:
        child = system.address("pool").ask(StartChild("k"), timeout_s=10)
        system.restart("pool")
        eventually(lambda: node(system, "pool")["generation"] == 2)
        eventually(lambda: node(system, "pool")["state"] == "running")
        with pytest.raises(Unavailable, match="unknown"):
            child.tell("hello?")


@pytest.mark.parametrize("kind", [ThreadPlayer, PooledPlayer], ids=lambda kind: kind.__name__)
def test_a_stop_reaches_all_children_at_once(kind: type[_Player]) -> None:
    gate = threading.Event()
    events: list[KitEvent] = []

    def template(key: str) -> ChildSpec:
        return spec(key, kind, shutdown_timeout_s=20.0)

    with run_system(dynamic(template), observer=events.append) as system:
        entered = [threading.Event() for _ in range(3)]
        for n, flag in enumerate(entered):
            child = system.address("pool").ask(StartChild(f"k{n}"), timeout_s=10)
            child.tell(Hold(gate, flag))
            assert flag.wait(10)
        system.restart("pool")
        eventually(lambda: node(system, "pool")["children_by_state"] == {"stopping": 3})
        gate.set()
        eventually(lambda: node(system, "pool")["generation"] == 2)
    assert sum(isinstance(event, ChildStopped) for event in events) == 3 + 1


@pytest.mark.soak
def test_a_crowd_costs_no_threads_and_comes_and_goes() -> None:
    crowd = scaled(3_000, 10_000)
    with run_system(dynamic(), shutdown_budget_s=60) as system:
        before = threading.active_count()
        pool = system.address("pool")
        for n in range(crowd):
            pool.tell(StartChild(f"k{n}", first_message="hello"))
        eventually(
            lambda: node(system, "pool")["children_by_state"] == {"running": crowd}, within_s=60
        )
        assert threading.active_count() == before
        eventually(lambda: node(system, "pool")["children"] == [])
        for n in range(0, crowd, 2):
            pool.tell(StopChild(f"k{n}"))
        eventually(
            lambda: node(system, "pool")["children_by_state"] == {"running": crowd // 2},
            within_s=60,
        )
        report = system.stop()
        assert report.clean
        assert report.took_s < 50
