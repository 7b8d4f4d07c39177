"""Do changed sources, queue places and details hold with the real engine, also over a restart?"""

from dataclasses import replace
from pathlib import Path

import pytest

from actors.testing import eventually
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain import commands as cmd
from revaer.domain.details import PieceState
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import MagnetSource, MetainfoSource, QueueMove, TorrentState
from revaer.domain.why import Circumstances, why
from tests.support.rig import LOOPBACK, EngineRig
from tests.support.swarm import Payload, Seeder, make_payload

SOON_S = 30.0
# Nobody listens on port 9 of the loopback: announces fail at once and leave the machine never.
SOURCE_TRACKER = "http://127.0.0.1:9/source/announce"
TRACKER = "http://127.0.0.1:9/0123456789abcdef/announce"
WEB_SEED = "http://127.0.0.1:9/files/"
ONE_AT_A_TIME = replace(LOOPBACK, active_downloads=1, active_limit=1)


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "show", {"film.mkv": 300_000, "notes.txt": 1_000})


def do(rig: EngineRig, command: cmd.TorrentCommand) -> InfoHash:
    return rig.gateway.execute(command, timeout_s=SOON_S).info_hash


def trackers_of(rig: EngineRig, info_hash: InfoHash) -> set[tuple[str, int]]:
    trackers = rig.gateway.trackers(info_hash, timeout_s=SOON_S)
    return {(tracker.url, tracker.tier) for tracker in trackers}


def test_changed_trackers_and_web_seeds_outlive_a_restart(tmp_path: Path, payload: Payload) -> None:
    magnet = f"{payload.magnet}&tr={SOURCE_TRACKER}"
    with EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine) as rig:
        info_hash = do(rig, cmd.AddTorrent(source=MagnetSource(magnet), paused=True))
        assert trackers_of(rig, info_hash) == {(SOURCE_TRACKER, 0)}
        do(rig, cmd.AddTrackers(info_hash, ((TRACKER, 2),)))
        do(rig, cmd.RemoveTrackers(info_hash, (SOURCE_TRACKER,)))
        do(rig, cmd.AddWebSeeds(info_hash, (WEB_SEED,)))

    for _ in range(2):
        with EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine) as rig:
            assert trackers_of(rig, info_hash) == {(TRACKER, 2)}
            assert rig.gateway.web_seeds(info_hash, timeout_s=SOON_S) == (WEB_SEED,)
    with EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine) as rig:
        do(rig, cmd.RemoveTrackers(info_hash, (TRACKER,)))
        do(rig, cmd.RemoveWebSeeds(info_hash, (WEB_SEED,)))
    with EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine) as rig:
        assert trackers_of(rig, info_hash) == set()
        assert rig.gateway.web_seeds(info_hash, timeout_s=SOON_S) == ()


def test_the_order_of_the_queue_outlives_a_restart(tmp_path: Path) -> None:
    payloads = [
        make_payload(tmp_path / f"seed{n}", f"show{n}", {"a": 40_000 + n}) for n in range(4)
    ]
    rig = EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine, settings=ONE_AT_A_TIME)
    with rig:
        sources = [MetainfoSource(payload.torrent) for payload in payloads]
        a, b, c, d = (do(rig, cmd.AddTorrent(source=source)) for source in sources)
        do(rig, cmd.MoveInQueue(d, QueueMove.TOP))
        do(rig, cmd.MoveInQueue(a, QueueMove.DOWN))
        engine = rig.holder.current()
        eventually(
            lambda: [engine.status(one).queue_position for one in (d, b, a, c)] == [1, 2, 3, 4],
            within_s=SOON_S,
        )
    again = EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine, settings=ONE_AT_A_TIME)
    with again as rig:
        engine = rig.holder.current()
        eventually(
            lambda: [engine.status(one).queue_position for one in (d, b, a, c)] == [1, 2, 3, 4],
            within_s=SOON_S,
        )


def test_a_force_start_runs_past_the_queue(tmp_path: Path) -> None:
    payloads = [
        make_payload(tmp_path / f"seed{n}", f"show{n}", {"a": 40_000 + n}) for n in range(2)
    ]
    rig = EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine, settings=ONE_AT_A_TIME)
    with rig:
        sources = [MetainfoSource(payload.torrent) for payload in payloads]
        first, second = (do(rig, cmd.AddTorrent(source=source)) for source in sources)
        eventually(lambda: rig.record(first).state is TorrentState.STALLED, within_s=SOON_S)
        eventually(lambda: rig.record(second).state is TorrentState.QUEUED, within_s=SOON_S)
        queued = why(rig.record(second), Circumstances())

        do(rig, cmd.SetForceStart(second, force_start=True))

        eventually(lambda: rig.record(second).state is TorrentState.STALLED, within_s=SOON_S)
        assert [reason.code for reason in queued] == ["queued"]
        assert rig.record(first).state is TorrentState.STALLED


def test_details_show_a_real_swarm(tmp_path: Path, payload: Payload) -> None:
    with (
        Seeder(payload, upload_limit=60_000) as seeder,
        EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine) as rig,
    ):
        source = MetainfoSource(payload.torrent)
        info_hash = do(rig, cmd.AddTorrent(source=source, peers=(seeder.peer,)))
        do(rig, cmd.SetFirstLastPieces(info_hash, first_last_pieces=True))

        eventually(lambda: bool(rig.gateway.peers(info_hash, timeout_s=SOON_S)), within_s=SOON_S)
        peer = rig.gateway.peers(info_hash, timeout_s=SOON_S)[0]
        rig.wait_complete(info_hash)

        assert (peer.address, peer.port) == seeder.peer
        eventually(
            lambda: set(rig.gateway.pieces(info_hash, timeout_s=SOON_S)) == {PieceState.HAVE},
            within_s=SOON_S,
        )
        assert [reason.code for reason in why(rig.record(info_hash), Circumstances())] == [
            "complete"
        ]


def test_a_failing_tracker_is_why_and_its_passkey_stays_secret(
    tmp_path: Path, payload: Payload
) -> None:
    with EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine) as rig:
        info_hash = do(rig, cmd.AddTorrent(source=MetainfoSource(payload.torrent)))
        do(rig, cmd.AddTrackers(info_hash, ((TRACKER, 0),)))
        do(rig, cmd.ReannounceTorrent(info_hash))

        def codes() -> list[str]:
            trackers = rig.gateway.trackers(info_hash, timeout_s=SOON_S)
            reasons = why(rig.record(info_hash), Circumstances(trackers=trackers))
            assert not any("0123456789abcdef" in reason.message for reason in reasons)
            return [reason.code for reason in reasons]

        eventually(lambda: codes() == ["tracker_failing", "no_peers"], within_s=SOON_S)
