"""A disk that is only sizes: the double of the payload files."""

import threading
from collections.abc import Sequence
from typing import Final

from revaer.domain.storage import NOT_THERE, PlaceSeen
from revaer.domain.torrent import FileEntry

ROOT_DEVICE: Final = 1
DISK_DEVICE: Final = 2


class MemoryPayload:
    """`PayloadFiles` over a table of sizes; `MemoryEngine` writes into it, tests take away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}
        self._away: dict[str, dict[str, int]] = {}
        self._devices: dict[str, int] = {}
        self._looks: dict[str, PlaceSeen] = {}
        self._obstacles: dict[str, str] = {}
        self._free_bytes = 1 << 40

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

    def occupied(self, save_path: str, paths: Sequence[str]) -> tuple[str, ...]:
        """Name the paths at which a file, or a folder of one, lies."""
        with self._lock:
            lying = tuple(self._sizes)
        return tuple(
            path
            for path in paths
            if any(
                each == whole or each.startswith(f"{whole}/") or whole.startswith(f"{each}/")
                for whole in (f"{save_path}/{path}",)
                for each in lying
            )
        )

    def missing(self, save_path: str, files: Sequence[FileEntry]) -> tuple[str, ...]:
        """Name the files that are absent or not of their full size."""
        with self._lock:
            return tuple(
                entry.path
                for entry in files
                if self._sizes.get(f"{save_path}/{entry.path}") != entry.size_bytes
            )

    def sizes(self, save_path: str, files: Sequence[FileEntry]) -> tuple[int, ...]:
        """Bytes per file."""
        with self._lock:
            return tuple(self._sizes.get(f"{save_path}/{entry.path}", NOT_THERE) for entry in files)

    def place(self, save_path: str) -> PlaceSeen:
        """Look at a directory: there with what lies in it, unless a test has said otherwise."""
        with self._lock:
            told = self._looks.get(save_path)
            if told is not None:
                return told
            return PlaceSeen(
                path=save_path,
                is_empty=not self._below(save_path),
                device=self._devices.get(save_path, ROOT_DEVICE),
                free_bytes=self._free_bytes,
            )

    def obstacle(self, save_path: str, files: Sequence[FileEntry]) -> str:
        """Say what a test has put in the way."""
        del files
        with self._lock:
            return self._obstacles.get(save_path, "")

    # --- controls

    def mount(self, path: str, *, device: int = DISK_DEVICE) -> None:
        """Put a disk at a place, with what was on it when it was last unmounted there."""
        with self._lock:
            for each in self._below(path):
                del self._sizes[each]
            self._sizes.update(self._away.pop(path, {}))
            self._devices[path] = device

    def unmount(self, path: str) -> None:
        """Take the disk of a place away: what stays is an empty directory of the disk above."""
        with self._lock:
            self._away[path] = {each: self._sizes.pop(each) for each in self._below(path)}
            self._devices.pop(path, None)

    def show(self, seen: PlaceSeen) -> None:
        """Have every look at this place find this."""
        with self._lock:
            self._looks[seen.path] = seen

    def block(self, save_path: str, obstacle: str) -> None:
        """Put something in the way of every file; an empty text takes it away."""
        with self._lock:
            self._obstacles[save_path] = obstacle

    def fill(self, *, free_bytes: int) -> None:
        """Leave so much room on every disk."""
        with self._lock:
            self._free_bytes = free_bytes

    def names(self, path: str) -> tuple[str, ...]:
        """What lies below a directory now."""
        with self._lock:
            return tuple(self._below(path))

    def _below(self, path: str) -> list[str]:
        return [each for each in self._sizes if each.startswith(f"{path}/")]
