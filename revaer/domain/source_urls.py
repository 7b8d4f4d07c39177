"""Which addresses a torrent may announce to and fetch from, and how they are shown."""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

from revaer.domain.engine_input import (
    MAX_TIER,
    MAX_TRACKERS,
    MAX_URL_CHARACTERS,
    MAX_WEB_SEEDS,
    check_trackers,
    check_web_seeds,
)
from revaer.domain.errors import ConflictError, InvalidInputError
from revaer.domain.redaction import redacted

TRACKER_SCHEMES: Final = ("http", "https", "udp", "ws", "wss")
WEB_SEED_SCHEMES: Final = ("http", "https")

Tracker = tuple[str, int]
"""An announce address and its tier."""

_PRINTABLE: Final = range(0x21, 0x7F)


def check_tracker(url: str, tier: int = 0) -> Tracker:
    """Judge an announce address; the answer is it without the space around it.

    Raises:
        InvalidInputError: names what is wrong and what to write instead.
    """
    if not 0 <= tier <= MAX_TIER:
        raise InvalidInputError(
            f"tracker {redacted(url)} was given tier {tier}; give 0 (asked first) to {MAX_TIER}"
        )
    return _checked(url, "tracker", TRACKER_SCHEMES), tier


def check_web_seed(url: str) -> str:
    """Judge an HTTP source; the answer is it without the space around it.

    Raises:
        InvalidInputError: names what is wrong and what to write instead.
    """
    return _checked(url, "web seed", WEB_SEED_SCHEMES)


def is_tracker(url: str, tier: int) -> bool:
    """Whether an engine could announce to this; sources may name anything."""
    try:
        check_trackers([(url, tier)])
    except InvalidInputError:
        return False
    return True


def is_web_seed(url: str) -> bool:
    """Whether an engine could fetch from this; sources may name anything."""
    try:
        check_web_seeds([url])
    except InvalidInputError:
        return False
    return True


def with_trackers(known: Sequence[Tracker], more: Iterable[Tracker]) -> tuple[Tracker, ...]:
    """Add announce addresses; those that are known stay as they are.

    Raises:
        InvalidInputError: one cannot be used, or there would be too many; none is added.
    """
    trackers = dict(known)
    for url, tier in (check_tracker(*each) for each in more):
        trackers.setdefault(url, tier)
    _check_count(len(trackers), len(known), MAX_TRACKERS, "trackers")
    return _in_order(trackers.items())


def without_trackers(known: Sequence[Tracker], urls: Iterable[str]) -> tuple[Tracker, ...]:
    """Take announce addresses away.

    Raises:
        ConflictError: one is not there; none is taken away.
    """
    gone = {url.strip() for url in urls}
    _refuse_unknown(gone - {url for url, _ in known}, "tracker")
    return tuple(each for each in known if each[0] not in gone)


def with_tracker_replaced(known: Sequence[Tracker], url: str, new_url: str) -> tuple[Tracker, ...]:
    """Replace one announce address, at its place and in its tier.

    Raises:
        InvalidInputError: the new one cannot be used.
        ConflictError: the old one is not there, or the new one is there already.
    """
    url = url.strip()
    new_url, _ = check_tracker(new_url)
    urls = {each for each, _ in known}
    _refuse_unknown({url} - urls, "tracker")
    if new_url != url and new_url in urls:
        raise ConflictError(
            f"the torrent announces to {redacted(new_url)} already; remove {redacted(url)} instead"
        )
    return tuple((new_url if each == url else each, tier) for each, tier in known)


def with_web_seeds(known: Sequence[str], more: Iterable[str]) -> tuple[str, ...]:
    """Add HTTP sources; those that are known stay as they are.

    Raises:
        InvalidInputError: one cannot be used, or there would be too many; none is added.
    """
    urls = tuple(dict.fromkeys([*known, *(check_web_seed(url) for url in more)]))
    _check_count(len(urls), len(known), MAX_WEB_SEEDS, "web seeds")
    return urls


def without_web_seeds(known: Sequence[str], urls: Iterable[str]) -> tuple[str, ...]:
    """Take HTTP sources away.

    Raises:
        ConflictError: one is not there; none is taken away.
    """
    gone = {url.strip() for url in urls}
    _refuse_unknown(gone - set(known), "web seed")
    return tuple(url for url in known if url not in gone)


def _checked(url: str, what: str, schemes: Sequence[str]) -> str:
    url = url.strip(" ")
    shown = redacted(url)
    if not url:
        raise InvalidInputError(f"the address of a {what} is empty; write one, or leave it out")
    if len(url) > MAX_URL_CHARACTERS:
        raise InvalidInputError(
            f"{what} {shown} has {len(url)} characters, {MAX_URL_CHARACTERS} are allowed"
        )
    if any(ord(char) not in _PRINTABLE for char in url):
        raise InvalidInputError(
            f"{what} {shown} holds a space, a control character or one that is not ASCII; write it "
            "as a URL, with such characters percent-encoded"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        # The error's own text repeats parts of the address.
        raise InvalidInputError(
            f"{what} {shown} is not a usable URL; write scheme, host and port, such as "
            "https://tracker.example:443/announce"
        ) from error
    if parts.scheme not in schemes:
        raise InvalidInputError(
            f"{what} {shown} has the scheme {parts.scheme!r}; write one of {', '.join(schemes)}"
        )
    if "@" in parts.netloc:
        raise InvalidInputError(
            f"{what} {shown} holds a user name; write it without, passkeys belong into the path"
        )
    if not host or port == 0 or (parts.scheme == "udp" and port is None):
        raise InvalidInputError(f"{what} {shown} names no host and port; write both")
    return url


def _check_count(count: int, before: int, allowed: int, what: str) -> None:
    if count > max(allowed, before):
        raise InvalidInputError(
            f"the torrent would have {count} {what}, more than the {allowed} allowed; remove some"
        )


def _refuse_unknown(unknown: set[str], what: str) -> None:
    if unknown:
        named = ", ".join(sorted(redacted(url) for url in unknown))
        raise ConflictError(
            f"the torrent has no {what} {named}; list its {what}s and write them as shown there"
        )


def _in_order(trackers: Iterable[Tracker]) -> tuple[Tracker, ...]:
    return tuple(sorted(trackers, key=lambda each: each[1]))
