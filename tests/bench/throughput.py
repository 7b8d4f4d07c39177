"""How much of libtorrent's speed is left when Revaer drives it?

The same payload over loopback from a seeder in another process, once by a bare libtorrent loop
that waits for the flush, once through the whole tree until `torrent.completed`: both say "done"
when every byte is in the file.
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import libtorrent as lt

from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.adapters.libtorrent.profile import every_peer_is_limited, settings_pack
from revaer.domain.commands import AddTorrent
from revaer.domain.events import TorrentCompleted
from revaer.domain.torrent import MetainfoSource
from tests.bench.harness import Figure, at_least
from tests.support.rig import LOOPBACK, EngineRig
from tests.support.swarm import Payload, Seeder, make_payload

SIZE = 200 << 20
PAIRS = 9
LIMIT_S = 120.0


def run() -> dict[str, Figure]:
    """Interleave the two, compare pair by pair."""
    with tempfile.TemporaryDirectory(prefix="revaer-bench-") as name:
        scratch = Path(name)
        payload = make_payload(scratch / "seed", "film.mkv", SIZE, piece_length=1 << 20)
        with Seeder(payload) as seeder:
            bare_run(payload, seeder, scratch / "warm")
            bare, revaer = [], []
            for turn in range(PAIRS):
                bare.append(bare_run(payload, seeder, scratch / f"bare{turn}"))
                revaer.append(revaer_run(payload, seeder, scratch / f"revaer{turn}"))
    ratios = [one / other for one, other in zip(bare, revaer, strict=True)]
    mebibytes = SIZE / (1 << 20)
    return {
        "bare libtorrent": Figure(mebibytes / statistics.median(bare), "MiB/s"),
        "through Revaer": Figure(mebibytes / statistics.median(revaer), "MiB/s"),
        "throughput against bare, median": Figure(statistics.median(ratios), "x", at_least(0.95)),
        "worst pair": Figure(min(ratios), "x"),
        "best pair": Figure(max(ratios), "x"),
    }


def bare_run(payload: Payload, seeder: Seeder, directory: Path) -> float:
    """Seconds from adding to flushed."""
    session = lt.session(settings_pack(LOOPBACK))
    session.set_peer_class_filter(every_peer_is_limited())
    params = lt.load_torrent_buffer(payload.torrent)
    directory.mkdir()
    params.save_path = str(directory)
    params.peers = [seeder.peer]
    params.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
    began = time.perf_counter()
    handle = session.add_torrent(params)
    deadline = began + LIMIT_S
    is_flushed = False
    while not is_flushed and time.perf_counter() < deadline:
        session.wait_for_alert(100)
        for alert in session.pop_alerts():
            if isinstance(alert, lt.torrent_finished_alert):
                handle.flush_cache()
            is_flushed = is_flushed or isinstance(alert, lt.cache_flushed_alert)
    took = time.perf_counter() - began
    del handle
    session.pause()
    del session
    _check(payload, directory)
    return took


def revaer_run(payload: Payload, seeder: Seeder, directory: Path) -> float:
    """Seconds from the command to the completed event."""
    with EngineRig(root=directory, open_engine=LibtorrentEngine) as rig:
        subscription = rig.feed.subscribe(("torrent.completed",))
        began = time.perf_counter()
        rig.gateway.execute(
            AddTorrent(source=MetainfoSource(payload.torrent), peers=(seeder.peer,)),
            timeout_s=30.0,
        )
        delivery = subscription.next(LIMIT_S)
        took = time.perf_counter() - began
        if getattr(delivery, "topic", "") != TorrentCompleted.topic:
            raise RuntimeError(f"not complete within {LIMIT_S} s: {delivery}")
    _check(payload, directory)
    return took


def _check(payload: Payload, directory: Path) -> None:
    if not payload.is_whole_in(directory):
        raise RuntimeError(f"wrong bytes in {directory}")
    shutil.rmtree(directory)
