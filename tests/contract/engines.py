"""Each implementation of the engine port on a stage: a swarm to download from, and ways to fail."""

import select
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar

from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.facts import Fact, StatusReported
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import StopReason, TorrentSpec
from revaer.ports.engine import EngineSettings, EngineTorrent, TorrentEngine
from tests.contract.memory_stage import MemoryStage
from tests.support.swarm import Payload, Peer, Seeder

LOOPBACK = EngineSettings(
    listen=("127.0.0.1:0",), enable_dht=False, enable_lsd=False, enable_utp=False
)
WITHIN_S = 30.0
_POLL_MS = 50

F = TypeVar("F", bound=Fact)


class Stage(Protocol):
    """Opens engines of one kind and gives them something to do."""

    def open(self) -> TorrentEngine:
        """A new engine without torrents; closed with the stage."""
        ...

    def offer(self, payload: Payload) -> tuple[Peer, ...]:
        """Make a payload downloadable for every engine that is given the returned peers."""
        ...

    def spoil(self, save_path: Path) -> Callable[[], None]:
        """Make a save path unwritable; returns what mends it."""
        ...

    def put_file(self, save_path: Path, path: str) -> None:
        """Put somebody else's file below a directory."""
        ...

    def close(self) -> None:
        """End everything that was opened."""
        ...


class LibtorrentStage:
    """libtorrent, and seeders in other processes."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def open(self) -> TorrentEngine:
        engine = LibtorrentEngine(LOOPBACK)
        self._stack.callback(engine.close)
        return engine

    def offer(self, payload: Payload) -> tuple[Peer, ...]:
        seeder = self._stack.enter_context(Seeder(payload))
        return (seeder.peer,)

    def spoil(self, save_path: Path) -> Callable[[], None]:
        save_path.write_text("a file where a directory should be")
        return save_path.unlink

    def put_file(self, save_path: Path, path: str) -> None:
        target = save_path / path
        target.parent.mkdir(parents=True)
        target.write_bytes(b"somebody else's")

    def close(self) -> None:
        self._stack.close()


def open_stage(kind: str) -> Stage:
    """Set the stage for one implementation, by the name that tests use for it."""
    stages: dict[str, Callable[[], Stage]] = {
        "libtorrent": LibtorrentStage,
        "memory": MemoryStage,
    }
    return stages[kind]()


class Observer:
    """Drains one engine and keeps every fact in order."""

    def __init__(self, engine: TorrentEngine) -> None:
        self.engine = engine
        self.facts: list[Fact] = []
        self._poller = select.poll()
        self._poller.register(engine.wake_fd(), select.POLLIN)

    def until(self, is_enough: Callable[[Sequence[Fact]], bool]) -> list[Fact]:
        """Drain until all facts seen so far are enough; fails the test after `WITHIN_S`."""
        deadline = time.monotonic() + WITHIN_S
        while not is_enough(self.facts):
            assert time.monotonic() < deadline, f"not in {WITHIN_S} s; saw {self.brief()}"
            self.step()
        return self.facts

    def step(self) -> None:
        """Ask for updates, wait a moment, drain."""
        self.engine.request_updates()
        self._poller.poll(_POLL_MS)
        self.facts += self.engine.drain()

    def first(self, kind: type[F], where: Callable[[F], bool] = lambda _: True) -> F:
        """Drain until a fact of this kind, which is returned."""

        def matching(facts: Sequence[Fact]) -> list[F]:
            return [fact for fact in facts if isinstance(fact, kind) and where(fact)]

        return matching(self.until(lambda facts: bool(matching(facts))))[0]

    def all(self, kind: type[F]) -> list[F]:
        """Every fact of a kind so far."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def brief(self) -> list[str]:
        """What was seen, without runs of status reports."""
        return [
            f"{fact.status.activity} {fact.status.progress:.2f} {fact.status.error}"
            if isinstance(fact, StatusReported)
            else str(fact)[:120]
            for fact in self.facts[-40:]
        ]


def spec_of(payload: Payload, save_path: Path, *, stopped: bool = False) -> TorrentSpec:
    """Ask for a payload with every default."""
    return TorrentSpec(
        info_hash=InfoHash(payload.info_hash),
        infohash_v1=payload.infohash_v1,
        infohash_v2=payload.infohash_v2,
        name=payload.name,
        magnet_uri=payload.magnet,
        save_path=str(save_path),
        added_at=EpochSeconds(1_700_000_000),
        stop_reason=StopReason.USER if stopped else StopReason.NONE,
    )


def from_file(
    payload: Payload, save_path: Path, *, stopped: bool = False, peers: tuple[Peer, ...] = ()
) -> EngineTorrent:
    """Add by torrent file."""
    return EngineTorrent(
        spec=spec_of(payload, save_path, stopped=stopped),
        metainfo_data=payload.torrent,
        peers=peers,
    )
