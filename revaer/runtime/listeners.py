"""Who hears the hub: what it needs to know of a listener, and listeners that are called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from revaer.domain.events import PublishedEvent
from revaer.domain.ids import InfoHash
from revaer.ports.event_feed import Gap
from revaer.runtime.topics import TopicSet

Deliver = Callable[[Sequence[PublishedEvent | Gap]], object]


class Listener(Protocol):
    """What the hub hands events to; none of it may block."""

    @property
    def topics(self) -> TopicSet:
        """What is heard."""
        ...

    @property
    def torrents(self) -> frozenset[InfoHash] | None:
        """Only events about these; None for all."""
        ...

    def wants(self, published: PublishedEvent) -> bool:
        """Whether an event with a topic of the listener's is about a torrent of its own."""
        ...

    def offer(self, deliveries: Sequence[PublishedEvent | Gap]) -> None:
        """Take deliveries in, in order."""
        ...

    def end(self) -> None:
        """The feed closes: no more comes."""
        ...


@dataclass(frozen=True, slots=True)
class Audience:
    """Who listens to one topic.

    Attributes:
        everything: somebody hears it of every torrent.
        named: torrents that somebody asked for by name.
    """

    everything: bool = False
    named: frozenset[InfoHash] = frozenset()

    def __bool__(self) -> bool:
        """Whether anybody listens at all."""
        return self.everything or bool(self.named)


NOBODY = Audience()


def audience_of(listeners: Sequence[Listener]) -> Audience:
    """Add up whom these want to hear of."""
    named: set[InfoHash] = set()
    everything = False
    for listener in listeners:
        if listener.torrents is None:
            everything = True
        else:
            named |= listener.torrents
    return Audience(everything, frozenset(named))


class Tap:
    """A listener that is called in the hub's thread, for whoever has a queue of its own."""

    def __init__(
        self,
        topics: TopicSet,
        torrents: frozenset[InfoHash] | None,
        deliver: Deliver,
        leave: Callable[["Tap"], None],
    ) -> None:
        """Made by `HubFeed.tap`."""
        self.topics = topics
        self.torrents = torrents
        self._deliver = deliver
        self._leave = leave
        self._is_closed = False

    def close(self) -> None:
        """Hear no more; what is being delivered just now may still come. Idempotent."""
        self._is_closed = True
        self._leave(self)

    def wants(self, published: PublishedEvent) -> bool:
        """See `Listener`."""
        return self.torrents is None or published.info_hash in self.torrents

    def offer(self, deliveries: Sequence[PublishedEvent | Gap]) -> None:
        """See `Listener`."""
        if not self._is_closed:
            self._deliver(deliveries)

    def end(self) -> None:
        """See `Listener`."""
        self._is_closed = True
