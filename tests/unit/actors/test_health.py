"""What does an operator see, and does looking cost next to nothing?"""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime

import pytest

from actors import (
    ChildSpec,
    DynamicSupervisor,
    Restart,
    RestartLimit,
    StartChild,
    Strategy,
)
from actors.health import MOST_DYNAMIC_CHILDREN_SHOWN, worst
from actors.testing import ManualClock, ManualTimers, eventually, run_system
from tests.support.soak import scaled
from tests.unit.actors.cast import (
    AT_ONCE,
    Fail,
    Hold,
    PooledPlayer,
    await_state,
    generation_of,
    nested,
    node,
    spec,
)

BOOM = Fail(ValueError("boom"))
NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


def test_a_node_says_everything_about_an_actor() -> None:
    clock = ManualClock()
    timers = ManualTimers(clock)
    with run_system(
        spec("a", wait=lambda _state: 4.0),
        clock=clock,
        timers=timers,
        wall_clock=lambda: NOON,
    ) as system:
        address = system.address("a")
        address.ask("hello", timeout_s=10)
        address.tell(BOOM)
        await_state(system, "a", "backing_off")
        timers.advance(1.5)
        assert node(system, "a") == {
            "name": "a",
            "path": "a",
            "kind": None,
            "state": "backing_off",
            "since": "2026-11-20T11:59:58.500Z",
            "generation": 1,
            "restarts": 0,
            "attempt": 1,
            "retry_in_s": 2.5,
            "last_error": {
                "type": "ValueError",
                "message": "boom",
                "cause": "crash",
                "at": "2026-11-20T11:59:58.500Z",
                "count": 1,
            },
            "mailbox": None,
            "messages": None,
            "dead_letters": 0,
            "abandoned": 0,
            "abandoned_total": 0,
            "children": [],
            "status": "degraded",
        }
        timers.advance(2.5)
        eventually(lambda: generation_of(address) == 2)
        clock.advance(3)
        again = node(system, "a")
    assert (again["kind"], again["state"], again["status"]) == ("thread", "running", "ok")
    assert (again["generation"], again["restarts"], again["attempt"]) == (2, 1, 1)
    assert again["retry_in_s"] is None
    assert again["mailbox"]["capacity"] == 1000
    assert again["messages"] == {
        "handled": 1,
        "failed": 0,
        "last_latency_ms": 0.0,
        "busy_for_s": None,
        "last_activity_age_s": 3.0,
    }


def test_a_busy_actor_shows_for_how_long() -> None:
    clock = ManualClock()
    gate, entered = threading.Event(), threading.Event()
    with run_system(spec("a"), clock=clock) as system:
        system.address("a").tell(Hold(gate, entered))
        assert entered.wait(10)
        clock.advance(7)
        assert node(system, "a")["messages"]["busy_for_s"] == 7.0
        gate.set()
        eventually(lambda: node(system, "a")["messages"]["busy_for_s"] is None)


def test_a_supervisor_shows_its_rules_and_its_deaths() -> None:
    inner = nested(
        "n", spec("x"), strategy=Strategy.REST_FOR_ONE, limit=RestartLimit(3, window_s=120.0)
    )
    with run_system(inner) as system:
        system.address("n.x").tell(BOOM)
        eventually(lambda: generation_of(system.address("n.x")) == 2)
        found = node(system, "n")
    assert found["kind"] == "supervisor"
    assert found["strategy"] == "rest_for_one"
    assert found["limit"] == {"max_restarts": 3, "window_s": 120.0}
    assert found["restarts_in_window"] == 1
    assert [child["path"] for child in found["children"]] == ["n.x"]


def test_the_status_rolls_up() -> None:
    failing = spec("f", retry_failed_s=300.0)
    with run_system(
        nested("n", spec("x", wait=lambda _state: 30.0)),
        failing,
        spec("done", restart=Restart.TEMPORARY),
        limit=RestartLimit(max_restarts=0),
    ) as system:
        assert system.health()["status"] == "ok"
        system.address("done").tell(BOOM)
        await_state(system, "done", "stopped")
        assert system.health()["status"] == "ok"
        system.address("n.x").tell(BOOM)
        eventually(lambda: system.health()["status"] == "degraded")
        assert node(system, "n")["status"] == "degraded"
        system.address("f").tell(BOOM)
        eventually(lambda: system.health()["status"] == "failing")
        assert node(system, "n")["status"] == "degraded"


@pytest.mark.parametrize(
    ("statuses", "result"),
    [
        ([], "ok"),
        (["ok", "degraded"], "degraded"),
        (["failing", "degraded", "ok"], "failing"),
    ],
)
def test_the_worst_status_wins(statuses: list[str], result: str) -> None:
    assert worst(statuses) == result


def test_a_report_is_json_and_can_be_had_before_the_start_and_after_the_stop() -> None:
    with run_system(spec("a"), nested("n", spec("x"))) as system:
        assert json.loads(json.dumps(system.health()))["state"] == "running"
        system.stop()
        after = json.loads(json.dumps(system.health()))
    assert after["state"] == "stopped"
    assert [child["state"] for child in after["children"]] == ["stopped", "stopped"]


@pytest.mark.soak
def test_a_crowd_is_summarised_and_the_report_stays_small_and_quick() -> None:
    crowd = scaled(2_000, 10_000)
    sick = 30

    def factory() -> DynamicSupervisor:
        return DynamicSupervisor(
            template=lambda key: spec(key, PooledPlayer, wait=lambda _state: 300.0)
        )

    with run_system(ChildSpec(name="pool", factory=factory, wait=AT_ONCE)) as system:
        for n in range(crowd):
            system.address("pool").tell(StartChild(f"k{n}"))
        for n in range(sick):
            system.address("pool").tell(StartChild(f"k{n}", first_message=BOOM))
        expected = {"running": crowd - sick, "backing_off": sick}
        eventually(lambda: node(system, "pool")["children_by_state"] == expected, within_s=60)
        began = time.perf_counter()
        report = [system.health() for _ in range(100)][-1]
        each_s = (time.perf_counter() - began) / 100
        pool = report["children"][0]
        assert len(pool["children"]) == MOST_DYNAMIC_CHILDREN_SHOWN
        assert {child["state"] for child in pool["children"]} == {"backing_off"}
        assert report["status"] == "degraded"
        assert len(json.dumps(report)) < 20_000
        # Some 0.5 ms here; what matters is that it does not walk the crowd.
        assert each_s < 1.0
