"""Reading torrent files and magnet links: bounded, and every refusal one clear line."""

import re
from typing import Any, Final

import libtorrent as lt

from revaer.adapters.libtorrent.registry import ids_of, stable_id
from revaer.domain.errors import InvalidTorrentError
from revaer.domain.ids import EpochSeconds
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
MAX_FOLDER_TEXT: Final = 128_000_000
"""Folders per file times letters per path, over all files. When it deletes a torrent libtorrent
writes down every folder of every file with its whole path: half of this in memory."""
MAX_PIECES: Final = 2_000_000
MAX_TRACKERS: Final = 1_000
MAX_WEB_SEEDS: Final = 1_000
MAX_DHT_NODES: Final = 100
"""What is past it is left out: the session would look up and ask each host that a torrent names."""
MAX_MAGNET_CHARACTERS: Final = 8_192
MAX_TEXT_CHARACTERS: Final = 4_096
"""Of a comment or creator; the rest is cut off."""

MAX_TOKENS: Final = 2_200_000
"""Strings, numbers, lists and ends: what a hundred thousand files need in both forms at once."""

# libtorrent's own stub names another type here: the binding takes a plain dictionary.
_PARSE_LIMITS: Final[Any] = {"max_pieces": MAX_PIECES, "max_decode_tokens": MAX_TOKENS}

_MAGNET_SCHEME: Final = "magnet:"
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
_WEB_SEED: Final = re.compile(r"https?://[^\x00-\x20\x7f]+", re.IGNORECASE)
_ERROR_CODE: Final = re.compile(r"\s*\[[^\]]*\]\s*$")


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


def parse_metainfo(data: bytes) -> lt.add_torrent_params:
    """Parse a torrent file and hold it against the limits.

    Raises:
        InvalidTorrentError: not a torrent file, or past a limit.
    """
    if not data:
        raise InvalidTorrentError("the torrent file is empty")
    if len(data) > MAX_METAINFO_BYTES:
        raise InvalidTorrentError(
            f"the torrent file has {len(data)} bytes, more than the {MAX_METAINFO_BYTES} allowed"
        )
    try:
        params = lt.load_torrent_buffer(bytes(data), _PARSE_LIMITS)
        info = params.ti
    except (RuntimeError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise InvalidTorrentError(f"not a usable torrent file: {plain(error)}") from error
    if info is None:
        raise InvalidTorrentError("not a usable torrent file: it has no metadata")
    _check_counts(info)
    _tame(params)
    return params


def bounded(info: lt.torrent_info, origin: tuple[str, str, int] = ("", "", 0)) -> Metainfo:
    """As `of_info`, of metadata that nobody has held against the limits: peers send what they like.

    Raises:
        InvalidTorrentError: past a limit; found out before the list is read where it is too long.
    """
    _check_counts(info)
    found = of_info(info, origin)
    if sum(entry.path.count("/") * len(entry.path) for entry in found.files) > MAX_FOLDER_TEXT:
        raise InvalidTorrentError(
            f"the torrent has {len(found.files)} files in folders too deep for so many"
        )
    return found


def _check_counts(info: lt.torrent_info) -> None:
    if info.num_files() > MAX_FILES:
        raise InvalidTorrentError(
            f"the torrent has {info.num_files()} files, more than the {MAX_FILES} allowed"
        )
    if info.num_pieces() > MAX_PIECES:
        raise InvalidTorrentError(
            f"the torrent has {info.num_pieces()} pieces, more than the {MAX_PIECES} allowed"
        )


def parse_magnet(uri: str) -> lt.add_torrent_params:
    """Parse a magnet link and hold it against the limits.

    Raises:
        InvalidTorrentError: not a magnet link of a torrent, or past a limit.
    """
    uri = normal_magnet(uri)
    try:
        params = lt.parse_magnet_uri(uri)
        hashes = params.info_hashes
    except (RuntimeError, UnicodeError, TypeError, ValueError) as error:
        raise InvalidTorrentError(f"not a usable magnet link: {plain(error)}") from error
    if hashes.v1.is_all_zeros() and hashes.v2.is_all_zeros():
        raise InvalidTorrentError("not a usable magnet link: its hash is all zeros")
    _tame(params)
    return params


def normal_magnet(uri: str) -> str:
    """Trim a link and write its scheme as libtorrent expects it.

    Raises:
        InvalidTorrentError: no magnet link, too long, or with characters that no link has.
    """
    uri = uri.strip()
    if len(uri) > MAX_MAGNET_CHARACTERS:
        raise InvalidTorrentError(
            f"the magnet link has {len(uri)} characters, {MAX_MAGNET_CHARACTERS} are allowed"
        )
    if uri[: len(_MAGNET_SCHEME)].lower() != _MAGNET_SCHEME:
        raise InvalidTorrentError("not a magnet link: it must begin with magnet:?")
    uri = _MAGNET_SCHEME + uri[len(_MAGNET_SCHEME) :]
    # Plain spaces in names are common; control characters are an attack on logs and headers.
    uri = uri.replace(" ", "%20")
    if _CONTROL.search(uri):
        raise InvalidTorrentError("not a usable magnet link: it has control characters")
    return uri


def of_info(info: lt.torrent_info, origin: tuple[str, str, int] = ("", "", 0)) -> Metainfo:
    """Turn libtorrent's metadata into values.

    Args:
        info: shared with libtorrent, nothing of it is kept.
        origin: comment, creator and creation time, which are not part of the metadata itself.
    """
    layout = info.layout()
    piece_length = info.piece_length()
    last = max(info.num_pieces() - 1, 0)
    v1, v2 = ids_of(info.info_hashes())
    pad = lt.file_flags_t.flag_pad_file
    files: list[FileEntry] = []
    offset = 0
    for index in range(info.num_files()):
        size = layout.file_size(index)
        end = offset + size
        files.append(
            FileEntry(
                index,
                layout.file_path(index),
                size,
                min(offset // piece_length, last),
                min(max(end - 1, offset) // piece_length, last),
                bool(layout.file_flags(index) & pad),
            )
        )
        offset = end  # files lie one behind the other, padding included
    return Metainfo(
        name=info.name(),
        files=tuple(files),
        total_size_bytes=sum(entry.size_bytes for entry in files if not entry.is_pad),
        piece_length=piece_length,
        piece_count=info.num_pieces(),
        infohash_v1=v1,
        infohash_v2=v2,
        is_private=info.priv(),
        comment=origin[0],
        created_by=origin[1],
        created_at=EpochSeconds(origin[2]),
    )


def origin_of(params: lt.add_torrent_params) -> tuple[str, str, int]:
    """Comment, creator and creation time of a torrent file; all may be empty."""
    return _text(params, "comment"), _text(params, "created_by"), max(params.creation_date, 0)


def plain(error: Exception) -> str:
    """The one-line reason in an exception of libtorrent, without its code."""
    if isinstance(error, UnicodeError):
        return "its text is not UTF-8"
    return _ERROR_CODE.sub("", " ".join(str(error).split())) or type(error).__name__


def _describe_metainfo(data: bytes) -> TorrentDescription:
    params = parse_metainfo(data)
    info = params.ti
    if info is None:
        raise InvalidTorrentError("not a usable torrent file: it has no metadata")
    described = bounded(info, origin_of(params))
    v1, v2 = described.infohash_v1, described.infohash_v2
    return TorrentDescription(
        info_hash=stable_id(v1, v2),
        infohash_v1=v1,
        infohash_v2=v2,
        name=described.name,
        metainfo=described,
        magnet_uri=_magnet_of(params),
        trackers=_readable_texts(params, "trackers"),
        web_seeds=_readable_texts(params, "url_seeds"),
    )


def _describe_magnet(uri: str) -> TorrentDescription:
    params = parse_magnet(uri)
    v1, v2 = ids_of(params.info_hashes)
    info_hash = stable_id(v1, v2)
    return TorrentDescription(
        info_hash=info_hash,
        infohash_v1=v1,
        infohash_v2=v2,
        name=_text(params, "name") or info_hash,
        metainfo=None,
        magnet_uri=normal_magnet(uri),
        trackers=_readable_texts(params, "trackers"),
        web_seeds=_readable_texts(params, "url_seeds"),
    )


def _tame(params: lt.add_torrent_params) -> None:
    """Bound whom a torrent may have the session talk to, and with what words.

    libtorrent writes a web seed's address into its request as it is, so one with a line break could
    forge headers; trackers of that kind it drops itself.
    """
    trackers = len(params.tracker_tiers)  # readable even where a text is not UTF-8
    if trackers > MAX_TRACKERS:
        raise InvalidTorrentError(
            f"the torrent names {trackers} trackers, more than the {MAX_TRACKERS} allowed"
        )
    seeds = _readable_texts(params, "url_seeds")
    if len(seeds) > MAX_WEB_SEEDS:
        raise InvalidTorrentError(
            f"the torrent names {len(seeds)} web seeds, more than the {MAX_WEB_SEEDS} allowed"
        )
    params.url_seeds = [seed for seed in seeds if _WEB_SEED.fullmatch(seed)]
    try:
        params.dht_nodes = params.dht_nodes[:MAX_DHT_NODES]
    except UnicodeDecodeError:
        params.dht_nodes = []


def _magnet_of(params: lt.add_torrent_params) -> str:
    try:
        return lt.make_magnet_uri(params)
    except (UnicodeDecodeError, RuntimeError):
        return ""


def _text(params: lt.add_torrent_params, name: str) -> str:
    """Read a text written by whoever made the torrent; empty where it is not UTF-8."""
    try:
        text = str(getattr(params, name))[:MAX_TEXT_CHARACTERS]
        return "".join(c for c in text if c.isprintable())
    except UnicodeDecodeError:
        return ""


def _readable_texts(params: lt.add_torrent_params, name: str) -> tuple[str, ...]:
    try:
        return tuple(getattr(params, name))
    except UnicodeDecodeError:
        return ()
