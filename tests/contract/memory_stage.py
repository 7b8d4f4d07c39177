"""The simulated engine on a stage: peers that hand everything over at the next request."""

from collections.abc import Callable
from pathlib import Path

from revaer.adapters.memory.engine import MemoryEngine
from revaer.adapters.memory.payload import MemoryPayload
from revaer.domain.details import PeerInfo
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import Activity, Fault, FaultCode
from revaer.ports.engine import EngineSettings, TorrentEngine
from tests.support.swarm import Payload, Peer

_FIRST_PORT = 40_000


class MemoryStage:
    """One disk and one swarm for every engine that is opened."""

    def __init__(self) -> None:
        self.disk = MemoryPayload()
        self.offers: dict[Peer, Payload] = {}
        self.spoilt: set[str] = set()
        self._engines: list[MemoryEngine] = []

    def open(self) -> TorrentEngine:
        engine = _SwarmedEngine(self)
        self._engines.append(engine)
        return engine

    def offer(self, payload: Payload) -> tuple[Peer, ...]:
        peer = ("127.0.0.1", _FIRST_PORT + len(self.offers))
        self.offers[peer] = payload
        return (peer,)

    def spoil(self, save_path: Path) -> Callable[[], None]:
        self.spoilt.add(str(save_path))
        return self.spoilt.clear

    def put_file(self, save_path: Path, path: str) -> None:
        self.disk.write(str(save_path), path, 15)

    def close(self) -> None:
        for engine in self._engines:
            engine.close()


class _SwarmedEngine(MemoryEngine):
    """Asks its peers whenever it is asked for updates."""

    def __init__(self, stage: MemoryStage) -> None:
        super().__init__(EngineSettings(listen=("127.0.0.1:0",)), on_disk=stage.disk)
        self._stage = stage

    def request_updates(self) -> None:
        for info_hash in self.torrents():
            for peer in self.asked_peers(info_hash):
                self._meet(info_hash, peer)
        super().request_updates()

    def _joins(self, info_hash: InfoHash, peer: Peer) -> bool:
        """Connect, unless the peer is banned or here."""
        host, port = peer
        known = PeerInfo(
            address=host, port=port, client="Memory 1", peer_id="2d" * 20, progress=1.0, flags="D K"
        )
        self.peer_joins(info_hash, f"{host}:{port}", details=known)
        return any((each.address, each.port) == peer for each in self.peers(info_hash))

    def _meet(self, info_hash: InfoHash, peer: Peer) -> None:
        offered = self._stage.offers.get(peer)
        status = self.status(info_hash)
        if offered is None or status.is_paused or status.error:
            return
        if not self._joins(info_hash, peer):
            return
        if status.activity is Activity.FETCHING_METADATA:
            self.deliver_metadata(info_hash, offered.torrent)
        elif status.activity is Activity.DOWNLOADING:
            if self.save_path(info_hash) in self._stage.spoilt:
                self.fail(info_hash, Fault(FaultCode.UNWRITABLE, "not a directory; make it one"))
            else:
                self.finish(info_hash)
