"""libtorrent's error codes as named causes with a remedy."""

import errno
from typing import Final, Protocol

from revaer.domain.torrent import Fault, FaultCode

_BY_ERRNO: Final[dict[int, FaultCode]] = {
    errno.ENOSPC: FaultCode.DISK_FULL,
    errno.EDQUOT: FaultCode.DISK_FULL,
    errno.ENOENT: FaultCode.MISSING_FILES,
    errno.ESTALE: FaultCode.MISSING_FILES,
    errno.ENODEV: FaultCode.MISSING_FILES,
    errno.EACCES: FaultCode.UNWRITABLE,
    errno.EPERM: FaultCode.UNWRITABLE,
    errno.EROFS: FaultCode.UNWRITABLE,
    errno.ENOTDIR: FaultCode.UNWRITABLE,
    errno.EISDIR: FaultCode.UNWRITABLE,
    errno.EEXIST: FaultCode.UNWRITABLE,
    errno.ENAMETOOLONG: FaultCode.UNWRITABLE,
    errno.ELOOP: FaultCode.UNWRITABLE,
    errno.EINVAL: FaultCode.UNWRITABLE,
    errno.EFBIG: FaultCode.UNWRITABLE,
}
PAST_LIMITS: Final = ("revaer", 1)
"""Category and number of the fault that a magnet's metadata is more than Revaer takes."""
_REMEDIES: Final[dict[FaultCode, str]] = {
    FaultCode.DISK_FULL: "free some space, then resume",
    FaultCode.MISSING_FILES: "bring the files back or recheck to download them again",
    FaultCode.UNWRITABLE: "choose a place that can hold it or mend this one, then resume",
    FaultCode.TORRENT_CONFLICT: "remove one of the two",
    FaultCode.ENGINE: "resume to try again",
}


class Category(Protocol):
    """The part of a libtorrent error category that is read."""

    def name(self) -> str:
        """`system`, `generic`, `libtorrent`, `asio.misc` and others."""
        ...


class ErrorCode(Protocol):
    """The part of a libtorrent error code that is read."""

    def value(self) -> int:
        """The number; 0 is success."""
        ...

    def message(self) -> str:
        """The text, in the words of the category."""
        ...

    def category(self) -> Category:
        """Where the number comes from."""
        ...


def errno_of(error: ErrorCode) -> int:
    """Return the operating system's number, or 0 for an error of another source."""
    return error.value() if error.category().name() in {"system", "generic"} else 0


def fault_of(error: ErrorCode, subject: str) -> Fault:
    """Name the cause of a failed disk operation.

    Args:
        error: what the operation answered.
        subject: the file or torrent that it happened to; may be empty.
    """
    code = _BY_ERRNO.get(errno_of(error), FaultCode.ENGINE)
    return fault(code, f"{subject}: {error.message()}" if subject else error.message())


def refused_metadata(reason: str) -> Fault:
    """Say that a magnet's metadata is past a limit: no other peer can have another one."""
    return Fault(FaultCode.ENGINE, f"{reason}; nothing of it is downloaded, remove it")


def fault(code: FaultCode, what: str) -> Fault:
    """Say what happened and what to do about it."""
    return Fault(code, f"{what}; {_REMEDIES[code]}")
