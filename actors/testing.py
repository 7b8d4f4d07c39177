"""Doubles and helpers for testing what is built on this kit."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from actors.actor import ThreadActor
from actors.spec import ChildSpec, RestartLimit, Strategy
from actors.supervisor import Supervisor
from actors.system import ActorSystem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.timers import TimerHandle


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, now: float = 1000.0) -> None:
        """Start at `now` seconds; not 0, so that a forgotten reading shows."""
        self._now = now

    def __call__(self) -> float:
        """Seconds, as `time.monotonic` would say."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if seconds < 0:
            raise ValueError("a monotonic clock never goes back")
        self._now += seconds


class _ManualHandle:
    """A timer of `ManualTimers`, ordered as the real ones are."""

    __slots__ = ("callback", "due", "order")

    def __init__(self, due: float, order: int, callback: Callable[[], object]) -> None:
        self.due = due
        self.order = order
        self.callback: Callable[[], object] | None = callback

    def __lt__(self, other: _ManualHandle) -> bool:
        return (self.due, self.order) < (other.due, other.order)

    def cancel(self) -> bool:
        live = self.callback is not None
        self.callback = None
        return live


class ManualTimers:
    """Timers that fire in the thread that lets time pass."""

    def __init__(self, clock: ManualClock | None = None) -> None:
        """Fire by `clock`, which `advance` moves along; a new one if None."""
        self.clock = clock or ManualClock()
        self._heap: list[_ManualHandle] = []
        self._order = itertools.count()
        # Actors set timers from their own threads while a test moves the time.
        self._lock = threading.Lock()

    def start(self) -> None:
        """Do nothing: present so that it can stand in for `TimerService`."""

    def stop(self, timeout_s: float = 1.0) -> bool:  # noqa: ARG002 - the service's signature
        """Drop all timers."""
        with self._lock:
            for handle in self._heap:
                handle.callback = None
            self._heap.clear()
        return True

    def after(self, delay_s: float, callback: Callable[[], object]) -> TimerHandle:
        """Call `callback` once time has moved on by `delay_s` seconds."""
        with self._lock:
            due = self.clock() + max(0.0, delay_s)
            handle = _ManualHandle(due, next(self._order), callback)
            heapq.heappush(self._heap, handle)
        return handle

    def advance(self, seconds: float) -> int:
        """Let time pass; each due callback runs at its own time, those it sets included.

        Returns:
            How many callbacks ran.
        """
        end = self.clock() + seconds
        ran = 0
        while (handle := self._pop_due(end)) is not None:
            callback, handle.callback = handle.callback, None
            if callback is not None:
                self.clock.advance(max(0.0, handle.due - self.clock()))
                callback()
                ran += 1
        self.clock.advance(max(0.0, end - self.clock()))
        return ran

    @property
    def pending(self) -> int:
        """How many timers are set and neither cancelled nor due."""
        with self._lock:
            return sum(handle.callback is not None for handle in self._heap)

    def _pop_due(self, end: float) -> _ManualHandle | None:
        with self._lock:
            if self._heap and self._heap[0].due <= end:
                return heapq.heappop(self._heap)
        return None


def eventually(
    predicate: Callable[[], object], *, within_s: float = 5.0, what: str | None = None
) -> None:
    """Wait until `predicate()` is true, asking again every few milliseconds.

    For tests whose subject is a real thread; others move a `ManualClock`.

    Raises:
        AssertionError: not true within `within_s` seconds; says `what` was waited for.
    """
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not predicate():
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within_s} s: {what or predicate}")
        pause.wait(0.002)


class Probe(ThreadActor):
    """Records what it is sent; stands for an actor that the test's subject talks to."""

    def __init__(
        self,
        received: list[object],
        *,
        answer: Callable[[Any], object] | None = None,
    ) -> None:
        """Record into a list of the test's own, which outlives restarts.

        Args:
            received: every message is appended, in order.
            answer: makes the answers of asks, and may raise; all are None without it.
        """
        super().__init__()
        self._received = received
        self._answer = answer

    def on_receive(self, message: object) -> object:
        """Record, then answer."""
        self._received.append(message)
        return self._answer(message) if self._answer is not None else None


@contextmanager
def run_system(
    *children: ChildSpec,
    strategy: Strategy = Strategy.ONE_FOR_ONE,
    limit: RestartLimit | None = None,
    root: ChildSpec | None = None,
    start_timeout_s: float = 30.0,
    **options: Any,  # noqa: ANN401 - passed on to ActorSystem, which names them
) -> Iterator[ActorSystem]:
    """Run a system for the length of a `with` block, and leave no thread behind.

    Args:
        children: of a root supervisor.
        strategy: of that supervisor.
        limit: of that supervisor.
        root: instead of all these.
        start_timeout_s: for the start.
        options: for `ActorSystem`.

    Raises:
        AssertionError: a thread that was not there before is still there 5 s after the stop.
    """
    before = set(threading.enumerate())

    def supervisor() -> Supervisor:
        return Supervisor(strategy=strategy, children=children, limit=limit)

    system = ActorSystem(root or ChildSpec(name="root", factory=supervisor), **options)
    try:
        system.start(start_timeout_s)
        yield system
    finally:
        system.stop("the with block is over")
    eventually(lambda: not _left_since(before), what=f"threads that end, of {_left_since(before)}")


def _left_since(before: set[threading.Thread]) -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread not in before}
