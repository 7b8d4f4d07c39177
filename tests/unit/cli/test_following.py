"""How does a run end that breaks, fails, cannot save or is interrupted?"""

import io
import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from revaer.cli.following import Broken, Following
from revaer.cli.progress import JsonLines, Silence, Summary
from revaer.cli.projection import DownloadProjection
from revaer.cli.signals import Interruption
from revaer.domain.errors import EngineDownError
from revaer.domain.events import ActorFailed, Event, TorrentStateChanged
from revaer.domain.ids import InfoHash, Revision
from revaer.domain.reducer import EVERYTHING
from revaer.domain.torrent import (
    Fault,
    FaultCode,
    Phase,
    TorrentDescription,
    TorrentRecord,
    TorrentState,
)
from revaer.runtime.board_table import BoardTable, RowChange
from revaer.runtime.event_hub import HubFeed
from revaer.runtime.event_ring import EventRing
from tests.unit.cli.records import HASH, record_of

OTHER = InfoHash("b" * 40)


class ScriptedRun:
    """A run whose board and feed do what a test says once it has started."""

    def __init__(self, *records: TorrentRecord, on_start: Callable[[], object] = int) -> None:
        self.board = BoardTable((DownloadProjection(),))
        self.feed = HubFeed(EventRing(wall_clock=time.time))
        self.wanted = tuple(record.info_hash for record in records)
        self.resumed = frozenset({OTHER})
        self.is_saved = True
        self.reason: Broken | None = None
        self.stops = 0
        self._records = records
        self._on_start = on_start

    def description(self, info_hash: InfoHash) -> TorrentDescription:
        record = self.board.get(info_hash)
        return TorrentDescription(
            info_hash=info_hash,
            infohash_v1=info_hash,
            infohash_v2="",
            name="album",
            metainfo=record.metainfo if record else None,
            magnet_uri="",
        )

    def start(self) -> None:
        self.board.commit([RowChange(one.info_hash, one, EVERYTHING) for one in self._records])
        self._on_start()

    def stop(self) -> None:
        self.stops += 1

    def broken(self) -> Broken | None:
        return self.reason

    def publish(self, event: Event) -> None:
        self.feed.publish(((event, Revision(self.board.revision + 1)),))


@dataclass
class Recorded(Silence):
    """A display that remembers what it was told."""

    told: list[str] = field(default_factory=list)
    summary: Summary | None = None

    def open(self) -> None:
        self.told.append("open")

    def close(self) -> None:
        self.told.append("close")

    def stopping(self) -> None:
        self.told.append("stopping")

    def end(self, summary: Summary) -> None:
        self.summary = summary


def follow(run: ScriptedRun, *, as_json: bool = False) -> tuple[int, Recorded]:
    display = Recorded()
    code = Following(run, display, Interruption(), as_json=as_json).to_the_end()
    assert run.stops == 1
    assert display.told[0] == "open"
    assert display.told[-1] == "close"
    return code, display


def test_all_complete_is_success_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    complete = record_of(is_verified=True)
    code, display = follow(ScriptedRun(complete, record_of(info_hash=OTHER, is_verified=True)))
    assert code == 0
    assert display.summary == Summary(complete=2, failed=0, unfinished=0, exit_code=0)
    assert capsys.readouterr().err == ""


def test_one_failed_is_a_failure_after_the_other_is_complete() -> None:
    failed = record_of(info_hash=OTHER, fault=Fault(FaultCode.DISK_FULL, "no room"))
    code, display = follow(ScriptedRun(record_of(is_verified=True), failed))
    assert code == 3
    assert display.summary == Summary(complete=1, failed=1, unfinished=0, exit_code=3)


@pytest.mark.parametrize("path", ["engine", "engine.session"])
def test_an_engine_that_failed_ends_the_run(capsys: pytest.CaptureFixture[str], path: str) -> None:
    run = ScriptedRun(record_of(), on_start=lambda: run.publish(ActorFailed(path, "died thrice")))
    code, display = follow(run, as_json=True)
    said = capsys.readouterr()
    assert code == 3
    assert said.err == (
        "revaer: the engine failed: died thrice; what was saved is kept, run the same command "
        "again to continue\n"
    )
    assert json.loads(said.out)["code"] == "engine-failed"
    assert display.summary is not None
    assert display.summary.unfinished == 1


def test_one_torrents_helper_that_failed_does_not_end_the_run() -> None:
    def fail() -> None:
        run.publish(ActorFailed("engine.coalescers.x", "died thrice"))

    run = ScriptedRun(record_of(is_verified=True), on_start=fail)
    assert follow(run)[0] == 0


def test_a_broken_tree_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    run = ScriptedRun(record_of())
    run.reason = SimpleNamespace(path="engine.session", message="hung for 60 s")
    assert follow(run)[0] == 3
    assert "revaer: engine.session broke: hung for 60 s;" in capsys.readouterr().err


def test_an_interruption_saves_and_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt() -> None:
        interruption.received = signal.SIGINT

    interruption = Interruption()
    run = ScriptedRun(record_of(), on_start=interrupt)
    display = Recorded()
    assert Following(run, display, interruption, as_json=False).to_the_end() == 3
    assert display.told == ["open", "stopping", "close"]
    assert capsys.readouterr().err == (
        "revaer: interrupted, saved; run the same command again to continue\n"
    )


def test_what_could_not_be_saved_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    run = ScriptedRun(record_of(is_verified=True))
    run.is_saved = False
    assert follow(run)[0] == 0
    assert capsys.readouterr().err.startswith("revaer: not everything could be saved in time;")


def test_a_run_that_cannot_start_is_stopped_all_the_same() -> None:
    def refuse() -> None:
        raise EngineDownError("no engine")

    run = ScriptedRun(record_of(), on_start=refuse)
    display = Recorded()
    with pytest.raises(EngineDownError):
        Following(run, display, Interruption(), as_json=False).to_the_end()
    assert run.stops == 1
    assert display.told == ["open", "close"]


def test_states_that_pass_are_told_as_they_come() -> None:
    out = io.BytesIO()
    moved = TorrentStateChanged(
        HASH, TorrentState.CHECKING, Phase.NONE, previous=TorrentState.STALLED
    )

    class Later(JsonLines):
        def update(self, shown: Sequence[InfoHash], now: float) -> None:
            """Publish after the first sight, complete after the event."""
            run.publish(moved)
            done = record_of(is_verified=True)
            run.board.commit([RowChange(HASH, done, EVERYTHING)])

    run = ScriptedRun(record_of())
    code = Following(run, Later(run.board, out), Interruption(), as_json=True).to_the_end()
    assert code == 0
    kinds = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert kinds == ["added", "state", "completed", "done"]
