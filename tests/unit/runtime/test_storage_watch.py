"""What becomes of torrents whose storage fails? The whole tree over the memory engine and disk."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self, cast

import pytest

from actors.testing import eventually
from revaer.adapters.memory.engine import MemoryEngine
from revaer.adapters.memory.payload import MemoryPayload
from revaer.domain import commands as cmd
from revaer.domain.events import Event, HealthChanged, PublishedEvent, TorrentFailed
from revaer.domain.ids import InfoHash
from revaer.domain.storage import PlaceKind, PlaceSeen
from revaer.domain.torrent import (
    Fault,
    FaultCode,
    FileEntry,
    MagnetSource,
    MetainfoSource,
    TorrentState,
)
from revaer.ports.engine import EngineSettings
from revaer.runtime.storage_watch import SLOW_AFTER_S
from tests.support.rig import EngineRig
from tests.support.swarm import Payload, make_payload

SOON_S = 30.0
MIB = 1 << 20
FULL = Fault(FaultCode.DISK_FULL, "show/film.mkv: No space left on device")
MISSING = Fault(FaultCode.MISSING_FILES, "show/film.mkv: No such file or directory")
READ_ONLY = Fault(FaultCode.UNWRITABLE, "show/film.mkv: Read-only file system")


class CountedDisk(MemoryPayload):
    """The double, with its looks counted."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def place(self, save_path: str) -> PlaceSeen:
        seen = super().place(save_path)
        self.looks += 1
        return seen


class Rig(EngineRig):
    """The tree, with the simulation's controls at hand."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.heard = self.feed.subscribe(("torrent.error", "health.changed"))
        self.told: list[Event] = []
        return self

    @property
    def engine(self) -> MemoryEngine:
        return cast("MemoryEngine", self.holder.current())

    @property
    def disk(self) -> MemoryPayload:
        return cast("MemoryPayload", self.files)

    @property
    def place(self) -> str:
        return str(self.root)

    def add(self, payload: Payload) -> InfoHash:
        command = cmd.AddTorrent(source=MetainfoSource(payload.torrent))
        return self.gateway.execute(command, timeout_s=SOON_S).info_hash

    def complete(self, payload: Payload) -> InfoHash:
        info_hash = self.add(payload)
        self.engine.finish(info_hash)
        self.wait_complete(info_hash, within_s=SOON_S)
        return info_hash

    def code(self, info_hash: InfoHash) -> FaultCode | None:
        fault = self.record(info_hash).fault
        return None if fault is None else fault.code

    def wait_fault(self, code: FaultCode | None, *torrents: InfoHash) -> None:
        eventually(lambda: all(self.code(one) is code for one in torrents), within_s=SOON_S)

    def message(self, info_hash: InfoHash) -> str:
        fault = self.record(info_hash).fault
        return "" if fault is None else fault.message

    def count(self, call: str, info_hash: InfoHash) -> int:
        return [*self.engine.calls].count((call, info_hash))


def engine_on(disk: MemoryPayload, check_s: float) -> type[MemoryEngine]:
    class Engine(MemoryEngine):
        def __init__(self, settings: EngineSettings) -> None:
            super().__init__(settings, on_disk=disk, check_s=check_s)

    return Engine


def rig_on(disk: MemoryPayload, root: Path, check_s: float = 0.0) -> Rig:
    opened = engine_on(disk, check_s)
    return Rig(root=root, open_engine=opened, files=disk, storage_period_s=0.5)


@pytest.fixture
def disk() -> MemoryPayload:
    return CountedDisk()


@pytest.fixture
def rig(disk: MemoryPayload, tmp_path: Path) -> Iterator[Rig]:
    with rig_on(disk, tmp_path / "out") as running:
        disk.mount(running.place)
        yield running


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "show", {"film.mkv": 100_000, "sub/c.srt": 700})


@pytest.fixture
def other(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "other", {"b.mkv": 50_000})


def faults(rig: Rig) -> list[str]:
    """The faults that were announced since the start."""
    return [event.code for event in announced(rig) if isinstance(event, TorrentFailed)]


def health(rig: Rig) -> list[tuple[str, str]]:
    """Status and cause of the storage, each time that they changed."""
    return [
        (event.status, event.cause)
        for event in announced(rig)
        if isinstance(event, HealthChanged) and event.component == "storage"
    ]


def announced(rig: Rig) -> list[Event]:
    while (delivery := rig.heard.next(0.2)) is not None:
        assert isinstance(delivery, PublishedEvent)
        rig.told.append(delivery.event)
    return rig.told


def wait_for_a_look(rig: Rig) -> None:
    """Wait until a round of looks that began after this was asked has had its effect."""
    disk = cast("CountedDisk", rig.files)
    first = disk.looks
    eventually(lambda: disk.looks >= first + 3, within_s=SOON_S)


def test_a_complete_torrent_whose_disk_goes_away_waits_and_goes_on_unchecked(
    rig: Rig, payload: Payload, other: Payload
) -> None:
    seed = rig.complete(payload)
    growing = rig.add(other)
    rig.engine.progress(growing, 0.5)
    rig.engine.flush(growing)
    eventually(lambda: rig.record(growing).status.done_bytes > 0, within_s=SOON_S)
    wait_for_a_look(rig)

    rig.disk.unmount(rig.place)
    rig.wait_fault(FaultCode.STORAGE_ABSENT, seed, growing)
    states = {rig.record(one).state for one in (seed, growing)}
    lying = rig.disk.names(rig.place)
    rig.disk.mount(rig.place)
    rig.wait_fault(None, seed, growing)
    eventually(lambda: rig.record(seed).state is TorrentState.SEEDING, within_s=SOON_S)

    assert states == {TorrentState.ERROR}
    assert lying == ()
    assert rig.count("recheck", seed) == rig.count("recheck", growing) == 0
    assert not rig.record(growing).status.is_paused


def test_a_disk_that_goes_away_during_a_check_is_waited_for_and_checked_anew(
    disk: MemoryPayload, tmp_path: Path, payload: Payload
) -> None:
    """A check that found nothing would have everything downloaded into the mount point."""
    with rig_on(disk, tmp_path / "out", check_s=10_000.0) as rig:
        disk.mount(rig.place)
        seed = rig.complete(payload)
        wait_for_a_look(rig)
        rig.gateway.execute(cmd.RecheckTorrent(seed), timeout_s=SOON_S)
        eventually(lambda: rig.record(seed).state is TorrentState.CHECKING, within_s=SOON_S)
        wait_for_a_look(rig)

        disk.unmount(rig.place)
        rig.wait_fault(FaultCode.STORAGE_ABSENT, seed)
        is_paused_while_away = rig.engine.status(seed).is_paused
        disk.mount(rig.place)
        rig.wait_fault(None, seed)

        assert is_paused_while_away
        assert rig.count("recheck", seed) == 2


def test_a_torrent_that_has_nothing_yet_is_not_held_in_an_empty_directory(
    rig: Rig, payload: Payload, other: Payload
) -> None:
    """A user who deletes a finished payload may go on to use the directory."""
    seed = rig.complete(payload)
    wait_for_a_look(rig)
    for path in payload.files:
        rig.disk.delete(rig.place, path)
    rig.wait_fault(FaultCode.STORAGE_ABSENT, seed)

    new = rig.complete(other)

    assert rig.code(new) is None
    rig.wait_fault(FaultCode.MISSING_FILES, seed)  # now the directory is in use, and lacks files


def test_a_file_that_vanishes_from_a_seed_is_missed_and_checked_once_when_it_is_back(
    rig: Rig, payload: Payload, other: Payload
) -> None:
    seed, untouched = rig.complete(payload), rig.complete(other)

    rig.disk.delete(rig.place, "show/film.mkv")
    rig.wait_fault(FaultCode.MISSING_FILES, seed)
    is_paused_while_missing = rig.engine.status(seed).is_paused
    message = rig.message(seed)
    rig.disk.write(rig.place, "show/film.mkv", 99_999)  # not in full: still being copied
    wait_for_a_look(rig)
    early = rig.count("recheck", seed)
    rig.disk.write(rig.place, "show/film.mkv", 100_000)
    rig.wait_complete(seed, within_s=SOON_S)
    rig.wait_fault(None, seed)
    wait_for_a_look(rig)

    assert is_paused_while_missing
    assert "show/film.mkv" in message
    assert early == 0
    assert rig.count("recheck", seed) == 1
    assert rig.count("recheck", untouched) == 0
    assert rig.record(seed).state is TorrentState.SEEDING


@pytest.mark.parametrize("is_forced", [True, False], ids=["force started", "queued again"])
def test_a_torrent_whose_storage_is_away_never_runs_whatever_its_place_in_the_queue(
    rig: Rig,
    payload: Payload,
    is_forced: bool,  # noqa: FBT001 -- a parameter of pytest's
) -> None:
    seed = rig.complete(payload)
    wait_for_a_look(rig)
    rig.disk.unmount(rig.place)
    rig.wait_fault(FaultCode.STORAGE_ABSENT, seed)

    rig.gateway.execute(cmd.SetForceStart(seed, is_forced), timeout_s=SOON_S)

    assert rig.engine.status(seed).is_paused
    assert rig.code(seed) is FaultCode.STORAGE_ABSENT


def test_a_resume_does_not_end_a_hold_and_a_recheck_does(rig: Rig, payload: Payload) -> None:
    seed = rig.complete(payload)
    rig.disk.delete(rig.place, "show/film.mkv")
    rig.wait_fault(FaultCode.MISSING_FILES, seed)

    rig.gateway.execute(cmd.ResumeTorrent(seed), timeout_s=SOON_S)
    after_resume = rig.code(seed), rig.engine.status(seed).is_paused
    rig.gateway.execute(cmd.RecheckTorrent(seed), timeout_s=SOON_S)
    eventually(lambda: not rig.record(seed).status.is_finished, within_s=SOON_S)
    rig.engine.finish(seed)
    rig.wait_complete(seed, within_s=SOON_S)

    assert after_resume == (FaultCode.MISSING_FILES, True)
    assert rig.code(seed) is None


def test_a_full_disk_is_told_once_and_tried_again_when_there_is_room(
    rig: Rig, payload: Payload
) -> None:
    info_hash = rig.add(payload)
    magnet = rig.gateway.execute(
        cmd.AddTorrent(source=MagnetSource(f"magnet:?xt=urn:btih:{'ab' * 20}")), timeout_s=SOON_S
    ).info_hash
    rig.disk.fill(free_bytes=0)
    rig.engine.fail(info_hash, FULL)
    rig.wait_fault(FaultCode.DISK_FULL, info_hash)
    eventually(lambda: "0 B free" in rig.message(info_hash), within_s=SOON_S)
    wait_for_a_look(rig)
    tries_while_full = rig.count("retry_storage", info_hash)

    rig.disk.fill(free_bytes=5 * MIB)
    rig.wait_fault(None, info_hash)
    eventually(lambda: len(health(rig)) == 2, within_s=SOON_S)

    assert tries_while_full == 0
    assert rig.code(magnet) is None
    assert faults(rig) == [FaultCode.DISK_FULL]
    assert health(rig) == [("degraded", f"the disk of {rig.place} is full"), ("ok", "")]


def test_a_disk_that_is_full_again_at_once_is_not_told_again(rig: Rig, payload: Payload) -> None:
    """A quota does not show in the free space: every try fails."""
    info_hash = rig.add(payload)
    rig.engine.fail(info_hash, FULL)
    rig.wait_fault(FaultCode.DISK_FULL, info_hash)

    eventually(lambda: rig.count("retry_storage", info_hash) == 1, within_s=SOON_S)
    rig.engine.fail(info_hash, FULL)
    wait_for_a_look(rig)
    wait_for_a_look(rig)

    assert rig.code(info_hash) is FaultCode.DISK_FULL
    assert faults(rig) == [FaultCode.DISK_FULL]
    assert rig.count("retry_storage", info_hash) == 1  # the next waits longer


def test_what_cannot_be_written_is_tried_again_when_nothing_is_in_the_way(
    rig: Rig, payload: Payload
) -> None:
    info_hash = rig.add(payload)
    rig.disk.block(rig.place, f"{rig.place}: Read-only file system")
    rig.engine.fail(info_hash, READ_ONLY)
    rig.wait_fault(FaultCode.UNWRITABLE, info_hash)
    wait_for_a_look(rig)
    tries_while_blocked = rig.count("retry_storage", info_hash)

    rig.disk.block(rig.place, "")
    rig.wait_fault(None, info_hash)

    assert tries_while_blocked == 0
    assert rig.count("retry_storage", info_hash) == 1


def test_files_that_never_were_are_not_missing_but_cannot_be_made(
    rig: Rig, payload: Payload
) -> None:
    """What could not be written is wanted back for its hash, and there is no file."""
    info_hash = rig.add(payload)
    rig.disk.block(rig.place, f"{rig.place}: Read-only file system")
    rig.engine.fail(info_hash, MISSING)
    rig.wait_fault(FaultCode.UNWRITABLE, info_hash)
    eventually(lambda: "Read-only file system" in rig.message(info_hash), within_s=SOON_S)

    rig.disk.block(rig.place, "")
    rig.wait_fault(None, info_hash)

    assert faults(rig) == [FaultCode.UNWRITABLE]
    assert rig.count("retry_storage", info_hash) == 1


def test_a_torrent_removed_while_it_waits_leaves_the_storage_well(
    rig: Rig, payload: Payload
) -> None:
    seed = rig.complete(payload)
    wait_for_a_look(rig)
    rig.disk.unmount(rig.place)
    rig.wait_fault(FaultCode.STORAGE_ABSENT, seed)

    rig.gateway.execute(cmd.RemoveTorrent(seed), timeout_s=SOON_S)
    eventually(lambda: len(health(rig)) >= 2, within_s=SOON_S)

    assert [status for status, _ in health(rig)] == ["degraded", "ok"]


@pytest.mark.parametrize(
    "seen",
    [
        PlaceSeen(path="", kind=PlaceKind.ABSENT, problem="does not exist"),
        PlaceSeen(path="", is_empty=True, device=1),
    ],
    ids=["missing", "an empty mount point"],
)
def test_a_disk_that_is_away_at_the_start_costs_nothing_of_what_was_there(
    disk: MemoryPayload, tmp_path: Path, payload: Payload, other: Payload, seen: PlaceSeen
) -> None:
    with rig_on(disk, tmp_path / "out") as rig:
        disk.mount(rig.place)
        seed, growing = rig.complete(payload), rig.add(other)
        rig.engine.progress(growing, 0.5)
        eventually(lambda: rig.record(growing).status.done_bytes == 25_000, within_s=SOON_S)
    disk.unmount(rig.place)
    disk.show(replace(seen, path=rig.place))
    with rig_on(disk, tmp_path / "out") as rig:
        rig.wait_fault(FaultCode.STORAGE_ABSENT, seed, growing)
        lying = disk.names(rig.place)
        disk.mount(rig.place)
        disk.show(PlaceSeen(path=rig.place, device=2, free_bytes=MIB))
        rig.wait_fault(None, seed, growing)
        rig.wait_complete(seed, within_s=SOON_S)

        assert lying == ()
        assert rig.record(growing).status.done_bytes == 25_000
        assert rig.count("recheck", seed) == rig.count("recheck", growing) == 0


def test_a_new_torrent_whose_directory_is_not_made_yet_runs_after_a_restart(
    disk: MemoryPayload, tmp_path: Path, payload: Payload
) -> None:
    with rig_on(disk, tmp_path / "out") as rig:
        info_hash = rig.add(payload)
    disk.show(PlaceSeen(path=rig.place, kind=PlaceKind.ABSENT, problem="does not exist"))
    with rig_on(disk, tmp_path / "out") as rig:
        eventually(lambda: rig.record(info_hash).state is TorrentState.STALLED, within_s=SOON_S)
        wait_for_a_look(rig)
        assert not faults(rig)
        assert not health(rig)


def test_a_file_that_is_missing_at_the_start_is_not_downloaded_by_itself(
    disk: MemoryPayload, tmp_path: Path, payload: Payload
) -> None:
    with rig_on(disk, tmp_path / "out") as rig:
        disk.mount(rig.place)
        seed = rig.complete(payload)
    disk.delete(rig.place, "show/film.mkv")
    with rig_on(disk, tmp_path / "out") as rig:
        rig.wait_fault(FaultCode.MISSING_FILES, seed)
        while_missing = rig.engine.status(seed)
        disk.write(rig.place, "show/film.mkv", 100_000)
        rig.wait_complete(seed, within_s=SOON_S)

    assert while_missing.is_paused
    assert while_missing.is_finished


class HungDisk(CountedDisk):
    """A disk that answers nothing while it hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = threading.Event()
        self.answers.set()

    def place(self, save_path: str) -> PlaceSeen:
        self.answers.wait(SOON_S)
        return super().place(save_path)

    def missing(self, save_path: str, files: Sequence[FileEntry]) -> tuple[str, ...]:
        self.answers.wait(SOON_S)
        return super().missing(save_path, files)


def test_a_disk_that_hangs_does_not_hold_the_session_up_when_a_torrent_on_it_is_finished(
    tmp_path: Path, payload: Payload
) -> None:
    disk = HungDisk()
    with rig_on(disk, tmp_path / "out") as rig:
        disk.mount(rig.place)
        growing = rig.add(payload)
        wait_for_a_look(rig)
        disk.answers.clear()
        try:
            hung_at = time.monotonic()
            eventually(lambda: time.monotonic() - hung_at > 3 * SLOW_AFTER_S, within_s=SOON_S)
            rig.engine.finish(growing)
            eventually(lambda: rig.record(growing).status.is_finished, within_s=SOON_S)
            asked_at = time.monotonic()
            for _ in range(3):
                rig.gateway.execute(cmd.PauseTorrent(growing), timeout_s=SOON_S)
            took_s = time.monotonic() - asked_at
            is_told = rig.record(growing).is_verified
        finally:
            disk.answers.set()

    assert took_s < SOON_S / 3
    assert not is_told


def test_a_disk_that_hangs_stops_neither_the_session_nor_its_start(
    tmp_path: Path, payload: Payload, other: Payload
) -> None:
    disk = HungDisk()
    with rig_on(disk, tmp_path / "out") as rig:
        disk.mount(rig.place)
        seed = rig.complete(payload)
        disk.answers.clear()
        try:
            eventually(lambda: rig.add(other) is not None, within_s=SOON_S)
        finally:
            disk.answers.set()
    disk.answers.clear()
    try:
        with rig_on(disk, tmp_path / "out") as rig:
            rig.wait_fault(FaultCode.STORAGE_ABSENT, seed)
            assert "does not answer" in rig.message(seed)
            disk.answers.set()
            rig.wait_complete(seed, within_s=SOON_S)
            assert rig.code(seed) is None
    finally:
        disk.answers.set()
