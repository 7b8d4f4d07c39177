"""Whole files or none: temp and rename, the generation before, and fsync in groups."""

import contextlib
import errno
import os
import threading
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from revaer.domain.errors import StoreDownError

CrashPoint = Callable[[str], None]
"""Called with the name of each step that just happened; a test raises or kills here."""

TEMP_SUFFIX: Final = ".tmp"
PREVIOUS_SUFFIX: Final = ".1"
DAMAGED_FOLDER: Final = "damaged"
MAX_DAMAGED_FILES: Final = 200
SYNC_THREADS: Final = 8

_REMEDIES: Final = {
    errno.ENOSPC: "free space on its file system",
    errno.EDQUOT: "raise the quota or free space",
    errno.EACCES: "give the user that Revaer runs as read and write access to it",
    errno.EPERM: "give the user that Revaer runs as read and write access to it",
    errno.EROFS: "mount its file system writable",
    errno.ENOENT: "mount or restore the directory",
    errno.ENOTDIR: "a directory is needed there: move the file away",
    errno.EEXIST: "a directory is needed there: move the file away",
    errno.EIO: "check the disk and the system log",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENOLCK: "use a file system that supports flock",
}

_UNREADABLE: Final = frozenset(
    {errno.EIO, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EUCLEAN, errno.EBADMSG}
)
"""Errors that one damaged file has; any other speaks of the directory as a whole."""

_IN_THE_WAY: Final = frozenset(
    {errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST, errno.ENXIO}
)
"""What a write meets where something that is no file lies under its name."""

STRAY_SUFFIX: Final = ".stray"


class UnreadableFileError(Exception):
    """This one file cannot be read, while the directory works."""


class ForbiddenFileError(StoreDownError):
    """This one file may not be read, nor its mode be changed: it is another user's."""


def no_crash(_point: str) -> None:
    """Do nothing: what a store outside of tests calls at its crash points."""


def store_down(action: str, path: str, error: OSError) -> StoreDownError:
    """Say which path failed, why, and what to do."""
    cause = error.strerror or str(error)
    remedy = _REMEDIES.get(error.errno or 0, "see the system log")
    return StoreDownError(f"cannot {action} {path}: {cause}; {remedy}")


class AtomicDirectory:
    """Writes whole files into one directory.

    Only `sync` may run beside other calls: the owner serialises the rest. A file is staged under a
    temporary name, then committed by rename; what was there before can be kept as the previous
    generation, `NAME.1`. The directory remembers what it renamed, so that `sync` can force just
    that to the disk.
    """

    def __init__(self, path: str, crash_point: CrashPoint = no_crash) -> None:
        self.path = path
        self.changes = 0
        """Grows with everything that is renamed or deleted here; what was listed before is old."""
        self._crash_point = crash_point
        self._books = threading.Lock()  # guards the four below; never held during a disk call
        self._unsynced: set[str] = set()
        self._unmovable: set[str] = set()
        self._syncing: frozenset[str] = frozenset()
        self._entries_changed = False
        self._one_sync = threading.Lock()

    def path_of(self, name: str) -> str:
        """The full path of a file in this directory."""
        return f"{self.path}/{name}"

    def names(self) -> list[str]:
        """Every name in the directory."""
        try:
            return os.listdir(self.path)  # noqa: PTH208 40,000 names: strings, not Path objects
        except OSError as error:
            raise store_down("list", self.path, error) from error

    def read(self, name: str) -> bytes | None:
        """Read a whole file; None when there is none.

        A file of our own that may not be read is made readable first.

        Raises:
            UnreadableFileError: this one file cannot be read.
            ForbiddenFileError: this one file is another user's.
            StoreDownError: the directory as a whole cannot be read.
        """
        path = self.path_of(name)
        try:
            try:
                return _content(path)
            except PermissionError:
                os.chmod(path, 0o600)  # noqa: PTH101 as in payload.py
                return _content(path)
        except PermissionError as error:
            raise ForbiddenFileError(str(store_down("read", path, error))) from error
        except FileNotFoundError:
            if os.path.isdir(self.path):  # noqa: PTH112 as in names
                return None
            raise store_down("read", self.path, FileNotFoundError(errno.ENOENT, "gone")) from None
        except OSError as error:
            if error.errno in _UNREADABLE:
                raise UnreadableFileError(f"{path}: {error.strerror}") from error
            raise store_down("read", path, error) from error

    def stage(self, name: str, data: bytes, label: str) -> None:
        """Write the next content of a file under its temporary name.

        Raises:
            StoreDownError: it could not be written whole; nothing of it is left.
        """
        temp = self.path_of(name + TEMP_SUFFIX)
        try:
            try:
                _write(temp, data)
            except OSError as error:
                self._clear_the_way(name + TEMP_SUFFIX, error)
                _write(temp, data)
        except OSError as error:
            self.discard(name)
            raise store_down("write", temp, error) from error
        self._crash_point(f"{label}.written")

    def discard(self, name: str) -> None:
        """Drop what was staged; a directory that does not even allow that is left as it is."""
        with contextlib.suppress(OSError):
            os.unlink(self.path_of(name + TEMP_SUFFIX))  # noqa: PTH108 as in payload.py

    def commit(self, name: str, label: str, *, keeps_previous: bool = False) -> None:
        """Rename what was staged into place.

        Raises:
            StoreDownError: the rename was refused; the directory is as it was.
        """
        path = self.path_of(name)
        previous = name + PREVIOUS_SUFFIX
        rotated = False
        try:
            if keeps_previous and self._may_rotate(name, previous):
                rotated = self._rotate(name, previous)
                if rotated:
                    self._crash_point(f"{label}.rotated")
            self._rename(name + TEMP_SUFFIX, name)
        except OSError as error:
            if rotated:
                with contextlib.suppress(OSError):
                    os.rename(self.path_of(previous), path)  # noqa: PTH104 as above
            self.discard(name)
            raise store_down("replace", path, error) from error
        with self._books:
            self._unsynced.add(name)
            self._unmovable.discard(name)
        self._crash_point(f"{label}.renamed")

    def settle(self, name: str, final_name: str, point: str) -> bool:
        """Give a committed file another name, in the place of what has it; False when refused."""
        try:
            self._rename(name, final_name)
        except OSError:
            return False
        with self._books:
            if name in self._unsynced or name in self._syncing:
                self._unsynced.discard(name)
                self._unsynced.add(final_name)
            self._entries_changed = True
        self._crash_point(point)
        return True

    def delete(self, name: str, point: str | None = None) -> bool:
        """Remove a file; False when there was none."""
        path = self.path_of(name)
        self.changes += 1
        try:
            os.unlink(path)  # noqa: PTH108 as in payload.py
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise store_down("delete", path, error) from error
            self.set_aside(name)
        with self._books:
            self._unsynced.discard(name)
            self._entries_changed = True
        if point is not None:
            self._crash_point(point)
        return True

    def set_aside(self, name: str) -> str:
        """Move a file into the folder for damaged ones; the oldest there make room.

        Returns:
            Where it lies now, relative to this directory.
        """
        folder = self.path_of(DAMAGED_FOLDER)
        self.changes += 1
        try:
            try:
                os.makedirs(folder, 0o700, exist_ok=True)  # noqa: PTH103 as in payload.py
            except FileExistsError:
                os.rename(folder, folder + STRAY_SUFFIX)  # noqa: PTH104 as in payload.py
                os.mkdir(folder, 0o700)  # noqa: PTH102 as in payload.py
            taken = os.listdir(folder)  # noqa: PTH208 as in names
            number = 1 + max((_number_of(old) for old in taken), default=0)
            place = f"{DAMAGED_FOLDER}/{number:06d}.{name}"
            os.rename(self.path_of(name), self.path_of(place))  # noqa: PTH104 as in payload.py
        except OSError as error:
            raise store_down("set aside", self.path_of(name), error) from error
        for old in sorted(taken, key=_number_of)[: max(len(taken) + 1 - MAX_DAMAGED_FILES, 0)]:
            if _number_of(old):
                with contextlib.suppress(OSError):  # a directory stays: nobody knows what it holds
                    os.unlink(f"{folder}/{old}")  # noqa: PTH108 as in payload.py
        with self._books:
            self._unsynced.discard(name)
            self._entries_changed = True
        return place

    def copy_aside(self, name: str, data: bytes) -> None:
        """Keep a copy of a damaged file whose name must stay taken."""
        self.stage(f"{name}.copy", data, "damaged")
        self.commit(f"{name}.copy", "damaged")
        self.set_aside(f"{name}.copy")

    def leave(self, name: str) -> None:
        """A damaged file that cannot be moved away: it must not become the generation before."""
        with self._books:
            self._unmovable.add(name)

    def distrust(self, names: list[str]) -> None:
        """Take these files for unsynced: a process that died may have left them so."""
        with self._books:
            self._unsynced.update(names)
            self._entries_changed = True

    def sync(self) -> int:
        """Force to the disk what was renamed so far: the files, then the directory.

        Two callers take turns, so whoever returns knows that everything before its call is safe.

        Returns:
            How many files that were.

        Raises:
            StoreDownError: nothing is known to be safe; the same files come with the next call.
        """
        with self._one_sync:
            with self._books:
                names = self._syncing = frozenset(self._unsynced)
                changed = self._entries_changed
                self._unsynced.clear()
                self._entries_changed = False
            is_safe = False
            try:
                count = self._sync_files(names)
                if names or changed:
                    self._crash_point("sync.files")
                    self._sync_directory()
                    self._crash_point("sync.directory")
                is_safe = True
            finally:
                with self._books:
                    if not is_safe:
                        self._unsynced |= names
                        self._entries_changed = True
                    self._syncing = frozenset()
            return count

    def _sync_files(self, names: AbstractSet[str]) -> int:
        """Sync several at once where there are many.

        ext4 commits its journal once for all that wait: 500 files took 70 ms with eight threads,
        and 1,100 to 1,600 ms one after the other.
        """
        if len(names) < SYNC_THREADS:
            return sum(self._sync_file(name) for name in names)
        with ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="resume-sync") as pool:
            return sum(pool.map(self._sync_file, names))

    def _sync_file(self, name: str) -> bool:
        path = self.path_of(name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return False  # removed meanwhile
        except OSError as error:
            raise store_down("sync", path, error) from error
        try:
            os.fsync(descriptor)
        except OSError as error:
            raise store_down("sync", path, error) from error
        finally:
            os.close(descriptor)
        return True

    def _sync_directory(self) -> None:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise store_down("sync", self.path, error) from error

    def _rename(self, name: str, new_name: str) -> None:
        """Rename over a file, and past a directory that has its name."""
        source, target = self.path_of(name), self.path_of(new_name)
        self.changes += 1
        try:
            os.rename(source, target)  # noqa: PTH104 as in payload.py
        except OSError as error:
            self._clear_the_way(new_name, error)
            os.rename(source, target)  # noqa: PTH104 as in payload.py

    def _clear_the_way(self, name: str, error: OSError) -> None:
        """Move what is no file out of a file's place; any other error is raised again."""
        if error.errno not in _IN_THE_WAY or not os.path.lexists(self.path_of(name)):
            raise error
        self.set_aside(name)

    def _may_rotate(self, name: str, previous: str) -> bool:
        """Whether the present generation may become the previous one.

        A generation that is not on the disk yet must not push out one that is: a power loss would
        then take both.
        """
        with self._books:
            if name in self._unmovable:
                return False
            if name not in self._unsynced and name not in self._syncing:
                return True
            if previous in self._unsynced or previous in self._syncing:
                return True
        return not os.path.exists(self.path_of(previous))  # noqa: PTH110 as in payload.py

    def _rotate(self, name: str, previous: str) -> bool:
        try:
            self._rename(name, previous)
        except FileNotFoundError:
            return False
        with self._books:
            if name in self._unsynced or name in self._syncing:
                self._unsynced.add(previous)
        return True


def _content(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        return _read_all(descriptor)
    finally:
        os.close(descriptor)


def _write(path: str, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    try:
        _write_all(descriptor, data)
    finally:
        os.close(descriptor)


def _number_of(name: str) -> int:
    head = name.partition(".")[0]
    return int(head) if head.isascii() and head.isdigit() else 0


def _read_all(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    data = os.read(descriptor, size + 1)
    if len(data) == size:
        return data
    chunks = [data]
    while chunk := os.read(descriptor, 65_536):
        chunks.append(chunk)
    return b"".join(chunks)


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])
