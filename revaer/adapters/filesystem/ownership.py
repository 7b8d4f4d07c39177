"""Who owns a resume directory, and how its last owner ended."""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from dataclasses import dataclass, replace
from typing import Final

from revaer.adapters.filesystem.atomic import AtomicDirectory, UnreadableFileError, store_down
from revaer.adapters.filesystem.documents import STATE, VERSION, unwrap, wrap
from revaer.adapters.filesystem.sealed import DamagedError
from revaer.domain.errors import StoreDownError, StoreLockedError

LOCK_NAME: Final = "lock"
STATE_NAME: Final = "state.json"

_NOT_WRITABLE: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """What the directory says about itself.

    Attributes:
        store_id: tells this directory from another one that is mounted in its place.
        boot_id: the machine's boot in which the owner last opened it.
        is_clean: the owner closed it.
        is_suspect: a power loss came between two owners, and no owner has closed it since: a start
            that dies early must not make the next one trust the blobs.
    """

    store_id: str
    boot_id: str
    is_clean: bool
    is_suspect: bool


@dataclass(frozen=True, slots=True)
class LastEnd:
    """How the owner before this one ended."""

    ended_cleanly: bool
    same_boot: bool
    problem: str = ""


class Ownership:
    """A lock on the directory, held from `take` to `release`, and its state file."""

    def __init__(
        self, files: AtomicDirectory, boot_id: str, *, takes_read_only: bool = False
    ) -> None:
        """Own nothing yet.

        Args:
            files: the directory.
            boot_id: names this boot of the machine.
            takes_read_only: own a directory that can be read and not written, too.
        """
        self._files = files
        self._boot_id = boot_id
        self._takes_read_only = takes_read_only
        self._lock: int | None = None
        self._identity = (0, 0)
        self._devices = (0, 0)
        self._is_noted = False
        self.takeovers = 0
        """How often another directory than the one before was locked."""
        self._state = StoreState(
            store_id=secrets.token_hex(16), boot_id=boot_id, is_clean=False, is_suspect=False
        )

    def take(self) -> LastEnd:
        """Make the directory where needed, lock it, and note that it is open.

        Raises:
            StoreLockedError: another process owns it.
            StoreDownError: it cannot be made, locked or written.
        """
        self._make_directory()
        self._lock, self._identity = self._locked()
        try:
            return self._open()
        except BaseException:
            self.release()
            raise

    def confirm(self, *, to_write: bool = True) -> None:
        """Make sure that the path still leads to the directory that was locked.

        One that vanished and came back (a disk mounted again) is not taken for granted: `reopen`
        locks it anew, and tells its caller.

        Args:
            to_write: note first that the directory is open, where that was not possible before: a
                power loss must not be judged by the note of the owner before.

        Raises:
            StoreDownError: the directory is gone, or is another one.
        """
        self._refuse_when_released()
        found = self._lock_found()
        if found is None:
            path = self._files.path_of(LOCK_NAME)
            raise store_down("use", path, FileNotFoundError(errno.ENOENT, "it is gone"))
        if found != self._identity:
            raise StoreDownError(
                f"another directory lies at {self._files.path} than the one that was opened; if it "
                "is the same store, it is used again in a moment, else put that one back"
            )
        if to_write and not self._is_noted:
            self._write(is_clean=False, is_suspect=self._state.is_suspect)

    def reopen(self) -> None:
        """Use the directory again, or make it anew, and prove that it can be written.

        A directory is only made where the one before was: on a file system that is mounted still,
        or again. An empty mount point is nobody's store. `takeovers` tells whether this is another
        directory than before, also where the proof fails.

        Raises:
            StoreDownError: it cannot be used, or it is somebody else's.
        """
        self._refuse_when_released()
        found = self._lock_found()
        if found is None:
            self._make_again()
        if found is None and self._files.read(STATE_NAME) is None:
            self._take_over()
        elif found != self._identity:
            self._take_again()
        self._write(is_clean=False, is_suspect=self._state.is_suspect)

    def close_cleanly(self) -> None:
        """Note on disk that everything is there; the caller synced before."""
        self._write(is_clean=True, is_suspect=False)

    def release(self) -> None:
        """Unlock; idempotent."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.close(self._lock)
            self._lock = None

    def _make_directory(self) -> None:
        path = self._files.path
        try:
            os.makedirs(path, 0o700, exist_ok=True)  # noqa: PTH103 paths are text here
            if os.stat(path).st_mode & 0o077:  # noqa: PTH116 as above
                with contextlib.suppress(PermissionError):  # somebody else's: usable all the same
                    os.chmod(path, 0o700)  # noqa: PTH101 as above
        except OSError as error:
            raise store_down("make the resume directory", path, error) from error

    def _make_again(self) -> None:
        """Make the directory where it was deleted, at the place where it was."""
        path = self._files.path
        parent = os.path.dirname(path)  # noqa: PTH120 as above
        try:
            if os.stat(parent).st_dev != self._devices[0]:  # noqa: PTH116 as above
                raise StoreDownError(
                    f"{parent} lies on another file system than before: mount the one that holds "
                    f"{path} again, or restart Revaer to begin a new resume directory"
                )
            if not os.path.isdir(path):  # noqa: PTH112 as above
                os.mkdir(path, 0o700)  # noqa: PTH102 as above
            elif os.stat(path).st_dev != self._devices[1]:  # noqa: PTH116 as above
                raise StoreDownError(
                    f"{path} is not mounted: mount its file system again, or restart Revaer to "
                    "begin a new resume directory"
                )
        except OSError as error:
            raise store_down("make the resume directory", path, error) from error

    def _locked(self) -> tuple[int, tuple[int, int]]:
        path = self._files.path_of(LOCK_NAME)
        try:
            lock = self._open_lock()
        except OSError as error:
            raise store_down("open", path, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = b"" if stat.S_ISDIR(os.fstat(lock).st_mode) else os.pread(lock, 32, 0)
            os.close(lock)
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                raise self._locked_by(holder) from error
            raise store_down("lock", path, error) from error
        with (
            contextlib.suppress(OSError),  # read-only, or full: the lock holds without a name
            open(path, "wb", buffering=0) as named,  # noqa: PTH123 paths are text here
        ):
            named.write(b"%d\n" % os.getpid())
        found = os.fstat(lock)
        self._note_devices()
        return lock, (found.st_dev, found.st_ino)

    def _open_lock(self) -> int:
        """Open the lock file, or, where it cannot be made and need not be, the directory itself.

        For reading only: a file that stays open for writing keeps its file system from being
        mounted read-only.

        Raises:
            OSError: it cannot be opened.
        """
        path = self._files.path_of(LOCK_NAME)
        flags = os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            return os.open(path, flags, 0o600)
        except OSError as error:
            if error.errno in {errno.EISDIR, errno.ELOOP, errno.ENXIO}:
                self._files.set_aside(LOCK_NAME)
                return os.open(path, flags, 0o600)
            if os.path.lexists(path):
                os.chmod(path, 0o600)  # noqa: PTH101 paths are text here
                return os.open(path, flags, 0o600)
            if not self._takes_read_only or error.errno not in _NOT_WRITABLE:
                raise
        return os.open(self._files.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def _note_devices(self) -> None:
        parent = os.path.dirname(self._files.path)  # noqa: PTH120 as above
        with contextlib.suppress(OSError):
            self._devices = (
                os.stat(parent).st_dev,  # noqa: PTH116 as above
                os.stat(self._files.path).st_dev,  # noqa: PTH116 as above
            )

    def _lock_found(self) -> tuple[int, int] | None:
        """Device and number of what is the lock now; None when there is none.

        Raises:
            StoreDownError: nobody can tell.
        """
        path = self._files.path_of(LOCK_NAME)
        try:
            found = os.stat(path)  # noqa: PTH116 once per call of the store
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                own = os.stat(self._files.path)  # noqa: PTH116 as above
                if (own.st_dev, own.st_ino) == self._identity:
                    return self._identity  # read-only, without a lock file: locked itself
            return None
        except OSError as error:
            raise store_down("use", path, error) from error
        return found.st_dev, found.st_ino

    def _refuse_when_released(self) -> None:
        if self._lock is None:
            raise StoreDownError(
                f"the resume store {self._files.path} is closed; start Revaer again"
            )

    def _locked_by(self, holder: bytes) -> StoreLockedError:
        pid = holder.strip().decode("ascii", "replace")
        who = f"process {pid}" if pid.isdigit() else "another process"
        return StoreLockedError(
            f"the resume directory {self._files.path} is in use by {who}; "
            "stop that process, or give this one a directory of its own"
        )

    def _open(self) -> LastEnd:
        state, problem = self._read()
        if state is not None:
            is_suspect = state.is_suspect or not (state.is_clean or state.boot_id == self._boot_id)
            same_boot = state.boot_id == self._boot_id and not is_suspect
            end = LastEnd(ended_cleanly=state.is_clean, same_boot=same_boot)
            self._state = state
        elif problem or self._holds_torrents():
            is_suspect = True
            end = LastEnd(
                ended_cleanly=False,
                same_boot=False,
                problem=problem or f"{STATE_NAME} is missing: how the last run ended is unknown",
            )
        else:
            is_suspect = False
            end = LastEnd(ended_cleanly=True, same_boot=True)
        self._state = replace(self._state, is_suspect=is_suspect)
        try:
            self._write(is_clean=False, is_suspect=is_suspect)
        except StoreDownError:
            if not self._takes_read_only:
                raise
        return end

    def _read(self) -> tuple[StoreState | None, str]:
        try:
            data = self._files.read(STATE_NAME)
            if data is None:
                return None, ""
            body = unwrap(data, STATE)
            return (
                StoreState(
                    store_id=str(body["store_id"]),
                    boot_id=str(body["boot_id"]),
                    is_clean=body["is_clean"] is True,
                    is_suspect=body["is_suspect"] is True,
                ),
                "",
            )
        except (DamagedError, UnreadableFileError, KeyError) as error:
            try:
                place = self._files.set_aside(STATE_NAME)
            except StoreDownError:
                if not self._takes_read_only:
                    raise
                return None, f"{STATE_NAME} is damaged ({error})"
            return None, f"{STATE_NAME} is damaged ({error}); it was moved to {place}"

    def _holds_torrents(self) -> bool:
        return any(
            name.endswith((".json", ".json.1", ".tombstone")) for name in self._files.names()
        )

    def _write(self, *, is_clean: bool, is_suspect: bool) -> None:
        """Write the state through to the disk: it is what a power loss is judged by."""
        self._is_noted = False
        self._state = StoreState(
            store_id=self._state.store_id,
            boot_id=self._boot_id,
            is_clean=is_clean,
            is_suspect=is_suspect,
        )
        document = {
            "format": STATE,
            "version": VERSION,
            "store_id": self._state.store_id,
            "boot_id": self._state.boot_id,
            "is_clean": is_clean,
            "is_suspect": is_suspect,
        }
        self._files.stage(STATE_NAME, wrap(document), "state")
        self._files.commit(STATE_NAME, "state")
        self._files.sync()
        self._is_noted = True

    def _take_again(self) -> None:
        """Lock the directory that is at the path now, if it is the same store."""
        if self._store_id_found() != self._state.store_id:
            raise StoreDownError(
                f"{self._files.path} is not the resume directory that was opened: "
                "mount that one again, or restart Revaer to use this one"
            )
        self._take_over()

    def _take_over(self) -> None:
        """Lock what is at the path now.

        Raises:
            StoreDownError: it cannot be locked, or another process was quicker.
        """
        try:
            lock, identity = self._locked()
        except StoreLockedError as error:
            raise StoreDownError(str(error)) from error
        if self._lock_found() != identity:
            os.close(lock)
            raise StoreDownError(
                f"{self._files.path} is being replaced by somebody: let only one Revaer use it"
            )
        self.release()
        self._lock, self._identity = lock, identity
        self._is_noted = False
        self.takeovers += 1

    def _store_id_found(self) -> str | None:
        try:
            data = self._files.read(STATE_NAME)
            return None if data is None else str(unwrap(data, STATE)["store_id"])
        except (DamagedError, UnreadableFileError, KeyError):
            return None
