"""What do 10,000 torrents cost while nothing happens, and how soon after a start are they shown?

A third is stopped, a third seeds, a third waits for peers that never come; behind them a real
store, a real libtorrent session and the whole tree. What libtorrent itself needs for the same
torrents is measured apart, in a process of its own.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libtorrent as lt

from revaer.adapters.environment import read_boot_id
from revaer.adapters.environment.interpreter import tune_interpreter
from revaer.adapters.filesystem.resume_store import FilesystemResumeStore
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import StopReason, TorrentSpec, TorrentState
from revaer.runtime.messages import Quiesce
from tests.bench.harness import Figure, at_most, rss_bytes
from tests.support.children import ROOT
from tests.support.rig import EngineRig

TORRENTS = 10_000
PART_BYTES = 300
STOPPED, SEEDING, WAITING = range(3)
SETTLE_S = 300.0
QUIET_S = 40.0
"""Longer than a coalescer stays awake without reports, which is what follows a start."""
BARE_QUIET_S = 10.0
MEASURE_S = 30.0


def run() -> dict[str, Figure]:
    """Prepare, measure libtorrent alone, then start on what was prepared."""
    with tempfile.TemporaryDirectory(prefix="revaer-bench-") as name:
        root = Path(name) / "root"
        saved_s = _apart("prepare", root)["saved_s"]
        bare_bytes = _apart("bare", root)["bytes_per_torrent"]
        return {"save everything at the end": Figure(saved_s, "s")} | measure(root, bare_bytes)


def measure(root: Path, bare_bytes: float) -> dict[str, Figure]:
    """One start of the whole tree, then nothing."""
    empty_bytes = rss_bytes()
    began = time.perf_counter()
    with EngineRig(root=root, open_engine=LibtorrentEngine) as rig:
        _wait(lambda: len(rig.board.records()) >= TORRENTS, SETTLE_S)
        board_s = time.perf_counter() - began
        _wait(lambda: _is_settled(rig), SETTLE_S)
        settled_s = time.perf_counter() - began
        tune_interpreter()
        _pause_s(QUIET_S)
        revision = rig.board.revision
        used_s, began = time.process_time(), time.perf_counter()
        _pause_s(MEASURE_S)
        used_s, took_s = time.process_time() - used_s, time.perf_counter() - began
        changes = rig.board.revision - revision
        per_torrent = (rss_bytes() - empty_bytes) / TORRENTS
    return {
        "start to full board": Figure(board_s, "s", at_most(5)),
        "start to settled": Figure(settled_s, "s"),
        "CPU while idle": Figure(used_s / took_s * 100, "%", at_most(2)),
        "board changes while idle": Figure(changes / took_s, "/s"),
        "memory per torrent": Figure(per_torrent / 1024, "KiB"),
        "memory per torrent, libtorrent alone": Figure(bare_bytes / 1024, "KiB"),
        "memory per torrent above libtorrent": Figure(
            (per_torrent - bare_bytes) / 1024, "KiB", at_most(40)
        ),
    }


def prepare(root: Path) -> dict[str, float]:
    """Fill the store, then let one process check, verify and save everything, and end cleanly."""
    store = FilesystemResumeStore(
        root / ".revaer" / "resume", boot_id=read_boot_id(), default_save_path=str(root)
    )
    store.load()
    for number in range(TORRENTS):
        store.put(*_torrent(root, number))
    store.close(clean=True)
    with EngineRig(root=root, open_engine=LibtorrentEngine) as rig:
        _wait(lambda: len(rig.board.records()) >= TORRENTS and _is_settled(rig), SETTLE_S)
        began = time.perf_counter()
        rig.system.address("engine.session").ask(Quiesce(), timeout_s=SETTLE_S)
        return {"saved_s": time.perf_counter() - began}


def bare(root: Path) -> dict[str, float]:
    """The same torrents from the same resume data in a session without Revaer."""
    store = FilesystemResumeStore(
        root / ".revaer" / "resume", boot_id=read_boot_id(), default_save_path=str(root)
    )
    torrents = store.load().torrents
    store.close(clean=True)
    session = lt.session({"listen_interfaces": "127.0.0.1:0", "enable_dht": False})
    before = rss_bytes()
    for stored in torrents:
        if stored.blob is not None:
            params = lt.read_resume_data(stored.blob)
        else:  # stopped from the beginning: nothing to save
            params = lt.load_torrent_buffer(stored.metainfo_data or b"")
            params.flags &= ~lt.torrent_flags.auto_managed
        params.save_path = stored.spec.save_path
        session.add_torrent(params)
    _pause_s(BARE_QUIET_S)
    return {"bytes_per_torrent": (rss_bytes() - before) / TORRENTS}


def _torrent(root: Path, number: int) -> tuple[TorrentSpec, bytes]:
    kind = number % 3
    name = f"torrent-{number:05}"
    parts = [f"{name}/{part}.bin" for part in range(4)]
    maker = lt.create_torrent(
        [lt.create_file_entry(part, PART_BYTES) for part in parts],
        16_384,
        lt.create_torrent.v1_only,
    )
    if kind == SEEDING:
        (root / name).mkdir(parents=True)
        for part in parts:
            (root / part).write_bytes(number.to_bytes(PART_BYTES, "big"))
        lt.set_piece_hashes(maker, str(root))
    else:
        maker.set_hash(0, (number + 1).to_bytes(20, "big"))
    generated: Any = maker.generate()
    data = lt.bencode(generated)
    info_hash = InfoHash(str(lt.load_torrent_buffer(data).info_hashes.v1))
    spec = TorrentSpec(
        info_hash=info_hash,
        infohash_v1=info_hash,
        name=name,
        save_path=str(root),
        added_at=EpochSeconds(1 + number),
        stop_reason=StopReason.USER if kind == STOPPED else StopReason.NONE,
    )
    return spec, data


def _is_settled(rig: EngineRig) -> bool:
    states = Counter(record.state for record in rig.board.records())
    third = TORRENTS // 3
    return (
        states[TorrentState.SEEDING] >= third
        and states[TorrentState.PAUSED] >= third
        and states[TorrentState.STALLED] >= third
    )


def _apart(what: str, root: Path) -> dict[str, float]:
    """Do it in a process of its own, whose memory is not counted here."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.bench.idle", what, str(root)],
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT,
        text=True,
    )
    said: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return said


def _wait(is_over: Callable[[], bool], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not is_over():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not over within {limit_s} s")
        _pause_s(0.05)


def _pause_s(seconds: float) -> None:
    time.sleep(seconds)  # noqa: TID251 -- a benchmark's own thread, which nobody waits for


if __name__ == "__main__":
    print(json.dumps({"prepare": prepare, "bare": bare}[sys.argv[1]](Path(sys.argv[2]))))
