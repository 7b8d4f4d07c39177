"""What Revaer needs to know of payload files without going through the engine."""

from collections.abc import Sequence
from typing import Protocol

from revaer.domain.storage import PlaceSeen
from revaer.domain.torrent import FileEntry


class PayloadFiles(Protocol):
    """Looks at files; never changes one."""

    def missing(self, save_path: str, files: Sequence[FileEntry]) -> tuple[str, ...]:
        """Name the files that are absent, not regular files, or not of their full size.

        Args:
            save_path: absolute directory of the payload.
            files: what is wanted; pad files are never on disk and must not be passed.

        Returns:
            Relative paths, in the order given; empty when all is well.
        """
        ...

    def occupied(self, save_path: str, paths: Sequence[str]) -> tuple[str, ...]:
        """Name the paths at which anything lies: a file, a directory, a link to nowhere.

        What cannot be looked at counts as occupied, and so does a path below a file: whoever asks
        wants to know where nothing would be replaced.

        Args:
            save_path: absolute directory.
            paths: relative to it, `/` between parts.

        Returns:
            Those of `paths`, in the order given.
        """
        ...

    def sizes(self, save_path: str, files: Sequence[FileEntry]) -> tuple[int, ...]:
        """Bytes per file, in the order given; -1 for what is absent or no regular file."""
        ...

    def place(self, save_path: str) -> PlaceSeen:
        """Look at the directory itself. Blocks for as long as its file system does."""
        ...

    def obstacle(self, save_path: str, files: Sequence[FileEntry]) -> str:
        """Say what keeps these files from being written, without writing anything.

        Returns:
            The path and the system's words; empty when nothing is in the way.
        """
        ...
