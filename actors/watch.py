"""Notices children that are busy with one message for too long. Looks; never sends a ping.

A ping would need a free turn of the mailbox, so that a merely slow actor would look hung.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from actors.timers import Clock, TimerHandle, Timers

# A hang is noticed within a quarter of its limit, and looking costs microseconds per child.
_LOOKS_PER_LIMIT = 4
_SHORTEST_LOOK_S = 0.02
_LONGEST_LOOK_S = 1.0


class Busy(Protocol):
    """What is looked at."""

    generation: int
    busy_since: float | None


class Look:
    """A tick, sent to the supervisor: time to look."""

    __slots__ = ()


class HangWatch:
    """Watches the children that set a limit; without any, nothing ticks."""

    def __init__(self, clock: Clock, timers: Timers, tell: Callable[[object], None]) -> None:
        """Watch nobody yet.

        Args:
            clock: the one that `busy_since` was read from.
            timers: for the ticks.
            tell: sends a tick to whoever calls `look`.
        """
        self._clock = clock
        self._timers = timers
        self._tell = tell
        self._limits_s: dict[str, float] = {}
        self._period_s = _LONGEST_LOOK_S
        self._tick: TimerHandle | None = None

    def add(self, name: str, limit_s: float) -> None:
        """Watch a child, across all of its generations."""
        self._limits_s[name] = limit_s
        period_s = max(_SHORTEST_LOOK_S, limit_s / _LOOKS_PER_LIMIT)
        self._period_s = min(self._period_s, period_s)
        self.go_on(unless=False)

    def discard(self, name: str) -> None:
        """Watch a child no longer."""
        self._limits_s.pop(name, None)

    def go_on(self, *, unless: bool) -> None:
        """Set the next tick, unless there is one, nobody is watched, or it is not wanted."""
        if self._tick is None and self._limits_s and not unless:
            self._tick = self._timers.after(self._period_s, lambda: self._tell(Look()))

    def look(self, children: Mapping[str, Busy]) -> Iterator[tuple[str, int]]:
        """Name and generation of each watched child that is past its limit."""
        self._tick = None
        now = self._clock()
        for name, limit_s in list(self._limits_s.items()):
            child = children.get(name)
            busy_since = child.busy_since if child is not None else None
            if child is not None and busy_since is not None and now - busy_since > limit_s:
                yield name, child.generation
