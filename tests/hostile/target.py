"""The process that is attacked; its parent watches it, see `watched`.

`python -m tests.hostile.target BASE session|engine`, then on standard input one job after another:
a line of JSON with `name`, `kind` (`torrent` or `magnet`) and `size`, then that many bytes. Each is
answered with one line of JSON, an `Answer`. `session` drives the whole tree, `engine` describes,
judges and adds as the session does, and takes a fraction of the time.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import libtorrent as lt

from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.commands import AddTorrent, RemoveTorrent
from revaer.domain.errors import RevaerError
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.paths import PathPolicy
from revaer.domain.torrent import (
    Activity,
    MagnetSource,
    MetainfoSource,
    TorrentDescription,
    TorrentSource,
    TorrentSpec,
)
from revaer.ports.engine import EngineTorrent
from tests.hostile.layouts import CATEGORY
from tests.support.rig import LOOPBACK, EngineRig

SETTLE_S = 10.0
"""How long an accepted torrent may take to be checked, and to be removed."""
WRITE_S = 3.0
STUCK_S = 1.0
"""Some pieces never come: an empty file has none of its own, a wrong hash is tried again."""
MOST_PIECES = 16
LARGEST_PIECE = 1 << 20
_CHECKING = frozenset({Activity.CHECKING, Activity.CHECKING_RESUME})


@dataclass
class Answer:
    """What became of one input.

    Attributes:
        refusal: the error's text; empty when it was accepted.
        error_type: name of the error's class; `ours` says whether it is a `RevaerError`.
        wall_s: time to describe, judge and add.
        cpu_s: what of it the process worked, all threads together.
        outside: what lies, leads or changed outside of the save path: must be empty.
        files_written: files found in the save path once pieces were fed to it.
    """

    name: str
    refusal: str = ""
    error_type: str = ""
    ours: bool = True
    wall_s: float = 0.0
    cpu_s: float = 0.0
    outside: list[str] = field(default_factory=list)
    files_written: int = 0


class Target(Protocol):
    """One way of adding a torrent and taking it away again."""

    def add(self, source: TorrentSource, save_path: str) -> InfoHash:
        """Describe and add, or refuse."""
        ...

    def handle(self, info_hash: InfoHash) -> lt.torrent_handle | None:
        """What libtorrent itself calls it, to feed pieces to."""
        ...

    def is_checking(self, info_hash: InfoHash) -> bool:
        """Whether the files are being looked at."""
        ...

    def remove(self, info_hash: InfoHash) -> None:
        """Take it away with its files, and wait until it is gone."""
        ...


class SessionTarget:
    """The whole tree, as a user's command reaches it."""

    def __init__(self, rig: EngineRig) -> None:
        """Attack `rig`, which runs."""
        self._rig = rig

    def add(self, source: TorrentSource, save_path: str) -> InfoHash:
        """As the API does it."""
        command = AddTorrent(source=source, save_path=save_path, category=CATEGORY)
        return self._rig.gateway.execute(command, timeout_s=SETTLE_S).info_hash

    def handle(self, info_hash: InfoHash) -> lt.torrent_handle | None:
        """Past the engine's own port."""
        return _handle(self._rig.holder.current(), info_hash)

    def is_checking(self, info_hash: InfoHash) -> bool:
        """By the board."""
        record = self._rig.board.get(info_hash)
        return record is not None and record.status.activity in _CHECKING

    def remove(self, info_hash: InfoHash) -> None:
        """As the API does it."""
        self._rig.gateway.execute(RemoveTorrent(info_hash, with_data=True), timeout_s=SETTLE_S)
        _wait(lambda: not self._rig.holder.current().torrents(), SETTLE_S)


class EngineTarget:
    """The engine and the judge, without actors."""

    def __init__(self, engine: LibtorrentEngine, policy: PathPolicy) -> None:
        """Attack `engine`."""
        self._engine = engine
        self._policy = policy

    def add(self, source: TorrentSource, save_path: str) -> InfoHash:
        """In the session's order: describe, judge, add; what was judged is what was added."""
        said = self._engine.describe(source)
        resolved = self._policy.resolve(save_path)
        if said.metainfo is not None:
            self._policy.check_files(resolved, said.metainfo.files)
        added = self._engine.add(
            EngineTorrent(
                spec=_spec(said, resolved),
                metainfo_data=source.data if isinstance(source, MetainfoSource) else None,
            )
        )
        if (added is None) != (said.metainfo is None) or (
            added is not None and said.metainfo is not None and added.files != said.metainfo.files
        ):
            raise AssertionError("the engine's file list is not the one that was judged")
        return said.info_hash

    def handle(self, info_hash: InfoHash) -> lt.torrent_handle | None:
        """Past the engine's own port."""
        return _handle(self._engine, info_hash)

    def is_checking(self, info_hash: InfoHash) -> bool:
        """Asked of libtorrent."""
        self._engine.drain()
        return self._engine.status(info_hash).activity in _CHECKING

    def remove(self, info_hash: InfoHash) -> None:
        """Until its files are gone, too."""
        self._engine.remove(info_hash, with_data=True)
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            if any(type(fact).__name__ == "TorrentGone" for fact in self._engine.drain()):
                return
            _nap()


def attack(target: Target, base: Path, name: str, source: TorrentSource) -> Answer:
    """Add one input, feed it data, take it away, and look at everything that is not its own."""
    answer = Answer(name)
    info_hash = InfoHash("")
    save_path = base / "root" / "payload" / "mine"
    save_path.mkdir(parents=True, exist_ok=True)
    before = _outside_of(base, save_path)
    began, worked = time.perf_counter(), time.process_time()
    try:
        info_hash = target.add(source, str(save_path))
    except RevaerError as error:
        answer.refusal, answer.error_type = str(error), type(error).__name__
    except Exception as error:  # noqa: BLE001 -- what else there is, is the finding
        answer.refusal, answer.error_type = str(error), type(error).__name__
        answer.ours = False
    answer.wall_s = time.perf_counter() - began
    answer.cpu_s = time.process_time() - worked
    if not answer.error_type:
        _feed(target, info_hash, save_path)
        answer.files_written = _files_in(save_path)
        answer.outside += _escaping_names(target, info_hash, save_path)
        answer.outside += _escaping_links(save_path)
        target.remove(info_hash)
    after = _outside_of(base, save_path)
    answer.outside += sorted(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )
    shutil.rmtree(save_path, ignore_errors=True)
    return answer


def _feed(target: Target, info_hash: InfoHash, save_path: Path) -> None:
    """Give it pieces of zeros, which is what the generator's hashes are of."""
    _wait(lambda: not target.is_checking(info_hash), SETTLE_S)
    handle = target.handle(info_hash)
    info = None if handle is None else handle.torrent_file()
    if handle is None or info is None or info.piece_length() > LARGEST_PIECE:
        return
    pieces = min(info.num_pieces(), MOST_PIECES)
    for piece in range(pieces):
        with suppress(RuntimeError):
            handle.add_piece(piece, bytes(_size_of(info, piece)), 0)
    began = time.monotonic()
    while time.monotonic() < began + STUCK_S:
        state = handle.status()
        if state.num_pieces >= pieces or state.total_failed_bytes or state.errc.value():
            break
        _nap()
    handle.flush_cache()
    if (
        handle.status().num_pieces
    ):  # counted when its hash is known: the bytes may yet be on the way
        while time.monotonic() < began + WRITE_S and not _files_in(save_path):
            _nap()


def _files_in(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


def _size_of(info: lt.torrent_info, piece: int) -> int:
    """In a v2 torrent a file's last piece ends with the file; what follows is nobody's."""
    if info.info_hashes().has_v1():
        return info.piece_size(piece)
    layout = info.layout()
    begin = piece * info.piece_length()
    offset = 0
    for index in range(info.num_files()):
        offset += layout.file_size(index)
        if offset > begin:
            return min(info.piece_length(), offset - begin)
    return 0


def _escaping_names(target: Target, info_hash: InfoHash, save_path: Path) -> list[str]:
    """Names that lie outside once joined; an independent judge, without the project's own."""
    handle = target.handle(info_hash)
    info = None if handle is None else handle.torrent_file()
    if info is None:
        return []
    layout = info.layout()
    paths = (layout.file_path(index) for index in range(min(info.num_files(), 5_000)))
    inside = f"{save_path}{os.sep}"
    return [
        path
        for path in paths
        if path.startswith("/")
        or "\0" in path
        or not os.path.normpath(os.path.join(save_path, path)).startswith(inside)  # noqa: PTH118
    ]


def _escaping_links(save_path: Path) -> list[str]:
    inside = f"{os.path.realpath(save_path)}{os.sep}"
    links = (
        os.path.join(folder, name)  # noqa: PTH118 -- a name may be anything, and stays as it is
        for folder, folders, names in os.walk(save_path)
        for name in (*folders, *names)
    )
    return [
        link
        for link in links
        if os.path.islink(link)  # noqa: PTH114
        and not f"{os.path.realpath(link)}{os.sep}".startswith(inside)
    ]


def _outside_of(base: Path, save_path: Path) -> dict[str, Any]:
    """Everything but the save path and the resume store: type, size, content."""
    skipped = {str(save_path), str(base / "root" / ".revaer")}
    seen: dict[str, Any] = {}
    for folder, folders, names in os.walk(base):
        folders[:] = [one for one in folders if f"{folder}/{one}" not in skipped]
        for one in folders:
            seen[f"{folder}/{one}"] = "folder"
        for one in names:
            path = f"{folder}/{one}"
            is_link = os.path.islink(path)  # noqa: PTH114
            seen[path] = os.readlink(path) if is_link else Path(path).read_bytes()  # noqa: PTH115
    return seen


def _spec(said: TorrentDescription, save_path: str) -> TorrentSpec:
    return TorrentSpec(
        info_hash=said.info_hash,
        infohash_v1=said.infohash_v1,
        infohash_v2=said.infohash_v2,
        name=said.name,
        magnet_uri=said.magnet_uri,
        save_path=save_path,
        added_at=EpochSeconds(1),
    )


def _handle(engine: Any, info_hash: InfoHash) -> lt.torrent_handle | None:
    entry = engine._registry.find(info_hash)
    return None if entry is None else entry.handle


def _wait(is_over: Callable[[], bool], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not is_over():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not over within {limit_s} s")
        _nap()


def _nap() -> None:
    time.sleep(0.002)  # noqa: TID251 -- a process of its own, whose only work is this wait


@contextmanager
def _opened(base: Path, mode: str) -> Iterator[Target]:
    root = base / "root"
    if mode == "session":
        with EngineRig(root=root, open_engine=LibtorrentEngine) as rig:
            yield SessionTarget(rig)
        return
    engine = LibtorrentEngine(LOOPBACK)
    try:
        yield EngineTarget(engine, PathPolicy(roots=(str(root),), default=str(root)))
    finally:
        engine.quiesce()
        engine.close()


def plant(base: Path) -> None:
    """Files that no torrent may touch: beside the root, in it, and beside the save path."""
    for place in ("outside", "root", "root/victim", "root/payload", "root/payload/victim"):
        folder = base / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "canary").write_text("alive", encoding="ascii")


def main() -> None:
    """Serve jobs until the input ends."""
    base, mode = Path(sys.argv[1]), sys.argv[2]
    plant(base)
    jobs, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "w", buffering=1, encoding="ascii")
    os.dup2(2, 1)  # whatever else prints must not mix with the answers
    with _opened(base, mode) as target:
        answers.write('"ready"\n')
        for line in jobs:
            job = json.loads(line)
            data = jobs.read(job["size"])
            source: TorrentSource = (
                MetainfoSource(data)
                if job["kind"] == "torrent"
                else MagnetSource(data.decode("utf-8", "surrogatepass"))
            )
            answers.write(json.dumps(asdict(attack(target, base, job["name"], source))) + "\n")


if __name__ == "__main__":
    main()
