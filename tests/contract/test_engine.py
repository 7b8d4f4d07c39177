"""What may the session expect of any engine?"""

import select
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from revaer.domain.errors import (
    EngineDownError,
    InvalidInputError,
    InvalidTorrentError,
    SelectionError,
    TorrentExistsError,
    TorrentNotFoundError,
)
from revaer.domain.facts import (
    CacheFlushed,
    DownloadFinished,
    FaultCleared,
    FaultRaised,
    MetadataReceived,
    PieceFinished,
    ResumeDataReady,
    ResumeRejected,
    StatusReported,
    TorrentGone,
)
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import (
    Activity,
    FaultCode,
    MagnetSource,
    MetainfoSource,
    TorrentStatus,
)
from revaer.ports.engine import EngineTorrent, TorrentEngine
from tests.contract.engines import Observer, Stage, from_file, open_stage, spec_of
from tests.support.swarm import Payload, make_payload

UNKNOWN = InfoHash("0" * 39 + "1")
# The first file ends with a piece: a shared piece counts as wanted when one of its files is.
SIZES = {"a.bin": 147_456, "sub/b.bin": 90_001, "c.bin": 10}


@pytest.fixture(params=["memory", "libtorrent"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = open_stage(request.param)
    yield stage
    stage.close()


@pytest.fixture
def engine(stage: Stage) -> TorrentEngine:
    return stage.open()


@pytest.fixture
def observer(engine: TorrentEngine) -> Observer:
    return Observer(engine)


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "album", SIZES)


def latest(observer: Observer, info_hash: InfoHash) -> TorrentStatus | None:
    for report in reversed(observer.all(StatusReported)):
        if report.info_hash == info_hash:
            return report.status
    return None


def settled(observer: Observer, where: Callable[[TorrentStatus], bool]) -> TorrentStatus:
    """Drain until the newest report fits."""

    def fits(*_: object) -> bool:
        reports = observer.all(StatusReported)
        return bool(reports) and where(reports[-1].status)

    observer.until(fits)
    return observer.all(StatusReported)[-1].status


def test_a_torrent_file_is_described_by_name_files_and_hash(
    engine: TorrentEngine, payload: Payload
) -> None:
    described = engine.describe(MetainfoSource(payload.torrent))
    assert described.info_hash == payload.info_hash
    assert described.name == "album"
    assert described.metainfo is not None
    files = {f.path: f.size_bytes for f in described.metainfo.files if not f.is_pad}
    assert files == {path: len(content) for path, content in payload.files.items()}


def test_a_magnet_link_is_described_by_its_hash_and_name(
    engine: TorrentEngine, payload: Payload
) -> None:
    described = engine.describe(MagnetSource(payload.magnet))
    assert (described.info_hash, described.name) == (payload.info_hash, "album")
    assert described.metainfo is None


@pytest.mark.parametrize(
    "text", ["", "http://example.org", "magnet:?dn=x", "magnet:?xt=urn:btih:1"]
)
def test_what_is_no_magnet_link_is_refused(engine: TorrentEngine, text: str) -> None:
    with pytest.raises(InvalidTorrentError):
        engine.describe(MagnetSource(text))


@pytest.mark.parametrize("data", [b"", b"<html>", b"de", b"d4:infoi1ee"])
def test_what_is_no_torrent_file_is_refused(engine: TorrentEngine, data: bytes) -> None:
    with pytest.raises(InvalidTorrentError):
        engine.describe(MetainfoSource(data))


def test_a_torrent_file_is_known_with_its_metadata_once_added(
    engine: TorrentEngine, payload: Payload, tmp_path: Path
) -> None:
    added = engine.add(from_file(payload, tmp_path / "dl", stopped=True))
    info_hash = InfoHash(payload.info_hash)
    assert added is not None
    assert added == engine.metainfo(info_hash)
    assert engine.knows(info_hash)
    assert engine.torrents() == (info_hash,)


def test_the_same_torrent_twice_is_refused(
    engine: TorrentEngine, payload: Payload, tmp_path: Path
) -> None:
    engine.add(from_file(payload, tmp_path / "dl", stopped=True))
    with pytest.raises(TorrentExistsError):
        engine.add(from_file(payload, tmp_path / "elsewhere", stopped=True))
    assert len(engine.torrents()) == 1


@pytest.mark.parametrize("path", ["", "relative", "/a/../b", "/nul\0byte"])
def test_a_save_path_that_is_not_absolute_and_plain_is_refused(
    engine: TorrentEngine, payload: Payload, path: str
) -> None:
    torrent = EngineTorrent(
        spec=replace(spec_of(payload, Path("/")), save_path=path), metainfo_data=payload.torrent
    )
    with pytest.raises(InvalidInputError):
        engine.add(torrent)
    assert engine.torrents() == ()


def test_a_download_finishes_then_a_flush_is_acknowledged(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.add(from_file(payload, tmp_path / "dl", peers=stage.offer(payload)))
    finished = observer.first(DownloadFinished)
    seen = len(observer.facts)
    engine.flush(finished.info_hash)
    observer.until(lambda facts: any(isinstance(f, CacheFlushed) for f in facts[seen:]))
    status = settled(observer, lambda s: s.is_finished and s.progress == 1.0)
    assert status.wanted_done_bytes == payload.size_bytes
    assert engine.file_progress(finished.info_hash) == tuple(map(len, payload.files.values()))


def test_a_magnet_gets_its_metadata_from_peers_and_is_held_until_it_is_resumed(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    magnet = EngineTorrent(spec=spec_of(payload, tmp_path / "dl"), peers=stage.offer(payload))
    assert engine.add(magnet) is None
    received = observer.first(MetadataReceived)
    assert received.info_hash == payload.info_hash
    assert {f.path for f in received.metainfo.files} == set(payload.files)
    assert engine.metainfo(received.info_hash) is not None
    for _ in range(20):
        observer.step()
    held = engine.status(received.info_hash)
    assert held.in_upload_mode
    assert held.done_bytes == 0
    engine.resume(received.info_hash, forced=False)
    observer.first(DownloadFinished)


def test_a_magnet_s_torrent_file_is_handed_out_once(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.add(EngineTorrent(spec=spec_of(payload, tmp_path / "dl"), peers=stage.offer(payload)))
    info_hash = observer.first(MetadataReceived).info_hash
    engine.save(info_hash)
    first = observer.first(ResumeDataReady)
    described = engine.describe(MetainfoSource(first.metainfo_data))
    assert described.info_hash == payload.info_hash
    engine.save(info_hash)
    observer.until(lambda _: len(observer.all(ResumeDataReady)) == 2)
    assert observer.all(ResumeDataReady)[1].metainfo_data == b""


def test_a_torrent_added_stopped_stays_stopped_until_it_is_resumed(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.add(from_file(payload, tmp_path / "dl", stopped=True, peers=stage.offer(payload)))
    info_hash = InfoHash(payload.info_hash)
    status = engine.status(info_hash)
    assert status.is_paused
    assert not status.is_auto_managed
    engine.resume(info_hash, forced=False)
    engine.connect(info_hash, stage.offer(payload))
    observer.first(DownloadFinished)


@pytest.mark.parametrize("forced", [False, True])
def test_a_paused_torrent_leaves_the_queue_and_a_resumed_one_enters_it_unless_forced(
    engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path, *, forced: bool
) -> None:
    engine.add(from_file(payload, tmp_path / "dl"))
    info_hash = InfoHash(payload.info_hash)
    engine.pause(info_hash)
    settled(observer, lambda s: s.is_paused and not s.is_auto_managed)
    engine.resume(info_hash, forced=forced)
    status = settled(observer, lambda s: not s.is_paused)
    assert status.is_auto_managed is not forced


def test_a_removed_torrent_is_unknown_at_once_and_gone_soon(
    engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.add(from_file(payload, tmp_path / "dl"))
    info_hash = InfoHash(payload.info_hash)
    engine.remove(info_hash, with_data=False)
    assert not engine.knows(info_hash)
    assert engine.torrents() == ()
    gone = observer.first(TorrentGone)
    assert (gone.info_hash, gone.data_deleted, gone.reason) == (info_hash, False, "")


def test_a_torrent_removed_with_its_data_reports_the_deletion(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.add(from_file(payload, tmp_path / "dl", peers=stage.offer(payload)))
    info_hash = observer.first(DownloadFinished).info_hash
    engine.remove(info_hash, with_data=True)
    gone = observer.first(TorrentGone)
    assert (gone.data_deleted, gone.reason) == (True, "")
    assert [path for path in (tmp_path / "dl").rglob("*") if path.is_file()] == []


def test_a_magnet_without_metadata_is_removed_with_the_data_it_never_had(
    engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.add(EngineTorrent(spec=spec_of(payload, tmp_path / "dl")))
    engine.remove(InfoHash(payload.info_hash), with_data=True)
    gone = observer.first(TorrentGone)
    assert (gone.data_deleted, gone.reason) == (True, "")


def test_a_removed_torrent_can_be_added_again_before_it_is_gone(
    engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    info_hash = InfoHash(payload.info_hash)
    engine.add(from_file(payload, tmp_path / "dl", stopped=True))
    engine.remove(info_hash, with_data=False)
    engine.add(from_file(payload, tmp_path / "dl", stopped=True))
    observer.first(TorrentGone)
    assert engine.knows(info_hash)
    assert engine.status(info_hash).is_paused


def test_a_file_that_is_skipped_is_not_part_of_what_is_wanted(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.add(from_file(payload, tmp_path / "dl", stopped=True))
    info_hash = InfoHash(payload.info_hash)
    engine.prioritize(info_hash, [0, 4, 7])
    settled(observer, lambda s: s.wanted_bytes == 90_011)
    engine.resume(info_hash, forced=False)
    engine.connect(info_hash, stage.offer(payload))
    observer.first(DownloadFinished)
    assert engine.file_progress(info_hash)[1:] == (90_001, 10)
    assert engine.file_progress(info_hash)[0] < 147_456


def test_priorities_of_the_specification_hold_from_the_first_byte(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    spec = replace(spec_of(payload, tmp_path / "dl"), priorities=(0, 4, 4))
    engine.add(EngineTorrent(spec=spec, metainfo_data=payload.torrent, peers=stage.offer(payload)))
    observer.first(DownloadFinished)
    assert all(
        report.status.wanted_bytes == 90_011
        for report in observer.all(StatusReported)
        if report.status.activity is not Activity.CHECKING_RESUME
    )


@pytest.mark.parametrize("priorities", [(), (4,), (4, 4, 8), (4, 4, -1)])
def test_priorities_that_do_not_fit_are_refused(
    engine: TorrentEngine, payload: Payload, tmp_path: Path, priorities: tuple[int, ...]
) -> None:
    engine.add(from_file(payload, tmp_path / "dl", stopped=True))
    with pytest.raises(SelectionError):
        engine.prioritize(InfoHash(payload.info_hash), priorities)


def test_files_cannot_be_chosen_before_the_metadata_is_known(
    engine: TorrentEngine, payload: Payload, tmp_path: Path
) -> None:
    engine.add(EngineTorrent(spec=spec_of(payload, tmp_path / "dl", stopped=True)))
    info_hash = InfoHash(payload.info_hash)
    assert engine.metainfo(info_hash) is None
    assert engine.file_progress(info_hash) == ()
    with pytest.raises(SelectionError):
        engine.prioritize(info_hash, [4, 4, 4])


def test_session_limits_read_back_as_they_were_set(engine: TorrentEngine) -> None:
    assert engine.global_limits() == (0, 0)
    engine.set_global_limits(download=BytesPerSecond(2_000_000), upload=BytesPerSecond(50_000))
    assert engine.global_limits() == (2_000_000, 50_000)


@pytest.mark.parametrize("value", [-1, 2**31, 2**40])
def test_limits_that_would_wrap_to_unlimited_are_refused(
    engine: TorrentEngine, payload: Payload, tmp_path: Path, value: int
) -> None:
    engine.add(from_file(payload, tmp_path / "dl", stopped=True))
    limit, none = BytesPerSecond(value), BytesPerSecond(0)
    with pytest.raises(InvalidInputError):
        engine.set_global_limits(download=limit, upload=none)
    with pytest.raises(InvalidInputError):
        engine.set_limits(InfoHash(payload.info_hash), download=none, upload=limit)
    assert engine.global_limits() == (0, 0)


@pytest.mark.parametrize("peer", [("localhost", 1), ("127.0.0.1", 0), ("127.0.0.1", 65_536)])
def test_a_peer_that_is_no_address_and_port_is_refused(
    engine: TorrentEngine, payload: Payload, tmp_path: Path, peer: tuple[str, int]
) -> None:
    engine.add(from_file(payload, tmp_path / "dl", stopped=True))
    with pytest.raises(InvalidInputError):
        engine.connect(InfoHash(payload.info_hash), [peer])


def test_a_new_engine_continues_from_the_blob_without_a_check(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.add(from_file(payload, tmp_path / "dl", peers=stage.offer(payload)))
    info_hash = observer.first(DownloadFinished).info_hash
    engine.save(info_hash)
    blob = observer.first(ResumeDataReady).blob
    engine.close()

    second = stage.open()
    watching = Observer(second)
    second.add(
        EngineTorrent(
            spec=spec_of(payload, tmp_path / "dl"), metainfo_data=payload.torrent, blob=blob
        )
    )
    status = settled(watching, lambda s: s.is_finished)
    assert status.done_bytes == payload.size_bytes
    assert watching.all(ResumeRejected) == []
    assert Activity.CHECKING not in {r.status.activity for r in watching.all(StatusReported)}


def test_a_blob_that_is_damaged_costs_a_check_and_never_the_torrent(
    engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    torrent = EngineTorrent(
        spec=spec_of(payload, tmp_path / "dl"), metainfo_data=payload.torrent, blob=b"damaged"
    )
    assert engine.add(torrent) is not None
    assert observer.first(ResumeRejected).info_hash == payload.info_hash
    assert engine.knows(InfoHash(payload.info_hash))


def test_reports_of_a_torrent_never_go_back_in_sequence(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.add(from_file(payload, tmp_path / "dl", peers=stage.offer(payload)))
    settled(observer, lambda s: s.is_finished)
    observer.step()
    sequences = [report.status.sequence for report in observer.all(StatusReported)]
    assert sequences == sorted(sequences)
    assert engine.status(InfoHash(payload.info_hash)).sequence > sequences[-1]


def test_all_torrents_are_reported_when_all_are_asked_for(
    engine: TorrentEngine, observer: Observer, tmp_path: Path
) -> None:
    payloads = [make_payload(tmp_path / "seed", f"p{index}", 20_000) for index in range(3)]
    for payload in payloads:
        engine.add(from_file(payload, tmp_path / "dl", stopped=True))
    observer.until(lambda _: len({r.info_hash for r in observer.all(StatusReported)}) == 3)
    observer.step()
    observer.facts.clear()
    engine.request_all()
    observer.until(lambda _: len({r.info_hash for r in observer.all(StatusReported)}) == 3)


@pytest.mark.parametrize(
    "command",
    [
        lambda e: e.pause(UNKNOWN),
        lambda e: e.resume(UNKNOWN, forced=False),
        lambda e: e.recheck(UNKNOWN),
        lambda e: e.remove(UNKNOWN, with_data=True),
        lambda e: e.prioritize(UNKNOWN, [1]),
        lambda e: e.set_sequential(UNKNOWN, sequential=True),
        lambda e: e.set_limits(UNKNOWN, download=BytesPerSecond(0), upload=BytesPerSecond(0)),
        lambda e: e.connect(UNKNOWN, [("127.0.0.1", 1)]),
        lambda e: e.save(UNKNOWN),
        lambda e: e.flush(UNKNOWN),
        lambda e: e.status(UNKNOWN),
        lambda e: e.metainfo(UNKNOWN),
        lambda e: e.file_progress(UNKNOWN),
    ],
    ids=[
        *("pause", "resume", "recheck", "remove", "prioritize", "set_sequential", "set_limits"),
        *("connect", "save", "flush", "status", "metainfo", "file_progress"),
    ],
)
def test_an_unknown_torrent_is_not_found(
    engine: TorrentEngine, command: Callable[[TorrentEngine], object]
) -> None:
    assert not engine.knows(UNKNOWN)
    with pytest.raises(TorrentNotFoundError):
        command(engine)


@pytest.mark.parametrize(
    "command",
    [
        lambda e: e.torrents(),
        lambda e: e.pause(UNKNOWN),
        lambda e: e.request_updates(),
        lambda e: e.drain(),
        lambda e: e.wake_fd(),
        lambda e: e.global_limits(),
        lambda e: e.quiesce(),
    ],
    ids=["torrents", "pause", "request_updates", "drain", "wake_fd", "global_limits", "quiesce"],
)
def test_a_closed_engine_is_down(
    engine: TorrentEngine, command: Callable[[TorrentEngine], object]
) -> None:
    engine.close()
    engine.close()
    with pytest.raises(EngineDownError):
        command(engine)


def test_facts_keep_coming_while_the_engine_is_quiesced(
    engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.add(from_file(payload, tmp_path / "dl"))
    engine.quiesce()
    engine.save(InfoHash(payload.info_hash))
    observer.first(ResumeDataReady)


def test_a_recheck_finds_the_bytes_that_are_there(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.add(from_file(payload, tmp_path / "dl", peers=stage.offer(payload)))
    info_hash = observer.first(DownloadFinished).info_hash
    engine.flush(info_hash)
    observer.first(CacheFlushed)
    engine.recheck(info_hash)
    observer.until(lambda _: len(observer.all(DownloadFinished)) > 1)
    assert engine.status(info_hash).done_bytes == payload.size_bytes


def test_a_place_that_cannot_be_written_is_one_fault_until_it_is_mended_and_resumed(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    peers = stage.offer(payload)
    mend = stage.spoil(tmp_path / "dl")
    engine.add(from_file(payload, tmp_path / "dl", peers=peers))
    raised = observer.first(FaultRaised)
    assert raised.info_hash == payload.info_hash
    assert raised.fault.code is FaultCode.UNWRITABLE
    settled(observer, lambda s: bool(s.error))
    observer.step()
    assert len(observer.all(FaultRaised)) == 1
    mend()
    engine.resume(raised.info_hash, forced=False)
    engine.connect(raised.info_hash, peers)
    observer.first(FaultCleared)
    observer.first(DownloadFinished)


def test_pieces_are_only_reported_while_somebody_listens(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.set_interest(frozenset({"piece"}))
    engine.add(from_file(payload, tmp_path / "dl", peers=stage.offer(payload)))
    info_hash = observer.first(DownloadFinished).info_hash
    pieces = {fact.piece_index for fact in observer.all(PieceFinished)}
    assert pieces == set(range(engine.status(info_hash).pieces_have))


def test_a_stopped_magnet_has_nothing_to_check_or_flush_and_stays_stopped(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    info_hash = InfoHash(payload.info_hash)
    spec = spec_of(payload, tmp_path / "dl", stopped=True)
    engine.add(EngineTorrent(spec=spec, blob=b"damaged", recheck=True, peers=stage.offer(payload)))
    engine.recheck(info_hash)
    engine.flush(info_hash)
    assert observer.first(CacheFlushed).info_hash == info_hash
    engine.save(info_hash)
    assert observer.first(ResumeDataReady).metainfo_data == b""
    assert engine.status(info_hash).is_paused
    assert observer.all(MetadataReceived) == []


def test_a_stopped_torrent_whose_blob_is_damaged_is_checked_and_stands_still_again(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.add(from_file(payload, tmp_path / "dl", peers=stage.offer(payload)))
    info_hash = observer.first(DownloadFinished).info_hash
    engine.flush(info_hash)
    observer.first(CacheFlushed)
    engine.close()

    second = stage.open()
    watching = Observer(second)
    torrent = from_file(payload, tmp_path / "dl", stopped=True)
    second.add(replace(torrent, blob=b"damaged"))
    watching.first(ResumeRejected)
    status = settled(watching, lambda s: s.is_finished and s.is_paused)
    assert status.done_bytes == payload.size_bytes
    assert not status.is_auto_managed


def test_a_resumed_torrent_goes_on_with_the_peers_it_had(
    stage: Stage, engine: TorrentEngine, observer: Observer, tmp_path: Path
) -> None:
    payload = make_payload(tmp_path / "seed", "x.bin", 3_000_000)
    info_hash = InfoHash(payload.info_hash)
    slow, free = BytesPerSecond(100_000), BytesPerSecond(0)
    peers = stage.offer(payload)
    engine.add(from_file(payload, tmp_path / "dl", stopped=True))
    engine.set_limits(info_hash, download=slow, upload=free)
    engine.resume(info_hash, forced=False)
    engine.connect(info_hash, peers)
    settled(observer, lambda s: s.done_bytes > 0)
    engine.pause(info_hash)
    settled(observer, lambda s: s.is_paused)
    engine.set_limits(info_hash, download=free, upload=free)
    engine.resume(info_hash, forced=False)
    settled(observer, lambda s: s.is_finished and s.done_bytes == payload.size_bytes)


def test_the_descriptor_is_readable_while_facts_wait(
    engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    engine.add(from_file(payload, tmp_path / "dl", stopped=True))
    info_hash = InfoHash(payload.info_hash)
    settled(observer, lambda s: s.is_paused)
    engine.save(info_hash)
    poller = select.poll()
    poller.register(engine.wake_fd(), select.POLLIN)
    assert poller.poll(30_000)
    observer.first(ResumeDataReady)
    engine.drain()
    assert poller.poll(0) == []


def test_a_blob_of_another_torrent_is_left_aside(
    engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> None:
    other = make_payload(tmp_path / "seed", "other", 20_000)
    engine.add(from_file(other, tmp_path / "dl", stopped=True))
    engine.save(InfoHash(other.info_hash))
    blob = observer.first(ResumeDataReady).blob
    added = engine.add(replace(from_file(payload, tmp_path / "dl", stopped=True), blob=blob))
    assert added is not None
    assert added.name == "album"
    assert observer.first(ResumeRejected).info_hash == payload.info_hash
