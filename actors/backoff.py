"""How long to wait before a restart, and how many restarts are too many. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tenacity import RetryCallState, Retrying, wait_exponential, wait_random

Wait = Callable[[RetryCallState], float]
"""A tenacity wait strategy; of the call state it reads `attempt_number` only."""

# The random part is added after the cap: wait_exponential_jitter adds it before, so that every
# delay at the cap is the same and all clients of a dead service return in step.
DEFAULT_WAIT: Wait = wait_exponential(multiplier=0.5, max=30) + wait_random(0, 2)

_NEVER_RUN = Retrying()


def backoff_delay_s(wait: Wait, attempt: int) -> float:
    """Seconds to wait before restart number `attempt`.

    Nothing sleeps here: the strategy is only asked, and a timer does the waiting.

    Args:
        wait: the strategy.
        attempt: 1 for the first restart.
    """
    state = RetryCallState(retry_object=_NEVER_RUN, fn=None, args=(), kwargs={})
    state.attempt_number = attempt
    return max(0.0, float(wait(state)))


class RestartWindow:
    """The deaths that still count against a restart limit."""

    __slots__ = ("_deaths", "_max_restarts", "_window_s")

    def __init__(self, max_restarts: int, window_s: float) -> None:
        """Start with no deaths."""
        self._max_restarts = max_restarts
        self._window_s = window_s
        # One more than the limit is all it takes to know that the limit is passed.
        self._deaths: deque[float] = deque(maxlen=max_restarts + 1)

    def spend(self, now: float) -> bool:
        """Count a death at `now`; True when it is one more than the limit allows."""
        self._deaths.append(now)
        return self.spent(now) > self._max_restarts

    def spent(self, now: float) -> int:
        """How many deaths count at `now`; one exactly `window_s` old still does."""
        # Read by health from other threads, so nothing is pruned here; `maxlen` bounds it.
        return sum(now - death <= self._window_s for death in tuple(self._deaths))

    def clear(self) -> None:
        """Forget all deaths: an operator vouches for what comes next."""
        self._deaths.clear()
