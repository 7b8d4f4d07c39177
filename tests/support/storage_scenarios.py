"""Real disks that fill up, go away and come back, under a real engine; run as a script.

Mounts need a user and mount namespace of their own, so the tests start this as
`unshare -rm python -m tests.support.storage_scenarios NAME DIRECTORY`. It ends with 0 when
everything was as it should be, else with a traceback.
"""

import ctypes
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from actors.testing import eventually
from revaer.adapters.filesystem.payload import LocalPayload
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain import facts as f
from revaer.domain.commands import (
    AddTorrent,
    ConnectPeers,
    RecheckTorrent,
    ResumeTorrent,
)
from revaer.domain.events import HealthChanged, PublishedEvent, TorrentFailed
from revaer.domain.ids import InfoHash
from revaer.domain.storage import PlaceSeen
from revaer.domain.torrent import (
    Activity,
    FaultCode,
    MagnetSource,
    MetainfoSource,
    TorrentState,
)
from revaer.ports.engine import EngineSettings
from tests.support.rig import EngineRig
from tests.support.swarm import Payload, Peer, Seeder, make_payload

SOON_S = 60.0
MANY = 20
MS_REMOUNT = 32
"""Of Linux's `mount(2)`."""
UNKNOWN_MAGNET = "magnet:?xt=urn:btih:" + "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Checks:
    """How often files were hashed, by torrent."""

    reported: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    def forget(self) -> None:
        """Count from now on."""
        for counter in (self.reported, self.ended, self.asked, self.rejected):
            counter.clear()


class CountingEngine(LibtorrentEngine):
    """The real engine, with its checks counted."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self.checks = Checks()

    def drain(self) -> Sequence[f.Fact]:
        facts = super().drain()
        for fact in facts:
            match fact:
                case f.StatusReported(info_hash, status) if status.activity is Activity.CHECKING:
                    self.checks.reported[info_hash] += 1
                case f.TorrentChecked(info_hash):
                    self.checks.ended[info_hash] += 1
                case f.ResumeRejected(info_hash):
                    self.checks.rejected[info_hash] += 1
                case _:
                    pass
        return facts

    def recheck(self, info_hash: InfoHash) -> None:
        self.checks.asked[info_hash] += 1
        super().recheck(info_hash)


class CountingPayload(LocalPayload):
    """The real look at the disk, with the looks at each place counted."""

    def __init__(self) -> None:
        self.looks: Counter[str] = Counter()

    def place(self, save_path: str) -> PlaceSeen:
        seen = super().place(save_path)
        self.looks[save_path] += 1
        return seen


class Rig(EngineRig):
    """The tree over the counting engine, with the questions that the scenarios ask."""

    @property
    def checks(self) -> Checks:
        return cast("CountingEngine", self.holder.current()).checks

    def start(self) -> None:
        self.__enter__()
        self.heard = self.feed.subscribe(("torrent.error", "health.changed"))

    def stop(self) -> None:
        self.heard.close()
        self.__exit__(None, None, None)

    def add(self, payload: Payload, save_path: Path, *peers: Peer) -> InfoHash:
        command = AddTorrent(
            source=MetainfoSource(payload.torrent), save_path=str(save_path), peers=peers
        )
        return self.gateway.execute(command, timeout_s=SOON_S).info_hash

    def code(self, info_hash: InfoHash) -> FaultCode | None:
        fault = self.record(info_hash).fault
        return None if fault is None else fault.code

    def message(self, info_hash: InfoHash) -> str:
        fault = self.record(info_hash).fault
        assert fault is not None
        return fault.message

    def wait_fault(self, code: FaultCode | None, *torrents: InfoHash) -> None:
        eventually(lambda: all(self.code(one) is code for one in torrents), within_s=SOON_S)

    def news(self) -> tuple[list[TorrentFailed], list[HealthChanged]]:
        """What was announced since the last call."""
        failed: list[TorrentFailed] = []
        health: list[HealthChanged] = []
        while (delivery := self.heard.next(0.2)) is not None:
            assert isinstance(delivery, PublishedEvent)
            match delivery.event:
                case TorrentFailed():
                    failed.append(delivery.event)
                case HealthChanged(component="storage"):
                    health.append(delivery.event)
                case _:
                    pass
        return failed, health


def disk_full(base: Path) -> None:
    """An 8 MiB disk, a larger torrent; beside it a magnet that is held for want of metadata."""
    payload = make_payload(base / "seed", "big", {"a.bin": 12_000_000, "b.bin": 1_000_000})
    disk = _directory(base / "out" / "disk")
    _mount("tmpfs", disk, "size=8m")
    with Seeder(payload) as seeder, _running(base) as rig:
        info_hash = rig.add(payload, disk, seeder.peer)
        held = rig.gateway.execute(
            AddTorrent(source=MagnetSource(UNKNOWN_MAGNET), save_path=str(disk)), timeout_s=SOON_S
        ).info_hash
        rig.wait_fault(FaultCode.DISK_FULL, info_hash)
        eventually(lambda: " free;" in rig.message(info_hash), within_s=SOON_S)
        assert str(disk) in rig.message(info_hash), rig.message(info_hash)
        assert "MiB more to write" in rig.message(info_hash), rig.message(info_hash)
        assert rig.record(info_hash).state is TorrentState.ERROR
        assert rig.record(held).fault is None
        failed, health = rig.news()
        assert [event.code for event in failed] == [FaultCode.DISK_FULL], failed
        assert [(event.status, event.cause) for event in health] == [
            ("degraded", f"the disk of {disk} is full")
        ], health

        _remount(disk, "size=32m")
        rig.wait_complete(info_hash, within_s=SOON_S)
        rig.wait_fault(None, info_hash)
        failed, health = rig.news()
        assert not failed, failed
        assert [event.status for event in health] == ["ok"], health
        assert payload.is_whole_in(disk)
        assert not rig.checks.asked
        assert rig.record(held).fault is None


def files_deleted_under_a_seed(base: Path) -> None:
    """Two complete torrents, of which one loses a file, and gets it back."""
    payload = make_payload(base / "seed", "show", {"a.bin": 3_000_000, "b.bin": 500_000})
    other = make_payload(base / "seed", "other", 400_000)
    disk = _directory(base / "out" / "disk")
    with Seeder(payload, other) as seeder, _running(base) as rig:
        info_hash = rig.add(payload, disk, seeder.peer)
        untouched = rig.add(other, disk, seeder.peer)
        rig.wait_complete(info_hash, untouched, within_s=SOON_S)
        rig.checks.forget()
        (disk / "show" / "a.bin").rename(base / "kept.bin")
        rig.wait_fault(FaultCode.MISSING_FILES, info_hash)
        assert "show/a.bin" in rig.message(info_hash)
        assert rig.record(info_hash).state is TorrentState.ERROR
        received = rig.record(info_hash).status.downloaded_bytes
        failed, _ = rig.news()
        assert [event.code for event in failed] == [FaultCode.MISSING_FILES], failed
        _wait_rounds(rig, 2)
        assert rig.record(info_hash).status.downloaded_bytes == received
        assert not (disk / "show" / "a.bin").exists()
        assert not rig.checks.asked

        (base / "kept.bin").rename(disk / "show" / "a.bin")
        rig.wait_fault(None, info_hash)
        rig.wait_complete(info_hash, within_s=SOON_S)
        _wait_rounds(rig, 2)
        assert rig.record(info_hash).state is TorrentState.SEEDING
        assert rig.checks.asked == {info_hash: 1}, rig.checks
        assert rig.checks.ended == {info_hash: 1}, rig.checks
        assert rig.record(info_hash).status.downloaded_bytes == received


def files_deleted_for_good(base: Path) -> None:
    """A complete torrent whose file is gone is downloaded again when somebody says so."""
    payload = make_payload(base / "seed", "show", {"a.bin": 3_000_000, "b.bin": 500_000})
    disk = _directory(base / "out" / "disk")
    with Seeder(payload) as seeder, _running(base) as rig:
        info_hash = rig.add(payload, disk, seeder.peer)
        rig.wait_complete(info_hash, within_s=SOON_S)
        (disk / "show" / "a.bin").unlink()
        rig.wait_fault(FaultCode.MISSING_FILES, info_hash)
        _wait_rounds(rig, 1)

        rig.gateway.execute(RecheckTorrent(info_hash), timeout_s=SOON_S)
        eventually(lambda: payload.is_whole_in(disk), within_s=SOON_S)
        rig.wait_complete(info_hash, within_s=SOON_S)
        assert rig.record(info_hash).fault is None
        assert rig.record(info_hash).state is TorrentState.SEEDING


def unmounted_while_running(base: Path) -> None:
    """Twenty complete torrents and one that is being downloaded lose their disk under way."""
    many, slow = _many(base)
    store, disk = _disk(base)
    with (
        Seeder(*many) as seeder,
        Seeder(slow, upload_limit=400_000) as slowly,
        _running(base) as rig,
    ):
        seeds = [rig.add(payload, disk, seeder.peer) for payload in many]
        growing = rig.add(slow, disk, slowly.peer)
        rig.wait_complete(*seeds, within_s=SOON_S)
        eventually(lambda: rig.record(growing).status.pieces_have > 0, within_s=SOON_S)
        _wait_rounds(rig, 2)
        rig.news()
        rig.checks.forget()

        _unmount(disk)
        rig.wait_fault(FaultCode.STORAGE_ABSENT, *seeds, growing)
        assert str(disk) in rig.message(seeds[0])
        assert "mount" in rig.message(seeds[0])
        assert "recheck" in rig.message(seeds[0])
        failed, health = rig.news()
        assert Counter(event.info_hash for event in failed) == Counter([*seeds, growing]), failed
        assert [event.status for event in health] == ["degraded"], health
        assert str(disk) in health[0].cause
        rig.gateway.execute(ResumeTorrent(growing), timeout_s=SOON_S)
        _wait_rounds(rig, 2)
        assert rig.code(growing) is FaultCode.STORAGE_ABSENT
        assert _names(disk) == [], _names(disk)

        _bind(store, disk)
        rig.wait_fault(None, *seeds, growing)
        eventually(
            lambda: all(rig.record(one).state is TorrentState.SEEDING for one in seeds),
            within_s=SOON_S,
        )
        rig.wait_complete(growing, within_s=SOON_S)
        _expect_no_check(rig)
        assert slow.is_whole_in(disk)
        _, health = rig.news()
        assert [event.status for event in health] == ["ok"], health


def unmounted_at_the_start(base: Path) -> None:
    """The same torrents, restored while their disk is away: what they had must not be forgotten."""
    many, slow = _many(base)
    store, disk = _disk(base)
    with Seeder(*many) as seeder, Seeder(slow, upload_limit=300_000) as slowly:
        with _running(base) as rig:
            seeds = [rig.add(payload, disk, seeder.peer) for payload in many]
            growing = rig.add(slow, disk, slowly.peer)
            rig.wait_complete(*seeds, within_s=SOON_S)
            eventually(lambda: rig.record(growing).status.pieces_have > 3, within_s=SOON_S)
        had = rig.record(growing).status.pieces_have
        assert not rig.record(growing).is_verified
        _unmount(disk)

        with _running(base) as rig:
            rig.wait_fault(FaultCode.STORAGE_ABSENT, *seeds, growing)
            _wait_rounds(rig, 2)
            assert _names(disk) == [], _names(disk)
            assert rig.record(growing).status.pieces_have >= had
            _, health = rig.news()
            assert [event.status for event in health] == ["degraded"], health

            _bind(store, disk)
            rig.wait_fault(None, *seeds, growing)
            rig.wait_complete(*seeds, within_s=SOON_S)
            assert rig.record(growing).status.pieces_have >= had
            rig.gateway.execute(ConnectPeers(growing, (slowly.peer,)), timeout_s=SOON_S)
            rig.wait_complete(growing, within_s=SOON_S)
            assert slow.is_whole_in(disk)
            assert not rig.checks.asked, rig.checks
            assert not rig.checks.reported, rig.checks
            assert not rig.checks.rejected, rig.checks
            assert set(rig.checks.ended.values()) == {1}, rig.checks  # resume data was read


def unwritable(base: Path) -> None:
    """A disk that is mounted read-only, and a file where the directory should be."""
    payload = make_payload(base / "seed", "one", 900_000)
    other = make_payload(base / "seed", "two", 700_000)
    disk = _directory(base / "out" / "disk")
    _mount("tmpfs", disk, "size=16m,ro")
    blocked = base / "out" / "blocked"
    blocked.write_text("a file")
    with Seeder(payload, other) as seeder, _running(base) as rig:
        read_only = rig.add(payload, disk, seeder.peer)
        in_the_way = rig.add(other, blocked, seeder.peer)
        rig.wait_fault(FaultCode.UNWRITABLE, read_only, in_the_way)
        # The engine may say first that a file is not there: what it could not write it reads back.
        eventually(lambda: "Read-only file system" in rig.message(read_only), within_s=SOON_S)
        eventually(lambda: "Not a directory" in rig.message(in_the_way), within_s=SOON_S)
        assert rig.record(read_only).state is TorrentState.ERROR
        assert rig.record(in_the_way).state is TorrentState.ERROR
        _wait_rounds(rig, 3)
        failed, _ = rig.news()
        named = Counter(e.info_hash for e in failed if e.code is FaultCode.UNWRITABLE)
        assert named == {read_only: 1, in_the_way: 1}, failed

        _remount(disk)
        blocked.unlink()
        rig.wait_complete(read_only, in_the_way, within_s=SOON_S)
        rig.wait_fault(None, read_only, in_the_way)
        assert payload.is_whole_in(disk)
        assert other.is_whole_in(blocked)


SCENARIOS: dict[str, Callable[[Path], None]] = {
    scenario.__name__: scenario
    for scenario in (
        disk_full,
        files_deleted_under_a_seed,
        files_deleted_for_good,
        unmounted_while_running,
        unmounted_at_the_start,
        unwritable,
    )
}


class _running:  # noqa: N801 reads as a verb where it is used
    """A rig for a block; its own tidy end is part of the test."""

    def __init__(self, base: Path) -> None:
        self._rig = Rig(
            root=base / "out",
            open_engine=CountingEngine,
            files=CountingPayload(),
            storage_period_s=0.5,
        )

    def __enter__(self) -> Rig:
        self._rig.start()
        return self._rig

    def __exit__(self, *_: object) -> None:
        self._rig.stop()


def _many(base: Path) -> tuple[list[Payload], Payload]:
    many = [
        make_payload(base / "seed", f"show-{number}", {"a.bin": 60_000, "b.bin": 20_000 + number})
        for number in range(MANY)
    ]
    return many, make_payload(base / "seed", "slow", {"long.bin": 4_000_000})


def _disk(base: Path) -> tuple[Path, Path]:
    """A disk, and the place where it is mounted: so that it can come back with what was on it."""
    store, disk = _directory(base / "store"), _directory(base / "out" / "disk")
    _mount("tmpfs", store, "size=64m")
    _bind(store, disk)
    return store, disk


def _directory(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def _mount(kind: str, place: Path, options: str) -> None:
    subprocess.run(["mount", "-t", kind, "-o", options, kind, str(place)], check=True)


def _remount(place: Path, options: str = "") -> None:
    """Make a disk writable and change its options, by the system's own call.

    `mount` gives the options that it finds, too, and in a user namespace the kernel refuses what it
    shows itself: the owner's number outside of the namespace.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    where, what = os.fsencode(place), options.encode()
    if libc.mount(b"tmpfs", where, b"tmpfs", ctypes.c_ulong(MS_REMOUNT), what):
        raise OSError(ctypes.get_errno(), f"cannot remount {place}")


def _bind(disk: Path, place: Path) -> None:
    subprocess.run(["mount", "--bind", str(disk), str(place)], check=True)


def _unmount(place: Path) -> None:
    """Lazily: open files go on to work, as they do on a disk whose mount point is lost."""
    subprocess.run(["umount", "-l", str(place)], check=True)


def _names(directory: Path) -> list[str]:
    return sorted(str(each.relative_to(directory)) for each in directory.rglob("*"))


def _wait_rounds(rig: Rig, rounds: int) -> None:
    """Wait until the probe has looked at everything so many times from now."""
    first = _rounds(rig)
    eventually(lambda: _rounds(rig) >= first + rounds + 1, within_s=SOON_S)


def _rounds(rig: Rig) -> int:
    return min(cast("CountingPayload", rig.files).looks.values(), default=0)


def _expect_no_check(rig: Rig) -> None:
    assert not rig.checks.asked, rig.checks
    assert not rig.checks.reported, rig.checks
    assert not rig.checks.ended, rig.checks
    assert not rig.checks.rejected, rig.checks


if __name__ == "__main__":
    SCENARIOS[sys.argv[1]](Path(sys.argv[2]))
