"""Things to do later: one thread and a heap serve every timer of a system."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Protocol

Clock = Callable[[], float]
"""Seconds on a clock that never goes back; only differences mean anything."""

log = logging.getLogger(__name__)

# Cancelled entries stay in the heap until they are due or this many have gathered and outnumber
# the live ones: cancelling stays O(1), and a passivating crowd cannot grow the heap for ever.
_COMPACT_FROM = 512

# A wait on a Condition overflows past some 292 years on 64 bit and less elsewhere.
_LONGEST_WAIT_S = 3600.0


class TimerHandle(Protocol):
    """One thing to be done later."""

    def cancel(self) -> bool:
        """Prevent it. True: it has not run and never will. Any thread, any number of times."""


class Timers(Protocol):
    """What actors need of timers; `TimerService` and the manual double satisfy it."""

    def after(self, delay_s: float, callback: Callable[[], object]) -> TimerHandle:
        """Call `callback` once, `delay_s` seconds from now (at once when negative)."""


class _Entry:
    """A timer in the heap: ordered by due time, then by age."""

    __slots__ = ("_service", "callback", "due", "order")

    def __init__(
        self, service: TimerService, due: float, order: int, callback: Callable[[], object] | None
    ) -> None:
        self._service = service
        self.due = due
        self.order = order
        self.callback = callback

    def __lt__(self, other: _Entry) -> bool:
        return (self.due, self.order) < (other.due, other.order)

    def cancel(self) -> bool:
        return self._service._cancel(self)  # noqa: SLF001 - the entry is half of the service


class TimerService:
    """Runs callbacks at their time, in the order of their times, on one daemon thread.

    Callbacks must be quick (send a message): they delay each other. One that raises is logged.
    """

    def __init__(self, *, clock: Clock = time.monotonic, name: str = "timers") -> None:
        """Prepare; nothing runs before `start`, but timers may be set.

        Args:
            clock: tells what is due. Waiting is done in real seconds.
            name: of the thread.
        """
        self._clock = clock
        self._name = name
        self._changed = threading.Condition(threading.Lock())
        self._heap: list[_Entry] = []
        self._order = itertools.count()
        self._cancelled = 0
        self._thread: threading.Thread | None = None
        self._stopped = False

    def start(self) -> None:
        """Start the thread; a second call does nothing.

        Raises:
            RuntimeError: after `stop`, or when no thread can be started.
        """
        with self._changed:
            if self._stopped:
                raise RuntimeError(f"{self._name} was stopped; make a new TimerService")
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            thread.start()
            self._thread = thread

    def stop(self, timeout_s: float = 1.0) -> bool:
        """Drop all timers and end the thread, waiting for a running callback.

        Args:
            timeout_s: longest wait in seconds; no wait when called by a callback.

        Returns:
            Whether the thread has ended.
        """
        with self._changed:
            self._stopped = True
            for entry in self._heap:
                entry.callback = None
            self._heap.clear()
            self._cancelled = 0
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            return True
        if thread is not threading.current_thread():
            thread.join(timeout_s)
        return not thread.is_alive()

    def after(self, delay_s: float, callback: Callable[[], object]) -> TimerHandle:
        """Call `callback` once, `delay_s` seconds from now, never before.

        After `stop` the handle is a cancelled one: late timers of a dying system are no error.

        Raises:
            ValueError: when `delay_s` is not a number.
        """
        if math.isnan(delay_s):
            raise ValueError("a timer's delay is not a number")
        with self._changed:
            due = self._clock() + max(0.0, delay_s)
            entry = _Entry(self, due, next(self._order), callback)
            if self._stopped:
                entry.callback = None
                return entry
            heapq.heappush(self._heap, entry)
            if self._heap[0] is entry:
                self._changed.notify()
        return entry

    @property
    def pending(self) -> int:
        """How many timers are set and neither cancelled nor due."""
        with self._changed:
            return len(self._heap) - self._cancelled

    def _cancel(self, entry: _Entry) -> bool:
        with self._changed:
            if entry.callback is None:
                return False
            entry.callback = None
            self._cancelled += 1
            if self._cancelled >= _COMPACT_FROM and self._cancelled * 2 > len(self._heap):
                self._heap = [kept for kept in self._heap if kept.callback is not None]
                heapq.heapify(self._heap)
                self._cancelled = 0
            return True

    def _run(self) -> None:
        while self._run_next():
            pass

    def _run_next(self) -> bool:
        # The callback is a local of this call: kept across the next wait it would keep alive
        # whatever it refers to, a dead actor for instance.
        callback = self._next()
        if callback is None:
            return False
        try:
            callback()
        except BaseException:  # even SystemExit must not end everyone's timers
            log.exception("timer_callback_failed")
        return True

    def _next(self) -> Callable[[], object] | None:
        """Wait for the next due callback; None when stopped."""
        with self._changed:
            while not self._stopped:
                wait_s = _LONGEST_WAIT_S
                if self._heap:
                    wait_s = self._heap[0].due - self._clock()
                if wait_s > 0:
                    self._changed.wait(min(wait_s, _LONGEST_WAIT_S))
                    continue
                entry = heapq.heappop(self._heap)
                callback, entry.callback = entry.callback, None
                if callback is not None:
                    return callback
                self._cancelled -= 1
        return None
