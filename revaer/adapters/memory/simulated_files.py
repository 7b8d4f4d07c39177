"""The files of a simulated torrent: what is known of them, and where they lie."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from revaer.adapters.memory.payload import MemoryPayload
from revaer.domain import facts as f
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import FileEntry, Metainfo


@dataclass(slots=True, eq=False, kw_only=True)
class SimulatedFiles:
    """Bytes per file, and their places.

    `done` is what the engine has, `written` what it handed to the file system; between the two lies
    its cache, which only a flush empties.

    Attributes:
        payload: the disk; without one, what was written is simply still there at the next check.
        renames: other paths than the metadata's, by file index.
        moving_to: where a move that takes time is going.
        move_failures: why the next moves fail.
        rename_failures: as above.
        needs_save: there is something worth keeping.
        has_changed: there is something new to report.
    """

    info_hash: InfoHash
    save_path: str
    payload: MemoryPayload | None = None
    metainfo: Metainfo | None = None
    priorities: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    renames: dict[int, str] = field(default_factory=dict)
    moving_to: str = ""
    move_left_s: float = 0.0
    move_failures: deque[str] = field(default_factory=deque)
    rename_failures: deque[str] = field(default_factory=deque)
    needs_save: bool = True
    has_changed: bool = True

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """All files; empty before the metadata is known."""
        return () if self.metainfo is None else self.metainfo.files

    def path_of(self, entry: FileEntry) -> str:
        """Where a file lies below the save path."""
        return self.renames.get(entry.index, entry.path)

    def begin_move(self, save_path: str, move_s: float) -> list[f.Fact]:
        """Set out for another directory; fails at once when something is in the way there."""
        if self.move_failures:
            return [f.StorageMoveFailed(self.info_hash, self.move_failures.popleft())]
        paths = [self.path_of(entry) for entry in self.files if not entry.is_pad]
        in_the_way = () if self.payload is None else self._lying(save_path, paths)
        if in_the_way:
            return [f.StorageMoveFailed(self.info_hash, f"{in_the_way[0]} is in the way")]
        self.moving_to, self.move_left_s = save_path, move_s
        self.has_changed = True
        return self.move_on(0.0)

    def move_on(self, seconds: float) -> list[f.Fact]:
        """Let a move go on, and end when its time is over."""
        if not self.moving_to:
            return []
        self.move_left_s -= seconds
        if self.move_left_s > 0:
            return []
        goal, self.moving_to = self.moving_to, ""
        for entry in self.files:
            self._relocate(self.path_of(entry), self.path_of(entry), goal)
        self.save_path = goal
        self.touch()
        return [f.StorageMoved(self.info_hash, goal)]

    def rename(self, index: int, path: str) -> f.Fact:
        """Give a file another path; nothing is ever in the way of a simulated rename."""
        if self.rename_failures:
            return f.FileRenameFailed(self.info_hash, index, self.rename_failures.popleft())
        entry = self.files[index]
        self._relocate(self.path_of(entry), path, self.save_path)
        self.renames[index] = path
        self.touch()
        return f.FileRenamed(self.info_hash, index, path)

    def flush(self) -> None:
        """Hand what is in the cache to the disk."""
        for entry in self.files:
            size = self.done[entry.index]
            if entry.is_pad or (size == self.written[entry.index] and size):
                continue
            is_due = size > 0 or (entry.size_bytes == 0 and self.priorities[entry.index] > 0)
            if is_due and self.payload is not None:
                self.payload.write(self.save_path, self.path_of(entry), size)
            self.written[entry.index] = size

    def delete_payload(self) -> None:
        """Take the files off the disk."""
        for entry in self.files:
            self.done[entry.index] = self.written[entry.index] = 0
            if self.payload is not None and not entry.is_pad:
                self.payload.delete(self.save_path, self.path_of(entry))

    def touch(self) -> None:
        """Note that there is something to report and to save."""
        self.has_changed = True
        self.needs_save = True

    def _lying(self, save_path: str, paths: Sequence[str]) -> list[str]:
        payload = self.payload
        if payload is None:
            return []
        return [path for path in paths if payload.size_bytes(save_path, path) is not None]

    def _relocate(self, path: str, new_path: str, new_save_path: str) -> None:
        """Put a file of the disk somewhere else; one that is not there is no error."""
        if self.payload is None:
            return
        size = self.payload.size_bytes(self.save_path, path)
        if size is not None:
            self.payload.delete(self.save_path, path)
            self.payload.write(new_save_path, new_path, size)

    def on_disk(self) -> list[int]:
        """Bytes per file that a check would find."""
        if self.payload is None:
            return list(self.written)
        return [
            0
            if entry.is_pad
            else min(
                self.payload.size_bytes(self.save_path, self.path_of(entry)) or 0, entry.size_bytes
            )
            for entry in self.files
        ]
