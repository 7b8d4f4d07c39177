"""When a torrent has been shared enough, and what happens to it then.

The rules are qBittorrent's, because the programs that watch a client rely on them: a limit of a
torrent comes before the one of its category, and that before the global one, each limit for itself;
reaching any one of the three is enough; a limit of 0 is reached as soon as the torrent is complete;
a torrent that was force started is past all limits. Times are whole seconds here, minutes there.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from revaer.domain.errors import InvalidInputError
from revaer.domain.ids import NEVER
from revaer.domain.torrent import (
    NO_LIMIT,
    USE_GLOBAL_LIMIT,
    USE_GLOBAL_RATIO,
    Phase,
    ShareLimitAction,
    TorrentRecord,
    TorrentSpec,
    TorrentState,
    TorrentStatus,
)

HIGHEST_RATIO: Final = 9_999.0
"""As far as ratios are shown; a higher limit could never be seen to be reached."""

LONGEST_SEEDING_S: Final = 100 * 365 * 86_400
LOST_COUNTERS: Final = 0.01
"""Below this part of what a torrent has, its download counter says nothing of how it got there."""

_FOLLOWING: Final = frozenset({NO_LIMIT, USE_GLOBAL_LIMIT})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareLimits:
    """One level's limits: of everything, of a category, or of a torrent.

    Attributes:
        ratio: -2 ask the level above, -1 none, else uploaded / downloaded.
        seeding_time_s: -2 and -1 as above, else seconds of seeding.
        inactive_seeding_time_s: -2 and -1 as above, else seconds of seeding without an upload.
        action: DEFAULT asks the level above; the topmost DEFAULT stops.
    """

    ratio: float = USE_GLOBAL_RATIO
    seeding_time_s: int = USE_GLOBAL_LIMIT
    inactive_seeding_time_s: int = USE_GLOBAL_LIMIT
    action: ShareLimitAction = ShareLimitAction.DEFAULT


UNLIMITED_SHARING = ShareLimits(
    ratio=NO_LIMIT, seeding_time_s=NO_LIMIT, inactive_seeding_time_s=NO_LIMIT
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareLimitPolicy:
    """The limits of torrents that have none of their own.

    Attributes:
        everything: the global limits.
        categories: by category name; a category that is missing follows the global ones.
    """

    everything: ShareLimits = UNLIMITED_SHARING
    categories: Mapping[str, ShareLimits] = field(default_factory=dict)


class ShareLimit(StrEnum):
    """The three limits, in the order in which they are looked at."""

    RATIO = "ratio"
    SEEDING_TIME = "seeding_time"
    INACTIVE_SEEDING_TIME = "inactive_seeding_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How much a torrent was shared, at one moment.

    Attributes:
        uploaded_bytes: payload sent, all sessions.
        base_bytes: what the ratio divides by, see `sharing_of`.
        seeding_s: seconds of running with all that was wanted.
        inactive_s: seconds of it since the last upload; never more than `seeding_s`.
    """

    uploaded_bytes: int
    base_bytes: int
    seeding_s: float
    inactive_s: float

    @property
    def ratio(self) -> float:
        """Uploaded bytes by base bytes; 0 when both are 0, infinite when only the base is."""
        if self.base_bytes == 0:
            return math.inf if self.uploaded_bytes else 0.0
        return self.uploaded_bytes / self.base_bytes


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A torrent was shared enough.

    Attributes:
        limit: which of the three.
        value: what it has: a ratio, or seconds.
        bound: what it was allowed.
    """

    limit: ShareLimit
    value: float
    bound: float


@dataclass(frozen=True, slots=True)
class NextLook:
    """When a torrent can have been shared enough at the earliest.

    Attributes:
        within_s: seconds of seeding until one of the clocks can get there; 0 when it is shared
            enough now, infinite when none counts.
        at_uploaded_bytes: the upload counter that reaches the ratio; infinite without such a limit.
    """

    within_s: float
    at_uploaded_bytes: float


def check_share_limits(limits: ShareLimits, *, of: str) -> None:
    """Refuse what is no limit before it is stored or followed.

    Args:
        limits: one level's.
        of: what they are to hold for, in the words of the refusal.

    Raises:
        InvalidInputError: a value that is neither -2, -1 nor a limit that can be reached.
    """
    otherwise = f"{NO_LIMIT} for none, or {USE_GLOBAL_LIMIT} for that of the category or of all"
    if limits.ratio not in _FOLLOWING and not 0 <= limits.ratio <= HIGHEST_RATIO:
        raise InvalidInputError(
            f"the ratio limit of {of} is {limits.ratio}; give 0 to {HIGHEST_RATIO:.0f}, {otherwise}"
        )
    for name, limit_s in (
        ("seeding time", limits.seeding_time_s),
        ("inactive seeding time", limits.inactive_seeding_time_s),
    ):
        if limit_s not in _FOLLOWING and not 0 <= limit_s <= LONGEST_SEEDING_S:
            raise InvalidInputError(
                f"the {name} limit of {of} is {limit_s} s; give 0 to {LONGEST_SEEDING_S}, "
                f"{otherwise}"
            )


def limits_of(spec: TorrentSpec, policy: ShareLimitPolicy) -> ShareLimits:
    """The limits in force: no -2 and no DEFAULT is left, and every limit that is none is -1."""
    levels = [
        ShareLimits(
            ratio=spec.ratio_limit,
            seeding_time_s=spec.seeding_time_limit_s,
            inactive_seeding_time_s=spec.inactive_seeding_time_limit_s,
            action=spec.share_limit_action,
        )
    ]
    category = policy.categories.get(spec.category) if spec.category else None
    if category is not None:
        levels.append(category)
    levels.append(policy.everything)
    ratio = next((one.ratio for one in levels if one.ratio != USE_GLOBAL_RATIO), NO_LIMIT)
    actions = (one.action for one in levels if one.action is not ShareLimitAction.DEFAULT)
    return ShareLimits(
        # no comparison with what is not a number holds, so that it would be no limit unnoticed
        ratio=ratio if 0 <= ratio < math.inf else NO_LIMIT,
        seeding_time_s=_seconds(one.seeding_time_s for one in levels),
        inactive_seeding_time_s=_seconds(one.inactive_seeding_time_s for one in levels),
        action=next(actions, ShareLimitAction.STOP),
    )


def is_limited(limits: ShareLimits) -> bool:
    """Whether limits in force can ever be reached."""
    return limits.ratio >= 0 or limits.seeding_time_s >= 0 or limits.inactive_seeding_time_s >= 0


def can_reach_a_limit(record: TorrentRecord) -> bool:
    """Whether a torrent's sharing counts: it is complete on disk and meant to run.

    One that waits in the engine's queue for its turn to seed counts as qBittorrent counts it: it
    may have reached its ratio before, and a limit of 0 means as soon as it is complete. One in
    trouble does not count: `completed` must not hide that its files are gone. One that is moving
    is left in peace until its files have arrived. A forced one is never ended.
    """
    spec = record.spec
    return (
        record.state in (TorrentState.SEEDING, TorrentState.QUEUED)
        and record.is_verified
        and not spec.force_start
        and not spec.moving_to
        and record.phase is not Phase.MOVING
    )


def sharing_of(status: TorrentStatus, *, now: float, seeding_s: float | None = None) -> Sharing:
    """Read a report as how much its torrent was shared.

    The ratio divides by what was downloaded. A torrent that was seeded from files it never
    downloaded, or that lost its counters, divides by the bytes it has: it counts as such when it
    downloaded less than 1 % of those. (qBittorrent's `TorrentImpl::realRatio` does the same.)

    A torrent that never uploaded is inactive since it began to seed. Otherwise the time since the
    last upload counts, also the part of it in which the torrent stood still or Revaer was off, as
    in qBittorrent; but never more than the torrent has seeded, so that one that has just finished
    is not inactive already.

    Args:
        status: the engine's report.
        now: epoch seconds.
        seeding_s: seconds of seeding until now, for a report that was not made just now.
    """
    seeding = float(status.finished_s) if seeding_s is None else seeding_s
    base = status.downloaded_bytes
    if base < status.done_bytes * LOST_COUNTERS:
        base = status.done_bytes
    inactive = seeding
    if status.last_upload_at != NEVER:
        inactive = min(seeding, max(0.0, now - status.last_upload_at))
    return Sharing(
        uploaded_bytes=status.uploaded_bytes,
        base_bytes=base,
        seeding_s=seeding,
        inactive_s=inactive,
    )


def limit_reached(limits: ShareLimits, sharing: Sharing) -> LimitReached | None:
    """The first limit that is reached, or None.

    Args:
        limits: those in force, see `limits_of`.
        sharing: what the torrent has done.
    """
    if sharing.uploaded_bytes >= _enough_bytes(limits, sharing):
        return LimitReached(ShareLimit.RATIO, sharing.ratio, limits.ratio)
    if 0 <= limits.seeding_time_s <= sharing.seeding_s:
        return LimitReached(ShareLimit.SEEDING_TIME, sharing.seeding_s, limits.seeding_time_s)
    if 0 <= limits.inactive_seeding_time_s <= sharing.inactive_s:
        return LimitReached(
            ShareLimit.INACTIVE_SEEDING_TIME, sharing.inactive_s, limits.inactive_seeding_time_s
        )
    return None


def next_look(limits: ShareLimits, sharing: Sharing) -> NextLook:
    """When to look again: earlier, no limit can be reached.

    An upload can only put the inactive limit off, and what the ratio divides by stays the same
    while a torrent seeds, so nothing else needs to wake whoever waits.

    Args:
        limits: those in force, see `limits_of`.
        sharing: what the torrent has done.
    """
    enough = _enough_bytes(limits, sharing)
    if limit_reached(limits, sharing) is not None:
        return NextLook(0.0, enough)
    waits = [math.inf]
    if limits.seeding_time_s >= 0:
        waits.append(limits.seeding_time_s - sharing.seeding_s)
    if limits.inactive_seeding_time_s >= 0:
        waits.append(limits.inactive_seeding_time_s - sharing.inactive_s)
    return NextLook(min(waits), enough)


def _enough_bytes(limits: ShareLimits, sharing: Sharing) -> float:
    """The upload counter that reaches the ratio; a whole number, or infinite."""
    if limits.ratio < 0:
        return math.inf
    if sharing.base_bytes == 0:  # its ratio jumps from 0 to infinite
        return 0 if limits.ratio == 0 else 1
    product = limits.ratio * sharing.base_bytes
    return math.ceil(product) if product < math.inf else math.inf


def _seconds(levels: Iterable[int]) -> int:
    found = next((limit for limit in levels if limit != USE_GLOBAL_LIMIT), NO_LIMIT)
    return max(found, NO_LIMIT)
