"""Bencode that may be wrong on purpose: raw bytes, keys in any order, keys twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MAX_DEPTH: Final = 200
"""What `decode` follows; its input is the generator's own."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes that are written as they are."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Pairs:
    """A dictionary in exactly this order, duplicates included."""

    items: tuple[tuple[bytes, "Value"], ...]


Value = int | bytes | str | Raw | Pairs | Sequence["Value"] | Mapping[bytes, "Value"]


def encode(value: Value) -> bytes:  # noqa: PLR0911 -- one per type
    """Write a value; mappings with their keys sorted, as the format demands."""
    match value:
        case Raw(text):
            return text
        case int():
            return b"i%de" % value
        case str():
            return encode(value.encode())
        case bytes():
            return b"%d:%s" % (len(value), value)
        case Pairs(items):
            return b"d" + b"".join(encode(key) + encode(item) for key, item in items) + b"e"
        case Mapping():
            return encode(Pairs(tuple(sorted(value.items(), key=lambda pair: pair[0]))))
        case _:
            return b"l" + b"".join(map(encode, value)) + b"e"


def decode(data: bytes) -> Value:
    """Read what `encode` wrote, dictionaries as `Pairs`, so that nothing is lost.

    Raises:
        ValueError: not bencode, or nested deeper than `MAX_DEPTH`.
    """
    value, end = _decode(data, 0, 0)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes follow the value")
    return value


def _decode(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    if depth > MAX_DEPTH or at >= len(data):
        raise ValueError("too deep, or cut off")
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind == b"l":
        return _items(data, at + 1, depth)
    if kind == b"d":
        flat, end = _items(data, at + 1, depth)
        keys, values = flat[::2], flat[1::2]
        if len(keys) != len(values):
            raise ValueError("a key without a value")
        pairs = []
        for key, value in zip(keys, values, strict=True):
            if not isinstance(key, bytes):
                raise ValueError(f"a key that is no string: {key!r}")  # noqa: TRY004 -- bad data
            pairs.append((key, value))
        return Pairs(tuple(pairs)), end
    colon = data.index(b":", at)
    length = int(data[at:colon])
    end = colon + 1 + length
    if length < 0 or end > len(data):
        raise ValueError("a string longer than what is left")
    return data[colon + 1 : end], end


def _items(data: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    items: list[Value] = []
    while data[at : at + 1] != b"e":
        item, at = _decode(data, at, depth + 1)
        items.append(item)
    return items, at + 1
