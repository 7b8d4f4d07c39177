"""What may the session expect of any engine beyond adding, running and removing?"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from revaer.domain.details import PieceState, TrackerState
from revaer.domain.errors import (
    ConflictError,
    EngineDownError,
    InvalidInputError,
    PathRefusedError,
    TorrentNotFoundError,
)
from revaer.domain.facts import (
    CacheFlushed,
    DownloadFinished,
    FaultCleared,
    FaultRaised,
    FileRenamed,
    MetadataReceived,
    PieceFinished,
    ResumeDataReady,
    ResumeRejected,
    StorageMoved,
    StorageMoveFailed,
    TorrentChecked,
    TorrentExported,
)
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import Activity, FaultCode, MetainfoSource, QueueMove, TorrentStatus
from revaer.ports.engine import EngineSettings, EngineTorrent, TorrentEngine
from tests.contract.engines import Observer, Stage, from_file, open_stage, spec_of
from tests.support.swarm import Kind, Payload, make_payload

UNKNOWN = InfoHash("0" * 39 + "1")
SIZES = {"a.bin": 147_456, "sub/b.bin": 90_001, "c.bin": 10}
URL = "http://127.0.0.1:1/announce"
BASE = EngineSettings(listen=("127.0.0.1:0",), enable_dht=False, enable_lsd=False, enable_utp=False)


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


@pytest.fixture
def stopped(engine: TorrentEngine, payload: Payload, tmp_path: Path) -> InfoHash:
    """A torrent that was added stopped, without a byte."""
    engine.add(from_file(payload, tmp_path / "dl", stopped=True))
    return InfoHash(payload.info_hash)


@pytest.fixture
def whole(
    stage: Stage, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
) -> InfoHash:
    """A torrent that is downloaded, its bytes in their files."""
    engine.add(from_file(payload, tmp_path / "dl", peers=stage.offer(payload)))
    info_hash = observer.first(DownloadFinished).info_hash
    engine.flush(info_hash)
    observer.first(CacheFlushed)
    return info_hash


def magnet(payload: Payload, save_path: Path, *, stopped: bool = False) -> EngineTorrent:
    return EngineTorrent(spec=spec_of(payload, save_path, stopped=stopped))


def until_status(
    observer: Observer, info_hash: InfoHash, where: Callable[[TorrentStatus], bool]
) -> TorrentStatus:
    """Drain until a fresh status fits."""
    found: list[TorrentStatus] = []

    def fits(_: object) -> bool:
        found.append(observer.engine.status(info_hash))
        return where(found[-1])

    observer.until(fits)
    return found[-1]


class TestTrackersAndWebSeeds:
    def test_trackers_are_replaced_and_told_in_tier_order_each_once(
        self, engine: TorrentEngine, stopped: InfoHash
    ) -> None:
        other = "udp://127.0.0.1:2/announce"
        engine.set_trackers(stopped, [(other, 7), (URL, 2), (other, 9)])
        told = engine.trackers(stopped)
        assert [(each.url, each.tier) for each in told] == [(URL, 2), (other, 7)]
        assert {each.state for each in told} == {TrackerState.NOT_CONTACTED}
        assert {(t.seeds, t.leechers, t.downloaded, t.fails) for t in told} == {(-1, -1, -1, 0)}
        engine.set_trackers(stopped, [])
        assert engine.trackers(stopped) == ()

    @pytest.mark.parametrize(
        ("url", "tier"),
        [
            ("", 0),
            ("no url", 0),
            ("ftp://host/announce", 0),
            ("http:///announce", 0),
            ("http://host:port/announce", 0),
            ("http://host/\n", 0),
            ("http://host/\ud800", 0),
            ("http://host/" + "x" * 5_000, 0),
            (URL, -1),
            (URL, 256),
        ],
    )
    def test_what_is_no_tracker_is_refused_and_nothing_changes(
        self, engine: TorrentEngine, stopped: InfoHash, url: str, tier: int
    ) -> None:
        engine.set_trackers(stopped, [(URL, 1)])
        with pytest.raises(InvalidInputError):
            engine.set_trackers(stopped, [("http://127.0.0.1:3/announce", 0), (url, tier)])
        assert [each.url for each in engine.trackers(stopped)] == [URL]

    def test_more_trackers_than_anybody_needs_are_refused(
        self, engine: TorrentEngine, stopped: InfoHash
    ) -> None:
        with pytest.raises(InvalidInputError, match="1001"):
            engine.set_trackers(stopped, [(f"{URL}?{index}", 0) for index in range(1_001)])

    def test_the_status_counts_the_trackers_that_were_set(
        self, engine: TorrentEngine, stopped: InfoHash
    ) -> None:
        engine.set_trackers(stopped, [(URL, 0), ("http://127.0.0.1:3/announce", 1)])
        assert engine.status(stopped).tracker_count == 2

    def test_trackers_and_web_seeds_of_the_torrent_file_are_told(
        self, engine: TorrentEngine, tmp_path: Path
    ) -> None:
        payload = make_payload(
            tmp_path / "s", "x", 9, trackers=[URL, "http://127.0.0.1:2/announce"]
        )
        engine.add(from_file(payload, tmp_path / "dl", stopped=True))
        told = engine.trackers(InfoHash(payload.info_hash))
        assert [(t.url, t.tier) for t in told] == [(URL, 0), ("http://127.0.0.1:2/announce", 1)]

    def test_web_seeds_are_replaced(self, engine: TorrentEngine, stopped: InfoHash) -> None:
        one, two = "http://127.0.0.1:1/a/", "https://127.0.0.1:1/b/"
        engine.set_web_seeds(stopped, [one])
        engine.set_web_seeds(stopped, [two, two])
        assert engine.web_seeds(stopped) == (two,)
        with pytest.raises(InvalidInputError):
            engine.set_web_seeds(stopped, [one, "udp://127.0.0.1:1/"])
        assert engine.web_seeds(stopped) == (two,)
        engine.set_web_seeds(stopped, [])
        assert engine.web_seeds(stopped) == ()

    def test_trackers_and_web_seeds_come_back_with_the_blob(
        self,
        stage: Stage,
        observer: Observer,
        stopped: InfoHash,
        payload: Payload,
        tmp_path: Path,
    ) -> None:
        engine = observer.engine
        engine.set_trackers(stopped, [(URL, 3)])
        engine.set_web_seeds(stopped, ["http://127.0.0.1:1/a/"])
        engine.save(stopped)
        blob = observer.first(ResumeDataReady).blob
        engine.close()
        second = stage.open()
        second.add(replace(from_file(payload, tmp_path / "dl", stopped=True), blob=blob))
        assert [(t.url, t.tier) for t in second.trackers(stopped)] == [(URL, 3)]
        assert second.web_seeds(stopped) == ("http://127.0.0.1:1/a/",)

    def test_a_torrent_can_be_announced_again_in_any_state(
        self, engine: TorrentEngine, stopped: InfoHash, payload: Payload
    ) -> None:
        engine.reannounce(stopped)
        engine.set_trackers(stopped, [(URL, 0)])
        engine.resume(stopped, forced=False)
        engine.reannounce(stopped)
        assert engine.knows(InfoHash(payload.info_hash))


class TestQueue:
    def test_a_torrent_moves_within_the_order(
        self, engine: TorrentEngine, observer: Observer, tmp_path: Path
    ) -> None:
        ids = []
        for name in "abcd":
            payload = make_payload(tmp_path / "seed", name, 20_000)
            engine.add(from_file(payload, tmp_path / "dl", stopped=True))
            ids.append(InfoHash(payload.info_hash))
        for info_hash in ids:
            until_status(observer, info_hash, lambda s: s.activity is Activity.DOWNLOADING)
        a, b, c, d = ids

        def order() -> list[InfoHash]:
            return sorted(ids, key=lambda one: engine.status(one).queue_position)

        assert order() == [a, b, c, d]
        steps: list[tuple[InfoHash, QueueMove, list[InfoHash]]] = [
            (d, QueueMove.TOP, [d, a, b, c]),
            (a, QueueMove.BOTTOM, [d, b, c, a]),
            (c, QueueMove.UP, [d, c, b, a]),
            (c, QueueMove.DOWN, [d, b, c, a]),
            (a, QueueMove.DOWN, [d, b, c, a]),
            (d, QueueMove.UP, [d, b, c, a]),
        ]
        for info_hash, move, expected in steps:
            engine.move_in_queue(info_hash, move)
            assert order() == expected
        assert sorted(engine.status(one).queue_position for one in ids) == [1, 2, 3, 4]

    def test_a_torrent_that_is_told_to_start_runs_outside_the_queue(
        self, engine: TorrentEngine, payload: Payload, tmp_path: Path
    ) -> None:
        engine.apply(replace(BASE, active_downloads=0, active_limit=0))
        spec = replace(spec_of(payload, tmp_path / "dl"), force_start=True)
        engine.add(EngineTorrent(spec=spec, metainfo_data=payload.torrent))
        status = engine.status(spec.info_hash)
        assert (status.is_paused, status.is_auto_managed) == (False, False)
        live = engine.live(spec.info_hash)
        assert (live.is_stopped, live.is_forced) == (False, True)


class TestPieces:
    def test_pieces_are_missing_then_there(
        self,
        stage: Stage,
        engine: TorrentEngine,
        observer: Observer,
        stopped: InfoHash,
        payload: Payload,
    ) -> None:
        count = -(-payload.size_bytes // 16_384)
        assert engine.pieces(stopped) == (PieceState.MISSING,) * count
        engine.resume(stopped, forced=False)
        engine.connect(stopped, stage.offer(payload))
        observer.first(DownloadFinished)
        assert engine.pieces(stopped) == (PieceState.HAVE,) * count

    def test_a_magnet_without_metadata_has_no_pieces_peers_or_files(
        self, engine: TorrentEngine, payload: Payload, tmp_path: Path
    ) -> None:
        engine.add(magnet(payload, tmp_path / "dl"))
        info_hash = InfoHash(payload.info_hash)
        assert engine.pieces(info_hash) == ()
        assert engine.peers(info_hash) == ()
        assert engine.live(info_hash).priorities == ()

    def test_first_and_last_pieces_can_be_asked_for_before_and_after_the_metadata(
        self,
        stage: Stage,
        engine: TorrentEngine,
        observer: Observer,
        payload: Payload,
        tmp_path: Path,
    ) -> None:
        info_hash = InfoHash(payload.info_hash)
        engine.add(magnet(payload, tmp_path / "dl"))
        assert not engine.live(info_hash).first_last_pieces
        engine.set_first_last_pieces(info_hash, enabled=True)
        engine.connect(info_hash, stage.offer(payload))
        observer.first(MetadataReceived)
        assert engine.live(info_hash).first_last_pieces
        engine.prioritize(info_hash, [4, 0, 4])
        engine.resume(info_hash, forced=False)
        observer.first(DownloadFinished)
        engine.set_first_last_pieces(info_hash, enabled=False)
        assert not engine.live(info_hash).first_last_pieces


class TestPeers:
    def test_a_connected_peer_is_described(
        self, stage: Stage, engine: TorrentEngine, observer: Observer, tmp_path: Path
    ) -> None:
        payload = make_payload(tmp_path / "seed", "x.bin", 3_000_000)
        info_hash = InfoHash(payload.info_hash)
        ((host, port),) = peers = stage.offer(payload)
        engine.add(from_file(payload, tmp_path / "dl", stopped=True))
        slow, free = BytesPerSecond(50_000), BytesPerSecond(0)
        engine.set_limits(info_hash, download=slow, upload=free)
        engine.resume(info_hash, forced=False)
        engine.connect(info_hash, peers)
        observer.until(lambda _: bool(engine.peers(info_hash)))
        observer.until(lambda _: "D" in engine.peers(info_hash)[0].flags.split(" "))
        (peer,) = engine.peers(info_hash)
        assert (peer.address, peer.port, peer.progress) == (host, port, 1.0)
        assert (peer.connection, peer.is_incoming, peer.is_encrypted) == ("bt", False, False)
        assert len(peer.peer_id) == 40
        assert peer.client


class TestMoves:
    def test_files_move_with_their_torrent(
        self,
        engine: TorrentEngine,
        observer: Observer,
        whole: InfoHash,
        payload: Payload,
        tmp_path: Path,
    ) -> None:
        engine.move(whole, str(tmp_path / "new"))
        moved = observer.first(StorageMoved)
        assert (moved.info_hash, moved.save_path) == (whole, str(tmp_path / "new"))
        assert engine.live(whole).save_path == str(tmp_path / "new")
        status = until_status(observer, whole, lambda s: not s.is_moving)
        assert (status.is_finished, status.done_bytes) == (True, payload.size_bytes)
        engine.recheck(whole)
        observer.until(lambda _: len(observer.all(DownloadFinished)) > 1)
        assert engine.status(whole).done_bytes == payload.size_bytes

    def test_a_torrent_that_is_there_already_has_been_moved(
        self, engine: TorrentEngine, observer: Observer, whole: InfoHash, tmp_path: Path
    ) -> None:
        engine.move(whole, f"{tmp_path / 'dl'}/")
        assert observer.first(StorageMoved).info_hash == whole
        assert observer.all(StorageMoveFailed) == []

    def test_a_magnet_without_metadata_moves_at_once(
        self, engine: TorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
    ) -> None:
        engine.add(magnet(payload, tmp_path / "dl"))
        engine.move(InfoHash(payload.info_hash), str(tmp_path / "new"))
        assert observer.first(StorageMoved).save_path == str(tmp_path / "new")
        assert engine.live(InfoHash(payload.info_hash)).save_path == str(tmp_path / "new")

    def test_a_file_in_the_way_makes_a_move_fail_with_nothing_moved(
        self,
        stage: Stage,
        observer: Observer,
        whole: InfoHash,
        payload: Payload,
        tmp_path: Path,
    ) -> None:
        engine = observer.engine
        stage.put_file(tmp_path / "new", "album/sub/b.bin")
        engine.move(whole, str(tmp_path / "new"))
        failed = observer.first(StorageMoveFailed)
        assert failed.info_hash == whole
        assert "in the way" in failed.reason
        assert engine.live(whole).save_path == str(tmp_path / "dl")
        engine.recheck(whole)
        observer.until(lambda _: len(observer.all(DownloadFinished)) > 1)
        assert engine.status(whole).done_bytes == payload.size_bytes
        assert observer.all(StorageMoved) == []

    @pytest.mark.parametrize("path", ["", "relative", "/a/../b", "/nul\0byte", "/\ud800"])
    def test_a_place_that_is_not_absolute_and_plain_is_refused(
        self, engine: TorrentEngine, stopped: InfoHash, tmp_path: Path, path: str
    ) -> None:
        with pytest.raises(PathRefusedError):
            engine.move(stopped, path)
        assert engine.live(stopped).save_path == str(tmp_path / "dl")


class TestRenames:
    def test_a_renamed_file_is_found_again_under_its_new_path(
        self, engine: TorrentEngine, observer: Observer, whole: InfoHash, payload: Payload
    ) -> None:
        engine.rename_file(whole, 1, "album/other/B 2.bin")
        renamed = observer.first(FileRenamed)
        assert (renamed.info_hash, renamed.index) == (whole, 1)
        assert renamed.path == "album/other/B 2.bin"
        engine.recheck(whole)
        observer.until(lambda _: len(observer.all(DownloadFinished)) > 1)
        assert engine.status(whole).done_bytes == payload.size_bytes
        metainfo = engine.metainfo(whole)
        assert metainfo is not None
        assert metainfo.files[1].path == "album/sub/b.bin"

    @pytest.mark.parametrize("index", [-1, 3, 2**31])
    def test_a_file_that_does_not_exist_cannot_be_renamed(
        self, engine: TorrentEngine, stopped: InfoHash, index: int
    ) -> None:
        with pytest.raises(InvalidInputError):
            engine.rename_file(stopped, index, "album/x")
        assert engine.knows(stopped)

    @pytest.mark.parametrize(
        "path", ["", "/tmp/x", "../x", "album/../../x", "a\0b", "album//x", "./x", "x/", "\ud800"]
    )
    def test_a_path_that_could_lead_out_is_refused(
        self, engine: TorrentEngine, stopped: InfoHash, path: str
    ) -> None:
        with pytest.raises(PathRefusedError):
            engine.rename_file(stopped, 0, path)

    def test_a_file_never_takes_the_path_of_another(
        self, engine: TorrentEngine, observer: Observer, stopped: InfoHash
    ) -> None:
        with pytest.raises(ConflictError):
            engine.rename_file(stopped, 0, "album/c.bin")
        engine.rename_file(stopped, 2, "album/d.bin")
        observer.first(FileRenamed)
        with pytest.raises(ConflictError):
            engine.rename_file(stopped, 0, "album/d.bin")
        engine.rename_file(stopped, 0, "album/c.bin")  # free by now
        observer.first(FileRenamed, lambda fact: fact.index == 0)

    def test_a_file_that_has_the_path_already_is_renamed(
        self, engine: TorrentEngine, observer: Observer, stopped: InfoHash
    ) -> None:
        engine.rename_file(stopped, 0, "album/a.bin")
        assert observer.first(FileRenamed).path == "album/a.bin"

    def test_a_magnet_without_metadata_has_no_files_to_rename_or_export(
        self, engine: TorrentEngine, payload: Payload, tmp_path: Path
    ) -> None:
        engine.add(magnet(payload, tmp_path / "dl"))
        with pytest.raises(ConflictError):
            engine.rename_file(InfoHash(payload.info_hash), 0, "x")
        with pytest.raises(ConflictError):
            engine.export(InfoHash(payload.info_hash))

    @pytest.mark.parametrize("has_blob", [True, False], ids=["with blob", "blob lost"])
    def test_names_of_the_specification_hold_after_a_restart(
        self,
        stage: Stage,
        observer: Observer,
        whole: InfoHash,
        payload: Payload,
        tmp_path: Path,
        *,
        has_blob: bool,
    ) -> None:
        engine = observer.engine
        engine.rename_file(whole, 1, "album/B.bin")
        observer.first(FileRenamed)
        engine.save(whole)
        blob = observer.first(ResumeDataReady).blob if has_blob else None
        engine.close()
        second = stage.open()
        watching = Observer(second)
        spec = replace(spec_of(payload, tmp_path / "dl"), renames=((1, "album/B.bin"),))
        second.add(EngineTorrent(spec=spec, metainfo_data=payload.torrent, blob=blob))
        watching.first(DownloadFinished)  # nobody is there to download from
        assert watching.all(ResumeRejected) == []

    def test_the_specification_s_names_win_over_those_of_the_blob(
        self,
        stage: Stage,
        observer: Observer,
        whole: InfoHash,
        payload: Payload,
        tmp_path: Path,
    ) -> None:
        engine = observer.engine
        engine.rename_file(whole, 1, "album/B.bin")
        observer.first(FileRenamed)
        engine.save(whole)
        blob = observer.first(ResumeDataReady).blob
        engine.close()
        second = stage.open()
        watching = Observer(second)
        second.add(replace(from_file(payload, tmp_path / "dl"), blob=blob))
        watching.first(ResumeRejected)
        watching.first(TorrentChecked)
        assert second.status(whole).done_bytes < payload.size_bytes

    def test_a_specification_that_leads_out_is_refused(
        self, engine: TorrentEngine, payload: Payload, tmp_path: Path
    ) -> None:
        spec = replace(spec_of(payload, tmp_path / "dl"), renames=((1, "../out"),))
        with pytest.raises(PathRefusedError):
            engine.add(EngineTorrent(spec=spec, metainfo_data=payload.torrent))
        assert engine.torrents() == ()

    def test_a_magnet_gets_its_names_from_the_specification(
        self,
        stage: Stage,
        engine: TorrentEngine,
        observer: Observer,
        payload: Payload,
        tmp_path: Path,
    ) -> None:
        spec = replace(spec_of(payload, tmp_path / "dl"), renames=((2, "album/first.bin"),))
        engine.add(EngineTorrent(spec=spec, peers=stage.offer(payload)))
        observer.first(MetadataReceived)
        with pytest.raises(ConflictError):
            engine.rename_file(spec.info_hash, 0, "album/first.bin")


class TestExport:
    @pytest.mark.parametrize("kind", ["v1", "v2", "hybrid"])
    def test_an_exported_torrent_is_the_same_with_the_sources_it_has_now(
        self, engine: TorrentEngine, observer: Observer, tmp_path: Path, kind: Kind
    ) -> None:
        payload = make_payload(
            tmp_path / "s",
            "x",
            {"a": 70_000, "b": 9},
            kind=kind,
            trackers=["udp://127.0.0.1:9"],
        )
        info_hash = InfoHash(payload.info_hash)
        engine.add(from_file(payload, tmp_path / "dl", stopped=True))
        engine.set_trackers(info_hash, [(URL, 0), ("http://127.0.0.1:2/announce", 1)])
        engine.set_web_seeds(info_hash, ["http://127.0.0.1:3/x/"])
        engine.export(info_hash)
        data = observer.first(TorrentExported).metainfo_data
        described = engine.describe(MetainfoSource(data))
        assert described.metainfo is not None
        assert (described.infohash_v1, described.infohash_v2) == (
            payload.infohash_v1,
            payload.infohash_v2,
        )
        assert described.trackers == (URL, "http://127.0.0.1:2/announce")
        assert described.web_seeds == ("http://127.0.0.1:3/x/",)
        assert described.metainfo.files == engine.metainfo(info_hash).files  # type: ignore[union-attr]

    def test_exports_and_saves_are_answered_each_as_asked(
        self, engine: TorrentEngine, observer: Observer, stopped: InfoHash
    ) -> None:
        for ask in (engine.save, engine.export, engine.export, engine.save, engine.export):
            ask(stopped)
        kinds = (ResumeDataReady, TorrentExported)
        observer.until(lambda facts: sum(isinstance(f, kinds) for f in facts) == 5)
        answers = [type(fact) for fact in observer.facts if isinstance(fact, kinds)]
        assert answers == [
            ResumeDataReady,
            TorrentExported,
            TorrentExported,
            ResumeDataReady,
            TorrentExported,
        ]

    def test_an_export_does_not_pass_for_a_save(
        self, engine: TorrentEngine, observer: Observer, stopped: InfoHash
    ) -> None:
        engine.save(stopped)
        observer.first(ResumeDataReady)
        engine.set_sequential(stopped, sequential=True)
        until_status(observer, stopped, lambda s: s.needs_save)
        engine.export(stopped)
        observer.first(TorrentExported)
        assert engine.status(stopped).needs_save
        engine.save(stopped)
        observer.until(lambda _: len(observer.all(ResumeDataReady)) == 2)
        assert not engine.status(stopped).needs_save


class TestRetriedStorage:
    def test_writing_goes_on_once_the_place_is_mended(
        self,
        stage: Stage,
        engine: TorrentEngine,
        observer: Observer,
        payload: Payload,
        tmp_path: Path,
    ) -> None:
        peers = stage.offer(payload)
        mend = stage.spoil(tmp_path / "dl")
        engine.add(from_file(payload, tmp_path / "dl", peers=peers))
        info_hash = observer.first(FaultRaised).info_hash
        until_status(observer, info_hash, lambda s: bool(s.error))
        mend()
        engine.retry_storage(info_hash)
        engine.connect(info_hash, peers)
        observer.first(FaultCleared)
        observer.first(DownloadFinished)

    def test_a_forced_torrent_runs_again_outside_the_queue(
        self,
        stage: Stage,
        engine: TorrentEngine,
        observer: Observer,
        payload: Payload,
        tmp_path: Path,
    ) -> None:
        peers = stage.offer(payload)
        mend = stage.spoil(tmp_path / "dl")
        engine.add(from_file(payload, tmp_path / "dl", stopped=True))
        info_hash = InfoHash(payload.info_hash)
        engine.resume(info_hash, forced=True)
        engine.connect(info_hash, peers)
        assert observer.first(FaultRaised).fault.code is FaultCode.UNWRITABLE
        until_status(observer, info_hash, lambda s: bool(s.error) and s.is_paused)
        mend()
        engine.retry_storage(info_hash)
        status = until_status(observer, info_hash, lambda s: not s.is_paused)
        assert not status.is_auto_managed
        engine.connect(info_hash, peers)
        observer.first(DownloadFinished)

    def test_a_stopped_torrent_stays_stopped(
        self, engine: TorrentEngine, observer: Observer, stopped: InfoHash
    ) -> None:
        engine.retry_storage(stopped)
        for _ in range(5):
            observer.step()
        status = engine.status(stopped)
        assert (status.is_paused, status.is_auto_managed) == (True, False)

    def test_a_forced_torrent_that_is_checked_after_a_fault_runs_on(
        self,
        stage: Stage,
        engine: TorrentEngine,
        observer: Observer,
        payload: Payload,
        tmp_path: Path,
    ) -> None:
        peers = stage.offer(payload)
        mend = stage.spoil(tmp_path / "dl")
        spec = replace(spec_of(payload, tmp_path / "dl"), force_start=True)
        engine.add(EngineTorrent(spec=spec, metainfo_data=payload.torrent, peers=peers))
        observer.first(FaultRaised)
        until_status(observer, spec.info_hash, lambda s: bool(s.error) and s.is_paused)
        mend()
        engine.recheck(spec.info_hash)
        observer.first(FaultCleared)
        engine.connect(spec.info_hash, peers)
        until_status(observer, spec.info_hash, lambda s: not s.is_paused)
        for _ in range(10):
            observer.step()
        assert not engine.status(spec.info_hash).is_paused

    @pytest.mark.parametrize("what", ["retry_storage", "recheck"])
    def test_a_held_magnet_stays_held(
        self,
        stage: Stage,
        observer: Observer,
        payload: Payload,
        tmp_path: Path,
        what: str,
    ) -> None:
        engine = observer.engine
        engine.add(
            EngineTorrent(spec=spec_of(payload, tmp_path / "dl"), peers=stage.offer(payload))
        )
        info_hash = observer.first(MetadataReceived).info_hash
        getattr(engine, what)(info_hash)
        for _ in range(10):
            observer.step()
        status = engine.status(info_hash)
        assert status.in_upload_mode
        assert status.done_bytes == 0
        engine.resume(info_hash, forced=False)
        observer.first(DownloadFinished)


class TestSettings:
    def test_limits_are_applied_and_read_back(self, engine: TorrentEngine) -> None:
        engine.apply(
            replace(BASE, download_limit=BytesPerSecond(3_000), upload_limit=BytesPerSecond(4_000))
        )
        assert engine.global_limits() == (3_000, 4_000)
        engine.apply(BASE)
        assert engine.global_limits() == (0, 0)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"download_limit": 2**31},
            {"upload_limit": -1},
            {"listen": ("nowhere",)},
            {"listen": ("127.0.0.1:70000",)},
            {"listen": ("127.0.0.1:0,0.0.0.0:1",)},
            {"outgoing_interface": "eth0\n"},
            {"max_connections": 1},
            {"max_connections": 2**40},
            {"max_uploads": -2},
            {"active_downloads": -2},
            {"active_seeds": 2**31},
            {"active_limit": -2},
            {"user_agent": "a\r\nb"},
            {"disk_backend": "nfs"},
            {"banned_peers": frozenset({"localhost"})},
            {"banned_peers": frozenset({"10.0.0.1", "fe80::1%eth0"})},
        ],
    )
    def test_a_setting_out_of_range_is_refused_and_changes_nothing(
        self, engine: TorrentEngine, wrong: dict[str, object]
    ) -> None:
        before = engine.listen_ports()
        settings = replace(BASE, **{"download_limit": BytesPerSecond(5_000), **wrong})  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError):
            engine.apply(settings)
        assert engine.global_limits() == (0, 0)
        assert engine.listen_ports() == before

    def test_queueing_begins_and_ends_while_running(
        self, engine: TorrentEngine, observer: Observer, tmp_path: Path
    ) -> None:
        ids = []
        for name in "ab":
            payload = make_payload(tmp_path / "seed", name, 20_000)
            engine.add(from_file(payload, tmp_path / "dl"))
            ids.append(InfoHash(payload.info_hash))

        def running() -> int:
            return sum(not engine.status(one).is_paused for one in ids)

        observer.until(lambda _: running() == 2)
        engine.apply(replace(BASE, active_downloads=1, active_limit=1))
        observer.until(lambda _: running() == 1)
        engine.apply(BASE)
        observer.until(lambda _: running() == 2)

    def test_what_somebody_listens_to_is_reported_after_a_change(
        self,
        stage: Stage,
        engine: TorrentEngine,
        observer: Observer,
        payload: Payload,
        tmp_path: Path,
    ) -> None:
        engine.set_interest(frozenset({"piece"}))
        engine.apply(BASE)
        engine.add(from_file(payload, tmp_path / "dl", peers=stage.offer(payload)))
        observer.first(DownloadFinished)
        assert observer.all(PieceFinished)

    def test_a_banned_peer_is_not_talked_to(
        self,
        stage: Stage,
        engine: TorrentEngine,
        observer: Observer,
        payload: Payload,
        tmp_path: Path,
    ) -> None:
        peers = stage.offer(payload)
        engine.apply(replace(BASE, banned_peers=frozenset({"127.0.0.1", "::1"})))
        engine.add(from_file(payload, tmp_path / "dl", peers=peers))
        info_hash = InfoHash(payload.info_hash)
        for _ in range(20):
            observer.step()
        assert engine.peers(info_hash) == ()
        assert engine.status(info_hash).done_bytes == 0
        engine.apply(BASE)
        engine.connect(info_hash, peers)
        observer.first(DownloadFinished)


@pytest.mark.parametrize(
    "command",
    [
        lambda e: e.reannounce(UNKNOWN),
        lambda e: e.move_in_queue(UNKNOWN, QueueMove.UP),
        lambda e: e.set_first_last_pieces(UNKNOWN, enabled=True),
        lambda e: e.trackers(UNKNOWN),
        lambda e: e.set_trackers(UNKNOWN, []),
        lambda e: e.web_seeds(UNKNOWN),
        lambda e: e.set_web_seeds(UNKNOWN, []),
        lambda e: e.peers(UNKNOWN),
        lambda e: e.pieces(UNKNOWN),
        lambda e: e.move(UNKNOWN, "/x"),
        lambda e: e.rename_file(UNKNOWN, 0, "x"),
        lambda e: e.export(UNKNOWN),
        lambda e: e.retry_storage(UNKNOWN),
        lambda e: e.live(UNKNOWN),
    ],
    ids=[
        *("reannounce", "move_in_queue", "first_last", "trackers", "set_trackers", "web_seeds"),
        *("set_web_seeds", "peers", "pieces", "move", "rename", "export", "retry", "live"),
    ],
)
def test_an_unknown_torrent_is_not_found(
    engine: TorrentEngine, command: Callable[[TorrentEngine], object]
) -> None:
    with pytest.raises(TorrentNotFoundError):
        command(engine)
    engine.close()
    with pytest.raises(EngineDownError):
        command(engine)


def test_a_closed_engine_takes_no_settings(engine: TorrentEngine) -> None:
    engine.close()
    with pytest.raises(EngineDownError):
        engine.apply(BASE)
