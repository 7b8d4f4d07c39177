"""Bytes with a seal: a trailer that shows damage, exchange and an earlier life.

A trailer rather than a header, because readers of bencoded files stop at the end of the outer
dictionary: whoever looks at the files with another tool still can.
"""

import hashlib
import struct
from dataclasses import dataclass
from typing import Final

from revaer.domain.ids import InfoHash

_MAGIC: Final = b"RVRSEAL1"
_TRAILER: Final = struct.Struct(">32sQQ8s")
"""Digest, life, length of the content, magic."""

SEAL_SIZE: Final = _TRAILER.size


class DamagedError(Exception):
    """What was read is not what was written; says in which way."""


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Content as it was sealed.

    Attributes:
        life: counts how often this id was added anew; content of an earlier life is stale.
    """

    content: bytes
    life: int


def seal(content: bytes, info_hash: InfoHash, life: int) -> bytes:
    """Append the trailer."""
    digest = _digest(content, info_hash, life)
    return content + _TRAILER.pack(digest, life, len(content), _MAGIC)


def unseal(sealed: bytes, info_hash: InfoHash) -> Unsealed:
    """Check and take off the trailer.

    Raises:
        DamagedError: cut short, changed, or sealed for another torrent.
    """
    if not sealed:
        raise DamagedError("the file is empty")
    if len(sealed) < SEAL_SIZE:
        raise DamagedError("the file is cut short")
    digest, life, length, magic = _TRAILER.unpack_from(sealed, len(sealed) - SEAL_SIZE)
    if magic != _MAGIC or length != len(sealed) - SEAL_SIZE:
        raise DamagedError("the file is cut short or was written by something else")
    content = sealed[:-SEAL_SIZE]
    if _digest(content, info_hash, life) != digest:
        raise DamagedError("the checksum does not fit: bytes changed, or another torrent's file")
    return Unsealed(content, life)


def _digest(content: bytes, info_hash: InfoHash, life: int) -> bytes:
    digest = hashlib.blake2b(digest_size=32, key=b"%s:%d" % (info_hash.encode(), life))
    digest.update(content)
    return digest.digest()
