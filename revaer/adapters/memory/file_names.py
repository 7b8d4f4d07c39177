"""File names out of metadata, made safe in the way libtorrent 2.1 does it."""

import re
from collections.abc import Iterator
from typing import Final

MAX_NAME_BYTES: Final = 240
"""Longer names are cut here; an extension of up to eight characters is kept behind the cut."""

_EXTENSION_BYTES: Final = 9
_UNSAFE: Final = re.compile(r"[\x01-\x1f\x7f-\x9f]")
# Slashes, NUL, and marks without width or that turn the direction of writing.
_DROPPED: Final = re.compile(
    r"[\x00/\\\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
_LEADS: Final = ((0xC0, 0xDF, 2), (0xE0, 0xEF, 3), (0xF0, 0xF7, 4), (0xF8, 0xFB, 5))
"""First and last lead byte of a sequence, and how long it is; five bytes are never sound UTF-8."""


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


def text_of(raw: bytes) -> str:
    """Read a text; each sequence that is not UTF-8 becomes one `_`."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "".join(_characters(raw))


def _characters(raw: bytes) -> Iterator[str]:
    """Split as libtorrent does: a lead byte decides how many bytes go with it, sound or not."""
    at = 0
    while at < len(raw):
        lead = raw[at]
        length = next((n for first, last, n in _LEADS if first <= lead <= last), 1)
        try:
            yield raw[at : at + length].decode()
        except UnicodeDecodeError:
            yield "_"
        at += length


def _cleaned(raw: bytes) -> str:
    return _cut(_UNSAFE.sub("_", _DROPPED.sub("", text_of(raw))), raw)


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
