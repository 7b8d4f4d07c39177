"""Which of libtorrent's disk backends serves a home server best?

Each downloads the same payload over loopback, in turns, in a process of its own: once where the
page cache takes all writes, and once beside a second torrent on a slow disk. A backend that waits
for that disk in the network thread holds up everything else of the session, commands included.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.harness import Figure, percentile
from tests.support import slow_disk
from tests.support.children import ROOT
from tests.support.swarm import Payload, Seeder, make_payload

BACKENDS = ("default", "pread", "posix", "mmap")
CACHED_SIZE = 200 << 20
CACHED_ROUNDS = 8
FAST_SIZE = 100 << 20
SLOW_SIZE = 50 << 20
SLOW_ROUNDS = 3
SEEK_MS = 8.0
DISK_BYTES_PER_S = 100_000_000
LIMIT_S = 15.0


@dataclass(frozen=True, slots=True)
class Run:
    """What one download took.

    Attributes:
        took_s: until the first torrent was flushed.
        cpu_s: of the downloading process.
        seeder_cpu_s: of the other side.
        done_bytes: by torrent.
        status_waits_s: how long each question for a torrent's status took meanwhile.
        rss_bytes: the most memory at once.
    """

    took_s: float
    cpu_s: float
    seeder_cpu_s: float
    done_bytes: tuple[int, ...]
    status_waits_s: tuple[float, ...]
    rss_bytes: int


def run() -> dict[str, Figure]:
    """Page cache, then the slow disk where one can be built."""
    figures: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory(prefix="revaer-bench-") as name:
        scratch = Path(name)
        figures |= cached(scratch)
        try:
            library = slow_disk.build(scratch)
        except slow_disk.NoCompilerError as error:
            print(f"the slow disk is left out: {error}", file=sys.stderr)
            figures["slow disk measured"] = Figure(0, "no compiler")
        else:
            figures |= beside_a_slow_disk(scratch, library)
    return figures


def cached(scratch: Path) -> dict[str, Figure]:
    """One torrent, nothing else to wait for."""
    payload = make_payload(scratch / "cached", "film.mkv", CACHED_SIZE, piece_length=1 << 20)
    runs: dict[str, list[Run]] = {backend: [] for backend in BACKENDS}
    with Seeder(payload) as seeder:
        for turn in range(CACHED_ROUNDS + 1):
            for backend in in_turn(turn):
                took = download(backend, scratch / "to", {}, (payload, seeder, "a"))
                if turn:  # the first warms the page cache
                    runs[backend].append(took)
    mebibytes = CACHED_SIZE / (1 << 20)
    figures: dict[str, Figure] = {}
    for backend, of in runs.items():
        figures |= {
            f"{backend}: throughput": Figure(
                mebibytes / statistics.median(one.took_s for one in of), "MiB/s"
            ),
            f"{backend}: CPU, both sides": Figure(
                statistics.median(one.cpu_s + one.seeder_cpu_s for one in of), "s"
            ),
            f"{backend}: status p99": _p99(of),
            f"{backend}: memory": Figure(max(one.rss_bytes for one in of) / (1 << 20), "MiB"),
        }
    return figures


def beside_a_slow_disk(scratch: Path, library: Path) -> dict[str, Figure]:
    """A torrent on a fast disk, while another waits for a slow one."""
    fast = make_payload(scratch / "fast", "fast.mkv", FAST_SIZE, piece_length=1 << 20)
    slow = make_payload(scratch / "slow", "slow.mkv", SLOW_SIZE, piece_length=1 << 20)
    into = scratch / "to"
    delayed = slow_disk.environment(
        library, into / "slow", seek_ms=SEEK_MS, bytes_per_s=DISK_BYTES_PER_S
    )
    runs: dict[str, list[Run]] = {backend: [] for backend in BACKENDS}
    alone: dict[str, list[Run]] = {backend: [] for backend in BACKENDS}
    with Seeder(fast) as fast_seeder, Seeder(slow) as slow_seeder:
        for turn in range(SLOW_ROUNDS):
            for backend in in_turn(turn):
                both = ((fast, fast_seeder, "fast"), (slow, slow_seeder, "slow"))
                runs[backend].append(download(backend, into, delayed, *both))
                alone[backend].append(download(backend, into, delayed, both[1]))
    figures: dict[str, Figure] = {}
    for backend in BACKENDS:
        figures |= {
            f"{backend}: fast torrent beside a slow disk": Figure(
                statistics.median(
                    one.done_bytes[0] / one.took_s / (1 << 20) for one in runs[backend]
                ),
                "MiB/s",
            ),
            f"{backend}: slow disk alone": Figure(
                statistics.median(
                    one.done_bytes[0] / one.took_s / (1 << 20) for one in alone[backend]
                ),
                "MiB/s",
            ),
            f"{backend}: status p50 beside a slow disk": Figure(
                percentile([s for one in runs[backend] for s in one.status_waits_s], 50) * 1000,
                "ms",
            ),
            f"{backend}: status p99 beside a slow disk": _p99(runs[backend]),
        }
    return figures


def in_turn(turn: int) -> tuple[str, ...]:
    """Each round begins with another: whoever comes after `mmap` meets its pages on their way."""
    first = turn % len(BACKENDS)
    return BACKENDS[first:] + BACKENDS[:first]


def download(
    backend: str,
    into: Path,
    environment: Mapping[str, str],
    *torrents: tuple[Payload, Seeder, str],
) -> Run:
    """Fetch these in a process of its own; the first counts, the others run beside it."""
    arguments: list[str] = []
    for payload, seeder, folder in torrents:
        (into / folder).mkdir(parents=True)
        arguments += [str(payload.torrent_path), str(into / folder), str(seeder.port)]
    first_seeder = torrents[0][1]
    used_s = first_seeder.cpu_s()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.disk_worker", backend, str(LIMIT_S), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
    ) as process:
        line = process.stdout.readline() if process.stdout else ""
        used_s = first_seeder.cpu_s() - used_s
        process.kill()
    shutil.rmtree(into)
    if not line:
        raise RuntimeError(f"the download with {backend} did not end; see above")
    said: dict[str, Any] = json.loads(line)
    return Run(
        took_s=said["took_s"],
        cpu_s=said["cpu_s"],
        seeder_cpu_s=used_s,
        done_bytes=tuple(said["done_bytes"]),
        status_waits_s=tuple(said["status_waits_s"]),
        rss_bytes=said["rss_bytes"],
    )


def _p99(runs: list[Run]) -> Figure:
    waits_s = [wait for one in runs for wait in one.status_waits_s]
    return Figure(percentile(waits_s, 99) * 1000, "ms")
