"""What a supervisor is told about a child: values only, checked when they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from actors.backoff import DEFAULT_WAIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.backoff import Wait


class Restart(StrEnum):
    """Whether a child that ended is started again (OTP's restart types)."""

    PERMANENT = "permanent"
    """Always, however it ended."""
    TRANSIENT = "transient"
    """Only after an abnormal end; a normal one means that its work is done."""
    TEMPORARY = "temporary"
    """Never."""


class Strategy(StrEnum):
    """Which siblings are restarted along with a child that died (OTP's strategies)."""

    ONE_FOR_ONE = "one_for_one"
    """None."""
    ONE_FOR_ALL = "one_for_all"
    """All of them."""
    REST_FOR_ONE = "rest_for_one"
    """Those started after it, because they may depend on it."""


class OnHang(StrEnum):
    """What to do with a child that has been busy with one message for too long."""

    REPLACE = "replace"
    """Abandon its thread, which nothing can kill, and start a new generation."""
    ESCALATE = "escalate"
    """Give up at once: a second instance beside the stuck one would do harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """How one child is made, watched and replaced.

    Attributes:
        name: unique among its siblings, no dots (paths are dotted).
        factory: makes the actor object; runs in the supervisor's thread, so it must not block.
        restart: when to start it again.
        wait: delay before restart number n, as a tenacity wait strategy.
        healthy_after_s: after running this long a death counts as the first again for `wait`.
        start_timeout_s: a start that takes longer is a failed start.
        shutdown_timeout_s: a stop that takes longer ends in abandoning the child.
        hang_after_s: busy this long with one message means hung; None means never.
        on_hang: what follows a hang.
        counts_against_limit: False keeps its deaths out of the restart limit.
        transient_errors: "a dependency is down": back off for ever, without counting.
        retry_failed_s: a child that spends its budget (or whose own supervisor spent it) is
            held as failed and tried again after this long, instead of breaking its supervisor.
            Such a child has a restart budget of its own. None: escalate.

    Raises:
        ValueError: for a name or a time that cannot work.
    """

    name: str
    factory: Callable[[], Any]
    restart: Restart = Restart.PERMANENT
    wait: Wait = DEFAULT_WAIT
    healthy_after_s: float = 60.0
    start_timeout_s: float = 30.0
    shutdown_timeout_s: float = 5.0
    hang_after_s: float | None = None
    on_hang: OnHang = OnHang.REPLACE
    counts_against_limit: bool = True
    transient_errors: tuple[type[BaseException], ...] = ()
    retry_failed_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse what could only fail later, in the middle of a restart."""
        if not self.name or "." in self.name:
            raise ValueError(f"child name {self.name!r}: give it a name without dots")
        for field, value in (
            ("healthy_after_s", self.healthy_after_s),
            ("start_timeout_s", self.start_timeout_s),
            ("shutdown_timeout_s", self.shutdown_timeout_s),
            ("hang_after_s", self.hang_after_s),
            ("retry_failed_s", self.retry_failed_s),
        ):
            if value is not None and not (value >= 0 and math.isfinite(value)):
                raise ValueError(
                    f"child {self.name!r}: {field} is {value}, give seconds from 0 upwards"
                )


@dataclass(frozen=True, slots=True)
class RestartLimit:
    """More than `max_restarts` deaths within `window_s` seconds are too many.

    A death exactly `window_s` old still counts.
    """

    max_restarts: int = 5
    window_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse limits that no number of deaths could meet."""
        if self.max_restarts < 0 or not self.window_s > 0:
            raise ValueError(f"{self}: give max_restarts from 0 and window_s above 0")
