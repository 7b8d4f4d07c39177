"""A disk that is only sizes: the double of the payload files."""

import threading
from collections.abc import Sequence

from revaer.domain.torrent import FileEntry


class MemoryPayload:
    """`PayloadFiles` over a table of sizes; `MemoryEngine` writes into it, tests take away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}

    def write(self, save_path: str, path: str, size_bytes: int) -> None:
        """Make a file that is this long."""
        with self._lock:
            self._sizes[f"{save_path}/{path}"] = size_bytes

    def delete(self, save_path: str, path: str) -> None:
        """Take a file away; one that is not there is no error."""
        with self._lock:
            self._sizes.pop(f"{save_path}/{path}", None)

    def size_bytes(self, save_path: str, path: str) -> int | None:
        """How long a file is; None when it is not there."""
        with self._lock:
            return self._sizes.get(f"{save_path}/{path}")

    def missing(self, save_path: str, files: Sequence[FileEntry]) -> tuple[str, ...]:
        """Name the files that are absent or not of their full size."""
        with self._lock:
            return tuple(
                entry.path
                for entry in files
                if self._sizes.get(f"{save_path}/{entry.path}") != entry.size_bytes
            )
