"""How far is it from an alert to the board, and what becomes of facts when somebody is away?"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from tenacity import wait_fixed

from actors import (
    ActorSystem,
    ChildSpec,
    DynamicSupervisor,
    Restart,
    RestartLimit,
    Strategy,
    Supervisor,
)
from actors.testing import Probe, eventually, run_system
from revaer.adapters.memory.engine import MemoryEngine
from revaer.domain import facts as f
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import TorrentSpec
from revaer.ports.engine import EngineSettings, EngineTorrent
from revaer.runtime.alert_pump import AlertPump
from revaer.runtime.board import ApplyFacts
from revaer.runtime.engine_holder import EngineHolder
from revaer.runtime.messages import EngineReported
from revaer.runtime.progress import ProgressCoalescer, TorrentFacts
from tests.support.swarm import Payload, make_payload

SOON_S = 20.0
MOST_HOPS = 3


class Stand:
    """The pump and the coalescers for real; board and session write down what reaches them."""

    def __init__(self, *, passivate_after_s: float = 30.0) -> None:
        self.at_board: list[Any] = []
        self.at_session: list[Any] = []
        self.holder = EngineHolder(MemoryEngine, EngineSettings())
        engine = self.holder.acquire().engine
        assert isinstance(engine, MemoryEngine)
        self.engine = engine
        self.passivate_after_s = passivate_after_s

    @contextmanager
    def running(self) -> Iterator[ActorSystem]:
        def coalescer(key: str) -> ChildSpec:
            return ChildSpec(
                name=key,
                factory=lambda: ProgressCoalescer(passivate_after_s=self.passivate_after_s),
                restart=Restart.TRANSIENT,
                wait=wait_fixed(0.01),
            )

        engine = Supervisor(
            strategy=Strategy.REST_FOR_ONE,
            children=(
                ChildSpec(name="session", factory=lambda: Probe(self.at_session)),
                ChildSpec(
                    name="coalescers",
                    factory=lambda: DynamicSupervisor(
                        template=coalescer,
                        limit_per_child=RestartLimit(max_restarts=0, window_s=60.0),
                    ),
                ),
                ChildSpec(name="alert_pump", factory=lambda: AlertPump(self.holder)),
            ),
        )
        with run_system(
            ChildSpec(name="board", factory=lambda: Probe(self.at_board)),
            ChildSpec(name="engine", factory=lambda: engine),
        ) as system:
            yield system
        self.holder.close()

    def add(self, payload: Payload, directory: Path) -> InfoHash:
        info_hash = InfoHash(payload.info_hash)
        spec = TorrentSpec(
            info_hash=info_hash,
            infohash_v1=payload.infohash_v1,
            name=payload.name,
            save_path=str(directory),
            added_at=EpochSeconds(1),
        )
        self.engine.add(EngineTorrent(spec=spec, metainfo_data=payload.torrent))
        return info_hash

    def board_facts(self, kind: type[f.TorrentFact]) -> list[Any]:
        return [
            fact
            for message in self.at_board
            if isinstance(message, ApplyFacts)
            for fact in message.facts
            if isinstance(fact, kind)
        ]


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "film.mkv", 200_000)


def coalescers(system: ActorSystem) -> dict[str, Any]:
    """The coalescers' supervisor as health shows it."""
    report = system.health()
    for name in ("engine", "coalescers"):
        report = next(child for child in report["children"] if child["name"] == name)
    return report


def awake(system: ActorSystem) -> int:
    """How many coalescers there are."""
    return sum(coalescers(system)["children_by_state"].values())


def test_a_fact_is_at_the_board_in_at_most_three_messages(tmp_path: Path, payload: Payload) -> None:
    stand = Stand()
    with stand.running() as system:
        info_hash = stand.add(payload, tmp_path)
        before = coalescers(system)["messages"]["handled"]

        stand.engine.progress(info_hash, 0.5)
        eventually(
            lambda: any(r.status.done_bytes for r in stand.board_facts(f.StatusReported)),
            within_s=SOON_S,
        )
        # pump to supervisor (the first time only), supervisor to coalescer, coalescer to board
        assert coalescers(system)["messages"]["handled"] - before <= MOST_HOPS - 2
        assert awake(system) == 1

        # from now on two: pump to coalescer, coalescer to board
        by_supervisor = coalescers(system)["messages"]["handled"]
        stand.engine.progress(info_hash, 0.9)
        eventually(
            lambda: len({r.status.done_bytes for r in stand.board_facts(f.StatusReported)}) > 1,
            within_s=SOON_S,
        )
        assert coalescers(system)["messages"]["handled"] == by_supervisor


def test_what_the_session_acts_on_reaches_it_in_one_message(
    tmp_path: Path, payload: Payload
) -> None:
    stand = Stand()
    with stand.running():
        info_hash = stand.add(payload, tmp_path)

        stand.engine.finish(info_hash)
        stand.engine.flush(info_hash)
        stand.engine.save(info_hash)

        def kinds() -> set[type]:
            return {
                type(fact)
                for message in stand.at_session
                if isinstance(message, EngineReported)
                for fact in message.facts
            }

        expected = {f.DownloadFinished, f.CacheFlushed, f.ResumeDataReady}
        eventually(lambda: expected <= kinds(), within_s=SOON_S)


def test_a_sleeping_coalescer_is_not_woken_by_an_idle_torrent(
    tmp_path: Path, payload: Payload
) -> None:
    stand = Stand(passivate_after_s=0.2)
    with stand.running() as system:
        info_hash = stand.add(payload, tmp_path)
        stand.engine.progress(info_hash, 0.5)
        eventually(lambda: stand.board_facts(f.StatusReported), within_s=SOON_S)
        stand.engine.pause(info_hash)
        eventually(
            lambda: awake(system) == 0,
            within_s=SOON_S,
            what="the coalescer's sleep",
        )
        so_far = len(stand.board_facts(f.StatusReported))

        stand.engine.set_limits(info_hash, download=1, upload=1)  # type: ignore[arg-type]
        stand.engine.request_all()
        eventually(lambda: len(stand.board_facts(f.StatusReported)) > so_far, within_s=SOON_S)

        assert awake(system) == 0


def test_a_failed_coalescer_costs_its_torrent_nothing(tmp_path: Path, payload: Payload) -> None:
    stand = Stand()
    with stand.running() as system:
        info_hash = stand.add(payload, tmp_path)
        stand.engine.progress(info_hash, 0.3)
        eventually(lambda: stand.board_facts(f.StatusReported), within_s=SOON_S)
        its_coalescer = system.address(f"engine.coalescers.{info_hash}")
        no_facts = TorrentFacts(info_hash, cast("Any", None))
        eventually(lambda: its_coalescer.tell_or_drop(no_facts), within_s=SOON_S)
        eventually(
            lambda: coalescers(system)["children_by_state"].get("failed") == 1, within_s=SOON_S
        )

        stand.engine.progress(info_hash, 0.8)

        eventually(
            lambda: any(r.status.progress > 0.7 for r in stand.board_facts(f.StatusReported)),
            within_s=SOON_S,
        )
