"""Who holds the shared resources, when do they end, and what does a caller meet after that?"""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tenacity import wait_fixed

from actors.testing import eventually
from revaer.adapters.memory.engine import MemoryEngine
from revaer.compose.engine import EnginePlan, EngineRun
from revaer.domain.commands import RemoveTorrent
from revaer.domain.errors import (
    ClosedError,
    ConflictError,
    EngineUnsupportedError,
    InvalidInputError,
    InvalidTorrentError,
    StoreLockedError,
    TooManyTorrentsError,
    TorrentExistsError,
    TorrentNotFoundError,
)
from revaer.domain.paths import PathPolicy
from revaer.domain.torrent import StopReason
from revaer.embed import NetworkOptions, SharedResources, TorrentManager, TorrentSession
from revaer.ports.engine import EngineSettings
from revaer.runtime.tree import EnginePolicies
from tests.support.swarm import Payload, make_payload


def opened(root: Path) -> SharedResources:
    """Resources over the simulated engine."""
    root.mkdir(exist_ok=True)
    plan = EnginePlan(
        resume_dir=root / ".revaer" / "resume",
        policy=PathPolicy(roots=(str(root),), default=str(root)),
        settings=EngineSettings(listen=("127.0.0.1:0",)),
        open_engine=MemoryEngine,
    )
    resources = SharedResources.over(EngineRun(plan))
    resources.launch()
    return resources


@pytest.fixture
def resources(tmp_path: Path) -> Iterator[SharedResources]:
    before = set(threading.enumerate())
    made = opened(tmp_path / "out")
    yield made
    made.free()
    eventually(lambda: set(threading.enumerate()) <= before, within_s=20.0)


@pytest.fixture
def payloads(tmp_path: Path) -> list[Payload]:
    return [make_payload(tmp_path / f"seed{n}", f"album{n}", {"a.bin": 50_000}) for n in range(3)]


def test_the_last_one_to_let_go_frees_them(resources: SharedResources) -> None:
    resources.add_ref()
    resources.add_ref()

    resources.release()
    assert (resources.ref_count, resources.is_freed) == (1, False)
    resources.release()

    assert (resources.ref_count, resources.is_freed) == (0, True)


def test_free_does_not_wait_for_anybody_to_let_go(resources: SharedResources) -> None:
    resources.add_ref()

    resources.free()
    resources.free()
    resources.release()

    assert resources.is_freed
    with pytest.raises(ClosedError):
        resources.add_ref()


def test_a_release_without_a_reference_is_a_mistake_that_is_told(
    resources: SharedResources,
) -> None:
    with pytest.raises(ConflictError, match="more often than referenced"):
        resources.release()

    assert not resources.is_freed


def test_references_are_counted_right_from_many_threads(resources: SharedResources) -> None:
    resources.add_ref()

    def hold_and_let_go() -> None:
        for _ in range(200):
            resources.add_ref()
            resources.release()

    threads = [threading.Thread(target=hold_and_let_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (resources.ref_count, resources.is_freed) == (1, False)


def test_two_threads_that_free_both_return_when_it_is_done(resources: SharedResources) -> None:
    threads = [threading.Thread(target=resources.free) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)

    assert not any(thread.is_alive() for thread in threads)
    assert not [one for one in threading.enumerate() if one.name.startswith("engine")]


def test_sessions_and_managers_hold_a_reference_each(
    resources: SharedResources, payloads: list[Payload]
) -> None:
    manager = TorrentManager(resources=resources)
    session = TorrentSession(payloads[0].torrent, resources)
    managed = manager.add(payloads[1].torrent)
    assert resources.ref_count == 3

    assert manager.remove(managed)
    assert resources.ref_count == 2
    session.close()
    session.close()
    assert resources.ref_count == 1
    manager.close()

    assert resources.is_freed


def test_after_the_end_calls_are_refused_and_what_was_known_can_be_read(
    resources: SharedResources, payloads: list[Payload]
) -> None:
    manager = TorrentManager(resources=resources)
    session = manager.add(payloads[0].torrent)
    manager.close()
    manager.close()

    for call in (session.start, session.pause, session.stop, manager.pause_all):
        with pytest.raises(ClosedError):
            call()
    with pytest.raises(ClosedError):
        manager.add(payloads[1].torrent)
    with pytest.raises(ClosedError):
        manager.remove(session)
    with pytest.raises(ClosedError):
        manager.subscribe_all("*", print)
    with pytest.raises(ClosedError):
        session.wait(1.0)
    assert session.name == "album0"
    assert session.state == "stopped"
    assert manager.get(session.info_hash) is session
    assert manager.all() == (session,)


def test_a_session_or_manager_that_could_not_be_made_frees_nothing(
    resources: SharedResources, payloads: list[Payload]
) -> None:
    for call in (
        lambda: TorrentSession(b"no torrent", resources),
        lambda: TorrentSession(payloads[0].torrent, resources, on_event=42),  # type: ignore[arg-type]
        lambda: TorrentManager(resources=resources, on_event=42),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidInputError):
            call()

    assert (resources.ref_count, resources.is_freed) == (0, False)
    TorrentSession(payloads[0].torrent, resources).close()
    assert resources.is_freed


def test_callbacks_of_a_removed_torrent_are_forgotten_after_its_end(
    resources: SharedResources, payloads: list[Payload]
) -> None:
    manager = TorrentManager(resources=resources)
    session = manager.add(payloads[0].torrent, start=True)
    heard: list[str] = []
    made = session.events.subscribe("*", lambda event: heard.append(event.name))
    manager.remove(session)

    eventually(lambda: not made.is_active, within_s=20.0)
    assert heard[-1] == "session.stopped"


def test_an_engine_that_cannot_start_says_why_without_waiting_for_the_next_try(
    tmp_path: Path,
) -> None:
    def refuse(_: EngineSettings) -> MemoryEngine:
        raise EngineUnsupportedError("this libtorrent has no torrents")

    out = tmp_path / "out"
    plan = EnginePlan(
        resume_dir=out / ".revaer" / "resume",
        policy=PathPolicy(roots=(str(out),), default=str(out)),
        policies=EnginePolicies(wait=wait_fixed(0.01)),
        open_engine=refuse,
    )
    before = set(threading.enumerate())
    resources = SharedResources.over(EngineRun(plan))
    began = time.monotonic()

    with pytest.raises(EngineUnsupportedError, match="has no torrents"):
        resources.launch()

    assert time.monotonic() - began < 60
    assert resources.is_freed
    eventually(lambda: set(threading.enumerate()) <= before, within_s=20.0)


def test_one_torrent_has_one_user(resources: SharedResources, payloads: list[Payload]) -> None:
    films = TorrentManager(resources=resources)
    shows = TorrentManager(resources=resources)
    session = films.add(payloads[0].torrent)

    assert films.add(payloads[0].torrent) is session
    with pytest.raises(TorrentExistsError):
        shows.add(payloads[0].torrent)
    with pytest.raises(TorrentExistsError):
        TorrentSession(payloads[0].torrent, resources)
    assert shows.all() == ()
    assert shows.get(session.info_hash) is None
    assert not shows.remove(session.info_hash)

    films.close()
    assert shows.add(payloads[0].torrent).state == "stopped"


def test_a_manager_is_full_at_its_limit_and_has_room_after_a_removal(
    resources: SharedResources, payloads: list[Payload]
) -> None:
    manager = TorrentManager(resources=resources, max_torrents=2)
    first = manager.add(payloads[0].torrent)
    manager.add(payloads[1].torrent)

    assert manager.add(payloads[0].torrent) is first
    with pytest.raises(TooManyTorrentsError, match="max_torrents is 2"):
        manager.add(payloads[2].torrent)
    assert manager.remove(first)
    assert manager.add(payloads[2].torrent).name == "album2"
    assert [one.name for one in manager.all()] == ["album1", "album2"]


def test_a_torrent_that_a_share_limit_removed_is_let_go_of_and_can_come_back(
    resources: SharedResources, payloads: list[Payload]
) -> None:
    manager = TorrentManager(resources=resources)
    session = manager.add(payloads[0].torrent, start=True)
    resources.engine.run.gateway.execute(RemoveTorrent(session.info_hash))

    with pytest.raises(TorrentNotFoundError):
        session.pause()
    assert session.state == "stopped"
    assert manager.get(session.info_hash) is None
    again = manager.add(payloads[0].torrent)

    assert again is not session
    assert again.state == "stopped"
    assert manager.all() == (again,)
    assert resources.ref_count == 2


def test_many_threads_that_add_one_torrent_get_one_session(
    resources: SharedResources, payloads: list[Payload]
) -> None:
    manager = TorrentManager(resources=resources, max_torrents=1)
    got: list[TorrentSession] = []
    threads = [
        threading.Thread(target=lambda: got.append(manager.add(payloads[0].torrent)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)

    assert len(got) == 6
    assert len(set(map(id, got))) == 1
    assert resources.ref_count == 2


def test_a_close_during_adds_leaves_no_torrent_running(
    resources: SharedResources, tmp_path: Path
) -> None:
    resources.add_ref()
    manager = TorrentManager(resources=resources)
    torrents = [make_payload(tmp_path / f"s{n}", f"t{n}", 1000).torrent for n in range(24)]

    def add(mine: list[bytes]) -> None:
        with suppress(ClosedError):
            for torrent in mine:
                manager.add(torrent, start=True)

    threads = [threading.Thread(target=add, args=(torrents[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(manager.all()) > 2, within_s=20.0)
    manager.close()
    for thread in threads:
        thread.join(20.0)

    records = resources.board.records()
    assert len(records) < len(torrents)
    assert {record.spec.stop_reason for record in records} == {StopReason.USER}
    assert resources.ref_count == 1


@pytest.mark.parametrize("source", [b"junk", "magnet:?xt=nothing", b"", 5, None])
def test_what_is_no_torrent_is_refused(resources: SharedResources, source: object) -> None:
    manager = TorrentManager(resources=resources)

    with pytest.raises(InvalidInputError):
        manager.add(source)  # type: ignore[arg-type]

    assert resources.ref_count == 1


def test_a_source_that_is_refused_leaves_no_reference(resources: SharedResources) -> None:
    resources.add_ref()

    with pytest.raises(InvalidTorrentError):
        TorrentSession(b"junk", resources)

    assert resources.ref_count == 1


def test_what_belongs_to_the_resources_is_not_given_to_a_manager_that_shares_them(
    resources: SharedResources,
) -> None:
    with pytest.raises(InvalidInputError, match="max_connections, global_upload_limit belong"):
        TorrentManager(resources=resources, max_connections=5, global_upload_limit=1)
    with pytest.raises(InvalidInputError, match="name a download_dir"):
        TorrentManager()

    assert resources.ref_count == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_torrents": 0},
        {"event_capacity": 0},
        {"max_active_downloads": 0},
        {"max_connections": 1},
        {"global_download_limit": -1},
        {"network": NetworkOptions(listen="nonsense")},
    ],
    ids=str,
)
def test_numbers_that_no_session_takes_are_refused_and_nothing_stays_locked(
    tmp_path: Path, arguments: dict[str, object]
) -> None:
    with pytest.raises(InvalidInputError):
        TorrentManager(tmp_path / "out", **arguments)  # type: ignore[arg-type]

    opened(tmp_path / "out").free()


def test_a_state_directory_in_use_is_refused_in_the_same_process_too(
    resources: SharedResources, tmp_path: Path
) -> None:
    with pytest.raises(StoreLockedError):
        opened(tmp_path / "out")

    assert not resources.is_freed


def test_events_are_unsubscribed_by_what_was_returned_or_by_the_callback(
    resources: SharedResources, payloads: list[Payload]
) -> None:
    manager = TorrentManager(resources=resources)
    session = manager.add(payloads[0].torrent)
    heard: list[object] = []
    seen: list[object] = []
    subscription = session.events.subscribe("session.*", heard.append)
    manager.subscribe_all("session.*", heard.append)
    manager.subscribe_all("session.*", seen.append)

    session.events.unsubscribe(subscription)
    manager.unsubscribe(heard.append)
    session.start()

    eventually(lambda: seen, within_s=10.0)
    assert heard == []
    with pytest.raises(InvalidInputError):
        manager.subscribe_all("*", "not a function")  # type: ignore[arg-type]
