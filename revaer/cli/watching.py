"""What there is to tell of a run: decided from the board, and for states from the feed as well.

Completion and failure are read from the board alone, so a lost event can never hang a command.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from revaer.cli.projection import trouble_of
from revaer.domain.events import PublishedEvent, TorrentStateChanged
from revaer.domain.ids import InfoHash, Revision
from revaer.domain.torrent import Activity, Phase, TorrentRecord, TorrentState
from revaer.ports.board import Board

NAMING_S: Final = 1.0
"""How long the engine's bare error waits for the fault that names its cause and the remedy."""

SETTLE_S: Final = 2.0
"""How long a torrent may take to read its resume data before it is shown all the same."""


class Outcome(StrEnum):
    """How far one torrent of the run is."""

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Begun:
    """First sight of a torrent; `is_resumed` when the directory knew it already."""

    record: TorrentRecord
    is_resumed: bool


@dataclass(frozen=True, slots=True)
class MetadataKnown:
    """A magnet's files became known."""

    record: TorrentRecord


@dataclass(frozen=True, slots=True)
class StateMoved:
    """People see another state or phase."""

    record: TorrentRecord
    state: TorrentState
    phase: Phase
    previous: TorrentState


@dataclass(frozen=True, slots=True)
class Completed:
    """Every wanted byte is on disk; `was_there` when nothing had to be fetched for it."""

    record: TorrentRecord
    was_there: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A torrent cannot go on by itself."""

    record: TorrentRecord
    code: str
    message: str


Notice: TypeAlias = Begun | MetadataKnown | StateMoved | Completed | Failed


def outcome_of(record: TorrentRecord) -> Outcome:
    """Complete wins over a fault: the bytes are there."""
    if record.is_complete:
        return Outcome.COMPLETE
    return Outcome.FAILED if trouble_of(record) is not None else Outcome.RUNNING


@dataclass(slots=True)
class _Seen:
    """What was told of one torrent so far."""

    revision: Revision
    has_metadata: bool
    trouble: tuple[str, str] | None = None
    unnamed_since: float | None = None
    is_complete: bool = False

    def awaits_name(self, record: TorrentRecord, now: float) -> bool:
        """Whether a failure has only just been seen, and not yet by its name."""
        if record.fault is not None:
            self.unnamed_since = None
            return False
        if self.unnamed_since is None:
            self.unnamed_since = now
        return now - self.unnamed_since < NAMING_S


class Watch:
    """Remembers what was told, so that each thing is told once."""

    def __init__(
        self,
        wanted: Iterable[InfoHash],
        *,
        resumed: Iterable[InfoHash] = (),
        magnets: Iterable[InfoHash] = (),
        started_at: float,
    ) -> None:
        """Nothing has been told.

        Args:
            wanted: the torrents of this run.
            resumed: those among them that the directory knew already.
            magnets: those whose source does not name their files: their metadata is told, also
                when it was there before anybody looked.
            started_at: monotonic seconds.
        """
        self._wanted = tuple(wanted)
        self._resumed = frozenset(resumed)
        self._magnets = frozenset(magnets)
        self._show_by = started_at + SETTLE_S
        self._seen: dict[InfoHash, _Seen] = {}
        self.outcomes: dict[InfoHash, Outcome] = dict.fromkeys(self._wanted, Outcome.RUNNING)

    @property
    def is_over(self) -> bool:
        """Whether every torrent is complete or failed, and that was told."""
        return all(
            outcome is not Outcome.RUNNING and info_hash in self._seen
            for info_hash, outcome in self.outcomes.items()
        )

    @property
    def running(self) -> tuple[InfoHash, ...]:
        """Torrents that were shown and are not complete, in the order of the command line."""
        return tuple(
            info_hash
            for info_hash in self._wanted
            if info_hash in self._seen and self.outcomes[info_hash] is not Outcome.COMPLETE
        )

    def look(self, board: Board, now: float) -> list[Notice]:
        """Compare the board with what was told.

        Args:
            board: the run's.
            now: monotonic seconds.
        """
        revision = board.revision  # before the records: what they show is at least this new
        notices: list[Notice] = []
        for info_hash in self._wanted:
            record = board.get(info_hash)
            if record is not None:
                notices += self._look_at(info_hash, record, revision, now)
        return notices

    def hear(self, published: PublishedEvent, board: Board) -> list[Notice]:
        """Take an event in: states may pass too quickly for `look`."""
        event = published.event
        if not isinstance(event, TorrentStateChanged):
            return []
        seen = self._seen.get(event.info_hash)
        if seen is None or published.revision <= seen.revision:
            return []  # what was told at first sight includes it
        record = board.get(event.info_hash)
        if record is None:
            return []
        return [StateMoved(record, event.state, event.phase, event.previous)]

    def _look_at(
        self, info_hash: InfoHash, record: TorrentRecord, revision: Revision, now: float
    ) -> list[Notice]:
        notices: list[Notice] = []
        seen = self._seen.get(info_hash)
        if seen is None:
            if not _is_settled(record) and now < self._show_by:
                return []
            seen = _Seen(revision, has_metadata=info_hash not in self._magnets)
            self._seen[info_hash] = seen
            notices.append(Begun(record, info_hash in self._resumed))
        if record.metainfo is not None and not seen.has_metadata:
            seen.has_metadata = True
            notices.append(MetadataKnown(record))
        outcome, trouble = outcome_of(record), trouble_of(record)
        if outcome is Outcome.FAILED and seen.awaits_name(record, now):
            outcome, trouble = Outcome.RUNNING, None
        self.outcomes[info_hash] = outcome
        if outcome is Outcome.COMPLETE and not seen.is_complete:
            notices.append(Completed(record, record.status.downloaded_session_bytes == 0))
        elif outcome is Outcome.FAILED and trouble is not None and trouble != seen.trouble:
            notices.append(Failed(record, *trouble))
        if trouble_of(record) is None:
            seen.unnamed_since = None
        seen.trouble = trouble
        seen.is_complete = outcome is Outcome.COMPLETE
        return notices


def _is_settled(record: TorrentRecord) -> bool:
    """Whether the engine has read what it was given: before that, nothing is known of progress."""
    if outcome_of(record) is not Outcome.RUNNING:
        return True
    return record.status.sequence > 0 and record.status.activity is not Activity.CHECKING_RESUME
