"""Is every batch left for the board taken once, in order, with a wake-up that is never missed?"""

import sys
import threading
from collections.abc import Iterator

import pytest

from revaer.domain.facts import PieceFinished, TorrentFact
from revaer.domain.ids import InfoHash
from revaer.runtime.intake import FactIntake

ID = InfoHash("a" * 40)


def batch(*numbers: int) -> tuple[TorrentFact, ...]:
    return tuple(PieceFinished(ID, number) for number in numbers)


def test_batches_are_taken_whole_and_in_order() -> None:
    intake = FactIntake()
    for numbers in ((1, 2), (3,), (4, 5), (6,)):
        assert intake.offer(batch(*numbers))
    assert intake.take(most=4) == list(batch(1, 2, 3, 4, 5))
    assert intake.take(most=4) == list(batch(6))
    assert intake.take(most=4) == []


def test_a_full_intake_refuses_until_something_was_taken() -> None:
    intake = FactIntake(max_batches=2)
    assert intake.offer(batch(1))
    assert intake.offer(batch(2))
    assert not intake.offer(batch(3))
    assert len(intake) == 2
    intake.take(most=1)
    assert intake.offer(batch(3))


def test_one_of_those_who_offer_wakes_the_board() -> None:
    intake = FactIntake()
    assert not intake.wants_wake_up()
    intake.offer(batch(1))
    assert intake.wants_wake_up()
    intake.offer(batch(2))
    assert not intake.wants_wake_up()
    intake.take(most=1)
    assert intake.wants_wake_up()


def test_a_wake_up_that_failed_is_tried_again() -> None:
    intake = FactIntake()
    intake.offer(batch(1))
    assert intake.wants_wake_up()
    intake.not_woken()
    assert intake.wants_wake_up()


@pytest.fixture
def hasty_switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_switching")
def test_a_board_that_only_looks_when_woken_gets_everything_once_and_in_order() -> None:
    intake = FactIntake()
    wake_ups = threading.Semaphore(0)
    writers, each = 6, 400
    taken: list[TorrentFact] = []

    def offer(writer: int) -> None:
        for number in range(each):
            assert intake.offer(batch(writer * each + number))
            if intake.wants_wake_up():
                wake_ups.release()

    def take() -> None:
        while len(taken) < writers * each:
            assert wake_ups.acquire(timeout=30), f"nobody woke the board at {len(taken)}"
            taken.extend(intake.take(most=50))
            if intake.wants_wake_up():
                wake_ups.release()

    threads = [threading.Thread(target=offer, args=(writer,)) for writer in range(writers)]
    board = threading.Thread(target=take)
    for thread in (board, *threads):
        thread.start()
    for thread in (*threads, board):
        thread.join(60)
    numbers = [fact.piece_index for fact in taken if isinstance(fact, PieceFinished)]
    assert sorted(numbers) == list(range(writers * each))
    for writer in range(writers):
        own = [number for number in numbers if number // each == writer]
        assert own == sorted(own)
