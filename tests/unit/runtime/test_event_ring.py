"""Do event ids always grow, and does a returning listener get exactly what it missed?"""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revaer.domain.events import HealthChanged, PublishedEvent
from revaer.domain.ids import EventId, Revision
from revaer.ports.event_feed import Gap
from revaer.runtime.event_ring import EventRing

EVENT = HealthChanged("engine", "ok", "")
NONE = Revision(0)


class WallClock:
    """A wall clock that a test sets."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def fill(ring: EventRing, count: int) -> list[PublishedEvent]:
    return [ring.append(EVENT, NONE) for _ in range(count)]


def test_an_id_tells_its_millisecond() -> None:
    clock = WallClock(1_000.0)
    ring = EventRing(wall_clock=clock)
    clock.now = 1_234.567
    assert ring.append(EVENT, NONE).id >> 20 == 1_234_567


@given(st.lists(st.floats(min_value=0, max_value=4e9), min_size=1, max_size=50))
def test_ids_grow_whatever_the_clock_does(times: list[float]) -> None:
    clock = WallClock(times[0])
    ring = EventRing(wall_clock=clock)
    ids = [ring.last_id]
    for clock.now in times:
        ids.append(ring.append(EVENT, NONE).id)
    assert all(before < after for before, after in itertools.pairwise(ids))


def test_ids_grow_over_a_restart_of_the_process() -> None:
    clock = WallClock()
    last = fill(EventRing(wall_clock=clock), 5_000)[-1].id
    clock.now += 1
    assert EventRing(wall_clock=clock).append(EVENT, NONE).id > last


def test_a_known_floor_holds_when_the_clock_was_set_back_between_two_processes() -> None:
    last = fill(EventRing(wall_clock=WallClock(2_000.0)), 3)[-1].id
    ring = EventRing(wall_clock=WallClock(1_000.0), floor=last)
    assert ring.append(EVENT, NONE).id > last


def test_ids_grow_over_a_cleared_ring() -> None:
    ring = EventRing(wall_clock=WallClock())
    last = fill(ring, 3)[-1].id
    ring.clear()
    assert ring.append(EVENT, NONE).id > last


@pytest.mark.parametrize("seen", range(5))
def test_a_replay_is_every_event_after_the_one_seen(seen: int) -> None:
    ring = EventRing(wall_clock=WallClock())
    events = fill(ring, 5)
    replay = ring.after(events[seen].id)
    assert replay.gap is None
    assert replay.events == tuple(events[seen + 1 :])


def test_an_id_that_was_never_given_out_replays_what_is_above_it() -> None:
    clock = WallClock()
    ring = EventRing(wall_clock=clock)
    early = fill(ring, 2)
    clock.now += 10
    late = fill(ring, 2)
    between = EventId((early[-1].id + late[0].id) // 2)
    replay = ring.after(between)
    assert replay.gap is None
    assert replay.events == tuple(late)


def test_an_id_above_all_replays_nothing() -> None:
    ring = EventRing(wall_clock=WallClock())
    last = fill(ring, 2)[-1].id
    replay = ring.after(EventId(last + 1))
    assert replay == ring.after(last)
    assert replay.gap is None
    assert replay.events == ()


def test_a_full_ring_loses_its_oldest_and_says_so_to_whom_it_concerns() -> None:
    ring = EventRing(3, wall_clock=WallClock())
    events = fill(ring, 5)
    assert ring.after(events[0].id).gap == Gap(events[2].id)
    assert ring.after(events[0].id).events == tuple(events[2:])
    assert ring.after(events[1].id).gap is None
    assert ring.after(events[1].id).events == tuple(events[2:])


def test_an_id_of_an_earlier_process_is_a_gap() -> None:
    clock = WallClock()
    seen = fill(EventRing(wall_clock=clock), 1)[0].id
    clock.now += 60
    ring = EventRing(wall_clock=clock)
    assert ring.after(seen).gap == Gap(ring.oldest)
    event = fill(ring, 1)[0]
    replay = ring.after(seen)
    assert replay.gap == Gap(event.id)
    assert replay.events == (event,)


def test_an_id_ahead_of_the_clock_is_a_gap() -> None:
    ahead = fill(EventRing(wall_clock=WallClock(2_000.0)), 1)[0].id
    ring = EventRing(wall_clock=WallClock(1_000.0))
    assert ring.after(ahead).gap is not None


def test_a_cleared_ring_is_a_gap_for_what_was_in_it_only() -> None:
    ring = EventRing(wall_clock=WallClock())
    events = fill(ring, 3)
    gap = ring.clear()
    assert gap.oldest > events[-1].id
    assert ring.after(events[0].id).gap == gap
    assert ring.after(events[-1].id).gap is None
    assert fill(ring, 1)[0].id >= gap.oldest
