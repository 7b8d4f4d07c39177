"""What the storage probe is asked in each round: every place, the files in trouble, some others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from revaer.domain.ids import InfoHash, Revision
from revaer.domain.reducer import FIELD_BITS
from revaer.domain.storage import STORAGE_FAULTS, FilesAsked
from revaer.domain.torrent import Activity, FaultCode, TorrentRecord, TorrentSpec
from revaer.ports.board import Board
from revaer.runtime.holds import Holds
from revaer.runtime.messages import ProbeStorage
from revaer.runtime.roster import Roster
from revaer.runtime.session_parts import wanted_files

PLACES_PER_ROUND = 100
FILES_PER_ROUND = 5_000
"""Most files of torrents in trouble that one round looks at; the next round goes on with others."""

PATROL_FILES = 200
"""Files of complete torrents that one round looks at: 3 us each while their names are cached."""

CENSUS_S = 30.0
"""All torrents are walked over this often, whatever the board says of changes."""

_CHECKING = frozenset({Activity.CHECKING, Activity.CHECKING_RESUME})

_CENSUS_BITS = sum(
    FIELD_BITS[name]
    for name in (
        "metainfo",
        "is_verified",
        "fault",
        "spec.save_path",
        "spec.moving_to",
        "status.activity",
        "status.in_upload_mode",
    )
)
_DONE_BIT = FIELD_BITS["status.done_bytes"]


@dataclass(slots=True, kw_only=True)
class Round:
    """What was asked, as things were then.

    Attributes:
        number: grows from round to round.
        asked_at: the session's clock.
        by_place: torrents with metadata by save path.
        owners: those of them that had bytes there.
        held: save paths of torrents that wait for their storage to come back.
        troubled: torrents that are held, or have a fault of the storage.
        refusing: torrents that write nothing, and nobody has heard why.
        specs: what was asked of each torrent whose files are looked at.
        places: save paths asked about.
        files: files asked about.
        waiting: places that are not answered for yet.
        is_done: nothing more is to come.
    """

    number: int
    asked_at: float
    by_place: dict[str, list[InfoHash]] = field(default_factory=dict)
    owners: dict[str, frozenset[InfoHash]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    troubled: list[TorrentRecord] = field(default_factory=list)
    refusing: list[InfoHash] = field(default_factory=list)
    specs: dict[InfoHash, TorrentSpec] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    files: tuple[FilesAsked, ...] = ()
    waiting: dict[str, None] = field(default_factory=dict)
    is_done: bool = False

    @property
    def message(self) -> ProbeStorage:
        """The questions, for the probe."""
        return ProbeStorage(self.number, self.places, self.files)


@dataclass(slots=True, kw_only=True)
class _Census:
    """Who is where, as of one walk over all torrents: kept while nothing of it has changed."""

    taken_at: float = float("-inf")
    revision: Revision = Revision(0)
    holds: int = -1
    by_place: dict[str, list[InfoHash]] = field(default_factory=dict)
    owners: dict[str, frozenset[InfoHash]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    with_data: set[InfoHash] = field(default_factory=set)
    troubled: list[InfoHash] = field(default_factory=list)
    refusing: list[InfoHash] = field(default_factory=list)
    whole: list[InfoHash] = field(default_factory=list)


class StorageRounds:
    """Plans rounds, so that each comes to everything in turn and none grows with the torrents."""

    def __init__(self, board: Board, roster: Roster, holds: Holds) -> None:
        """Begin with the first of everything.

        Args:
            board: the torrents as they are shown.
            roster: those of them that are not being removed.
            holds: those that are held.
        """
        self._board = board
        self._roster = roster
        self._holds = holds
        self._census = _Census()
        self._number = 0
        self._place_turn = 0
        self._trouble_turn = 0
        self._patrol_turn = 0

    def plan(self, now: float) -> Round:
        """Plan a round; walks over all torrents only when that would find something new."""
        self._number += 1
        if self._is_outdated(now):
            self._census = self._take_census(now)
        census = self._census
        plan = Round(
            number=self._number,
            asked_at=now,
            by_place=census.by_place,
            owners=census.owners,
            held=census.held,
            troubled=list(self._records(census.troubled)),
            refusing=census.refusing,
        )
        plan.places = self._next_places(plan)
        plan.waiting = dict.fromkeys(plan.places)
        plan.files = self._choose(plan, census.whole)
        return plan

    def _is_outdated(self, now: float) -> bool:
        census = self._census
        if now - census.taken_at >= CENSUS_S or census.holds != self._holds.changes:
            return True
        changes = self._board.changes_since(census.revision)
        if changes is None or changes.removed:
            return True
        if any(self._is_news(info_hash, mask) for info_hash, mask in changes.changed.items()):
            return True
        census.revision = changes.revision
        return False

    def _is_news(self, info_hash: InfoHash, mask: int) -> bool:
        """Whether a change makes another place or another trouble of a torrent's.

        Bytes come all the time; only the first ones say something new.
        """
        if mask & _CENSUS_BITS:
            return True
        if not mask & _DONE_BIT:
            return False
        record = self._board.get(info_hash)
        return record is None or has_data(record) != (info_hash in self._census.with_data)

    def _take_census(self, now: float) -> _Census:
        revision = self._board.revision  # before the records: nothing falls between
        census = _Census(taken_at=now, revision=revision, holds=self._holds.changes)
        owners: dict[str, list[InfoHash]] = {}
        for record in self._board.records():
            info_hash = record.info_hash
            if has_data(record):
                census.with_data.add(info_hash)
            if record.metainfo is None or self._roster.find(info_hash) is None:
                continue
            path = record.spec.save_path
            census.by_place.setdefault(path, []).append(info_hash)
            if info_hash in census.with_data:
                owners.setdefault(path, []).append(info_hash)
            hold = self._holds.find(info_hash)
            if hold is not None and hold.fault.code is FaultCode.STORAGE_ABSENT:
                census.held.add(path)
            fault = record.fault
            if hold is not None or (fault is not None and fault.code in STORAGE_FAULTS):
                census.troubled.append(info_hash)
            elif fault is None:
                if record.is_verified:
                    census.whole.append(info_hash)
                if record.status.in_upload_mode:
                    census.refusing.append(info_hash)
        census.owners = {path: frozenset(ids) for path, ids in owners.items()}
        return census

    def _records(self, torrents: Iterable[InfoHash]) -> Iterator[TorrentRecord]:
        """The torrents as they are now; those that are going are left out."""
        for info_hash in torrents:
            record = self._board.get(info_hash)
            if record is not None and self._roster.find(info_hash) is not None:
                yield record

    def _next_places(self, plan: Round) -> tuple[str, ...]:
        places = sorted(plan.by_place)
        turn = self._place_turn % max(len(places), 1)
        self._place_turn = turn + PLACES_PER_ROUND if len(places) > PLACES_PER_ROUND else 0
        return tuple((places[turn:] + places[:turn])[:PLACES_PER_ROUND])

    def _choose(self, plan: Round, whole: list[InfoHash]) -> tuple[FilesAsked, ...]:
        chosen: list[FilesAsked] = []
        troubled = plan.troubled
        turn = self._trouble_turn % max(len(troubled), 1)
        in_turn = troubled[turn:] + troubled[:turn]
        self._trouble_turn = turn + _take(plan, chosen, in_turn, FILES_PER_ROUND)
        turn = self._patrol_turn % max(len(whole), 1)
        self._patrol_turn = turn + _take(
            plan, chosen, self._records(islice(whole, turn, None)), PATROL_FILES
        )
        return tuple(chosen)


def has_data(record: TorrentRecord) -> bool:
    """Whether the engine says that a torrent has bytes; while it checks, nobody knows."""
    return record.status.done_bytes > 0 and record.status.activity not in _CHECKING


def is_on_the_move(record: TorrentRecord) -> bool:
    """Whether a torrent's files lie in two places now."""
    return bool(record.spec.moving_to) or record.status.is_moving


def _take(
    plan: Round, chosen: list[FilesAsked], records: Iterable[TorrentRecord], budget: int
) -> int:
    """Choose torrents until their files are as many as the budget; says how many."""
    taken = 0
    for record in records:
        if budget <= 0:
            break
        taken += 1
        asked = _question(record)
        if asked is not None:
            chosen.append(asked)
            budget -= max(len(asked.files), 1)
            plan.specs[record.info_hash] = record.spec
    return taken


def _question(record: TorrentRecord) -> FilesAsked | None:
    """The files of a torrent that tell how its storage is: those that should have bytes."""
    code = None if record.fault is None else record.fault.code
    if record.metainfo is None or is_on_the_move(record) or code is FaultCode.DISK_FULL:
        return None  # of a full disk, its place says it all
    for_writing = code is FaultCode.UNWRITABLE
    wanted = tuple(wanted_files(record.spec, record.metainfo))
    if not record.status.is_finished and not for_writing:
        done = record.files_done
        begun = tuple(entry for entry in wanted if entry.index < len(done) and done[entry.index])
        wanted = begun or wanted
    return FilesAsked(record.info_hash, record.spec.save_path, wanted, for_writing=for_writing)
