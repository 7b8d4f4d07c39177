"""What every actor of a system shares, and what is told about them."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from actors.errors import text_of
from actors.lifecycle import Cause, ChildState

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.directory import Directory
    from actors.dispatcher import Dispatcher
    from actors.lifecycle import Became
    from actors.timers import Clock, Timers

log = logging.getLogger("actors")


@dataclass(frozen=True, slots=True)
class ChildStarted:
    """A child runs; generation 1 is its first instance."""

    path: str
    generation: int
    at: datetime


@dataclass(frozen=True, slots=True)
class ChildRestarted:
    """A child ended and will be started again. Sent when that is decided, before the delay.

    Attributes:
        path: the child.
        generation: the instance that ended.
        cause: how it ended; `group` if it only goes along with a sibling.
        error_type: class name of the error; empty if there was none.
        message: of the error.
        backoff_s: seconds until the start, apart from waiting for siblings.
        mailbox_depth: messages lost in its mailbox.
        at: when, UTC.
    """

    path: str
    generation: int
    cause: Cause
    error_type: str
    message: str
    backoff_s: float
    mailbox_depth: int
    at: datetime


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """A child spent its budget.

    Attributes:
        path: the child.
        generation: the instance that ended last.
        cause: how it ended.
        error_type: class name of the error; empty if there was none.
        message: of the error.
        retry_in_s: seconds until it is tried again; None: only an operator can.
        at: when, UTC.
    """

    path: str
    generation: int
    cause: Cause
    error_type: str
    message: str
    retry_in_s: float | None
    at: datetime


@dataclass(frozen=True, slots=True)
class ChildAbandoned:
    """An instance is stuck, was given up, and still holds a thread."""

    path: str
    generation: int
    at: datetime


@dataclass(frozen=True, slots=True)
class ChildStopped:
    """A child ended by design and stays stopped."""

    path: str
    generation: int
    cause: Cause
    at: datetime


KitEvent = ChildStarted | ChildRestarted | ChildFailed | ChildAbandoned | ChildStopped


def event_of(became: Became, path: str, mailbox_depth: int, at: datetime) -> KitEvent | None:
    """What an observer is told of a child's new state; None: nothing."""
    error_type = type(became.error).__name__ if became.error is not None else ""
    message = text_of(became.error)
    match became.state, became.cause:
        case ChildState.RUNNING, _:
            return ChildStarted(path, became.generation, at)
        case ChildState.BACKING_OFF, Cause() as cause:
            return ChildRestarted(
                path=path,
                generation=became.generation,
                cause=cause,
                error_type=error_type,
                message=message,
                backoff_s=became.retry_in_s or 0.0,
                mailbox_depth=mailbox_depth,
                at=at,
            )
        case ChildState.FAILED, Cause() as cause:
            return ChildFailed(
                path=path,
                generation=became.generation,
                cause=cause,
                error_type=error_type,
                message=message,
                retry_in_s=became.retry_in_s,
                at=at,
            )
        case ChildState.STOPPED, Cause() as cause:
            return ChildStopped(path, became.generation, cause, at)
    return None


def start_daemon_thread(target: Callable[[], None], name: str) -> None:
    """Run `target` in a new daemon thread.

    Raises:
        RuntimeError: the machine allows no further thread.
    """
    threading.Thread(target=target, name=name, daemon=True).start()


def utc_now() -> datetime:
    """The wall clock; shown to people, never used for decisions."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """The shared parts of one actor system.

    Attributes:
        clock: for every decision.
        timers: for every wait.
        dispatcher: turns for pooled actors.
        directory: names.
        spawn: starts a thread; replaced by tests that want it to fail.
        observer: told of every event, in the supervisor's thread; must not block.
        wall_clock: for events and health.
    """

    clock: Clock
    timers: Timers
    dispatcher: Dispatcher
    directory: Directory
    spawn: Callable[[Callable[[], None], str], None] = start_daemon_thread
    observer: Callable[[KitEvent], None] | None = None
    wall_clock: Callable[[], datetime] = utc_now

    def emit(self, event: KitEvent) -> None:
        """Tell the observer; its errors are logged and go no further."""
        if self.observer is None:
            return
        try:
            self.observer(event)
        except Exception:
            log.exception("observer_failed", extra={"kit_event": type(event).__name__})
