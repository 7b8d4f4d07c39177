"""Back to known peers at once when a torrent begins to run.

libtorrent waits 60 s before it calls a peer again that it was connected to. Pausing a torrent ends
its connections, so a resumed one would stand still for a minute although its peers are known. So
would a magnet whose one peer hung up on the first call, as a seed does that is still looking at its
files. The wait is a setting of the whole session: it is shortened for a few seconds only, because
peers that hang up on purpose must not be called every second for ever.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Final, cast

import libtorrent as lt

RECONNECT_S: Final = 60
HASTY_RECONNECT_S: Final = 1
HASTE_S: Final = 10.0


class Reconnects:
    """The wait before a known peer is called again. Commands and the pump shorten it."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._hasty_until: float | None = None

    def hurry(self, session: lt.session) -> None:
        """Call known peers again soon; for `HASTE_S` from now."""
        with self._lock:
            if self._hasty_until is None:
                _apply(session, HASTY_RECONNECT_S)
            self._hasty_until = self._now() + HASTE_S

    def settle(self, session: lt.session) -> None:
        """Go back to the usual wait once the haste is over; to be called every now and then."""
        with self._lock:
            if self._hasty_until is not None and self._now() >= self._hasty_until:
                self._hasty_until = None
                _apply(session, RECONNECT_S)


def _apply(session: lt.session, wait_s: int) -> None:
    session.apply_settings(cast("Any", {"min_reconnect_time": wait_s}))
