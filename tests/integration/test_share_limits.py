"""Are torrents ended when they were shared enough, on a real swarm, also across restarts?"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from actors.testing import eventually
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.commands import (
    AddTorrent,
    PauseTorrent,
    ResumeTorrent,
    SetForceStart,
    SetShareLimitPolicy,
    SetShareLimits,
)
from revaer.domain.errors import InvalidInputError
from revaer.domain.events import PublishedEvent, TorrentStateChanged
from revaer.domain.ids import InfoHash
from revaer.domain.share_limits import UNLIMITED_SHARING, ShareLimitPolicy, ShareLimits
from revaer.domain.torrent import (
    NO_LIMIT,
    MetainfoSource,
    ShareLimitAction,
    StopReason,
    TorrentState,
)
from revaer.ports.event_feed import Subscription
from revaer.runtime.messages import EngineReported
from tests.support.rig import EngineRig
from tests.support.swarm import Payload, Peer, Seeder, make_payload

SIZE = 400_000
SOON_S = 60.0


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(
        tmp_path / "seed", "show", {"film.mkv": SIZE, "subs/en.srt": 4_001}, piece_length=16_384
    )


@pytest.fixture
def other(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "other.mkv", SIZE)


@pytest.fixture
def seeder(payload: Payload, other: Payload) -> Iterator[Seeder]:
    with Seeder(payload, other) as running:
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def rig(root: Path) -> Iterator[EngineRig]:
    with EngineRig(root=root, open_engine=LibtorrentEngine) as running:
        yield running


def add(rig: EngineRig, payload: Payload, peer: Peer, *, category: str = "") -> InfoHash:
    return rig.gateway.execute(
        AddTorrent(source=MetainfoSource(payload.torrent), peers=(peer,), category=category),
        timeout_s=SOON_S,
    ).info_hash


def limit_everything(rig: EngineRig, **limits: Any) -> None:
    policy = ShareLimitPolicy(everything=ShareLimits(**limits))
    rig.gateway.apply(SetShareLimitPolicy(policy), timeout_s=SOON_S)


def limit(
    rig: EngineRig,
    info_hash: InfoHash,
    *,
    ratio: float = NO_LIMIT,
    seeding_time_s: int = NO_LIMIT,
    action: ShareLimitAction = ShareLimitAction.DEFAULT,
) -> None:
    rig.gateway.execute(
        SetShareLimits(info_hash, ratio, seeding_time_s, NO_LIMIT, action), timeout_s=SOON_S
    )


def crash(rig: EngineRig) -> None:
    """A report that no code can read: a bug, as far as the session can tell."""
    before = generation(rig)
    rig.system.address("engine.session").tell(EngineReported(cast("Any", None)))
    eventually(
        lambda: generation(rig) > before and session(rig)["state"] == "running",
        within_s=SOON_S,
    )


def session(rig: EngineRig) -> dict[str, Any]:
    engine = next(one for one in rig.system.health()["children"] if one["name"] == "engine")
    found: dict[str, Any] = next(one for one in engine["children"] if one["name"] == "session")
    return found


def generation(rig: EngineRig) -> int:
    return int(session(rig)["generation"])


def next_state(heard: Subscription) -> TorrentState:
    delivery = heard.next(SOON_S)
    assert isinstance(delivery, PublishedEvent), delivery
    assert isinstance(delivery.event, TorrentStateChanged), delivery
    return delivery.event.state


def is_completed(rig: EngineRig, info_hash: InfoHash) -> bool:
    record = rig.board.get(info_hash)
    return record is not None and record.state is TorrentState.COMPLETED


def wait_completed(rig: EngineRig, *torrents: InfoHash) -> None:
    eventually(lambda: all(is_completed(rig, one) for one in torrents), within_s=SOON_S)


def assert_stopped_for_good(rig: EngineRig, info_hash: InfoHash) -> None:
    record = rig.record(info_hash)
    status = rig.holder.current().status(info_hash)
    assert record.spec.stop_reason is StopReason.SHARE_LIMIT
    assert record.spec.completed_at > 0
    assert status.is_paused
    assert not status.is_auto_managed
    assert status.is_finished


def test_a_ratio_of_0_stops_a_torrent_once_it_is_complete_on_disk(
    rig: EngineRig, root: Path, payload: Payload, seeder: Seeder
) -> None:
    limit_everything(rig, ratio=0.0)

    info_hash = add(rig, payload, seeder.peer)
    wait_completed(rig, info_hash)

    assert payload.is_whole_in(root)
    assert_stopped_for_good(rig, info_hash)


def test_a_ratio_is_reached_by_uploading_to_another_peer(
    tmp_path: Path, rig: EngineRig, payload: Payload, seeder: Seeder
) -> None:
    info_hash = add(rig, payload, seeder.peer)
    rig.wait_complete(info_hash)
    limit(rig, info_hash, ratio=0.5)
    eventually(lambda: rig.record(info_hash).state is TorrentState.SEEDING, within_s=SOON_S)
    port = rig.holder.current().listen_ports()[0]

    with EngineRig(root=tmp_path / "leecher", open_engine=LibtorrentEngine) as leecher:
        add(leecher, payload, ("127.0.0.1", port))
        wait_completed(rig, info_hash)

    status = rig.record(info_hash).status
    assert status.uploaded_bytes >= 0.5 * status.downloaded_bytes
    assert_stopped_for_good(rig, info_hash)


def test_a_seeding_time_of_seconds_stops_a_torrent_after_them(
    rig: EngineRig, payload: Payload, seeder: Seeder
) -> None:
    limit_everything(rig, seeding_time_s=2)

    info_hash = add(rig, payload, seeder.peer)
    wait_completed(rig, info_hash)

    assert rig.record(info_hash).status.finished_s >= 2
    assert_stopped_for_good(rig, info_hash)


def test_a_torrent_that_nobody_asks_for_is_stopped_as_inactive(
    rig: EngineRig, payload: Payload, seeder: Seeder
) -> None:
    policy = ShareLimitPolicy(
        everything=UNLIMITED_SHARING, categories={"tv": ShareLimits(inactive_seeding_time_s=2)}
    )
    rig.gateway.apply(SetShareLimitPolicy(policy), timeout_s=SOON_S)

    info_hash = add(rig, payload, seeder.peer, category="tv")
    wait_completed(rig, info_hash)

    assert rig.record(info_hash).status.finished_s >= 2
    assert_stopped_for_good(rig, info_hash)


def test_removed_means_that_the_files_stay(
    rig: EngineRig, root: Path, payload: Payload, seeder: Seeder
) -> None:
    heard = rig.feed.subscribe(("torrent.completed", "torrent.removed"))
    limit_everything(rig, ratio=0.0, action=ShareLimitAction.REMOVE)

    add(rig, payload, seeder.peer)

    topics = [getattr(heard.next(SOON_S), "topic", None) for _ in range(2)]
    assert topics == ["torrent.completed", "torrent.removed"]
    assert not rig.board.records()
    eventually(lambda: not rig.holder.current().torrents(), within_s=SOON_S)
    assert payload.is_whole_in(root)
    assert not rig.resume_store.known()


def test_removed_with_data_means_that_nothing_is_left(
    rig: EngineRig, root: Path, payload: Payload, seeder: Seeder
) -> None:
    heard = rig.feed.subscribe(("torrent.completed", "torrent.removed"))
    limit_everything(rig, seeding_time_s=1, action=ShareLimitAction.REMOVE_WITH_DATA)

    add(rig, payload, seeder.peer)

    topics = [getattr(heard.next(SOON_S), "topic", None) for _ in range(2)]
    assert topics == ["torrent.completed", "torrent.removed"]
    eventually(lambda: not (root / "show").exists(), within_s=SOON_S)
    assert not rig.resume_store.known()


def test_another_torrent_keeps_what_it_has_when_one_is_removed_with_data(
    rig: EngineRig, root: Path, payload: Payload, other: Payload, seeder: Seeder
) -> None:
    kept = add(rig, other, seeder.peer)
    gone = add(rig, payload, seeder.peer)
    rig.wait_complete(kept, gone)

    limit(rig, gone, ratio=0.0, action=ShareLimitAction.REMOVE_WITH_DATA)
    eventually(lambda: rig.board.get(gone) is None, within_s=SOON_S)
    eventually(lambda: not (root / "show").exists(), within_s=SOON_S)

    assert rig.record(kept).state is TorrentState.SEEDING
    assert other.is_whole_in(root)


def test_a_user_who_resumes_a_torrent_has_to_raise_the_limit_or_to_force_it(
    rig: EngineRig, payload: Payload, seeder: Seeder
) -> None:
    limit_everything(rig, ratio=0.0)
    info_hash = add(rig, payload, seeder.peer)
    wait_completed(rig, info_hash)

    heard = rig.feed.subscribe(("torrent.state_changed",))
    rig.gateway.execute(ResumeTorrent(info_hash), timeout_s=SOON_S)
    resumed = next_state(heard)
    states = iter(lambda: next_state(heard), TorrentState.COMPLETED)
    assert resumed is not TorrentState.COMPLETED
    assert set(states) <= {TorrentState.QUEUED, TorrentState.SEEDING}

    rig.gateway.execute(SetForceStart(info_hash, force_start=True), timeout_s=SOON_S)
    eventually(lambda: rig.record(info_hash).state is TorrentState.SEEDING, within_s=SOON_S)
    heard = rig.feed.subscribe(("torrent.state_changed",))
    after = rig.holder.current().status(info_hash).finished_s + 2
    eventually(lambda: rig.holder.current().status(info_hash).finished_s >= after, within_s=SOON_S)

    assert rig.record(info_hash).state is TorrentState.SEEDING
    assert heard.next(0.1) is None


def test_what_a_user_paused_is_not_called_completed(
    rig: EngineRig, payload: Payload, other: Payload, seeder: Seeder
) -> None:
    paused = add(rig, payload, seeder.peer)
    rig.wait_complete(paused)
    rig.gateway.execute(PauseTorrent(paused), timeout_s=SOON_S)

    limit_everything(rig, ratio=0.0)
    wait_completed(rig, add(rig, other, seeder.peer))

    assert rig.record(paused).state is TorrentState.PAUSED


def test_limits_that_make_no_sense_are_refused_and_the_old_ones_stay(
    rig: EngineRig, payload: Payload, seeder: Seeder
) -> None:
    limit_everything(rig, ratio=0.0)

    with pytest.raises(InvalidInputError, match="ratio limit of all torrents is -5"):
        limit_everything(rig, ratio=-5.0)

    wait_completed(rig, add(rig, payload, seeder.peer))


def test_the_session_actor_may_die_in_between(
    rig: EngineRig, payload: Payload, other: Payload, seeder: Seeder
) -> None:
    limit_everything(rig, seeding_time_s=3)
    first = add(rig, payload, seeder.peer)
    rig.wait_complete(first)

    crash(rig)
    wait_completed(rig, first)
    crash(rig)
    second = add(rig, other, seeder.peer)
    wait_completed(rig, first, second)

    assert rig.record(first).status.finished_s >= 3
    assert_stopped_for_good(rig, first)
    assert_stopped_for_good(rig, second)


def test_a_new_process_finds_what_was_stopped_and_the_limits_of_what_runs(
    root: Path, payload: Payload, other: Payload, seeder: Seeder
) -> None:
    with EngineRig(root=root, open_engine=LibtorrentEngine) as rig:
        stopped = add(rig, payload, seeder.peer)
        running = add(rig, other, seeder.peer)
        limit(rig, stopped, ratio=0.0)
        wait_completed(rig, stopped)
        rig.wait_complete(running)
        seeded = rig.holder.current().status
        eventually(lambda: seeded(running).finished_s >= 2, within_s=SOON_S)
        enough_s = seeded(running).finished_s + 5
        limit(rig, running, seeding_time_s=enough_s)
        completed_at = rig.record(stopped).spec.completed_at
        assert rig.record(running).state is TorrentState.SEEDING

    with EngineRig(root=root, open_engine=LibtorrentEngine) as rig:
        seeded_before_s = rig.holder.current().status(running).finished_s
        wait_completed(rig, stopped, running)

        assert seeded_before_s >= 2
        assert rig.record(running).status.finished_s >= enough_s
        assert rig.record(stopped).spec.completed_at == completed_at
        assert_stopped_for_good(rig, stopped)
        assert_stopped_for_good(rig, running)
        assert payload.is_whole_in(root)
        assert other.is_whole_in(root)
