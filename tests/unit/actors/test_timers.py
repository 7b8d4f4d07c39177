"""Do timers run in order, at their time, once, and never after a cancel that said so?"""

from __future__ import annotations

import random
import sys
import threading
import time
import weakref
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import pytest

from actors.testing import ManualClock, ManualTimers, eventually
from actors.timers import TimerService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.timers import TimerHandle


@pytest.fixture
def service() -> Iterator[TimerService]:
    timers = TimerService()
    timers.start()
    yield timers
    assert timers.stop(10.0), "the timer thread has not ended"


def fail_with(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


# --- the service -------------------------------------------------------------------------------


def test_a_timer_runs_once_and_not_before_its_time(service: TimerService) -> None:
    ran_at: list[float] = []
    due = time.monotonic() + 0.05
    service.after(0.05, lambda: ran_at.append(time.monotonic()))
    eventually(lambda: ran_at)
    eventually(lambda: service.pending == 0)
    assert len(ran_at) == 1
    assert ran_at[0] >= due


@pytest.mark.parametrize("delay_s", [0.0, -5.0])
def test_a_delay_that_is_over_runs_at_once(service: TimerService, delay_s: float) -> None:
    ran = threading.Event()
    service.after(delay_s, ran.set)
    assert ran.wait(10)


def test_a_delay_that_is_no_number_is_refused(service: TimerService) -> None:
    with pytest.raises(ValueError, match="not a number"):
        service.after(float("nan"), lambda: None)


def test_a_delay_without_end_harms_nobody(service: TimerService) -> None:
    never = service.after(float("inf"), lambda: None)
    ran = threading.Event()
    service.after(0.01, ran.set)
    assert ran.wait(10)
    assert never.cancel()


def test_ten_thousand_timers_run_in_the_order_of_their_times() -> None:
    rng = random.Random(1)
    ran: list[tuple[float, int]] = []
    delays = [rng.choice([0.0, rng.random() / 100]) for _ in range(10_000)]
    # With a clock that stands still the due times are exact, and equal ones keep their order.
    clock = ManualClock()
    service = TimerService(clock=clock)
    for number, delay_s in enumerate(delays):
        service.after(delay_s, partial(ran.append, (delay_s, number)))
    assert service.pending == 10_000
    clock.advance(1.0)
    service.start()
    eventually(lambda: len(ran) == 10_000, within_s=30)
    assert ran == sorted(ran)
    assert service.stop(10.0)


def test_timers_that_are_set_meanwhile_run_in_order_too(service: TimerService) -> None:
    ran: list[TimerHandle] = []
    rng = random.Random(2)

    def add(delay_s: float) -> None:
        handles: list[TimerHandle] = []
        handles.append(service.after(delay_s, lambda: ran.extend(handles)))

    def add_many() -> None:
        # In the timer thread itself: none of them can run before all are set.
        for _ in range(200):
            add(rng.random() / 10)

    service.after(0, add_many)
    eventually(lambda: len(ran) == 200)
    dues = [handle.due for handle in cast("list[Any]", ran)]
    assert all(earlier <= later for earlier, later in pairwise(dues))


def test_a_nearer_timer_is_not_kept_waiting_by_a_far_one(service: TimerService) -> None:
    service.after(3600, lambda: None)
    ran = threading.Event()
    service.after(0.01, ran.set)
    assert ran.wait(10)


def test_a_callback_may_set_and_cancel_timers(service: TimerService) -> None:
    done = threading.Event()
    victim = service.after(3600, lambda: None)

    def cancel() -> None:
        if victim.cancel():
            done.set()

    service.after(0, lambda: service.after(0, cancel))
    assert done.wait(10)
    assert service.pending == 0


@pytest.mark.parametrize(
    "error", [RuntimeError("bug"), SystemExit(1), KeyboardInterrupt()], ids=repr
)
def test_a_callback_that_raises_costs_nobody_a_timer(
    service: TimerService, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    ran = threading.Event()
    service.after(0, fail_with(error))
    service.after(0.01, ran.set)
    assert ran.wait(10)
    assert [record.message for record in caplog.records] == ["timer_callback_failed"]


def test_a_callback_is_not_kept_alive_after_it_ran(service: TimerService) -> None:
    class Actor:
        def wake(self) -> None:
            pass

    actor = Actor()
    ghost = weakref.ref(actor)
    handle = service.after(0, actor.wake)
    del actor
    eventually(lambda: ghost() is None)
    assert not handle.cancel()


# --- cancelling --------------------------------------------------------------------------------


def test_a_cancelled_timer_never_runs() -> None:
    service = TimerService()
    ran: list[str] = []
    handle = service.after(0.01, lambda: ran.append("cancelled"))
    service.after(0.02, lambda: ran.append("kept"))
    assert handle.cancel()
    assert not handle.cancel()
    service.start()
    eventually(lambda: ran)
    assert ran == ["kept"]
    assert service.stop(10.0)


def test_a_timer_that_ran_cannot_be_cancelled(service: TimerService) -> None:
    ran = threading.Event()
    handle = service.after(0, ran.set)
    assert ran.wait(10)
    assert not handle.cancel()


def test_each_of_many_racing_timers_either_runs_or_is_cancelled(service: TimerService) -> None:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        ran: list[int] = []
        handles: list[TimerHandle] = [
            service.after(0.0005 * (number % 40), partial(ran.append, number))
            for number in range(2000)
        ]
        said_cancelled: list[int] = []

        def cancel(first: int) -> None:
            numbers = range(first, len(handles), 2)
            said_cancelled.extend(number for number in numbers if handles[number].cancel())

        # Both go over all handles, so that two cancels race each other as well.
        threads = [threading.Thread(target=cancel, args=(first,)) for first in (0, 1, 0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        eventually(lambda: service.pending == 0)
        eventually(lambda: len(ran) + len(said_cancelled) >= 2000)
        assert sorted([*ran, *said_cancelled]) == list(range(2000))
    finally:
        sys.setswitchinterval(usual)


def test_cancelled_timers_do_not_gather() -> None:
    service = TimerService()
    kept = [service.after(3600, lambda: None) for _ in range(10)]
    for _ in range(20_000):
        service.after(3600, lambda: None).cancel()
    assert service.pending == 10
    assert len(service._heap) < 1500
    assert all(handle.cancel() for handle in kept)
    assert service.pending == 0


# --- life of the service -----------------------------------------------------------------------


def test_stop_drops_what_is_pending_and_later_timers_are_born_cancelled() -> None:
    service = TimerService()
    service.start()
    service.start()
    ran: list[int] = []
    before = service.after(3600, lambda: ran.append(1))
    assert service.stop(10.0)
    after = service.after(0, lambda: ran.append(2))
    assert not before.cancel()
    assert not after.cancel()
    assert service.pending == 0
    assert ran == []
    with pytest.raises(RuntimeError, match="was stopped"):
        service.start()


def test_a_service_that_never_ran_stops_at_once() -> None:
    assert TimerService().stop()


def test_stop_by_a_callback_does_not_wait_for_itself() -> None:
    service = TimerService()
    service.start()
    ended: list[bool] = []
    service.after(0, lambda: ended.append(service.stop(60.0)))
    eventually(lambda: ended == [False])
    eventually(lambda: service.stop(1.0))


# --- the double --------------------------------------------------------------------------------


def test_manual_timers_run_at_their_own_time_when_time_passes() -> None:
    timers = ManualTimers()
    start = timers.clock()
    ran: list[tuple[str, float]] = []

    def note(name: str) -> Callable[[], object]:
        return lambda: ran.append((name, timers.clock() - start))

    timers.after(2.0, note("second"))
    timers.after(1.0, lambda: timers.after(0.5, note("first, set by another")))
    timers.after(3.0, note("later"))
    cancelled = timers.after(1.0, note("cancelled"))
    assert cancelled.cancel()
    assert not cancelled.cancel()
    assert timers.advance(2.5) == 3
    assert ran == [("first, set by another", 1.5), ("second", 2.0)]
    assert timers.clock() == start + 2.5
    assert timers.pending == 1
    assert timers.stop()
    assert timers.advance(10.0) == 0


def test_a_manual_clock_never_goes_back() -> None:
    clock = ManualClock(5.0)
    with pytest.raises(ValueError, match="never goes back"):
        clock.advance(-1.0)
    assert clock() == 5.0


def test_waiting_for_what_never_comes_says_what_it_was() -> None:
    with pytest.raises(AssertionError, match="the moon"):
        eventually(lambda: False, within_s=0.01, what="the moon")
