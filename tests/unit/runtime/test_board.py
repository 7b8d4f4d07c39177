"""Does the board's actor show whole batches, announce them in order, and recover from a crash?"""

from typing import Any, cast

import pytest

from actors import ActorSystem, ChildSpec, DynamicSupervisor, StartChild
from actors.testing import eventually
from revaer.domain import facts as f
from revaer.domain.events import Event, PieceCompleted, TorrentAdded
from revaer.domain.ids import EpochSeconds, InfoHash, Revision
from revaer.domain.torrent import Activity, TorrentSpec, TorrentStatus
from revaer.runtime.board import ApplyFacts, BoardActor, TakeIn, by_torrent
from revaer.runtime.board_table import BoardTable
from revaer.runtime.event_hub import Publish
from revaer.runtime.intake import FactIntake
from revaer.runtime.messages import Republish
from tests.unit.runtime.little_system import Recorder, at_once, recorder, running

ONE, TWO = InfoHash("1" * 40), InfoHash("2" * 40)


def known(info_hash: InfoHash) -> f.TorrentKnown:
    spec = TorrentSpec(
        info_hash=info_hash, name=info_hash[:3], save_path="/d", added_at=EpochSeconds(1)
    )
    return f.TorrentKnown(info_hash, spec, None, f.Origin.ADDED)


def status(info_hash: InfoHash, done: int) -> f.StatusReported:
    return f.StatusReported(
        info_hash, TorrentStatus(info_hash, done, Activity.DOWNLOADING, done_bytes=done)
    )


BROKEN = f.StatusReported(ONE, cast("TorrentStatus", None))


def board_of(table: BoardTable, source: str | None = None) -> ChildSpec:
    return at_once("board", lambda: BoardActor(table, source_path=source))


def apply(system: ActorSystem, *facts: f.TorrentFact) -> Revision:
    revision: Revision = system.address("board").ask(ApplyFacts(facts), timeout_s=30)
    return revision


def published(messages: list[Any]) -> list[tuple[Event, Revision]]:
    return [pair for message in messages if isinstance(message, Publish) for pair in message.events]


def test_facts_are_grouped_by_torrent_and_keep_their_order() -> None:
    facts: list[f.TorrentFact] = [
        status(ONE, 1),
        status(TWO, 1),
        known(ONE),
        status(TWO, 2),
        status(ONE, 2),
    ]
    assert by_torrent(facts) == {
        ONE: [status(ONE, 1), known(ONE), status(ONE, 2)],
        TWO: [status(TWO, 1), status(TWO, 2)],
    }
    assert list(by_torrent(facts)) == [ONE, TWO]


def test_an_ask_answers_with_the_revision_that_shows_it() -> None:
    table = BoardTable()
    with running(recorder("events", []), board_of(table)) as system:
        revision = apply(system, known(ONE), known(TWO), status(ONE, 5))
        assert revision == table.revision == 1
        record = table.get(ONE)
        assert record is not None
        assert record.status.done_bytes == 5
        assert apply(system, status(ONE, 6)) == 2
        assert apply(system, status(ONE, 6)) == 2
        assert apply(system, f.TorrentForgotten(ONE, with_data=False)) == 3
        assert table.get(ONE) is None


def test_events_reach_the_hub_in_order_with_the_revision_that_shows_them() -> None:
    messages: list[Any] = []
    with running(recorder("events", messages), board_of(BoardTable())) as system:
        board = system.address("board")
        board.tell(ApplyFacts((known(ONE), known(TWO))))
        for index in range(1_200):
            board.tell(ApplyFacts((f.PieceFinished(ONE, index),)))
        eventually(lambda: PieceCompleted(ONE, 1_199) in dict(published(messages)), within_s=30)
    pairs = published(messages)
    assert (TorrentAdded(ONE, "111"), 1) in pairs
    assert (TorrentAdded(TWO, "222"), 1) in pairs
    pieces = [event for event, _ in pairs if isinstance(event, PieceCompleted)]
    assert pieces == [PieceCompleted(ONE, index) for index in range(1_200)]
    assert not any(message.after_loss for message in messages)


def test_what_is_left_goes_to_the_hub_at_the_stop() -> None:
    messages: list[Any] = []
    with running(recorder("events", messages), board_of(BoardTable())) as system:
        system.address("board").ask(ApplyFacts((known(ONE),)), timeout_s=30)
    assert TorrentAdded(ONE, "111") in dict(published(messages))


def test_a_batch_that_cannot_be_applied_shows_nothing_and_the_source_is_asked_again() -> None:
    table = BoardTable()
    messages: list[Any] = []
    wishes: list[Any] = []
    children = (recorder("events", messages), recorder("source", wishes))
    with running(*children, board_of(table, "source")) as system:
        before = apply(system, known(ONE))
        with pytest.raises(AttributeError):
            system.address("board").ask(ApplyFacts((known(TWO), BROKEN)), timeout_s=30)
        assert table.get(TWO) is None
        assert table.revision == before
        eventually(lambda: wishes == [Republish()], within_s=30)
        eventually(lambda: system.address("board").tell_or_drop(ApplyFacts((known(TWO),))))
        eventually(lambda: TorrentAdded(TWO, "222") in dict(published(messages)), within_s=30)
        assert table.get(TWO) is not None
    assert [message.after_loss for message in messages] == [False, True]


def test_events_that_a_hub_could_not_take_are_reported_as_lost() -> None:
    messages: list[Any] = []
    hubs = ChildSpec(
        name="hubs",
        factory=lambda: DynamicSupervisor(
            template=lambda key: ChildSpec(name=key, factory=lambda: Recorder(messages))
        ),
    )
    board = at_once("board", lambda: BoardActor(BoardTable(), events_path="hubs.events"))
    with running(hubs, board) as system:
        apply(system, known(ONE))
        apply(system)  # behind the board's own flush
        system.address("hubs").ask(StartChild("events"), timeout_s=30)
        apply(system, known(TWO))
        eventually(lambda: messages, within_s=30)
        apply(system, status(TWO, 1))
        eventually(lambda: len(messages) > 1, within_s=30)
    assert [event for event, _ in messages[0].events if isinstance(event, TorrentAdded)] == [
        TorrentAdded(TWO, "222")
    ]
    assert [message.after_loss for message in messages] == [True, False]


def board_with(table: BoardTable, intake: FactIntake) -> ChildSpec:
    return at_once("board", lambda: BoardActor(table, intake=intake))


def test_one_wake_up_shows_all_that_waits_in_the_intake() -> None:
    table, intake = BoardTable(), FactIntake()
    with running(recorder("events", []), board_with(table, intake)) as system:
        apply(system, known(ONE), known(TWO))
        for step in range(1, 2_001):
            assert intake.offer((status(ONE, step), status(TWO, 2 * step)))
        assert intake.wants_wake_up()
        system.address("board").tell(TakeIn())
        eventually(lambda: len(intake) == 0, within_s=30)
        apply(system)
        one, two = table.get(ONE), table.get(TWO)
    assert one is not None
    assert two is not None
    assert (one.status.done_bytes, two.status.done_bytes) == (2_000, 4_000)
    assert table.revision < 100


def test_what_waits_in_the_intake_is_applied_before_what_is_asked_later() -> None:
    table, intake = BoardTable(), FactIntake()
    with running(recorder("events", []), board_with(table, intake)) as system:
        intake.offer((known(ONE), status(ONE, 7)))
        apply(system, f.TorrentForgotten(ONE, with_data=False))
        assert table.get(ONE) is None


def test_a_new_board_takes_in_what_waited_for_the_old_one() -> None:
    table, intake = BoardTable(), FactIntake()
    intake.offer((known(ONE),))
    assert intake.wants_wake_up()  # the wake-up died with the old one's mailbox
    with running(recorder("events", []), board_with(table, intake)):
        eventually(lambda: table.get(ONE) is not None, within_s=30)
