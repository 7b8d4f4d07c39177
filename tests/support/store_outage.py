"""Runs the engine over a resume directory on a small file system of its own, and spoils that.

`unshare -rm python -m tests.support.store_outage SCENARIO ROOT TORRENT HOST:PORT`: everything is
mounted in a mount namespace that ends with this process. Prints what happened as one line of JSON.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from actors.testing import eventually
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain import commands as cmd
from revaer.domain.errors import StoreDownError
from revaer.domain.events import HealthChanged, PublishedEvent
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import MetainfoSource
from tests.support.rig import EngineRig

SOON_S = 20.0
SIZE = "400k"


class Disk:
    """A tmpfs on the resume directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._elsewhere = path.with_name("elsewhere")
        self._elsewhere.mkdir()
        _mount("-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(path))
        _mount("--bind", str(path), str(self._elsewhere))

    def fill(self) -> None:
        """Leave not a byte."""
        with (
            contextlib.suppress(OSError),
            (self.path / "ballast").open("wb", buffering=0) as ballast,
        ):
            while True:
                ballast.write(bytes(4096))

    def free(self) -> None:
        (self.path / "ballast").unlink()

    def unplug(self) -> None:
        subprocess.run(["umount", "-l", str(self.path)], check=True)

    def plug_in(self) -> None:
        """Mount it again, over a mount point that nobody has written to meanwhile."""
        left = sorted(entry.name for entry in self.path.iterdir())
        if left:
            raise AssertionError(f"somebody made a store in the empty mount point: {left}")
        _mount("--bind", str(self._elsewhere), str(self.path))

    def forbid(self) -> None:
        _mount("-o", "remount,ro", str(self.path))

    def allow(self) -> None:
        _mount("-o", "remount,rw", str(self.path))


class Scene:
    """One torrent that downloads slowly, and what is said of the store meanwhile."""

    def __init__(self, root: Path, torrent: bytes, peer: tuple[str, int]) -> None:
        self.root = root
        self.disk = Disk(root / ".revaer" / "resume")
        self._torrent = torrent
        self.peer = peer
        self.said: list[tuple[str, str]] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[EngineRig]:
        rig = EngineRig(root=self.root, open_engine=LibtorrentEngine)
        self._heard = rig.feed.subscribe(("health.changed",))
        with rig:
            yield rig
            self.listen()

    def add(self, rig: EngineRig) -> InfoHash:
        done = rig.gateway.execute(
            cmd.AddTorrent(
                source=MetainfoSource(self._torrent), peers=(self.peer,), category="before"
            ),
            timeout_s=SOON_S,
        )
        eventually(lambda: rig.record(done.info_hash).status.done_bytes > 0, within_s=SOON_S)
        return done.info_hash

    def listen(self) -> list[tuple[str, str]]:
        """What was said of the store so far: status and cause."""
        while (delivery := self._heard.next(0.0)) is not None:
            event = delivery.event if isinstance(delivery, PublishedEvent) else None
            if isinstance(event, HealthChanged) and event.component == "resume_store":
                self.said.append((event.status, event.cause))
        return self.said

    def wait_for(self, status: str) -> str:
        eventually(lambda: (self.listen() or [("", "")])[-1][0] == status, within_s=SOON_S)
        return self.said[-1][1]

    def plug_in(self) -> None:
        """Mount the disk again once somebody has tried to use its empty mount point."""
        eventually(
            lambda: any("is not mounted" in cause for _, cause in self.listen()), within_s=SOON_S
        )
        self.disk.plug_in()

    def goes_on(self, rig: EngineRig, info_hash: InfoHash) -> bool:
        """Whether more bytes come, also while the store is down."""
        before = rig.record(info_hash).status.done_bytes
        eventually(lambda: rig.record(info_hash).status.done_bytes > before, within_s=SOON_S)
        return True


def refusal(rig: EngineRig, info_hash: InfoHash) -> str:
    """What a command that must be stored is answered."""
    try:
        rig.gateway.execute(
            cmd.SetTorrentLimits(info_hash, BytesPerSecond(0), BytesPerSecond(1_000_077)),
            timeout_s=SOON_S,
        )
    except StoreDownError as error:
        return str(error)
    return ""


def while_running(scene: Scene, spoil: Callable[[], None], mend: Callable[[], None]) -> Any:
    """Spoil the directory of a running engine, then mend it."""
    with scene.running() as rig:
        info_hash = scene.add(rig)
        spoil()
        cause = scene.wait_for("degraded")
        refused = refusal(rig, info_hash)
        goes_on = scene.goes_on(rig, info_hash)
        mend()
        scene.wait_for("ok")
        taken = refusal(rig, info_hash)
    return {"cause": cause, "refused": refused, "goes_on": goes_on, "taken": taken}


def from_the_start(scene: Scene, spoil: Callable[[], None], mend: Callable[[], None]) -> Any:
    """Start over a spoilt directory that holds a torrent, then mend it."""
    with scene.running() as rig:
        info_hash = scene.add(rig)
    scene.said.clear()
    spoil()
    with scene.running() as rig:
        cause = scene.wait_for("degraded")
        refused = refusal(rig, info_hash)
        rig.holder.current().connect(info_hash, (scene.peer,))
        goes_on = scene.goes_on(rig, info_hash)
        mend()
        scene.wait_for("ok")
        taken = refusal(rig, info_hash)
    return {"cause": cause, "refused": refused, "goes_on": goes_on, "taken": taken}


def main() -> None:
    """Play the scenario that the arguments name."""
    scenario, root, torrent, peer = sys.argv[1:]
    host, _, port = peer.rpartition(":")
    scene = Scene(Path(root), Path(torrent).read_bytes(), (host, int(port)))
    moment, kind = scenario.split("-")
    spoil, mend = {
        "full": (scene.disk.fill, scene.disk.free),
        "readonly": (scene.disk.forbid, scene.disk.allow),
        "unmounted": (scene.disk.unplug, scene.plug_in),
    }[kind]
    told = {"running": while_running, "start": from_the_start}[moment](scene, spoil, mend)
    with scene.running() as rig:
        (record,) = rig.board.records()
        told["upload_limit"] = record.spec.upload_limit
        told["category"] = record.spec.category
    print(json.dumps(told))  # noqa: T201 the answer to the test


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main()
