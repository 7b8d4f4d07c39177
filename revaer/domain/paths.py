"""Where a torrent may put its files: the one resolver of save paths and judge of file names."""

import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from revaer.domain.errors import PathRefusedError
from revaer.domain.torrent import FileEntry

RESERVED_PREFIX: Final = ".revaer"
"""Names that start so are Revaer's own (markers, staging), whatever their letter case."""

MAX_COMPONENT_BYTES: Final = 255
"""NAME_MAX of every common Linux file system."""

MAX_PATH_BYTES: Final = 4095
"""PATH_MAX of Linux without its closing NUL."""

SYSTEM_TREES: Final = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/lost+found"),
    *("/proc", "/run", "/sbin", "/sys", "/usr", "/var/run"),
)
"""Directories of the operating system: refused with all that is below them."""

SYSTEM_TREE_EXCEPTIONS: Final = ("/dev/shm", "/run/media", "/run/user")  # noqa: S108 not a temp file
"""What people do mount or own below system trees: memory, removable disks, runtime directories."""

SYSTEM_DIRECTORIES: Final = ("/", "/home", "/var", "/var/cache", "/var/lib", "/var/log")
"""Refused themselves, while directories below them may be used."""

_SHOWN_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class PathPolicy:
    """Which directories torrents may use.

    Attributes:
        roots: absolute directories; a save path is one of them or lies below one.
        default: where payload goes when nobody says; relative paths are taken from here.
        refused: directories never used, nor anything below them, though a root contains them.
        state_dirs: as `refused`, for Revaer's own state: configuration, database, resume store.
        knob: what an operator changes to allow another directory; named in refusals.
    """

    roots: tuple[str, ...]
    default: str
    refused: tuple[str, ...] = ()
    state_dirs: tuple[str, ...] = ()
    knob: str = "the setting `paths.roots`"

    def __post_init__(self) -> None:
        """Refuse a policy that could never work.

        Raises:
            PathRefusedError: no root, or a directory that is not absolute.
        """
        if not self.roots:
            raise PathRefusedError(f"There is no directory for payload. Add one to {self.knob}.")
        for path in (*self.roots, self.default, *self.refused, *self.state_dirs):
            _check_text(path)
            if not path.startswith("/"):
                raise PathRefusedError(
                    f"Directory {_shown(path)} is not absolute. Write it from `/` in {self.knob}."
                )

    def resolve(
        self, path: str | None, *, realpath: Callable[[str], str] = os.path.realpath
    ) -> str:
        """Turn what somebody asked for into the directory that is used.

        Symbolic links are followed before the path is judged, and the answer has none left, so a
        link below a root cannot lead out of it. The directory need not exist.

        Args:
            path: absolute, relative to the default, or None for the default.
            realpath: follows symbolic links; must not need the path to exist.

        Returns:
            An absolute path without links, `.`, `..` or a `/` at the end. Resolving it again gives
            the same.

        Raises:
            PathRefusedError: names the path, the reason, and what to change.
        """
        asked = self.default if path is None else path
        _check_text(asked)
        if asked == "~" or asked.startswith("~/"):
            raise PathRefusedError(
                f"Save path {_shown(asked)} starts with `~`, which only a shell understands. "
                "Write the home directory out."
            )
        whole = asked if asked.startswith("/") else f"{self.default.rstrip('/')}/{asked}"
        resolved = _real(whole, realpath)
        _check_lengths(resolved, asked)
        self._check_place(resolved, asked, realpath)
        return resolved

    def check_files(
        self,
        save_path: str,
        files: Sequence[FileEntry],
        *,
        realpath: Callable[[str], str] = os.path.realpath,
    ) -> None:
        """Judge the file names that a torrent brings along.

        libtorrent cleans names on its own; this holds also for renames, for imported resume data
        and for any other engine. Names that differ only in letter case are accepted: whether they
        collide is the file system's business.

        Args:
            save_path: the torrent's directory, as `resolve` answered.
            files: every file of the torrent.
            realpath: as in `resolve`; only the refused directories go through it.

        Raises:
            PathRefusedError: names the first file that is refused, the reason, and what to change.
        """
        base = save_path.rstrip("/")
        guarded = [
            directory
            for directory in (_real(path, realpath) for path in (*self.refused, *self.state_dirs))
            if _is_at_or_below(directory, save_path)
        ]
        for entry in files:
            if entry.is_pad:
                continue
            _check_file(entry.path)
            final = f"{base}/{entry.path}"
            if len(final) * 4 > MAX_PATH_BYTES and len(os.fsencode(final)) > MAX_PATH_BYTES:
                raise PathRefusedError(
                    f"File {_shown(entry.path)} below {_shown(save_path)} makes a path of more "
                    f"than {MAX_PATH_BYTES} bytes. Choose a shorter save path."
                )
            for directory in guarded:
                if _is_at_or_below(final, directory) or _is_at_or_below(directory, final):
                    raise PathRefusedError(
                        f"File {_shown(entry.path)} would get in the way of {_shown(directory)}, "
                        "which is not for payload. Choose another save path."
                    )

    def _check_place(self, resolved: str, asked: str, realpath: Callable[[str], str]) -> None:
        name = _shown(asked)
        if resolved != asked:
            name += f" (in full {_shown(resolved)})"
        if _is_system(resolved):
            is_root = resolved in {_real(root, realpath) for root in self.roots}
            other = f"another with {self.knob}" if is_root else f"one below {self._allowed()}"
            raise PathRefusedError(
                f"Save path {name} belongs to the operating system. Choose {other}."
            )
        for directory in (*self.refused, *self.state_dirs):
            if _is_at_or_below(resolved, _real(directory, realpath)):
                why = "holds Revaer's own state" if directory in self.state_dirs else "is refused"
                raise PathRefusedError(
                    f"Save path {name} lies in {_shown(directory)}, which {why}. "
                    f"Choose another directory below {self._allowed()}."
                )
        roots = [_real(root, realpath) for root in self.roots]
        holding = [root for root in roots if _is_at_or_below(resolved, root)]
        if not holding:
            raise PathRefusedError(
                f"Save path {name} lies outside of the allowed directories. "
                f"Choose one below {self._allowed()}, or add it to {self.knob}."
            )
        below = resolved[len(max(holding, key=len)) :]  # a root's own name is the operator's choice
        for part in below.split("/"):
            if is_reserved(part):
                raise PathRefusedError(
                    f"Save path {name} holds {part!r}; names that start with "
                    f"`{RESERVED_PREFIX}` are reserved. Choose another name."
                )

    def _allowed(self) -> str:
        return ", ".join(_shown(root) for root in self.roots)


def is_reserved(name: str) -> bool:
    """Whether a file or folder name is one of Revaer's own, in any letter case or width."""
    return unicodedata.normalize("NFKC", name).casefold().startswith(RESERVED_PREFIX)


def _check_file(path: str) -> None:
    if _is_plainly_fine(path):
        return
    if path.startswith("/"):
        raise _file_refused(path, "its path is absolute")
    if not _is_unicode(path):
        raise _file_refused(path, "its name is not valid Unicode")
    for part in path.split("/"):
        why = _flaw(part)
        if why:
            raise _file_refused(path, why)


def _is_plainly_fine(path: str) -> bool:
    """Whether no flaw is possible; a tenth of the cost of looking for each, in long lists."""
    framed = f"/{path.lower()}/"
    return (
        path.isascii()
        and "//" not in framed
        and "/./" not in framed
        and "/../" not in framed
        and "\\" not in framed
        and "\0" not in framed
        and f"/{RESERVED_PREFIX}" not in framed
        and (len(path) <= MAX_COMPONENT_BYTES or _longest(path) <= MAX_COMPONENT_BYTES)
    )


def _longest(path: str) -> int:
    return max(map(len, path.split("/")))


def _flaw(part: str) -> str:
    """Say what is wrong with one name of a file's path; empty when nothing is."""
    if not part:
        return "its path holds an empty name"
    if part in {".", ".."}:
        return f"its path holds {part!r}"
    for char, name in (("\0", "NUL character"), ("\\", "backslash")):
        if char in part:
            return f"a name holds a {name}"
    if len(os.fsencode(part)) > MAX_COMPONENT_BYTES:
        return f"a name is longer than {MAX_COMPONENT_BYTES} bytes"
    return f"{part!r} is reserved for Revaer's own files" if is_reserved(part) else ""


def _file_refused(path: str, why: str) -> PathRefusedError:
    return PathRefusedError(
        f"File {_shown(path)} of the torrent is refused: {why}. "
        "Rename it in the torrent, or get the torrent from elsewhere."
    )


def _check_text(path: str) -> None:
    if not path.strip():
        raise PathRefusedError(
            "The path is empty. Name a directory, or leave it out for the default."
        )
    if any(unicodedata.category(char) == "Cc" for char in path):
        raise PathRefusedError(f"Path {_shown(path)} holds a control character. Write it without.")
    if not _is_unicode(path):
        raise PathRefusedError(
            f"Path {_shown(path)} is not valid Unicode. Rename the directory to a UTF-8 name."
        )


def _check_lengths(resolved: str, asked: str) -> None:
    parts = resolved.split("/")
    if max(len(os.fsencode(part)) for part in parts) > MAX_COMPONENT_BYTES:
        raise PathRefusedError(
            f"Save path {_shown(asked)} holds a name of more than {MAX_COMPONENT_BYTES} bytes. "
            "Choose a shorter one."
        )
    if len(os.fsencode(resolved)) > MAX_PATH_BYTES:
        raise PathRefusedError(
            f"Save path {_shown(asked)} is longer than {MAX_PATH_BYTES} bytes. "
            "Choose a shorter one."
        )


def _real(path: str, realpath: Callable[[str], str]) -> str:
    """Follow links; what a link leads to is judged as harshly as what was written."""
    try:
        resolved = realpath(path)
    except (OSError, ValueError) as error:
        raise PathRefusedError(
            f"Path {_shown(path)} cannot be followed: {error}. Check its links and permissions."
        ) from error
    if not resolved.startswith("/") or any(part == ".." for part in resolved.split("/")):
        raise PathRefusedError(
            f"Path {_shown(path)} has no fixed place in the file system. Write it without `..`."
        )
    _check_text(resolved)
    return "/" + "/".join(part for part in resolved.split("/") if part not in {"", "."})


def _is_at_or_below(path: str, directory: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{directory.rstrip('/')}/")


def _is_system(path: str) -> bool:
    if path in SYSTEM_DIRECTORIES:
        return True
    if any(_is_at_or_below(path, free) and path != free for free in SYSTEM_TREE_EXCEPTIONS):
        return False
    return any(_is_at_or_below(path, tree) for tree in SYSTEM_TREES)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _shown(path: str) -> str:
    return repr(path if len(path) <= _SHOWN_LENGTH else path[:_SHOWN_LENGTH] + "...")
