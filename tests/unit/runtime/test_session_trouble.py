"""What does the session make of lost reports, a sick store, and an engine beyond use?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from actors.testing import eventually
from revaer.adapters.memory.engine import MemoryEngine
from revaer.domain import commands as cmd
from revaer.domain.errors import InvalidInputError, StoreDownError
from revaer.domain.events import HealthChanged, PublishedEvent, TorrentFailed
from revaer.domain.facts import CacheFlushed, MetadataReceived
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import FaultCode, MagnetSource, MetainfoSource, TorrentState
from revaer.ports.event_feed import Subscription
from revaer.runtime.messages import EngineReported
from tests.support.rig import EngineRig
from tests.support.swarm import Payload, make_payload

SOON_S = 20.0


@dataclass
class SickStore:
    """The real store, some of whose calls fail while they are named."""

    inner: Any
    failing: frozenset[str] = frozenset()

    def __getattr__(self, name: str) -> Any:
        if name in self.failing:
            raise StoreDownError(f"planted: {name} does not work; mend the disk")
        return getattr(self.inner, name)


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "show", {"film.mkv": 100_000, "notes.txt": 500})


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[EngineRig]:
    with EngineRig(root=tmp_path / "out", open_engine=MemoryEngine, store=SickStore) as running:
        yield running


def engine_of(rig: EngineRig) -> MemoryEngine:
    return cast("MemoryEngine", rig.holder.current())


def store_of(rig: EngineRig) -> SickStore:
    return cast("SickStore", rig.resume_store)


def add(rig: EngineRig, payload: Payload) -> InfoHash:
    return rig.gateway.execute(
        cmd.AddTorrent(source=MetainfoSource(payload.torrent)), timeout_s=SOON_S
    ).info_hash


def add_magnet(rig: EngineRig, payload: Payload) -> InfoHash:
    return rig.gateway.execute(
        cmd.AddTorrent(source=MagnetSource(payload.magnet)), timeout_s=SOON_S
    ).info_hash


def crash(rig: EngineRig) -> None:
    """A report that no code can read: a bug, as far as the session can tell."""
    rig.system.address("engine.session").tell(EngineReported(cast("Any", None)))


def hear(heard: Subscription, wanted: Callable[[Any], bool]) -> Any:
    """The next event that is wanted."""
    while True:
        delivery = heard.next(SOON_S)
        assert isinstance(delivery, PublishedEvent), delivery
        if wanted(delivery.event):
            return delivery.event


def is_health(component: str, status: str) -> Callable[[Any], bool]:
    return lambda event: (
        isinstance(event, HealthChanged) and (event.component, event.status) == (component, status)
    )


def test_an_engine_beyond_use_is_told_of_and_rebuilt(rig: EngineRig, payload: Payload) -> None:
    info_hash = add(rig, payload)
    first = engine_of(rig)
    heard = rig.feed.subscribe(("health.changed", "torrent.error"))

    first.fail_session("the network thread is gone")

    health = hear(heard, is_health("engine", "failing"))
    failed = hear(heard, lambda event: isinstance(event, TorrentFailed))
    assert health.cause == "the network thread is gone"
    assert failed.info_hash == info_hash
    eventually(lambda: engine_of(rig) is not first, within_s=SOON_S)
    hear(heard, is_health("engine", "ok"))
    eventually(lambda: rig.system.health()["status"] == "ok", within_s=SOON_S)
    assert engine_of(rig).knows(info_hash)
    rig.gateway.execute(cmd.PauseTorrent(info_hash), timeout_s=SOON_S)
    assert rig.record(info_hash).state is TorrentState.PAUSED


def test_a_flush_whose_report_was_lost_costs_seconds_and_no_completion(
    rig: EngineRig, payload: Payload
) -> None:
    info_hash = add(rig, payload)
    for path, content in payload.files.items():
        (rig.root / path).parent.mkdir(parents=True, exist_ok=True)
        (rig.root / path).write_bytes(content)
    engine_of(rig).lose_next(CacheFlushed)

    engine_of(rig).finish(info_hash)

    rig.wait_complete(info_hash, within_s=SOON_S)


def test_metadata_whose_report_was_dropped_is_found_all_the_same(
    rig: EngineRig, payload: Payload
) -> None:
    info_hash = add_magnet(rig, payload)
    engine_of(rig).lose_next(MetadataReceived)
    engine_of(rig).deliver_metadata(info_hash, payload.torrent)

    engine_of(rig).drop_alerts()

    eventually(lambda: rig.record(info_hash).metainfo is not None, within_s=SOON_S)
    eventually(lambda: not engine_of(rig).status(info_hash).in_upload_mode, within_s=SOON_S)
    assert rig.record(info_hash).spec.name == "show"


def test_metadata_that_came_while_nobody_was_there_is_judged_at_the_adoption(
    rig: EngineRig, payload: Payload
) -> None:
    info_hash = add_magnet(rig, payload)
    engine_of(rig).lose_next(MetadataReceived)
    engine_of(rig).deliver_metadata(info_hash, payload.torrent)

    crash(rig)

    eventually(lambda: rig.record(info_hash).metainfo is not None, within_s=SOON_S)
    eventually(lambda: not engine_of(rig).status(info_hash).in_upload_mode, within_s=SOON_S)


def test_a_refused_file_list_is_refused_again_after_a_restart(tmp_path: Path) -> None:
    hostile = make_payload(tmp_path / "seed2", ".revaer", {"resume/x.json": 100})
    with EngineRig(root=tmp_path / "out", open_engine=MemoryEngine) as rig:
        info_hash = add_magnet(rig, hostile)
        engine_of(rig).deliver_metadata(info_hash, hostile.torrent)
        eventually(lambda: rig.record(info_hash).fault is not None, within_s=SOON_S)
        engine_of(rig).save(info_hash)

    with EngineRig(root=tmp_path / "out", open_engine=MemoryEngine) as rig:
        record = rig.record(info_hash)
        assert record.fault is not None
        assert record.fault.code is FaultCode.PATH_REFUSED
        assert record.metainfo is not None
        assert engine_of(rig).status(info_hash).is_paused


def test_a_refused_file_list_is_refused_again_at_an_adoption(
    rig: EngineRig, tmp_path: Path
) -> None:
    hostile = make_payload(tmp_path / "seed2", ".revaer", {"resume/x.json": 100})
    info_hash = add_magnet(rig, hostile)
    engine_of(rig).deliver_metadata(info_hash, hostile.torrent)
    eventually(lambda: rig.record(info_hash).fault is not None, within_s=SOON_S)
    engine_of(rig).save(info_hash)  # its torrent file is stored now, as after five minutes
    resume = rig.root / ".revaer" / "resume"
    eventually(lambda: any(resume.glob(f"{info_hash}*.torrent")), within_s=SOON_S)
    heard = rig.feed.subscribe(("health.changed",))

    crash(rig)
    hear(heard, is_health("engine", "ok"))

    status = engine_of(rig).status(info_hash)
    assert status.is_paused
    assert status.in_upload_mode
    fault = rig.record(info_hash).fault
    assert fault is not None
    assert fault.code is FaultCode.PATH_REFUSED


@pytest.mark.parametrize("limit", [2**31, -1])
def test_a_limit_out_of_range_is_refused_before_it_is_stored(
    rig: EngineRig, payload: Payload, limit: int
) -> None:
    info_hash = add(rig, payload)

    with pytest.raises(InvalidInputError, match=str(limit)):
        rig.gateway.execute(
            cmd.SetTorrentLimits(info_hash, BytesPerSecond(limit), BytesPerSecond(0)),
            timeout_s=SOON_S,
        )

    assert rig.record(info_hash).spec.download_limit == 0


def test_a_completion_that_cannot_be_stored_is_told_when_it_can(
    rig: EngineRig, payload: Payload
) -> None:
    info_hash = add(rig, payload)
    for path, content in payload.files.items():
        (rig.root / path).parent.mkdir(parents=True, exist_ok=True)
        (rig.root / path).write_bytes(content)
    heard = rig.feed.subscribe(("health.changed",))
    store_of(rig).failing = frozenset({"put"})

    engine_of(rig).finish(info_hash)
    hear(heard, is_health("resume_store", "degraded"))
    before = rig.record(info_hash)
    store_of(rig).failing = frozenset()

    rig.wait_complete(info_hash, within_s=SOON_S)
    assert not before.is_verified


def test_a_removed_torrent_does_not_stay_on_the_board_when_its_session_died(
    rig: EngineRig, payload: Payload
) -> None:
    info_hash = add(rig, payload)
    rig.resume_store.bury(info_hash, with_data=False)  # as far as a removal came

    crash(rig)

    eventually(lambda: rig.board.get(info_hash) is None, within_s=SOON_S)
    eventually(lambda: not engine_of(rig).knows(info_hash), within_s=SOON_S)


def test_a_torrent_whose_store_files_vanished_is_stored_again_at_an_adoption(
    rig: EngineRig, payload: Payload
) -> None:
    info_hash = add(rig, payload)
    for path in (rig.root / ".revaer" / "resume").glob(f"{info_hash}*"):
        path.unlink(missing_ok=True)

    crash(rig)

    eventually(
        lambda: any((rig.root / ".revaer" / "resume").glob(f"{info_hash}*.json")),
        within_s=SOON_S,
    )
    assert engine_of(rig).knows(info_hash)
    assert rig.record(info_hash).spec.name == "show"


def test_resume_data_that_cannot_be_stored_is_a_health_cause_until_it_can(
    rig: EngineRig, payload: Payload
) -> None:
    info_hash = add(rig, payload)
    heard = rig.feed.subscribe(("health.changed",))
    store_of(rig).failing = frozenset({"put_blob"})

    engine_of(rig).save(info_hash)

    assert "put_blob" in hear(heard, is_health("resume_store", "degraded")).cause
    store_of(rig).failing = frozenset()
    hear(heard, is_health("resume_store", "ok"))


def test_a_disk_that_refuses_to_sync_is_a_health_cause_until_it_does(rig: EngineRig) -> None:
    heard = rig.feed.subscribe(("health.changed",))

    store_of(rig).failing = frozenset({"sync"})

    assert "sync" in hear(heard, is_health("resume_store_sync", "degraded")).cause
    store_of(rig).failing = frozenset()
    hear(heard, is_health("resume_store_sync", "ok"))


def test_a_deaf_engine_is_a_health_cause(rig: EngineRig) -> None:
    heard = rig.feed.subscribe(("health.changed",))

    engine_of(rig).go_deaf("the device is gone")

    assert "the device is gone" in hear(heard, is_health("network", "degraded")).cause
