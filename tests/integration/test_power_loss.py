"""What is believed of payload bytes after a kill, and what after a power loss?

libtorrent does not see that bytes of an incomplete torrent changed, or that its file was cut short:
after a power loss, which may have taken them, incomplete torrents are checked.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from actors.testing import eventually
from revaer.adapters.filesystem import FilesystemResumeStore
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.commands import AddTorrent
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import Activity, MetainfoSource
from tests.support.rig import EngineRig
from tests.support.swarm import Payload, make_payload

PIECE = 16_384
PIECES = 12
SOON_S = 30.0

_CHECKING = frozenset({Activity.CHECKING, Activity.CHECKING_RESUME})


class Machine:
    """A complete torrent and one of which half is there, on a machine that can lose its power."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "out"
        self.whole = make_payload(tmp_path / "seed", "whole.bin", PIECE * PIECES)
        self.half = make_payload(tmp_path / "seed", "half.bin", PIECE * PIECES)
        self._place(self.whole, PIECES)
        self._place(self.half, PIECES // 2)
        with self.rig("the first boot") as rig:
            for payload in (self.whole, self.half):
                source = MetainfoSource(payload.torrent)
                rig.gateway.execute(AddTorrent(source=source), timeout_s=SOON_S)
            rig.wait_complete(InfoHash(self.whole.info_hash))
            eventually(
                lambda: self.pieces(rig, self.half) == PIECES // 2 and self.stands(rig),
                within_s=SOON_S,
            )

    def _place(self, payload: Payload, pieces: int) -> None:
        self.root.mkdir(exist_ok=True)
        content = payload.files[payload.name]
        kept = pieces * PIECE
        self.path(payload).write_bytes(content[:kept] + bytes(len(content) - kept))

    def path(self, payload: Payload) -> Path:
        return self.root / payload.name

    def rig(self, boot_id: str) -> EngineRig:
        return EngineRig(root=self.root, open_engine=LibtorrentEngine, boot_id=boot_id)

    def die(self, boot_id: str) -> None:
        """Open the store and never close it cleanly, as a process that is killed does."""
        FilesystemResumeStore(
            self.root / ".revaer" / "resume", boot_id=boot_id, default_save_path="/"
        ).close(clean=False)

    @staticmethod
    def pieces(rig: EngineRig, payload: Payload) -> int:
        return rig.record(payload.info_hash).status.pieces_have

    def stands(self, rig: EngineRig) -> bool:
        """Whether no torrent is being checked any more."""
        return all(
            record.status.sequence > 0 and record.status.activity not in _CHECKING
            for record in rig.board.records()
        )

    def found(self, boot_id: str) -> tuple[int, int]:
        """Start, and say how many pieces of the whole and of the half torrent are believed."""
        with self.rig(boot_id) as rig:
            eventually(lambda: self.stands(rig), within_s=SOON_S)
            return self.pieces(rig, self.whole), self.pieces(rig, self.half)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[PIECE + 5] ^= 1
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(PIECE * 2)


@pytest.mark.parametrize(
    ("harm", "left"), [(spoil, PIECES // 2 - 1), (cut, 2)], ids=["bytes changed", "cut short"]
)
def test_an_incomplete_torrent_is_checked_after_a_power_loss(
    machine: Machine, harm: Callable[[Path], None], left: int
) -> None:
    machine.die("the first boot")
    harm(machine.path(machine.half))
    assert machine.found("the second boot") == (PIECES, left)


def test_a_complete_torrent_is_believed_after_a_power_loss(machine: Machine) -> None:
    """Its bytes were flushed before it was called complete."""
    machine.die("the first boot")
    spoil(machine.path(machine.whole))
    assert machine.found("the second boot") == (PIECES, PIECES // 2)


@pytest.mark.parametrize("boot_id", ["the first boot", "the second boot"])
def test_nothing_is_checked_after_a_clean_end(machine: Machine, boot_id: str) -> None:
    spoil(machine.path(machine.half))
    assert machine.found(boot_id) == (PIECES, PIECES // 2)


def test_nothing_is_checked_after_a_kill_in_the_same_boot(machine: Machine) -> None:
    machine.die("the first boot")
    spoil(machine.path(machine.half))
    assert machine.found("the first boot") == (PIECES, PIECES // 2)


def test_a_start_that_was_killed_leaves_the_doubt_to_the_next_one(machine: Machine) -> None:
    machine.die("the first boot")
    spoil(machine.path(machine.half))
    machine.die("the second boot")
    assert machine.found("the second boot") == (PIECES, PIECES // 2 - 1)
