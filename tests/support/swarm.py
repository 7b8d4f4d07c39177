"""Real torrents and real peers for tests: payloads made of fixed random bytes, seeders on loopback.

A typical test::

    payload = make_payload(tmp_path / "seed", "album", {"a.bin": 100_000, "b/c.bin": 7})
    with Seeder(payload) as seeder:
        engine.add(EngineTorrent(spec=..., metainfo_data=payload.torrent, peers=(seeder.peer,)))

Nothing here touches another host: TCP on 127.0.0.1, no DHT, no local discovery, no trackers unless
named.
"""

import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

import libtorrent as lt

Kind = Literal["v1", "v2", "hybrid"]
Peer = tuple[str, int]

_FLAGS: dict[Kind, int] = {
    "v1": lt.create_torrent.v1_only,
    "v2": lt.create_torrent.v2_only,
    "hybrid": 0,
}
_SCRIPT = Path(__file__).with_name("seeder.py")
_STOP_S = 10
_CREATED_AT = 1_700_000_000


@dataclass(frozen=True)
class Payload:
    """Files on disk and the torrent that describes them.

    Attributes:
        name: the torrent's name: its root folder, or its only file.
        directory: what a seeder uses as save path; holds `name`.
        torrent: the torrent file's bytes.
        torrent_path: where those bytes are on disk, beside `directory`.
        infohash_v1: 40 hex digits, or empty for v2.
        infohash_v2: 64 hex digits, or empty for v1.
        files: bytes per path, the torrent's root folder included; no padding files.
    """

    name: str
    directory: Path
    torrent: bytes = field(repr=False)
    torrent_path: Path
    infohash_v1: str
    infohash_v2: str
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def info_hash(self) -> str:
        """The id that Revaer gives this torrent: v1 where there is one, else truncated v2."""
        return self.infohash_v1 or self.infohash_v2[:40]

    @property
    def magnet(self) -> str:
        """A link with every hash of the torrent and its name."""
        topics = [f"xt=urn:btih:{self.infohash_v1}"] if self.infohash_v1 else []
        topics += [f"xt=urn:btmh:1220{self.infohash_v2}"] if self.infohash_v2 else []
        return f"magnet:?{'&'.join(topics)}&dn={self.name}"

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(map(len, self.files.values()))

    def is_whole_in(self, directory: Path) -> bool:
        """Whether every file lies in `directory` with every byte right."""
        return all(
            (directory / path).is_file() and (directory / path).read_bytes() == content
            for path, content in self.files.items()
        )


def make_payload(
    directory: Path,
    name: str,
    sizes: Mapping[str, int] | int,
    *,
    kind: Kind = "v1",
    piece_length: int = 16_384,
    trackers: Sequence[str] = (),
    comment: str = "",
    is_private: bool = False,
) -> Payload:
    """Write files of fixed random bytes and make their torrent; the same input, the same torrent.

    Args:
        directory: where the payload is written; the torrent file goes beside it as `NAME.torrent`.
        name: root folder, or the file itself when `sizes` is a number.
        sizes: bytes per relative path (`/` between parts) inside the root folder.
        kind: which hashes the torrent has.
        piece_length: a power of two, at least 16 KiB.
        trackers: announce addresses, one tier each. libtorrent only asks loopback trackers whose
            path is `/announce`.
        comment: goes into the torrent file.
        is_private: sets the private flag.
    """
    layout = (
        {name: sizes} if isinstance(sizes, int) else {f"{name}/{k}": v for k, v in sizes.items()}
    )
    source = random.Random(f"{name}:{sorted(layout.items())}")
    files = {path: source.randbytes(size) for path, size in layout.items()}
    for path, content in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    entries = [lt.create_file_entry(path, len(content)) for path, content in files.items()]
    maker = lt.create_torrent(entries, piece_length, _FLAGS[kind])
    maker.set_creation_date(_CREATED_AT)
    maker.set_comment(comment)
    maker.set_priv(is_private)
    for tier, url in enumerate(trackers):
        maker.add_tracker(url, tier)
    lt.set_piece_hashes(maker, str(directory))
    torrent = lt.bencode(cast("Any", maker.generate()))
    torrent_path = directory.with_name(f"{directory.name}-{name}.torrent")
    torrent_path.write_bytes(torrent)
    hashes = lt.load_torrent_buffer(torrent).info_hashes
    return Payload(
        name=name,
        directory=directory,
        torrent=torrent,
        torrent_path=torrent_path,
        infohash_v1=str(hashes.v1) if hashes.has_v1() else "",
        infohash_v2=str(hashes.v2) if hashes.has_v2() else "",
        files=files,
    )


class Seeder:
    """A process that seeds payloads on loopback for as long as the `with` block lasts.

    Another process, because two sessions in one would share the interpreter lock and the tests'
    timing with it. It ends by itself when this process dies.
    """

    def __init__(self, *payloads: Payload, upload_limit: int = 0) -> None:
        """Remember what to seed.

        Args:
            payloads: one or more; their files must stay in place.
            upload_limit: bytes per second for all of them; 0 is unlimited.
        """
        self._payloads = payloads
        self._upload_limit = upload_limit
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def peer(self) -> Peer:
        """Address to connect to."""
        return ("127.0.0.1", self.port)

    def cpu_s(self) -> float:
        """CPU seconds that the process has used (Linux)."""
        if self._process is None:
            return 0.0
        text = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        ticks = text.rpartition(")")[2].split()[11:13]  # utime, stime
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def start(self) -> Self:
        """Start the process and wait until it seeds.

        Raises:
            RuntimeError: it ended instead.
        """
        pairs = [text for p in self._payloads for text in (str(p.torrent_path), str(p.directory))]
        self._process = subprocess.Popen(
            [sys.executable, str(_SCRIPT), str(self._upload_limit), *pairs],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line.strip().isdecimal():
            self.stop()
            raise RuntimeError(f"the seeder did not start: {line!r}")
        self.port = int(line)
        return self

    def stop(self) -> None:
        """End the process and wait for it; calling it again does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()  # it has nothing to save
        process.communicate(timeout=_STOP_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
