"""What does libtorrent do to the engine: hostile input, damaged blobs, failing disks, limits?"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import libtorrent as lt
import pytest

from revaer.adapters.libtorrent import metainfo, status
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.adapters.libtorrent.registry import Entry, Registry
from revaer.adapters.libtorrent.startup import check_libtorrent
from revaer.domain.errors import EngineDownError, InvalidTorrentError, TorrentExistsError
from revaer.domain.facts import (
    DownloadFinished,
    FaultRaised,
    ListenFailed,
    ListenSucceeded,
    MetadataReceived,
    PeerJoined,
    ResumeDataReady,
    ResumeRejected,
    StatusReported,
    TorrentChecked,
    TrackerRefused,
)
from revaer.domain.ids import BytesPerSecond, EpochSeconds, InfoHash
from revaer.domain.torrent import Activity, FaultCode, MagnetSource, MetainfoSource
from revaer.ports.engine import EngineTorrent
from tests.contract.engines import LOOPBACK, Observer, from_file, spec_of
from tests.support.swarm import Payload, Seeder, make_payload

MIB = 1 << 20


@pytest.fixture
def engines() -> Iterator[Callable[[], LibtorrentEngine]]:
    opened: list[LibtorrentEngine] = []

    def open_engine() -> LibtorrentEngine:
        opened.append(LibtorrentEngine(LOOPBACK))
        return opened[-1]

    yield open_engine
    for engine in opened:
        engine.close()


@pytest.fixture
def engine(engines: Callable[[], LibtorrentEngine]) -> LibtorrentEngine:
    return engines()


@pytest.fixture
def observer(engine: LibtorrentEngine) -> Observer:
    return Observer(engine)


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "album", {"a.bin": 147_456, "b.bin": 90_001})


def edited(payload: Payload, change: Callable[[dict[bytes, Any]], None]) -> bytes:
    """The payload's torrent file with something of it changed."""
    parsed = cast("dict[bytes, Any]", lt.bdecode(payload.torrent))
    change(parsed)
    return lt.bencode(cast("Any", parsed))


def blob_with(blob: bytes, key: bytes, value: object) -> bytes:
    parsed = cast("dict[bytes, Any]", lt.bdecode(blob))
    parsed[key] = value
    return lt.bencode(cast("Any", parsed))


def finished_blob(engine: LibtorrentEngine, payload: Payload, save_path: Path) -> bytes:
    """Download a payload, close the engine, return its last resume data."""
    observer = Observer(engine)
    with Seeder(payload) as seeder:
        engine.add(from_file(payload, save_path, peers=(seeder.peer,)))
        observer.first(DownloadFinished)
    engine.save(InfoHash(payload.info_hash))
    blob = observer.first(ResumeDataReady).blob
    engine.close()
    return blob


def test_the_installed_libtorrent_is_the_supported_one() -> None:
    assert check_libtorrent().startswith("2.1.1")


class TestSources:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"<!doctype html><html></html>",
            b"\x1f\x8b\x08\x00",
            b"magnet:?xt=urn:btih:" + b"a" * 40,
            b"l" * 2_000 + b"e" * 2_000,
            b"d4:infod6:lengthi1e4:name1:a12:piece lengthi-1e6:pieces20:" + b"x" * 20 + b"ee",
            b"d4:infod6:lengthi-5e4:name1:a12:piece lengthi16384e6:pieces20:" + b"x" * 20 + b"ee",
            b"d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces0:ee",
            b"d4:infod6:lengthi1e4:name2:..12:piece lengthi16384e6:pieces20:" + b"x" * 20 + b"ee",
            b"d4:infod6:lengthi1e4:name0:12:piece lengthi16384e6:pieces20:" + b"x" * 20 + b"ee",
        ],
        ids=[
            *("empty", "html", "gzip", "magnet", "nested", "piece length", "length", "pieces"),
            *("dots", "nameless"),
        ],
    )
    def test_a_malformed_torrent_file_is_refused_in_one_line(self, data: bytes) -> None:
        with pytest.raises(InvalidTorrentError) as refused:
            metainfo.describe(MetainfoSource(data))
        assert "\n" not in str(refused.value)
        assert "[libtorrent" not in str(refused.value)

    def test_a_torrent_file_past_the_size_limit_is_refused_unread(self) -> None:
        with pytest.raises(InvalidTorrentError, match="10000000 allowed"):
            metainfo.describe(MetainfoSource(b"d" * (metainfo.MAX_METAINFO_BYTES + 1)))

    def test_more_trackers_than_anybody_needs_are_refused(self, payload: Payload) -> None:
        tiers = [[b"http://127.0.0.1/announce?%d" % index] for index in range(1_001)]
        data = edited(payload, lambda parsed: parsed.update({b"announce-list": tiers}))
        with pytest.raises(InvalidTorrentError, match="1001 trackers"):
            metainfo.describe(MetainfoSource(data))

    def test_more_trackers_are_refused_even_when_one_is_not_text(self, payload: Payload) -> None:
        tiers = [[b"http://127.0.0.1/\xff?%d" % index] for index in range(1_001)]
        data = edited(payload, lambda parsed: parsed.update({b"announce-list": tiers}))
        with pytest.raises(InvalidTorrentError, match="1001 trackers"):
            metainfo.describe(MetainfoSource(data))

    @pytest.mark.parametrize("name", [b"../../x", b"/etc/x", b"a\0b", b"\xff\xfe", b"n" * 300])
    def test_a_hostile_name_never_becomes_a_path_outside(
        self, payload: Payload, name: bytes
    ) -> None:
        data = edited(payload, lambda parsed: parsed[b"info"].update({b"name": name}))
        described = metainfo.describe(MetainfoSource(data))
        assert described.metainfo is not None
        for file in described.metainfo.files:
            assert not file.path.startswith("/")
            assert ".." not in file.path.split("/")
            assert "\0" not in file.path
            assert len(file.path.encode()) < 1_000

    @pytest.mark.parametrize("kind", ["v1", "v2", "hybrid"])
    def test_every_kind_of_torrent_keeps_its_id_whether_by_file_or_link(
        self, tmp_path: Path, kind: Any
    ) -> None:
        payload = make_payload(tmp_path / "s", "x", {"a": 40_000, "b": 5}, kind=kind)
        by_file = metainfo.describe(MetainfoSource(payload.torrent))
        by_link = metainfo.describe(MagnetSource(payload.magnet))
        again = metainfo.describe(MagnetSource(by_file.magnet_uri))
        ids = (payload.info_hash, payload.infohash_v1, payload.infohash_v2)
        for described in (by_file, by_link, again):
            assert (described.info_hash, described.infohash_v1, described.infohash_v2) == ids

    @pytest.mark.parametrize("kind", ["v1", "v2", "hybrid"])
    def test_every_file_knows_its_pieces_as_libtorrent_does(
        self, tmp_path: Path, kind: Any
    ) -> None:
        sizes = {"a": 40_000, "b": 0, "c": 16_384, "d": 5}
        payload = make_payload(tmp_path / "s", "x", sizes, kind=kind)
        described = metainfo.describe(MetainfoSource(payload.torrent)).metainfo
        info = lt.load_torrent_buffer(payload.torrent).ti
        assert described is not None
        assert info is not None
        layout, length = info.layout(), info.piece_length()
        for file in described.files:
            begin = layout.file_offset(file.index)
            if file.size_bytes:
                assert file.first_piece == begin // length
                assert file.last_piece == (begin + file.size_bytes - 1) // length
            assert 0 <= file.first_piece <= file.last_piece < described.piece_count
        assert described.total_size_bytes == payload.size_bytes

    def test_comment_maker_and_privacy_are_read(self, tmp_path: Path) -> None:
        payload = make_payload(tmp_path / "s", "x", 9, comment="über", is_private=True)
        described = metainfo.describe(MetainfoSource(payload.torrent)).metainfo
        assert described is not None
        assert (described.comment, described.is_private) == ("über", True)
        assert described.created_at == 1_700_000_000

    @pytest.mark.parametrize(
        "uri",
        [
            "magnet:?xt=urn:btih:" + "A" * 32,
            "magnet:?xt=urn:btih:" + "0" * 40,
            "magnet:?xt=urn:btih:" + "z" * 40,
            "magnet:?xt=urn:btih:" + "a" * 40 + "&dn=a\nb",
            "magnet:?xt=urn:btih:" + "a" * 40 + "&dn=" + "b" * 9_000,
        ],
        ids=["zero base32", "zero hex", "no hex", "control", "long"],
    )
    def test_an_unusable_link_is_refused(self, uri: str) -> None:
        with pytest.raises(InvalidTorrentError):
            metainfo.describe(MagnetSource(uri))

    def test_a_link_in_capitals_with_a_broken_name_is_accepted(self) -> None:
        described = metainfo.describe(
            MagnetSource("  MAGNET:?xt=urn:btih:" + "Ab" * 20 + "&dn=%ff%fe ")
        )
        assert described.info_hash == described.name == "ab" * 20
        assert described.magnet_uri.startswith("magnet:?xt=")


class TestIds:
    def test_a_hybrid_by_its_v1_link_keeps_its_id_and_answers_to_the_others(
        self, engine: LibtorrentEngine, observer: Observer, tmp_path: Path
    ) -> None:
        payload = make_payload(tmp_path / "seed", "x", {"a": 70_000, "b": 9}, kind="hybrid")
        link = f"magnet:?xt=urn:btih:{payload.infohash_v1}"
        spec = replace(spec_of(payload, tmp_path / "dl"), magnet_uri=link, infohash_v2="")
        with Seeder(payload) as seeder:
            engine.add(EngineTorrent(spec=spec, peers=(seeder.peer,)))
            assert not engine.knows(InfoHash(payload.infohash_v2))
            received = observer.first(MetadataReceived)
            engine.resume(received.info_hash, forced=False)
            finished = observer.first(DownloadFinished)
        assert received.info_hash == finished.info_hash == payload.infohash_v1
        assert received.metainfo.infohash_v2 == payload.infohash_v2
        for known in (payload.infohash_v1, payload.infohash_v2, payload.infohash_v2[:40]):
            assert engine.status(InfoHash(known)).info_hash == payload.infohash_v1
        assert not engine.knows(InfoHash(payload.infohash_v2[:40]))
        assert {r.info_hash for r in observer.all(StatusReported)} == {payload.infohash_v1}
        assert engine.torrents() == (payload.infohash_v1,)
        by_v2 = replace(spec, info_hash=InfoHash(payload.infohash_v2[:40]), magnet_uri="")
        with pytest.raises(TorrentExistsError):
            engine.add(EngineTorrent(spec=by_v2, metainfo_data=payload.torrent))

    def test_two_links_of_one_hybrid_are_told_apart_until_they_conflict(
        self, engine: LibtorrentEngine, observer: Observer, tmp_path: Path
    ) -> None:
        payload = make_payload(tmp_path / "seed", "x", {"a": 70_000, "b": 9}, kind="hybrid")
        v1 = replace(spec_of(payload, tmp_path / "dl1"), infohash_v2="", magnet_uri="")
        v2_id = InfoHash(payload.infohash_v2[:40])
        v2 = replace(v1, info_hash=v2_id, infohash_v1="", infohash_v2=payload.infohash_v2)
        with Seeder(payload) as seeder:
            engine.add(EngineTorrent(spec=v1))
            engine.add(EngineTorrent(spec=v2))
            engine.connect(v1.info_hash, [seeder.peer])
            engine.connect(v2_id, [seeder.peer])
            observer.until(lambda _: len({f.info_hash for f in conflicts(observer)}) == 2)
        assert {f.info_hash for f in conflicts(observer)} == {v1.info_hash, v2_id}


def conflicts(observer: Observer) -> list[FaultRaised]:
    return [
        fact for fact in observer.all(FaultRaised) if fact.fault.code is FaultCode.TORRENT_CONFLICT
    ]


class TestBlobs:
    @pytest.mark.parametrize(
        "change", [{"added_at": EpochSeconds(2**70)}, {"renames": ((2**40, "x"),)}]
    )
    def test_a_stored_number_that_no_engine_can_hold_is_one_refusal(
        self, engine: LibtorrentEngine, payload: Payload, tmp_path: Path, change: dict[str, Any]
    ) -> None:
        torrent = from_file(payload, tmp_path / "dl")
        with pytest.raises(InvalidTorrentError, match=payload.info_hash):
            engine.add(replace(torrent, spec=replace(torrent.spec, **change)))

    def test_a_blob_of_another_torrent_is_left_aside(
        self, engines: Callable[[], LibtorrentEngine], payload: Payload, tmp_path: Path
    ) -> None:
        other = make_payload(tmp_path / "seed2", "other", 30_000)
        blob = finished_blob(engines(), other, tmp_path / "dl")
        engine = engines()
        torrent = replace(from_file(payload, tmp_path / "dl"), blob=blob)
        engine.add(torrent)
        assert "another torrent" in Observer(engine).first(ResumeRejected).reason

    @pytest.mark.parametrize("name", [b"../../out", b"/tmp/out", b"a\0b"])
    def test_a_blob_that_renames_a_file_out_of_its_directory_is_left_aside(
        self,
        engines: Callable[[], LibtorrentEngine],
        payload: Payload,
        tmp_path: Path,
        name: bytes,
    ) -> None:
        blob = finished_blob(engines(), payload, tmp_path / "dl")
        engine = engines()
        blob = blob_with(blob, b"mapped_files", [name, b"album/b.bin"])
        engine.add(replace(from_file(payload, tmp_path / "dl"), blob=blob))
        observer = Observer(engine)
        assert "renames" in observer.first(ResumeRejected).reason
        observer.first(DownloadFinished)  # found by the full check
        assert payload.is_whole_in(tmp_path / "dl")

    @pytest.mark.parametrize("damage", [b"", b"de", b"i5e", b"\0" * 100])
    def test_a_magnet_survives_a_blob_that_cannot_be_read(
        self, engine: LibtorrentEngine, payload: Payload, tmp_path: Path, damage: bytes
    ) -> None:
        engine.add(EngineTorrent(spec=spec_of(payload, tmp_path / "dl"), blob=damage))
        assert Observer(engine).first(ResumeRejected).info_hash == payload.info_hash

    def test_a_blob_whose_path_is_not_text_is_left_aside(
        self, engines: Callable[[], LibtorrentEngine], payload: Payload, tmp_path: Path
    ) -> None:
        blob = blob_with(
            finished_blob(engines(), payload, tmp_path / "dl"), b"save_path", b"/\xff\xfe"
        )
        engine = engines()
        engine.add(replace(from_file(payload, tmp_path / "dl"), blob=blob))
        observer = Observer(engine)
        observer.first(ResumeRejected)
        observer.first(DownloadFinished)

    def test_the_specified_directory_wins_and_its_files_are_read_again(
        self, engines: Callable[[], LibtorrentEngine], payload: Payload, tmp_path: Path
    ) -> None:
        blob = finished_blob(engines(), payload, tmp_path / "dl")
        for path, content in payload.files.items():
            (payload.directory / path).write_bytes(bytes(len(content)))
        engine = engines()
        engine.add(replace(from_file(payload, payload.directory, stopped=True), blob=blob))
        checked = Observer(engine).first(
            StatusReported,
            lambda r: r.status.activity is Activity.DOWNLOADING and r.status.is_paused,
        )
        assert checked.status.done_bytes == 0

    def test_a_forced_check_notices_bytes_that_changed(
        self, engines: Callable[[], LibtorrentEngine], payload: Payload, tmp_path: Path
    ) -> None:
        blob = finished_blob(engines(), payload, tmp_path / "dl")
        target = tmp_path / "dl" / "album" / "a.bin"
        target.write_bytes(b"\0" * target.stat().st_size)
        trusting, checking = engines(), engines()
        torrent = replace(from_file(payload, tmp_path / "dl", stopped=True), blob=blob)
        trusting.add(torrent)
        Observer(trusting).first(TorrentChecked)
        assert trusting.status(InfoHash(payload.info_hash)).done_bytes == payload.size_bytes
        checking.add(replace(torrent, recheck=True))
        observer = Observer(checking)
        observer.first(StatusReported, lambda r: r.status.activity is Activity.DOWNLOADING)
        found = checking.status(InfoHash(payload.info_hash))
        assert found.done_bytes < payload.size_bytes
        assert found.is_paused

    def test_a_stopped_torrent_is_checked_when_asked_and_stands_still_again(
        self, engines: Callable[[], LibtorrentEngine], payload: Payload, tmp_path: Path
    ) -> None:
        blob = finished_blob(engines(), payload, tmp_path / "dl")
        engine = engines()
        engine.add(replace(from_file(payload, tmp_path / "dl", stopped=True), blob=blob))
        observer = Observer(engine)
        observer.first(TorrentChecked)
        (tmp_path / "dl" / "album" / "b.bin").unlink()
        engine.recheck(InfoHash(payload.info_hash))
        observer.first(StatusReported, lambda r: 0 < r.status.done_bytes < payload.size_bytes)
        observer.first(
            StatusReported,
            lambda r: r.status.activity is Activity.DOWNLOADING and r.status.is_paused,
        )


class TestDisk:
    def test_a_file_that_takes_no_bytes_is_one_fault_however_many_blocks_fail(
        self, engine: LibtorrentEngine, observer: Observer, tmp_path: Path
    ) -> None:
        payload = make_payload(tmp_path / "seed", "x.bin", 800_000)
        (tmp_path / "dl").mkdir()
        (tmp_path / "dl" / "x.bin").symlink_to("/dev/full")
        with Seeder(payload) as seeder:
            engine.add(from_file(payload, tmp_path / "dl", peers=(seeder.peer,)))
            raised = observer.first(FaultRaised)
            observer.first(StatusReported, lambda r: bool(r.status.error))
            observer.step()
        assert raised.fault.code is FaultCode.UNWRITABLE
        assert "x.bin" in raised.fault.message
        assert len(observer.all(FaultRaised)) == 1

    def test_files_that_vanish_under_a_seed_are_a_fault(
        self, engine: LibtorrentEngine, engines: Callable[[], LibtorrentEngine], payload: Payload
    ) -> None:
        observer = Observer(engine)
        engine.add(from_file(payload, payload.directory))
        observer.first(DownloadFinished)
        for path in payload.files:
            (payload.directory / path).unlink()
        other = engines()
        other.add(
            from_file(
                payload,
                payload.directory / "elsewhere",
                peers=(("127.0.0.1", engine.listen_ports()[0]),),
            )
        )
        raised = observer.first(FaultRaised)
        assert raised.fault.code is FaultCode.MISSING_FILES


class TestNetwork:
    @pytest.mark.parametrize("scope", ["session", "torrent"])
    def test_a_download_limit_holds_on_loopback(
        self, engine: LibtorrentEngine, observer: Observer, tmp_path: Path, scope: str
    ) -> None:
        limit, none = BytesPerSecond(MIB), BytesPerSecond(0)
        payload = make_payload(tmp_path / "seed", "x.bin", 16 * MIB, piece_length=65_536)
        info_hash = InfoHash(payload.info_hash)
        with Seeder(payload) as seeder:
            if scope == "session":
                engine.set_global_limits(download=limit, upload=none)
            engine.add(from_file(payload, tmp_path / "dl", stopped=True))
            if scope == "torrent":
                engine.set_limits(info_hash, download=limit, upload=none)
            engine.resume(info_hash, forced=False)
            engine.connect(info_hash, [seeder.peer])
            observer.first(StatusReported, lambda r: r.status.downloaded_session_bytes > 0)
            start = time.monotonic()
            observer.until(lambda _: time.monotonic() - start > 4)
            received = engine.status(info_hash).downloaded_session_bytes
        assert 0 < received < 3 * 4 * MIB  # unlimited, all 16 MiB take a fraction of a second

    def test_a_tracker_that_is_not_text_costs_only_its_own_text(
        self, engine: LibtorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
    ) -> None:
        url = b"http://127.0.0.1:1/\xff\xfe/announce"
        data = edited(payload, lambda parsed: parsed.update({b"announce": url}))
        assert metainfo.describe(MetainfoSource(data)).trackers == ()
        with Seeder(payload) as seeder:
            torrent = from_file(payload, tmp_path / "dl", peers=(seeder.peer,))
            engine.add(replace(torrent, metainfo_data=data))
            refused = observer.first(TrackerRefused)
            observer.first(DownloadFinished)
        assert refused.info_hash == payload.info_hash
        assert observer.all(StatusReported)[-1].status.tracker_count == 1

    def test_peers_are_reported_while_somebody_listens(
        self, engine: LibtorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
    ) -> None:
        engine.set_interest(frozenset({"peer"}))
        with Seeder(payload) as seeder:
            engine.add(from_file(payload, tmp_path / "dl", peers=(seeder.peer,)))
            joined = observer.first(PeerJoined)
            assert joined.address == f"127.0.0.1:{seeder.port}"

    def test_a_port_in_use_is_an_answer_and_no_other_port_is_taken(
        self, engine: LibtorrentEngine
    ) -> None:
        (port,) = engine.listen_ports()
        assert Observer(engine).first(ListenSucceeded).port == port
        second = LibtorrentEngine(replace(LOOPBACK, listen=(f"127.0.0.1:{port}",)))
        try:
            failed = Observer(second).first(ListenFailed)
            assert "127.0.0.1" in failed.interface
            assert second.listen_ports() == ()
        finally:
            second.close()


class TestScale:
    def test_thousands_of_reports_are_converted_and_routed(
        self, engine: LibtorrentEngine, tmp_path: Path
    ) -> None:
        observer = Observer(engine)
        for index in range(200):
            payload = make_payload(tmp_path / "seed", f"p{index}", 1)
            engine.add(from_file(payload, tmp_path / "dl", stopped=True))
        observer.until(lambda _: len(set(map(id, observer.all(TorrentChecked)))) == 200)
        session = cast("lt.session", engine._session)
        updates = [handle.status(status.QUERY) for handle in session.get_torrents()] * 50
        facts = status.reports(updates, engine._registry, sequence=7, now=int(time.time()))
        assert len(facts) == 10_000
        assert {f.info_hash for f in facts if isinstance(f, StatusReported)} == set(
            engine.torrents()
        )

    def test_a_report_of_a_stranger_is_left_out(
        self, engine: LibtorrentEngine, payload: Payload, tmp_path: Path
    ) -> None:
        engine.add(from_file(payload, tmp_path / "dl", stopped=True))
        session = cast("lt.session", engine._session)
        updates = [handle.status() for handle in session.get_torrents()]
        assert status.reports(updates, Registry(), sequence=1, now=1) == []
        assert Entry(InfoHash("a" * 40), updates[0].handle).removal.value == 0


class TestThreads:
    def test_an_engine_closed_under_its_pump_ends_the_pump_and_loses_no_descriptor(
        self, payload: Payload, tmp_path: Path
    ) -> None:
        before = len([*Path("/proc/self/fd").iterdir()])
        for _ in range(5):
            engine = LibtorrentEngine(LOOPBACK)
            ends: list[str] = []
            pump = threading.Thread(target=drain_until_down, args=(engine, ends))
            pump.start()
            engine.add(from_file(payload, payload.directory))
            engine.request_all()
            engine.close()
            pump.join(timeout=10)
            assert ends == ["down"]
        assert len([*Path("/proc/self/fd").iterdir()]) == before


def drain_until_down(engine: LibtorrentEngine, ends: list[str]) -> None:
    """Pump without a pause until the engine says that it is closed."""
    try:
        while True:
            engine.drain()
    except EngineDownError:
        ends.append("down")


def test_a_description_that_is_handed_on_is_not_made_again_unless_it_is_a_strangers(
    engine: LibtorrentEngine, payload: Payload, tmp_path: Path
) -> None:
    stranger = make_payload(tmp_path / "other", "other", 20_000)
    described = engine.describe(MetainfoSource(payload.torrent)).metainfo
    asked = from_file(payload, tmp_path / "out")

    assert engine.add(replace(asked, metainfo=described)) is described

    strange = engine.add(replace(from_file(stranger, tmp_path / "out"), metainfo=described))
    assert strange == engine.describe(MetainfoSource(stranger.torrent)).metainfo
