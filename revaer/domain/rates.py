"""Sizes, rates and durations as people write and read them."""

import re
from decimal import Decimal
from typing import Final

from revaer.domain.errors import InvalidInputError
from revaer.domain.ids import UNLIMITED, BytesPerSecond

MAX_SIZE_BYTES: Final = 2**63 - 1
"""The largest file offset there is."""

MAX_RATE: Final = BytesPerSecond(2**31 - 1)
"""The largest limit that libtorrent takes: its rate settings are 32 bit."""

FOREVER_S: Final = 100 * 86_400
"""From here on a duration is shown as endless; what qBittorrent's `eta` says too (8640000)."""

_MAX_TEXT: Final = 64
_POWERS: Final[dict[str, int]] = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_SHARP: Final = 10  # below this a unit shows two digits after the point, else one

_NUMBER: Final = r"(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_UNIT: Final = r"(?:(?P<prefix>[KMGTP])(?P<binary>i?))?(?P<unit>bits?|bytes?|b)?"
_SIZE: Final = re.compile(rf"{_NUMBER}\s*{_UNIT}", re.IGNORECASE | re.ASCII)
_RATE: Final = re.compile(
    rf"{_NUMBER}\s*(?:{_UNIT}(?:\s*/\s*s(?:ec)?)?|(?P<bits>[KMGT]?)bps)", re.IGNORECASE | re.ASCII
)
_BIT_LIKE: Final = re.compile(r"[KMGTP]i?b(?![a-z])")

_SIZE_FORMS: Final = "Write plain bytes (5000000), or 5 MB, 5M (x1000), 5 MiB, 5Mi (x1024)."
_RATE_FORMS: Final = (
    "Write bytes per second (5000000), 5 MB/s, 2M (x1000), 500 KiB/s (x1024), 40 Mbit/s, "
    "or 0 for unlimited."
)
_UNLIMITED_WORDS: Final = frozenset({"unlimited", "none", "off"})


def parse_size(value: str | int) -> int:
    """Read a size in bytes.

    Units are decimal (`5 MB` and `5M` are 5,000,000) unless they say otherwise (`5 MiB`, `5Mi`).
    Letter case does not matter. Fractions of a byte are cut off.

    Raises:
        InvalidInputError: names the value and the accepted forms.
    """
    return _read(value, _SIZE, "size", _SIZE_FORMS, MAX_SIZE_BYTES)


def parse_rate(value: str | int | None) -> BytesPerSecond:
    """Read a rate or a rate limit.

    As `parse_size`, with or without `/s`; `Mbit/s` and `Mbps` are bits. None, 0, `unlimited`,
    `none` and `off` all mean unlimited, which is 0.

    Raises:
        InvalidInputError: names the value and the accepted forms. Also for a rate that is not 0 but
            would become 0 (0.5 B/s), because that would lift the limit.
    """
    if value is None:
        return UNLIMITED
    if isinstance(value, str) and value.strip().lower() in _UNLIMITED_WORDS:
        return UNLIMITED
    return BytesPerSecond(_read(value, _RATE, "rate", _RATE_FORMS, MAX_RATE))


def format_size(size_bytes: int) -> str:
    """Show a size with three or four digits, in units of 1024: `512 B`, `1.50 MiB`, `23.4 GiB`."""
    if size_bytes < 0:
        return f"-{format_size(-size_bytes)}"
    if size_bytes < 1024:  # noqa: PLR2004 the unit itself
        return f"{size_bytes} B"
    value = float(size_bytes)
    for unit in _BINARY:
        digits = 2 if round(value, 2) < _SHARP else 1
        if round(value, digits) < 1024 or unit == _BINARY[-1]:  # noqa: PLR2004 the unit itself
            return f"{value:.{digits}f} {unit}"
        value /= 1024
    raise AssertionError


def format_rate(rate: int) -> str:
    """Show a measured rate: `0 B/s`, `1.50 MiB/s`."""
    return f"{format_size(rate)}/s"


def format_limit(limit: int) -> str:
    """Show a rate limit, of which 0 (and less) means `unlimited`."""
    return format_rate(limit) if limit > 0 else "unlimited"


def format_duration(duration_s: float | None) -> str:
    """Show a duration by its two largest units: `45s`, `3m 20s`, `2h 05m`, `4d 03h`.

    None, and anything from 100 days up, is endless: `∞`.
    """
    if duration_s is None or not duration_s < FOREVER_S:  # also what is not a number
        return "∞"
    seconds = max(0, int(duration_s))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    if minutes:
        return f"{minutes}m {seconds:02}s"
    return f"{seconds}s"


def _read(value: str | int, form: re.Pattern[str], what: str, forms: str, largest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidInputError(f"{value!r} is not a {what}. {forms}")
    if isinstance(value, int):
        shown, exact = (str(value) if abs(value) <= MAX_SIZE_BYTES else "It"), Decimal(value)
        if value < 0:
            raise InvalidInputError(f"{shown} is below 0, which no {what} is. {forms}")
    else:
        shown = repr(value if len(value) <= _MAX_TEXT else f"{value[:_MAX_TEXT]}...")
        match = form.fullmatch(value.strip()) if len(value) <= _MAX_TEXT else None
        if match is None:
            raise InvalidInputError(f"{shown} is not a {what}. {forms}")
        if _BIT_LIKE.search(value):
            raise InvalidInputError(
                f"{shown} may mean bits or bytes. Write `B` for bytes, `bit` for bits. {forms}"
            )
        exact = _exact(match)
    if 0 < exact < 1:
        raise InvalidInputError(f"{shown} is less than one byte. {forms}")
    if exact > largest:
        raise InvalidInputError(f"{shown} is above the largest {what}, {largest} bytes. {forms}")
    return int(exact)


def _exact(match: re.Match[str]) -> Decimal:
    """Bytes, before fractions are cut off."""
    groups = match.groupdict()
    prefix = (groups.get("bits") or groups["prefix"] or "").lower()
    base = 1024 if groups["binary"] else 1000
    exact = Decimal(groups["number"]) * Decimal(base ** _POWERS[prefix])
    is_bits = groups.get("bits") is not None or (groups["unit"] or "").lower().startswith("bit")
    return exact / 8 if is_bits else exact
