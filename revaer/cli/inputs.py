"""What the user typed for `revaer download`, turned into values before anything is touched."""

import errno
import socket
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from revaer.adapters.sources import ReadSource, read_source
from revaer.domain.errors import InvalidInputError
from revaer.domain.ids import BytesPerSecond
from revaer.domain.rates import parse_rate

MAX_SOURCES: Final = 1000
_MAX_PORT: Final = 65_535
_SHOWN_LENGTH: Final = 120


def read_sources(texts: Sequence[str]) -> tuple[ReadSource, ...]:
    """Read every source, or none.

    Raises:
        InvalidInputError: too many, or the first that cannot be read; named, with the remedy.
    """
    if len(texts) > MAX_SOURCES:
        raise InvalidInputError(
            f"{len(texts)} sources are more than {MAX_SOURCES}; give fewer in one command"
        )
    return tuple(read_source(text) for text in texts)


def read_limit(option: str, text: str | None) -> BytesPerSecond:
    """Read a rate limit; None is unlimited, which is 0.

    Raises:
        InvalidInputError: names the option, the value and the accepted forms.
    """
    try:
        return parse_rate(text)
    except InvalidInputError as error:
        raise type(error)(f"{option}: {error}") from error


def split_endpoint(option: str, text: str, *, lowest_port: int) -> tuple[str, int]:
    """Split `HOST:PORT`, with brackets around an IPv6 address.

    Raises:
        InvalidInputError: names the option, the text and the form.
    """
    host, colon, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if not colon or not bare or any(char in bare for char in "[]/ "):
        raise InvalidInputError(f"{option}: {_shown(text)} is not HOST:PORT, as in 192.0.2.7:6881")
    if ":" in bare and not bracketed:
        raise InvalidInputError(
            f"{option}: write the IPv6 address of {_shown(text)} in brackets, as in [::1]:6881"
        )
    if not (port.isascii() and port.isdigit() and lowest_port <= int(port[:6]) <= _MAX_PORT):
        raise InvalidInputError(
            f"{option}: {_shown(port)} in {_shown(text)} is not a port; give {lowest_port} to "
            f"{_MAX_PORT}"
        )
    return bare, int(port)


def read_peers(texts: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Turn `HOST:PORT` peers into addresses, resolving names; every address of a name is one.

    Raises:
        InvalidInputError: not of that form, or a name without an address.
    """
    peers: dict[tuple[str, int], None] = {}
    for text in texts:
        host, port = split_endpoint("--peer", text, lowest_port=1)
        for address in _addresses("--peer", host):
            peers[address, port] = None
    return tuple(peers)


def read_listen(text: str | None) -> str:
    """Check where peers are to be accepted, as far as that is possible from outside the engine.

    Returns:
        `address:port` or `device:port` in the engine's form; empty when nothing was asked.

    Raises:
        InvalidInputError: not of that form, not an address of this machine, or in use.
    """
    if text is None:
        return ""
    host, port = split_endpoint("--listen", text, lowest_port=0)
    if host in _devices():
        return f"{host}:{port}"
    address = _addresses("--listen", host)[0]
    _try_bind("--listen", address, port)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def read_interface(text: str | None) -> str:
    """Check that a device or address for all traffic is there; empty when nothing was asked.

    Raises:
        InvalidInputError: neither a device nor an address of this machine.
    """
    if text is None:
        return ""
    name = text.strip()
    if name in _devices():
        return name
    if not _is_address(name):
        raise InvalidInputError(
            f"--interface: there is no network device {_shown(text)}; there are "
            f"{', '.join(_devices())}"
        )
    _try_bind("--interface", name, 0)
    return name


def _devices() -> tuple[str, ...]:
    return tuple(name for _, name in socket.if_nameindex())


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _addresses(option: str, host: str) -> tuple[str, ...]:
    if _is_address(host):
        return (host,)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a host name"
        raise InvalidInputError(
            f"{option}: the host {_shown(host)} has no address ({why}); check its spelling or "
            "give its IP address"
        ) from error
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _try_bind(option: str, address: str, port: int) -> None:
    """Ask the system before the engine does: libtorrent can be deaf without a word."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the engine does; without it a port that was in use a minute ago counts as in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise InvalidInputError(
                f"{option}: cannot accept peers on {address} port {port}: {_why(error)}"
            ) from error


def _why(error: OSError) -> str:
    remedies = {
        errno.EADDRINUSE: "the port is in use; choose another, or 0 for any",
        errno.EADDRNOTAVAIL: "this machine does not have that address; choose one that it has",
        errno.EACCES: "ports below 1024 need privileges; choose a higher one",
    }
    return remedies.get(error.errno or 0, error.strerror or str(error))


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}..."


def resolve_output(text: str) -> str:
    """The output directory as an absolute path; `~` is a shell's business.

    Raises:
        InvalidInputError: no path at all, or a `~` that no shell replaced.
    """
    if not text.strip() or "\0" in text:
        raise InvalidInputError("--output: the path is empty or no path; name a directory")
    if text == "~" or text.startswith("~/"):
        raise InvalidInputError(
            f"--output: {_shown(text)} starts with `~`, which only a shell understands; write the "
            "home directory out"
        )
    return str(Path(text).absolute())
