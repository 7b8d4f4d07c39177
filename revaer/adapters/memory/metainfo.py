"""Reads torrent files and magnet links without libtorrent, to the same names, sizes and ids."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from revaer.adapters.memory import bencode
from revaer.adapters.memory.bencode import BencodeError, Value
from revaer.adapters.memory.file_names import clean, clean_root, text_of
from revaer.domain.errors import InvalidTorrentError
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import (
    FileEntry,
    MagnetSource,
    Metainfo,
    MetainfoSource,
    TorrentDescription,
    TorrentSource,
)

MAX_METAINFO_BYTES: Final = 10_000_000
MAX_FILES: Final = 100_000
MAX_PIECES: Final = 2_000_000
MAX_TRACKERS: Final = 1_000
MAX_MAGNET_CHARACTERS: Final = 8_192
MAX_PATH_PARTS: Final = 100
MAX_PIECE_LENGTH: Final = 0x7FFF * 16_384

_SHA1: Final = 20
_SHA256: Final = 32
_V2_BLOCK: Final = 16_384
_MULTIHASH_SHA256: Final = "1220"
_SCHEME: Final = "magnet:"
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
_HEX: Final = re.compile(r"[0-9a-fA-F]+")

Dictionary = dict[bytes, Value]


@dataclass(frozen=True, slots=True)
class _Listed:
    """A file as one of the two file lists names it."""

    path: str
    size_bytes: int
    is_pad: bool = False


def describe(source: TorrentSource) -> TorrentDescription:
    """Say what a source is.

    Raises:
        InvalidTorrentError: it cannot be used, or is past a limit.
    """
    match source:
        case MetainfoSource(data):
            return _describe_metainfo(data)
        case MagnetSource(uri):
            return _describe_magnet(uri)


def read_metainfo(data: bytes) -> Metainfo:
    """Read a torrent file's metadata.

    Raises:
        InvalidTorrentError: not a torrent file, or past a limit.
    """
    return _read(data)[0]


def stable_id(v1: str, v2: str) -> InfoHash:
    """Choose the id that a torrent keeps: v1 where known, else truncated v2."""
    return InfoHash(v1 or v2[:40])


def keys_of(v1: str, v2: str) -> frozenset[str]:
    """Every id under which a torrent with these hashes can be looked up."""
    return frozenset(key for key in (v1, v2, v2[:40]) if key)


def _describe_metainfo(data: bytes) -> TorrentDescription:
    metainfo, outer = _read(data)
    trackers = tuple(_trackers(outer))
    web_seeds = tuple(_web_seeds(outer))
    return TorrentDescription(
        info_hash=stable_id(metainfo.infohash_v1, metainfo.infohash_v2),
        infohash_v1=metainfo.infohash_v1,
        infohash_v2=metainfo.infohash_v2,
        name=metainfo.name,
        metainfo=metainfo,
        magnet_uri=_magnet_of(metainfo, trackers, web_seeds),
        trackers=trackers,
        web_seeds=web_seeds,
    )


def _read(data: bytes) -> tuple[Metainfo, Dictionary]:
    if not data:
        raise InvalidTorrentError("the torrent file is empty")
    if len(data) > MAX_METAINFO_BYTES:
        raise InvalidTorrentError(
            f"the torrent file has {len(data)} bytes, more than the {MAX_METAINFO_BYTES} allowed"
        )
    try:
        document = bencode.read(data)
    except BencodeError as error:
        raise InvalidTorrentError(f"not a usable torrent file: {error}") from error
    outer = document.values
    info = outer.get(b"info")
    if not isinstance(info, dict):
        raise _unusable("missing or invalid 'info' section")
    begin, end = document.spans[b"info"]
    metainfo = _read_info(info, data[begin:end], outer)
    if len([*_trackers(outer)]) > MAX_TRACKERS:
        raise InvalidTorrentError(f"the torrent names more than {MAX_TRACKERS} trackers")
    return metainfo, outer


def _read_info(info: Dictionary, raw: bytes, outer: Dictionary) -> Metainfo:
    version = _integer(info, b"meta version", 1)
    if version > 2:  # noqa: PLR2004 the newest that there is
        raise _unusable("unknown meta version")
    is_v2 = version == 2  # noqa: PLR2004 as above
    has_v1 = b"pieces" in info
    piece_length = _integer(info, b"piece length", 0)
    if not 0 < piece_length <= MAX_PIECE_LENGTH or (
        is_v2 and (piece_length < _V2_BLOCK or piece_length & (piece_length - 1))
    ):
        raise _unusable("invalid or missing 'piece length'")
    name = _root_name(info, raw)
    tree = [*_v2_files(info, name)] if is_v2 else []
    if has_v1:
        listed = [*_v1_files(info, name)]
        if is_v2 and _real(listed) != _real(tree):
            raise _unusable("the v1 and v2 file lists do not match")
    elif is_v2:
        name = _v2_name(name, tree)
        listed = [*_padded(tree, name, piece_length)]
    else:
        raise _unusable("invalid or missing 'pieces'")
    return _assembled(info, raw, outer, name=name, listed=listed, piece_length=piece_length)


def _assembled(
    info: Dictionary,
    raw: bytes,
    outer: Dictionary,
    *,
    name: str,
    listed: list[_Listed],
    piece_length: int,
) -> Metainfo:
    total = sum(each.size_bytes for each in listed)
    if total <= 0:
        raise _unusable("invalid length")
    piece_count = -(-total // piece_length)
    if len(listed) > MAX_FILES:
        raise InvalidTorrentError(
            f"the torrent has {len(listed)} files, more than the {MAX_FILES} allowed"
        )
    if piece_count > MAX_PIECES:
        raise InvalidTorrentError(
            f"the torrent has {piece_count} pieces, more than the {MAX_PIECES} allowed"
        )
    pieces = info.get(b"pieces")
    if pieces is not None and (not isinstance(pieces, bytes) or len(pieces) != piece_count * _SHA1):
        raise _unusable("incorrect number of piece hashes")
    files = tuple(_entries(listed, piece_length, piece_count - 1))
    is_v2 = _integer(info, b"meta version", 1) == 2  # noqa: PLR2004 the newest that there is
    return Metainfo(
        name=name,
        files=files,
        total_size_bytes=sum(entry.size_bytes for entry in files if not entry.is_pad),
        piece_length=piece_length,
        piece_count=piece_count,
        # The ids of the protocol itself; nothing is kept secret by them.
        infohash_v1="" if pieces is None else hashlib.sha1(raw, usedforsecurity=False).hexdigest(),
        infohash_v2=hashlib.sha256(raw).hexdigest() if is_v2 else "",
        is_private=_integer(info, b"private", 0) != 0,
        comment=_printable(_bytes(outer, b"comment.utf-8") or _bytes(outer, b"comment")),
        created_by=_printable(_bytes(outer, b"created by.utf-8") or _bytes(outer, b"created by")),
        created_at=EpochSeconds(max(_integer(outer, b"creation date", 0), 0)),
    )


def _root_name(info: Dictionary, raw: bytes) -> str:
    """The torrent's own name; one of several files may go without a usable one."""
    given = info.get(b"name.utf-8", info.get(b"name"))
    if not isinstance(given, bytes):
        raise _unusable("missing name")
    name = clean_root(given)
    if name:
        return name
    if b"files" not in info and b"file tree" not in info:
        raise _unusable("missing name")
    return hashlib.sha1(raw, usedforsecurity=False).hexdigest() if given else "_"


def _entries(listed: list[_Listed], piece_length: int, last: int) -> Iterator[FileEntry]:
    offset = 0
    for index, each in enumerate(listed):
        yield FileEntry(
            index=index,
            path=each.path,
            size_bytes=each.size_bytes,
            first_piece=min(offset // piece_length, last),
            last_piece=min((offset + max(each.size_bytes, 1) - 1) // piece_length, last),
            is_pad=each.is_pad,
        )
        offset += each.size_bytes


def _v1_files(info: Dictionary, name: str) -> Iterator[_Listed]:
    files = info.get(b"files")
    if files is None:
        yield _Listed(name, _length(info))
        return
    if not isinstance(files, list):
        raise _unusable("the file list is not a list")
    if not files:
        raise _unusable("no files")
    for each in files:
        if not isinstance(each, dict):
            raise _unusable("a file is not a dictionary")
        attributes = _bytes(each, b"attr")
        parts = each.get(b"path.utf-8", each.get(b"path"))
        if not isinstance(parts, list) or not parts:
            raise _unusable("a file without a name")
        if len(parts) > MAX_PATH_PARTS:
            raise _unusable(f"directories deeper than {MAX_PATH_PARTS}")
        path = "/".join([name, *(clean(_part(part)) for part in parts)])
        is_link = b"l" in attributes and b"symlink path" in each
        is_pad = b"p" in attributes or path.rpartition("/")[2].startswith("_____padding_file")
        yield _Listed(path, 0 if is_link else _length(each), is_pad)


def _v2_files(info: Dictionary, name: str) -> Iterator[_Listed]:
    tree = info.get(b"file tree")
    if not isinstance(tree, dict):
        raise _unusable("the v2 torrent has no file tree")
    if not tree:
        raise _unusable("no files")
    stack: list[tuple[str, list[tuple[bytes, Value]]]] = [("", [*tree.items()][::-1])]
    is_single = len(tree) == 1 and _is_file(next(iter(tree.values())))
    while stack:
        parent, waiting = stack[-1]
        if not waiting:
            stack.pop()
            continue
        key, node = waiting.pop()
        if not isinstance(node, dict) or not node or not key:
            raise _unusable("a broken file tree")
        path = f"{parent}/{clean(key)}" if parent else clean(key)
        if not _is_file(node):
            if b"" in node:
                raise _unusable("a broken file tree")
            if len(stack) > MAX_PATH_PARTS:
                raise _unusable(f"directories deeper than {MAX_PATH_PARTS}")
            stack.append((path, [*node.items()][::-1]))
            continue
        yield _v2_file(node, path if is_single else f"{name}/{path}")


def _v2_file(node: Dictionary, path: str) -> _Listed:
    leaf = node[b""]
    if not isinstance(leaf, dict) or len(node) != 1:
        raise _unusable("a broken file tree")
    attributes = _bytes(leaf, b"attr")
    if b"p" in attributes:
        raise _unusable("a v2 file with the pad attribute")
    if b"l" in attributes and b"symlink path" in leaf:
        return _Listed(path, 0)
    size = _length(leaf)
    if size and len(_bytes(leaf, b"pieces root")) != _SHA256:
        raise _unusable("a v2 file without a root hash")
    return _Listed(path, size)


def _v2_name(name: str, tree: list[_Listed]) -> str:
    """A v2 torrent of a single file is called like the file."""
    return tree[0].path if len(tree) == 1 and "/" not in tree[0].path else name


def _padded(tree: list[_Listed], name: str, piece_length: int) -> Iterator[_Listed]:
    """Every file of a v2 torrent begins with a piece of its own."""
    for each in tree:
        yield each
        short = -each.size_bytes % piece_length
        if short:
            yield _Listed(f"{name}/.pad/{short}", short, is_pad=True)


def _is_file(node: Value) -> bool:
    return isinstance(node, dict) and isinstance(node.get(b""), dict)


def _real(listed: list[_Listed]) -> list[tuple[str, int]]:
    return [(each.path, each.size_bytes) for each in listed if not each.is_pad]


def _trackers(outer: Dictionary) -> Iterator[str]:
    tiers = outer.get(b"announce-list")
    found = False
    if isinstance(tiers, list):
        for tier in tiers:
            for url in tier if isinstance(tier, list) else ():
                if isinstance(url, bytes) and url.strip():
                    found = True
                    yield url.strip().decode("utf-8", "replace")
    announce = _bytes(outer, b"announce").strip()
    if announce and not found:
        yield announce.decode("utf-8", "replace")


def _web_seeds(outer: Dictionary) -> Iterator[str]:
    listed = outer.get(b"url-list")
    for url in listed if isinstance(listed, list) else [listed]:
        if isinstance(url, bytes) and url.strip():
            yield url.strip().decode("utf-8", "replace")


def _magnet_of(metainfo: Metainfo, trackers: tuple[str, ...], web_seeds: tuple[str, ...]) -> str:
    parts = [f"xt=urn:btih:{metainfo.infohash_v1}"] if metainfo.infohash_v1 else []
    if metainfo.infohash_v2:
        parts.append(f"xt=urn:btmh:{_MULTIHASH_SHA256}{metainfo.infohash_v2}")
    parts.append(f"dn={quote(metainfo.name, safe='')}")
    parts += [f"tr={quote(url, safe='')}" for url in trackers]
    parts += [f"ws={quote(url, safe='')}" for url in web_seeds]
    return f"magnet:?{'&'.join(parts)}"


def _describe_magnet(uri: str) -> TorrentDescription:
    uri = _normal(uri)
    v1 = v2 = name = ""
    trackers: list[str] = []
    web_seeds: list[str] = []
    for part in uri.partition("?")[2].split("&"):
        key, _, value = part.partition("=")
        text = unquote_to_bytes(value.replace("+", " "))
        match key.partition(".")[0].lower():
            case "xt":
                v1, v2 = _topic(text.decode("ascii", "replace"), v1, v2)
            case "dn":
                name = "" if _is_broken(text) else _printable(text)
            case "tr" if text:
                trackers.append(text.decode("utf-8", "replace"))
            case "ws" if text:
                web_seeds.append(text.decode("utf-8", "replace"))
            case _:
                pass
    if not (v1 or v2):
        raise InvalidTorrentError("not a usable magnet link: it has no info-hash")
    if not (v1 + v2).strip("0"):
        raise InvalidTorrentError("not a usable magnet link: its hash is all zeros")
    if len(trackers) > MAX_TRACKERS:
        raise InvalidTorrentError(f"the magnet link names more than {MAX_TRACKERS} trackers")
    info_hash = stable_id(v1, v2)
    return TorrentDescription(
        info_hash=info_hash,
        infohash_v1=v1,
        infohash_v2=v2,
        name=name or info_hash,
        metainfo=None,
        magnet_uri=uri,
        trackers=tuple(trackers),
        web_seeds=tuple(web_seeds),
    )


def _normal(uri: str) -> str:
    uri = uri.strip()
    if len(uri) > MAX_MAGNET_CHARACTERS:
        raise InvalidTorrentError(
            f"the magnet link has {len(uri)} characters, "
            f"more than the {MAX_MAGNET_CHARACTERS} allowed"
        )
    if uri[: len(_SCHEME)].lower() != _SCHEME:
        raise InvalidTorrentError("not a magnet link: it must begin with magnet:?")
    uri = _SCHEME + uri[len(_SCHEME) :].replace(" ", "%20")
    if _CONTROL.search(uri):
        raise InvalidTorrentError("not a usable magnet link: it has control characters")
    return uri


def _topic(topic: str, v1: str, v2: str) -> tuple[str, str]:
    """Take one `xt` in: 40 hex digits or 32 of base32 for v1, a SHA-256 multihash for v2."""
    if topic.startswith("urn:btih:"):
        return _v1_of(topic.removeprefix("urn:btih:")), v2
    if topic.startswith("urn:btmh:"):
        digits = topic.removeprefix("urn:btmh:")
        if len(digits) != len(_MULTIHASH_SHA256) + 64 or not _HEX.fullmatch(digits):
            raise InvalidTorrentError("not a usable magnet link: invalid info-hash")
        if not digits.startswith(_MULTIHASH_SHA256):
            raise InvalidTorrentError("not a usable magnet link: invalid info-hash")
        return v1, digits[len(_MULTIHASH_SHA256) :].lower()
    return v1, v2


def _v1_of(digits: str) -> str:
    if len(digits) == _SHA1 * 2 and _HEX.fullmatch(digits):
        return digits.lower()
    try:
        if len(digits) == _SHA1 * 8 // 5:
            return base64.b32decode(digits, casefold=True).hex()
    except binascii.Error:
        pass
    raise InvalidTorrentError("not a usable magnet link: invalid info-hash")


def _length(node: Dictionary) -> int:
    size = node.get(b"length")
    if not isinstance(size, int) or size < 0:
        raise _unusable("invalid length")
    return size


def _part(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise _unusable("a part of a path is not text")
    return value


def _bytes(node: Dictionary, key: bytes) -> bytes:
    value = node.get(key)
    return value if isinstance(value, bytes) else b""


def _integer(node: Dictionary, key: bytes, default: int) -> int:
    value = node.get(key, default)
    return value if isinstance(value, int) else default


def _printable(raw: bytes) -> str:
    return "".join(character for character in text_of(raw) if character.isprintable())


def _is_broken(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return True
    return False


def _unusable(why: str) -> InvalidTorrentError:
    return InvalidTorrentError(f"not a usable torrent file: {why}")
