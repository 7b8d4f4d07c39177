"""The live stream of events, for threads that are not actors."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from revaer.domain.events import PublishedEvent
from revaer.domain.ids import EventId, InfoHash


@dataclass(frozen=True, slots=True)
class Gap:
    """Events before `oldest` are no longer there: read the board anew."""

    oldest: EventId


@dataclass(frozen=True, slots=True)
class Lagged:
    """This reader was too slow and lost events, up to and including `last_lost`."""

    lost: int
    last_lost: EventId


Delivery = PublishedEvent | Gap | Lagged


class Subscription(Protocol):
    """One reader's bounded queue."""

    def next(self, timeout_s: float) -> Delivery | None:
        """The next delivery, or None when nothing came in time or the feed is closed."""
        ...

    def close(self) -> None:
        """Stop listening; idempotent."""
        ...


class EventFeed(Protocol):
    """Topics are dotted names, `torrent.*` or `*`; `*` leaves out `piece.*` and `peer.*`."""

    def subscribe(
        self,
        topics: Iterable[str] = ("*",),
        *,
        torrents: Iterable[InfoHash] | None = None,
        after: EventId | None = None,
        capacity: int = 1000,
    ) -> Subscription:
        """Listen from now on, or from the event after `after`.

        Args:
            topics: what to hear.
            torrents: only events about these; None for all, events without a torrent included.
            after: replay every event with a higher id, whether or not `after` was ever issued; a
                `Gap` comes first when the ring no longer reaches back that far.
            capacity: deliveries held for a slow reader before its oldest are dropped.

        Raises:
            InvalidInputError: a topic that can never match.
        """
        ...
