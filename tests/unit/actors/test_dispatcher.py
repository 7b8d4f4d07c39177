"""Does everybody get a turn, never two at once, and can nothing cost the pool a worker?"""

from __future__ import annotations

import sys
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING

import pytest

from actors.dispatcher import Dispatcher
from actors.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Worker:
    """A runnable with a list of work, which sees when two turns overlap."""

    def __init__(
        self,
        work: int = 0,
        *,
        handle: Callable[[int], object] = lambda _: None,
        log: list[str] | None = None,
        name: str = "",
    ) -> None:
        self.work = deque(range(work))
        self.handle = handle
        self.log = log
        self.name = name
        self.handled = 0
        self.turns = 0
        self.overlaps = 0
        self._busy = threading.Lock()

    def run_turn(self, quantum: int) -> bool:
        if not self._busy.acquire(blocking=False):
            self.overlaps += 1
            return False
        try:
            self.turns += 1
            if self.log is not None:
                self.log.append(self.name)
            for _ in range(quantum):
                if not self.work:
                    return False
                self.handle(self.work.popleft())
                self.handled += 1
            return bool(self.work)
        finally:
            self._busy.release()


@pytest.fixture
def pool() -> Iterator[Dispatcher]:
    dispatcher = Dispatcher(workers=2, quantum=4)
    dispatcher.start()
    yield dispatcher
    assert dispatcher.stop(10.0), "a worker has not ended"


@pytest.fixture
def tiny_switch_interval() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def threads_named(prefix: str) -> int:
    return sum(thread.name.startswith(prefix) for thread in threading.enumerate())


def raise_(error: BaseException) -> None:
    raise error


def test_work_left_after_a_turn_brings_another_turn(pool: Dispatcher) -> None:
    worker = Worker(10)
    pool.submit(worker)
    eventually(lambda: worker.handled == 10)
    assert worker.turns == 3


def test_turns_go_round_so_that_a_flood_delays_others_by_one_quantum() -> None:
    log: list[str] = []
    dispatcher = Dispatcher(workers=1, quantum=4)
    flooded = Worker(20, log=log, name="flooded")
    others = [Worker(6, log=log, name=name) for name in "ab"]
    for worker in (flooded, *others):
        dispatcher.submit(worker)
    dispatcher.start()
    eventually(lambda: flooded.handled == 20 and all(other.handled == 6 for other in others))
    first_rounds = ["flooded", "a", "b", "flooded", "a", "b"]
    assert log == [*first_rounds, "flooded", "flooded", "flooded"]
    assert dispatcher.stop(10.0)


def test_an_idle_runnable_costs_nothing(pool: Dispatcher) -> None:
    workers = [Worker(1) for _ in range(100)]
    for worker in workers:
        pool.submit(worker)
    eventually(lambda: all(worker.handled == 1 for worker in workers))
    eventually(lambda: not pool._turns and not pool._running)
    assert pool.waiting == 0
    ghost = weakref.ref(workers.pop())
    del worker
    eventually(lambda: ghost() is None)


def test_submitting_twice_while_waiting_gives_one_turn() -> None:
    dispatcher = Dispatcher(workers=1)
    worker = Worker()
    dispatcher.submit(worker)
    dispatcher.submit(worker)
    assert dispatcher.waiting == 1
    dispatcher.start()
    eventually(lambda: dispatcher.waiting == 0)
    assert dispatcher.stop(10.0)
    assert worker.turns == 1


def test_work_announced_during_a_turn_brings_another_turn(pool: Dispatcher) -> None:
    worker = Worker()
    entered, announced = threading.Event(), threading.Event()

    def wait_for_announcement(_: int) -> None:
        entered.set()
        announced.wait(10)

    class LooksTooEarly:
        """Finds no work at the end of its turn, though some was just announced."""

        turns = 0

        def run_turn(self, quantum: int) -> bool:
            self.turns += 1
            if self.turns == 1:
                wait_for_announcement(quantum)
            return False

    early = LooksTooEarly()
    pool.submit(early)
    assert entered.wait(10)
    pool.submit(early)
    announced.set()
    eventually(lambda: early.turns == 2)
    assert worker.turns == 0


@pytest.mark.usefixtures("tiny_switch_interval")
def test_no_wake_up_is_forgotten_and_no_two_turns_overlap() -> None:
    dispatcher = Dispatcher(workers=4, quantum=3)
    dispatcher.start()
    workers = [Worker() for _ in range(20)]
    producers, each = 6, 1500

    def produce(first: int) -> None:
        for number in range(each):
            worker = workers[(first + number * 7) % len(workers)]
            worker.work.append(number)
            dispatcher.submit(worker)

    threads = [threading.Thread(target=produce, args=(first,)) for first in range(producers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    total = producers * each
    eventually(lambda: sum(worker.handled for worker in workers) == total, within_s=30)
    assert sum(worker.overlaps for worker in workers) == 0
    assert dispatcher.stop(10.0)


@pytest.mark.parametrize(
    "error", [RuntimeError("bug"), SystemExit(1), KeyboardInterrupt()], ids=repr
)
def test_a_turn_that_raises_costs_the_pool_no_worker(
    pool: Dispatcher, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    broken = [Worker(1, handle=lambda _: raise_(error)) for _ in range(50)]
    for worker in broken:
        pool.submit(worker)
    eventually(lambda: all(worker.turns == 1 for worker in broken))
    both_at_once = threading.Barrier(3)
    busy = [Worker(1, handle=lambda _: both_at_once.wait(10)) for _ in range(2)]
    for worker in busy:
        pool.submit(worker)
    both_at_once.wait(10)  # breaks unless two workers are left to come here
    assert pool.workers == 2
    assert {record.message for record in caplog.records} == {"turn_failed"}


def test_a_runnable_that_raised_can_be_woken_again(
    pool: Dispatcher, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(1, handle=lambda _: raise_(RuntimeError("bug")))
    pool.submit(worker)
    eventually(lambda: worker.turns == 1 and not pool._turns)
    worker.handle = lambda _: None
    worker.work.append(2)
    pool.submit(worker)
    eventually(lambda: worker.handled == 1)
    assert len(caplog.records) == 1


def test_a_stuck_turn_that_is_abandoned_is_made_up_for_by_a_new_worker() -> None:
    dispatcher = Dispatcher(workers=1, name="stuck")
    dispatcher.start()
    entered, release = threading.Event(), threading.Event()

    def get_stuck(_: int) -> None:
        entered.set()
        release.wait(30)

    stuck, other = Worker(1, handle=get_stuck), Worker(1)
    dispatcher.submit(stuck)
    assert entered.wait(10)
    dispatcher.submit(other)
    assert not dispatcher.abandon(other)
    assert dispatcher.abandon(stuck)
    assert dispatcher.abandon(stuck)
    eventually(lambda: other.handled == 1)
    assert (dispatcher.workers, dispatcher.abandoned) == (1, 1)
    release.set()
    eventually(lambda: dispatcher.abandoned == 0)
    eventually(lambda: threads_named("stuck") == 1, what="the abandoned worker to end")
    assert dispatcher.workers == 1
    assert stuck.overlaps == 0
    assert dispatcher.stop(10.0)
    assert threads_named("stuck") == 0


def test_stop_lets_the_present_turn_end_and_gives_no_other() -> None:
    dispatcher = Dispatcher(workers=1)
    dispatcher.start()
    entered, release = threading.Event(), threading.Event()

    def hold(_: int) -> None:
        entered.set()
        release.wait(30)

    holding, waiting = Worker(2, handle=hold), Worker(1)
    dispatcher.submit(holding)
    assert entered.wait(10)
    dispatcher.submit(waiting)
    assert not dispatcher.stop(0.01)
    release.set()
    assert dispatcher.stop(10.0)
    dispatcher.submit(waiting)
    assert (waiting.turns, dispatcher.waiting) == (0, 0)
    with pytest.raises(RuntimeError, match="was stopped"):
        dispatcher.start()


def test_stop_by_a_turn_does_not_wait_for_itself(pool: Dispatcher) -> None:
    ended: list[bool] = []
    pool.submit(Worker(1, handle=lambda _: ended.append(pool.stop(30.0))))
    eventually(lambda: ended == [True])


@pytest.mark.parametrize(("workers", "quantum"), [(0, 1), (1, 0)])
def test_a_pool_that_could_do_nothing_is_refused(workers: int, quantum: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Dispatcher(workers, quantum)


# --- who somebody waits for -------------------------------------------------------------------


def lined_up(*, urgent: int, told: int) -> list[str]:
    """The turns of a single worker that finds all of these waiting."""
    log: list[str] = []
    dispatcher = Dispatcher(workers=1, quantum=4)
    for number in range(told):
        dispatcher.submit(Worker(1, log=log, name=f"told-{number}"))
    for number in range(urgent):
        dispatcher.submit(Worker(1, log=log, name=f"asked-{number}"), urgent=True)
    dispatcher.start()
    eventually(lambda: len(log) == urgent + told)
    assert dispatcher.stop(10.0)
    return log


def test_who_is_asked_has_a_turn_before_who_is_told() -> None:
    assert lined_up(urgent=2, told=3) == ["asked-0", "asked-1", "told-0", "told-1", "told-2"]


def test_a_flood_of_asks_leaves_every_fourth_turn_to_the_others() -> None:
    assert lined_up(urgent=7, told=2) == [
        "asked-0",
        "asked-1",
        "asked-2",
        "told-0",
        "asked-3",
        "asked-4",
        "asked-5",
        "told-1",
        "asked-6",
    ]


def test_one_that_waits_already_moves_forward_and_still_has_one_turn() -> None:
    log: list[str] = []
    dispatcher = Dispatcher(workers=1, quantum=4)
    told = [Worker(1, log=log, name=name) for name in ("first", "second")]
    for worker in told:
        dispatcher.submit(worker)
    dispatcher.submit(told[1], urgent=True)
    assert dispatcher.waiting == 2

    dispatcher.start()

    eventually(lambda: len(log) == 2)
    assert dispatcher.stop(10.0)
    assert log == ["second", "first"]
    assert [worker.turns for worker in told] == [1, 1]


def test_urgent_and_usual_work_from_many_threads_overlaps_nowhere(
    pool: Dispatcher, tiny_switch_interval: None
) -> None:
    workers = [Worker() for _ in range(20)]

    def produce() -> None:
        for number in range(500):
            worker = workers[number % len(workers)]
            worker.work.append(number)
            pool.submit(worker, urgent=number % 3 == 0)

    threads = [threading.Thread(target=produce) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    eventually(lambda: sum(worker.handled for worker in workers) == 2000, within_s=20.0)
    assert not any(worker.overlaps for worker in workers)
