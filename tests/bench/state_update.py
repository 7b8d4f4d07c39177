"""What does one report of 10,000 torrents cost the alert pump, and how far is it to the board?"""

import tempfile
import time
from pathlib import Path

import libtorrent as lt

from revaer.adapters.environment.interpreter import tune_interpreter
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.facts import StatusReported
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import StopReason, TorrentSpec
from revaer.ports.engine import EngineTorrent
from revaer.runtime.routing import route
from tests.bench.harness import Figure, at_most, percentile
from tests.support.rig import LOOPBACK

TORRENTS = 10_000
ROUNDS = 15
LIMIT_S = 60.0


def run() -> dict[str, Figure]:
    """Add, then have everything reported again and again; CPU time of this thread only."""
    with tempfile.TemporaryDirectory(prefix="revaer-bench-") as directory:
        engine = LibtorrentEngine(LOOPBACK)
        for number in range(TORRENTS):
            _add(engine, number, Path(directory))
        _settle(engine)
        tune_interpreter()
        costs_s, drains_s = [], []
        for _ in range(ROUNDS):
            engine.request_all()
            cost_s, drain_s = _one_update(engine)
            costs_s.append(cost_s)
            drains_s.append(drain_s)
        engine.quiesce()
        engine.close()
    return {
        "drain and convert, fastest": Figure(min(drains_s) * 1000, "ms CPU"),
        # Whatever else the machine does only adds to a round: the fastest is what the code costs.
        "drain, convert and route, fastest": Figure(min(costs_s) * 1000, "ms CPU", at_most(100)),
        "drain, convert and route, median": Figure(percentile(costs_s, 50) * 1000, "ms CPU"),
        "per torrent": Figure(min(costs_s) / TORRENTS * 1e6, "us CPU"),
    }


def _add(engine: LibtorrentEngine, number: int, directory: Path) -> None:
    name = f"torrent-{number}"
    maker = lt.create_torrent(
        [lt.create_file_entry(f"{name}/{part}.bin", 1 << 20) for part in range(4)],
        1 << 20,
        lt.create_torrent.v1_only,
    )
    for piece in range(maker.num_pieces()):
        maker.set_hash(piece, (number + 1).to_bytes(20, "big"))
    data = lt.bencode(maker.generate())
    info_hash = InfoHash(str(lt.load_torrent_buffer(data).info_hashes.v1))
    spec = TorrentSpec(
        info_hash=info_hash,
        infohash_v1=info_hash,
        name=name,
        save_path=str(directory),
        added_at=EpochSeconds(1),
        stop_reason=StopReason.USER,
    )
    engine.add(EngineTorrent(spec=spec, metainfo_data=data))


def _settle(engine: LibtorrentEngine) -> None:
    """Let every torrent finish its quick check."""
    quiet_since = time.monotonic()
    deadline = quiet_since + LIMIT_S
    while time.monotonic() < deadline and time.monotonic() - quiet_since < 1.0:
        engine.request_updates()
        if engine.drain():
            quiet_since = time.monotonic()
        _pause_s(0.05)


def _one_update(engine: LibtorrentEngine) -> tuple[float, float]:
    """CPU seconds of one whole report: with and without routing."""
    deadline = time.monotonic() + LIMIT_S
    drain_s = route_s = 0.0
    seen = 0
    while seen < TORRENTS and time.monotonic() < deadline:
        began = time.thread_time()
        facts = engine.drain()
        drained = time.thread_time()
        route(facts, frozenset())
        routed = time.thread_time()
        if facts:
            drain_s += drained - began
            route_s += routed - drained
        seen += sum(isinstance(fact, StatusReported) for fact in facts)
        if not facts:
            _pause_s(0.001)
    if seen < TORRENTS:
        raise RuntimeError(f"only {seen} of {TORRENTS} torrents were reported")
    return drain_s + route_s, drain_s


def _pause_s(seconds: float) -> None:
    time.sleep(seconds)  # noqa: TID251 -- a benchmark's own thread, which nobody waits for
