"""Torrents made by hand: every byte of the payload is zero, so all hashes can be computed.

libtorrent's own maker refuses or mends most of what is wrong here; this one writes anything.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from tests.hostile.bencode import Value, encode

PIECE: Final = 16_384
BLOCK: Final = 16_384
CATEGORY: Final = "tv"
"""The category that the tests use; a hostile torrent may bear its name."""

Path = Sequence[Value]
FileDict = Mapping[bytes, Value]


def v1_pieces(total_bytes: int, piece_length: int = PIECE) -> bytes:
    """The SHA-1 of each piece of that many zero bytes."""
    whole, rest = divmod(total_bytes, piece_length)
    hashes = hashlib.sha1(bytes(piece_length), usedforsecurity=False).digest() * whole
    if rest:
        hashes += hashlib.sha1(bytes(rest), usedforsecurity=False).digest()
    return hashes


def file(*path: Value, size: Value = 20_000, **more: Value) -> FileDict:
    """One entry of a v1 file list; keyword `symlink_path` becomes the key `symlink path`."""
    others = {key.replace("_", " ").encode(): value for key, value in more.items()}
    return {b"length": size, b"path": list(path), **others}


def single(changes: Mapping[bytes, Value | None] | None = None, *, size: int = 20_000) -> bytes:
    """A v1 torrent of one file; a change to None leaves the key out."""
    info: dict[bytes, Value] = {
        b"length": size,
        b"name": b"film.mkv",
        b"piece length": PIECE,
        b"pieces": v1_pieces(size),
    }
    return torrent(_changed(info, changes))


def multi(
    *files: Value,
    changes: Mapping[bytes, Value | None] | None = None,
    outer: Mapping[bytes, Value] | None = None,
) -> bytes:
    """A v1 torrent of several files below the folder `album`."""
    info: dict[bytes, Value] = {
        b"files": list(files),
        b"name": b"album",
        b"piece length": PIECE,
        b"pieces": v1_pieces(sum(map(_size_of, files))),
    }
    return torrent(_changed(info, changes), outer)


def torrent(info: Value, outer: Mapping[bytes, Value] | None = None) -> bytes:
    """A whole torrent file around an info dictionary."""
    return encode({b"info": info, **(outer or {})})


def root_of(size: int) -> bytes:
    """The v2 root hash of a file of that many zero bytes."""
    return _roof(_leaves(size), bytes(32))


def layer_of(size: int, piece_length: int = PIECE) -> bytes:
    """The v2 piece layer of a file of that many zero bytes."""
    blocks = piece_length // BLOCK
    leaves = _leaves(size)
    parts = [leaves[at : at + blocks] for at in range(0, len(leaves), blocks)]
    padded = [part + [bytes(32)] * (blocks - len(part)) for part in parts]
    return b"".join(_roof(part, bytes(32)) for part in padded)


def leaf(size: int, **more: Value) -> Value:
    """What stands in a v2 file tree for a file."""
    others = {key.replace("_", " ").encode(): value for key, value in more.items()}
    described: dict[bytes, Value] = {b"length": size, **others}
    if size > 0:
        described.setdefault(b"pieces root", root_of(size))
    return {b"": described}


def v2(
    tree: Value,
    *sizes: int,
    changes: Mapping[bytes, Value | None] | None = None,
    layers: Value | None = None,
) -> bytes:
    """A v2 torrent.

    Args:
        tree: the file tree.
        sizes: of the files that have a piece layer: those larger than a piece.
        changes: to the info dictionary.
        layers: instead of the right ones.
    """
    info: dict[bytes, Value] = {
        b"file tree": tree,
        b"meta version": 2,
        b"name": b"album",
        b"piece length": PIECE,
    }
    right: Value = {root_of(size): layer_of(size) for size in sizes}
    return torrent(_changed(info, changes), {b"piece layers": right if layers is None else layers})


def hybrid(changes: Mapping[bytes, Value | None] | None = None, *, v2_size: int = 40_000) -> bytes:
    """One file of 40,000 bytes in both forms; another `v2_size` makes them contradict."""
    return v2(
        {b"film.mkv": leaf(v2_size)},
        v2_size,
        changes={
            b"name": b"film.mkv",
            b"length": 40_000,
            b"pieces": v1_pieces(40_000),
            **(changes or {}),
        },
    )


def _changed(
    info: dict[bytes, Value], changes: Mapping[bytes, Value | None] | None
) -> dict[bytes, Value]:
    merged = {**info, **(changes or {})}
    return {key: value for key, value in merged.items() if value is not None}


def _size_of(entry: Value) -> int:
    size = entry.get(b"length", 0) if isinstance(entry, Mapping) else 0
    return size if isinstance(size, int) and 0 < size < 1 << 30 else 0


def _leaves(size: int) -> list[bytes]:
    whole, rest = divmod(size, BLOCK)
    leaves = [hashlib.sha256(bytes(BLOCK)).digest()] * whole
    if rest:
        leaves.append(hashlib.sha256(bytes(rest)).digest())
    return leaves


def _roof(level: list[bytes], filler: bytes) -> bytes:
    width = 1 << max(len(level) - 1, 0).bit_length()
    level = level + [filler] * (width - len(level))
    while len(level) > 1:
        level = [
            hashlib.sha256(level[at] + level[at + 1]).digest() for at in range(0, len(level), 2)
        ]
    return level[0]
