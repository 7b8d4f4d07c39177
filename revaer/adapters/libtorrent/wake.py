"""A descriptor that libtorrent and Revaer itself can make readable."""

import os
from contextlib import suppress

_READ_AT_ONCE = 4_096


class WakePipe:
    """A non-blocking pipe: a writer that finds it full has already woken the reader."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def wake(self) -> None:
        """Make the read end readable."""
        with suppress(BlockingIOError):
            os.write(self.write_fd, b"\0")

    def clear(self) -> None:
        """Take what was written, so that the next write is noticed."""
        with suppress(BlockingIOError):
            os.read(self.read_fd, _READ_AT_ONCE)

    def close(self) -> None:
        """Close both ends; nothing may write any more."""
        os.close(self.read_fd)
        os.close(self.write_fd)
