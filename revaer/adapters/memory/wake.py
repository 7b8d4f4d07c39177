"""A descriptor that is readable while something waits."""

import contextlib
import os


class WakePipe:
    """A non-blocking pipe that holds one byte at most."""

    def __init__(self) -> None:
        """Open the pipe."""
        self.read_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._is_awake = False

    def wake(self) -> None:
        """Make the descriptor readable; costs nothing when it is."""
        if not self._is_awake:
            self._is_awake = True
            os.write(self._write_fd, b"\0")

    def clear(self) -> None:
        """Make it unreadable again."""
        if self._is_awake:
            self._is_awake = False
            with contextlib.suppress(BlockingIOError):
                os.read(self.read_fd, 64)

    def close(self) -> None:
        """Give both ends back."""
        os.close(self.read_fd)
        os.close(self._write_fd)
