"""A fixed workload, and a seed that decides what fails when: what holds for every seed?"""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from actors import (
    AskTimeout,
    ChildSpec,
    LoopActor,
    PooledActor,
    RestartLimit,
    Strategy,
    Supervisor,
    ThreadActor,
    Unavailable,
)
from actors.testing import eventually, run_system
from tests.support.soak import scaled
from tests.unit.actors.cast import KINDS, generation_of
from tests.unit.actors.fault_plan import Fault, FaultPlan

if TYPE_CHECKING:
    from actors import ActorSystem

SEEDS = scaled(6, 200)
MESSAGES = 40
FAULTS = 4
GENEROUS = RestartLimit(max_restarts=10_000, window_s=60.0)
NAMES = {
    "thread": KINDS[0],
    "pooled": KINDS[1],
    "group.loop": KINDS[2],
    "group.thread": KINDS[0],
    "group.pooled": KINDS[1],
}


def hang_after_s(path: str) -> float:
    """Longer than the longest step of a LoopActor, which is time well spent."""
    return 0.75 if "loop" in path else 0.1


def tree(plans: dict[str, FaultPlan]) -> list[ChildSpec]:
    def child(path: str) -> ChildSpec:
        kind = plans[path].around(NAMES[path])
        return ChildSpec(
            name=path.rpartition(".")[2],
            factory=kind,
            wait=lambda _state: 0.005,
            hang_after_s=hang_after_s(path),
        )

    def group() -> Supervisor:
        return Supervisor(
            strategy=Strategy.REST_FOR_ONE,
            children=[child(path) for path in NAMES if path.startswith("group.")],
            limit=GENEROUS,
        )

    return [
        child("thread"),
        child("pooled"),
        ChildSpec(name="group", factory=group, wait=lambda _state: 0.005),
    ]


class Client:
    """Asks one name after the other, and sorts what comes back."""

    def __init__(self, system: ActorSystem, number: int) -> None:
        self.system = system
        self.number = number
        self.answered: dict[str, list[str]] = defaultdict(list)
        self.refused: dict[str, list[str]] = defaultdict(list)
        self.unanswered = 0

    def run(self) -> None:
        for n in range(MESSAGES):
            for path in NAMES:
                self._ask(path, f"client {self.number}, message {n}")

    def _ask(self, path: str, message: str) -> None:
        try:
            answer = self.system.address(path).ask(message, timeout_s=30.0)
            assert answer == message
            self.answered[path].append(message)
        except Unavailable:
            self.refused[path].append(message)
            threading.Event().wait(0.002)
        except ValueError:
            pass
        except AskTimeout:
            self.unanswered += 1


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_fails_everybody_is_answered_and_all_is_well_again(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", logger="actors")
    dice = random.Random(seed)
    plans = {
        path: FaultPlan.of(dice, messages=MESSAGES, faults=FAULTS, hang_s=0.35 + hang_after_s(path))
        for path in NAMES
    }
    with run_system(*tree(plans), limit=GENEROUS, workers=2) as system:
        clients = [Client(system, number) for number in range(2)]
        threads = [threading.Thread(target=client.run) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
            assert not thread.is_alive()

        # Those who hang are replaced, and still answer whom they kept waiting.
        assert [client.unanswered for client in clients] == [0, 0]
        for path, plan in plans.items():
            assert len(plan.entered) == len(set(plan.entered)), "handled twice"
            entered = set(plan.entered)
            for client in clients:
                assert set(client.answered[path]) <= entered
                # A refused message was never handled, unless the handler left by SystemExit.
                handled = entered & set(client.refused[path])
                assert len(handled) <= plan.struck.count(Fault.EXIT)

        eventually(lambda: system.health()["status"] == "ok", within_s=30)
        for path in NAMES:
            eventually(lambda p=path: generation_of(system.address(p)) > 0)  # type: ignore[misc]
        report = system.stop()
        assert report.clean


@pytest.mark.parametrize("kind", [ThreadActor, PooledActor, LoopActor])
def test_a_plan_strikes_where_it_says(kind: type[ThreadActor]) -> None:
    plan = FaultPlan({1: Fault.RAISE, 2: Fault.EXIT, 3: Fault.SLOW}, hang_s=0)
    assert issubclass(plan.around(kind), kind)
    plan.strike("zero")
    with pytest.raises(ValueError, match="planned"):
        plan.strike("one")
    with pytest.raises(SystemExit):
        plan.strike("two")
    plan.strike("three")
    assert plan.struck == [Fault.RAISE, Fault.EXIT, Fault.SLOW]
    assert plan.entered == ["zero", "one", "two", "three"]
