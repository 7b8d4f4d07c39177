"""Who is behind a name right now. Names outlive the actors that answer to them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from actors.deadletters import DeadLetters
from actors.errors import DeadlockError, PooledActorMayNotAskError, text_of
from actors.lifecycle import ChildState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.lifecycle import Cause
    from actors.mailbox import MailboxStats
    from actors.reply import Answer
    from actors.timers import Clock


class Letter:
    """A message in a mailbox, with the place for its answer if it is an ask."""

    __slots__ = ("message", "reply")

    def __init__(self, message: object, reply: Answer | None = None) -> None:
        """Put a message in an envelope."""
        self.message = message
        self.reply = reply


class Meter(Protocol):
    """What can be read about a running instance without asking it. Each read is one attribute."""

    kind: str
    handled: int
    failed: int
    last_latency_s: float | None
    busy_since: float | None
    last_activity: float

    @property
    def ending(self) -> bool:
        """Whether it takes no further message."""

    @property
    def mailbox_stats(self) -> MailboxStats:
        """Counters of its mailbox."""


class Incarnation(Meter, Protocol):
    """One generation of an actor, as names see it."""

    path: str
    directory: Directory
    may_wait: bool
    given_up: bool
    waiting_on: str | None

    def post(self, letter: Letter) -> None:
        """Queue for its handler; raises MailboxFull or MailboxClosed."""

    def signal(self, message: object) -> bool:
        """Queue in the system lane; False when it takes no more."""


class LastError:
    """What a child died of last, and how often it has died.

    The error has lost its traceback, which would keep the dead instance in memory.
    """

    __slots__ = ("at", "cause", "count", "error", "message", "type_name")

    def __init__(self, cause: Cause, error: BaseException | None, at: float, count: int) -> None:
        """Note an error.

        Args:
            cause: how the child ended.
            error: what was raised, if anything was.
            at: when, on the system's clock.
            count: deaths so far, this one included.
        """
        self.cause = cause
        self.error = error
        self.type_name = type(error).__name__ if error is not None else cause.value
        self.message = text_of(error)
        self.at = at
        self.count = count


class Slot:
    """A name, and all that is known of who answers to it. Written by its supervisor's thread.

    `target` takes messages and is there only while the child runs. `current` is the instance in
    any state of life.
    """

    __slots__ = (
        "abandoned",
        "abandoned_total",
        "attempt",
        "children",
        "current",
        "generation",
        "last_error",
        "lost",
        "parent",
        "path",
        "permanent",
        "restarts",
        "retry_at",
        "since",
        "state",
        "target",
    )

    def __init__(self, path: str, parent: Slot | None, now: float) -> None:
        """Name somebody who does not exist yet."""
        self.path = path
        self.parent = parent
        self.permanent = True
        # Of a supervisor with a fixed list; known also while it is down.
        self.children: tuple[Slot, ...] = ()
        self.target: Incarnation | None = None
        self.current: Incarnation | None = None
        self.state = ChildState.ABSENT
        self.since = now
        self.generation = 0
        self.restarts = 0
        self.attempt = 0
        self.retry_at: float | None = None
        self.last_error: LastError | None = None
        self.abandoned = 0
        self.abandoned_total = 0
        self.lost = 0

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]

    @property
    def shown_state(self) -> str:
        """The state, or `exiting` when the instance has ended and its supervisor not yet acted."""
        if self.state is ChildState.RUNNING and self.target is None:
            return "exiting"
        return self.state.value


class Directory:
    """All names of one system."""

    def __init__(self, clock: Clock) -> None:
        """Start without names."""
        self.clock = clock
        self.dead_letters = DeadLetters(clock)
        self._slots: dict[str, Slot] = {}
        self._stuck: list[str] = []
        self._lock = threading.Lock()

    def find(self, path: str) -> Slot | None:
        """The name's slot, if it is known."""
        return self._slots.get(path)

    def enter(self, path: str, parent: Slot | None) -> Slot:
        """The name's slot; a new one when it was not known."""
        with self._lock:
            slot = self._slots.get(path)
            if slot is None:
                slot = self._slots[path] = Slot(path, parent, self.clock())
            return slot

    def forget(self, path: str) -> None:
        """Free a name; whoever sends to it then is told that nobody is there."""
        with self._lock:
            self._slots.pop(path, None)

    def publish(self, slot: Slot, life: Incarnation) -> None:
        """Let messages reach this instance, unless it was given up meanwhile."""
        with self._lock:
            if slot.current is life and not life.ending:
                slot.target = life

    def withdraw(self, slot: Slot, life: Incarnation) -> None:
        """Let no further message reach this instance. Does nothing to any other."""
        with self._lock:
            if slot.target is life:
                slot.target = None

    def abandoned(self, slot: Slot, change: int) -> None:
        """Count a given-up instance that is stuck (1), or one that ended after all (-1)."""
        with self._lock:
            slot.abandoned += change
            slot.abandoned_total += max(0, change)
            if change > 0:
                self._stuck.append(slot.path)
            else:
                self._stuck.remove(slot.path)

    @property
    def stuck(self) -> tuple[str, ...]:
        """Paths of given-up instances that still hold a thread."""
        with self._lock:
            return tuple(self._stuck)

    def lost(self, path: str, message: object, state: str) -> None:
        """Count a dead letter."""
        slot = self._slots.get(path)
        if slot is not None:
            slot.lost += 1
        self.dead_letters.lost(path, message, state)

    @contextmanager
    def waiting(self, path: str) -> Iterator[None]:
        """Mark the current actor as waiting for `path`, if an actor is what runs here.

        Raises:
            DeadlockError: `path` waits for the current actor, directly or through others.
            PooledActorMayNotAskError: the current actor shares its thread.
        """
        waiter = current_actor()
        if waiter is None:
            yield
            return
        if not waiter.may_wait:
            raise PooledActorMayNotAskError(
                f"{waiter.path} shares its thread and may not wait for {path}; "
                "tell it, and let it tell back"
            )
        with self._lock:
            self._refuse_a_circle(waiter, path)
            before, waiter.waiting_on = waiter.waiting_on, path
        try:
            yield
        finally:
            waiter.waiting_on = before

    def _refuse_a_circle(self, waiter: Incarnation, path: str) -> None:
        chain = [waiter.path]
        at: str | None = path
        while at is not None and len(chain) <= len(self._slots) + 1:
            chain.append(at)
            slot = self._slots.get(at)
            life = slot.current if slot is not None else None
            if life is waiter:
                raise DeadlockError(
                    f"this ask would wait for itself: {' -> '.join(chain)}; tell instead of ask"
                )
            at = life.waiting_on if life is not None else None


_running = threading.local()


def current_actor() -> Incarnation | None:
    """The actor whose code runs in this thread; None outside of actors."""
    return getattr(_running, "actor", None)


class ActingAs:
    """Marks this thread as running an actor's code, for the length of a `with` block.

    A class and not a generator: pooled actors pass here with every turn.
    """

    __slots__ = ("_before", "_life")

    def __init__(self, life: Incarnation) -> None:
        """Nothing is marked before the block is entered."""
        self._life = life
        self._before: Incarnation | None = None

    def __enter__(self) -> None:
        """Mark, and remember what was marked before."""
        self._before = current_actor()
        _running.actor = self._life

    def __exit__(self, *_raised: object) -> None:
        """Mark what was marked before."""
        _running.actor = self._before
