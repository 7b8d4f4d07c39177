"""Ctrl-C and SIGTERM: the first asks the command to save and end, the second ends it at once."""

import os
import signal
from types import FrameType, TracebackType
from typing import Final, Self

from revaer.cli.failures import FAILED

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHOW_CURSOR: Final = b"\x1b[?25h"
_STDOUT: Final = 1
_STDERR: Final = 2


class Interruption:
    """Counts signals while it is entered; the handlers of before come back afterwards.

    Nothing is raised: the command looks at `received` between its steps, so that no step is torn.
    Enter it in the main thread.
    """

    def __init__(self) -> None:
        """Nothing has been received."""
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        """Take the signals over; one that the parent has us ignore (nohup) stays ignored."""
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before is not signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the signals back."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            return
        if os.isatty(_STDOUT):
            os.write(_STDOUT, _SHOW_CURSOR)  # a live display may have hidden it
        os.write(_STDERR, b"\nrevaer: stopped without saving\n")  # buffers may be in use just now
        # The resume store survives a kill at any moment, so nothing is lost but the last seconds.
        os._exit(FAILED)
