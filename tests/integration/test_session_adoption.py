"""What happens to transfers when the actor that owns the engine dies?"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from tenacity import wait_fixed

from actors import RestartLimit
from actors.testing import eventually
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.commands import AddTorrent, PauseTorrent, SetGlobalLimits
from revaer.domain.errors import EngineDownError
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import MetainfoSource, TorrentState
from revaer.ports.resume_store import Restored
from revaer.runtime.messages import EngineReported
from revaer.runtime.tree import EnginePolicies
from tests.support.rig import EngineRig
from tests.support.swarm import Payload, Seeder, make_payload

SIZE = 12_000_000
RATE = 3_000_000


@dataclass
class StubbornStore:
    """The real store, whose `load` fails as often as it is told to."""

    inner: Any
    failures: int = 0
    loads: list[bool] = field(default_factory=list)

    def load(self, only: AbstractSet[InfoHash] | None = None) -> Restored:
        self.loads.append(self.failures <= 0)
        if self.failures > 0:
            self.failures -= 1
            raise RuntimeError("planted: the store cannot be read")
        restored: Restored = self.inner.load(only)
        return restored

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "film", {"film.mkv": SIZE}, piece_length=65_536)


@pytest.fixture
def seeder(payload: Payload) -> Iterator[Seeder]:
    with Seeder(payload, upload_limit=RATE) as running:
        yield running


def started(rig: EngineRig, payload: Payload, seeder: Seeder) -> InfoHash:
    """Add the torrent and wait until its bytes flow."""
    done = rig.gateway.execute(
        AddTorrent(source=MetainfoSource(payload.torrent), peers=(seeder.peer,)), timeout_s=30.0
    )
    eventually(lambda: rig.record(done.info_hash).status.done_bytes > 0, within_s=20.0)
    return done.info_hash


def crash(rig: EngineRig) -> None:
    """Send the session a report that no code can read: a bug, as far as it can tell."""
    rig.system.address("engine.session").tell(EngineReported(cast("Any", None)))


def generation(rig: EngineRig) -> int:
    return int(node(rig, "engine.session")["generation"])


def node(rig: EngineRig, path: str) -> dict[str, Any]:
    """One node of the health report."""
    found: dict[str, Any] = rig.system.health()
    for name in path.split("."):
        found = next(child for child in found["children"] if child["name"] == name)
    return found


def test_a_crash_in_mid_transfer_is_adopted_and_the_peers_stay(
    tmp_path: Path, payload: Payload, seeder: Seeder
) -> None:
    with EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine) as rig:
        info_hash = started(rig, payload, seeder)
        engine = rig.holder.current()
        subscription = rig.feed.subscribe(("peer.*", "actor.*"))

        crash(rig)
        eventually(lambda: generation(rig) == 2, within_s=20.0)
        rig.wait_complete(info_hash)

        heard = list(iter(lambda: subscription.next(0.1), None))
        topics = [getattr(delivery, "topic", "") for delivery in heard]
        assert rig.holder.current() is engine
        assert "actor.restarted" in topics
        # libtorrent drops the seeder once both have everything; had it been dropped before, the
        # rest could only have come over a new connection
        assert "peer.connected" not in topics
        assert payload.is_whole_in(tmp_path / "out")
        assert rig.record(info_hash).state is TorrentState.SEEDING


def test_commands_work_after_an_adoption(tmp_path: Path, payload: Payload, seeder: Seeder) -> None:
    with EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine) as rig:
        info_hash = started(rig, payload, seeder)
        crash(rig)
        eventually(lambda: generation(rig) == 2, within_s=20.0)
        eventually(lambda: node(rig, "engine.session")["state"] == "running", within_s=20.0)

        done = rig.gateway.execute(PauseTorrent(info_hash), timeout_s=30.0)

        assert rig.board.revision >= done.revision
        assert rig.record(info_hash).state is TorrentState.PAUSED
        eventually(lambda: rig.record(info_hash).status.download_rate == 0, within_s=20.0)


def test_a_second_failed_adoption_rebuilds_the_engine_from_the_store(
    tmp_path: Path, payload: Payload, seeder: Seeder
) -> None:
    rig = EngineRig(
        root=tmp_path / "out",
        open_engine=LibtorrentEngine,
        store=StubbornStore,
        policies=EnginePolicies(
            limit=RestartLimit(max_restarts=3, window_s=120.0), wait=wait_fixed(0.05)
        ),
    )
    with rig:
        store = cast("StubbornStore", rig.resume_store)
        info_hash = started(rig, payload, seeder)
        engine = rig.holder.current()
        store.failures = 2

        crash(rig)
        eventually(lambda: generation(rig) == 4, within_s=30.0)
        eventually(lambda: node(rig, "engine.session")["state"] == "running", within_s=30.0)

        assert store.loads == [True, False, False, True]
        assert rig.holder.current() is not engine
        rig.holder.current().connect(info_hash, (seeder.peer,))
        rig.wait_complete(info_hash)
        assert payload.is_whole_in(tmp_path / "out")


def test_four_deaths_leave_a_failed_engine_a_live_report_and_another_try(
    tmp_path: Path, payload: Payload, seeder: Seeder
) -> None:
    rig = EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine, store=StubbornStore)
    with rig:
        store = cast("StubbornStore", rig.resume_store)
        info_hash = started(rig, payload, seeder)
        before = rig.record(info_hash)
        store.failures = 3

        crash(rig)
        eventually(lambda: node(rig, "engine")["state"] == "failed", within_s=30.0)

        assert rig.system.wait(timeout_s=0.0) is None
        assert rig.system.health()["status"] == "failing"
        assert rig.record(info_hash).spec == before.spec
        with pytest.raises(EngineDownError):
            rig.gateway.execute(PauseTorrent(info_hash))
        eventually(lambda: node(rig, "engine")["state"] == "running", within_s=30.0)
        rig.holder.current().connect(info_hash, (seeder.peer,))
        rig.wait_complete(info_hash)
        assert payload.is_whole_in(tmp_path / "out")


def test_limits_set_while_running_survive_a_rebuild(tmp_path: Path, payload: Payload) -> None:
    with EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine) as rig:
        rig.gateway.apply(SetGlobalLimits(BytesPerSecond(1_000_000), BytesPerSecond(500_000)))
        rig.holder.condemn()

        crash(rig)
        eventually(lambda: generation(rig) == 2, within_s=20.0)
        eventually(lambda: node(rig, "engine.session")["state"] == "running", within_s=20.0)

        assert rig.holder.current().global_limits() == (1_000_000, 500_000)
