"""Seeded mutations of torrent files and magnet links: the same number, the same input."""

import random
import re
from collections.abc import Callable, Sequence
from typing import Final

from tests.hostile import magnets, torrents
from tests.hostile.bencode import MAX_DEPTH, Pairs, Raw, Value, decode, encode

MAX_BYTES: Final = 100_000
"""Larger classes are not worth the time that each mutation of them would take."""
MAGNET_SHARE: Final = 0.2

_SOUND: Final = (
    *("path_parent", "path_nul", "path_shell", "v2_path_parent", "name_parents", "folder_name_nul"),
    *("symlink_outside", "symlink_loop", "pad_files", "v2_sound", "v2_symlinks", "hybrid_sound"),
    *("tracker_crlf", "web_seed_crlf", "nodes_of_junk", "duplicate_files", "info_twice"),
)
_LENGTH: Final = re.compile(rb"\d+(?=:)")
_NUMBER: Final = re.compile(rb"i-?\d*e")
_LENGTHS: Final = (
    b"0",
    b"1",
    b"00",
    b"-1",
    b"255",
    b"256",
    b"65536",
    b"2147483647",
    b"2147483648",
    b"4294967296",
    b"9223372036854775807",
    b"18446744073709551616",
    b"",
)
_WORDS: Final[tuple[Value, ...]] = (
    *(b"", b".", b"..", b"/", b"\\", b"a/../../b", b"\0", b"\xff\xfe", b".revaer", b"n" * 300),
    *(0, 1, -1, 2, 3, 16_384, 16_385, 1 << 20, 1 << 31, 1 << 32, 1 << 62, (1 << 63) - 1, 1 << 64),
    *([], {}, [b".."], [b"a", b"b"], {b"": {}}, {b"": {b"length": 5}}, Raw(b"i-0e"), Raw(b"l")),
    *(bytes(20), bytes(32), bytes(20 * 100), bytes(32 * 100)),
)
_KEYS: Final = (
    *(b"", b"name", b"name.utf-8", b"path", b"path.utf-8", b"length", b"files", b"file tree"),
    *(b"pieces", b"piece length", b"piece layers", b"pieces root", b"meta version", b"attr"),
    *(b"symlink path", b"announce", b"announce-list", b"url-list", b"nodes", b"info", b"private"),
    *(b"..", b"\xff", b"ssl-cert", b"similar", b"collections", b"root hash", b"info-hash"),
)
_SNIPPETS: Final = (
    *("%00", "%0d%0a", "%ff", "%", "..%2f", "&", "=", ":", "xt=urn:btih:", "xt=urn:btmh:1220"),
    *(
        "&dn=",
        "&tr=",
        "&ws=",
        "&so=",
        "&x.pe=",
        "&dht=",
        "\0",
        "\n",
        "\ud800",
        "\uff0e",
        "magnet:?",
    ),
    *("0-2147483647", "-1", "[::1]:1", "99999999999999999999", "a" * 500),
)


class Mutations:
    """All inputs of one kind of run; holds the corpus."""

    def __init__(self) -> None:
        """Build the corpus: every class that is small."""
        built = {name: build() for name, build in torrents.small_classes()}
        small = {name: data for name, data in built.items() if 0 < len(data) <= MAX_BYTES}
        sound = [small[name] for name in _SOUND]
        # Most of what is hostile is refused at once; what gets further starts from the others.
        self._torrents = [*small.values(), *sound * (len(small) // len(sound))]
        self._trees = [tree for tree in map(_tree_of, self._torrents) if tree is not None]
        links = (link for _, link in magnets.all_classes())
        self._magnets = [link for link in links if 0 < len(link) <= MAX_BYTES]

    def torrent_or_magnet(self, number: int) -> bytes | str:
        """The input of this number: bytes for a torrent file, text for a link."""
        source = random.Random(number)
        if source.random() < MAGNET_SHARE:
            return self._magnet(source)
        ways: tuple[Callable[[random.Random], bytes], ...] = (
            self._by_bytes,
            self._by_splice,
            self._by_grammar,
            self._by_grammar,
        )
        return source.choice(ways)(source)

    def _by_bytes(self, source: random.Random) -> bytes:
        data = source.choice(self._torrents)
        for _ in range(source.randint(1, 4)):
            data = source.choice((_flip, _cut, _repeat, _other_length, _other_number))(data, source)
        return data

    def _by_splice(self, source: random.Random) -> bytes:
        first, second = source.choice(self._torrents), source.choice(self._torrents)
        return first[: source.randrange(len(first))] + second[source.randrange(len(second)) :]

    def _by_grammar(self, source: random.Random) -> bytes:
        tree = source.choice(self._trees)
        for _ in range(source.choice((1, 1, 1, 2, 3))):
            tree = _graft(tree, source, source.choice(self._trees))
        return encode(tree)

    def _magnet(self, source: random.Random) -> str:
        link = source.choice(self._magnets)
        for _ in range(source.randint(1, 4)):
            at = source.randrange(len(link) + 1)
            match source.randrange(5):
                case 0:
                    link = link[:at] + source.choice(_SNIPPETS) + link[at:]
                case 1:
                    link = link[:at]
                case 2:
                    link = link[:at] + chr(source.randrange(0x20, 0x300)) + link[at + 1 :]
                case 3:
                    other = source.choice(self._magnets)
                    link = link[:at] + other[source.randrange(len(other) + 1) :]
                case _:
                    parts = link.split("&")
                    source.shuffle(parts)
                    link = "&".join(parts)
        return link


def _flip(data: bytes, source: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(source.randint(1, 8) if data else 0):
        changed[source.randrange(len(changed))] = source.randrange(256)
    return bytes(changed)


def _cut(data: bytes, source: random.Random) -> bytes:
    start = source.randrange(len(data) + 1)
    if source.random() < 0.5:
        return data[:start]
    return data[:start] + data[start + source.randint(1, 40) :]


def _repeat(data: bytes, source: random.Random) -> bytes:
    start = source.randrange(len(data) + 1)
    part = data[start : start + source.randint(1, 200)]
    return data[:start] + part * source.randint(1, 30) + data[start:]


def _other_length(data: bytes, source: random.Random) -> bytes:
    return _replace(_LENGTH, data, source.choice(_LENGTHS), source)


def _other_number(data: bytes, source: random.Random) -> bytes:
    return _replace(_NUMBER, data, b"i" + source.choice(_LENGTHS) + b"e", source)


def _replace(pattern: re.Pattern[bytes], data: bytes, new: bytes, source: random.Random) -> bytes:
    found = list(pattern.finditer(data))
    if not found:
        return data
    start, end = source.choice(found).span()
    return data[:start] + new + data[end:]


def _tree_of(data: bytes) -> Value | None:
    try:
        return decode(data)
    except ValueError:
        return None


def _graft(tree: Value, source: random.Random, other: Value, depth: int = 0) -> Value:
    """Change one place of a tree, found by walking down at random."""
    is_here = source.random() < 0.25 or depth >= MAX_DEPTH
    match tree:
        case Pairs(items) if items and not is_here:
            at = source.randrange(len(items))
            key, value = items[at]
            changed = list(items)
            changed[at] = (key, _graft(value, source, other, depth + 1))
            return Pairs(tuple(changed))
        case list() if tree and not is_here:
            at = source.randrange(len(tree))
            grown: list[Value] = list(tree)
            grown[at] = _graft(tree[at], source, other, depth + 1)
            return grown
        case Pairs(items) if items:
            return _other_dictionary(list(items), source, other)
        case list() if tree and source.random() < 0.7:
            return _other_list(tree, source)
        case bytes() if tree and source.random() < 0.5:
            return _flip(tree, source)
        case _:
            return source.choice(_WORDS)


def _other_dictionary(
    items: list[tuple[bytes, Value]], source: random.Random, other: Value
) -> Value:
    at = source.randrange(len(items))
    match source.randrange(5):
        case 0:
            del items[at]
        case 1:
            items[at] = (source.choice(_KEYS), items[at][1])
        case 2:
            items.append((source.choice(_KEYS), source.choice(_WORDS)))
        case 3:
            items.insert(at, items[at])
        case _ if isinstance(other, Pairs) and other.items:
            items.append(source.choice(other.items))
    if source.random() < 0.8:
        items.sort(key=lambda pair: pair[0])
    return Pairs(tuple(items))


def _other_list(values: Sequence[Value], source: random.Random) -> Value:
    changed = list(values)
    at = source.randrange(len(changed))
    match source.randrange(4):
        case 0:
            del changed[at]
        case 1:
            changed[at:at] = [changed[at]] * source.randint(1, 50)
        case 2:
            changed[at] = source.choice(_WORDS)
        case _:
            return [changed]
    return changed
