"""Does what could not be written go on when it can, without a word from anybody?"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from actors.testing import ManualClock
from revaer.adapters.memory.engine import MemoryEngine
from revaer.domain import facts as f
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.reducer import apply
from revaer.domain.torrent import Fault, FaultCode, TorrentRecord, TorrentSpec
from revaer.ports.engine import EngineSettings, EngineTorrent
from revaer.runtime.board_table import BoardTable, RowChange
from revaer.runtime.roster import Roster
from revaer.runtime.storage_retries import CONFIRM_S, LONGEST_DELAY_S, REFUSING_S, StorageRetries
from tests.support.swarm import Payload, make_payload

if TYPE_CHECKING:
    from revaer.runtime.session_parts import SessionParts

FULL = Fault(FaultCode.DISK_FULL, "film: No space left on device")


class Stand:
    """The parts that retries need, a clock moved by hand, and one torrent."""

    def __init__(self, payload: Payload) -> None:
        self.engine = MemoryEngine(EngineSettings(listen=("lo:6881",)))
        self.board = BoardTable()
        self.roster = Roster()
        self.clock = ManualClock()
        self.retries = StorageRetries(cast("SessionParts", self))
        self.info_hash = InfoHash(payload.info_hash)
        spec = TorrentSpec(
            info_hash=self.info_hash,
            infohash_v1=payload.infohash_v1,
            name="film",
            save_path="/data",
            added_at=EpochSeconds(1),
        )
        self.roster.put(spec)
        metainfo = self.engine.add(EngineTorrent(spec=spec, metainfo_data=payload.torrent))
        self.tell(f.TorrentKnown(self.info_hash, spec, metainfo, f.Origin.ADDED))

    def tell(self, *facts: f.TorrentFact) -> None:
        applied = apply(self.board.get(self.info_hash), facts)
        self.board.commit([RowChange(self.info_hash, applied.record, applied.mask)])

    def fresh(self, info_hash: InfoHash) -> f.StatusReported:
        return f.StatusReported(info_hash, self.engine.status(info_hash))

    def tries(self) -> int:
        return [*self.engine.calls].count(("retry_storage", self.info_hash))

    @property
    def record(self) -> TorrentRecord:
        record = self.board.get(self.info_hash)
        assert record is not None
        return record


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(make_payload(tmp_path / "seed", "film", 1_000))
    yield stand
    stand.engine.close()


def test_what_writes_nothing_for_a_reason_that_nobody_heard_is_tried_again(stand: Stand) -> None:
    stand.engine.fail(stand.info_hash, FULL)
    stand.retries.refuse([stand.info_hash])
    early = stand.tries()
    stand.clock.advance(REFUSING_S)
    stand.retries.refuse([stand.info_hash])
    stand.retries.refuse([stand.info_hash])
    tries = stand.tries()
    stand.engine.fail(stand.info_hash, FULL)
    stand.clock.advance(LONGEST_DELAY_S)
    stand.retries.refuse([stand.info_hash])

    assert (early, tries, stand.tries()) == (0, 1, 2)


def test_what_has_a_cause_is_left_to_it(stand: Stand) -> None:
    stand.engine.fail(stand.info_hash, FULL)
    stand.retries.failed(f.FaultRaised(stand.info_hash, FULL))
    for _ in range(3):
        stand.clock.advance(REFUSING_S)
        stand.retries.refuse([stand.info_hash])

    assert stand.tries() == 0


def test_a_retry_that_worked_is_seen_though_the_board_has_an_old_report(stand: Stand) -> None:
    stand.engine.fail(stand.info_hash, FULL)
    stand.tell(stand.fresh(stand.info_hash))
    stand.tell(*stand.retries.failed(f.FaultRaised(stand.info_hash, FULL)))
    stand.engine.heal(stand.info_hash)
    is_shown = stand.retries.cleared(stand.info_hash)
    stand.clock.advance(CONFIRM_S)
    stand.tell(*stand.retries.tick())

    assert not is_shown
    assert stand.record.fault is None
    assert not stand.record.status.in_upload_mode
