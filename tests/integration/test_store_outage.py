"""What happens to transfers when the resume directory is deleted, read-only or full?"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors.testing import eventually
from revaer.adapters.filesystem import FilesystemResumeStore
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain import commands as cmd
from revaer.domain.errors import StoreDownError, StoreLockedError
from revaer.domain.events import HealthChanged, PublishedEvent
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import MetainfoSource
from revaer.ports.event_feed import Subscription
from tests.support.rig import EngineRig
from tests.support.swarm import Payload, Seeder, make_payload

SIZE = 3_000_000
RATE = 400_000
SOON_S = 30.0
ROOT = Path(__file__).parents[2]


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "film", {"film.mkv": SIZE})


@pytest.fixture
def seeder(payload: Payload) -> Iterator[Seeder]:
    with Seeder(payload, upload_limit=RATE) as running:
        yield running


def may_mount() -> bool:
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(probe, capture_output=True, check=False).returncode == 0
    )


REMEDIES = {
    "full": "free space",
    "readonly": "mount its file system writable",
    "unmounted": "mount",
}


@pytest.mark.parametrize(
    ("moment", "kind"),
    [
        ("running", "full"),
        ("running", "readonly"),
        ("running", "unmounted"),
        ("start", "full"),
        ("start", "readonly"),
    ],
)
def test_a_store_that_takes_nothing_stops_no_transfer_and_is_used_again_when_it_does(
    tmp_path: Path, payload: Payload, seeder: Seeder, moment: str, kind: str
) -> None:
    if not may_mount():
        pytest.skip("this machine forbids mounts in a namespace of one's own")
    host, port = seeder.peer
    ended = subprocess.run(
        [
            *("unshare", "-rm", sys.executable, "-m", "tests.support.store_outage"),
            *(f"{moment}-{kind}", str(tmp_path / "out"), str(payload.torrent_path)),
            f"{host}:{port}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )
    assert ended.returncode == 0, ended.stderr[-3_000:]
    told = json.loads(ended.stdout.splitlines()[-1])
    assert REMEDIES[kind] in told["refused"]
    assert told["cause"]
    assert told["goes_on"]
    assert told["taken"] == ""
    assert (told["upload_limit"], told["category"]) == (1_000_077, "before")


def started(rig: EngineRig, payload: Payload, seeder: Seeder) -> InfoHash:
    done = rig.gateway.execute(
        cmd.AddTorrent(source=MetainfoSource(payload.torrent), peers=(seeder.peer,), category="tv"),
        timeout_s=SOON_S,
    )
    eventually(lambda: rig.record(done.info_hash).status.done_bytes > 0, within_s=SOON_S)
    return done.info_hash


def hear(heard: Subscription, status: str) -> str:
    """The cause of the next change of the store's health to a status."""
    while True:
        delivery = heard.next(SOON_S)
        assert isinstance(delivery, PublishedEvent), delivery
        event = delivery.event
        if (
            isinstance(event, HealthChanged)
            and event.component == "resume_store"
            and event.status == status
        ):
            return event.cause


def limit(rig: EngineRig, info_hash: InfoHash, upload: int) -> None:
    rig.gateway.execute(
        cmd.SetTorrentLimits(info_hash, BytesPerSecond(0), BytesPerSecond(upload)),
        timeout_s=SOON_S,
    )


def _delete_directory(path: Path) -> None:
    shutil.rmtree(path.rename(path.with_name("doomed")))


def _delete_files(path: Path) -> None:
    for each in path.glob("*"):
        each.unlink(missing_ok=True)


@pytest.mark.parametrize("delete", [_delete_directory, _delete_files])
def test_a_deleted_store_is_written_again_whole(
    tmp_path: Path, payload: Payload, seeder: Seeder, delete: Callable[[Path], object]
) -> None:
    root = tmp_path / "out"
    resume = root / ".revaer" / "resume"
    with EngineRig(root=root, open_engine=LibtorrentEngine) as rig:
        info_hash = started(rig, payload, seeder)
        limit(rig, info_hash, 1_000_055)
        heard = rig.feed.subscribe(("health.changed", "peer.disconnected"))

        delete(resume)

        assert str(resume) in hear(heard, "degraded")
        hear(heard, "ok")
        files = [resume / f"{info_hash}.{kind}" for kind in ("json", "torrent", "fastresume")]
        eventually(lambda: all(path.exists() for path in files), within_s=SOON_S)
        with pytest.raises(StoreLockedError):
            FilesystemResumeStore(resume, boot_id="x", default_save_path="/")
        limit(rig, info_hash, 1_000_066)
        rig.wait_complete(info_hash)

    with EngineRig(root=root, open_engine=LibtorrentEngine) as rig:
        record = rig.record(info_hash)
        assert (record.spec.category, record.spec.upload_limit) == ("tv", 1_000_066)
        rig.wait_complete(info_hash)
        assert payload.is_whole_in(root)


def test_a_store_whose_parent_is_gone_is_made_when_that_is_back(
    tmp_path: Path, payload: Payload, seeder: Seeder
) -> None:
    root = tmp_path / "out"
    resume = root / ".revaer" / "resume"
    with EngineRig(root=root, open_engine=LibtorrentEngine) as rig:
        info_hash = started(rig, payload, seeder)
        heard = rig.feed.subscribe(("health.changed",))

        shutil.rmtree(resume.parent.rename(root / "doomed"))

        hear(heard, "degraded")
        with pytest.raises(StoreDownError, match="mount or restore"):
            limit(rig, info_hash, 1)
        before = rig.record(info_hash).status.done_bytes
        eventually(lambda: rig.record(info_hash).status.done_bytes > before, within_s=SOON_S)
        assert not resume.parent.exists()
        resume.parent.mkdir()
        hear(heard, "ok")
        assert rig.record(info_hash).spec.upload_limit == 0
        limit(rig, info_hash, 1_000_002)

    with EngineRig(root=root, open_engine=LibtorrentEngine) as rig:
        assert rig.record(info_hash).spec.upload_limit == 1_000_002


def test_a_store_that_cannot_be_read_at_the_start_is_read_before_it_is_written(
    tmp_path: Path, payload: Payload, seeder: Seeder
) -> None:
    root = tmp_path / "out"
    resume = root / ".revaer" / "resume"
    with EngineRig(root=root, open_engine=LibtorrentEngine) as rig:
        info_hash = started(rig, payload, seeder)
    unplugged = resume.rename(resume.with_name("unplugged"))
    resume.touch()
    rig = EngineRig(root=root, open_engine=LibtorrentEngine)
    heard = rig.feed.subscribe(("health.changed",))
    with rig:
        assert "move the file away" in hear(heard, "degraded")
        assert rig.board.get(info_hash) is None
        with pytest.raises(StoreDownError):
            rig.gateway.execute(
                cmd.AddTorrent(source=MetainfoSource(payload.torrent), category="overwritten"),
                timeout_s=SOON_S,
            )
        resume.unlink()
        unplugged.rename(resume)
        hear(heard, "ok")
        eventually(lambda: rig.board.get(info_hash) is not None, within_s=SOON_S)
        assert rig.record(info_hash).spec.category == "tv"
        rig.holder.current().connect(info_hash, (seeder.peer,))
        rig.wait_complete(info_hash)
        limit(rig, info_hash, 1_000_003)
