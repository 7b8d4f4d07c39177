"""Is a start held up no longer than it has to be by disks that do not answer?"""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from revaer.adapters.memory.payload import MemoryPayload
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.storage import PlaceSeen
from revaer.domain.torrent import FaultCode, FileEntry, TorrentSpec
from revaer.runtime.holds import Hold
from revaer.runtime.start_look import StartLook

FILES = (FileEntry(0, "film", 100),)
SPEC = TorrentSpec(
    info_hash=InfoHash("a" * 40),
    name="film",
    save_path="/disk",
    added_at=EpochSeconds(1),
    completed_at=EpochSeconds(2),
)
PATIENCE_S = 0.4
DEAD_PLACES = 30


class DeadDisk(MemoryPayload):
    """Places below `/dead` answer nothing until the end."""

    def __init__(self) -> None:
        super().__init__()
        self.end = threading.Event()

    def place(self, save_path: str) -> PlaceSeen:
        if save_path.startswith("/dead"):
            self.end.wait()
        return super().place(save_path)


@pytest.fixture
def disk() -> Iterator[DeadDisk]:
    disk = DeadDisk()
    disk.write("/disk", "film", 100)
    yield disk
    disk.end.set()


def look_at(look: StartLook, save_path: str) -> Hold | None:
    spec = replace(SPEC, save_path=save_path)
    return look.hold_for(spec, FILES, has_blob=True, recheck=False)


def test_many_dead_places_cost_little_more_than_one(disk: DeadDisk) -> None:
    look = StartLook(disk, time.monotonic, patience_s=PATIENCE_S)
    began = time.monotonic()
    holds = [look_at(look, f"/dead/{number}") for number in range(DEAD_PLACES)]
    took_s = time.monotonic() - began
    well = look_at(look, "/disk")
    look.end()

    assert took_s < DEAD_PLACES * PATIENCE_S / 2
    assert {hold.fault.code for hold in holds if hold is not None} == {FaultCode.STORAGE_ABSENT}
    assert None not in holds
    assert well is None


def test_a_place_that_did_not_answer_is_asked_once(disk: DeadDisk) -> None:
    look = StartLook(disk, time.monotonic, patience_s=PATIENCE_S)
    first = look_at(look, "/dead/0")
    disk.end.set()
    second = look_at(look, "/dead/0")
    look.end()

    assert first is not None
    assert second is not None
    assert "does not answer" in second.fault.message


def test_links_are_followed_once_and_no_dead_disk_is_waited_for(disk: DeadDisk) -> None:
    """The session judges each save path before it looks at it: that must not hang either."""
    followed: list[str] = []

    def follow(path: str) -> str:
        followed.append(path)
        if path.startswith("/dead"):
            disk.end.wait()
        return f"/real{path}"

    look = StartLook(disk, time.monotonic, patience_s=PATIENCE_S, realpath=follow)
    found = [look.realpath(path) for path in ("/disk", "/dead", "/disk", "/dead")]
    hold = look_at(look, "/dead")
    look.end()

    assert found == ["/real/disk", "/dead", "/real/disk", "/dead"]
    assert followed == ["/disk", "/dead"]
    assert hold is not None
    assert "does not answer" in hold.fault.message
