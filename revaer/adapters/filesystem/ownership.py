"""Who owns a resume directory, and how its last owner ended."""

import contextlib
import errno
import fcntl
import os
import secrets
from dataclasses import dataclass
from typing import Final

from revaer.adapters.filesystem.atomic import AtomicDirectory, UnreadableFileError, store_down
from revaer.adapters.filesystem.documents import STATE, VERSION, unwrap, wrap
from revaer.adapters.filesystem.sealed import DamagedError
from revaer.domain.errors import StoreDownError, StoreLockedError

LOCK_NAME: Final = "lock"
STATE_NAME: Final = "state.json"


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

    def __init__(self, files: AtomicDirectory, boot_id: str) -> None:
        self._files = files
        self._boot_id = boot_id
        self._lock: int | None = None
        self._identity = (0, 0)
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

    def confirm(self) -> None:
        """Make sure that the path still leads to the directory that was locked.

        One that vanished and came back (a disk mounted again) is locked anew.

        Raises:
            StoreDownError: the directory is gone, or is another one.
        """
        if self._lock is None:
            raise StoreDownError(
                f"the resume store {self._files.path} is closed; start Revaer again"
            )
        path = self._files.path_of(LOCK_NAME)
        try:
            found = os.stat(path)  # noqa: PTH116 once per call of the store
        except OSError as error:
            raise store_down("use", path, error) from error
        if (found.st_dev, found.st_ino) != self._identity:
            self._take_again()

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

    def _locked(self) -> tuple[int, tuple[int, int]]:
        path = self._files.path_of(LOCK_NAME)
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise store_down("open", path, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.pwrite(lock, b"%d\n" % os.getpid(), 0)
            found = os.fstat(lock)
        except OSError as error:
            holder = os.pread(lock, 32, 0)
            os.close(lock)
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                raise self._locked_by(holder) from error
            raise store_down("lock", path, error) from error
        return lock, (found.st_dev, found.st_ino)

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
        self._write(is_clean=False, is_suspect=is_suspect)
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
            place = self._files.set_aside(STATE_NAME)
            return None, f"{STATE_NAME} is damaged ({error}); it was moved to {place}"

    def _holds_torrents(self) -> bool:
        return any(
            name.endswith((".json", ".json.1", ".tombstone")) for name in self._files.names()
        )

    def _write(self, *, is_clean: bool, is_suspect: bool) -> None:
        """Write the state through to the disk: it is what a power loss is judged by."""
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

    def _take_again(self) -> None:
        """Lock the directory that is at the path now, if it is the same store."""
        if self._store_id_found() != self._state.store_id:
            raise StoreDownError(
                f"{self._files.path} is not the resume directory that was opened: "
                "mount that one again, or restart Revaer to use this one"
            )
        lock, identity = self._locked()
        self.release()
        self._lock, self._identity = lock, identity

    def _store_id_found(self) -> str | None:
        try:
            data = self._files.read(STATE_NAME)
            return None if data is None else str(unwrap(data, STATE)["store_id"])
        except (DamagedError, UnreadableFileError, KeyError):
            return None
