"""Calls a program's functions when something happens: one thread, one bounded queue."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from revaer.domain.errors import ClosedError
from revaer.domain.events import Event, PublishedEvent
from revaer.domain.ids import InfoHash
from revaer.domain.session_events import (
    ON_DEMAND,
    STATS_UPDATE,
    SessionEvent,
    Translator,
    names_matching,
)
from revaer.ports.event_feed import Gap
from revaer.ports.logs import logger
from revaer.runtime.event_hub import HubFeed

if TYPE_CHECKING:
    from revaer.runtime.listeners import Tap

log = logger(__name__)

CAPACITY: Final = 10_000
CLOSE_S: Final = 5.0
"""How long a close waits for callbacks that are running and events that wait."""
IDLE_S: Final = 1.0

_LIFE: Final = (
    "torrent.completed",
    "torrent.removed",
    "torrent.state_changed",
    "torrent.error",
    "actor.failed",
)

Callback: TypeAlias = Callable[[SessionEvent], object]


@dataclass(frozen=True, slots=True)
class _Farewell:
    """These have heard all that concerns them."""

    subscriptions: tuple["CallbackSubscription", ...]


Waiting: TypeAlias = Event | SessionEvent | _Farewell


class Place:
    """Kept in a queue for events that are told before all that come after it."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        """Made by `EventQueue.reserve`."""
        self.events: tuple[Waiting, ...] | None = None
        """None while it is not known what goes here; what comes after waits for that."""


class EventQueue:
    """What waits to be told; the oldest gives way when there is too much."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        """Start empty; `capacity` is at least 1."""
        self._items: deque[Waiting | Place] = deque(maxlen=capacity)
        self._changed = threading.Condition(threading.Lock())
        self._is_closed = False
        self.dropped = 0
        """Events that were lost since the start."""

    def put(self, items: Iterable[Waiting]) -> None:
        """Queue events, dropping the oldest where there is no room. Never waits."""
        with self._changed:
            if self._is_closed:
                return
            for item in items:
                self.dropped += len(self._items) == self._items.maxlen
                self._items.append(item)
            self._changed.notify()

    def reserve(self) -> Place:
        """Keep a place, which has to be filled."""
        place = Place()
        with self._changed:
            if not self._is_closed:
                self.dropped += len(self._items) == self._items.maxlen
                self._items.append(place)
        return place

    def fill(self, place: Place, events: Iterable[Waiting]) -> None:
        """Put events, or none, where a place was kept."""
        with self._changed:
            place.events = tuple(events)
            self._changed.notify()

    def take(self, timeout_s: float) -> list[Waiting] | None:
        """What waits, up to a place that is not filled yet; None once closed and empty.

        Empty when nothing came in time. Once closed no place is waited for.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._has_some(), timeout_s)
            if not self._items and self._is_closed:
                return None
            taken: list[Waiting] = []
            while (self._is_closed and self._items) or self._has_some():
                item = self._items.popleft()
                if isinstance(item, Place):
                    taken += item.events or ()
                else:
                    taken.append(item)
            return taken

    def _has_some(self) -> bool:
        first = self._items[0] if self._items else None
        return first.events is not None if isinstance(first, Place) else first is not None

    def close(self) -> None:
        """Take nothing in any more; what waits can still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


class CallbackSubscription:
    """One callback and what it is called for."""

    def __init__(
        self,
        names: frozenset[str],
        callback: Callback,
        info_hash: InfoHash | None,
        leave: Callable[["CallbackSubscription"], None],
    ) -> None:
        """Made by `Dispatcher.subscribe`."""
        self.names = names
        self.callback = callback
        self.info_hash = info_hash
        self.is_active = True
        self._leave = leave

    def unsubscribe(self) -> None:
        """Call no more, from this moment on; idempotent, and fine inside of the callback."""
        self.is_active = False
        self._leave(self)

    def wants(self, event: SessionEvent) -> bool:
        """Whether this event is to be told."""
        return (
            self.is_active
            and event.name in self.names
            and self.info_hash in {None, event.info_hash}
        )


class Dispatcher:
    """Listens to the feed for what its subscriptions name, and calls them in a thread of its own.

    The thread and the listening begin with the first subscription. A callback that raises is logged
    and costs the others nothing; one that is slow delays the others, and costs the oldest events
    once `capacity` are waiting.
    """

    def __init__(
        self,
        feed: HubFeed,
        translator: Translator,
        torrents: Callable[[], Iterable[InfoHash]],
        *,
        when_idle: Callable[[], Sequence[SessionEvent]] = tuple,
        capacity: int = CAPACITY,
    ) -> None:
        """Listen to nothing yet.

        Args:
            feed: of the engine.
            translator: gives the events that callbacks get.
            torrents: whose events concern the owner, now.
            when_idle: asked about once a second, in the dispatcher's thread, for what no event
                says.
            capacity: events that wait at most.
        """
        self._feed = feed
        self._translator = translator
        self._torrents = torrents
        self._when_idle = when_idle
        self._queue = EventQueue(capacity)
        self._subscriptions: tuple[CallbackSubscription, ...] = ()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._taps: dict[str, Tap] = {}
        self._told_dropped = 0
        self._is_closed = False

    @property
    def dropped(self) -> int:
        """Events that were lost because callbacks were too slow."""
        return self._queue.dropped

    def subscribe(
        self, pattern: str, callback: Callback, info_hash: InfoHash | None = None
    ) -> CallbackSubscription:
        """Call a function for each event that matches.

        Args:
            pattern: a name, `group.*` or `*`.
            callback: is given a `SessionEvent`.
            info_hash: only events of this torrent; None for all of the owner's.

        Raises:
            InvalidInputError: no event can ever match.
            ClosedError: nothing will be told any more.
        """
        subscription = CallbackSubscription(
            names_matching(pattern), callback, info_hash, self._leave
        )
        with self._lock:
            if self._is_closed:
                raise ClosedError("this is closed: nothing will be told any more; open another")
            self._subscriptions = (*self._subscriptions, subscription)
            self._listen()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="revaer-callbacks", daemon=True
                )
                self._thread.start()
        return subscription

    def tell(self, *events: SessionEvent) -> None:
        """Queue events that the feed does not have."""
        if self._subscriptions:
            self._queue.put(events)

    @contextmanager
    def telling_first(self) -> Iterator[list[SessionEvent]]:
        """Keep a place for what the block appends: told before all that happens meanwhile.

        What comes after it waits until the block ends.
        """
        events: list[SessionEvent] = []
        if not self._subscriptions:
            yield events
            self.tell(*events)
            return
        place = self._queue.reserve()
        try:
            yield events
        finally:
            self._queue.fill(place, events)

    def retire(self, subscriptions: Iterable[CallbackSubscription]) -> None:
        """Call these no more once they have heard what waits now."""
        if self._subscriptions:
            self._queue.put([_Farewell(tuple(subscriptions))])

    def torrents_moved(self) -> None:
        """The owner has other torrents than before."""
        with self._lock:
            if any(STATS_UPDATE in one.names for one in self._subscriptions):
                self._listen()

    def is_own_thread(self) -> bool:
        """Whether the caller is a callback."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Tell what waits, then call nobody any more; idempotent.

        Waits up to five seconds for that, but never for itself when a callback calls it.
        """
        with self._lock:
            self._is_closed = True
            taps, self._taps = tuple(self._taps.values()), {}
            thread = self._thread
        for tap in taps:
            tap.close()
        self._queue.close()
        if thread is None or self.is_own_thread():
            return
        thread.join(CLOSE_S)
        if thread.is_alive():
            log.warning("callback_still_running", waited_s=CLOSE_S)

    def _leave(self, subscription: CallbackSubscription) -> None:
        with self._lock:
            left = tuple(one for one in self._subscriptions if one is not subscription)
            if len(left) < len(self._subscriptions):
                self._subscriptions = left
                self._listen()

    def _listen(self) -> None:
        """Tap what is wanted now, and nothing else. Holds this lock, then the feed's."""
        if self._is_closed:
            return
        wanted = {name for one in self._subscriptions for name in one.names}
        groups = {name.split(".")[0] for name in wanted}
        # Counting pieces begins anew when they are checked, or the torrent is gone.
        self._tap("life", _LIFE, wanted=bool(groups & {"session", "piece"}))
        self._tap("tracker", ("tracker.*",), wanted="tracker" in groups)
        for group in ON_DEMAND:
            self._tap(group, (f"{group}.*",), wanted=group in groups)
        audience = self._stats_audience()
        old = self._taps.get(STATS_UPDATE)
        if old is not None and old.torrents != audience:
            del self._taps[STATS_UPDATE]
        self._tap(STATS_UPDATE, (STATS_UPDATE,), wanted=bool(audience), torrents=audience)
        if old is not None and self._taps.get(STATS_UPDATE) is not old:
            old.close()

    def _stats_audience(self) -> frozenset[InfoHash]:
        named: set[InfoHash] = set()
        for one in self._subscriptions:
            if STATS_UPDATE in one.names:
                named |= {one.info_hash} if one.info_hash is not None else set(self._torrents())
        return frozenset(named)

    def _tap(
        self,
        key: str,
        topics: Iterable[str],
        *,
        wanted: bool,
        torrents: Iterable[InfoHash] | None = None,
    ) -> None:
        if wanted and key not in self._taps:
            self._taps[key] = self._feed.tap(topics, self._take, torrents=torrents)
        elif not wanted and key in self._taps:
            self._taps.pop(key).close()

    def _take(self, deliveries: Sequence[PublishedEvent | Gap]) -> None:
        """In the hub's thread."""
        self._queue.put(one.event for one in deliveries if isinstance(one, PublishedEvent))

    def _run(self) -> None:
        while (batch := self._queue.take(IDLE_S)) is not None:
            dropped = self._queue.dropped
            if dropped > self._told_dropped:
                log.warning("events_dropped", lost=dropped - self._told_dropped)
                self._told_dropped = dropped
            self._tell_all(batch)
            for event in self._when_idle():
                self._call(event)
            if not batch and self._feed.is_closed:
                break  # freed under its owner, who may never close it

    def _tell_all(self, batch: Sequence[Waiting]) -> None:
        events: list[Event | SessionEvent] = []
        for item in batch:
            if isinstance(item, _Farewell):
                self._call_all(events)
                events.clear()
                for subscription in item.subscriptions:
                    subscription.unsubscribe()
            else:
                events.append(item)
        self._call_all(events)

    def _call_all(self, events: Sequence[Event | SessionEvent]) -> None:
        for event in self._translator.translate(events):
            self._call(event)

    def _call(self, event: SessionEvent) -> None:
        for subscription in self._subscriptions:
            if not subscription.wants(event):
                continue
            try:
                subscription.callback(event)
            except BaseException:  # a stranger's code must not end this thread
                log.exception("callback_failed", told=event.name, info_hash=event.info_hash)
