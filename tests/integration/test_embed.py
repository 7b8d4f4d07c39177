"""Do the three ways to use the library work on a real swarm, and what do they leave behind?"""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import revaer
from actors.testing import eventually
from revaer import (
    ClosedError,
    InvalidInputError,
    NetworkOptions,
    PathRefusedError,
    PieceCompletedEvent,
    SelectionRules,
    SessionEvent,
    SessionState,
    SharedResources,
    StatsUpdateEvent,
    StoreLockedError,
    TorrentFailedError,
    TorrentManager,
    TorrentSession,
    UnavailableError,
)
from revaer.domain.events import HealthChanged, PublishedEvent
from tests.support.children import run_python
from tests.support.swarm import Payload, Seeder, make_payload

LOCAL = NetworkOptions(
    listen="127.0.0.1:0", enable_dht=False, enable_lsd=False, enable_pex=False, enable_utp=False
)
WITHIN_S = 60.0


@pytest.fixture
def payloads(tmp_path: Path) -> list[Payload]:
    return [
        make_payload(tmp_path / f"seed{n}", f"album{n}", {"a.bin": 300_000, "b/c.txt": 9_000})
        for n in range(3)
    ]


@pytest.fixture
def seeder(payloads: list[Payload]) -> Iterator[Seeder]:
    with Seeder(*payloads) as running:
        yield running


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No thread and no descriptor outlives a test."""
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    yield
    eventually(lambda: set(threading.enumerate()) <= threads, within_s=20.0)
    eventually(lambda: open_descriptors() <= descriptors + 1, within_s=20.0)


def names(heard: list[SessionEvent]) -> list[str]:
    return [event.name for event in heard]


def test_one_torrent_on_resources_of_its_own(
    tmp_path: Path, payloads: list[Payload], seeder: Seeder
) -> None:
    heard: list[SessionEvent] = []
    shared = SharedResources(tmp_path / "out", network=LOCAL)
    session = TorrentSession(
        payloads[0].torrent_path, shared, peers=[seeder.peer], on_event=heard.append
    )
    assert session.state is SessionState.STOPPED
    assert shared.ref_count == 1

    session.start()
    assert session.wait(WITHIN_S)
    assert session.is_complete
    assert session.progress == 1.0
    assert shared.active_torrents == 1
    session.close()

    assert shared.is_freed
    shared.free()
    assert payloads[0].is_whole_in(tmp_path / "out")
    assert [name for name in names(heard) if name.startswith("session.")] == [
        "session.started",
        "session.completed",
        "session.stopped",
    ]


def test_many_torrents_of_a_manager(
    tmp_path: Path, payloads: list[Payload], seeder: Seeder
) -> None:
    with TorrentManager(tmp_path / "out", network=LOCAL) as manager:
        sessions = [manager.add(one.torrent_path, peers=[seeder.peer]) for one in payloads]
        assert {session.state for session in sessions} == {SessionState.STOPPED}

        for session in sessions:
            session.start()
        assert all(session.wait(WITHIN_S) for session in sessions)
        assert manager.resources.active_torrents == 3

        manager.pause_all()
        assert {session.state for session in sessions} == {SessionState.PAUSED}
        assert manager.resources.active_torrents == 0
        manager.resume_all()
        eventually(
            lambda: {session.state for session in sessions} == {SessionState.SEEDING},
            within_s=20.0,
        )

    assert all(one.is_whole_in(tmp_path / "out") for one in payloads)


def test_several_sessions_and_a_manager_on_one_libtorrent_session(
    tmp_path: Path, payloads: list[Payload], seeder: Seeder
) -> None:
    shared = SharedResources(tmp_path / "out", network=LOCAL)
    port = shared.listen_port
    first = TorrentSession(payloads[0].torrent, shared, peers=[seeder.peer])
    second = TorrentSession(payloads[1].torrent, shared, peers=[seeder.peer])
    manager = TorrentManager(resources=shared, download_dir=tmp_path / "out" / "managed")
    third = manager.add(payloads[2].torrent, peers=[seeder.peer], start=True)
    first.start()
    second.start()

    assert all(one.wait(WITHIN_S) for one in (first, second, third))
    assert port == shared.listen_port > 0
    assert manager.all() == (third,)

    manager.close()
    first.close()
    assert second.state == "seeding"
    second.close()
    eventually(lambda: shared.is_freed)
    assert payloads[2].is_whole_in(tmp_path / "out" / "managed")


def test_a_magnet_link_and_only_some_files(
    tmp_path: Path, payloads: list[Payload], seeder: Seeder
) -> None:
    with TorrentManager(tmp_path / "out", network=LOCAL) as manager:
        session = manager.add(
            payloads[0].magnet,
            peers=[seeder.peer],
            selection=SelectionRules.of(include=["*.txt"]),
            start=True,
        )
        assert session.wait(WITHIN_S)
        assert session.name == "album0"

    assert (tmp_path / "out" / "album0" / "b" / "c.txt").stat().st_size == 9_000
    assert not (tmp_path / "out" / "album0" / "a.bin").exists()


def test_what_a_listener_hears_of_a_download(tmp_path: Path) -> None:
    payload = make_payload(tmp_path / "seed", "film", 4_000_000, piece_length=65_536)
    everything: list[SessionEvent] = []
    pieces: list[SessionEvent] = []
    peers: list[SessionEvent] = []
    with (
        Seeder(payload, upload_limit=1_500_000) as seeder,
        TorrentManager(tmp_path / "out", network=LOCAL) as manager,
    ):
        manager.subscribe_all("*", everything.append)
        session = manager.add(payload.torrent, peers=[seeder.peer])
        session.events.subscribe("piece.completed", pieces.append)
        manager.subscribe_all("peer.*", peers.append)
        session.start()
        assert session.wait(WITHIN_S)
        eventually(lambda: len(pieces) == 62, within_s=20.0)
        eventually(lambda: "peer.connected" in names(peers), within_s=20.0)

    counted = [e.data for e in pieces if isinstance(e.data, PieceCompletedEvent)]
    assert sorted(one.piece_index for one in counted) == list(range(62))
    assert sum(one.piece_size for one in counted) == 4_000_000
    assert counted[-1].pieces_complete == counted[-1].total_pieces == 62
    assert [one.pieces_complete for one in counted] == sorted(
        one.pieces_complete for one in counted
    )
    stats = [e.data for e in everything if isinstance(e.data, StatsUpdateEvent)]
    assert any(one.download_rate > 0 and one.connected_peers == 1 for one in stats)
    assert not {name for name in names(everything) if name.startswith(("piece.", "peer."))}
    assert {event.info_hash for event in everything} == {payload.info_hash}


def test_each_call_is_told_once_and_one_without_effect_is_not(
    tmp_path: Path, payloads: list[Payload]
) -> None:
    heard: list[SessionEvent] = []
    with TorrentManager(tmp_path / "out", network=LOCAL) as manager:
        manager.subscribe_all("session.*", heard.append)
        session = manager.add(payloads[0].torrent)
        session.pause()
        session.start()
        session.start()
        session.pause()
        session.pause()
        session.resume()
        session.stop()
        session.stop()
        eventually(lambda: len(heard) == 4, within_s=20.0)

    assert names(heard) == [
        "session.started",
        "session.paused",
        "session.resumed",
        "session.stopped",
    ]


def test_a_restart_goes_on_and_says_so(
    tmp_path: Path, payloads: list[Payload], seeder: Seeder
) -> None:
    state = tmp_path / "state"
    with TorrentManager(tmp_path / "out", state_dir=state, network=LOCAL) as manager:
        running = manager.add(payloads[0].torrent, peers=[seeder.peer], start=True)
        manager.add(payloads[1].torrent)
        assert running.wait(WITHIN_S)
    assert not (tmp_path / "out" / ".revaer").exists()

    heard: list[SessionEvent] = []
    with TorrentManager(
        tmp_path / "out", state_dir=state, network=LOCAL, on_event=heard.append
    ) as manager:
        again = manager.get(payloads[0].infohash_v1.upper())
        standing = manager.get(payloads[1].info_hash)
        assert again is not None
        assert standing is not None
        assert again.wait(WITHIN_S)
        assert standing.state is SessionState.STOPPED
        assert manager.add(payloads[0].torrent) is again
        eventually(lambda: "session.started" in names(heard), within_s=20.0)
        assert names(heard)[0] == "session.started"

    started = [event.info_hash for event in heard if event.name == "session.started"]
    assert started == [payloads[0].info_hash]


def test_removing_deletes_files_only_when_asked_and_the_torrent_can_come_back(
    tmp_path: Path, payloads: list[Payload], seeder: Seeder
) -> None:
    out = tmp_path / "out"
    heard: list[SessionEvent] = []
    with TorrentManager(out, network=LOCAL) as manager:
        session = manager.add(payloads[0].torrent, peers=[seeder.peer], start=True)
        assert session.wait(WITHIN_S)
        manager.subscribe_all("session.stopped", heard.append)

        assert manager.remove(payloads[0].info_hash)
        assert payloads[0].is_whole_in(out)
        assert not manager.remove(payloads[0].info_hash)
        assert session.state is SessionState.STOPPED
        assert manager.get(payloads[0].info_hash) is None
        with pytest.raises(ClosedError):
            session.start()

        again = manager.add(payloads[0].torrent, start=True)
        assert again is not session
        assert again.wait(WITHIN_S)
        assert manager.remove(again, with_data=True)
        eventually(lambda: not (out / "album0").exists(), within_s=20.0)
        eventually(lambda: len(heard) == 2, within_s=20.0)


def test_waiting_ends_in_time_and_on_a_failure(tmp_path: Path, payloads: list[Payload]) -> None:
    out = tmp_path / "out"
    with TorrentManager(out, network=LOCAL) as manager:
        session = manager.add(payloads[0].torrent, start=True)
        assert not session.wait(0.3)
        assert not session.wait(0.0)
        magnet = manager.add(payloads[1].magnet, selection=SelectionRules.of(include=["nothing"]))
        with Seeder(payloads[1]) as seeder:
            magnet.connect([seeder.peer])
            magnet.start()
            magnet.connect([seeder.peer])
            with pytest.raises(TorrentFailedError, match="nothing"):
                magnet.wait(WITHIN_S)
        assert "nothing" in magnet.error


def test_a_save_path_outside_of_the_roots_is_refused_and_a_root_beside_is_not(
    tmp_path: Path, payloads: list[Payload]
) -> None:
    with TorrentManager(
        tmp_path / "out", save_roots=[tmp_path / "beside"], network=LOCAL
    ) as manager:
        with pytest.raises(PathRefusedError):
            manager.add(payloads[0].torrent, save_path=tmp_path / "elsewhere")
        session = manager.add(payloads[0].torrent, save_path=tmp_path / "beside" / "x")
        assert session.record is not None
        assert session.record.spec.save_path == str(tmp_path / "beside" / "x")
        with pytest.raises(InvalidInputError):
            manager.add(tmp_path / "no-such.torrent")


def test_queueing_lets_so_many_download_and_the_others_wait(
    tmp_path: Path, payloads: list[Payload]
) -> None:
    with TorrentManager(tmp_path / "out", network=LOCAL, max_active_downloads=1) as manager:
        sessions = [manager.add(one.torrent, start=True) for one in payloads]

        eventually(
            lambda: (
                sorted(session.state for session in sessions)
                == [SessionState.QUEUED, SessionState.QUEUED, SessionState.STALLED]
            ),
            within_s=40.0,
        )


def test_a_second_manager_needs_a_state_directory_of_its_own(
    tmp_path: Path, payloads: list[Payload]
) -> None:
    with TorrentManager(tmp_path / "out", network=LOCAL) as first:
        first.add(payloads[0].torrent)
        with pytest.raises(StoreLockedError):
            TorrentManager(tmp_path / "out", network=LOCAL)
        with TorrentManager(
            tmp_path / "out", state_dir=tmp_path / "other", network=LOCAL
        ) as second:
            assert second.all() == ()
            assert len(first.all()) == 1


def test_an_address_that_cannot_be_listened_on_is_told_and_nothing_stays_locked(
    tmp_path: Path,
) -> None:
    with TorrentManager(tmp_path / "first", network=LOCAL) as first:
        taken = NetworkOptions(
            listen=f"127.0.0.1:{first.resources.listen_port}", enable_dht=False, enable_utp=False
        )
        with pytest.raises(InvalidInputError, match="cannot accept peers on"):
            TorrentManager(tmp_path / "second", network=taken)

    with TorrentManager(tmp_path / "second", network=LOCAL) as second:
        assert second.resources.listen_port > 0


def test_close_inside_of_a_callback_works(
    tmp_path: Path, payloads: list[Payload], seeder: Seeder
) -> None:
    manager = TorrentManager(tmp_path / "out", network=LOCAL)
    session = manager.add(payloads[0].torrent, peers=[seeder.peer])
    closed = threading.Event()

    def close(_event: SessionEvent) -> None:
        manager.close()
        closed.set()

    session.events.subscribe("session.completed", close)
    session.start()

    assert closed.wait(WITHIN_S)
    manager.close()
    assert manager.resources.is_freed
    assert payloads[0].is_whole_in(tmp_path / "out")


def test_commands_inside_of_a_callback_work(
    tmp_path: Path, payloads: list[Payload], seeder: Seeder
) -> None:
    with TorrentManager(tmp_path / "out", network=LOCAL) as manager:

        def go_on(event: SessionEvent) -> None:
            if event.info_hash == payloads[0].info_hash:
                manager.add(payloads[1].torrent, peers=[seeder.peer], start=True)

        manager.subscribe_all("session.completed", go_on)
        manager.add(payloads[0].torrent, peers=[seeder.peer], start=True)

        eventually(
            lambda: (
                (second := manager.get(payloads[1].info_hash)) is not None and second.is_complete
            ),
            within_s=WITHIN_S,
        )


def test_limits_are_set_and_read_back(tmp_path: Path) -> None:
    with TorrentManager(
        tmp_path / "out", network=LOCAL, global_download_limit=1_000_000
    ) as manager:
        engine = manager.resources.engine.run.holder.current()
        assert engine.global_limits() == (1_000_000, 0)
        manager.set_limits(download=500_000, upload=70_000)
        assert engine.global_limits() == (500_000, 70_000)
        assert (manager.global_download_limit, manager.global_upload_limit) == (500_000, 70_000)
        assert manager.max_connections == 200
        manager.set_alternative_limits(download=40_000, upload=30_000)
        assert engine.global_limits() == (500_000, 70_000)
        manager.use_alternative_limits(enabled=True)
        assert engine.global_limits() == (40_000, 30_000)
        manager.use_alternative_limits(enabled=False)
        assert engine.global_limits() == (500_000, 70_000)
        with pytest.raises(InvalidInputError):
            manager.set_limits(download=-1, upload=0)


def test_a_program_that_never_closes_ends_by_itself_and_loses_nothing(
    tmp_path: Path, payloads: list[Payload]
) -> None:
    code, output = run_python(
        f"""
        from revaer import NetworkOptions, TorrentManager
        manager = TorrentManager(
            {str(tmp_path / "out")!r},
            network=NetworkOptions(listen="127.0.0.1:0", enable_dht=False, enable_lsd=False),
        )
        manager.subscribe_all("*", lambda event: None)
        manager.add({str(payloads[0].torrent_path)!r}, start=True)
        """
    )

    assert (code, output) == (0, "")
    with TorrentManager(tmp_path / "out", network=LOCAL) as manager:
        assert [session.info_hash for session in manager.all()] == [payloads[0].info_hash]


def test_a_forked_child_leaves_everything_to_its_parent(
    tmp_path: Path, payloads: list[Payload]
) -> None:
    """In a process of its own: forking one with threads of other tests proves nothing."""
    code, output = run_python(
        f"""
        import os, sys, warnings
        from revaer import ClosedError, NetworkOptions, TorrentManager
        warnings.simplefilter("ignore", DeprecationWarning)
        network = NetworkOptions(listen="127.0.0.1:0", enable_dht=False, enable_lsd=False)
        with TorrentManager({str(tmp_path / "out")!r}, network=network) as manager:
            session = manager.add({str(payloads[0].torrent_path)!r}, start=True)
            pid = os.fork()
            if pid == 0:
                for call in (session.pause, manager.pause_all, manager.resources.add_ref):
                    try:
                        call()
                    except ClosedError:
                        continue
                    os._exit(9)
                session.close()
                manager.resources.free()
                sys.exit(0)
            _, status = os.waitpid(pid, 0)
            session.pause()
            print(os.waitstatus_to_exitcode(status), session.state)
        """
    )

    assert (code, output) == (0, "0 paused\n")


def test_importing_costs_nothing_and_every_name_can_be_loaded() -> None:
    code, output = run_python(
        "import sys, revaer\n"
        "heavy = {'libtorrent', 'pykka', 'structlog', 'pydantic', 'orjson', 'revaer.embed'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "from revaer import *\n"
        "print(all(hasattr(revaer, name) for name in revaer.__all__), set(dir(revaer)) >= "
        "set(revaer.__all__))\n"
    )

    assert (code, output) == (0, "[]\nTrue True\n")
    with pytest.raises(AttributeError):
        revaer.nothing_of_ours  # noqa: B018 the access is what is tested


def test_a_state_directory_that_cannot_be_used_is_a_health_cause_until_it_can(
    tmp_path: Path, payloads: list[Payload], seeder: Seeder
) -> None:
    with TorrentManager(tmp_path / "out", network=LOCAL) as manager:
        manager.add(payloads[0].torrent_path, peers=[seeder.peer])
    resume = tmp_path / "out" / ".revaer" / "resume"
    unplugged = resume.rename(tmp_path / "unplugged")
    resume.touch()

    with TorrentManager(tmp_path / "out", network=LOCAL) as manager:
        feed = manager.resources.feed
        heard = feed.subscribe(("health.changed",))
        assert manager.all() == ()
        with pytest.raises(UnavailableError, match="move the file away"):
            manager.add(payloads[1].torrent_path)
        resume.unlink()
        unplugged.rename(resume)
        while (told := heard.next(WITHIN_S)) is not None:
            event = told.event if isinstance(told, PublishedEvent) else None
            if isinstance(event, HealthChanged) and event.component == "resume_store":
                if event.status == "ok":
                    break
                assert "move the file away" in event.cause
        assert told is not None
        eventually(lambda: len(manager.all()) == 1, within_s=WITHIN_S)
        (session,) = manager.all()
        session.connect([seeder.peer])
        session.start()
        assert session.wait(WITHIN_S)
    assert payloads[0].is_whole_in(tmp_path / "out")
