"""Addresses without the keys in them by which trackers know their members. Pure."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from revaer.domain.plain_text import escaped

_URL: Final = re.compile(r"\b(?:https?|udp|wss?)://\S+", re.IGNORECASE)
_MAGNET: Final = re.compile(r"\bmagnet:\?\S*", re.IGNORECASE)
_TOPIC: Final = re.compile(r"\bxt=urn:\w+:\w+", re.IGNORECASE)
_SEPARATORS: Final = re.compile(r"[/?&=:#@]")
_SHORTEST_SECRET: Final = 8
_NO_SECRETS: Final = frozenset({"announce", "announce.php"})


def redacted(url: str) -> str:
    """An address without what may be secret in it: passkeys stand in path, query and user name.

    `https://tracker.example:443/a1b2c3/announce` becomes `https://tracker.example:443/…`.
    """
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        return "an address that cannot be read"
    host = "".join(char for char in host if char.isprintable())
    if not parts.scheme or not host:
        return "an address that cannot be read"
    shown = f"[{host}]" if ":" in host else host
    where = f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")
    return f"{where}/…" if parts.path not in {"", "/"} or parts.query else where


def without_addresses(text: str) -> str:
    """A text whose URLs are redacted, and whose magnet links keep the hashes alone: for logs."""
    return _URL.sub(lambda match: redacted(match[0]), _MAGNET.sub(_topics, text))


def without_secrets(text: str, urls: Iterable[str] = ()) -> str:
    """A tracker's own words without the passkeys that it may repeat, and harmless on a screen.

    Args:
        text: what the tracker said.
        urls: the announce addresses whose parts may be secret.
    """
    text = without_addresses(text)
    for url in urls:
        shown = redacted(url)
        for part in _SEPARATORS.split(url):
            if len(part) >= _SHORTEST_SECRET and part not in shown and part not in _NO_SECRETS:
                text = text.replace(part, "…")
    return escaped(text)


def _topics(link: re.Match[str]) -> str:
    return "magnet:?" + "&".join([*_TOPIC.findall(link[0]), "…"])
