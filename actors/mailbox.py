"""A mailbox that can be closed: two lanes, a bound, an overflow policy, coalescing by key.

Closing and putting are decided under one lock, so that an envelope is taken by the actor, handed
back by `close`, refused, or counted as dropped or coalesced: exactly one of these, always.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


class ReplySink(Protocol):
    """Where the answer to an ask goes."""

    def set_error(self, error: BaseException, /) -> object:
        """Answer with an error."""


class Envelope(Protocol):
    """What a mailbox carries."""

    @property
    def message(self) -> object:
        """What was sent."""

    @property
    def reply(self) -> ReplySink | None:
        """Where an answer is waited for; None for a tell."""


E = TypeVar("E", bound=Envelope)


class Overflow(StrEnum):
    """What a full mailbox does with one more envelope. It never blocks the sender."""

    REJECT = "reject"
    """Refuse it: the sender gets `MailboxFull`."""
    DROP_OLDEST = "drop_oldest"
    """Make room by dropping the oldest queued one."""
    DROP_NEWEST = "drop_newest"
    """Drop it and count it; an ask gets `MailboxFull` as its answer."""


class MailboxFull(Exception):  # noqa: N818 - names a state the sender meets, as queue.Full does
    """A mailbox at its bound refused or dropped an envelope; slow down or try again later."""


class MailboxClosed(Exception):  # noqa: N818 - as MailboxFull
    """The actor behind this mailbox takes no more messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxOptions:
    """How an actor class wants its mailbox.

    Attributes:
        capacity: most envelopes queued in the user lane, at least 1.
        overflow: what happens past it.
        key: messages with the same key (not None) replace each other while queued. Asks never
            coalesce, because each of them is owed an answer.
    """

    capacity: int = 1000
    overflow: Overflow = Overflow.REJECT
    key: Callable[[object], Hashable | None] | None = None

    def __post_init__(self) -> None:
        """Refuse a mailbox that could hold nothing."""
        if self.capacity < 1:
            raise ValueError(f"mailbox capacity is {self.capacity}, give at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxStats:
    """Counters of one mailbox; all but `capacity` and `depth` only grow.

    Attributes:
        depth: envelopes queued in the user lane now.
        high_water: the largest depth so far.
        capacity: the bound.
        dropped: envelopes that overflowed and were dropped.
        rejected: envelopes that were refused with `MailboxFull`.
        coalesced: envelopes replaced by a newer one of the same key.
    """

    depth: int
    high_water: int
    capacity: int
    dropped: int
    rejected: int
    coalesced: int


class _Slot(Generic[E]):
    """A place in the queue; coalescing changes what is in it, not where it is."""

    __slots__ = ("envelope", "key")

    def __init__(self, envelope: E, key: Hashable | None) -> None:
        self.envelope = envelope
        self.key = key


class Mailbox(Generic[E]):
    """See the module. Any thread may put, get and close."""

    def __init__(
        self,
        options: MailboxOptions | None = None,
        *,
        on_ready: Callable[[], None] | None = None,
        label: str = "mailbox",
    ) -> None:
        """Open an empty mailbox.

        Args:
            options: bound, overflow policy and key; the defaults of `MailboxOptions` if None.
            on_ready: called after each put that left something to take, in the putting thread
                and outside the lock, so that an actor without a thread of its own can be woken.
            label: named in errors; the actor's path.
        """
        self._options = options or MailboxOptions()
        self._on_ready = on_ready
        self._label = label
        self._lock = threading.Lock()
        # Made by the first `get` that has to wait: ten thousand pooled actors never need one.
        self._filled: threading.Condition | None = None
        self._system: deque[E] = deque()
        self._user: deque[_Slot[E]] = deque()
        self._by_key: dict[Hashable, _Slot[E]] = {}
        self._closed = False
        self._high_water = 0
        self._dropped = 0
        self._rejected = 0
        self._coalesced = 0

    def put(self, envelope: E) -> None:
        """Queue in the user lane, subject to bound, overflow policy and key.

        Raises:
            MailboxClosed: nobody will ever take it.
            MailboxFull: at the bound of a REJECT mailbox.
        """
        key = None
        if self._options.key is not None and envelope.reply is None:
            key = self._options.key(envelope.message)
        with self._lock:
            dropped = self._enqueue(envelope, key)
        if dropped is not None and dropped.reply is not None:
            dropped.reply.set_error(self._full())
        if dropped is not envelope and self._on_ready is not None:
            self._on_ready()

    def put_system(self, envelope: E) -> None:
        """Queue in the system lane: taken before all user envelopes, never dropped.

        Raises:
            MailboxClosed: nobody will ever take it.
        """
        with self._lock:
            self._refuse_if_closed()
            self._system.append(envelope)
            if self._filled is not None:
                self._filled.notify()
        if self._on_ready is not None:
            self._on_ready()

    def get(self, timeout_s: float | None) -> E | None:
        """Take the next envelope, waiting for one.

        Args:
            timeout_s: longest wait in seconds; None waits until a put or the close.

        Returns:
            The envelope; None when the time is up or the mailbox is closed.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._lock:
            while not self._system and not self._user:
                if self._closed:
                    return None
                left_s = None if deadline is None else deadline - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return None
                if self._filled is None:
                    self._filled = threading.Condition(self._lock)
                self._filled.wait(left_s)
            return self._dequeue()

    def get_nowait(self) -> E | None:
        """Take the next envelope; None when there is none."""
        with self._lock:
            return self._dequeue()

    def close(self) -> tuple[E, ...]:
        """Close for ever.

        Returns:
            What was still queued, system lane first, for the caller to fail or count. Each
            envelope is handed out once: closing again gives nothing.
        """
        with self._lock:
            self._closed = True
            left = (*self._system, *(slot.envelope for slot in self._user))
            self._system.clear()
            self._user.clear()
            self._by_key.clear()
            if self._filled is not None:
                self._filled.notify_all()
        return left

    def close_if_empty(self) -> bool:
        """Close for ever if nothing is queued in either lane; says whether it did."""
        with self._lock:
            if self._system or self._user:
                return False
            self._closed = True
            return True

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def empty(self) -> bool:
        """Whether nothing is queued in either lane right now."""
        return not self._system and not self._user

    @property
    def stats(self) -> MailboxStats:
        """The counters, read without the lock: each is right, together they may be a put apart."""
        return MailboxStats(
            depth=len(self._user),
            high_water=self._high_water,
            capacity=self._options.capacity,
            dropped=self._dropped,
            rejected=self._rejected,
            coalesced=self._coalesced,
        )

    def _enqueue(self, envelope: E, key: Hashable | None) -> E | None:
        """Queue or coalesce; gives back the envelope that had to be dropped for it, if any."""
        self._refuse_if_closed()
        slot = self._by_key.get(key) if key is not None else None
        if slot is not None:
            slot.envelope = envelope
            self._coalesced += 1
            return None
        dropped = None
        if len(self._user) >= self._options.capacity:
            if self._options.overflow is Overflow.REJECT:
                self._rejected += 1
                raise self._full()
            self._dropped += 1
            if self._options.overflow is Overflow.DROP_NEWEST:
                return envelope
            dropped = self._pop_user()
        slot = _Slot(envelope, key)
        self._user.append(slot)
        if key is not None:
            self._by_key[key] = slot
        self._high_water = max(self._high_water, len(self._user))
        if self._filled is not None:
            self._filled.notify()
        return dropped

    def _dequeue(self) -> E | None:
        if self._system:
            return self._system.popleft()
        return self._pop_user() if self._user else None

    def _pop_user(self) -> E:
        slot = self._user.popleft()
        if slot.key is not None:
            del self._by_key[slot.key]
        return slot.envelope

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise MailboxClosed(f"{self._label} is closed")

    def _full(self) -> MailboxFull:
        return MailboxFull(f"{self._label} holds its {self._options.capacity} messages")
