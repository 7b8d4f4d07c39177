"""Can tests of the runtime make moves, renames, limits and listening go wrong?"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from revaer.adapters.memory import bencode
from revaer.adapters.memory.engine import MemoryEngine
from revaer.adapters.memory.exports import with_sources
from revaer.adapters.memory.payload import MemoryPayload
from revaer.domain import facts as f
from revaer.domain.details import PeerInfo, PieceState, TrackerState
from revaer.domain.errors import ConflictError
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import FaultCode, MetainfoSource, TorrentSpec
from revaer.ports.engine import EngineSettings, EngineTorrent

PIECE = 16_384
SETTINGS = EngineSettings(listen=("127.0.0.1:0", "tun0:6881"))
URL = "http://127.0.0.1:1/announce"
INFO: dict[bytes, bencode.Value] = {
    b"name": b"album",
    b"piece length": PIECE,
    b"pieces": b"\0" * 20 * 4,
    b"files": [
        {b"path": [b"a"], b"length": 2 * PIECE + 5},
        {b"path": [b"b"], b"length": PIECE},
    ],
}
DATA = bencode.write({b"info": INFO, b"announce": b"udp://127.0.0.1:2", b"comment": b"kept"})


@pytest.fixture
def disk() -> MemoryPayload:
    return MemoryPayload()


@pytest.fixture
def engine(disk: MemoryPayload) -> Iterator[MemoryEngine]:
    engine = MemoryEngine(SETTINGS, on_disk=disk, move_s=10.0)
    yield engine
    engine.close()


@pytest.fixture
def one(engine: MemoryEngine) -> InfoHash:
    """A finished torrent whose files are on the disk."""
    described = engine.describe(MetainfoSource(DATA))
    spec = TorrentSpec(
        info_hash=described.info_hash, name="album", save_path="/data", added_at=engine._now()
    )
    engine.add(EngineTorrent(spec=spec, metainfo_data=DATA))
    engine.finish(spec.info_hash)
    engine.flush(spec.info_hash)
    engine.drain()
    return spec.info_hash


def test_a_move_takes_its_time_and_is_shown_meanwhile(
    engine: MemoryEngine, disk: MemoryPayload, one: InfoHash
) -> None:
    engine.move(one, "/new")
    assert engine.status(one).is_moving
    with pytest.raises(ConflictError):
        engine.move(one, "/elsewhere")
    engine.pause(one)
    engine.advance(9.0)
    assert engine.drain() == []
    engine.advance(1.0)
    assert engine.drain() == [f.StorageMoved(one, "/new")]
    assert not engine.status(one).is_moving
    assert disk.size_bytes("/new", "album/a") == 2 * PIECE + 5
    assert disk.size_bytes("/data", "album/a") is None


def test_a_move_fails_once_when_told_to(
    engine: MemoryEngine, disk: MemoryPayload, one: InfoHash
) -> None:
    engine.fail_next_move(one, "the cable was pulled")
    engine.move(one, "/new")
    assert engine.drain() == [f.StorageMoveFailed(one, "the cable was pulled")]
    assert disk.size_bytes("/data", "album/a") == 2 * PIECE + 5
    engine.move(one, "/new")
    engine.advance(10.0)
    assert engine.drain() == [f.StorageMoved(one, "/new")]


def test_a_rename_fails_once_when_told_to(
    engine: MemoryEngine, disk: MemoryPayload, one: InfoHash
) -> None:
    engine.fail_next_rename(one, "read-only")
    engine.rename_file(one, 1, "album/B")
    engine.rename_file(one, 1, "album/B")
    assert engine.drain() == [
        f.FileRenameFailed(one, 1, "read-only"),
        f.FileRenamed(one, 1, "album/B"),
    ]
    assert engine.renames(one) == {1: "album/B"}
    assert disk.size_bytes("/data", "album/B") == PIECE
    engine.remove(one, with_data=True)
    assert disk.size_bytes("/data", "album/B") is None


def test_an_export_fails_once_when_told_to(engine: MemoryEngine, one: InfoHash) -> None:
    engine.fail_next_export(one, "no memory")
    engine.export(one)
    engine.export(one)
    failed, exported = engine.drain()
    assert failed == f.ResumeDataFailed(one, "no memory")
    assert isinstance(exported, f.TorrentExported)


def test_an_export_keeps_what_is_not_replaced_and_the_metadata_as_it_was() -> None:
    strange = DATA.replace(b"4:name5:album", b"4:name5:album1:zi1e", 1)  # keys out of order
    written = with_sources(strange, [(URL, 0), ("udp://h:1", 0), ("udp://h:2", 4)], ["http://h/"])
    document = bencode.read(written)
    begin, end = document.spans[b"info"]
    assert written[begin:end] in strange
    assert document.values[b"comment"] == b"kept"
    assert document.values[b"announce"] == URL.encode()
    assert document.values[b"announce-list"] == [[URL.encode(), b"udp://h:1"], [b"udp://h:2"]]
    assert document.values[b"url-list"] == [b"http://h/"]
    bare = bencode.read(with_sources(strange, [], []))
    assert set(bare.values) == {b"info", b"comment"}


def test_limits_can_be_made_to_read_stale(engine: MemoryEngine) -> None:
    new = BytesPerSecond(7)
    engine.freeze_limits()
    engine.set_global_limits(download=new, upload=new)
    engine.apply(replace(SETTINGS, download_limit=new, upload_limit=new))
    assert engine.global_limits() == (0, 0)
    engine.thaw_limits()
    assert engine.global_limits() == (7, 7)


def test_a_deaf_engine_hears_again(engine: MemoryEngine) -> None:
    before = engine.listen_ports()
    engine.go_deaf(quietly=True)
    engine.apply(SETTINGS)
    assert engine.listen_ports() == ()
    engine.drain()
    engine.hear_again()
    assert engine.listen_ports() == before
    assert [type(fact) for fact in engine.drain()] == [f.ListenSucceeded, f.ListenSucceeded]


def test_a_deaf_engine_listens_on_other_addresses(engine: MemoryEngine) -> None:
    engine.go_deaf()
    engine.apply(replace(SETTINGS, listen=("127.0.0.1:7000",)))
    assert engine.listen_ports() == (7000,)


def test_a_full_disk_and_lost_files_are_libtorrent_s_kind_of_faults(
    engine: MemoryEngine, disk: MemoryPayload, one: InfoHash
) -> None:
    engine.fill_disk(one)
    status = engine.status(one)
    assert (status.in_upload_mode, status.error, status.is_paused) == (True, "", False)
    engine.retry_storage(one)
    assert not engine.status(one).in_upload_mode
    engine.lose_files(one)
    assert disk.size_bytes("/data", "album/a") is None
    codes = [fact.fault.code for fact in engine.drain() if isinstance(fact, f.FaultRaised)]
    assert codes == [FaultCode.DISK_FULL, FaultCode.MISSING_FILES]


def test_pieces_show_what_is_there(engine: MemoryEngine) -> None:
    described = engine.describe(MetainfoSource(DATA))
    spec = TorrentSpec(
        info_hash=described.info_hash, name="album", save_path="/data", added_at=engine._now()
    )
    engine.add(EngineTorrent(spec=spec, metainfo_data=DATA))
    engine.progress(spec.info_hash, 0.5)  # a page and a half
    have, part, none = PieceState.HAVE, PieceState.DOWNLOADING, PieceState.MISSING
    assert engine.pieces(spec.info_hash) == (have, part, none, none)
    engine.finish(spec.info_hash)
    assert engine.pieces(spec.info_hash) == (have,) * 4


def test_trackers_show_what_they_answered(engine: MemoryEngine, one: InfoHash) -> None:
    engine.set_trackers(one, [(URL, 0), ("udp://127.0.0.1:2", 1)])
    engine.tracker_answers(one, URL, peers=3)
    engine.tracker_refuses(one, "udp://127.0.0.1:2", "go away")
    engine.set_trackers(one, [(URL, 5), ("udp://127.0.0.1:2", 6)])
    working, failing = engine.trackers(one)
    assert (working.state, working.tier) == (TrackerState.WORKING, 5)
    assert (failing.state, failing.message, failing.fails) == (TrackerState.FAILING, "go away", 1)


def test_a_ban_parts_with_peers_and_keeps_them_away(engine: MemoryEngine, one: InfoHash) -> None:
    engine.set_interest(frozenset({"peer"}))
    engine.peer_joins(one, "10.0.0.1:5", is_seed=True)
    known = PeerInfo(address="10.0.0.2", port=6, client="X")
    engine.peer_joins(one, "10.0.0.2:6", details=known)
    engine.drain()
    engine.apply(replace(SETTINGS, banned_peers=frozenset({"10.0.0.1"})))
    engine.peer_joins(one, "10.0.0.1:9")
    assert engine.peers(one) == (known,)
    assert engine.drain() == [f.PeerLeft(one, "10.0.0.1:5", "banned")]
    assert engine.settings.banned_peers == {"10.0.0.1"}
