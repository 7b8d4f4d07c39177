"""Damages files of a resume directory in every way that a disk, a crash or a person may."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

Damage = Callable[[Path, random.Random], None]

CURRENT: Final = (".json", ".fastresume", ".torrent")
"""Files whose damage is noticed at the next start; the generations before are not read then."""


def _flipped(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.randrange(1, 5)):
        data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
    if bytes(data) == path.read_bytes():
        data[0] ^= 1
    path.write_bytes(bytes(data))


def _truncated(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: chance.randrange(1, path.stat().st_size)])


def _emptied(path: Path, chance: random.Random) -> None:
    path.write_bytes(b"")


def _zeroed(path: Path, chance: random.Random) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _grown(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes() + chance.randbytes(chance.randrange(1, 5_000)))


def _replaced(path: Path, chance: random.Random) -> None:
    strangers = (b'{"name": "another program"}', b"d4:spam4:eggse", b"\xff" * 40, b"<html>")
    path.write_bytes(chance.choice(strangers))


def _deleted(path: Path, chance: random.Random) -> None:
    path.unlink()


def _swapped(path: Path, chance: random.Random) -> None:
    """Exchange it with another torrent's file of the same kind, or of any kind."""
    torrent, _, kind = path.name.partition(".")
    others = [
        other
        for other in sorted(path.parent.iterdir())
        if other.is_file()
        and not other.is_symlink()
        and len(other.name.partition(".")[0]) == len(torrent)
        and not other.name.startswith(torrent)
        and (other.name.partition(".")[2] == kind or not chance.randrange(10))
    ]
    other = chance.choice(others)
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


def _made_directory(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").touch()


def _made_link(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.symlink_to(chance.choice(("nowhere", path.name, "/etc/hostname", "state.json")))


DAMAGES: Final[dict[str, Damage]] = {
    "flipped": _flipped,
    "truncated": _truncated,
    "emptied": _emptied,
    "zeroed": _zeroed,
    "grown": _grown,
    "replaced": _replaced,
    "deleted": _deleted,
    "swapped": _swapped,
    "directory": _made_directory,
    "link": _made_link,
}


def damage_some(directory: Path, torrents: set[str], count: int, chance: random.Random) -> set[str]:
    """Damage files, each once.

    Args:
        directory: a closed resume directory.
        torrents: whose files.
        count: how many; a swap touches two.
        chance: chooses.

    Returns:
        The names of all files that are not as they were.
    """
    before = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    for _ in range(count):
        sound = [
            path
            for path in sorted(directory.iterdir())
            if path.name.partition(".")[0] in torrents
            and path.is_file()
            and not path.is_symlink()
            and path.read_bytes() == before[path.name]
        ]
        DAMAGES[chance.choice(sorted(DAMAGES))](chance.choice(sound), chance)
    return {name for name, content in before.items() if _content(directory / name) != content}


def restore_from(template: Path, directory: Path) -> None:
    """Put a directory back to what a copy of it says."""
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(template, directory)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None
