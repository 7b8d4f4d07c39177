"""Does a round miss anything because the walk over all torrents was kept from an earlier round?"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revaer.domain import facts as f
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.reducer import apply
from revaer.domain.torrent import (
    Activity,
    Fault,
    FaultCode,
    FileEntry,
    Metainfo,
    TorrentRecord,
    TorrentSpec,
    TorrentStatus,
)
from revaer.runtime.board_table import BoardTable, RowChange
from revaer.runtime.holds import Hold, Holds
from revaer.runtime.roster import Roster
from revaer.runtime.storage_rounds import CENSUS_S, Round, StorageRounds

IDS = tuple(InfoHash(f"{number:040x}") for number in range(3))
ABSENT = Fault(FaultCode.STORAGE_ABSENT, "away")
METAINFO = Metainfo(
    name="film",
    files=(FileEntry(0, "film/a.mkv", 100),),
    total_size_bytes=100,
    piece_length=16,
    piece_count=7,
)


def spec_of(info_hash: InfoHash, save_path: str = "/data") -> TorrentSpec:
    return TorrentSpec(
        info_hash=info_hash, name="film", save_path=save_path, added_at=EpochSeconds(1)
    )


class CountingBoard(BoardTable):
    """The table, with the walks over all of it counted."""

    walks = 0

    def records(self) -> Sequence[TorrentRecord]:
        self.walks += 1
        return super().records()


class Torrents:
    """A board, a roster and holds that change as the session's do, and the rounds over them."""

    def __init__(self) -> None:
        self.board = CountingBoard()
        self.roster = Roster()
        self.holds = Holds()
        self.rounds = StorageRounds(self.board, self.roster, self.holds)
        self.now = 0.0
        self._sequence = 0

    def tell(self, *facts: f.TorrentFact) -> None:
        for fact in facts:
            applied = apply(self.board.get(fact.info_hash), [fact])
            if applied.mask or applied.record is not None:
                self.board.commit([RowChange(fact.info_hash, applied.record, applied.mask)])

    def add(self, info_hash: InfoHash, metainfo: Metainfo | None = METAINFO) -> None:
        spec = spec_of(info_hash)
        self.roster.put(spec)
        self.tell(f.TorrentKnown(info_hash, spec, metainfo, f.Origin.ADDED))

    def report(
        self, info_hash: InfoHash, done: int, activity: Activity, *, in_upload_mode: bool = False
    ) -> None:
        self._sequence += 1
        status = TorrentStatus(
            info_hash,
            sequence=self._sequence,
            activity=activity,
            is_finished=done >= METAINFO.total_size_bytes,
            has_metadata=True,
            in_upload_mode=in_upload_mode,
            done_bytes=done,
        )
        self.tell(f.StatusReported(info_hash, status))

    def move(self, info_hash: InfoHash, save_path: str) -> None:
        spec = replace(self.roster.get(info_hash), save_path=save_path)
        self.roster.put(spec)
        self.tell(f.SpecChanged(info_hash, spec))

    def remove(self, info_hash: InfoHash) -> None:
        self.roster.drop(info_hash, with_data=False)
        del self.roster.removing[info_hash]
        self.holds.drop(info_hash)
        self.tell(f.TorrentForgotten(info_hash, with_data=False))

    def plan(self) -> Round:
        self.now += 1.0
        return self.rounds.plan(self.now)


def said(rounds: Iterable[Round]) -> object:
    """All that rounds say; the files of whole torrents come in turns, so two rounds say them."""
    last = None
    specs: set[InfoHash] = set()
    for last in rounds:
        specs |= last.specs.keys()
    assert last is not None
    troubled = {record.info_hash for record in last.troubled}
    by_place = {path: set(ids) for path, ids in last.by_place.items()}
    return by_place, last.owners, last.held, troubled, set(last.refusing), specs


STEPS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from([METAINFO, None])),
    st.tuples(
        st.just("report"),
        st.sampled_from([0, 0, 10, 100]),
        st.sampled_from([Activity.DOWNLOADING, Activity.CHECKING, Activity.SEEDING]),
        st.booleans(),
    ),
    st.tuples(st.just("verify")),
    st.tuples(st.just("metadata")),
    st.tuples(st.just("fault"), st.sampled_from(list(FaultCode))),
    st.tuples(st.just("well")),
    st.tuples(st.just("hold")),
    st.tuples(st.just("let go")),
    st.tuples(st.just("move"), st.sampled_from(["/data", "/other"])),
    st.tuples(st.just("remove")),
    st.tuples(st.just("plan")),
)


def take(  # noqa: C901, PLR0912 one arm per kind of step
    torrents: Torrents, info_hash: InfoHash, step: tuple[object, ...]
) -> None:
    is_known = torrents.roster.find(info_hash) is not None
    match step:
        case ("plan",):
            torrents.plan()
        case ("add", Metainfo() | None as metainfo) if not is_known:
            torrents.add(info_hash, metainfo)
        case _ if not is_known:
            pass
        case ("report", int(done), Activity() as activity, bool(in_upload_mode)):
            torrents.report(info_hash, done, activity, in_upload_mode=in_upload_mode)
        case ("verify",):
            torrents.tell(f.PayloadVerified(info_hash, EpochSeconds(2)))
        case ("metadata",):
            torrents.tell(f.MetadataReceived(info_hash, METAINFO))
        case ("fault", FaultCode() as code):
            torrents.tell(f.FaultRaised(info_hash, Fault(code, "broken")))
        case ("well",):
            torrents.tell(f.FaultCleared(info_hash))
        case ("hold",):
            torrents.holds.put(info_hash, Hold(fault=ABSENT))
        case ("let go",):
            torrents.holds.drop(info_hash)
        case ("move", str(save_path)):
            torrents.move(info_hash, save_path)
        case ("remove",):
            torrents.remove(info_hash)
        case _:
            pass


@given(st.lists(st.tuples(st.sampled_from(IDS), STEPS), max_size=25))
def test_a_kept_walk_says_what_a_new_one_would(
    steps: list[tuple[InfoHash, tuple[object, ...]]],
) -> None:
    torrents = Torrents()

    for info_hash, step in steps:
        take(torrents, info_hash, step)
        fresh = StorageRounds(torrents.board, torrents.roster, torrents.holds)
        kept = said([torrents.plan(), torrents.plan()])

        assert kept == said([fresh.plan(0.0), fresh.plan(1.0)])


@pytest.mark.parametrize("then", [40, 100], ids=["more", "all"])
def test_a_torrent_is_an_owner_from_its_first_byte_on(then: int) -> None:
    torrents = Torrents()
    torrents.add(IDS[0])
    torrents.report(IDS[0], 0, Activity.DOWNLOADING)
    before = torrents.plan().owners
    torrents.report(IDS[0], then, Activity.DOWNLOADING)

    assert before == {}
    assert torrents.plan().owners == {"/data": frozenset(IDS[:1])}


def test_bytes_that_follow_others_cost_no_walk() -> None:
    torrents = Torrents()
    for info_hash in IDS:
        torrents.add(info_hash)
        torrents.report(info_hash, 10, Activity.DOWNLOADING)
    torrents.plan()
    walks = torrents.board.walks
    for done in range(11, 31):
        for info_hash in IDS:
            torrents.report(info_hash, done, Activity.DOWNLOADING)
        torrents.plan()

    assert torrents.now < CENSUS_S
    assert torrents.board.walks == walks
