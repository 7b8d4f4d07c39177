"""Whether a directory could be written, found out without writing."""

import errno
import os
from typing import Final

from revaer.adapters.filesystem.atomic import store_down

MIN_ROOM_BYTES: Final = 65_536
"""Less free space than this is a full disk: the save of one torrent would not fit."""


def check_writable(path: str) -> None:
    """Look at the mount, the permissions and the free space; no disk that sleeps is woken.

    Raises:
        StoreDownError: a file could not be written there.
    """
    try:
        found = os.statvfs(path)
    except OSError as error:
        raise store_down("use", path, error) from error
    number = 0
    if found.f_flag & os.ST_RDONLY:
        number = errno.EROFS
    elif not os.access(path, os.W_OK | os.X_OK, effective_ids=_can_ask_for_effective_ids()):
        number = errno.EACCES
    elif _is_full(found):
        number = errno.ENOSPC
    if number:
        raise store_down("write to", path, OSError(number, os.strerror(number)))


def _is_full(found: os.statvfs_result) -> bool:
    """File systems that cannot say how large they are are never full."""
    is_root = os.geteuid() == 0  # may use what is reserved
    blocks = found.f_bfree if is_root else found.f_bavail
    entries = found.f_ffree if is_root else found.f_favail
    has_no_room = found.f_blocks > 0 and blocks * found.f_frsize < MIN_ROOM_BYTES
    return has_no_room or (found.f_files > 0 and entries == 0)


def _can_ask_for_effective_ids() -> bool:
    return os.access in os.supports_effective_ids
