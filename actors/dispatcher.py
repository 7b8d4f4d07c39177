"""A few worker threads that take turns for many actors without threads of their own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from enum import Enum, auto
from typing import Protocol

log = logging.getLogger(__name__)


class Runnable(Protocol):
    """Something that now and then has work to do; told apart by identity."""

    def run_turn(self, quantum: int) -> bool:
        """Do at most `quantum` pieces of work, quickly.

        Returns:
            Whether work is left, which asks for another turn. Work that arrives later must be
            announced by `Dispatcher.submit`; announcing during a turn is enough.
        """


class _Turn(Enum):
    WAITING = auto()
    WAITING_ASKED = auto()
    RUNNING = auto()
    RUNNING_AND_WOKEN = auto()
    RUNNING_AND_ASKED = auto()


_WAITING = frozenset({_Turn.WAITING, _Turn.WAITING_ASKED})
_RUNNING = frozenset({_Turn.RUNNING, _Turn.RUNNING_AND_WOKEN, _Turn.RUNNING_AND_ASKED})


_URGENT_IN_A_ROW = 3
"""Urgent turns before one that is not: a flood of asks must not starve those who are told."""


class Dispatcher:
    """Gives turns, first come first served, never two at once to the same runnable.

    A runnable that has nothing to do costs nothing here. One with work left after its quantum
    goes to the back of the line, so nobody waits longer than a quantum of each one before it.
    """

    def __init__(self, workers: int = 4, quantum: int = 16, *, name: str = "pool") -> None:
        """Prepare; no thread runs before `start`, but work may be submitted.

        Args:
            workers: number of threads, at least 1.
            quantum: pieces of work per turn, at least 1.
            name: prefix of the threads' names.
        """
        if workers < 1 or quantum < 1:
            raise ValueError(f"{name}: give at least 1 worker and a quantum of at least 1")
        self._size = workers
        self._quantum = quantum
        self._name = name
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._idle = 0
        self._line: deque[Runnable] = deque()
        self._urgent: deque[Runnable] = deque()
        self._urgent_in_a_row = 0
        self._turns: dict[int, _Turn] = {}
        self._running: dict[int, threading.Thread] = {}
        self._threads: list[threading.Thread] = []
        self._abandoned: set[threading.Thread] = set()
        self._made = 0
        self._stopped = False

    def start(self) -> None:
        """Start the workers; a second call does nothing.

        Raises:
            RuntimeError: after `stop`, or when no thread can be started.
        """
        with self._lock:
            if self._stopped:
                raise RuntimeError(f"{self._name} was stopped; make a new Dispatcher")
            while len(self._threads) < self._size:
                self._add_worker()

    def stop(self, timeout_s: float = 1.0) -> bool:
        """End the workers after the turns they are in; turns still waited for never come.

        Args:
            timeout_s: longest wait in seconds for all of them together.

        Returns:
            Whether all workers that were not abandoned have ended. The calling worker, if
            a turn called this, is not waited for.
        """
        with self._lock:
            self._stopped = True
            self._line.clear()
            self._urgent.clear()
            for waiting in [key for key, turn in self._turns.items() if turn in _WAITING]:
                del self._turns[waiting]
            self._changed.notify_all()
            threads = list(self._threads)
        return _join_all(threads, timeout_s)

    def submit(self, runnable: Runnable, *, urgent: bool = False) -> None:
        """Ask for a turn for `runnable`. Any thread, any number of times; never blocks.

        Args:
            runnable: what has work.
            urgent: somebody waits for it: its turn comes before those that are not urgent, as long
                as every fourth turn is still left to these.
        """
        with self._lock:
            if self._stopped:
                return
            turn = self._turns.get(id(runnable))
            if turn is None:
                self._line_up(runnable, urgent=urgent)
            elif turn in _RUNNING:
                # It may have looked for work just before this was there: look again.
                if urgent or turn is _Turn.RUNNING:
                    self._turns[id(runnable)] = (
                        _Turn.RUNNING_AND_ASKED if urgent else _Turn.RUNNING_AND_WOKEN
                    )
            elif urgent and turn is _Turn.WAITING:
                # It waits in both lines now; whichever comes second finds its turn taken.
                self._turns[id(runnable)] = _Turn.WAITING_ASKED
                self._urgent.append(runnable)

    def abandon(self, runnable: Runnable) -> bool:
        """Replace the worker that is stuck in a turn of `runnable`.

        The stuck thread cannot be killed. It ends by itself when its turn does; until then the
        runnable gets no further turn.

        Returns:
            Whether it had a turn just now.

        Raises:
            RuntimeError: no thread can be started; the worker stays what it was.
        """
        with self._lock:
            thread = self._running.get(id(runnable))
            if thread is None or self._stopped:
                return False
            if thread not in self._abandoned:
                self._add_worker()
                self._abandoned.add(thread)
                self._threads.remove(thread)
            return True

    @property
    def workers(self) -> int:
        """How many workers take turns; abandoned ones not counted."""
        return len(self._threads)

    @property
    def abandoned(self) -> int:
        """How many abandoned workers are still stuck."""
        return len(self._abandoned)

    @property
    def waiting(self) -> int:
        """How many runnables wait for a turn."""
        return sum(turn in _WAITING for turn in list(self._turns.values()))

    def _add_worker(self) -> None:
        self._made += 1
        thread = threading.Thread(target=self._work, name=f"{self._name}-{self._made}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        thread = threading.current_thread()
        while self._work_once(thread):
            pass

    def _work_once(self, thread: threading.Thread) -> bool:
        # The runnable is a local of this call: kept across the next wait it would outlive its use.
        runnable = self._take(thread)
        if runnable is None:
            return False
        while runnable is not None:
            more = False
            try:
                more = runnable.run_turn(self._quantum)
            except BaseException:  # even SystemExit must not cost the others a worker
                log.exception("turn_failed")
            runnable = self._swap(runnable, thread, more=more)
        return True

    def _take(self, thread: threading.Thread) -> Runnable | None:
        """Begin a turn, waiting for one; None tells the worker to end."""
        with self._lock:
            if thread in self._abandoned:
                self._abandoned.discard(thread)
                return None
            while (runnable := self._next()) is None:
                if self._stopped:
                    return None
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            return self._begin_turn(runnable, thread)

    def _swap(self, runnable: Runnable, thread: threading.Thread, *, more: bool) -> Runnable | None:
        """End a turn and begin the next, if one waits: busy workers pay for one lock per turn."""
        with self._lock:
            del self._running[id(runnable)]
            turn = self._turns[id(runnable)]
            if (more or turn is not _Turn.RUNNING) and not self._stopped:
                self._line_up(runnable, urgent=turn is _Turn.RUNNING_AND_ASKED)
            else:
                del self._turns[id(runnable)]
            following = None if thread in self._abandoned else self._next()
            return None if following is None else self._begin_turn(following, thread)

    def _next(self) -> Runnable | None:
        """Whose turn it is."""
        lines = (self._urgent, self._line)
        if self._urgent_in_a_row >= _URGENT_IN_A_ROW:
            lines = (self._line, self._urgent)
        for line in lines:
            while line:
                runnable = line.popleft()
                # One that waited in both lines may have had its turn already.
                if self._turns.get(id(runnable)) in _WAITING:
                    row = self._urgent_in_a_row + 1
                    self._urgent_in_a_row = row if line is self._urgent else 0
                    return runnable
        return None

    def _begin_turn(self, runnable: Runnable, thread: threading.Thread) -> Runnable:
        self._turns[id(runnable)] = _Turn.RUNNING
        self._running[id(runnable)] = thread
        return runnable

    def _line_up(self, runnable: Runnable, *, urgent: bool) -> None:
        self._turns[id(runnable)] = _Turn.WAITING_ASKED if urgent else _Turn.WAITING
        (self._urgent if urgent else self._line).append(runnable)
        if self._idle:
            self._changed.notify()


def _join_all(threads: list[threading.Thread], timeout_s: float) -> bool:
    """Wait for threads, `timeout_s` for all of them together; True when all have ended."""
    others = [thread for thread in threads if thread is not threading.current_thread()]
    deadline = time.monotonic() + timeout_s
    for thread in others:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in others)
