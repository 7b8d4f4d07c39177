"""What does the session make of a store, an engine and a catalog that do not agree?"""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from actors.testing import eventually
from revaer.adapters.filesystem import FilesystemResumeStore
from revaer.adapters.memory.catalog import MemoryCatalog
from revaer.adapters.memory.engine import MemoryEngine
from revaer.adapters.memory.resume_store import MemoryDisk, MemoryResumeStore
from revaer.domain import commands as cmd
from revaer.domain.errors import StoreDownError
from revaer.domain.events import HealthChanged, PublishedEvent, SelectionReconciled, TorrentRemoved
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import MagnetSource, MetainfoSource, StopReason, TorrentSpec
from revaer.ports.event_feed import Subscription
from revaer.ports.resume_store import Restored, ResumeStore
from revaer.ports.torrents import CatalogEntry
from revaer.runtime.messages import EngineReported
from tests.support.rig import EngineRig
from tests.support.swarm import Payload, make_payload

SOON_S = 20.0


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "show", {"film.mkv": 100_000, "notes.txt": 500})


class Stage:
    """One disk, over which sessions come and go."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.disk = MemoryDisk()
        self.catalog = MemoryCatalog()
        self.store: MemoryResumeStore
        self.next_is_down = ""

    def rig(self) -> EngineRig:
        return EngineRig(
            root=self.root, open_engine=MemoryEngine, store=self._opened, catalog=self.catalog
        )

    def _opened(self, unused: FilesystemResumeStore) -> ResumeStore:
        unused.close(clean=True)
        self.store = MemoryResumeStore(self.disk)
        if self.next_is_down:
            self.store.go_down(self.next_is_down)
        return self.store


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "out")


@pytest.fixture
def rig(stage: Stage) -> Iterator[EngineRig]:
    with stage.rig() as running:
        yield running


def engine_of(rig: EngineRig) -> MemoryEngine:
    return cast("MemoryEngine", rig.holder.current())


def add(rig: EngineRig, payload: Payload, **options: Any) -> InfoHash:
    return rig.gateway.execute(
        cmd.AddTorrent(source=MetainfoSource(payload.torrent), **options), timeout_s=SOON_S
    ).info_hash


def crash(rig: EngineRig) -> None:
    rig.system.address("engine.session").tell(EngineReported(cast("Any", None)))


def hear(heard: Subscription, wanted: Callable[[Any], bool]) -> Any:
    """The next event that is wanted."""
    while True:
        delivery = heard.next(SOON_S)
        assert isinstance(delivery, PublishedEvent), delivery
        if wanted(delivery.event):
            return delivery.event


def is_store(status: str) -> Callable[[Any], bool]:
    return lambda event: (
        isinstance(event, HealthChanged)
        and (event.component, event.status) == ("resume_store", status)
    )


def is_reconciled(event: Any) -> bool:
    return isinstance(event, SelectionReconciled)


CHANGES: dict[str, tuple[Callable[[MemoryEngine, InfoHash], None], str]] = {
    "priorities": (lambda e, i: e.prioritize(i, (0, 7)), "priorities"),
    "sequential": (lambda e, i: e.set_sequential(i, sequential=True), "sequential"),
    "ends first": (lambda e, i: e.set_first_last_pieces(i, enabled=True), "first_last"),
    "limits": (
        lambda e, i: e.set_limits(i, download=BytesPerSecond(9), upload=BytesPerSecond(0)),
        "limits",
    ),
    "stopped": (lambda e, i: e.pause(i), "stopped"),
    "forced": (lambda e, i: e.resume(i, forced=True), "force_start"),
}


@pytest.mark.parametrize(("change", "named"), CHANGES.values(), ids=CHANGES)
def test_an_engine_that_does_otherwise_is_mended_at_the_adoption(
    rig: EngineRig,
    payload: Payload,
    change: Callable[[MemoryEngine, InfoHash], None],
    named: str,
) -> None:
    info_hash = add(rig, payload)
    engine = engine_of(rig)
    before = engine.live(info_hash)
    assert before.is_settled
    heard = rig.feed.subscribe(("torrent.selection_reconciled",))
    change(engine, info_hash)
    assert engine.live(info_hash) != before

    crash(rig)

    event = hear(heard, is_reconciled)
    assert event.info_hash == info_hash
    assert named in event.reason
    eventually(lambda: engine.live(info_hash) == before, within_s=SOON_S)


def test_a_torrent_that_only_the_catalog_knows_is_rebuilt(stage: Stage, payload: Payload) -> None:
    with stage.rig() as rig:
        info_hash = add(rig, payload, category="tv")
        spec = rig.record(info_hash).spec
    stage.disk.rows.clear()
    stage.catalog.entries = [CatalogEntry(spec=spec, metainfo_data=payload.torrent)]

    rig = stage.rig()
    heard = rig.feed.subscribe(("torrent.selection_reconciled",))
    with rig:
        assert "rebuilt from the catalog" in hear(heard, is_reconciled).reason
        assert rig.record(info_hash).spec == spec
        assert rig.record(info_hash).metainfo is not None
        assert stage.store.known() == {info_hash}
        eventually(lambda: stage.store.load().torrents[0].blob is not None, within_s=SOON_S)
    assert stage.disk.rows[info_hash].metainfo_data == payload.torrent


def test_a_magnet_that_only_the_catalog_knows_is_rebuilt(stage: Stage, payload: Payload) -> None:
    with stage.rig() as rig:
        info_hash = rig.gateway.execute(
            cmd.AddTorrent(source=MagnetSource(payload.magnet)), timeout_s=SOON_S
        ).info_hash
        stage.catalog.entries = [CatalogEntry(spec=rig.record(info_hash).spec)]
    stage.disk.rows.clear()

    with stage.rig() as rig:
        assert engine_of(rig).knows(info_hash)
        assert rig.record(info_hash).metainfo is None


def test_a_removed_torrent_is_not_brought_back_by_a_catalog_that_lags(
    stage: Stage, payload: Payload
) -> None:
    with stage.rig() as rig:
        info_hash = add(rig, payload)
        stage.catalog.entries = [CatalogEntry(spec=rig.record(info_hash).spec)]
        heard = rig.feed.subscribe(("torrent.removed",))
        rig.gateway.execute(cmd.RemoveTorrent(info_hash, with_data=True), timeout_s=SOON_S)
        hear(heard, lambda event: isinstance(event, TorrentRemoved))

    for _ in range(2):
        with stage.rig() as rig:
            assert rig.board.get(info_hash) is None
            assert not engine_of(rig).knows(info_hash)

    stage.catalog.entries.clear()
    with stage.rig():
        assert info_hash not in stage.disk.rows  # nobody remembers it: the tombstone may go


def test_a_removed_torrent_is_not_brought_back_by_a_catalog_that_was_away(
    stage: Stage, payload: Payload
) -> None:
    """Nobody can say then whether it still remembers the torrent."""
    with stage.rig() as rig:
        info_hash = add(rig, payload)
        stage.catalog.entries = [CatalogEntry(spec=rig.record(info_hash).spec)]
        heard = rig.feed.subscribe(("torrent.removed",))
        rig.gateway.execute(cmd.RemoveTorrent(info_hash, with_data=False), timeout_s=SOON_S)
        hear(heard, lambda event: isinstance(event, TorrentRemoved))
    stage.catalog.outage = "the database is being restarted"
    with stage.rig():
        pass
    stage.catalog.outage = ""

    with stage.rig() as rig:
        assert rig.board.get(info_hash) is None
        assert not engine_of(rig).knows(info_hash)


def test_the_store_holds_against_a_catalog_that_says_otherwise(
    stage: Stage, payload: Payload
) -> None:
    with stage.rig() as rig:
        info_hash = add(rig, payload, sequential=True)
        stored = rig.record(info_hash).spec
    stage.catalog.entries = [CatalogEntry(spec=replace(stored, sequential=False))]

    rig = stage.rig()
    heard = rig.feed.subscribe(("torrent.selection_reconciled",))
    with rig:
        assert "sequential was no in the catalog" in hear(heard, is_reconciled).reason
        assert rig.record(info_hash).spec == stored


def test_a_catalog_that_is_away_changes_nothing(stage: Stage, payload: Payload) -> None:
    with stage.rig() as rig:
        info_hash = add(rig, payload)
    stage.catalog.outage = "the database is being restarted"
    with stage.rig() as rig:
        assert rig.record(info_hash).fault is None


@pytest.mark.parametrize("has_catalog", [True, False])
def test_a_store_that_cannot_be_read_at_the_start_wins_when_it_can(
    stage: Stage, payload: Payload, *, has_catalog: bool
) -> None:
    with stage.rig() as rig:
        info_hash = add(rig, payload, category="stored", sequential=True)
        spec = rig.record(info_hash).spec
    if has_catalog:
        old = replace(spec, category="from the catalog", sequential=False)
        stage.catalog.entries = [CatalogEntry(spec=old, metainfo_data=payload.torrent)]
    stage.next_is_down = "the disk is unplugged; plug it in"

    rig = stage.rig()
    heard = rig.feed.subscribe(("health.changed",))
    with rig:
        assert hear(heard, is_store("degraded")).cause == stage.next_is_down
        assert (rig.board.get(info_hash) is not None) is has_catalog
        assert engine_of(rig).knows(info_hash) is has_catalog
        with pytest.raises(StoreDownError, match="plug it in"):
            add(rig, make_payload(rig.root, "other", 100))
        stage.store.come_back()
        hear(heard, is_store("ok"))
        eventually(lambda: rig.board.get(info_hash) is not None, within_s=SOON_S)
        assert rig.record(info_hash).spec == spec
        assert engine_of(rig).live(info_hash).sequential
        rig.gateway.execute(cmd.PauseTorrent(info_hash), timeout_s=SOON_S)
    assert stage.disk.rows[info_hash].spec.category == "stored"


def test_what_only_the_catalog_knew_is_stored_when_the_store_is_back(
    stage: Stage, payload: Payload
) -> None:
    with stage.rig() as rig:
        info_hash = add(rig, payload)
        spec = rig.record(info_hash).spec
    stage.disk.rows.clear()
    stage.catalog.entries = [CatalogEntry(spec=spec, metainfo_data=payload.torrent)]
    stage.next_is_down = "away"
    with stage.rig() as rig:
        assert engine_of(rig).knows(info_hash)
        stage.store.come_back()
        eventually(lambda: info_hash in stage.store.known(), within_s=SOON_S)
        eventually(lambda: stage.disk.rows[info_hash].metainfo_data is not None, within_s=SOON_S)
        eventually(lambda: stage.disk.rows[info_hash].blob is not None, within_s=SOON_S)


def test_a_session_that_dies_while_the_store_is_away_goes_on(
    stage: Stage, rig: EngineRig, payload: Payload
) -> None:
    info_hash = add(rig, payload, category="tv")
    engine = engine_of(rig)
    heard = rig.feed.subscribe(("health.changed", "torrent.removed"))
    stage.store.go_down("away")
    hear(heard, is_store("degraded"))

    crash(rig)

    hear(heard, is_store("degraded"))
    assert engine_of(rig) is engine
    assert engine.knows(info_hash)
    stage.store.come_back()
    event = hear(heard, lambda e: isinstance(e, TorrentRemoved) or is_store("ok")(e))
    assert not isinstance(event, TorrentRemoved)
    rig.gateway.execute(cmd.PauseTorrent(info_hash), timeout_s=SOON_S)
    assert stage.disk.rows[info_hash].spec.stop_reason is StopReason.USER


def test_a_store_that_is_emptied_while_running_gets_everything_back(
    stage: Stage, rig: EngineRig, payload: Payload
) -> None:
    info_hash = add(rig, payload, category="tv")
    magnet = make_payload(rig.root / "seed2", "magnet", 1_000)
    held = rig.gateway.execute(
        cmd.AddTorrent(source=MagnetSource(magnet.magnet)), timeout_s=SOON_S
    ).info_hash
    heard = rig.feed.subscribe(("health.changed", "torrent.removed"))

    stage.store.lose_everything()

    hear(heard, is_store("degraded"))
    hear(heard, is_store("ok"))
    eventually(lambda: stage.store.known() == {info_hash, held}, within_s=SOON_S)
    rows = stage.disk.rows
    eventually(lambda: rows[info_hash].metainfo_data is not None, within_s=SOON_S)
    eventually(lambda: all(row.blob is not None for row in rows.values()), within_s=SOON_S)
    assert rows[info_hash].spec == rig.record(info_hash).spec


class _Shaky(MemoryResumeStore):
    """Says once that it was replaced, and cannot be read then, once."""

    is_shaky = False

    def reopen(self) -> bool:
        is_another = super().reopen()
        if is_another and self.is_shaky:
            self.go_down("gone again")
        return is_another

    def load(self, only: AbstractSet[InfoHash] | None = None) -> Restored:
        try:
            return super().load(only)
        finally:
            if self.is_shaky:
                self.is_shaky = False
                self.come_back()


def test_a_store_that_is_emptied_and_cannot_be_read_at_once_gets_everything_back(
    tmp_path: Path, payload: Payload
) -> None:
    disk = MemoryDisk()
    store = _Shaky(disk)

    def opened(unused: FilesystemResumeStore) -> ResumeStore:
        unused.close(clean=True)
        return store

    with EngineRig(root=tmp_path / "out", open_engine=MemoryEngine, store=opened) as rig:
        info_hash = add(rig, payload, category="tv")
        heard = rig.feed.subscribe(("health.changed",))
        store.is_shaky = True
        store.lose_everything()

        hear(heard, is_store("ok"))

        eventually(lambda: store.known() == {info_hash}, within_s=SOON_S)
        assert disk.rows[info_hash].spec == rig.record(info_hash).spec


def test_a_torrent_saved_by_its_file_alone_gets_its_name_back(
    tmp_path: Path, payload: Payload
) -> None:
    root = tmp_path / "out"
    with EngineRig(root=root, open_engine=MemoryEngine) as rig:
        info_hash = add(rig, payload)
    for path in (root / ".revaer" / "resume").glob(f"{info_hash}*"):
        if path.suffix != ".torrent":
            path.unlink()

    def known() -> TorrentSpec:
        with EngineRig(root=root, open_engine=MemoryEngine) as rig:
            return rig.record(info_hash).spec

    spec = known()
    assert (spec.name, spec.infohash_v1) == ("show", info_hash)
    assert spec.stop_reason is StopReason.USER
    assert known() == spec
