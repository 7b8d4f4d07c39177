"""File names out of metadata, made safe in the way libtorrent 2.1 does it."""

import re
from typing import Final

MAX_NAME_BYTES: Final = 240
"""Longer names are cut here; an extension of up to eight characters is kept behind the cut."""

_EXTENSION_BYTES: Final = 9
_UNSAFE: Final = re.compile(r"[\x01-\x1f\x7f-\x9f]")
# Slashes, NUL, and marks without width or that turn the direction of writing.
_DROPPED: Final = re.compile(
    r"[\x00/\\\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
_BROKEN: Final = re.compile(
    rb"[\xed][\xa0-\xbf][\x80-\xbf]"  # a surrogate, as one character
)


def clean(raw: bytes) -> str:
    """Make one part of a path usable.

    Returns:
        A name without separators and control characters; `_` where nothing but dots is left.
    """
    name = _cleaned(raw)
    return "_" if name in {"", ".", ".."} else name


def clean_root(raw: bytes) -> str:
    """Make a torrent's own name usable; empty when nothing usable is left."""
    name = _cleaned(raw)
    return "" if name in {".", ".."} else name


def _cleaned(raw: bytes) -> str:
    text = _BROKEN.sub(b"_", raw).decode("utf-8", "replace").replace("\ufffd", "_")
    return _cut(_UNSAFE.sub("_", _DROPPED.sub("", text)), raw)


def _cut(name: str, raw: bytes) -> str:
    if len(name.encode()) < MAX_NAME_BYTES:
        return name
    head = ""
    size = 0
    for character in name:
        head += character
        size += len(character.encode())
        if size >= MAX_NAME_BYTES:
            break
    if head == name:
        return name
    tail = raw[-_EXTENSION_BYTES:]
    dot = tail.rfind(b".")
    return head if dot < 0 else head + tail[dot:].decode("utf-8", "ignore")
