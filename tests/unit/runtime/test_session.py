"""What does the session do with commands and reports? The whole tree over the memory engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from actors.testing import eventually
from revaer.adapters.memory.engine import MemoryEngine
from revaer.adapters.memory.payload import MemoryPayload
from revaer.domain import commands as cmd
from revaer.domain.errors import (
    ConflictError,
    InvalidTorrentError,
    PathRefusedError,
    SelectionError,
    StoreDownError,
    TorrentExistsError,
    TorrentNotFoundError,
    UnavailableError,
)
from revaer.domain.events import PublishedEvent
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.selection import SelectionRules
from revaer.domain.torrent import (
    Fault,
    FaultCode,
    MagnetSource,
    MetainfoSource,
    Phase,
    StopReason,
    TorrentState,
)
from tests.support.rig import EngineRig
from tests.support.swarm import Payload, make_payload

SOON_S = 20.0


class Rig(EngineRig):
    """The tree, with the simulation's controls at hand."""

    @property
    def engine(self) -> MemoryEngine:
        return cast("MemoryEngine", self.holder.current())

    def add(self, payload: Payload, **options: object) -> InfoHash:
        command = cmd.AddTorrent(source=MetainfoSource(payload.torrent), **options)  # type: ignore[arg-type]
        return self.gateway.execute(command, timeout_s=SOON_S).info_hash

    def put_on_disk(self, payload: Payload) -> None:
        for path, content in payload.files.items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(
        tmp_path / "seed", "show", {"film.mkv": 100_000, "sub/notes.txt": 500, "sub/c.srt": 700}
    )


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with Rig(root=tmp_path / "out", open_engine=MemoryEngine) as running:
        yield running


def test_an_answered_add_shows_on_the_board_and_is_stored(rig: Rig, payload: Payload) -> None:
    done = rig.gateway.execute(
        cmd.AddTorrent(source=MetainfoSource(payload.torrent), category="tv", tags=("b", "a", "b")),
        timeout_s=SOON_S,
    )

    record = rig.record(done.info_hash)
    assert done.info_hash == payload.info_hash
    assert rig.board.revision >= done.revision
    assert record.spec.category == "tv"
    assert record.spec.tags == ("a", "b")
    assert record.metainfo is not None
    assert rig.resume_store.known() == {done.info_hash}


def test_a_torrent_added_twice_is_refused_and_the_first_stays_as_it_is(
    rig: Rig, payload: Payload
) -> None:
    info_hash = rig.add(payload, category="tv")

    with pytest.raises(TorrentExistsError, match=info_hash):
        rig.add(payload, category="films")

    assert rig.record(info_hash).spec.category == "tv"


def test_junk_is_refused_and_nothing_is_stored(rig: Rig) -> None:
    with pytest.raises(InvalidTorrentError):
        rig.gateway.execute(cmd.AddTorrent(source=MetainfoSource(b"<html>")))

    assert not rig.resume_store.known()
    assert not rig.board.records()


def test_a_save_path_outside_the_roots_is_refused(rig: Rig, payload: Payload) -> None:
    with pytest.raises(PathRefusedError):
        rig.add(payload, save_path="/somewhere/else")

    assert not rig.resume_store.known()


def test_an_engine_that_refuses_a_torrent_leaves_no_trace_of_it(rig: Rig, payload: Payload) -> None:
    rig.engine.fail_next("add", InvalidTorrentError("the engine will not have it"))

    with pytest.raises(InvalidTorrentError):
        rig.add(payload)

    assert not rig.resume_store.known()
    assert not rig.board.records()
    assert rig.add(payload)


def test_pause_and_resume_show_at_once(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)

    rig.gateway.execute(cmd.PauseTorrent(info_hash), timeout_s=SOON_S)
    paused = rig.record(info_hash)
    rig.gateway.execute(cmd.ResumeTorrent(info_hash), timeout_s=SOON_S)

    assert paused.state is TorrentState.PAUSED
    assert paused.spec.stop_reason is StopReason.USER
    assert rig.record(info_hash).state is not TorrentState.PAUSED


def test_rules_choose_files_when_a_torrent_is_added_and_later(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload, selection=SelectionRules.of(exclude=("*.txt",)))
    at_first = rig.record(info_hash).spec.priorities

    rig.gateway.execute(
        cmd.SelectFiles(info_hash, selection=SelectionRules.of(include=("*.srt",))),
        timeout_s=SOON_S,
    )

    assert sorted(at_first) == [0, 4, 4]
    assert sorted(rig.record(info_hash).spec.priorities) == [0, 0, 4]
    assert rig.engine.priorities(info_hash) == rig.record(info_hash).spec.priorities


def test_priorities_must_fit_the_files(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)

    for priorities in ((1, 1), (1, 1, 8), (1, 1, -1)):
        with pytest.raises(SelectionError):
            rig.gateway.execute(cmd.SelectFiles(info_hash, priorities=priorities))

    assert rig.record(info_hash).spec.priorities == ()


def test_limits_and_order_reach_the_engine(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)
    down, up = BytesPerSecond(70_000), BytesPerSecond(30_000)

    rig.gateway.execute(cmd.SetTorrentLimits(info_hash, down, up), timeout_s=SOON_S)
    rig.gateway.execute(cmd.SetSequential(info_hash, sequential=True), timeout_s=SOON_S)
    rig.gateway.apply(cmd.SetGlobalLimits(up, down), timeout_s=SOON_S)

    assert rig.engine.limits(info_hash) == (down, up)
    assert rig.engine.is_sequential(info_hash)
    assert rig.engine.global_limits() == (up, down)


@pytest.mark.parametrize(
    "command",
    [
        cmd.PauseTorrent(InfoHash("0" * 40)),
        cmd.ResumeTorrent(InfoHash("0" * 40)),
        cmd.RecheckTorrent(InfoHash("0" * 40)),
        cmd.RemoveTorrent(InfoHash("0" * 40)),
        cmd.SelectFiles(InfoHash("0" * 40)),
        cmd.SetSequential(InfoHash("0" * 40), sequential=True),
    ],
    ids=lambda command: type(command).__name__,
)
def test_an_unknown_torrent_is_an_answer_and_not_a_crash(
    rig: Rig, command: cmd.TorrentCommand
) -> None:
    with pytest.raises(TorrentNotFoundError):
        rig.gateway.execute(command, timeout_s=SOON_S)

    assert rig.system.health()["status"] == "ok"


def test_completion_is_announced_once_and_after_the_files_were_seen(
    rig: Rig, payload: Payload
) -> None:
    info_hash = rig.add(payload)
    heard = rig.feed.subscribe(("torrent.completed", "torrent.error"))
    rig.put_on_disk(payload)

    rig.engine.finish(info_hash)
    rig.wait_complete(info_hash, within_s=SOON_S)
    rig.gateway.execute(cmd.RecheckTorrent(info_hash), timeout_s=SOON_S)
    rig.engine.advance(5)
    eventually(lambda: rig.record(info_hash).is_verified, within_s=SOON_S)

    first, second = heard.next(SOON_S), heard.next(0.3)
    assert isinstance(first, PublishedEvent)
    assert first.topic == "torrent.completed"
    assert second is None
    assert rig.record(info_hash).state is TorrentState.SEEDING


def test_a_finished_torrent_without_its_files_is_in_error_and_never_complete(
    rig: Rig, payload: Payload
) -> None:
    info_hash = rig.add(payload)

    rig.engine.finish(info_hash)
    eventually(lambda: rig.record(info_hash).fault is not None, within_s=SOON_S)

    record = rig.record(info_hash)
    assert record.fault is not None
    assert record.fault.code is FaultCode.MISSING_FILES
    assert "show/" in record.fault.message
    assert record.state is TorrentState.ERROR
    assert not record.is_verified
    assert record.spec.completed_at == 0


def test_skipped_files_are_not_missed(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload, selection=SelectionRules.of(include=("*.mkv",)))
    film = "show/film.mkv"
    (rig.root / "show").mkdir()
    (rig.root / film).write_bytes(payload.files[film])

    rig.engine.finish(info_hash)

    rig.wait_complete(info_hash, within_s=SOON_S)


def test_a_magnet_s_files_are_chosen_before_any_is_wanted(rig: Rig, payload: Payload) -> None:
    info_hash = rig.gateway.execute(
        cmd.AddTorrent(
            source=MagnetSource(payload.magnet),
            selection=SelectionRules.of(exclude=("*.txt",)),
        ),
        timeout_s=SOON_S,
    ).info_hash
    eventually(lambda: rig.record(info_hash).phase is Phase.FETCHING_METADATA, within_s=SOON_S)

    rig.engine.deliver_metadata(info_hash, payload.torrent)
    eventually(lambda: rig.record(info_hash).metainfo is not None, within_s=SOON_S)

    record = rig.record(info_hash)
    assert record.spec.name == "show"
    assert sorted(record.spec.priorities) == [0, 4, 4]
    assert rig.engine.priorities(info_hash) == record.spec.priorities


def test_a_magnet_that_names_a_reserved_place_is_held(rig: Rig, tmp_path: Path) -> None:
    hostile = make_payload(tmp_path / "seed2", ".revaer", {"resume/x.json": 100})
    info_hash = rig.gateway.execute(
        cmd.AddTorrent(source=MagnetSource(hostile.magnet)), timeout_s=SOON_S
    ).info_hash

    rig.engine.deliver_metadata(info_hash, hostile.torrent)
    eventually(lambda: rig.record(info_hash).fault is not None, within_s=SOON_S)

    fault = rig.record(info_hash).fault
    assert fault is not None
    assert fault.code is FaultCode.PATH_REFUSED
    with pytest.raises(PathRefusedError):
        rig.gateway.execute(cmd.ResumeTorrent(info_hash), timeout_s=SOON_S)
    assert rig.engine.status(info_hash).is_paused
    assert rig.engine.status(info_hash).in_upload_mode


def test_a_removed_torrent_is_gone_everywhere_and_can_come_back(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)
    heard = rig.feed.subscribe(("torrent.removed",))

    rig.gateway.execute(cmd.RemoveTorrent(info_hash), timeout_s=SOON_S)

    assert rig.board.get(info_hash) is None
    assert heard.next(SOON_S) is not None
    assert not rig.resume_store.known()

    def added_again() -> bool:
        try:
            return rig.add(payload) == info_hash
        except ConflictError:
            return False  # the engine has not let go of it yet

    eventually(added_again, within_s=SOON_S)


def test_a_store_that_is_away_refuses_changes_and_keeps_what_runs(
    rig: Rig, payload: Payload
) -> None:
    info_hash = rig.add(payload)
    resume = rig.root / ".revaer" / "resume"
    resume.rename(resume.with_name("moved-away"))

    with pytest.raises(StoreDownError):
        rig.gateway.execute(cmd.PauseTorrent(info_hash), timeout_s=SOON_S)

    assert rig.record(info_hash).spec.stop_reason is StopReason.NONE
    assert not rig.engine.status(info_hash).is_paused
    resume.with_name("moved-away").rename(resume)
    rig.gateway.execute(cmd.PauseTorrent(info_hash), timeout_s=SOON_S)
    assert rig.record(info_hash).state is TorrentState.PAUSED


def test_a_resumed_torrent_loses_its_fault(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)
    rig.engine.fail(info_hash, Fault(FaultCode.DISK_FULL, "no space left; free some, then resume"))
    eventually(lambda: rig.record(info_hash).state is TorrentState.ERROR, within_s=SOON_S)

    rig.gateway.execute(cmd.ResumeTorrent(info_hash), timeout_s=SOON_S)

    assert rig.record(info_hash).fault is None


def test_dropped_alerts_cost_no_completion(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)
    rig.put_on_disk(payload)
    rig.engine.finish(info_hash)
    rig.engine.drop_alerts()

    rig.wait_complete(info_hash, within_s=SOON_S)


def test_a_restart_brings_everything_back(tmp_path: Path, payload: Payload) -> None:
    with Rig(root=tmp_path / "out", open_engine=MemoryEngine) as rig:
        info_hash = rig.add(
            payload,
            category="tv",
            selection=SelectionRules.of(exclude=("*.txt",)),
            sequential=True,
            download_limit=BytesPerSecond(9_000),
            paused=True,
        )
        before = rig.record(info_hash)

    with Rig(root=tmp_path / "out", open_engine=MemoryEngine) as rig:
        assert rig.record(info_hash).spec == before.spec
        assert rig.record(info_hash).metainfo == before.metainfo
        assert rig.engine.status(info_hash).is_paused
        assert rig.engine.priorities(info_hash) == before.spec.priorities
        eventually(lambda: rig.record(info_hash).state is TorrentState.PAUSED, within_s=SOON_S)


def test_only_the_named_torrents_are_restored_and_the_others_stay_stored(
    tmp_path: Path, payload: Payload
) -> None:
    other = make_payload(tmp_path / "other", "other", {"x.bin": 1000})
    with Rig(root=tmp_path / "out", open_engine=MemoryEngine) as rig:
        first, second = rig.add(payload), rig.add(other)

    with Rig(
        root=tmp_path / "out", open_engine=MemoryEngine, restore_only=frozenset({second})
    ) as rig:
        assert rig.board.get(first) is None
        assert rig.board.get(second) is not None

    with Rig(root=tmp_path / "out", open_engine=MemoryEngine) as rig:
        assert {record.info_hash for record in rig.board.records()} == {first, second}


def test_the_board_is_told_everything_again_after_it_died(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)
    revision = rig.board.revision

    rig.system.restart("board")

    def paused() -> bool:
        try:
            rig.gateway.execute(cmd.PauseTorrent(info_hash), timeout_s=SOON_S)
        except UnavailableError:
            return False  # it took effect, but nobody could show it yet
        return True

    eventually(paused, within_s=SOON_S)

    assert rig.record(info_hash).state is TorrentState.PAUSED
    assert rig.board.revision > revision


def test_memory_payload_serves_where_no_file_is_wanted(tmp_path: Path, payload: Payload) -> None:
    files = MemoryPayload()
    with Rig(root=tmp_path / "out", open_engine=MemoryEngine, files=files) as rig:
        info_hash = rig.add(payload)
        for path, content in payload.files.items():
            files.write(str(rig.root), path, len(content))

        rig.engine.finish(info_hash)

        rig.wait_complete(info_hash, within_s=SOON_S)
