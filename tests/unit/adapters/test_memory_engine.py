"""Does the simulated engine do what its controls say, and nothing by itself?"""

import select
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from revaer.adapters.memory import bencode
from revaer.adapters.memory.engine import MemoryEngine
from revaer.adapters.memory.payload import MemoryPayload
from revaer.domain import facts as f
from revaer.domain.errors import (
    EngineDownError,
    InvalidInputError,
    InvalidTorrentError,
    StoreDownError,
    TorrentNotFoundError,
)
from revaer.domain.ids import BytesPerSecond, EpochSeconds, InfoHash
from revaer.domain.torrent import (
    Activity,
    Fault,
    FaultCode,
    MetainfoSource,
    StopReason,
    TorrentSpec,
    TorrentStatus,
)
from revaer.ports.engine import EngineSettings, EngineTorrent

LISTEN = ("127.0.0.1:0",)
SIZES = (40_000, 10_000, 0)
PIECE = 16_384
FULL = Fault(FaultCode.DISK_FULL, "no space left; free some")
GONE = Fault(FaultCode.MISSING_FILES, "the files are gone; bring them back")
DENIED = Fault(FaultCode.UNWRITABLE, "not writable; make it so")

F = TypeVar("F", bound=f.Fact)


def metainfo_of(number: int = 0, sizes: tuple[int, ...] = SIZES) -> bytes:
    files: list[bencode.Value] = [
        {b"path": [b"%d.bin" % index], b"length": size} for index, size in enumerate(sizes)
    ]
    return bencode.write(
        {
            b"comment": b"made by hand",
            b"info": {
                b"name": b"album %d" % number,
                b"piece length": PIECE,
                b"pieces": b"\0" * 20 * -(-sum(sizes) // PIECE),
                b"files": files,
            },
        }
    )


def torrent_of(engine: MemoryEngine, number: int = 0, *, magnet: bool = False) -> EngineTorrent:
    data = metainfo_of(number)
    described = engine.describe(MetainfoSource(data))
    spec = TorrentSpec(
        info_hash=described.info_hash,
        infohash_v1=described.infohash_v1,
        name=described.name,
        magnet_uri=described.magnet_uri,
        save_path="/data",
        added_at=EpochSeconds(1_700_000_000),
    )
    return EngineTorrent(spec=spec, metainfo_data=None if magnet else data)


def opened(**options: object) -> MemoryEngine:
    return MemoryEngine(EngineSettings(listen=LISTEN), **options)  # type: ignore[arg-type]


@pytest.fixture
def disk() -> MemoryPayload:
    return MemoryPayload()


@pytest.fixture
def engine(disk: MemoryPayload) -> Iterator[MemoryEngine]:
    engine = opened(on_disk=disk)
    engine.drain()
    yield engine
    engine.close()


@pytest.fixture
def one(engine: MemoryEngine) -> InfoHash:
    """A downloading torrent whose first facts were taken."""
    torrent = torrent_of(engine)
    engine.add(torrent)
    engine.drain()
    return torrent.spec.info_hash


def kinds(engine: MemoryEngine) -> list[type[f.Fact]]:
    return [type(fact) for fact in engine.drain()]


def taken(engine: MemoryEngine, kind: type[F]) -> list[F]:
    return [fact for fact in engine.drain() if isinstance(fact, kind)]


def is_readable(engine: MemoryEngine) -> bool:
    poller = select.poll()
    poller.register(engine.wake_fd(), select.POLLIN)
    return bool(poller.poll(0))


def test_the_descriptor_is_readable_exactly_while_facts_wait(
    engine: MemoryEngine, one: InfoHash
) -> None:
    assert not is_readable(engine)
    engine.save(one)
    engine.flush(one)
    assert is_readable(engine)
    assert is_readable(engine)
    assert kinds(engine) == [f.ResumeDataReady, f.CacheFlushed]
    assert not is_readable(engine)
    assert engine.drain() == []


def test_nothing_moves_by_itself(engine: MemoryEngine, one: InfoHash) -> None:
    engine.advance(3_600)
    status = engine.status(one)
    assert (status.activity, status.progress, status.download_rate) == (Activity.DOWNLOADING, 0, 0)
    assert status.active_s == 3_600
    assert kinds(engine) == []


def test_progress_fills_files_in_order_and_counts(engine: MemoryEngine, one: InfoHash) -> None:
    engine.progress(one, 0.9)
    assert engine.file_progress(one) == (40_000, 5_000, 0)
    status = engine.status(one)
    assert (status.progress, status.done_bytes, status.pieces_have) == (0.9, 45_000, 2)
    assert (status.downloaded_bytes, status.downloaded_session_bytes) == (45_000, 45_000)
    engine.progress(one, 0.5)
    assert engine.status(one).done_bytes == 45_000


@pytest.mark.parametrize("fraction", [-0.1, 1.1])
def test_a_fraction_outside_its_range_is_refused(
    engine: MemoryEngine, one: InfoHash, fraction: float
) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        engine.progress(one, fraction)


def test_a_finished_torrent_is_on_disk_only_after_a_flush(
    engine: MemoryEngine, one: InfoHash, disk: MemoryPayload
) -> None:
    metainfo = engine.metainfo(one)
    assert metainfo is not None
    engine.finish(one)
    assert kinds(engine) == [f.DownloadFinished]
    assert engine.status(one).activity is Activity.SEEDING
    assert disk.missing("/data", metainfo.files) == ("album 0/0.bin", "album 0/1.bin")
    engine.flush(one)
    assert kinds(engine) == [f.CacheFlushed]
    assert disk.missing("/data", metainfo.files) == ()


def test_a_download_finishes_once_however_often_it_is_told(
    engine: MemoryEngine, one: InfoHash
) -> None:
    engine.finish(one)
    engine.finish(one)
    assert kinds(engine) == [f.DownloadFinished]


def test_bytes_arrive_with_time_where_a_rate_is_set() -> None:
    engine = opened(auto_rate=BytesPerSecond(10_000))
    for number in range(2):
        engine.add(torrent_of(engine, number))
    first, second = engine.torrents()
    engine.set_limits(second, download=BytesPerSecond(1_000), upload=BytesPerSecond(0))
    engine.advance(2)
    assert [engine.status(each).done_bytes for each in (first, second)] == [20_000, 2_000]
    assert engine.status(first).download_rate == 10_000
    engine.set_global_limits(download=BytesPerSecond(5_500), upload=BytesPerSecond(0))
    engine.advance(2)
    assert [engine.status(each).done_bytes for each in (first, second)] == [30_000, 3_000]
    engine.pause(first)
    engine.advance(10)
    assert [engine.status(each).done_bytes for each in (first, second)] == [30_000, 13_000]
    engine.close()


def test_a_magnet_waits_for_its_metadata(engine: MemoryEngine) -> None:
    torrent = torrent_of(engine, magnet=True)
    assert engine.add(torrent) is None
    info_hash = torrent.spec.info_hash
    assert engine.status(info_hash).activity is Activity.FETCHING_METADATA
    with pytest.raises(ValueError, match="no metadata"):
        engine.finish(info_hash)
    engine.drain()
    engine.deliver_metadata(info_hash, metainfo_of())
    received, checked = engine.drain()
    assert isinstance(received, f.MetadataReceived)
    assert received.metainfo.name == "album 0"
    assert received.metainfo.comment == "", "a comment is not part of what peers send"
    assert isinstance(checked, f.TorrentChecked)
    engine.deliver_metadata(info_hash, metainfo_of())
    assert kinds(engine) == []


def test_the_metadata_of_another_torrent_cannot_be_passed_off(engine: MemoryEngine) -> None:
    torrent = torrent_of(engine, magnet=True)
    engine.add(torrent)
    with pytest.raises(InvalidTorrentError):
        engine.deliver_metadata(torrent.spec.info_hash, metainfo_of(1))


def test_a_magnet_is_held_with_its_metadata_until_it_is_resumed(engine: MemoryEngine) -> None:
    torrent = torrent_of(engine, magnet=True)
    info_hash = torrent.spec.info_hash
    engine.add(torrent)
    engine.deliver_metadata(info_hash, metainfo_of())
    engine.finish(info_hash)
    status = engine.status(info_hash)
    assert (status.in_upload_mode, status.done_bytes) == (True, 0)
    engine.prioritize(info_hash, [4, 0, 0])
    engine.resume(info_hash, forced=False)
    engine.finish(info_hash)
    status = engine.status(info_hash)
    assert (status.in_upload_mode, status.done_bytes) == (False, 40_000)


def test_wanting_more_takes_the_end_of_the_download_back(
    engine: MemoryEngine, one: InfoHash
) -> None:
    engine.prioritize(one, [0, 4, 0])
    engine.finish(one)
    assert engine.status(one).activity is Activity.FINISHED
    assert taken(engine, f.DownloadFinished)
    engine.prioritize(one, [4, 4, 4])
    assert engine.status(one).activity is Activity.DOWNLOADING
    engine.finish(one)
    assert engine.status(one).activity is Activity.SEEDING
    assert len(taken(engine, f.DownloadFinished)) == 1


def saved(engine: MemoryEngine, info_hash: InfoHash) -> bytes:
    engine.save(info_hash)
    return taken(engine, f.ResumeDataReady)[-1].blob


def test_a_blob_carries_progress_and_counters(
    engine: MemoryEngine, one: InfoHash, disk: MemoryPayload
) -> None:
    engine.progress(one, 0.5)
    engine.upload(one, 777)
    engine.advance(60)
    blob = saved(engine, one)
    second = opened(on_disk=disk)
    second.add(replace(torrent_of(second), blob=blob))
    assert not taken(second, f.ResumeRejected)
    status = second.status(one)
    assert (status.done_bytes, status.uploaded_bytes, status.active_s) == (25_000, 777, 60)
    assert (status.downloaded_bytes, status.downloaded_session_bytes) == (25_000, 0)
    second.close()


def test_a_blob_brings_a_magnet_s_metadata_back(engine: MemoryEngine, disk: MemoryPayload) -> None:
    magnet = torrent_of(engine, magnet=True)
    info_hash = magnet.spec.info_hash
    engine.add(magnet)
    engine.deliver_metadata(info_hash, metainfo_of())
    blob = saved(engine, info_hash)
    second = opened(on_disk=disk)
    assert second.add(replace(magnet, blob=blob)) is not None
    second.close()


Spoil = Callable[[bytes, MemoryPayload], bytes]


def _with_short_file(blob: bytes, disk: MemoryPayload) -> bytes:
    disk.write("/data", "album 0/0.bin", 1)
    return blob


def _with_missing_file(blob: bytes, disk: MemoryPayload) -> bytes:
    disk.delete("/data", "album 0/0.bin")
    return blob


def _of_another_torrent(_blob: bytes, disk: MemoryPayload) -> bytes:
    engine = opened(on_disk=disk)
    engine.add(torrent_of(engine, 1))
    blob = saved(engine, engine.torrents()[0])
    engine.close()
    return blob


SPOILT: dict[str, Spoil] = {
    "truncated": lambda blob, _: blob[:-9],
    "changed": lambda blob, _: blob[:-9] + b"?" + blob[-8:],
    "empty": lambda _, __: b"",
    "another torrent's": _of_another_torrent,
    "of files that shrank": _with_short_file,
    "of files that vanished": _with_missing_file,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=list(SPOILT))
def test_a_blob_that_does_not_fit_costs_a_check(
    engine: MemoryEngine, one: InfoHash, disk: MemoryPayload, spoil: Spoil
) -> None:
    engine.progress(one, 0.5)
    blob = saved(engine, one)
    second = opened(on_disk=disk)
    second.drain()
    second.add(replace(torrent_of(second), blob=spoil(blob, disk)))
    assert kinds(second) == [f.ResumeRejected, f.TorrentChecked]
    second.close()


def test_a_blob_of_another_directory_is_checked_there_without_a_word(
    engine: MemoryEngine, one: InfoHash, disk: MemoryPayload
) -> None:
    engine.finish(one)
    blob = saved(engine, one)
    second = opened(on_disk=disk)
    torrent = torrent_of(second)
    second.add(replace(torrent, spec=replace(torrent.spec, save_path="/elsewhere"), blob=blob))
    assert not taken(second, f.ResumeRejected)
    assert second.status(one).done_bytes == 0
    second.close()


def test_a_check_takes_its_time_where_files_are(disk: MemoryPayload) -> None:
    disk.write("/data", "album 0/0.bin", 40_000)
    engine = opened(on_disk=disk, check_s=10.0)
    engine.add(torrent_of(engine))
    engine.add(torrent_of(engine, 1))
    first, second = engine.torrents()
    assert engine.status(second).activity is Activity.DOWNLOADING, "nothing there, nothing to read"
    engine.drain()
    engine.advance(5)
    status = engine.status(first)
    assert (status.activity, status.progress) == (Activity.CHECKING, 0.5)
    engine.advance(5)
    assert kinds(engine) == [f.TorrentChecked]
    assert engine.status(first).done_bytes == 40_000
    engine.close()


def test_a_recheck_believes_the_disk(
    engine: MemoryEngine, one: InfoHash, disk: MemoryPayload
) -> None:
    engine.finish(one)
    engine.flush(one)
    disk.write("/data", "album 0/1.bin", 3_000)
    engine.drain()
    engine.recheck(one)
    assert kinds(engine) == [f.TorrentChecked]
    assert engine.file_progress(one) == (40_000, 3_000, 0)
    disk.write("/data", "album 0/1.bin", 10_000)
    engine.recheck(one)
    assert kinds(engine) == [f.TorrentChecked, f.DownloadFinished]


def test_a_stopped_torrent_runs_for_a_check_and_stops_again(disk: MemoryPayload) -> None:
    disk.write("/data", "album 0/0.bin", 40_000)
    engine = opened(on_disk=disk, check_s=10.0)
    torrent = torrent_of(engine)
    spec = replace(torrent.spec, stop_reason=StopReason.USER)
    engine.add(replace(torrent, spec=spec, recheck=True))
    assert not engine.status(spec.info_hash).is_paused
    engine.advance(10)
    assert engine.status(spec.info_hash).is_paused
    engine.recheck(spec.info_hash)
    assert engine.status(spec.info_hash).activity is Activity.CHECKING
    engine.advance(10)
    status = engine.status(spec.info_hash)
    assert (status.is_paused, status.is_auto_managed) == (True, False)
    engine.close()


Look = Callable[[TorrentStatus], bool]


@pytest.mark.parametrize(
    ("fault", "looks"),
    [
        (FULL, lambda s: s.in_upload_mode and not s.error and not s.is_paused),
        (GONE, lambda s: not s.in_upload_mode and not s.error and not s.is_paused),
        (DENIED, lambda s: s.error == DENIED.message and s.is_paused),
    ],
    ids=["disk full", "missing files", "unwritable"],
)
def test_a_fault_shows_as_libtorrent_shows_it_until_the_torrent_is_resumed(
    engine: MemoryEngine, one: InfoHash, fault: Fault, looks: Look
) -> None:
    engine.fail(one, fault)
    engine.fail(one, fault)
    assert engine.drain() == [f.FaultRaised(one, fault)]
    assert looks(engine.status(one))
    engine.resume(one, forced=False)
    assert engine.drain() == [f.FaultCleared(one)]
    status = engine.status(one)
    assert (status.error, status.in_upload_mode, status.is_paused) == ("", False, False)


def test_trouble_may_pass_by_itself(engine: MemoryEngine, one: InfoHash) -> None:
    engine.fail(one, FULL)
    engine.heal(one)
    assert kinds(engine) == [f.FaultRaised, f.FaultCleared]


def test_any_call_can_be_made_to_fail_once(engine: MemoryEngine, one: InfoHash) -> None:
    engine.fail_next("pause", EngineDownError("away for a moment"))
    engine.fail_next("pause", StoreDownError("and for another reason"))
    with pytest.raises(EngineDownError):
        engine.pause(one)
    with pytest.raises(StoreDownError):
        engine.pause(one)
    assert not engine.status(one).is_paused
    engine.pause(one)
    assert engine.status(one).is_paused


def test_a_call_that_no_engine_has_cannot_be_told_to_fail(engine: MemoryEngine) -> None:
    with pytest.raises(ValueError, match="no call 'paws'"):
        engine.fail_next("paws", EngineDownError("x"))


def test_calls_are_remembered_with_their_torrent(engine: MemoryEngine, one: InfoHash) -> None:
    engine.calls.clear()
    engine.pause(one)
    with pytest.raises(TorrentNotFoundError):
        engine.flush(InfoHash("0" * 40))
    engine.save(one)
    assert list(engine.calls) == [("pause", one), ("save", one)]


def test_only_what_changed_is_reported_unless_all_is_asked_for(engine: MemoryEngine) -> None:
    for number in range(3):
        engine.add(torrent_of(engine, number))
    engine.request_updates()
    assert len(taken(engine, f.StatusReported)) == 3
    engine.request_updates()
    assert kinds(engine) == []
    changed = engine.torrents()[1]
    engine.progress(changed, 0.1)
    engine.drain()
    engine.request_updates()
    assert [fact.info_hash for fact in taken(engine, f.StatusReported)] == [changed]
    engine.request_all()
    assert len(taken(engine, f.StatusReported)) == 3


def queued(active_downloads: int, active_seeds: int, active_limit: int = -1) -> MemoryEngine:
    settings = EngineSettings(
        listen=LISTEN,
        active_downloads=active_downloads,
        active_seeds=active_seeds,
        active_limit=active_limit,
    )
    engine = MemoryEngine(settings)
    for number in range(4):
        engine.add(torrent_of(engine, number))
    return engine


def running(engine: MemoryEngine) -> list[int]:
    return [
        index for index, each in enumerate(engine.torrents()) if not engine.status(each).is_paused
    ]


def test_the_queue_runs_as_many_as_it_may_in_order() -> None:
    engine = queued(2, 1)
    ids = engine.torrents()
    assert running(engine) == [0, 1]
    assert [engine.status(each).queue_position for each in ids] == [1, 2, 3, 4]
    engine.finish(ids[0])
    assert running(engine) == [0, 1, 2]
    assert [engine.status(each).queue_position for each in ids] == [0, 1, 2, 3]
    engine.finish(ids[1])
    assert running(engine) == [0, 2, 3], "one seed at most"
    engine.pause(ids[2])
    assert running(engine) == [0, 3]
    engine.resume(ids[2], forced=True)
    engine.remove(ids[0], with_data=False)
    assert running(engine) == [0, 1, 2], "a forced one does not count"
    engine.close()


def test_the_queue_has_a_limit_for_all_together() -> None:
    engine = queued(-1, -1, 3)
    assert running(engine) == [0, 1, 2]
    engine.fail(engine.torrents()[0], DENIED)
    assert running(engine) == [1, 2, 3], "one in error makes room"
    engine.close()


def test_removal_frees_the_ids_and_the_disk(
    engine: MemoryEngine, one: InfoHash, disk: MemoryPayload
) -> None:
    engine.finish(one)
    engine.flush(one)
    engine.drain()
    engine.remove(one, with_data=True)
    assert engine.drain() == [f.TorrentGone(one, data_deleted=True)]
    assert disk.size_bytes("/data", "album 0/0.bin") is None


def test_a_deletion_can_fail(engine: MemoryEngine, one: InfoHash, disk: MemoryPayload) -> None:
    engine.finish(one)
    engine.flush(one)
    engine.fail_deletion(one, "read-only")
    engine.drain()
    engine.remove(one, with_data=True)
    assert engine.drain() == [f.TorrentGone(one, data_deleted=False, reason="read-only")]
    assert disk.size_bytes("/data", "album 0/0.bin") == 40_000


def test_pieces_and_peers_are_told_only_to_listeners(engine: MemoryEngine, one: InfoHash) -> None:
    engine.progress(one, 0.4)
    engine.peer_joins(one, "10.0.0.1:1")
    assert kinds(engine) == []
    engine.set_interest(frozenset({"piece", "peer"}))
    engine.progress(one, 0.7)
    engine.peer_joins(one, "10.0.0.2:1", is_seed=True)
    engine.peer_leaves(one, "10.0.0.1:1", "bored")
    engine.peer_leaves(one, "10.0.0.9:1", "was never here")
    assert engine.drain() == [
        f.PieceFinished(one, 1),
        f.PeerJoined(one, "10.0.0.2:1"),
        f.PeerLeft(one, "10.0.0.1:1", "bored"),
    ]
    status = engine.status(one)
    assert (status.seeds, status.leechers) == (1, 0)


def test_trackers_and_failed_pieces_are_told(engine: MemoryEngine, one: InfoHash) -> None:
    engine.tracker_answers(one, "http://t.test/a", 7)
    engine.tracker_refuses(one, "http://t.test/a", "not today")
    engine.piece_fails(one, 2)
    assert kinds(engine) == [f.TrackerAnswered, f.TrackerRefused, f.PieceFailed]


def test_an_overflow_keeps_only_what_libtorrent_keeps(engine: MemoryEngine, one: InfoHash) -> None:
    engine.finish(one)
    engine.save(one)
    engine.request_updates()
    engine.drop_alerts()
    assert kinds(engine) == [f.ResumeDataReady, f.AlertsDropped]


def test_a_single_fact_can_be_lost(engine: MemoryEngine, one: InfoHash) -> None:
    engine.lose_next(f.CacheFlushed)
    engine.flush(one)
    engine.flush(one)
    assert kinds(engine) == [f.CacheFlushed]


def test_listening_is_reported_and_can_be_lost() -> None:
    engine = MemoryEngine(EngineSettings(listen=("127.0.0.1:6881", "[::]:0")))
    told = taken(engine, f.ListenSucceeded)
    assert told[0] == f.ListenSucceeded("127.0.0.1", 6881)
    assert engine.listen_ports() == tuple(fact.port for fact in told)
    engine.go_deaf("cable cut")
    assert [fact.reason for fact in taken(engine, f.ListenFailed)] == ["cable cut"] * 2
    assert engine.listen_ports() == ()
    engine.close()


def test_a_device_can_vanish_without_a_word(engine: MemoryEngine) -> None:
    engine.go_deaf(quietly=True)
    assert engine.listen_ports() == ()
    assert kinds(engine) == []


@pytest.mark.parametrize("interface", ["", "6881", "localhost", "host:port", "host:65536"])
def test_a_listening_address_that_cannot_be_read_is_refused(interface: str) -> None:
    with pytest.raises(InvalidInputError, match="HOST:PORT"):
        MemoryEngine(EngineSettings(listen=(interface,)))


def test_a_broken_session_is_reported(engine: MemoryEngine) -> None:
    engine.fail_session("out of sockets")
    assert engine.drain() == [f.SessionFailed("out of sockets")]


def test_a_quiet_engine_moves_nothing_and_still_answers(disk: MemoryPayload) -> None:
    engine = opened(on_disk=disk, auto_rate=BytesPerSecond(1_000))
    engine.add(torrent_of(engine))
    (one,) = engine.torrents()
    engine.quiesce()
    engine.drain()
    engine.advance(60)
    assert engine.status(one).done_bytes == 0
    engine.save(one)
    assert kinds(engine) == [f.ResumeDataReady]
    engine.close()


def test_closing_writes_what_is_in_the_cache(disk: MemoryPayload) -> None:
    engine = opened(on_disk=disk)
    engine.add(torrent_of(engine))
    engine.finish(engine.torrents()[0])
    engine.close()
    assert disk.size_bytes("/data", "album 0/0.bin") == 40_000
    assert disk.size_bytes("/data", "album 0/2.bin") == 0


def test_what_was_asked_for_can_be_looked_at(engine: MemoryEngine, one: InfoHash) -> None:
    engine.connect(one, [("10.0.0.1", 1), ("::1", 2)])
    engine.set_sequential(one, sequential=True)
    engine.set_limits(one, download=BytesPerSecond(5), upload=BytesPerSecond(6))
    engine.set_interest(frozenset({"peer"}))
    engine.set_rates(one, download=9, upload=8)
    assert engine.asked_peers(one) == (("10.0.0.1", 1), ("::1", 2))
    assert engine.is_sequential(one)
    assert engine.limits(one) == (5, 6)
    assert engine.interest == {"peer"}
    status = engine.status(one)
    assert (status.download_rate, status.upload_rate) == (9, 8)


def test_calls_and_controls_may_come_from_many_threads(engine: MemoryEngine) -> None:
    failures: list[BaseException] = []
    facts: list[f.Fact] = []
    is_over = threading.Event()

    def work(number: int) -> None:
        try:
            torrent = torrent_of(engine, number)
            info_hash = torrent.spec.info_hash
            for _ in range(20):
                engine.add(torrent)
                engine.progress(info_hash, 0.5)
                engine.save(info_hash)
                engine.request_all()
                engine.remove(info_hash, with_data=True)
        except BaseException as error:  # noqa: BLE001 any failure of a thread fails the test
            failures.append(error)

    def pump() -> None:
        while not is_over.is_set() or is_readable(engine):
            facts.extend(engine.drain())

    pumping = threading.Thread(target=pump)
    pumping.start()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    is_over.set()
    pumping.join()
    assert failures == []
    assert sum(isinstance(fact, f.TorrentGone) for fact in facts) == 80
    assert sum(isinstance(fact, f.ResumeDataReady) for fact in facts) == 80


def test_no_descriptor_is_left_behind() -> None:
    def count() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    before = count()
    engine = opened()
    assert count() == before + 2
    engine.close()
    assert count() == before
