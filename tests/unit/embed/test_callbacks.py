"""Do callbacks get what they asked for, whatever they do: raise, dawdle, unsubscribe, close?"""

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from actors.testing import eventually
from revaer.domain import events as ev
from revaer.domain import session_events as se
from revaer.domain.errors import ClosedError, InvalidInputError
from revaer.domain.ids import InfoHash, Revision
from revaer.domain.session_events import SessionEvent, Translator
from revaer.runtime.callbacks import Dispatcher, EventQueue
from revaer.runtime.event_hub import HubFeed
from revaer.runtime.event_ring import EventRing
from revaer.runtime.listeners import NOBODY, Audience

HASH = InfoHash("a" * 40)
OTHER = InfoHash("b" * 40)
STRANGER = InfoHash("c" * 40)
SOON_S = 10.0


class World:
    """A feed without actors, a dispatcher for two torrents, and what its callbacks heard."""

    def __init__(self, capacity: int = 1000) -> None:
        self.feed = HubFeed(EventRing(wall_clock=time.time))
        self.own: list[InfoHash] = [HASH, OTHER]
        self.heard: list[SessionEvent] = []
        self.idle: list[SessionEvent] = []
        translator = Translator(
            lambda _: None, lambda one: one in self.own, lambda: tuple(self.own)
        )
        self.dispatcher = Dispatcher(
            self.feed,
            translator,
            lambda: tuple(self.own),
            when_idle=self._take_idle,
            capacity=capacity,
        )

    def _take_idle(self) -> list[SessionEvent]:
        taken, self.idle = self.idle, []
        return taken

    def announce(self, *events: ev.Event) -> None:
        self.feed.publish((event, Revision(0)) for event in events)

    def tracker(self, *urls: str, info_hash: InfoHash = HASH) -> None:
        self.announce(*(ev.TrackerSucceeded(info_hash, url, 1) for url in urls))

    @property
    def urls(self) -> list[str]:
        return [one.data.tracker_url for one in self.heard if isinstance(one.data, se.TrackerEvent)]

    def hear(self, event: SessionEvent) -> None:
        self.heard.append(event)


@pytest.fixture
def world() -> Iterator[World]:
    before = set(threading.enumerate())
    world = World()
    yield world
    world.dispatcher.close()
    world.feed.close()
    eventually(lambda: set(threading.enumerate()) <= before)


def test_the_oldest_give_way_and_are_counted() -> None:
    queue = EventQueue(capacity=2)

    queue.put(ev.TrackerSucceeded(HASH, str(number), 1) for number in range(5))
    taken = queue.take(0.0)

    assert [one.url for one in taken or () if isinstance(one, ev.TrackerSucceeded)] == ["3", "4"]
    assert queue.dropped == 3


def test_a_closed_queue_gives_what_is_left_and_takes_nothing() -> None:
    queue = EventQueue()
    queue.put([ev.TrackerSucceeded(HASH, "t", 1)])
    queue.close()
    queue.put([ev.TrackerSucceeded(HASH, "late", 1)])

    assert len(queue.take(0.0) or ()) == 1
    assert queue.take(0.0) is None


def test_what_comes_after_a_kept_place_waits_for_it() -> None:
    queue = EventQueue()
    before, kept, later = (ev.TrackerSucceeded(HASH, url, 1) for url in ("1", "2", "3"))

    queue.put([before])
    place = queue.reserve()
    queue.put([later])
    assert queue.take(0.0) == [before]
    assert queue.take(0.0) == []
    queue.fill(place, [kept])

    assert queue.take(0.0) == [kept, later]


def test_a_closed_queue_waits_for_no_kept_place() -> None:
    queue = EventQueue()
    queue.reserve()
    later = ev.TrackerSucceeded(HASH, "3", 1)
    queue.put([later])
    queue.close()

    assert queue.take(0.0) == [later]
    assert queue.take(0.0) is None


def test_what_a_call_says_comes_before_what_happens_during_the_call(world: World) -> None:
    world.dispatcher.subscribe("*", world.hear)
    started = SessionEvent(
        se.SESSION_STARTED, HASH, se.SessionStateEvent(HASH, se.SessionState.DOWNLOADING, "")
    )

    with world.dispatcher.telling_first() as told:
        world.tracker("meanwhile")
        told.append(started)

    eventually(lambda: len(world.heard) == 2, within_s=SOON_S)
    assert world.heard[0] is started


def test_a_call_that_fails_holds_nothing_up(world: World) -> None:
    world.dispatcher.subscribe("*", world.hear)

    with pytest.raises(ValueError, match="refused"), world.dispatcher.telling_first():
        raise ValueError("refused")
    world.tracker("after")

    eventually(lambda: world.urls == ["after"], within_s=SOON_S)


def test_a_callback_that_retires_hears_what_waits_and_is_forgotten(world: World) -> None:
    gate, entered = threading.Event(), threading.Event()

    def hold(_: SessionEvent) -> None:
        entered.set()
        gate.wait(SOON_S)

    leaving = world.dispatcher.subscribe("tracker.*", world.hear, HASH)
    world.dispatcher.subscribe("tracker.*", hold, OTHER)
    world.tracker("first", info_hash=OTHER)
    assert entered.wait(SOON_S)
    world.tracker("last")
    world.dispatcher.retire([leaving])
    world.tracker("too late")
    gate.set()

    eventually(lambda: not leaving.is_active, within_s=SOON_S)
    world.tracker("much too late")
    assert world.urls == ["last"]


def test_nothing_runs_or_listens_before_the_first_subscription(world: World) -> None:
    assert world.feed.listeners == 0
    assert "revaer-callbacks" not in {thread.name for thread in threading.enumerate()}


def test_a_callback_hears_its_torrent_and_a_manager_s_hears_all_of_its_own(world: World) -> None:
    all_heard: list[SessionEvent] = []
    world.dispatcher.subscribe("tracker.*", world.hear, HASH)
    world.dispatcher.subscribe("tracker.success", all_heard.append)

    world.tracker("mine")
    world.tracker("theirs", info_hash=STRANGER)
    world.tracker("other", info_hash=OTHER)

    eventually(lambda: len(all_heard) == 2, within_s=SOON_S)
    assert world.urls == ["mine"]


def test_everything_does_not_switch_pieces_and_peers_on(world: World) -> None:
    world.dispatcher.subscribe("*", world.hear)
    assert world.feed.demand == frozenset()

    pieces = world.dispatcher.subscribe("piece.completed", world.hear)
    peers = world.dispatcher.subscribe("peer.*", world.hear)
    assert world.feed.demand == {"piece", "peer"}

    pieces.unsubscribe()
    assert world.feed.demand == {"peer"}
    peers.unsubscribe()
    assert world.feed.demand == frozenset()


def test_stats_are_asked_for_by_torrent_and_follow_what_the_owner_has(world: World) -> None:
    session = world.dispatcher.subscribe("stats.update", world.hear, HASH)
    assert world.feed.stats_audience == Audience(named=frozenset({HASH}))

    everything = world.dispatcher.subscribe("*", world.hear)
    assert world.feed.stats_audience.named == {HASH, OTHER}
    world.own.append(STRANGER)
    world.dispatcher.torrents_moved()
    assert world.feed.stats_audience.named == {HASH, OTHER, STRANGER}

    everything.unsubscribe()
    assert world.feed.stats_audience.named == {HASH}
    session.unsubscribe()
    assert world.feed.stats_audience == NOBODY


def test_the_first_torrent_of_a_manager_that_had_none_is_told_of(world: World) -> None:
    world.own.clear()
    world.dispatcher.subscribe("stats.*", world.hear)
    assert not world.feed.stats_audience

    world.own.append(HASH)
    world.dispatcher.torrents_moved()

    assert world.feed.stats_audience.named == {HASH}


@pytest.mark.parametrize("error", [ValueError("planted"), SystemExit(3), KeyboardInterrupt()])
def test_a_callback_that_raises_costs_the_others_nothing(
    world: World, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_event: SessionEvent) -> None:
        raise error

    with caplog.at_level(logging.ERROR):
        world.dispatcher.subscribe("tracker.*", fail)
        world.dispatcher.subscribe("tracker.*", world.hear)
        world.tracker("first", "second")
        eventually(lambda: world.urls == ["first", "second"], within_s=SOON_S)

    assert "callback_failed" in caplog.text


def test_a_callback_can_unsubscribe_itself_and_hears_no_more(world: World) -> None:
    def once(event: SessionEvent) -> None:
        world.hear(event)
        subscription.unsubscribe()

    last: list[SessionEvent] = []
    subscription = world.dispatcher.subscribe("tracker.*", once)
    world.dispatcher.subscribe("tracker.*", last.append)

    world.tracker("first", "second", "third")

    eventually(lambda: len(last) == 3, within_s=SOON_S)
    assert world.urls == ["first"]


def test_a_callback_can_subscribe_another(world: World) -> None:
    def more(_event: SessionEvent) -> None:
        world.dispatcher.subscribe("session.*", world.hear)

    world.dispatcher.subscribe("tracker.*", more)
    world.tracker("go")
    eventually(lambda: world.feed.listeners == 2, within_s=SOON_S)

    world.announce(ev.TorrentFailed(HASH, "engine", "planted"))

    eventually(lambda: world.heard, within_s=SOON_S)


def test_a_slow_callback_loses_the_oldest_and_the_loss_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(capacity=3)
    gate, reached = threading.Event(), threading.Event()

    def dawdle(event: SessionEvent) -> None:
        world.hear(event)
        reached.set()
        gate.wait(SOON_S)

    with caplog.at_level(logging.WARNING):
        world.dispatcher.subscribe("tracker.*", dawdle)
        world.tracker("first")
        assert reached.wait(SOON_S)
        world.tracker(*"abcde")
        gate.set()
        eventually(lambda: len(world.heard) == 4, within_s=SOON_S)
        world.dispatcher.close()

    assert world.urls == ["first", "c", "d", "e"]
    assert world.dispatcher.dropped == 2
    assert "events_dropped" in caplog.text


def test_close_tells_what_waits_and_then_calls_nobody(world: World) -> None:
    world.dispatcher.subscribe("tracker.*", world.hear)
    world.tracker(*"abc")

    world.dispatcher.close()
    world.dispatcher.close()
    world.tracker("late")

    assert world.urls == ["a", "b", "c"]
    assert world.feed.listeners == 0
    with pytest.raises(ClosedError):
        world.dispatcher.subscribe("*", world.hear)


def test_close_inside_of_a_callback_does_not_wait_for_itself(world: World) -> None:
    def close(event: SessionEvent) -> None:
        world.hear(event)
        world.dispatcher.close()

    world.dispatcher.subscribe("tracker.*", close)
    world.tracker("only")

    eventually(
        lambda: (
            world.heard
            and "revaer-callbacks" not in {thread.name for thread in threading.enumerate()}
        ),
        within_s=SOON_S,
    )


def test_what_no_event_says_is_asked_for(world: World) -> None:
    told = SessionEvent("session.error", HASH, se.SessionErrorEvent("all is lost", 1))
    world.idle.append(told)
    world.dispatcher.subscribe("session.error", world.hear)

    eventually(lambda: world.heard == [told], within_s=SOON_S)


def test_an_unknown_event_is_refused_before_anything_starts(world: World) -> None:
    with pytest.raises(InvalidInputError):
        world.dispatcher.subscribe("torrent.*", world.hear)

    assert world.feed.listeners == 0
