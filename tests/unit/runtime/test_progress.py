"""What of a busy torrent's reports goes on to the board, when, and when does its actor end?"""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import (
    ActorSystem,
    ChildSpec,
    DynamicSupervisor,
    Restart,
    StartChild,
    UnknownName,
)
from actors.testing import ManualTimers, eventually
from revaer.domain import facts as f
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import Activity, TorrentStatus
from revaer.runtime.board import TakeIn
from revaer.runtime.intake import FactIntake
from revaer.runtime.progress import Gathering, ProgressCoalescer, TorrentFacts
from tests.unit.runtime.little_system import Recorder, recorder, running

ID = InfoHash("a" * 40)
BUSY = TorrentStatus(ID, 1, Activity.DOWNLOADING)


def status(sequence: int, **fields: Any) -> f.StatusReported:
    return f.StatusReported(ID, BUSY._replace(sequence=sequence, **fields))


def piece(index: int) -> f.PieceFinished:
    return f.PieceFinished(ID, index)


VERIFIED = f.PayloadVerified(ID, EpochSeconds(5))


def begun() -> Gathering:
    """A gathering that sent its first status at 0."""
    gathering = Gathering(period_s=0.1)
    assert gathering.take([status(1)], 0.0)
    gathering.sent(0.0)
    return gathering


def test_the_first_facts_go_at_once() -> None:
    gathering = Gathering()
    assert gathering.take([piece(1)], 1000.0)
    assert gathering.gathered == (piece(1),)


def test_what_comes_within_the_period_waits_for_its_end() -> None:
    gathering = begun()
    assert not gathering.take([status(2)], 0.04)
    assert gathering.due_in(0.04) == pytest.approx(0.06)
    assert not gathering.take([status(3)], 0.09)
    assert gathering.take([status(4)], 0.1)
    assert gathering.gathered == (status(4),)


def test_the_newest_status_wins_and_stands_at_its_own_place() -> None:
    gathering = begun()
    gathering.take([status(2), piece(1), status(3), piece(2)], 0.01)
    assert gathering.gathered == (piece(1), status(3), piece(2))


def test_the_newest_file_progress_wins_and_stands_at_its_own_place() -> None:
    gathering = begun()
    files = [f.FilesProgressed(ID, (n,)) for n in range(3)]
    gathering.take([files[0], piece(1), files[1], status(2), files[2]], 0.01)
    assert gathering.gathered == (piece(1), status(2), files[2])


@pytest.mark.parametrize(
    "fact",
    [
        VERIFIED,
        f.MetadataReceived,
        f.FaultCleared(ID),
        f.TrackerAnswered(ID, "http://t", 1),
        f.TorrentForgotten(ID, with_data=False),
        status(3, activity=Activity.FINISHED),
        status(3, is_finished=True),
        status(3, is_paused=True),
        status(3, has_metadata=True),
        status(3, error="disk on fire"),
    ],
    ids=str,
)
def test_facts_that_people_wait_for_take_everything_along_at_once(fact: f.TorrentFact) -> None:
    gathering = begun()
    assert not gathering.take([piece(1)], 0.01)
    assert gathering.take([fact], 0.02)
    assert gathering.gathered == (piece(1), fact)


def test_an_urgent_status_is_not_hidden_by_a_later_one_of_the_same_message() -> None:
    gathering = begun()
    assert gathering.take([status(2, is_finished=True), status(3)], 0.01)


@pytest.mark.parametrize(
    "fact",
    [
        status(2, download_rate=9),
        f.FilesProgressed(ID, (1,)),
        piece(1),
        f.PieceFailed(ID, 1),
        f.PeerJoined(ID, "192.0.2.1:1"),
        f.PeerLeft(ID, "192.0.2.1:1", "bye"),
    ],
    ids=str,
)
def test_facts_that_come_by_the_thousand_can_wait(fact: f.TorrentFact) -> None:
    assert not begun().take([fact], 0.01)


def test_facts_that_nobody_takes_are_bounded_and_the_expendable_go_first() -> None:
    gathering = Gathering(max_gathered=4)
    seen: list[tuple[f.TorrentFact, ...]] = []
    messages: tuple[tuple[f.TorrentFact, ...], ...] = (
        (piece(1), VERIFIED, piece(2), status(1), piece(3)),
        (f.FaultCleared(ID), piece(4), VERIFIED),
        (VERIFIED,),
    )
    for facts in messages:
        gathering.take(facts, 0.0)
        seen.append(gathering.gathered)
    assert seen == [
        (VERIFIED, piece(2), status(1), piece(3)),
        (VERIFIED, status(1), f.FaultCleared(ID), VERIFIED),
        (status(1), f.FaultCleared(ID), VERIFIED, VERIFIED),
    ]
    assert gathering.dropped == 5


FACTS = st.lists(
    st.one_of(
        st.integers(0, 99).map(piece),
        st.integers(0, 99).map(lambda n: f.FilesProgressed(ID, (n,))),
        st.booleans().map(lambda done: status(0, is_finished=done)),
        st.just(VERIFIED),
    ),
    max_size=6,
)


@given(st.lists(st.tuples(st.floats(0, 0.3), FACTS), max_size=30))
def test_what_goes_on_is_what_came_without_replaced_reports(
    steps: Iterable[tuple[float, list[f.TorrentFact]]],
) -> None:
    gathering = Gathering(period_s=0.1)
    now, calm_sent_at, came = 0.0, -1.0, list[f.TorrentFact]()
    went: list[f.TorrentFact] = []
    sequence = 0
    for pause_s, facts in steps:
        now += pause_s
        numbered: list[f.TorrentFact] = []
        for fact in facts:
            if isinstance(fact, f.StatusReported):
                sequence += 1
                numbered.append(f.StatusReported(ID, fact.status._replace(sequence=sequence)))
            else:
                numbered.append(fact)
        came += numbered
        if gathering.take(numbered, now):
            if all(isinstance(fact, f.PieceFinished | f.FilesProgressed) for fact in numbered):
                assert now - calm_sent_at >= 0.1
            calm_sent_at = now
            went += gathering.gathered
            gathering.sent(now)
    went += gathering.gathered
    replaceable = f.StatusReported | f.FilesProgressed
    assert [x for x in went if not isinstance(x, replaceable)] == [
        x for x in came if not isinstance(x, replaceable)
    ]
    for kind in (f.StatusReported, f.FilesProgressed):
        came_of_kind = [x for x in came if isinstance(x, kind)]
        assert [x for x in went if isinstance(x, kind)][-1:] == came_of_kind[-1:]
    positions = iter(came)
    assert all(any(fact is other for other in positions) for fact in went)


class Torrents:
    """Coalescers in a system whose time stands still, and what reached the board."""

    def __init__(self, system: ActorSystem, timers: ManualTimers, board: list[Any]) -> None:
        self._system = system
        self._timers = timers
        self.board = board

    def report(self, *facts: f.TorrentFact) -> None:
        """Route facts as the pump does, and wait until they were handled."""
        self._system.address("coalescers").tell(
            StartChild(ID, first_message=TorrentFacts(ID, facts))
        )
        self.settle()

    def settle(self) -> None:
        """Wait until the coalescer has handled what is in its mailbox."""
        address = self._system.address("coalescers").ask(StartChild(ID), timeout_s=30)
        address.ask(TorrentFacts(ID, ()), timeout_s=30)

    def advance(self, seconds: float) -> None:
        self._timers.advance(seconds)

    def start_board(self) -> None:
        self._system.address("boards").ask(StartChild("board"), timeout_s=30)

    @property
    def alive(self) -> bool:
        try:
            self._system.address(f"coalescers.{ID}")
        except UnknownName:
            return False
        return True

    def batches(self, count: int) -> list[tuple[f.TorrentFact, ...]]:
        """What reached the board, once that is `count` messages."""
        eventually(lambda: len(self.board) >= count, within_s=30)
        assert len(self.board) == count
        return [message.facts for message in self.board]


@pytest.fixture
def torrents() -> Iterator[Torrents]:
    timers = ManualTimers()
    board: list[Any] = []
    boards = ChildSpec(
        name="boards",
        factory=lambda: DynamicSupervisor(
            template=lambda key: ChildSpec(name=key, factory=lambda: Recorder(board))
        ),
    )
    coalescers = ChildSpec(
        name="coalescers",
        factory=lambda: DynamicSupervisor(
            template=lambda key: ChildSpec(
                name=key,
                factory=lambda: ProgressCoalescer(board_path="boards.board"),
                restart=Restart.TRANSIENT,
            )
        ),
    )
    with running(boards, coalescers, timers=timers) as system:
        yield Torrents(system, timers, board)


def test_one_torrent_sends_at_most_ten_calm_batches_per_second(torrents: Torrents) -> None:
    torrents.start_board()
    for step in range(1, 201):
        torrents.report(status(step, download_rate=step))
        torrents.advance(0.01)
    torrents.advance(0.2)
    torrents.settle()
    batches = torrents.batches(len(torrents.board))
    assert 19 <= len(batches) <= 22
    assert batches[0] == (status(1, download_rate=1),)
    assert batches[-1] == (status(200, download_rate=200),)


def test_news_goes_at_once_and_takes_along_what_waits(torrents: Torrents) -> None:
    torrents.start_board()
    torrents.report(status(1))
    torrents.report(piece(1))
    torrents.report(VERIFIED)
    assert torrents.batches(2) == [(status(1),), (piece(1), VERIFIED)]


def test_facts_wait_for_a_board_that_is_away(torrents: Torrents) -> None:
    torrents.report(status(1), VERIFIED)
    torrents.advance(5)
    torrents.report(status(2))
    torrents.start_board()
    torrents.advance(0.2)
    assert torrents.batches(1) == [(VERIFIED, status(2))]


def test_with_an_intake_facts_wait_there_and_the_board_is_woken_once() -> None:
    intake, board = FactIntake(), list[Any]()
    coalescers = [
        ChildSpec(name=f"torrent{n}", factory=lambda: ProgressCoalescer(intake=intake))
        for n in range(5)
    ]
    with running(recorder("board", board), *coalescers, timers=ManualTimers()) as system:
        for spec in coalescers:
            address = system.address(spec.name)
            address.ask(TorrentFacts(ID, (piece(1),)), timeout_s=30)
        eventually(lambda: board, within_s=30)
        assert board == [TakeIn()]
        assert intake.take(most=100) == [piece(1)] * 5


def test_facts_wait_for_room_in_the_intake() -> None:
    intake, timers = FactIntake(max_batches=1), ManualTimers()
    intake.offer((piece(0),))
    coalescer = ChildSpec(name="torrent", factory=lambda: ProgressCoalescer(intake=intake))
    with running(recorder("board", []), coalescer, timers=timers) as system:
        address = system.address("torrent")
        address.ask(TorrentFacts(ID, (VERIFIED,)), timeout_s=30)
        assert intake.take(most=100) == [piece(0)]
        timers.advance(0.2)
        eventually(lambda: len(intake) == 1, within_s=30)
        assert intake.take(most=100) == [VERIFIED]


def test_a_torrent_that_falls_quiet_passivates_and_comes_back(torrents: Torrents) -> None:
    torrents.start_board()
    torrents.report(status(1))
    torrents.advance(20)
    torrents.report(status(2))
    torrents.advance(20)
    torrents.settle()
    assert torrents.alive
    torrents.advance(29)
    torrents.advance(2)
    eventually(lambda: not torrents.alive, within_s=30)
    torrents.report(status(3))
    assert torrents.batches(3)[-1] == (status(3),)


def test_a_torrent_with_unsent_facts_does_not_passivate(torrents: Torrents) -> None:
    torrents.report(VERIFIED)
    for _ in range(20):
        torrents.advance(10)
    assert torrents.alive
    torrents.start_board()

    def is_sent() -> bool:
        # Again and again: the actor sets its next timer in its own time.
        torrents.advance(1)
        return bool(torrents.board)

    eventually(is_sent, within_s=30)
    assert torrents.batches(1) == [(VERIFIED,)]
