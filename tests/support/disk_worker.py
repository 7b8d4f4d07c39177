"""Downloads torrents with one disk backend and prints what that took, as a line of JSON.

`python -m tests.support.disk_worker BACKEND FULL_S TORRENT DIRECTORY PORT [...]`: each torrent goes
into its directory, from a peer on that port. The first is waited for until all of it is flushed;
then, or after FULL_S seconds, it ends, and of the others it says how far they came.
"""

import json
import resource
import sys
import threading
import time
from pathlib import Path

from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.adapters.libtorrent.metainfo import describe
from revaer.domain.errors import RevaerError
from revaer.domain.facts import CacheFlushed, DownloadFinished
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import MetainfoSource, TorrentSpec
from revaer.ports.engine import EngineSettings, EngineTorrent

PROBE_S = 0.005


def main() -> None:
    """Open, add, wait, print."""
    backend, limit_s, *rest = sys.argv[1:]
    engine = LibtorrentEngine(
        EngineSettings(
            listen=("127.0.0.1:0",),
            enable_dht=False,
            enable_lsd=False,
            enable_utp=False,
            disk_backend=backend,
        )
    )
    waits_s: list[float] = []
    is_over = threading.Event()
    used = _cpu_s()
    began = time.perf_counter()
    torrents = [
        _add(engine, torrent, directory, int(port))
        for torrent, directory, port in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    ]
    prober = threading.Thread(target=_probe, args=(engine, torrents[0], waits_s, is_over))
    prober.start()
    took_s = _wait_for(engine, torrents[0], began + float(limit_s)) - began
    done = [engine.status(one).done_bytes for one in torrents]
    cpu_s = _cpu_s() - used
    is_over.set()
    prober.join()
    print(  # noqa: T201 -- the answer to the parent process
        json.dumps(
            {
                "took_s": took_s,
                "cpu_s": cpu_s,
                "done_bytes": done,
                "status_waits_s": waits_s,
                "rss_bytes": _peak_bytes(),
            }
        ),
        flush=True,
    )
    sys.stdin.read()  # the parent kills: what a slow disk still holds back is of no interest


def _add(engine: LibtorrentEngine, torrent: str, directory: str, port: int) -> InfoHash:
    data = Path(torrent).read_bytes()
    said = describe(MetainfoSource(data))
    spec = TorrentSpec(
        info_hash=said.info_hash,
        infohash_v1=said.infohash_v1,
        infohash_v2=said.infohash_v2,
        name=said.name,
        save_path=directory,
        added_at=EpochSeconds(1),
    )
    engine.add(EngineTorrent(spec=spec, metainfo_data=data, peers=(("127.0.0.1", port),)))
    return said.info_hash


def _wait_for(engine: LibtorrentEngine, info_hash: InfoHash, deadline: float) -> float:
    while time.perf_counter() < deadline:
        for fact in engine.drain():
            if getattr(fact, "info_hash", None) != info_hash:
                continue
            if isinstance(fact, DownloadFinished):
                engine.flush(info_hash)
            if isinstance(fact, CacheFlushed):
                return time.perf_counter()
        _nap(0.002)
    return time.perf_counter()


def _probe(
    engine: LibtorrentEngine, info_hash: InfoHash, waits_s: list[float], is_over: threading.Event
) -> None:
    """How long a command's round trip to the network thread takes meanwhile."""
    while not is_over.wait(PROBE_S):
        began = time.perf_counter()
        try:
            engine.status(info_hash)
        except RevaerError:
            return
        waits_s.append(time.perf_counter() - began)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_bytes() -> int:
    # Not `ru_maxrss`, which begins with what the parent process had.
    text = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in text.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _nap(seconds: float) -> None:
    time.sleep(seconds)  # noqa: TID251 -- a process of its own, whose only work is this wait


if __name__ == "__main__":
    main()
