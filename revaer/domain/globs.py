"""Globs for file names: compiled to a small automaton, so that no pattern can make matching slow.

A backtracking regex turns `*a*a*a*a*b` against a long name into minutes. Here every character of a
name moves a set of pattern positions at most once, and sets that were seen before are looked up.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final, TypeAlias

from revaer.domain.errors import SelectionError

MAX_PATTERN_LENGTH: Final = 1024
"""Characters; longer than any path that a file system takes for one component."""

_MAX_CACHED_STEPS: Final = 16_384
"""Looked-up steps per `Glob` before they are dropped; bounds memory against hostile names."""


_MAX_CACHED_SYMBOLS: Final = 65_536
"""Letters per `Glob` whose meaning is remembered; as many as the Basic Multilingual Plane has."""

_SHOWN_LENGTH: Final = 80


class _Gap(Enum):
    """Tokens that are not one character."""

    IN_NAME = "*"
    """Anything but a slash."""
    ANYWHERE = "**"
    """Anything, slashes included."""
    FOLDERS = "**/"
    """Nothing, or anything that ends in a slash: whole folders. Followed by `FOLDERS_END`."""
    FOLDERS_END = "**/ entered"
    END = "end"
    """The pattern is complete: nothing may follow."""


@dataclass(frozen=True, slots=True)
class _Class:
    """One character of a set; never a slash."""

    singles: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()
    wanted: bool = False
    """Whether what is listed fits, or what is not; the default is `?`, anything but a slash."""

    def has(self, char: str) -> bool:
        if char == "/":
            return False
        return (char in self.singles or self.is_in_range(char)) is self.wanted

    def is_in_range(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges)


_Token: TypeAlias = str | _Gap | _Class


class _Symbols(dict[int, str]):
    """For `str.translate`: one letter for all that the patterns cannot tell apart.

    Without it every new letter of a hostile name would be a step that was never seen before.
    """

    def __init__(self, tokens: Iterable[_Token]) -> None:
        tokens = tuple(tokens)
        classes = [token for token in tokens if isinstance(token, _Class)]
        self._told = frozenset("/").union(
            (token for token in tokens if isinstance(token, str)),
            *(token.singles for token in classes),
        )
        self._ranged = tuple({token for token in classes if token.ranges})
        self._examples: dict[tuple[bool, ...], str] = {}

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if char not in self._told:
            kind = tuple(token.is_in_range(char) for token in self._ranged)
            char = self._examples.setdefault(kind, char)
        if len(self) >= _MAX_CACHED_SYMBOLS:
            self.clear()
        self[code] = char
        return char


def fold(text: str) -> str:
    """Bring a name to the form in which names are compared: composed, without letter case.

    A letter whose folded form is longer than itself keeps its form, so that `?` stays one letter.
    """
    composed = unicodedata.normalize("NFC", text)
    folded = composed.casefold()
    if len(folded) == len(composed):
        return folded
    return "".join(low if len(low := char.casefold()) == 1 else char for char in composed)


class Glob:
    """One pattern or several compiled into one; a name fits when any of them fits.

    `*` and `?` stay within a name, `**` crosses slashes, `[a-z]` and `[!a-z]` are one character,
    `**/` also stands for no folder at all, and a `/` at the end for all that the folder holds.
    Letter case is ignored.
    """

    __slots__ = ("_accepted", "_gaps", "_start", "_steps", "_symbols", "_tokens")

    def __init__(self, *patterns: str) -> None:
        """Compile.

        Raises:
            SelectionError: a pattern cannot be used; says why and what to write instead.
        """
        tokens: list[_Token] = []
        start = self._accepted = 0
        for pattern in patterns:
            start |= 1 << len(tokens)
            tokens += _tokens(pattern)
            self._accepted |= 1 << len(tokens)
            tokens.append(_Gap.END)
        self._tokens = tuple(tokens)
        self._symbols = _Symbols(tokens)
        self._gaps = sum(
            1 << index
            for index, token in enumerate(tokens)
            if token in {_Gap.IN_NAME, _Gap.ANYWHERE, _Gap.FOLDERS}
        )
        self._start = self._with_skips(start)
        self._steps: dict[tuple[int, str], int] = {}

    def matches(self, name: str) -> bool:
        """Say whether a whole folded name (see `fold`) fits; time grows with its length only."""
        steps = self._steps
        positions = self._start
        for char in name.translate(self._symbols):
            following = steps.get((positions, char))
            if following is None:
                following = self._step(positions, char)
                if len(steps) >= _MAX_CACHED_STEPS:
                    steps.clear()
                steps[positions, char] = following
            if not following:
                return False
            positions = following
        return bool(positions & self._accepted)

    def _step(self, positions: int, char: str) -> int:
        """Move every position over one character; positions are bits, one for each token."""
        following = 0
        for index in _bits(positions):
            here = 1 << index
            token = self._tokens[index]
            match token:
                case _Gap.IN_NAME:
                    following |= here if char != "/" else 0
                case _Gap.ANYWHERE:
                    following |= here
                case _Gap.FOLDERS:
                    following |= here << 1
                case _Gap.END:
                    pass
                case _Gap.FOLDERS_END:
                    following |= here | (here << 1 if char == "/" else 0)
                case str():
                    following |= here << 1 if token == char else 0
                case _Class():
                    following |= here << 1 if token.has(char) else 0
        return self._with_skips(following)

    def _with_skips(self, positions: int) -> int:
        """Add the positions that are reached without a character, because gaps may be empty."""
        waiting = positions & self._gaps
        while waiting:
            here = waiting & -waiting
            waiting ^= here
            token = self._tokens[here.bit_length() - 1]
            reached = here << (2 if token is _Gap.FOLDERS else 1)
            positions |= reached
            waiting |= reached & self._gaps
        return positions


def _bits(positions: int) -> Iterator[int]:
    while positions:
        lowest = positions & -positions
        yield lowest.bit_length() - 1
        positions ^= lowest


@lru_cache(maxsize=128)
def compiled(*patterns: str) -> Glob:
    """Compile, or reuse: the same few patterns are applied to every torrent.

    Raises:
        SelectionError: a pattern cannot be used.
    """
    return Glob(*patterns)


def _refuse(pattern: str, why: str, remedy: str) -> SelectionError:
    shown = pattern if len(pattern) <= _SHOWN_LENGTH else pattern[:_SHOWN_LENGTH] + "..."
    return SelectionError(f"Pattern {shown!r} cannot be used: {why}. {remedy}")


def _check(pattern: str) -> None:
    if not pattern.strip():
        raise _refuse(pattern, "it is empty", "Leave it out, or write `*` for every file.")
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise _refuse(
            pattern,
            f"it has {len(pattern)} characters, more than {MAX_PATTERN_LENGTH}",
            "Use `*` in place of the long part.",
        )
    if any(char < " " or char == "\x7f" for char in pattern):
        raise _refuse(pattern, "it holds a control character", "Write `?` in its place.")
    if "\\" in pattern:
        raise _refuse(
            pattern,
            "it holds a backslash",
            "Write `/` between folders, and `[*]` for a star that means itself.",
        )
    if pattern.startswith("/"):
        raise _refuse(
            pattern,
            "it is absolute",
            "Paths start inside the torrent: leave the first `/` away.",
        )
    for part in pattern.removesuffix("/").split("/"):
        if part in {"", ".", ".."}:
            raise _refuse(
                pattern,
                f"{part!r} is not the name of a file or folder",
                "Name each folder from the torrent's top, as in `Extras/*.mkv`.",
            )


def _tokens(pattern: str) -> tuple[_Token, ...]:
    _check(pattern)
    text = fold(pattern)
    if text.endswith("/"):
        text += "**"  # a folder stands for all that is in it
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        starts_name = at == 0 or text[at - 1] == "/"
        if starts_name and text.startswith("**/", at):
            tokens += [_Gap.FOLDERS, _Gap.FOLDERS_END]
            at += 3
        elif text.startswith("**", at):
            tokens += [_Class()] if starts_name and at + 2 == len(text) else []  # below `a/`
            tokens.append(_Gap.ANYWHERE)
            at = len(text) - len(text[at:].lstrip("*"))
        elif text[at] == "*":
            tokens.append(_Gap.IN_NAME)
            at += 1
        elif text[at] == "?":
            tokens.append(_Class())
            at += 1
        elif text[at] == "[":
            token, at = _class(pattern, text, at)
            tokens.append(token)
        else:
            tokens.append(text[at])
            at += 1
    return tuple(tokens)


def _class(pattern: str, text: str, at: int) -> tuple[_Class, int]:
    """Read `[...]` that opens at `at`; answers it and the position after it."""
    first = at + 2 if text[at + 1 : at + 2] in {"!", "^"} else at + 1
    end = text.find("]", first + 1)  # a `]` in the first place means itself
    if end < 0:
        raise _refuse(pattern, "`[` is never closed", "Close it with `]`, or write `[[]` for `[`.")
    body = text[first:end]
    if "/" in body:
        raise _refuse(pattern, "`[...]` holds a `/`", "Write the `/` outside of the brackets.")
    singles: set[str] = set()
    ranges: list[tuple[str, str]] = []
    place = 0
    while place < len(body):
        if place + 2 < len(body) and body[place + 1] == "-":
            low, high = body[place], body[place + 2]
            if low > high:
                raise _refuse(
                    pattern,
                    f"the range `{low}-{high}` is empty",
                    f"Write `{high}-{low}`.",
                )
            ranges.append((low, high))
            place += 3
        else:
            singles.add(body[place])
            place += 1
    return _Class(frozenset(singles), tuple(ranges), wanted=first == at + 1), end + 1
