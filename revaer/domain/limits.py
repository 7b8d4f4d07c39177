"""Rate limits of the session as a whole: which hold now, and which are most often a mistake.

A limit is bytes per second of payload, and 0 means unlimited, as everywhere in Revaer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from revaer.domain.errors import InvalidInputError
from revaer.domain.ids import UNLIMITED, BytesPerSecond

MAX_LIMIT: Final = BytesPerSecond(2**31 - 1)
"""libtorrent keeps limits in 32 bits: 2**40 would silently become 0, which means unlimited."""

HIGH_LIMIT: Final = BytesPerSecond(5_000_000_000 // 8)
"""5 Gbit/s: a limit above it limits hardly any line, and is most often a wrong unit."""


class GuardRail(StrEnum):
    """Why a session-wide limit deserves a look.

    `ZERO` and `OFF` both end with no limit at all. It is `ZERO` when a command gave the number 0,
    which some programs mean as "nothing may pass"; it is `OFF` when nobody gave a number: the limit
    went because the other set of limits was switched to, or because new settings name none.
    """

    OFF = "off"
    ZERO = "zero"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Rates:
    """One limit for each direction; 0 means unlimited."""

    download: BytesPerSecond = UNLIMITED
    upload: BytesPerSecond = UNLIMITED


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """The usual and the alternative limits, and which of them hold.

    Raises:
        InvalidInputError: a limit that is no whole number from 0 to `MAX_LIMIT`.
    """

    download: BytesPerSecond = UNLIMITED
    upload: BytesPerSecond = UNLIMITED
    alternative_download: BytesPerSecond = UNLIMITED
    alternative_upload: BytesPerSecond = UNLIMITED
    use_alternative: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_limit("download limit", self.download)
        check_limit("upload limit", self.upload)
        check_limit("alternative download limit", self.alternative_download)
        check_limit("alternative upload limit", self.alternative_upload)

    @property
    def effective(self) -> Rates:
        """What holds now."""
        if self.use_alternative:
            return Rates(self.alternative_download, self.alternative_upload)
        return Rates(self.download, self.upload)


@dataclass(frozen=True, slots=True)
class Warned:
    """A guard rail that was just crossed.

    Attributes:
        direction: `download` or `upload`.
        reason: why.
        limit: what holds now; 0 when nothing does.
    """

    direction: str
    reason: GuardRail
    limit: BytesPerSecond


def guard_rails(before: Rates, after: Rates, *, is_given: bool) -> tuple[Warned, ...]:
    """Say which limits became doubtful with a change; one that was so before stays silent.

    Args:
        before: what held.
        after: what holds now.
        is_given: whether a command gave these very numbers, so that a 0 is somebody's 0.
    """

    def crossed() -> Iterator[Warned]:
        for direction, old, new in (
            ("download", before.download, after.download),
            ("upload", before.upload, after.upload),
        ):
            reason = _doubt(new, is_given=is_given)
            if reason is not None and _doubt(old, is_given=is_given) is not reason:
                yield Warned(direction, reason, new)

    return tuple(crossed())


def check_limit(name: str, value: BytesPerSecond) -> None:
    """Refuse what the engine would take for another limit.

    Raises:
        InvalidInputError: no whole number, negative, or past `MAX_LIMIT`.
    """
    # From a library's caller anything may come, and True would be one byte per second.
    if type(value) is not int or not 0 <= value <= MAX_LIMIT:
        raise InvalidInputError(
            f"the {name} must be a whole number of bytes per second from 0 (unlimited) to "
            f"{MAX_LIMIT}: {value!r}"
        )


def _doubt(limit: BytesPerSecond, *, is_given: bool) -> GuardRail | None:
    if limit == UNLIMITED:
        return GuardRail.ZERO if is_given else GuardRail.OFF
    return GuardRail.HIGH if limit > HIGH_LIMIT else None
