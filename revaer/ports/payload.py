"""What Revaer needs to know of payload files without going through the engine."""

from collections.abc import Sequence
from typing import Protocol

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
