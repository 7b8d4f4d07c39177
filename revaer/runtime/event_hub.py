"""Where events get their ids and find their listeners."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actors import MailboxOptions, PooledActor, TimerHandle
from revaer.domain.errors import InvalidInputError
from revaer.domain.events import Event, PublishedEvent, StatsUpdated
from revaer.domain.ids import EventId, InfoHash, Revision
from revaer.ports.event_feed import Delivery, Gap, Lagged
from revaer.runtime.event_ring import EventRing
from revaer.runtime.listeners import NOBODY, Audience, Deliver, Listener, Tap, audience_of
from revaer.runtime.topics import TopicSet, parse_topics

OFF_AFTER_S: Final = 30.0
"""How long piece and peer events stay switched on after their last listener left."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Events to number and hand out, in order.

    Attributes:
        events: each with the board revision that shows it; 0 when the board does not show it.
        after_loss: events before these were lost on the way, so listeners have to be told.
    """

    events: tuple[tuple[Event, Revision], ...]
    after_loss: bool = False


@dataclass(frozen=True, slots=True)
class _DemandMoved:
    """Somebody started or stopped listening to a group that is produced on demand."""


@dataclass(frozen=True, slots=True)
class _SwitchOff:
    """A group had no listener for a while; `departure` tells this while from later ones."""

    group: str
    departure: int


class FeedSubscription:
    """One reader's queue: the publisher never waits for it, a slow reader loses its oldest.

    Any thread may read and close; two reading at once share the deliveries.
    """

    def __init__(
        self,
        topics: TopicSet,
        torrents: frozenset[InfoHash] | None,
        capacity: int,
        leave: Callable[["FeedSubscription"], None],
    ) -> None:
        """Made by `HubFeed.subscribe`."""
        self.topics = topics
        self.torrents = torrents
        self._capacity = capacity
        self._leave = leave
        self._changed = threading.Condition(threading.Lock())
        # What was replayed is bounded by the ring, and no sign of a slow reader: it neither
        # counts against the capacity nor is it dropped.
        self._replay: deque[Delivery] = deque()
        self._live: deque[PublishedEvent | Gap] = deque()
        self._lost = 0
        self._last_lost = EventId(0)
        self._lost_gap: Gap | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nothing will come any more, beyond what is queued."""
        return self._closed

    def next(self, timeout_s: float) -> Delivery | None:
        """See `ports.event_feed.Subscription`."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while (delivery := self._take()) is None and not self._closed:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return None
                self._changed.wait(left_s)
            return delivery

    def close(self) -> None:
        """See `ports.event_feed.Subscription`."""
        self._leave(self)
        with self._changed:
            self._replay.clear()
            self._live.clear()
            self._lost, self._lost_gap = 0, None
            self._closed = True
            self._changed.notify_all()

    def end(self) -> None:
        """The feed closes: what is queued can still be read, more does not come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wants(self, published: PublishedEvent) -> bool:
        """Whether an event with a topic of ours is about a torrent of ours."""
        return self.torrents is None or published.info_hash in self.torrents

    def start_with(self, gap: Gap | None, events: Iterable[PublishedEvent]) -> None:
        """Queue what was missed before the subscription; nobody reads yet."""
        if gap is not None:
            self._replay.append(gap)
        self._replay.extend(e for e in events if e.topic in self.topics and self.wants(e))

    def offer(self, deliveries: Sequence[PublishedEvent | Gap]) -> None:
        """Queue deliveries, dropping the oldest ones of a reader that is too slow."""
        with self._changed:
            if self._closed:
                return
            self._live.extend(deliveries)
            while len(self._live) > self._capacity:
                self._drop_oldest()
            self._changed.notify()

    def _drop_oldest(self) -> None:
        dropped = self._live.popleft()
        if isinstance(dropped, Gap):
            self._lost_gap = dropped  # it is told all the same, right after the loss
        else:
            self._lost += 1
            self._last_lost = dropped.id

    def _take(self) -> Delivery | None:
        if self._replay:
            return self._replay.popleft()
        if self._lost:
            lagged = Lagged(self._lost, self._last_lost)
            self._lost = 0
            return lagged
        if self._lost_gap is not None:
            gap, self._lost_gap = self._lost_gap, None
            return gap
        return self._live.popleft() if self._live else None


class HubFeed:
    """The ring and the listeners: satisfies `EventFeed`, and outlives the hub's generations.

    Composition owns it. Generations of the `EventHub` publish into it, one after the other.
    """

    def __init__(self, ring: EventRing) -> None:
        """Start without listeners; the ring belongs to the feed from now on."""
        self._lock = threading.Lock()
        self._ring = ring
        # Replaced as a whole, never changed in place: publishing iterates over it.
        self._by_topic: dict[str, tuple[Listener, ...]] = {}
        self._subscriptions: dict[Listener, None] = {}
        self._on_demand_moved: Callable[[], object] | None = None
        self._was_attached = False
        self._closed = False
        self.stats_audience: Audience = NOBODY
        """Whose totals and rates are to be published each second."""
        self.switched_on: frozenset[str] = frozenset()
        """Groups that the hub last asked for; whoever produces them reads this when it starts."""
        self.demand_moved = False
        """Set when `demand` may differ from what the hub last saw; the hub resets it."""

    def subscribe(
        self,
        topics: Iterable[str] = ("*",),
        *,
        torrents: Iterable[InfoHash] | None = None,
        after: EventId | None = None,
        capacity: int = 1000,
    ) -> FeedSubscription:
        """See `ports.event_feed.EventFeed`. On a closed feed the subscription is closed too."""
        if capacity < 1:
            raise InvalidInputError(f"a subscription's capacity is {capacity}, give at least 1")
        subscription = FeedSubscription(
            parse_topics(topics),
            None if torrents is None else frozenset(torrents),
            capacity,
            self._leave,
        )
        # Replaying and joining are one step, so that no event falls between them or comes twice.
        with self._lock:
            if after is not None:
                replay = self._ring.after(after)
                subscription.start_with(replay.gap, replay.events)
            if self._closed:
                subscription.end()
                return subscription
            self._subscriptions[subscription] = None
            self._index()
        self._demand_moved(subscription)
        return subscription

    def tap(
        self,
        topics: Iterable[str],
        deliver: Deliver,
        *,
        torrents: Iterable[InfoHash] | None = None,
    ) -> Tap:
        """Have a function called with what is published, in the hub's thread.

        Args:
            topics: what to hear.
            deliver: must not block, raise, or subscribe.
            torrents: only events about these; None for all.

        Raises:
            InvalidInputError: a topic that can never match.
        """
        tap = Tap(
            parse_topics(topics),
            None if torrents is None else frozenset(torrents),
            deliver,
            self._leave,
        )
        with self._lock:
            if self._closed:
                tap.end()
                return tap
            self._subscriptions[tap] = None
            self._index()
        self._demand_moved(tap)
        return tap

    @property
    def demand(self) -> frozenset[str]:
        """Which of the groups produced on demand have a listener now."""
        with self._lock:
            wanted = (subscription.topics.on_demand for subscription in self._subscriptions)
            return frozenset().union(*wanted)

    @property
    def listeners(self) -> int:
        """How many subscriptions are open."""
        return len(self._subscriptions)

    @property
    def is_closed(self) -> bool:
        """Whether nothing will be published any more."""
        return self._closed

    @property
    def last_id(self) -> EventId:
        """The newest event's id."""
        return self._ring.last_id

    def publish(
        self, events: Iterable[tuple[Event, Revision]], *, after_loss: bool = False
    ) -> None:
        """Number events, hold them and hand them to whoever listens; never waits for a reader.

        Args:
            events: in order, each with the board revision that shows it.
            after_loss: others before them were lost, which everybody is told with a `Gap`.
        """
        outgoing: dict[Listener, list[PublishedEvent]] = {}
        with self._lock:
            if after_loss:
                self._break()
            for event, revision in events:
                published = self._ring.append(event, revision)
                for subscription in self._by_topic.get(event.topic, ()):
                    if subscription.wants(published):
                        outgoing.setdefault(subscription, []).append(published)
            for subscription, batch in outgoing.items():
                subscription.offer(batch)

    def attach(self, on_demand_moved: Callable[[], object]) -> None:
        """A generation of the hub takes over; what its predecessor had queued is lost.

        Args:
            on_demand_moved: called in the thread of a reader that came or left, when it listens
                to a group that is produced on demand.
        """
        with self._lock:
            self._on_demand_moved = on_demand_moved
            if self._was_attached:
                self._break()
            self._was_attached = True

    def close(self) -> None:
        """End all subscriptions after what they have queued; idempotent."""
        with self._lock:
            self._closed = True
            subscriptions = tuple(self._subscriptions)
            self._subscriptions.clear()
            self._by_topic = {}
            self.stats_audience = NOBODY
        for subscription in subscriptions:
            subscription.end()

    def _break(self) -> None:
        gap = self._ring.clear()
        for subscription in self._subscriptions:
            subscription.offer((gap,))

    def _leave(self, subscription: Listener) -> None:
        with self._lock:
            if subscription not in self._subscriptions:
                return
            del self._subscriptions[subscription]
            self._index()
        self._demand_moved(subscription)

    def _index(self) -> None:
        by_topic: dict[str, list[Listener]] = {}
        for subscription in self._subscriptions:
            for topic in subscription.topics.topics:
                by_topic.setdefault(topic, []).append(subscription)
        self._by_topic = {topic: tuple(heard_by) for topic, heard_by in by_topic.items()}
        self.stats_audience = audience_of(by_topic.get(StatsUpdated.topic, ()))

    def _demand_moved(self, subscription: Listener) -> None:
        if not subscription.topics.on_demand:
            return
        self.demand_moved = True
        if self._on_demand_moved is not None:
            self._on_demand_moved()


class EventHub(PooledActor):
    """Numbers and hands out what it is told to `Publish`; keeps watch over what is listened to."""

    # A board under full load sends a message for some hundred events at a time. What does not
    # fit is refused, and the board says `after_loss` with the next one.
    mailbox = MailboxOptions(capacity=10_000)

    def __init__(
        self,
        feed: HubFeed,
        *,
        switch_on: Callable[[frozenset[str]], object] | None = None,
        off_after_s: float = OFF_AFTER_S,
    ) -> None:
        """Publish into `feed`.

        Args:
            feed: outlives this actor.
            switch_on: told which of the groups produced on demand are wanted, each time that
                changes; must not block. Whoever it reaches reads `feed.switched_on` at its start.
            off_after_s: how long a group stays on after its last listener left, in seconds.
        """
        super().__init__()
        self._feed = feed
        self._switch_on = switch_on
        self._off_after_s = off_after_s
        self._departures = 0
        self._leaving: dict[str, tuple[int, TimerHandle]] = {}

    def on_start(self) -> None:
        """Take over the feed; listeners learn that events may be missing."""
        address = self.context.address
        self._feed.attach(lambda: address.tell_or_drop(_DemandMoved()))
        self._review_demand()

    def on_receive(self, message: Any) -> None:
        """Take a `Publish`."""
        match message:
            case Publish(events, after_loss):
                self._feed.publish(events, after_loss=after_loss)
                if self._feed.demand_moved:  # the message that says so found no room
                    self._review_demand()
            case _DemandMoved():
                self._review_demand()
            case _SwitchOff(group, departure):
                self._switch_off(group, departure)
            case _:
                self.unknown(message)

    def _review_demand(self) -> None:
        self._feed.demand_moved = False
        demand = self._feed.demand
        for group in demand & self._leaving.keys():
            _, timer = self._leaving.pop(group)
            timer.cancel()
        for group in self._feed.switched_on - demand - self._leaving.keys():
            self._departures += 1
            message = _SwitchOff(group, self._departures)
            self._leaving[group] = (self._departures, self.after(self._off_after_s, message))
        self._announce(self._feed.switched_on | demand)

    def _switch_off(self, group: str, departure: int) -> None:
        if self._leaving.get(group, (0, None))[0] != departure:
            return  # cancelled after it was sent
        del self._leaving[group]
        if group in self._feed.demand:
            self._review_demand()
        else:
            self._announce(self._feed.switched_on - {group})

    def _announce(self, groups: frozenset[str]) -> None:
        if groups == self._feed.switched_on:
            return
        self._feed.switched_on = groups
        if self._switch_on is not None:
            self._switch_on(groups)
