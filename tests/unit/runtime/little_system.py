"""A small real actor system for tests of Revaer's pooled actors, on manual or real time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from actors import ActorSystem, ChildSpec, PooledActor, Strategy, Supervisor
from actors.testing import ManualTimers, eventually


class Recorder(PooledActor):
    """Keeps every message, in a list that survives it."""

    def __init__(self, messages: list[Any]) -> None:
        super().__init__()
        self._messages = messages

    def on_receive(self, message: Any) -> None:
        self._messages.append(message)


def recorder(name: str, messages: list[Any]) -> ChildSpec:
    return ChildSpec(name=name, factory=lambda: Recorder(messages))


def at_once(name: str, factory: Callable[[], Any]) -> ChildSpec:
    """A child that is restarted without a delay."""
    return ChildSpec(name=name, factory=factory, wait=lambda _: 0.0)


@contextmanager
def running(*children: ChildSpec, timers: ManualTimers | None = None) -> Iterator[ActorSystem]:
    """Run children below a root; stop them, and fail when a thread is left over."""
    before = set(threading.enumerate())
    root = ChildSpec(
        name="root",
        factory=lambda: Supervisor(strategy=Strategy.ONE_FOR_ONE, children=children),
    )
    clock = time.monotonic if timers is None else timers.clock
    system = ActorSystem(root, timers=timers, clock=clock)
    system.start(timeout_s=30)
    try:
        yield system
    finally:
        report = system.stop()
    assert report.clean, report
    eventually(lambda: set(threading.enumerate()) <= before, what="the end of all threads")
