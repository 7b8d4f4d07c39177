"""What is a tap called with, and who counts as the audience of a topic?"""

import time
from collections.abc import Sequence

import pytest

from revaer.domain.errors import InvalidInputError
from revaer.domain.events import Event, PieceCompleted, PublishedEvent, TorrentRemoved
from revaer.domain.ids import InfoHash, Revision
from revaer.ports.event_feed import Gap
from revaer.runtime.event_hub import HubFeed
from revaer.runtime.event_ring import EventRing
from revaer.runtime.listeners import NOBODY, Audience

HASH = InfoHash("a" * 40)
OTHER = InfoHash("b" * 40)
GONE = TorrentRemoved(HASH, with_data=False)


class Heard:
    """What a tap was called with."""

    def __init__(self) -> None:
        self.deliveries: list[PublishedEvent | Gap] = []

    def __call__(self, deliveries: Sequence[PublishedEvent | Gap]) -> None:
        self.deliveries += deliveries

    @property
    def events(self) -> list[Event]:
        return [one.event for one in self.deliveries if isinstance(one, PublishedEvent)]


@pytest.fixture
def feed() -> HubFeed:
    return HubFeed(EventRing(wall_clock=time.time))


def publish(feed: HubFeed, *events: Event, after_loss: bool = False) -> None:
    feed.publish(((event, Revision(1)) for event in events), after_loss=after_loss)


def test_a_tap_is_called_with_its_topics_of_its_torrents(feed: HubFeed) -> None:
    heard = Heard()
    feed.tap(("torrent.removed",), heard, torrents=(HASH,))

    publish(feed, GONE, PieceCompleted(HASH, 1), TorrentRemoved(OTHER, with_data=True))

    assert heard.events == [GONE]


def test_a_tap_is_told_of_a_loss(feed: HubFeed) -> None:
    heard = Heard()
    feed.tap(("torrent.*",), heard)

    publish(feed, GONE, after_loss=True)

    assert isinstance(heard.deliveries[0], Gap)
    assert heard.events == [GONE]


def test_a_closed_tap_is_not_called(feed: HubFeed) -> None:
    heard = Heard()
    tap = feed.tap(("torrent.*",), heard)
    tap.close()
    tap.close()

    publish(feed, GONE)

    assert heard.deliveries == []
    assert feed.listeners == 0


def test_a_tap_on_pieces_asks_for_them(feed: HubFeed) -> None:
    tap = feed.tap(("piece.*",), Heard())
    assert feed.demand == {"piece"}

    tap.close()
    assert feed.demand == frozenset()


def test_a_tap_on_a_closed_feed_hears_nothing(feed: HubFeed) -> None:
    feed.close()

    tap = feed.tap(("torrent.*",), Heard())

    assert feed.is_closed
    assert feed.listeners == 0
    tap.close()


def test_a_topic_that_can_never_match_is_refused(feed: HubFeed) -> None:
    with pytest.raises(InvalidInputError):
        feed.tap(("session.started",), Heard())


def test_the_audience_of_stats_adds_up_and_shrinks_again(feed: HubFeed) -> None:
    assert feed.stats_audience == NOBODY
    first = feed.tap(("stats.update",), Heard(), torrents=(HASH,))
    second = feed.subscribe(("*",), torrents=(OTHER,))
    third = feed.subscribe(("stats.*",))
    assert feed.stats_audience == Audience(everything=True, named=frozenset({HASH, OTHER}))

    third.close()
    second.close()
    assert feed.stats_audience == Audience(named=frozenset({HASH}))
    first.close()
    assert not feed.stats_audience


def test_whoever_hears_other_topics_is_no_audience(feed: HubFeed) -> None:
    feed.subscribe(("torrent.*", "piece.*"))

    assert not feed.stats_audience
