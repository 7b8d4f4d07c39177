"""What does a real engine make of a store whose files were damaged in many ways at once?

Each payload was changed on the disk after its check, without changing its size. libtorrent does not
see that unless it hashes the files: a torrent that still counts as whole was not checked again.
"""

import random
from pathlib import Path

import pytest

from actors.testing import eventually
from revaer.adapters.filesystem import FilesystemResumeStore
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain import commands as cmd
from revaer.domain.events import PublishedEvent, SelectionReconciled
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import Activity, MagnetSource, MetainfoSource, TorrentRecord
from tests.support.rig import EngineRig
from tests.support.soak import scaled
from tests.support.store_damage import CURRENT, damage_some, restore_from
from tests.support.swarm import Payload, make_payload

COMPLETE = 12
HALF = 5
MAGNETS = 3
SIZE = 100_000
DAMAGES = scaled(60, 1_000)
PER_ROUND = 12
SOON_S = 30.0

_CHECKING = frozenset({Activity.CHECKING, Activity.CHECKING_RESUME})


class Library:
    """Twenty torrents, their payloads, and a store that was closed cleanly."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "root"
        self.resume = self.root / ".revaer" / "resume"
        self.template = tmp_path / "template"
        names = [f"show{number:02}" for number in range(COMPLETE + HALF + MAGNETS)]
        self.payloads = [
            make_payload(tmp_path / "seed", name, {"a.bin": SIZE, "b.bin": 999}) for name in names
        ]
        self.torrents = {payload.info_hash for payload in self.payloads}
        self.complete = {payload.info_hash for payload in self.payloads[:COMPLETE]}
        self._fill()
        for payload in self.payloads[: COMPLETE + HALF]:
            self._lie(self.root / payload.name / "a.bin")
        self.resume.rename(self.template)

    def _fill(self) -> None:
        for payload in self.payloads[: COMPLETE + HALF]:
            for path, content in payload.files.items():
                target = self.root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                is_half = payload.info_hash not in self.complete and len(content) == SIZE
                target.write_bytes(content[: SIZE // 2] + bytes(SIZE // 2) if is_half else content)
        with EngineRig(root=self.root, open_engine=LibtorrentEngine) as rig:
            for number, payload in enumerate(self.payloads):
                self._add(rig, number, payload)
            rig.wait_complete(*(InfoHash(one) for one in self.complete))
            eventually(lambda: settled(rig, self.torrents), within_s=SOON_S)
            for payload in self.payloads[3:COMPLETE:4]:
                rig.gateway.execute(cmd.PauseTorrent(InfoHash(payload.info_hash)), timeout_s=SOON_S)
            for info_hash in sorted(self.torrents):  # the second generation of each file
                rig.resume_store.sync()
                rig.gateway.execute(
                    cmd.SetTorrentLimits(InfoHash(info_hash), BytesPerSecond(0), BytesPerSecond(1)),
                    timeout_s=SOON_S,
                )
            eventually(
                lambda: len(list(self.resume.glob("*.fastresume.1"))) == len(self.torrents),
                within_s=SOON_S,
            )

    def _add(self, rig: EngineRig, number: int, payload: Payload) -> None:
        is_magnet = number >= COMPLETE + HALF
        rig.gateway.execute(
            cmd.AddTorrent(
                source=MagnetSource(payload.magnet)
                if is_magnet
                else MetainfoSource(payload.torrent),
                category=f"c{number}",
            ),
            timeout_s=SOON_S,
        )

    @staticmethod
    def _lie(path: Path) -> None:
        """Change bytes that were found right, and nothing that a look at the file would show."""
        content = bytearray(path.read_bytes())
        content[10] ^= 1
        path.write_bytes(bytes(content))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return Library(tmp_path_factory.mktemp("library"))


def settled(rig: EngineRig, torrents: set[str]) -> bool:
    records = [rig.board.get(InfoHash(one)) for one in torrents]
    return all(
        record is not None
        and (record.status.activity not in _CHECKING or record.status.is_paused)
        and record.status.sequence > 0
        for record in records
    )


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_damaged_stores_cost_no_torrent_and_no_check_of_the_others(library: Library) -> None:
    chance = random.Random(20)
    damaged = 0
    number = 0
    while damaged < DAMAGES:
        number += 1
        restore_from(library.template, library.resume)
        names = damage_some(library.resume, library.torrents, PER_ROUND, chance)
        damaged += len(names)
        told, records = run_once(library)
        context = (number, sorted(names))
        assert records.keys() == library.torrents, context
        noticed = {name[:40] for name in names if name[40:] in CURRENT}
        assert noticed <= told.keys(), (context, noticed - told.keys())
        assert told.keys() <= {name[:40] for name in names}, context
        unharmed = library.torrents - {name[:40] for name in names}
        for info_hash in unharmed:
            record = records[info_hash]
            assert record.spec.category.startswith("c"), context
            assert record.spec.upload_limit == 1, context
            assert record.fault is None, (context, record.fault)
        for info_hash in library.complete - {
            name[:40] for name in names if "fastresume" in name or ".json" in name
        }:
            assert records[info_hash].status.done_bytes == SIZE + 999, (context, info_hash)
        assert found_again(library) == {}, context


def test_a_torrent_without_resume_data_costs_one_check_and_the_others_none(
    library: Library,
) -> None:
    restore_from(library.template, library.resume)
    victim = min(library.complete)
    for path in library.resume.glob(f"{victim}.fastresume*"):
        path.unlink()

    told, records = run_once(library)

    assert list(told) == [victim]
    assert "every file is checked" in told[InfoHash(victim)]
    assert records[victim].status.done_bytes < SIZE + 999  # the check found what was changed
    for info_hash in library.complete - {victim}:
        assert records[info_hash].status.done_bytes == SIZE + 999


def run_once(library: Library) -> tuple[dict[str, str], dict[str, TorrentRecord]]:
    """Start on the damaged store, wait until everything stands, and stop."""
    rig = EngineRig(root=library.root, open_engine=LibtorrentEngine)
    heard = rig.feed.subscribe(("torrent.selection_reconciled",))
    with rig:
        eventually(lambda: settled(rig, library.torrents), within_s=SOON_S)
        eventually(lambda: not list(library.resume.glob("*.new")), within_s=SOON_S)
        told: dict[str, str] = {}
        while (delivery := heard.next(0.0)) is not None:
            assert isinstance(delivery, PublishedEvent)
            assert isinstance(delivery.event, SelectionReconciled)
            told[delivery.event.info_hash] = delivery.event.reason
        records: dict[str, TorrentRecord] = {
            record.info_hash: record for record in rig.board.records()
        }
    return told, records


def found_again(library: Library) -> dict[InfoHash, tuple[str, ...]]:
    """What the next start would have to mend."""
    store = FilesystemResumeStore(
        library.resume, boot_id="any", default_save_path=str(library.root)
    )
    found = {
        stored.spec.info_hash: stored.problems
        for stored in store.load().torrents
        if stored.problems
    }
    store.close(clean=True)
    return found
