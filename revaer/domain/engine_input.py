"""What every engine refuses before it acts, whoever calls.

libtorrent would take most of this in another sense than it was meant: it obeys any path, cuts one
at a NUL, wraps numbers and drops what it cannot read.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from revaer.domain.errors import InvalidInputError, PathRefusedError
from revaer.domain.redaction import redacted

MAX_INT: Final = 2**31 - 1
MAX_PORT: Final = 65_535
MAX_TIER: Final = 255
MAX_TRACKERS: Final = 1_000
MAX_PRIORITY: Final = 7
MAX_WEB_SEEDS: Final = 1_000
MAX_URL_CHARACTERS: Final = 4_096

DISK_BACKENDS: Final = ("default", "pread", "posix", "mmap")

_TRACKER_SCHEMES: Final = frozenset({"http", "https", "udp", "ws", "wss"})
_WEB_SEED_SCHEMES: Final = frozenset({"http", "https"})


def check_save_path(path: str) -> None:
    """Refuse what libtorrent would take relative to the working directory or cut at a NUL.

    Raises:
        PathRefusedError: empty, relative, with a NUL, with `..`, or not encodable.
    """
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise PathRefusedError(f"the save path must be absolute, without '..': {path!r}")
    _check_utf8(path)


def check_file_path(path: str) -> None:
    """Refuse a file's new path that would leave the torrent's directory: libtorrent obeys any.

    Raises:
        PathRefusedError: empty, absolute, with a NUL, with `.`, `..` or an empty part, or not
            encodable.
    """
    if escapes(path):
        raise PathRefusedError(
            f"a file's path must be relative to its torrent's directory, without '..': {path!r}"
        )
    _check_utf8(path)


def escapes(path: str) -> bool:
    """Whether a relative path might lead somewhere else than below its directory."""
    parts = path.split("/")
    return "\0" in path or not {"", ".", ".."}.isdisjoint(parts)


def check_peers(peers: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return peers that libtorrent takes: names would have to be resolved, which it refuses.

    Raises:
        InvalidInputError: not an IP address, or a port outside 1..65535.
    """
    for host, port in peers:
        check_address("a peer", host)
        if not 0 < port <= MAX_PORT:
            raise InvalidInputError(f"a peer's port must be 1 to {MAX_PORT}: {port}")
    return list(peers)


def check_address(what: str, text: str) -> str:
    """Return an IP address; a name would have to be looked up.

    Raises:
        InvalidInputError: not an IP address, or one that is only meant on a certain device.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidInputError(f"{what} must be an IP address: {text!r}") from error
    if "%" in text:
        raise InvalidInputError(f"{what} must be an IP address without a device: {text!r}")
    return str(address)


def check_number(name: str, value: int, least: int) -> int:
    """Return a setting that fits into libtorrent's 32 bits: 2**40 silently becomes 0.

    Raises:
        InvalidInputError: less than `least`, or too much.
    """
    if not least <= value <= MAX_INT:
        raise InvalidInputError(f"{name} must be {least} to {MAX_INT}: {value!r}")
    return value


def check_line(name: str, value: str) -> str:
    """Return a setting that is one line of printable text.

    Raises:
        InvalidInputError: control characters.
    """
    if not value.isprintable():
        raise InvalidInputError(f"{name} must be printable text: {value!r}")
    return value


def check_listen(name: str, value: str) -> str:
    """Return a listening address.

    Raises:
        InvalidInputError: not `HOST:PORT` or `DEVICE:PORT`.
    """
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > MAX_PORT or "," in value:
        raise InvalidInputError(f"{name} must be HOST:PORT or DEVICE:PORT: {value!r}")
    return check_line(name, value)


def check_disk_backend(name: str) -> str:
    """Return the name of a disk backend.

    Raises:
        InvalidInputError: no such backend.
    """
    if name not in DISK_BACKENDS:
        known = ", ".join(DISK_BACKENDS)
        raise InvalidInputError(f"disk_backend must be one of {known}, not {name!r}")
    return name


def check_priority(priority: int) -> None:
    """Refuse what libtorrent would wrap or clamp.

    Raises:
        InvalidInputError: outside 0..7.
    """
    if not 0 <= priority <= MAX_PRIORITY:
        raise InvalidInputError(f"a file priority must be 0 to 7: {priority}")


def check_trackers(trackers: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return announce addresses in tier order, each once: libtorrent drops repeated ones.

    Raises:
        InvalidInputError: no URL of a tracker, a tier outside 0..255, or too many.
    """
    if len(trackers) > MAX_TRACKERS:
        raise InvalidInputError(f"{len(trackers)} trackers are more than {MAX_TRACKERS}")
    chosen: dict[str, int] = {}
    for url, tier in sorted(trackers, key=lambda tracker: tracker[1]):
        _check_url(url, _TRACKER_SCHEMES, "a tracker")
        if not 0 <= tier <= MAX_TIER:
            raise InvalidInputError(f"a tracker's tier must be 0 to {MAX_TIER}: {tier}")
        chosen.setdefault(url, tier)
    return list(chosen.items())


def check_web_seeds(urls: Sequence[str]) -> list[str]:
    """Return HTTP sources, each once.

    Raises:
        InvalidInputError: no HTTP URL, or too many.
    """
    if len(urls) > MAX_WEB_SEEDS:
        raise InvalidInputError(f"{len(urls)} web seeds are more than {MAX_WEB_SEEDS}")
    for url in urls:
        _check_url(url, _WEB_SEED_SCHEMES, "a web seed")
    return list(dict.fromkeys(urls))


def _check_url(url: str, schemes: frozenset[str], what: str) -> None:
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in schemes and bool(parts.hostname)
        _ = parts.port  # raises when it is none
        url.encode()
    except ValueError:
        is_sound = False
    if not is_sound or len(url) > MAX_URL_CHARACTERS or not url.isprintable() or " " in url:
        known = ", ".join(sorted(schemes))
        raise InvalidInputError(f"{what} must be a URL of {known}: {redacted(url)}")


def _check_utf8(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise PathRefusedError(f"the path must be UTF-8: {path!r}") from error
