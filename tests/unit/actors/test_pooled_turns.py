"""How long does somebody who asks wait for a pooled actor that is busy with large messages?"""

import threading
from typing import Any

import pytest

from actors import ChildSpec, PooledActor
from actors.kinds import LONGEST_TURN_S
from actors.testing import ManualClock, ManualTimers, run_system

LETTERS = 16


class Worker(PooledActor):
    """Takes some time for each message."""

    def __init__(self, clock: ManualClock, cost_s: float, gate: threading.Event) -> None:
        """Take `cost_s` each, the first one not before the gate opens."""
        super().__init__()
        self._clock = clock
        self._cost_s = cost_s
        self._gate = gate
        self.entered = threading.Event()
        self.done = 0

    def on_receive(self, message: Any) -> None:
        """Work."""
        self.entered.set()
        self._gate.wait(10)
        self._clock.advance(self._cost_s)
        self.done += 1


class Asked(PooledActor):
    """Answers with what the worker has done so far."""

    def __init__(self, worker: Worker) -> None:
        """Look at `worker`."""
        super().__init__()
        self._worker = worker

    def on_receive(self, message: Any) -> int:
        """Say it."""
        return self._worker.done


@pytest.mark.parametrize(
    ("cost_s", "done_before"),
    [(LONGEST_TURN_S * 2, 1), (LONGEST_TURN_S * 0.4, 3), (0.0, LETTERS)],
    ids=["a long message", "three that are too long together", "short ones"],
)
def test_an_asker_waits_for_a_short_turn_at_most(cost_s: float, done_before: int) -> None:
    timers = ManualTimers()
    gate = threading.Event()
    worker = Worker(timers.clock, cost_s, gate)
    children = (
        ChildSpec(name="worker", factory=lambda: worker),
        ChildSpec(name="asked", factory=lambda: Asked(worker)),
    )
    with run_system(*children, workers=1, clock=timers.clock, timers=timers) as system:
        system.address("worker").tell("work")
        assert worker.entered.wait(10)
        for _ in range(LETTERS - 1):
            system.address("worker").tell("work")
        answer = system.address("asked").ask_later("how many?")
        gate.set()
        assert answer.get(timeout_s=10) == done_before
