"""Looks at payload files on a local disk."""

import os
import stat
from collections.abc import Sequence

from revaer.domain.torrent import FileEntry


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


def _is_whole(save_path: str, entry: FileEntry) -> bool:
    parts = entry.path.split("/")
    if ".." in parts or "" in parts:  # an absolute path begins with an empty part
        return False
    try:
        found = os.stat(f"{save_path}/{entry.path}")  # noqa: PTH116 a Path costs ten times the call
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == entry.size_bytes
