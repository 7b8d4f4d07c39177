"""Do readers on other threads always see whole records, complete changes and fresh fragments?"""

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from actors.testing import eventually
from revaer.domain.ids import EpochSeconds, InfoHash, Revision
from revaer.domain.reducer import EVERYTHING, FIELD_BITS
from revaer.domain.torrent import Metainfo, TorrentRecord, TorrentSpec, TorrentStatus
from revaer.ports.board import Board, BoardChanges
from revaer.runtime.board_table import BoardTable, RowChange

NAME = FIELD_BITS["spec.name"]
DONE = FIELD_BITS["status.done_bytes"]


def hash_of(number: int) -> InfoHash:
    return InfoHash(f"{number:040x}")


def record_of(number: int, done: int = 0, **spec: str) -> TorrentRecord:
    info_hash = hash_of(number)
    return TorrentRecord(
        spec=TorrentSpec(
            info_hash=info_hash,
            name=spec.pop("name", f"torrent {number}"),
            save_path="/data",
            added_at=EpochSeconds(1),
            **spec,  # type: ignore[arg-type] # the texts of a spec
        ),
        metainfo=None,
        status=TorrentStatus(info_hash, done_bytes=done, wanted_done_bytes=done),
    )


def added(*numbers: int) -> list[RowChange]:
    return [RowChange(hash_of(n), record_of(n), EVERYTHING) for n in numbers]


def removed(*numbers: int) -> list[RowChange]:
    return [RowChange(hash_of(n), None, EVERYTHING) for n in numbers]


def changed(number: int, mask: int, done: int = 1) -> RowChange:
    return RowChange(hash_of(number), record_of(number, done), mask)


class CountingProjection:
    """Encodes what was done, and counts how often it was asked."""

    name = "counting"

    def __init__(self) -> None:
        self.encoded: list[InfoHash] = []

    def encode(self, record: TorrentRecord) -> bytes:
        self.encoded.append(record.info_hash)
        return f"{int(record.info_hash, 16)}:{record.status.done_bytes}".encode()


def test_the_table_is_a_board() -> None:
    board: Board = BoardTable()
    assert board.records() == []
    assert board.get("00") is None


def test_records_come_in_the_order_in_which_they_were_added() -> None:
    table = BoardTable()
    table.commit(added(3, 1, 2))
    table.commit([changed(1, DONE)])
    table.commit(removed(3))
    table.commit(added(3, 0))
    assert [r.info_hash for r in table.records()] == [hash_of(n) for n in (1, 2, 3, 0)]
    assert len(table) == 4


V1, V2 = "ab" * 20, "cd" * 32


@pytest.mark.parametrize("own", [V1, V2[:40]], ids=["v1 is the id", "truncated v2 is the id"])
@pytest.mark.parametrize("name", [V1, V1.upper(), V2, V2.upper(), V2[:40], V2[:40].upper()])
def test_a_torrent_is_found_by_each_of_its_hashes(own: str, name: str) -> None:
    spec = TorrentSpec(
        info_hash=InfoHash(own),
        infohash_v1=V1,
        infohash_v2=V2,
        name="hybrid",
        save_path="/data",
        added_at=EpochSeconds(1),
    )
    record = TorrentRecord(spec=spec, metainfo=None, status=TorrentStatus(InfoHash(own)))
    table = BoardTable()
    table.commit([RowChange(InfoHash(own), record, EVERYTHING)])
    assert table.get(name) is record
    table.commit([RowChange(InfoHash(own), None, EVERYTHING)])
    assert table.get(name) is None


def test_a_hash_that_arrives_with_the_metadata_finds_the_torrent() -> None:
    table = BoardTable()
    table.commit(added(1))
    assert table.get(V2) is None
    metainfo = Metainfo(
        name="n",
        files=(),
        total_size_bytes=0,
        piece_length=16384,
        piece_count=0,
        infohash_v1=hash_of(1),
        infohash_v2=V2,
    )
    record = replace(record_of(1), metainfo=metainfo)
    table.commit([RowChange(hash_of(1), record, FIELD_BITS["metainfo"])])
    assert table.get(V2[:40]) is record


def test_a_torrents_own_id_wins_over_another_ones_further_name() -> None:
    table = BoardTable()
    table.commit(added(1))
    other = record_of(2, infohash_v2=hash_of(1) + "0" * 24)
    table.commit([RowChange(hash_of(2), other, EVERYTHING)])
    found = table.get(hash_of(1))
    assert found is not None
    assert found.info_hash == hash_of(1)
    table.commit(removed(2))
    assert table.get(hash_of(1)) is found


def test_each_batch_that_changes_something_is_one_revision() -> None:
    table = BoardTable(first_revision=Revision(100))
    assert table.revision == 100
    assert table.commit(added(1, 2, 3)) == 101
    assert table.commit([changed(1, NAME), changed(2, NAME)]) == 102
    assert table.commit([]) == 102
    assert table.commit(removed(9)) == 102
    assert table.revision == 102


def test_changes_are_the_union_since_a_revision() -> None:
    table = BoardTable()
    first = table.commit(added(1, 2, 3))
    table.commit([changed(1, NAME)])
    table.commit([changed(1, DONE), changed(2, DONE)])
    assert table.changes_since(first) == BoardChanges(
        Revision(3), {hash_of(1): NAME | DONE, hash_of(2): DONE}, frozenset()
    )
    assert table.changes_since(Revision(3)) == BoardChanges(Revision(3), {}, frozenset())


def test_changes_tell_removals_and_returns() -> None:
    table = BoardTable()
    first = table.commit(added(1, 2, 3))
    table.commit([changed(1, NAME)])
    table.commit(removed(1, 2))
    table.commit(added(2, 4))
    table.commit([changed(2, DONE)])
    changes = table.changes_since(first)
    assert changes is not None
    assert changes.changed == {hash_of(2): EVERYTHING, hash_of(4): EVERYTHING}
    assert changes.removed == {hash_of(1)}


def test_a_revision_of_another_process_has_no_changes() -> None:
    table = BoardTable(first_revision=Revision(1_000))
    table.commit(added(1))
    assert table.changes_since(Revision(999)) is None
    assert table.changes_since(Revision(1_002)) is None
    assert table.changes_since(Revision(1_000)) is not None


def test_the_journal_is_bounded_and_reaches_back_as_far_as_promised() -> None:
    table = BoardTable(journal_size=10)
    table.commit(added(1, 2))
    for done in range(1, 1_000):
        table.commit([changed(1, DONE, done), changed(2, DONE, done)])
        held = len(table._journal.entries) * 2
        assert held <= 20
    newest = table.revision
    assert table.changes_since(Revision(newest - 5)) is not None
    assert table.changes_since(Revision(newest - 11)) is None


def test_a_fragment_is_encoded_when_it_is_first_read_after_a_change() -> None:
    projection = CountingProjection()
    table = BoardTable([projection])
    table.commit(added(1, 2))
    assert projection.encoded == []
    assert table.fragment("counting", hash_of(1)) == b"1:0"
    assert table.joined("counting") == b"1:0,2:0"
    assert table.joined("counting") == b"1:0,2:0"
    assert projection.encoded == [hash_of(1), hash_of(2)]
    table.commit([changed(2, DONE, 5)])
    table.commit([changed(2, DONE, 6)])
    assert table.joined("counting") == b"1:0,2:6"
    assert projection.encoded == [hash_of(1), hash_of(2), hash_of(2)]


def test_a_later_report_of_the_same_is_kept_without_telling_anybody() -> None:
    projection = CountingProjection()
    table = BoardTable([projection])
    revision = table.commit(added(1))
    fragment = table.fragment("counting", hash_of(1))
    later = replace(record_of(1), status=record_of(1).status._replace(sequence=9))
    assert table.commit([RowChange(hash_of(1), later, 0)]) == revision
    assert table.get(hash_of(1)) is later
    assert table.fragment("counting", hash_of(1)) is fragment
    assert projection.encoded == [hash_of(1)]
    changes = table.changes_since(revision)
    assert changes is not None
    assert not changes.changed


def test_an_unknown_torrent_has_no_fragment_and_an_empty_board_joins_to_nothing() -> None:
    table = BoardTable([CountingProjection()])
    assert table.fragment("counting", hash_of(1)) is None
    assert table.joined("counting") == b""


def test_an_unknown_projection_is_named() -> None:
    with pytest.raises(LookupError, match="no projection 'absent'"):
        BoardTable([CountingProjection()]).joined("absent")


def test_two_projections_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        BoardTable([CountingProjection(), CountingProjection()])


def test_waiting_for_a_revision_that_is_there_takes_no_time() -> None:
    table = BoardTable()
    revision = table.commit(added(1))
    assert table.wait_for(revision, timeout_s=0)


def test_waiting_for_a_revision_that_does_not_come_ends() -> None:
    table = BoardTable()
    assert not table.wait_for(Revision(1), timeout_s=0.01)
    table.commit(added(1))
    assert table.wait_for(Revision(1), timeout_s=0)


def test_a_waiting_reader_is_woken_by_its_revision() -> None:
    table = BoardTable()
    seen: dict[int, bool] = {}

    def wait(revision: int) -> None:
        seen[revision] = table.wait_for(Revision(revision), timeout_s=30)

    threads = [threading.Thread(target=wait, args=(n,)) for n in (1, 2, 2, 3)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(table._awaited) == 4)
    table.commit(added(1))
    eventually(lambda: seen == {1: True})
    table.commit(added(2))
    eventually(lambda: seen == {1: True, 2: True})
    table.commit(added(3))
    for thread in threads:
        thread.join(30)
    assert seen == {1: True, 2: True, 3: True}


@pytest.fixture
def hasty_switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Readers:
    """Threads that read until told to stop, and keep the first complaint."""

    def __init__(self, count: int, read: "Reader") -> None:
        self._stop = threading.Event()
        self._read = read
        self.complaints: list[BaseException] = []
        self.rounds = [0] * count
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self, own: int) -> None:
        try:
            read = self._read()
            while not self._stop.is_set():
                next(read)
                self.rounds[own] += 1
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self.complaints.append(error)

    def stop(self) -> None:
        eventually(lambda: self.complaints or min(self.rounds) > 0, within_s=60)
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        if self.complaints:
            raise self.complaints[0]


class Reader:
    """One way of reading, as a generator per thread; each step checks what it saw."""

    def __init__(self, table: BoardTable) -> None:
        self.table = table

    def __call__(self) -> Iterator[None]:
        raise NotImplementedError


class WholeRecords(Reader):
    """A record is one version: its two counters, written together, always agree."""

    def __call__(self) -> Iterator[None]:
        last: dict[InfoHash, int] = {}
        while True:
            for record in self.table.records():
                done = record.status.done_bytes
                assert record.status.wanted_done_bytes == done
                assert done >= last.get(record.info_hash, 0)
                last[record.info_hash] = done
            fragments = [f.partition(b":") for f in self.table.joined("counting").split(b",")]
            for number, _, done_text in fragments:
                if number:
                    assert int(done_text) >= last.get(hash_of(int(number)), 0)
            yield


class Mirror(Reader):
    """Somebody who only ever takes changes in holds the same torrents as the board."""

    def __call__(self) -> Iterator[None]:
        known: dict[InfoHash, int] = {}
        revision = Revision(0)
        while True:
            changes = self.table.changes_since(revision)
            assert changes is not None
            assert changes.revision >= revision
            revision = changes.revision
            for info_hash in changes.removed:
                known.pop(info_hash, None)
            for info_hash in changes.changed:
                record = self.table.get(info_hash)
                if record is not None:  # else its removal is in the next changes
                    known[info_hash] = record.status.done_bytes
            if revision == self.table.revision == END:
                records = self.table.records()
                assert known == {r.info_hash: r.status.done_bytes for r in records}
            yield


ROUNDS = 400
END = Revision(1 + 2 * ROUNDS)


@pytest.mark.usefixtures("hasty_switching")
@pytest.mark.parametrize("kind", [WholeRecords, Mirror])
def test_eight_readers_beside_the_writer_never_see_halves(kind: type[Reader]) -> None:
    table = BoardTable([CountingProjection()])
    table.commit(added(*range(20)))
    readers = Readers(8, kind(table))
    try:
        for step in range(1, ROUNDS + 1):
            table.commit([changed(n, DONE, step) for n in range(step % 5, 20, 3)])
            comer = 100 + step // 2
            table.commit(added(comer) if step % 2 else removed(comer, comer - 1))
        eventually(lambda: min(readers.rounds) > 3 or readers.complaints, within_s=60)
        seen = list(readers.rounds)
        eventually(
            lambda: (
                readers.complaints
                or all(now > before + 1 for now, before in zip(readers.rounds, seen, strict=True))
            ),
            within_s=60,
        )
    finally:
        readers.stop()
    assert table.revision <= END
