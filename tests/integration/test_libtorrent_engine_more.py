"""What does libtorrent really do when peers, pieces, files and settings are changed in a swarm?"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import libtorrent as lt
import pytest

from actors.testing import eventually
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.details import PieceState, TrackerState
from revaer.domain.facts import (
    CacheFlushed,
    DownloadFinished,
    FaultCleared,
    FaultRaised,
    FileRenamed,
    MetadataReceived,
    PieceFinished,
    ResumeDataReady,
    StatusReported,
    StorageMoved,
    StorageMoveFailed,
    TorrentChecked,
    TorrentExported,
)
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import Activity
from revaer.ports.engine import EngineSettings, EngineTorrent
from tests.contract.engines import LOOPBACK, Observer, from_file, spec_of
from tests.support.seeder import seed
from tests.support.swarm import Payload, Seeder, make_payload

MIB = 1 << 20
PIECE = 16_384
FREE = BytesPerSecond(0)
SIZES = {"a.bin": 40 * PIECE, "b.bin": 30 * PIECE, "c.bin": 20 * PIECE}
ENDS = {0, 39, 40, 69, 70, 89}
"""First and last piece of each of these files."""
IN_FLIGHT = 2
"""Pieces that a peer may have been asked for before it was told which come first."""

Open = Callable[..., LibtorrentEngine]


@pytest.fixture
def engines() -> Iterator[Open]:
    opened: list[LibtorrentEngine] = []

    def open_engine(settings: EngineSettings = LOOPBACK) -> LibtorrentEngine:
        opened.append(LibtorrentEngine(settings))
        return opened[-1]

    yield open_engine
    for engine in opened:
        engine.close()


@pytest.fixture
def engine(engines: Open) -> LibtorrentEngine:
    return engines()


@pytest.fixture
def observer(engine: LibtorrentEngine) -> Observer:
    return Observer(engine)


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "album", SIZES)


def handle_of(engine: LibtorrentEngine, info_hash: InfoHash) -> lt.torrent_handle:
    entry = engine._registry.find(info_hash)
    assert entry is not None
    return entry.handle


def session_of(engine: LibtorrentEngine) -> lt.session:
    session = engine._session
    assert session is not None
    return session


def port_of(engine: LibtorrentEngine) -> int:
    return engine.listen_ports()[0]


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory with its bytes."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def finished_pieces(observer: Observer, count: int) -> list[int]:
    """The first pieces that were finished, in order."""

    def pieces() -> list[int]:
        return [fact.piece_index for fact in observer.all(PieceFinished)]

    observer.until(lambda _: len(pieces()) >= count)
    return pieces()[:count]


class TestFirstAndLastPieces:
    def test_the_ends_of_every_file_come_first(
        self, engine: LibtorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
    ) -> None:
        engine.set_interest(frozenset({"piece"}))
        spec = replace(spec_of(payload, tmp_path / "dl"), first_last_pieces=True)
        with Seeder(payload, upload_limit=400_000) as seeder:
            torrent = EngineTorrent(spec=spec, metainfo_data=payload.torrent, peers=(seeder.peer,))
            engine.add(torrent)
            assert set(finished_pieces(observer, len(ENDS) + IN_FLIGHT)) >= ENDS

    def test_the_ends_of_files_chosen_later_come_first_too(
        self, engine: LibtorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
    ) -> None:
        info_hash = InfoHash(payload.info_hash)
        engine.set_interest(frozenset({"piece"}))
        engine.add(from_file(payload, tmp_path / "dl", stopped=True))
        engine.set_first_last_pieces(info_hash, enabled=True)
        for priorities in ([0, 0, 4], [4, 4, 0], [4, 0, 1], [0, 1, 4]):
            engine.prioritize(info_hash, priorities)
        wanted = {40, 69, 70, 89}
        observer.until(lambda _: raised(engine, info_hash) == wanted)
        for _ in range(5):
            observer.step()
        assert raised(engine, info_hash) == wanted  # nothing that libtorrent did later undid it
        with Seeder(payload, upload_limit=400_000) as seeder:
            engine.resume(info_hash, forced=False)
            engine.connect(info_hash, [seeder.peer])
            assert wanted <= set(finished_pieces(observer, len(wanted) + IN_FLIGHT))

    def test_a_magnet_s_ends_come_first_once_its_files_are_known_and_chosen(
        self, engine: LibtorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
    ) -> None:
        engine.set_interest(frozenset({"piece"}))
        spec = replace(spec_of(payload, tmp_path / "dl"), first_last_pieces=True)
        with Seeder(payload, upload_limit=400_000) as seeder:
            engine.add(EngineTorrent(spec=spec, peers=(seeder.peer,)))
            observer.first(MetadataReceived)
            engine.prioritize(spec.info_hash, [1, 0, 6])
            observer.until(lambda _: raised(engine, spec.info_hash) == {0, 39, 70, 89})
            engine.resume(spec.info_hash, forced=False)
            assert set(finished_pieces(observer, 4 + IN_FLIGHT)) >= {0, 39, 70, 89}

    def test_a_torrent_that_comes_back_with_its_blob_still_begins_with_the_ends(
        self, engines: Open, payload: Payload, tmp_path: Path
    ) -> None:
        first = engines()
        watching = Observer(first)
        spec = replace(spec_of(payload, tmp_path / "dl", stopped=True), priorities=(1, 4, 0))
        first.add(EngineTorrent(spec=spec, metainfo_data=payload.torrent))
        first.save(spec.info_hash)
        blob = watching.first(ResumeDataReady).blob
        first.close()
        for is_wanted, expected in ((True, {0, 39, 40, 69}), (False, set())):
            engine = engines()
            torrent = replace(spec, first_last_pieces=is_wanted)
            engine.add(EngineTorrent(spec=torrent, metainfo_data=payload.torrent, blob=blob))
            Observer(engine).first(TorrentChecked)
            assert raised(engine, spec.info_hash) == expected
            engine.close()

    def test_when_switched_off_every_piece_has_its_file_s_priority_again(
        self, engine: LibtorrentEngine, observer: Observer, tmp_path: Path
    ) -> None:
        sizes = {"a": 2 * PIECE + 100, "b": 50, "c": 0, "d": 3 * PIECE}
        payload = make_payload(tmp_path / "seed", "album", sizes)
        info_hash = InfoHash(payload.info_hash)
        engine.add(from_file(payload, tmp_path / "dl", stopped=True))
        engine.prioritize(info_hash, [1, 6, 4, 0])
        handle = handle_of(engine, info_hash)
        ordinary = [1, 1, 6, 0, 0, 0]
        observer.until(lambda _: handle.get_piece_priorities() == ordinary)
        engine.set_first_last_pieces(info_hash, enabled=True)
        assert handle.get_piece_priorities() == [7, 1, 7, 0, 0, 0]
        engine.set_first_last_pieces(info_hash, enabled=False)
        assert handle.get_piece_priorities() == ordinary


def raised(engine: LibtorrentEngine, info_hash: InfoHash) -> set[int]:
    """The pieces that come before all others."""
    priorities = handle_of(engine, info_hash).get_piece_priorities()
    return {piece for piece, priority in enumerate(priorities) if priority == 7}


class TestPeers:
    def test_a_ban_cuts_a_connected_peer_off_and_its_end_lets_it_in_again(
        self, engine: LibtorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
    ) -> None:
        info_hash = InfoHash(payload.info_hash)
        with Seeder(payload, upload_limit=50_000) as seeder:
            engine.add(from_file(payload, tmp_path / "dl", peers=(seeder.peer,)))
            observer.until(lambda _: engine.status(info_hash).downloaded_session_bytes > 0)
            assert engine.peers(info_hash)
            engine.apply(replace(LOOPBACK, banned_peers=frozenset({"127.0.0.1"})))
            observer.until(lambda _: engine.peers(info_hash) == ())
            received = engine.status(info_hash).downloaded_session_bytes
            engine.connect(info_hash, [seeder.peer])
            for _ in range(20):
                observer.step()
            assert engine.peers(info_hash) == ()
            assert engine.status(info_hash).downloaded_session_bytes == received
            engine.apply(LOOPBACK)
            engine.connect(info_hash, [seeder.peer])
            observer.until(lambda _: bool(engine.peers(info_hash)))

    def test_limits_hold_for_local_peers_after_a_ban_of_others(
        self, engine: LibtorrentEngine, observer: Observer, tmp_path: Path
    ) -> None:
        payload = make_payload(tmp_path / "seed", "x.bin", 16 * MIB, piece_length=65_536)
        banned = frozenset({"10.9.8.7", "2001:db8::1"})
        engine.apply(replace(LOOPBACK, download_limit=BytesPerSecond(MIB), banned_peers=banned))
        with Seeder(payload) as seeder:
            engine.add(from_file(payload, tmp_path / "dl", peers=(seeder.peer,)))
            observer.first(StatusReported, lambda r: r.status.downloaded_session_bytes > 0)
            start = time.monotonic()
            observer.until(lambda _: time.monotonic() - start > 4)
            received = engine.status(InfoHash(payload.info_hash)).downloaded_session_bytes
        assert 0 < received < 3 * 4 * MIB  # unlimited, all 16 MiB take a fraction of a second

    def test_an_incoming_encrypted_utp_peer_is_told_as_such(
        self, engines: Open, payload: Payload, tmp_path: Path
    ) -> None:
        engine = engines(replace(LOOPBACK, enable_utp=True))
        info_hash = InfoHash(payload.info_hash)
        engine.add(from_file(payload, tmp_path / "dl", stopped=True))
        engine.set_limits(info_hash, download=BytesPerSecond(30_000), upload=FREE)
        engine.resume(info_hash, forced=False)
        changed = {
            "enable_outgoing_tcp": False,
            "enable_outgoing_utp": True,
            "out_enc_policy": int(lt.enc_policy.pe_forced),
            "allowed_enc_level": int(lt.enc_level.pe_rc4),
            "prefer_rc4": True,
            "user_agent": "Other/1",
        }
        other = seed(0, [(str(payload.torrent_path), str(payload.directory))], changed)
        other.get_torrents()[0].connect_peer(("127.0.0.1", port_of(engine)))
        observer = Observer(engine)
        observer.until(lambda _: any("D" in p.flags.split() for p in engine.peers(info_hash)))
        (peer,) = engine.peers(info_hash)
        assert peer.flags.split() == ["D", *(["K"] if "K" in peer.flags else []), "I", "E", "P"]
        assert (peer.connection, peer.is_incoming, peer.is_encrypted) == ("utp", True, True)
        assert peer.progress == 1.0
        observer.until(lambda _: any(p.files for p in engine.peers(info_hash)))
        assert set(engine.peers(info_hash)[0].files) <= {0, 1, 2}
        assert PieceState.DOWNLOADING in engine.pieces(info_hash)

    def test_peers_are_learnt_from_peers_only_where_that_is_allowed(
        self, engines: Open, payload: Payload, tmp_path: Path
    ) -> None:
        info_hash = InfoHash(payload.info_hash)
        source = seed(20_000, [(str(payload.torrent_path), str(payload.directory))])
        source.get_torrents()[0].set_flags(lt.torrent_flags.disable_pex)
        changed = {"upload_rate_limit": 10_000, "download_rate_limit": 10_000}
        middle = seed(0, [], changed)
        params = lt.load_torrent_buffer(payload.torrent)
        params.save_path = str(tmp_path / "middle")
        params.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
        between = middle.add_torrent(params)
        between.connect_peer(("127.0.0.1", source.listen_port()))
        eventually(lambda: between.status().num_seeds == 1, within_s=20)
        learning, refusing = engines(), engines()
        refusing.apply(replace(LOOPBACK, enable_pex=False))
        for name, engine in (("learning", learning), ("refusing", refusing)):
            session_of(engine).apply_settings({"allow_multiple_connections_per_ip": True})
            engine.add(from_file(payload, tmp_path / name, stopped=True))
            engine.set_limits(
                info_hash, download=BytesPerSecond(5_000), upload=BytesPerSecond(5_000)
            )
            engine.resume(info_hash, forced=False)
            engine.connect(info_hash, [("127.0.0.1", middle.listen_port())])
        both = [Observer(learning), Observer(refusing)]

        def is_learnt(_: object) -> bool:
            both[1].step()
            return any("X" in peer.flags.split() for peer in learning.peers(info_hash))

        both[0].until(is_learnt)
        both[1].until(lambda _: bool(refusing.peers(info_hash)))
        told = [peer.flags.split() for peer in refusing.peers(info_hash)]
        assert told
        assert not any("X" in flags for flags in told)


class TestMoves:
    def test_a_seeding_torrent_goes_on_seeding_from_where_its_files_went(
        self, engine: LibtorrentEngine, engines: Open, observer: Observer, tmp_path: Path
    ) -> None:
        payload = make_payload(tmp_path / "seed", "album", {"a.bin": 900_000, "s/b.bin": 400_000})
        info_hash = InfoHash(payload.info_hash)
        engine.add(from_file(payload, payload.directory))
        observer.first(DownloadFinished)
        other = engines()
        watching = Observer(other)
        other.add(from_file(payload, tmp_path / "dl", stopped=True))
        other.set_limits(info_hash, download=BytesPerSecond(200_000), upload=FREE)
        other.resume(info_hash, forced=False)
        other.connect(info_hash, [("127.0.0.1", port_of(engine))])
        watching.until(lambda _: other.status(info_hash).downloaded_session_bytes > 0)
        engine.move(info_hash, str(tmp_path / "new" / "place"))
        assert observer.first(StorageMoved).save_path == str(tmp_path / "new" / "place")
        assert tree(tmp_path / "new" / "place") == dict(payload.files)
        assert tree(payload.directory) == {}
        assert engine.status(info_hash).is_finished
        other.set_limits(info_hash, download=FREE, upload=FREE)
        watching.first(DownloadFinished)
        other.flush(info_hash)
        watching.first(CacheFlushed)
        assert payload.is_whole_in(tmp_path / "dl")

    def test_a_file_in_the_way_changes_nothing_on_either_side(
        self, engine: LibtorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
    ) -> None:
        info_hash = InfoHash(payload.info_hash)
        engine.add(from_file(payload, payload.directory))
        observer.first(DownloadFinished)
        goal = tmp_path / "new"
        (goal / "album").mkdir(parents=True)
        (goal / "album" / "c.bin").write_bytes(b"somebody else's")
        before = tree(payload.directory), tree(goal)
        engine.move(info_hash, str(goal))
        failed = observer.first(StorageMoveFailed)
        assert "c.bin" in failed.reason
        assert (tree(payload.directory), tree(goal)) == before
        status = engine.status(info_hash)
        assert (status.is_finished, status.error, status.is_paused) == (True, "", False)

    def test_a_place_that_cannot_be_made_is_an_answer(
        self, engine: LibtorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
    ) -> None:
        info_hash = InfoHash(payload.info_hash)
        engine.add(from_file(payload, payload.directory))
        observer.first(DownloadFinished)
        (tmp_path / "file").write_text("no directory")
        engine.move(info_hash, str(tmp_path / "file" / "below"))
        assert observer.first(StorageMoveFailed).reason
        assert payload.is_whole_in(payload.directory)

    def test_a_renamed_file_moves_along_and_is_seeded(
        self, engine: LibtorrentEngine, engines: Open, observer: Observer, tmp_path: Path
    ) -> None:
        payload = make_payload(tmp_path / "seed", "album", {"a.bin": 90_000, "b.bin": 40_000})
        info_hash = InfoHash(payload.info_hash)
        engine.add(from_file(payload, payload.directory))
        observer.first(DownloadFinished)
        engine.rename_file(info_hash, 0, "album/deep/er/A.bin")
        observer.first(FileRenamed)
        engine.move(info_hash, str(tmp_path / "new"))
        observer.first(StorageMoved)
        moved = tree(tmp_path / "new")
        assert set(moved) == {"album/deep/er/A.bin", "album/b.bin"}
        assert moved["album/deep/er/A.bin"] == payload.files["album/a.bin"]
        other = engines()
        peers = (("127.0.0.1", port_of(engine)),)
        other.add(from_file(payload, tmp_path / "dl", peers=peers))
        watching = Observer(other)
        watching.first(DownloadFinished)


class TestRetriedStorage:
    def test_what_met_a_fault_is_chosen_and_written_again_without_a_check(
        self, engine: LibtorrentEngine, observer: Observer, tmp_path: Path
    ) -> None:
        payload = make_payload(tmp_path / "seed", "album", {"a.bin": 40 * PIECE, "b.bin": PIECE})
        info_hash = InfoHash(payload.info_hash)
        blocked = tmp_path / "dl" / "album" / "b.bin"
        blocked.parent.mkdir(parents=True)
        blocked.symlink_to("/dev/full")
        # All peers have one address here, and would count as one and the same.
        session_of(engine).apply_settings({"allow_multiple_connections_per_ip": True})
        with Seeder(payload) as seeder:
            engine.add(from_file(payload, tmp_path / "dl", stopped=True))
            observer.first(TorrentChecked)
            engine.prioritize(info_hash, [4, 0])
            engine.resume(info_hash, forced=True)
            engine.connect(info_hash, [seeder.peer])
            observer.first(DownloadFinished)
            engine.prioritize(info_hash, [4, 4])
            observer.first(FaultRaised)
            observer.until(lambda _: engine.status(info_hash).is_paused)
            blocked.unlink()
            observer.step()
            observer.facts.clear()
            engine.retry_storage(info_hash)
            observer.first(FaultCleared)
            observer.until(lambda _: not engine.status(info_hash).is_finished)
            # libtorrent may have put a finished torrent's seeds aside until it hears of a new peer.
            with Seeder(payload) as another:
                engine.connect(info_hash, [another.peer])
                observer.first(DownloadFinished)
            assert observer.all(TorrentChecked) == []
            states = {report.status.activity for report in observer.all(StatusReported)}
            assert Activity.CHECKING not in states
        engine.flush(info_hash)
        observer.first(CacheFlushed)
        assert payload.is_whole_in(tmp_path / "dl")

    def test_upload_mode_ends_but_the_pause_stays(
        self, engine: LibtorrentEngine, payload: Payload, tmp_path: Path
    ) -> None:
        info_hash = InfoHash(payload.info_hash)
        engine.add(from_file(payload, tmp_path / "dl", stopped=True))
        handle_of(engine, info_hash).set_flags(lt.torrent_flags.upload_mode)
        assert engine.status(info_hash).in_upload_mode
        engine.retry_storage(info_hash)
        status = engine.status(info_hash)
        assert (status.in_upload_mode, status.is_paused, status.is_auto_managed) == (
            False,
            True,
            False,
        )


class TestExport:
    @pytest.mark.parametrize("kind", ["v1", "v2", "hybrid"])
    def test_a_torrent_that_came_as_a_magnet_is_exported_whole(
        self, engine: LibtorrentEngine, engines: Open, observer: Observer, tmp_path: Path, kind: Any
    ) -> None:
        payload = make_payload(tmp_path / "s", "x", {"a": 70_000, "b": 9}, kind=kind)
        info_hash = InfoHash(payload.info_hash)
        with Seeder(payload) as seeder:
            engine.add(EngineTorrent(spec=spec_of(payload, tmp_path / "dl"), peers=(seeder.peer,)))
            observer.first(MetadataReceived)
            engine.resume(info_hash, forced=False)
            observer.first(DownloadFinished)
        engine.set_trackers(info_hash, [("http://127.0.0.1:1/announce", 0)])
        engine.export(info_hash)
        exported = observer.first(TorrentExported).metainfo_data
        engine.flush(info_hash)
        observer.first(CacheFlushed)
        second = engines()
        second.add(replace(from_file(payload, tmp_path / "dl"), metainfo_data=exported))
        Observer(second).first(DownloadFinished)  # every piece passes by the exported hashes
        assert [t.url for t in second.trackers(info_hash)] == ["http://127.0.0.1:1/announce"]


class TestSettings:
    def test_finding_peers_is_switched_on_and_off_while_running(
        self, engine: LibtorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
    ) -> None:
        info_hash = InfoHash(payload.info_hash)
        engine.add(from_file(payload, tmp_path / "dl", stopped=True))
        later = make_payload(tmp_path / "seed", "later", 20_000)

        def has_pex(one: InfoHash) -> bool:
            return not handle_of(engine, one).flags() & lt.torrent_flags.disable_pex

        assert has_pex(info_hash)
        engine.apply(replace(LOOPBACK, enable_pex=False))
        engine.add(from_file(later, tmp_path / "dl", stopped=True))
        assert not has_pex(info_hash)
        assert not has_pex(InfoHash(later.info_hash))
        engine.save(info_hash)
        blob = observer.first(ResumeDataReady).blob
        engine.apply(replace(LOOPBACK, enable_pex=True))
        assert has_pex(info_hash)
        assert has_pex(InfoHash(later.info_hash))
        engine.remove(info_hash, with_data=False)
        engine.add(replace(from_file(payload, tmp_path / "dl", stopped=True), blob=blob))
        assert has_pex(info_hash)  # the present setting holds, not the one of the blob

    def test_every_setting_reaches_the_session(self, engine: LibtorrentEngine) -> None:
        settings = replace(
            LOOPBACK,
            enable_lsd=True,
            enable_utp=True,
            outgoing_interface="lo",
            download_limit=BytesPerSecond(1_000),
            upload_limit=BytesPerSecond(2_000),
            max_connections=77,
            max_uploads=6,
            active_downloads=3,
            active_seeds=4,
            active_limit=5,
            user_agent="Tester/9",
        )
        engine.apply(settings)
        found = cast("dict[str, Any]", session_of(engine).get_settings())
        expected = {
            "enable_dht": False,
            "enable_lsd": True,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_incoming_utp": True,
            "enable_outgoing_utp": True,
            "outgoing_interfaces": "lo",
            "download_rate_limit": 1_000,
            "upload_rate_limit": 2_000,
            "connections_limit": 77,
            "unchoke_slots_limit": 6,
            "active_downloads": 3,
            "active_seeds": 4,
            "active_limit": 5,
            "user_agent": "Tester/9",
        }
        assert {name: found[name] for name in expected} == expected
        engine.apply(LOOPBACK)
        found = cast("dict[str, Any]", session_of(engine).get_settings())
        assert (found["enable_lsd"], found["connections_limit"]) == (False, 500)

    def test_another_port_is_listened_on_at_once(
        self, engine: LibtorrentEngine, engines: Open, observer: Observer
    ) -> None:
        other = engines()
        free = port_of(other)
        other.close()
        before = port_of(engine)
        engine.apply(replace(LOOPBACK, listen=(f"127.0.0.1:{free}",)))
        observer.until(lambda _: engine.listen_ports() == (free,))
        assert before != free

    @pytest.mark.parametrize("backend", ["default", "pread", "posix", "mmap"])
    def test_every_disk_backend_downloads(
        self, engines: Open, payload: Payload, tmp_path: Path, backend: str
    ) -> None:
        engine = engines(replace(LOOPBACK, disk_backend=backend))
        observer = Observer(engine)
        with Seeder(payload) as seeder:
            engine.add(from_file(payload, tmp_path / "dl", peers=(seeder.peer,)))
            observer.first(DownloadFinished)
        engine.flush(InfoHash(payload.info_hash))
        observer.first(CacheFlushed)
        assert payload.is_whole_in(tmp_path / "dl")


class TestTrackers:
    def test_a_tracker_s_answer_is_told_and_it_is_asked_again_on_demand(
        self, engine: LibtorrentEngine, observer: Observer, payload: Payload, tmp_path: Path
    ) -> None:
        info_hash = InfoHash(payload.info_hash)
        with tracker() as (url, asked):
            engine.add(from_file(payload, tmp_path / "dl"))
            engine.set_trackers(info_hash, [("http://127.0.0.1:1/announce", 0)])
            observer.until(lambda _: states(engine, info_hash) == [TrackerState.FAILING])
            (failing,) = engine.trackers(info_hash)
            assert (failing.fails > 0, failing.seeds) == (True, -1)
            assert "refused" in failing.message
            engine.set_trackers(info_hash, [(url, 2)])
            observer.until(lambda _: states(engine, info_hash) == [TrackerState.WORKING])
            (working,) = engine.trackers(info_hash)
            assert (working.seeds, working.leechers, working.downloaded) == (3, 2, 9)
            assert (working.message, working.fails, working.tier) == ("be nice", 0, 2)
            assert working.next_announce_at > time.time()
            count = len(asked)
            engine.reannounce(info_hash)
            observer.until(lambda _: len(asked) > count)

    def test_one_tracker_that_is_no_text_does_not_hide_the_others(
        self, engine: LibtorrentEngine, payload: Payload, tmp_path: Path
    ) -> None:
        parsed = cast("dict[bytes, Any]", lt.bdecode(payload.torrent))
        good = b"http://127.0.0.1:1/announce"
        parsed[b"announce-list"] = [[b"http://127.0.0.1:1/\xff\xfe/announce"], [good]]
        data = lt.bencode(cast("Any", parsed))
        engine.add(replace(from_file(payload, tmp_path / "dl", stopped=True), metainfo_data=data))
        told = engine.trackers(InfoHash(payload.info_hash))
        assert [(t.url, t.tier) for t in told] == [(good.decode(), 1)]


def states(engine: LibtorrentEngine, info_hash: InfoHash) -> list[TrackerState]:
    return [each.state for each in engine.trackers(info_hash)]


@contextmanager
def tracker() -> Iterator[tuple[str, Sequence[str]]]:
    """An HTTP tracker on loopback that knows nobody, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer: dict[bytes, Any] = {
                b"interval": 1_800,
                b"complete": 3,
                b"incomplete": 2,
                b"downloaded": 9,
                b"peers": b"",
                b"warning message": b"be nice",
            }
            body = lt.bencode(cast("Any", answer))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/announce", asked
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()
