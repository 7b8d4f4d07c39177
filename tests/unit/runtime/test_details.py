"""How often does the engine hear a question about details, and what is kept of the answers?"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actors import Address, ChildSpec
from actors.testing import ManualTimers, eventually
from revaer.adapters.memory.engine import MemoryEngine
from revaer.domain import commands as cmd
from revaer.domain.details import PieceState
from revaer.domain.errors import EngineDownError, TorrentNotFoundError
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.queries import ListPeers, ListPieces, ListTrackers, ListWebSeeds
from revaer.domain.torrent import MetainfoSource, TorrentSpec
from revaer.ports.engine import EngineSettings, EngineTorrent
from revaer.runtime import details
from revaer.runtime.details import Details
from revaer.runtime.engine_holder import EngineHolder
from tests.support.rig import LOOPBACK, EngineRig
from tests.support.swarm import make_payload
from tests.unit.runtime.little_system import at_once, running

SOON_S = 20.0


def info_hash(number: int) -> InfoHash:
    return InfoHash(f"{number + 1:040x}")


def spec(number: int) -> TorrentSpec:
    return TorrentSpec(
        info_hash=info_hash(number),
        name=str(number),
        save_path="/data",
        added_at=EpochSeconds(1),
        infohash_v1=info_hash(number),
    )


class World:
    """An engine with torrents, a clock that stands still, and the actor."""

    def __init__(self, holder: EngineHolder, timers: ManualTimers, address: Address) -> None:
        self.holder = holder
        self.timers = timers
        self._address = address

    @property
    def engine(self) -> MemoryEngine:
        engine = self.holder.current()
        assert isinstance(engine, MemoryEngine)
        return engine

    def ask(self, query: Any) -> Any:
        return self._address.ask(query, timeout_s=SOON_S)

    def asked(self, name: str) -> int:
        return [call for call, _ in self.engine.calls].count(name)


@contextmanager
def world(torrents: int = 1) -> Iterator[World]:
    holder = EngineHolder(MemoryEngine, LOOPBACK)
    engine = holder.acquire().engine
    for number in range(torrents):
        engine.add(EngineTorrent(spec=spec(number)))
    timers = ManualTimers()
    child: ChildSpec = at_once("details", lambda: Details(holder))
    try:
        with running(child, timers=timers) as system:
            yield World(holder, timers, system.address("details"))
    finally:
        holder.close()


def test_an_answer_serves_everybody_for_a_second() -> None:
    with world() as one:
        for _ in range(5):
            assert one.ask(ListPeers(info_hash(0))) == ()
        within_a_second = one.asked("peers")
        one.timers.advance(details.FRESH_S)
        one.engine.peer_joins(info_hash(0), "192.0.2.1:6881")

        assert [peer.address for peer in one.ask(ListPeers(info_hash(0)))] == ["192.0.2.1"]
        assert (within_a_second, one.asked("peers")) == (1, 2)


def test_each_question_about_each_torrent_has_its_own_answer() -> None:
    with world(torrents=2) as one:
        for query in (ListPeers, ListTrackers, ListWebSeeds, ListPieces):
            one.ask(query(info_hash(0)))
            one.ask(query(info_hash(1)))

        assert [one.asked(name) for name in ("peers", "trackers", "web_seeds", "pieces")] == [2] * 4


def test_a_refusal_is_not_kept() -> None:
    with world() as one:
        with pytest.raises(TorrentNotFoundError):
            one.ask(ListPeers(info_hash(9)))
        one.engine.add(EngineTorrent(spec=spec(9)))

        assert one.ask(ListPeers(info_hash(9))) == ()


def test_another_engine_is_asked_anew() -> None:
    with world() as one:
        one.ask(ListPeers(info_hash(0)))
        one.holder.condemn()
        one.holder.acquire().engine.add(EngineTorrent(spec=spec(0)))

        one.ask(ListPeers(info_hash(0)))

        assert one.asked("peers") == 1


def test_without_an_engine_the_answer_says_so() -> None:
    with world() as one:
        one.holder.close()

        with pytest.raises(EngineDownError):
            one.ask(ListPeers(info_hash(0)))


def test_what_is_kept_is_bounded() -> None:
    count = details.MAX_KEPT + 20
    with world(torrents=count) as one:
        for number in range(count):
            one.ask(ListPeers(info_hash(number)))
        one.ask(ListPeers(info_hash(count - 1)))
        newest = one.asked("peers")
        one.ask(ListPeers(info_hash(0)))

        assert newest == count
        assert one.asked("peers") == count + 1


class HungEngine(MemoryEngine):
    """One that never says how far its pieces are."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self.let_go = threading.Event()
        self.is_asked = threading.Event()

    def pieces(self, info_hash: InfoHash) -> tuple[PieceState, ...]:
        self.is_asked.set()
        self.let_go.wait(SOON_S)
        return super().pieces(info_hash)


def test_a_question_that_the_engine_never_answers_holds_up_no_restart(tmp_path: Path) -> None:
    payload = make_payload(tmp_path / "seed", "film", 50_000)
    engines: list[HungEngine] = []

    def open_engine(settings: EngineSettings) -> HungEngine:
        engines.append(HungEngine(settings))
        return engines[-1]

    with EngineRig(root=tmp_path / "out", open_engine=open_engine) as rig:
        add = cmd.AddTorrent(source=MetainfoSource(payload.torrent))
        added = rig.gateway.execute(add, timeout_s=SOON_S).info_hash
        with pytest.raises(EngineDownError, match="did not answer"):
            rig.gateway.pieces(added, timeout_s=0.05)
        assert engines[0].is_asked.wait(SOON_S)

        began_at = time.monotonic()
        engines[0].fail_session("planted")
        eventually(lambda: len(engines) > 1 and is_back(rig), within_s=SOON_S)
        back_after_s = time.monotonic() - began_at
        engines[0].let_go.set()

    assert back_after_s < 4.0


def is_back(rig: EngineRig) -> bool:
    """Whether questions are answered again."""
    try:
        rig.gateway.peers(info_hash(9), timeout_s=0.5)
    except TorrentNotFoundError:
        return True
    except EngineDownError:
        return False
    return False
