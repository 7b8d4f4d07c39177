"""A bounded reader of bencoded bytes.

As forgiving as libtorrent where it has to be (keys out of order, bytes after the end), strict where
a value could be read in two ways. Never recurses, so no input can exhaust the stack.
"""

from dataclasses import dataclass
from typing import Final

MAX_DEPTH: Final = 100
MAX_TOKENS: Final = 3_000_000
MAX_DIGITS: Final = 20

Value = int | bytes | list["Value"] | dict[bytes, "Value"]

_END: Final = ord("e")
_INT: Final = ord("i")
_LIST: Final = ord("l")
_DICT: Final = ord("d")
_LIMIT: Final = 2**63


class BencodeError(ValueError):
    """Not bencoded, or past a bound; says where."""


@dataclass(frozen=True, slots=True)
class Document:
    """A dictionary at the outermost level.

    Attributes:
        values: the content; of a key that comes twice, the first one.
        spans: where each top-level value lies in the input, for hashing it as it was sent.
    """

    values: dict[bytes, Value]
    spans: dict[bytes, tuple[int, int]]


def read(data: bytes) -> Document:
    """Read a dictionary; bytes after its end are ignored.

    Raises:
        BencodeError: malformed, too deep, too many values, or not a dictionary.
    """
    if data[:1] != b"d":
        raise BencodeError("not a bencoded dictionary")
    return _Reader(data).document()


def write(value: Value) -> bytes:
    """Encode a value, dictionaries in key order."""
    match value:
        case bytes():
            return b"%d:%b" % (len(value), value)
        case int():
            return b"i%de" % value
        case list():
            return b"l%be" % b"".join(write(each) for each in value)
        case dict():
            pairs = (write(key) + write(value[key]) for key in sorted(value))
            return b"d%be" % b"".join(pairs)


class _Reader:
    """Walks the input once, with a stack of its own."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._tokens = 0
        self._spans: dict[bytes, tuple[int, int]] = {}

    def document(self) -> Document:
        root: dict[bytes, Value] = {}
        stack: list[tuple[list[Value] | dict[bytes, Value], bytes, int]] = []
        current: list[Value] | dict[bytes, Value] = root
        key = b""
        began = 0
        self._at = 1
        while True:
            if self._peek() == _END:
                self._at += 1
                if not stack:
                    return Document(root, self._spans)
                child = current
                current, key, began = stack.pop()
                self._store(current, key, child, began, is_top=not stack)
                continue
            if isinstance(current, dict):
                key = self._string()
            began = self._at
            kind = self._peek()
            if kind in {_LIST, _DICT}:
                if len(stack) + 1 >= MAX_DEPTH:
                    raise BencodeError(f"nested deeper than {MAX_DEPTH}")
                self._count()
                stack.append((current, key, began))
                current = [] if kind == _LIST else {}
                self._at += 1
                continue
            value = self._integer() if kind == _INT else self._string()
            self._store(current, key, value, began, is_top=not stack)

    def _store(
        self,
        into: list[Value] | dict[bytes, Value],
        key: bytes,
        value: Value,
        began: int,
        *,
        is_top: bool,
    ) -> None:
        if isinstance(into, list):
            into.append(value)
        elif key not in into:
            into[key] = value
            if is_top:
                self._spans[key] = (began, self._at)

    def _peek(self) -> int:
        if self._at >= len(self._data):
            raise BencodeError("unexpected end")
        return self._data[self._at]

    def _count(self) -> None:
        self._tokens += 1
        if self._tokens > MAX_TOKENS:
            raise BencodeError(f"more than {MAX_TOKENS} values")

    def _integer(self) -> int:
        self._count()
        end = self._data.find(b"e", self._at, self._at + MAX_DIGITS + 2)
        text = self._data[self._at + 1 : end] if end > 0 else b""
        digits = text.removeprefix(b"-")
        if not digits.isdigit():
            raise BencodeError(f"no integer at byte {self._at}")
        value = int(text)
        if not -_LIMIT <= value < _LIMIT:
            raise BencodeError(f"integer out of range at byte {self._at}")
        self._at = end + 1
        return value

    def _string(self) -> bytes:
        self._count()
        colon = self._data.find(b":", self._at, self._at + MAX_DIGITS)
        digits = self._data[self._at : colon] if colon > 0 else b""
        if not digits.isdigit():
            raise BencodeError(f"expected a value at byte {self._at}")
        begin = colon + 1
        end = begin + int(digits)
        if end > len(self._data):
            raise BencodeError("unexpected end")
        self._at = end
        return self._data[begin:end]
