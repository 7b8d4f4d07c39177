"""What the restart core is told and what it answers: events, commands, states. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.spec import ChildSpec


class Cause(StrEnum):
    """Why a child ended, or was ended."""

    NORMAL = "normal"
    """Its work was done."""
    SHUTDOWN = "shutdown"
    """It was told to stop."""
    CRASH = "crash"
    """An error nobody expected."""
    START_FAILED = "start_failed"
    """Its factory or its start raised."""
    START_TIMEOUT = "start_timeout"
    """Its start took longer than `start_timeout_s`."""
    HANG = "hang"
    """Busy longer than `hang_after_s`; from a supervisor: one of its children was, fatally."""
    ESCALATED = "escalated"
    """A supervisor that had spent its restart budget."""
    GROUP = "group"
    """A sibling died and the strategy restarts this one along with it."""
    OPERATOR = "operator"
    """An operator asked for it."""


NORMAL_ENDS = frozenset({Cause.NORMAL, Cause.SHUTDOWN})
"""Ends after which a transient child stays stopped."""


class ChildState(StrEnum):
    """Where a child is in its life."""

    ABSENT = "absent"
    """Not started yet; its turn comes."""
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    BACKING_OFF = "backing_off"
    """Ended, will start again: after a delay, or when siblings are out of the way."""
    STOPPED = "stopped"
    """Ended by design, stays so."""
    FAILED = "failed"
    """Spent its budget; starts again only by `retry_failed_s` or an operator, if at all."""


LIVE = frozenset({ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING})
"""States in which an instance of the child exists."""


class TimerKind(StrEnum):
    """What a timer of the core is for."""

    START = "start"
    SHUTDOWN = "shutdown"
    BACKOFF = "backoff"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Timer:
    """Names one timer: a child has at most one, and each name is armed at most once."""

    kind: TimerKind
    name: str
    generation: int


# --- events ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Boot:
    """The supervisor runs; start the children."""


@dataclass(frozen=True, slots=True)
class Started:
    """A child's start has succeeded."""

    name: str
    generation: int


@dataclass(frozen=True, slots=True)
class Exited:
    """A child has ended, or could not be made at all."""

    name: str
    generation: int
    cause: Cause
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Hung:
    """The watchdog saw a child busy with one message for longer than `hang_after_s`."""

    name: str
    generation: int


@dataclass(frozen=True, slots=True)
class Fired:
    """A timer set by `Arm` is due."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class AddChild:
    """Dynamic supervisors only: start one more child.

    A name that is just being removed is taken over: the new child starts when the old one is gone.
    """

    spec: ChildSpec


@dataclass(frozen=True, slots=True)
class RemoveChild:
    """Dynamic supervisors only: stop a child and forget it. Unknown names are ignored."""

    name: str


@dataclass(frozen=True, slots=True)
class RestartChild:
    """An operator wants a child restarted, whatever state it is in; costs no budget."""

    name: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop all children, then be done."""


Event = Boot | Started | Exited | Hung | Fired | AddChild | RemoveChild | RestartChild | Stop


# --- commands --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launch:
    """Make and start a new instance; answer with `Started` or `Exited` of this generation."""

    name: str
    generation: int


@dataclass(frozen=True, slots=True)
class Halt:
    """Tell an instance to stop, without waiting; its end comes as `Exited`."""

    name: str
    generation: int


@dataclass(frozen=True, slots=True)
class Abandon:
    """Give an instance up: fence off its late effects, let it end by itself if it ever does."""

    name: str
    generation: int


@dataclass(frozen=True, slots=True)
class Arm:
    """Send `Fired(timer)` after `delay_s` seconds."""

    timer: Timer
    delay_s: float


@dataclass(frozen=True, slots=True)
class Disarm:
    """Cancel a timer; a late `Fired` of it does no harm."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Became:
    """A child's state has changed. Comes before the commands that act on the change.

    The shell publishes the instance in the child's address for RUNNING and clears it for every
    other state; observers are told from here.

    Attributes:
        retry_in_s: BACKING_OFF and FAILED: seconds until the next start, None when that depends
            on siblings or an operator.
        cause: what ended the child, for states that follow an end.
        error: the error that came with it.
    """

    name: str
    generation: int
    state: ChildState
    retry_in_s: float | None = None
    cause: Cause | None = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """Boot is over: every child's first start was decided. Sent at most once.

    With one_for_one a child may be backing off by then; with the ordered strategies each child
    has reached running (or has ended by design).
    """


@dataclass(frozen=True, slots=True)
class Removed:
    """A dynamic child is forgotten; its name is free."""

    name: str
    generation: int


@dataclass(frozen=True, slots=True)
class Escalate:
    """The supervisor gives up because of this child. Sent at most once, before the last stops.

    After the `Done` that follows, the supervisor ends with cause ESCALATED, or HANG if that is
    the cause here: a fatal hang is passed on through every supervisor above.
    """

    name: str
    cause: Cause
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Done:
    """All children are gone and none will start. Sent once, after `Stop` or `Escalate`."""


Command = Launch | Halt | Abandon | Arm | Disarm | Became | Ready | Removed | Escalate | Done


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStatus:
    """One child as health shows it; times are on the clock of `now`.

    Attributes:
        since: when the state began.
        restarts: starts after the first.
        attempt: deaths since it last ran for `healthy_after_s`.
        retry_at: when the backoff or the retry of a failed child is due.
        cause: of its last failure; kept while it runs again.
        error: of its last failure.
        failed_at: when that was.
        failures: how many there were.
        abandoned: instances given up.
    """

    name: str
    state: ChildState
    since: float
    generation: int
    restarts: int
    attempt: int
    retry_at: float | None
    cause: Cause | None
    error: BaseException | None
    failed_at: float | None
    failures: int
    abandoned: int
