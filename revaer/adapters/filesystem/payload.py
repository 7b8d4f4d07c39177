"""Looks at payload files on a local disk."""

import errno
import os
import stat
from collections.abc import Sequence
from typing import Final

from revaer.domain.storage import NOT_THERE, PlaceKind, PlaceSeen
from revaer.domain.torrent import FileEntry

_BLOCKED: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
)
"""What says that something is there; every other error (a dead mount among them) is an absence."""


class LocalPayload:
    """`PayloadFiles` by one `stat` per file.

    Symbolic links are followed, because the engine reads and writes through them too.
    """

    def missing(self, save_path: str, files: Sequence[FileEntry]) -> tuple[str, ...]:
        """Name the files that are absent, not regular files, or not of their full size.

        A file that cannot be looked at (no permission, a device error) counts as missing: nobody
        may be told that it is there. So does a path that would lead out of `save_path`.
        """
        return tuple(entry.path for entry in files if not _is_whole(save_path, entry))

    def occupied(self, save_path: str, paths: Sequence[str]) -> tuple[str, ...]:
        """Name the paths at which anything lies, or that cannot be looked at."""
        return tuple(path for path in paths if not _is_free(f"{save_path}/{path}"))

    def sizes(self, save_path: str, files: Sequence[FileEntry]) -> tuple[int, ...]:
        """Bytes per file; -1 for what is absent, no regular file, or out of `save_path`."""
        return tuple(_size_of(save_path, entry) for entry in files)

    def place(self, save_path: str) -> PlaceSeen:
        """Open the directory and look through what was opened.

        Opening is what makes an automounter mount; a `stat` alone would look at the mount point.
        """
        try:
            directory = os.open(save_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError as error:
            return _entered(save_path, error)
        except (OSError, ValueError) as error:
            return _failed(save_path, error)
        try:
            found = os.fstat(directory)
            room = os.fstatvfs(directory)
            with os.scandir(directory) as entries:
                is_empty = next(entries, None) is None
        except OSError as error:
            return _failed(save_path, error)
        finally:
            os.close(directory)
        return PlaceSeen(
            path=save_path,
            is_empty=is_empty,
            device=found.st_dev,
            free_bytes=room.f_bavail * room.f_frsize,
        )

    def obstacle(self, save_path: str, files: Sequence[FileEntry]) -> str:
        """Ask for the right to write, for each file or the nearest directory that there is."""
        seen: set[str] = set()
        for entry in files:
            path = f"{save_path}/{entry.path}"
            if os.path.isfile(path):  # noqa: PTH113 a Path costs ten times the call
                problem = "" if os.access(path, os.W_OK) else _why_not(path)
            else:
                path = os.path.dirname(path)  # noqa: PTH120 as above
                if path in seen:
                    continue
                seen.add(path)
                problem = _directory_problem(path)
            if problem:
                return problem
        return ""


def _entered(path: str, error: PermissionError) -> PlaceSeen:
    """A directory that may be entered but not listed is there, and holds what it holds."""
    try:
        found = os.stat(path)  # noqa: PTH116 a Path costs ten times the call
        room = os.statvfs(path)
    except (OSError, ValueError):
        return _failed(path, error)
    if not stat.S_ISDIR(found.st_mode) or not os.access(path, os.X_OK):
        return _failed(path, error)
    return PlaceSeen(path=path, device=found.st_dev, free_bytes=room.f_bavail * room.f_frsize)


def _failed(path: str, error: OSError | ValueError) -> PlaceSeen:
    if isinstance(error, ValueError):  # a NUL in the name
        return PlaceSeen(path=path, kind=PlaceKind.BLOCKED, problem="is no path")
    if isinstance(error, FileNotFoundError):
        return PlaceSeen(path=path, kind=PlaceKind.ABSENT, problem="does not exist")
    kind = PlaceKind.BLOCKED if error.errno in _BLOCKED else PlaceKind.ABSENT
    return PlaceSeen(path=path, kind=kind, problem=f"cannot be opened ({error.strerror})")


def _directory_problem(path: str) -> str:
    """What keeps a file from being made in a directory, or it from being made."""
    while True:
        try:
            found = os.stat(path)  # noqa: PTH116 a Path costs ten times the call
        except FileNotFoundError:
            parent = os.path.dirname(path)  # noqa: PTH120 as above
            if parent == path:
                return f"{path}: {os.strerror(errno.ENOENT)}"
            path = parent
            continue
        except (OSError, ValueError) as error:
            return f"{path}: {error}"
        if not stat.S_ISDIR(found.st_mode):
            return f"{path}: {os.strerror(errno.ENOTDIR)}"
        return "" if os.access(path, os.W_OK | os.X_OK) else _why_not(path)


def _why_not(path: str) -> str:
    is_read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    return f"{path}: {os.strerror(errno.EROFS if is_read_only else errno.EACCES)}"


def _is_free(path: str) -> bool:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except (OSError, ValueError):  # below a file, no permission; ValueError: a NUL in the name
        return False
    return False


def _is_whole(save_path: str, entry: FileEntry) -> bool:
    return _size_of(save_path, entry) == entry.size_bytes


def _size_of(save_path: str, entry: FileEntry) -> int:
    parts = entry.path.split("/")
    if ".." in parts or "" in parts:  # an absolute path begins with an empty part
        return NOT_THERE
    try:
        found = os.stat(f"{save_path}/{entry.path}")  # noqa: PTH116 a Path costs ten times the call
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return NOT_THERE
    return found.st_size if stat.S_ISREG(found.st_mode) else NOT_THERE
