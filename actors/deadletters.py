"""Messages that nobody will handle: all counted, few logged."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.timers import Clock

log = logging.getLogger("actors")

# The first ones of a bad time show what is going on; a flood of them would hide everything else.
_LOGGED_IN_A_ROW = 10
_QUIET_S = 300.0


class DeadLetters:
    """Counts every lost message of a system; logs the first ten, then is quiet for five minutes."""

    def __init__(self, clock: Clock) -> None:
        """Start with none."""
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._logged = 0
        self._silent = 0
        self.total = 0

    def lost(self, path: str, message: object, state: str) -> None:
        """Count one lost message.

        Args:
            path: whom it was for.
            message: what it was; its type is logged, its content never is.
            state: of the receiver.
        """
        with self._lock:
            self.total += 1
            now = self._clock()
            missed = 0
            if now - self._since >= _QUIET_S:
                self._since, self._logged = now, 0
                missed, self._silent = self._silent, 0
            if self._logged >= _LOGGED_IN_A_ROW:
                self._silent += 1
                return
            self._logged += 1
        log.warning(
            "dead_letter",
            extra={
                "path": path,
                "message_type": type(message).__qualname__,
                "state": state,
                "not_logged_before": missed,
            },
        )
