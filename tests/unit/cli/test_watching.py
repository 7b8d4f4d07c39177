"""What is told of a run, and when is it over?"""

from dataclasses import replace

from revaer.cli.watching import (
    NAMING_S,
    SETTLE_S,
    Begun,
    Completed,
    Failed,
    MetadataKnown,
    Notice,
    Outcome,
    StateMoved,
    Watch,
    outcome_of,
)
from revaer.domain.events import PublishedEvent, TorrentAdded, TorrentStateChanged
from revaer.domain.ids import EventId, InfoHash, Revision
from revaer.domain.reducer import EVERYTHING
from revaer.domain.torrent import (
    Activity,
    Fault,
    FaultCode,
    Phase,
    TorrentRecord,
    TorrentState,
)
from revaer.runtime.board_table import BoardTable, RowChange
from tests.unit.cli.records import HASH, record_of

OTHER = InfoHash("b" * 40)
MAGNET = InfoHash("c" * 40)


class Run:
    """A watch over a real board."""

    def __init__(self, *wanted: InfoHash, resumed: tuple[InfoHash, ...] = ()) -> None:
        self.board = BoardTable()
        self.watch = Watch(wanted or (HASH,), resumed=resumed, magnets=(MAGNET,), started_at=100.0)
        self.now = 100.0

    def show(self, *records: TorrentRecord) -> list[Notice]:
        """Put records on the board, and look."""
        self.board.commit([RowChange(one.info_hash, one, EVERYTHING) for one in records])
        return self.look()

    def is_over(self) -> bool:
        return self.watch.is_over

    def look(self) -> list[Notice]:
        return self.watch.look(self.board, self.now)

    def hear(self, event: TorrentStateChanged | TorrentAdded, revision: int) -> list[Notice]:
        return self.watch.hear(PublishedEvent(EventId(1), event, Revision(revision)), self.board)


def kinds(notices: list[Notice]) -> list[type[Notice]]:
    return [type(notice) for notice in notices]


def test_a_torrent_is_told_once_and_says_whether_it_was_known() -> None:
    run = Run(HASH, OTHER, resumed=(OTHER,))
    notices = run.show(record_of(), record_of(info_hash=OTHER))
    assert [(n.record.info_hash, n.is_resumed) for n in notices if isinstance(n, Begun)] == [
        (HASH, False),
        (OTHER, True),
    ]
    assert run.look() == []
    assert run.watch.running == (HASH, OTHER)


def test_a_torrent_that_reads_its_resume_data_is_told_when_it_is_known_how_far_it_is() -> None:
    run = Run(resumed=(HASH,))
    reading = record_of(activity=Activity.CHECKING_RESUME, progress=0.0)
    assert run.show(record_of(sequence=0)) == []
    assert run.show(reading) == []
    (begun,) = run.show(record_of(progress=0.4))
    assert isinstance(begun, Begun)
    assert begun.record.status.progress == 0.4


def test_a_torrent_that_reads_its_resume_data_for_long_is_told_all_the_same() -> None:
    run = Run()
    reading = record_of(activity=Activity.CHECKING_RESUME)
    assert run.show(reading) == []
    run.now += SETTLE_S
    assert kinds(run.look()) == [Begun]


def test_the_metadata_of_a_magnet_is_told_when_it_comes() -> None:
    run = Run(MAGNET)
    assert kinds(run.show(record_of(info_hash=MAGNET, has_metadata=False))) == [Begun]
    assert kinds(run.show(record_of(info_hash=MAGNET))) == [MetadataKnown]
    assert run.look() == []


def test_the_metadata_of_a_magnet_is_told_also_when_it_came_before_anybody_looked() -> None:
    assert kinds(Run(MAGNET).show(record_of(info_hash=MAGNET))) == [Begun, MetadataKnown]


def test_a_run_is_over_when_every_torrent_is_complete_or_failed() -> None:
    run = Run(HASH, OTHER)
    run.show(record_of(), record_of(info_hash=OTHER))
    assert not run.is_over()
    assert kinds(run.show(record_of(is_verified=True))) == [Completed]
    assert not run.is_over()
    full = Fault(FaultCode.DISK_FULL, "no room")
    (failed,) = run.show(record_of(info_hash=OTHER, fault=full))
    assert isinstance(failed, Failed)
    assert (failed.code, failed.message) == ("disk_full", "no room")
    assert run.is_over()
    assert run.watch.running == (OTHER,)
    assert run.watch.outcomes == {HASH: Outcome.COMPLETE, OTHER: Outcome.FAILED}


def test_a_run_is_not_over_before_its_torrents_were_seen() -> None:
    assert not Run().is_over()


def test_a_torrent_that_recovers_runs_again_and_its_next_fault_is_told_again() -> None:
    run = Run()
    full = record_of(fault=Fault(FaultCode.DISK_FULL, "no room"))
    assert kinds(run.show(full)) == [Begun, Failed]
    assert run.look() == []
    assert run.show(record_of()) == []
    assert not run.is_over()
    assert kinds(run.show(full)) == [Failed]


def test_a_torrent_that_had_everything_is_complete_without_a_byte_fetched() -> None:
    run = Run(resumed=(HASH,))
    begun, completed = run.show(record_of(is_verified=True, session_bytes=0))
    assert isinstance(begun, Begun)
    assert isinstance(completed, Completed)
    assert completed.was_there


def test_the_engines_bare_error_waits_for_the_fault_that_names_the_cause() -> None:
    run = Run()
    bare = record_of(error="Is a directory")
    assert kinds(run.show(bare)) == [Begun]
    assert not run.is_over()
    (failed,) = run.show(record_of(error="Is a directory", fault=Fault(FaultCode.UNWRITABLE, "x")))
    assert isinstance(failed, Failed)
    assert failed.code == "unwritable"


def test_the_engines_bare_error_is_told_when_nobody_names_it() -> None:
    run = Run()
    run.show(record_of(error="Is a directory"))
    run.now += NAMING_S
    (failed,) = run.look()
    assert isinstance(failed, Failed)
    assert (failed.code, failed.message) == ("engine", "Is a directory")
    assert run.is_over()


def test_complete_wins_over_a_fault() -> None:
    late = Fault(FaultCode.ENGINE, "tracker gone")
    assert outcome_of(record_of(is_verified=True, fault=late)) is Outcome.COMPLETE
    assert outcome_of(record_of(error="gone")) is Outcome.FAILED
    assert outcome_of(record_of()) is Outcome.RUNNING


def test_states_are_told_as_they_pass_but_not_those_of_before_the_first_sight() -> None:
    run = Run()
    run.show(record_of())
    moved = TorrentStateChanged(
        HASH, TorrentState.STALLED, Phase.NONE, previous=TorrentState.DOWNLOADING
    )
    assert run.hear(moved, run.board.revision) == []
    (notice,) = run.hear(moved, run.board.revision + 1)
    assert isinstance(notice, StateMoved)
    assert (notice.state, notice.previous) == (TorrentState.STALLED, TorrentState.DOWNLOADING)


def test_events_of_other_kinds_and_other_torrents_are_not_told() -> None:
    run = Run()
    run.show(record_of())
    assert run.hear(TorrentAdded(HASH, "album"), 99) == []
    other = TorrentStateChanged(
        OTHER, TorrentState.STALLED, Phase.NONE, previous=TorrentState.DOWNLOADING
    )
    assert run.hear(other, 99) == []


def test_a_torrent_that_loses_a_file_after_its_completion_runs_again() -> None:
    run = Run()
    run.show(record_of(is_verified=True))
    assert run.is_over()
    run.show(replace(record_of(), is_verified=False))
    assert not run.is_over()
