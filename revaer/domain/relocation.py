"""Where a torrent's files are, and where they may go: decisions about moves and renames."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum, auto

from revaer.domain.errors import ConflictError, InvalidInputError
from revaer.domain.torrent import FileEntry, TorrentSpec


class Whereabouts(Enum):
    """What an interrupted move left behind."""

    OLD = auto()
    """Nothing is missing from the old place; copies may lie at the new one."""
    NEW = auto()
    """The new place has everything, the old one at most what was not deleted yet."""
    NOWHERE = auto()
    """Neither place has a file."""
    SPLIT = auto()
    """Some files are only here, some only there."""


def whereabouts(at_old: AbstractSet[str], at_new: AbstractSet[str]) -> Whereabouts:
    """Say which of two places has the files, from the paths at which something lies in each.

    A move on one file system renames file by file; onto another one it copies all files and then
    deletes them, so that until the first deletion the old place has no fewer than the new one.
    """
    if not at_old and not at_new:
        return Whereabouts.NOWHERE
    if at_old >= at_new:
        return Whereabouts.OLD
    return Whereabouts.NEW if at_new > at_old else Whereabouts.SPLIT


def paths_of(files: Sequence[FileEntry]) -> tuple[str, ...]:
    """The paths that may lie on a disk: padding never does."""
    return tuple(entry.path for entry in files if not entry.is_pad)


def top_level_of(paths: Sequence[str]) -> tuple[str, ...]:
    """The first names of these paths, each once."""
    return tuple(dict.fromkeys(path.split("/", 1)[0] for path in paths))


def folders_of(paths: Sequence[str]) -> tuple[str, ...]:
    """The folders that hold these paths directly, each once; empty for the save path itself."""
    return tuple(dict.fromkeys(path.rpartition("/")[0] for path in paths))


def file_renamed(files: Sequence[FileEntry], index: int, path: str) -> dict[int, str]:
    """The change that gives one file another path; empty when it has that path already.

    Raises:
        InvalidInputError: no file has this index, or it is padding.
    """
    if not 0 <= index < len(files) or files[index].is_pad:
        raise InvalidInputError(
            f"the torrent has no file {index}; list its files and give the index shown there"
        )
    return {} if files[index].path == path else {index: path}


def folder_renamed(files: Sequence[FileEntry], folder: str, new_folder: str) -> dict[int, str]:
    """The changes that bring every file below one folder below another; empty when it is the same.

    Raises:
        InvalidInputError: no file lies below the folder.
    """
    below = f"{folder}/"
    changes = {
        entry.index: f"{new_folder}/{entry.path.removeprefix(below)}"
        for entry in files
        if not entry.is_pad and entry.path.startswith(below)
    }
    if not changes or not folder:
        raise InvalidInputError(
            f"the torrent has no folder {folder!r}; list its files and write it as shown there"
        )
    return {} if folder == new_folder else changes


def refuse_collisions(files: Sequence[FileEntry], changes: Mapping[int, str]) -> None:
    """See that no changed path is in the way of another file of the torrent.

    Also the paths that are given up count as taken: files are renamed one by one.

    Raises:
        ConflictError: names the two.
    """
    taken = set(paths_of(files))
    folders = {folder for path in taken for folder in _folders_above(path)}
    for path in changes.values():
        if path in taken:
            raise ConflictError(f"another file of the torrent is {path!r} already; choose another")
        if path in folders:
            raise ConflictError(f"{path!r} is a folder of the torrent; choose another name")
        for folder in _folders_above(path):
            if folder in taken:
                raise ConflictError(
                    f"{path!r} cannot lie below {folder!r}, which is a file; choose another folder"
                )
        taken.add(path)
        folders.update(_folders_above(path))


def with_renames(spec: TorrentSpec, changes: Mapping[int, str]) -> tuple[tuple[int, str], ...]:
    """A torrent's renames with these laid over them."""
    return tuple(sorted({**dict(spec.renames), **changes}.items()))


def _folders_above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: length + 1]) for length in range(len(parts))]
