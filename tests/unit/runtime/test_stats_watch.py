"""Whose totals are published each second, and what does it cost to listen to everything?"""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from revaer.domain.events import Event, StatsUpdated
from revaer.domain.ids import InfoHash
from revaer.domain.reducer import EVERYTHING
from revaer.runtime.board_table import BoardTable, RowChange
from revaer.runtime.listeners import NOBODY, Audience
from revaer.runtime.stats_watch import StatsWatch
from tests.unit.cli.records import HASH, record_of

OTHER = InfoHash("b" * 40)


class Round:
    """A board with two torrents, an audience, and what was published."""

    def __init__(self) -> None:
        self.board = BoardTable()
        self.audience = NOBODY
        self.published: list[Event] = []
        self.batches = 0
        parts = SimpleNamespace(board=self.board, publish=self._publish)
        self.watch = StatsWatch(cast("Any", parts), lambda: self.audience)
        self.show(HASH, 0.25)
        self.show(OTHER, 0.5)

    def _publish(self, *events: Event) -> None:
        self.batches += 1
        self.published += events

    def show(self, info_hash: InfoHash, progress: float, sequence: int = 1) -> None:
        record = record_of(info_hash=info_hash, progress=progress, sequence=sequence)
        self.board.commit([RowChange(info_hash, record, EVERYTHING)])

    def tick(self) -> list[InfoHash]:
        self.published.clear()
        self.watch.tick()
        return [one.info_hash for one in self.published if isinstance(one, StatsUpdated)]


def test_nothing_is_published_while_nobody_listens() -> None:
    assert Round().tick() == []


def test_a_torrent_that_is_named_is_told_each_second() -> None:
    subject = Round()
    subject.audience = Audience(named=frozenset({HASH}))

    assert [subject.tick(), subject.tick(), subject.tick()] == [[HASH]] * 3


def test_the_event_holds_totals_rates_peers_and_progress() -> None:
    subject = Round()
    subject.audience = Audience(named=frozenset({HASH}))
    record = subject.board.get(HASH)
    assert record is not None
    status = record.status._replace(downloaded_bytes=10, uploaded_bytes=20, upload_rate=3)
    subject.board.commit([RowChange(HASH, replace(record, status=status), EVERYTHING)])

    subject.tick()

    assert subject.published == [
        StatsUpdated(
            info_hash=HASH,
            downloaded_bytes=10,
            uploaded_bytes=20,
            download_rate=1 << 20,
            upload_rate=3,
            peers=3,
            progress=0.25,
        )
    ]


def test_who_hears_everything_hears_each_torrent_once_and_then_those_that_moved() -> None:
    subject = Round()
    subject.audience = Audience(everything=True)

    assert subject.tick() == [HASH, OTHER]
    assert subject.tick() == []
    subject.show(OTHER, 0.75)
    assert subject.tick() == [OTHER]
    subject.show(OTHER, 0.75, sequence=2)
    assert subject.tick() == []


def test_a_second_goes_to_the_hub_as_one_message() -> None:
    subject = Round()
    subject.audience = Audience(everything=True, named=frozenset({HASH}))

    assert subject.tick() == [HASH, OTHER]
    assert subject.tick() == [HASH]
    assert subject.batches == 2


def test_who_comes_back_hears_every_torrent_again() -> None:
    subject = Round()
    subject.audience = Audience(everything=True)
    subject.tick()

    subject.audience = NOBODY
    subject.tick()
    subject.audience = Audience(everything=True)

    assert subject.tick() == [HASH, OTHER]


def test_a_torrent_that_is_gone_is_not_told_of() -> None:
    subject = Round()
    subject.audience = Audience(everything=True, named=frozenset({HASH}))
    subject.tick()

    subject.board.commit([RowChange(HASH, None, EVERYTHING)])

    assert subject.tick() == []
