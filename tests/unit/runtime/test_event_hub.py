"""Does every listener hear what it asked for, once and in order, however slow the others are?"""

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from actors import ActorSystem, ChildSpec
from actors.testing import ManualTimers, eventually
from revaer.domain.errors import InvalidInputError
from revaer.domain.events import (
    Event,
    HealthChanged,
    PeerConnected,
    PieceCompleted,
    PublishedEvent,
    TorrentAdded,
    TrackerFailed,
)
from revaer.domain.ids import EventId, InfoHash, Revision
from revaer.ports.event_feed import Delivery, EventFeed, Gap, Lagged, Subscription
from revaer.runtime.event_hub import EventHub, HubFeed, Publish
from revaer.runtime.event_ring import EventRing
from tests.unit.runtime.little_system import at_once, running

ONE, TWO = InfoHash("1" * 40), InfoHash("2" * 40)
NO_REVISION = Revision(0)


@pytest.fixture
def feed() -> Iterator[HubFeed]:
    made = make_feed()
    yield made
    made.close()


def make_feed(ring_size: int = 10_000) -> HubFeed:
    ticks = itertools.count(1_000_000)
    return HubFeed(EventRing(ring_size, wall_clock=lambda: next(ticks) / 1000))


def added(name: str, info_hash: InfoHash = ONE) -> Event:
    return TorrentAdded(info_hash, name)


def publish(feed: HubFeed, *events: Event) -> None:
    feed.publish([(event, NO_REVISION) for event in events])


def drain(subscription: Subscription) -> list[Delivery]:
    got: list[Delivery] = []
    while (delivery := subscription.next(0)) is not None:
        got.append(delivery)
    return got


def events_of(deliveries: list[Delivery]) -> list[Event]:
    return [d.event for d in deliveries if isinstance(d, PublishedEvent)]


def ids_of(deliveries: list[Delivery]) -> list[EventId]:
    return [d.id for d in deliveries if isinstance(d, PublishedEvent)]


def test_the_hubs_feed_is_an_event_feed(feed: HubFeed) -> None:
    port: EventFeed = feed
    assert port.subscribe().next(0) is None


def test_events_come_in_order_with_growing_ids_and_their_revision(feed: HubFeed) -> None:
    listener = feed.subscribe()
    feed.publish([(added("a"), Revision(7)), (added("b"), Revision(8))])
    first, second = drain(listener)
    assert isinstance(first, PublishedEvent)
    assert isinstance(second, PublishedEvent)
    assert (first.event, first.revision) == (added("a"), 7)
    assert (second.event, second.revision) == (added("b"), 8)
    assert first.id < second.id


def test_each_listener_hears_its_topics(feed: HubFeed) -> None:
    everything, trackers, pieces = (
        feed.subscribe(),
        feed.subscribe(["tracker.failed"]),
        feed.subscribe(["piece.*", "torrent.added"]),
    )
    events = [
        added("a"),
        TrackerFailed(ONE, "http://t", "gone"),
        PieceCompleted(ONE, 3),
        PeerConnected(ONE, "192.0.2.1:1"),
    ]
    publish(feed, *events)
    assert events_of(drain(everything)) == events[:2]
    assert events_of(drain(trackers)) == [events[1]]
    assert events_of(drain(pieces)) == [events[0], events[2]]


def test_a_listener_of_some_torrents_hears_nothing_else(feed: HubFeed) -> None:
    listener = feed.subscribe(torrents=[TWO])
    publish(feed, added("a", ONE), HealthChanged("engine", "ok", ""), added("b", TWO))
    assert events_of(drain(listener)) == [added("b", TWO)]


def test_topics_that_never_match_are_refused(feed: HubFeed) -> None:
    with pytest.raises(InvalidInputError):
        feed.subscribe(["torrent.nothing"])
    with pytest.raises(InvalidInputError, match="capacity"):
        feed.subscribe(capacity=0)
    assert feed.listeners == 0


def test_a_closed_subscription_hears_nothing_and_closes_twice(feed: HubFeed) -> None:
    listener = feed.subscribe()
    publish(feed, added("a"))
    listener.close()
    listener.close()
    publish(feed, added("b"))
    assert drain(listener) == []
    assert listener.closed
    assert feed.listeners == 0


def test_a_slow_reader_loses_its_oldest_and_is_told_once(feed: HubFeed) -> None:
    slow, quick = feed.subscribe(capacity=3), feed.subscribe()
    publish(feed, *(added(str(n)) for n in range(5)))
    publish(feed, *(added(str(n)) for n in range(5, 8)))
    all_ids = ids_of(drain(quick))
    deliveries = drain(slow)
    assert deliveries[0] == Lagged(5, all_ids[4])
    assert ids_of(deliveries) == all_ids[5:]
    assert len(deliveries) == 4
    publish(feed, added("later"))
    assert events_of(drain(slow)) == [added("later")]


def test_a_gap_is_told_even_when_it_was_queued_for_a_slow_reader(feed: HubFeed) -> None:
    slow = feed.subscribe(capacity=2)
    publish(feed, added("a"))
    feed.publish([(added(str(n)), NO_REVISION) for n in range(3)], after_loss=True)
    lagged, gap, *rest = drain(slow)
    assert isinstance(lagged, Lagged)
    assert lagged.lost == 2
    assert isinstance(gap, Gap)
    assert events_of(rest) == [added("1"), added("2")]


def test_a_returning_listener_gets_what_it_missed_and_then_what_comes(feed: HubFeed) -> None:
    before = feed.subscribe()
    publish(feed, *(added(str(n)) for n in range(4)))
    seen = ids_of(drain(before))[1]
    back = feed.subscribe(after=seen)
    publish(feed, added("live"))
    assert events_of(drain(back)) == [added("2"), added("3"), added("live")]


def test_a_replay_keeps_to_topics_and_torrents_and_is_no_reason_to_lag(feed: HubFeed) -> None:
    start = feed.last_id
    publish(feed, *(added(str(n), ONE if n % 2 else TWO) for n in range(10)))
    publish(feed, HealthChanged("engine", "ok", ""))
    back = feed.subscribe(["torrent.*"], torrents=[ONE], after=start, capacity=1)
    assert events_of(drain(back)) == [added(str(n), ONE) for n in range(1, 10, 2)]


def test_a_listener_from_too_long_ago_gets_a_gap_first() -> None:
    feed = make_feed(ring_size=2)
    start = feed.last_id
    publish(feed, added("a"), added("b"), added("c"))
    gap, *rest = drain(feed.subscribe(after=start))
    assert gap == Gap(ids_of(rest)[0])
    assert events_of(rest) == [added("b"), added("c")]


def test_a_new_hub_clears_the_ring_and_gives_everybody_a_gap(feed: HubFeed) -> None:
    feed.attach(lambda: None)
    listener = feed.subscribe(["tracker.*"])
    publish(feed, added("a"))
    last = feed.last_id
    assert drain(listener) == []
    feed.attach(lambda: None)
    assert drain(listener) == [Gap(EventId(last + 1))]
    assert isinstance(drain(feed.subscribe(after=EventId(last - 1)))[0], Gap)
    everything = feed.subscribe()
    publish(feed, added("b"))
    assert ids_of(drain(everything))[0] > last


def test_a_closed_feed_lets_readers_finish(feed: HubFeed) -> None:
    listener = feed.subscribe()
    publish(feed, added("a"))
    feed.close()
    publish(feed, added("b"))
    assert events_of(drain(listener)) == [added("a")]
    assert listener.closed
    assert listener.next(30) is None
    assert feed.subscribe().closed


def test_a_waiting_reader_is_woken_by_an_event_and_by_the_close(feed: HubFeed) -> None:
    listener = feed.subscribe()
    got: list[Delivery | None] = []

    def read() -> None:
        got.append(listener.next(60))
        got.append(listener.next(60))

    thread = threading.Thread(target=read)
    thread.start()
    publish(feed, added("a"))
    eventually(lambda: got)
    feed.close()
    thread.join(30)
    assert events_of([d for d in got if d is not None]) == [added("a")]
    assert got[1] is None


def test_the_demand_is_what_open_subscriptions_name(feed: HubFeed) -> None:
    moved: list[frozenset[str]] = []
    feed.attach(lambda: moved.append(feed.demand))
    feed.subscribe()
    pieces, both = feed.subscribe(["piece.*"]), feed.subscribe(["piece.*", "peer.connected"])
    pieces.close()
    both.close()
    assert moved == [{"piece"}, {"piece", "peer"}, {"piece", "peer"}, frozenset()]


def in_threads(*jobs: Callable[[], None]) -> list[BaseException]:
    """Run jobs at the same time; what they raised."""
    raised: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            raised.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return raised


BATCHES, BATCH = 300, 10


def publish_all(feed: HubFeed) -> None:
    for number in range(BATCHES):
        publish(feed, *(added(f"{number}.{n}") for n in range(BATCH)))


def test_listeners_that_come_and_go_miss_nothing_and_hear_nothing_twice() -> None:
    feed = make_feed(ring_size=BATCHES * BATCH)
    start = feed.last_id
    last_name = f"{BATCHES - 1}.{BATCH - 1}"
    expected = [f"{number}.{n}" for number in range(BATCHES) for n in range(BATCH)]

    def listen() -> None:
        heard: list[str] = []
        seen = start
        while not heard or heard[-1] != last_name:
            subscription = feed.subscribe(after=seen, capacity=BATCHES * BATCH)
            for _ in range(37):
                delivery = subscription.next(30)
                assert isinstance(delivery, PublishedEvent)
                assert isinstance(delivery.event, TorrentAdded)
                heard.append(delivery.event.name)
                seen = delivery.id
                if heard[-1] == last_name:
                    break
            subscription.close()
        assert heard == expected

    assert in_threads(lambda: publish_all(feed), *([listen] * 4)) == []


def test_a_reader_that_never_reads_costs_the_others_nothing(feed: HubFeed) -> None:
    stuck = [feed.subscribe(capacity=5) for _ in range(20)]
    quick = feed.subscribe(capacity=BATCHES * BATCH)
    heard: list[EventId] = []

    def listen() -> None:
        while len(heard) < BATCHES * BATCH:
            delivery = quick.next(30)
            assert isinstance(delivery, PublishedEvent)
            heard.append(delivery.id)

    assert in_threads(lambda: publish_all(feed), listen) == []
    assert heard == sorted(set(heard))
    for subscription in stuck:
        lagged, *rest = drain(subscription)
        assert lagged == Lagged(BATCHES * BATCH - 5, heard[-6])
        assert ids_of(rest) == heard[-5:]


class Switchboard:
    """Keeps which groups the hub wanted, in order."""

    def __init__(self) -> None:
        self.wanted: list[frozenset[str]] = []

    def __call__(self, groups: frozenset[str]) -> None:
        self.wanted.append(groups)


BROKEN = Publish(((cast("Event", "not an event"), NO_REVISION),))


def hub_of(feed: HubFeed, board: Switchboard | None = None) -> ChildSpec:
    return at_once("events", lambda: EventHub(feed, switch_on=board, off_after_s=30.0))


def settle(system: ActorSystem) -> None:
    """Wait until the hub has handled what was sent to it, timers included."""
    system.address("events").ask(Publish(()), timeout_s=30)


def test_the_hub_publishes_what_it_is_told(feed: HubFeed) -> None:
    listener = feed.subscribe()
    with running(hub_of(feed)) as system:
        system.address("events").tell(Publish(((added("a"), Revision(3)),)))
        delivery = listener.next(30)
    assert isinstance(delivery, PublishedEvent)
    assert (delivery.event, delivery.revision) == (added("a"), 3)


def test_over_a_crash_of_the_hub_ids_grow_and_listeners_learn_of_the_gap(feed: HubFeed) -> None:
    listener = feed.subscribe()
    with running(hub_of(feed)) as system:
        hub = system.address("events")
        hub.ask(Publish(((added("a"), NO_REVISION),)), timeout_s=30)
        hub.tell(BROKEN)
        eventually(lambda: len(feed._ring._events) == 0, within_s=30)
        eventually(lambda: hub.tell_or_drop(Publish(((added("b"), NO_REVISION),))), within_s=30)
        first, gap, second = (listener.next(30) for _ in range(3))
    assert isinstance(first, PublishedEvent)
    assert isinstance(gap, Gap)
    assert isinstance(second, PublishedEvent)
    assert first.id < gap.oldest <= second.id


def test_events_that_were_lost_on_the_way_are_a_gap(feed: HubFeed) -> None:
    listener = feed.subscribe()
    with running(hub_of(feed)) as system:
        system.address("events").ask(
            Publish(((added("a"), NO_REVISION),), after_loss=True), timeout_s=30
        )
    gap, event = drain(listener)
    assert isinstance(gap, Gap)
    assert events_of([event]) == [added("a")]


def test_groups_made_on_demand_are_on_while_somebody_listens_and_30_s_more(feed: HubFeed) -> None:
    board, timers = Switchboard(), ManualTimers()
    with running(hub_of(feed, board), timers=timers) as system:
        everything = feed.subscribe()
        first = feed.subscribe(["piece.*"])
        second = feed.subscribe(["piece.completed"])
        settle(system)
        first.close()
        settle(system)
        timers.advance(60)
        settle(system)
        assert board.wanted == [{"piece"}]
        second.close()
        settle(system)
        timers.advance(29)
        settle(system)
        assert board.wanted == [{"piece"}]
        timers.advance(2)
        settle(system)
        assert board.wanted == [{"piece"}, frozenset()]
        assert feed.switched_on == frozenset()
        everything.close()


def test_a_listener_that_comes_back_in_time_keeps_its_group_on(feed: HubFeed) -> None:
    board, timers = Switchboard(), ManualTimers()
    with running(hub_of(feed, board), timers=timers) as system:
        for _ in range(3):
            listener = feed.subscribe(["peer.*"])
            settle(system)
            listener.close()
            settle(system)
            timers.advance(20)
            settle(system)
        assert board.wanted == [{"peer"}]
        timers.advance(11)
        settle(system)
        assert board.wanted == [{"peer"}, frozenset()]


def test_each_group_has_its_own_30_s(feed: HubFeed) -> None:
    board, timers = Switchboard(), ManualTimers()
    with running(hub_of(feed, board), timers=timers) as system:
        both = feed.subscribe(["peer.*", "piece.*"])
        pieces = feed.subscribe(["piece.*"])
        settle(system)
        both.close()
        settle(system)
        timers.advance(20)
        pieces.close()
        settle(system)
        timers.advance(20)
        settle(system)
        assert board.wanted == [{"peer", "piece"}, {"piece"}]
        timers.advance(20)
        settle(system)
        assert board.wanted == [{"peer", "piece"}, {"piece"}, frozenset()]


def test_a_restarted_hub_takes_over_what_is_switched_on(feed: HubFeed) -> None:
    board, timers = Switchboard(), ManualTimers()
    with running(hub_of(feed, board), timers=timers) as system:
        left = feed.subscribe(["piece.*"])
        settle(system)
        left.close()
        settle(system)
        generation = system.health()["children"][0]["generation"]
        system.restart("events")
        eventually(lambda: system.health()["children"][0]["generation"] > generation)
        eventually(lambda: system.address("events").tell_or_drop(Publish(())))
        assert feed.switched_on == {"piece"}
        stays = feed.subscribe(["peer.*"])
        settle(system)
        assert board.wanted == [{"piece"}, {"peer", "piece"}]
        timers.advance(31)
        settle(system)
        assert board.wanted[2:] == [{"peer"}]
        stays.close()
