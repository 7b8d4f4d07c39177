"""The last events with their ids, for listeners that come back after an interruption."""

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from revaer.domain.events import Event, PublishedEvent
from revaer.domain.ids import EventId, Revision
from revaer.ports.event_feed import Gap

_COUNTER_BITS = 20


@dataclass(frozen=True, slots=True)
class Replay:
    """What a returning listener missed.

    Attributes:
        gap: set when more was missed than `events` holds.
        events: every event still held with an id above the one asked for, in order.
    """

    gap: Gap | None
    events: tuple[PublishedEvent, ...]


class EventRing:
    """Numbers events and holds the newest of them. Not thread-safe: its owner keeps a lock.

    An id is `milliseconds since epoch << 20 | counter`. The clock only sets the pace: ids go on
    counting from the last one when it stands still or steps back, so they always grow. After a
    restart of the process they start above the old ones because the clock has gone on; pass
    `floor` when a higher one is known.
    """

    def __init__(
        self,
        capacity: int = 10_000,
        *,
        wall_clock: Callable[[], float],
        floor: EventId = EventId(0),
    ) -> None:
        """Start empty.

        Args:
            capacity: most events held, at least 1.
            wall_clock: seconds since epoch; may step back.
            floor: every id is above this.
        """
        self._events: deque[PublishedEvent] = deque(maxlen=capacity)
        self._wall_clock = wall_clock
        self._last_id = EventId(max(floor, self._now_id()))
        # Ids up to here were given to events that are no longer held, by this process or by
        # the ones before it.
        self._lost_up_to = self._last_id

    @property
    def last_id(self) -> EventId:
        """The newest id; before the first event, a number below all of them."""
        return self._last_id

    @property
    def oldest(self) -> EventId:
        """The id of the oldest event held; when empty, the lowest that the next can get."""
        return self._events[0].id if self._events else EventId(self._last_id + 1)

    def append(self, event: Event, revision: Revision) -> PublishedEvent:
        """Give an event the next id and hold it, dropping the oldest of a full ring."""
        if len(self._events) == self._events.maxlen:
            self._lost_up_to = self._events[0].id
        self._last_id = EventId(max(self._last_id + 1, self._now_id()))
        published = PublishedEvent(self._last_id, event, revision)
        self._events.append(published)
        return published

    def clear(self) -> Gap:
        """Forget all events, because others are missing; ids go on from the last one."""
        self._events.clear()
        self._lost_up_to = self._last_id
        return Gap(self.oldest)

    def after(self, event_id: EventId) -> Replay:
        """Everything with a higher id, whether or not this one was ever given out.

        An id ahead of both the last one and the clock comes from a process whose clock was
        ahead of ours: what happened since cannot be told, so that is a gap too.
        """
        newer = itertools.takewhile(lambda held: held.id > event_id, reversed(self._events))
        events = tuple(newer)[::-1]
        ahead = event_id > self._last_id and event_id >> _COUNTER_BITS > self._now_ms()
        is_gap = event_id < self._lost_up_to or ahead
        return Replay(Gap(self.oldest) if is_gap else None, events)

    def _now_ms(self) -> int:
        return int(self._wall_clock() * 1000)

    def _now_id(self) -> int:
        return self._now_ms() << _COUNTER_BITS
