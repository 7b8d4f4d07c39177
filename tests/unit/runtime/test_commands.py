"""What do the commands about one torrent change, what do they refuse, and what is kept?"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from actors.testing import eventually
from revaer.adapters.memory.engine import MemoryEngine
from revaer.domain import commands as cmd
from revaer.domain.errors import (
    ConflictError,
    EngineDownError,
    InvalidInputError,
    PathRefusedError,
    RevaerError,
    StoreDownError,
    TorrentNotFoundError,
)
from revaer.domain.events import PublishedEvent, TorrentFailed
from revaer.domain.facts import MetadataReceived, StorageMoved
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.selection import SelectionRules
from revaer.domain.torrent import (
    Fault,
    FaultCode,
    MagnetSource,
    MetainfoSource,
    QueueMove,
    ShareLimitAction,
    StopReason,
    TorrentSpec,
    TorrentState,
)
from revaer.ports.engine import EngineSettings
from tests.support.rig import LOOPBACK, EngineRig
from tests.support.swarm import Payload, make_payload

SOON_S = 20.0
TRACKER = "https://tracker.example/0123456789abcdef/announce"
OTHER = "udp://other.example:6969"
WEB_SEED = "https://mirror.example/files/"


@dataclass
class SickStore:
    """The real store, some of whose calls fail while they are named."""

    inner: Any
    failing: frozenset[str] = frozenset()

    def __getattr__(self, name: str) -> Any:
        if name in self.failing:
            raise StoreDownError(f"planted: {name} does not work; mend the disk")
        return getattr(self.inner, name)


class Rig(EngineRig):
    """The tree over the simulation."""

    @property
    def engine(self) -> MemoryEngine:
        return cast("MemoryEngine", self.holder.current())

    @property
    def sick(self) -> SickStore:
        return cast("SickStore", self.resume_store)

    def do(self, command: cmd.TorrentCommand) -> TorrentSpec:
        """Carry a command out; what is asked of the torrent after it."""
        done = self.gateway.execute(command, timeout_s=SOON_S)
        return self.record(done.info_hash).spec

    def add(self, payload: Payload, **options: Any) -> InfoHash:
        source = MetainfoSource(payload.torrent)
        return self.do(cmd.AddTorrent(source=source, **options)).info_hash

    def stored(self, info_hash: InfoHash) -> TorrentSpec:
        """What the next start would read."""
        return next(
            each.spec
            for each in self.resume_store.load().torrents
            if each.spec.info_hash == info_hash
        )


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(
        tmp_path / "seed", "show", {"film.mkv": 100_000, "sub/notes.txt": 500, "sub/c.srt": 700}
    )


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with rig_in(tmp_path) as running:
        yield running


def rig_in(tmp_path: Path, settings: EngineSettings = LOOPBACK) -> Rig:
    return Rig(root=tmp_path / "out", open_engine=MemoryEngine, store=SickStore, settings=settings)


CHANGES: dict[str, Callable[[InfoHash], cmd.TorrentCommand]] = {
    "share limits": lambda one: cmd.SetShareLimits(one, 2.0, 60, -1, ShareLimitAction.REMOVE),
    "first and last pieces": lambda one: cmd.SetFirstLastPieces(one, first_last_pieces=True),
    "force start": lambda one: cmd.SetForceStart(one, force_start=True),
    "name": lambda one: cmd.RenameTorrent(one, " Another name "),
    "category": lambda one: cmd.SetCategory(one, "tv/anime"),
    "tags": lambda one: cmd.SetTags(one, ("b", "a", "b")),
    "trackers": lambda one: cmd.AddTrackers(one, ((TRACKER, 3),)),
    "web seeds": lambda one: cmd.AddWebSeeds(one, (WEB_SEED,)),
    "move": lambda one: cmd.MoveTorrent(one, "library"),
    "file": lambda one: cmd.RenameFile(one, 0, "show/renamed"),
    "folder": lambda one: cmd.RenameFolder(one, "show/sub", "show/text"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_answered_is_what_the_next_start_reads(
    rig: Rig, payload: Payload, change: Callable[[InfoHash], cmd.TorrentCommand]
) -> None:
    info_hash = rig.add(payload)
    before = rig.record(info_hash).spec

    after = rig.do(change(info_hash))

    assert after != before
    settle(rig, info_hash)
    assert rig.stored(info_hash) == rig.record(info_hash).spec


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_cannot_be_stored_does_not_happen(
    rig: Rig, payload: Payload, change: Callable[[InfoHash], cmd.TorrentCommand]
) -> None:
    info_hash = rig.add(payload)
    before, calls = rig.record(info_hash).spec, set(engine_changes(rig))
    rig.sick.failing = frozenset({"put"})

    with pytest.raises(StoreDownError):
        rig.do(change(info_hash))

    assert rig.record(info_hash).spec == before
    assert set(engine_changes(rig)) == calls


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_torrent_that_is_not_there_is_named(
    rig: Rig, change: Callable[[InfoHash], cmd.TorrentCommand]
) -> None:
    with pytest.raises(TorrentNotFoundError, match="f" * 40):
        rig.do(change(InfoHash("f" * 40)))


REFUSED: dict[str, tuple[Callable[[InfoHash], cmd.TorrentCommand], type[RevaerError]]] = {
    "ratio": (lambda one: cmd.SetShareLimits(one, -0.5, -1, -1), InvalidInputError),
    "ratio nan": (lambda one: cmd.SetShareLimits(one, float("nan"), -1, -1), InvalidInputError),
    "ratio inf": (lambda one: cmd.SetShareLimits(one, float("inf"), -1, -1), InvalidInputError),
    "seeding time": (lambda one: cmd.SetShareLimits(one, -1, -3, -1), InvalidInputError),
    "inactive time": (lambda one: cmd.SetShareLimits(one, -1, -1, 2**62), InvalidInputError),
    "name": (lambda one: cmd.RenameTorrent(one, "\n"), InvalidInputError),
    "category": (lambda one: cmd.SetCategory(one, "a\\b"), InvalidInputError),
    "tags": (lambda one: cmd.SetTags(one, ("a,b",)), InvalidInputError),
    "tracker": (lambda one: cmd.AddTrackers(one, ((OTHER, 0), ("x", 0))), InvalidInputError),
    "tier": (lambda one: cmd.AddTrackers(one, ((OTHER, 256),)), InvalidInputError),
    "removal": (lambda one: cmd.RemoveTrackers(one, (OTHER,)), ConflictError),
    "edit": (lambda one: cmd.EditTracker(one, OTHER, TRACKER), ConflictError),
    "web seed": (lambda one: cmd.AddWebSeeds(one, ("ftp://x/",)), InvalidInputError),
    "web seed removal": (lambda one: cmd.RemoveWebSeeds(one, (WEB_SEED,)), ConflictError),
    "peer": (lambda one: cmd.ConnectPeers(one, (("nobody", 1),)), InvalidInputError),
    "limit": (
        lambda one: cmd.SetTorrentLimits(one, BytesPerSecond(-1), BytesPerSecond(0)),
        InvalidInputError,
    ),
    "place": (lambda one: cmd.MoveTorrent(one, "/etc"), PathRefusedError),
    "file": (lambda one: cmd.RenameFile(one, 0, "../x"), PathRefusedError),
    "folder": (lambda one: cmd.RenameFolder(one, "show/sub", "/x"), PathRefusedError),
    "folder away": (lambda one: cmd.RenameFolder(one, "show/sub", ""), PathRefusedError),
}


@pytest.mark.parametrize(("change", "refusal"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_changes_nothing(
    rig: Rig,
    payload: Payload,
    change: Callable[[InfoHash], cmd.TorrentCommand],
    refusal: type[RevaerError],
) -> None:
    info_hash = rig.add(payload)
    before, calls = rig.record(info_hash).spec, set(engine_changes(rig))

    with pytest.raises(refusal):
        rig.do(change(info_hash))

    assert rig.record(info_hash).spec == before
    assert rig.stored(info_hash) == before
    assert set(engine_changes(rig)) == calls


def test_share_limits_are_kept_as_they_were_given(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)

    spec = rig.do(cmd.SetShareLimits(info_hash, 0, -1, 1_800, ShareLimitAction.STOP))

    assert (spec.ratio_limit, spec.seeding_time_limit_s) == (0.0, -1)
    assert spec.inactive_seeding_time_limit_s == 1_800
    assert spec.share_limit_action is ShareLimitAction.STOP


def test_force_starting_resumes_and_ending_it_does_not_stop(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload, paused=True)

    forced = rig.do(cmd.SetForceStart(info_hash, force_start=True))
    runs_forced = rig.engine.live(info_hash).is_forced
    queued = rig.do(cmd.SetForceStart(info_hash, force_start=False))

    assert forced.force_start
    assert forced.stop_reason is StopReason.NONE
    assert runs_forced
    assert not queued.force_start
    assert not rig.engine.live(info_hash).is_forced
    assert not rig.engine.live(info_hash).is_stopped


def test_ending_a_force_start_wakes_nobody(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)
    rig.do(cmd.SetForceStart(info_hash, force_start=True))
    rig.do(cmd.PauseTorrent(info_hash))

    spec = rig.do(cmd.SetForceStart(info_hash, force_start=False))

    assert spec.stop_reason is StopReason.USER
    assert rig.record(info_hash).state is TorrentState.PAUSED


def test_a_queue_is_reordered_and_stays_so_over_restarts(tmp_path: Path) -> None:
    settings = EngineSettings(
        listen=LOOPBACK.listen, enable_dht=False, enable_lsd=False, active_downloads=1
    )
    payloads = [make_payload(tmp_path / f"seed{n}", f"show{n}", {"a": 9_000 + n}) for n in range(3)]
    with rig_in(tmp_path, settings) as rig:
        first, second, third = (rig.add(payload) for payload in payloads)

        rig.do(cmd.MoveInQueue(third, QueueMove.TOP))
        rig.do(cmd.MoveInQueue(first, QueueMove.BOTTOM))

        positions = [rig.engine.status(one).queue_position for one in (third, second, first)]
        assert positions == [1, 2, 3]
        assert rig.record(first).status.queue_position == 3
    with rig_in(tmp_path, settings) as rig:
        positions = [rig.engine.status(one).queue_position for one in (third, second, first)]
        assert positions == [1, 2, 3]
        fourth = rig.add(make_payload(tmp_path / "seed4", "show4", {"a": 9_004}))
        rig.do(cmd.MoveInQueue(second, QueueMove.UP))
    with rig_in(tmp_path, settings) as rig:
        order = (second, third, first, fourth)
        assert [rig.engine.status(one).queue_position for one in order] == [1, 2, 3, 4]


def test_trackers_are_added_edited_and_removed_and_the_engine_follows(
    rig: Rig, payload: Payload
) -> None:
    info_hash = rig.add(payload)

    rig.do(cmd.AddTrackers(info_hash, ((TRACKER, 1), (OTHER, 0))))
    added = [(each.url, each.tier) for each in rig.engine.trackers(info_hash)]
    rig.do(cmd.EditTracker(info_hash, TRACKER, TRACKER + "2"))
    edited = [(each.url, each.tier) for each in rig.engine.trackers(info_hash)]
    spec = rig.do(cmd.RemoveTrackers(info_hash, (OTHER, TRACKER + "2")))

    assert added == [(OTHER, 0), (TRACKER, 1)]
    assert edited == [(OTHER, 0), (TRACKER + "2", 1)]
    assert spec.trackers == ()
    assert rig.engine.trackers(info_hash) == ()


def test_trackers_of_the_source_stay_beside_new_ones(rig: Rig, payload: Payload) -> None:
    magnet = f"{payload.magnet}&tr=http%3A%2F%2Fsource.example%2Fannounce"
    info_hash = rig.do(cmd.AddTorrent(source=MagnetSource(magnet))).info_hash

    spec = rig.do(cmd.AddTrackers(info_hash, ((TRACKER, 0),)))

    assert spec.trackers == (("http://source.example/announce", 0), (TRACKER, 0))


def test_removed_trackers_stay_away_although_the_source_names_them(
    tmp_path: Path, payload: Payload
) -> None:
    magnet = f"{payload.magnet}&tr=http%3A%2F%2Fsource.example%2Fannounce"
    with rig_in(tmp_path) as rig:
        info_hash = rig.do(cmd.AddTorrent(source=MagnetSource(magnet))).info_hash
        rig.do(cmd.RemoveTrackers(info_hash, ("http://source.example/announce",)))
        rig.do(cmd.AddWebSeeds(info_hash, (WEB_SEED,)))

    with rig_in(tmp_path) as rig:
        assert rig.engine.trackers(info_hash) == ()
        assert rig.engine.web_seeds(info_hash) == (WEB_SEED,)


def test_no_refusal_repeats_a_passkey(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)

    with pytest.raises(ConflictError) as refusal:
        rig.do(cmd.RemoveTrackers(info_hash, (TRACKER,)))

    assert "0123456789abcdef" not in str(refusal.value)


def test_a_given_name_outlives_the_metadatas(rig: Rig, payload: Payload) -> None:
    info_hash = rig.do(cmd.AddTorrent(source=MagnetSource(payload.magnet))).info_hash
    rig.do(cmd.RenameTorrent(info_hash, "My name for it"))

    rig.engine.deliver_metadata(info_hash, payload.torrent)

    eventually(lambda: rig.record(info_hash).metainfo is not None, within_s=SOON_S)
    assert rig.record(info_hash).spec.name == "My name for it"


def test_files_are_chosen_by_the_names_that_they_have_now(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)
    index = index_of(rig, info_hash, "show/sub/notes.txt")
    rig.do(cmd.RenameFile(info_hash, index, "show/sub/notes.nfo"))
    settle(rig, info_hash)

    spec = rig.do(cmd.SelectFiles(info_hash, SelectionRules.of(exclude=("*.nfo",))))

    assert [spec.priorities[index], spec.priorities.count(0)] == [0, 1]


def test_a_folder_rename_of_which_one_file_fails_is_taken_back(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)
    before = {entry.path for entry in rig.record(info_hash).files}
    heard = rig.feed.subscribe(("torrent.error",))
    rig.engine.fail_next_rename(info_hash, "the disk says no")

    rig.do(cmd.RenameFolder(info_hash, "show/sub", "show/text"))

    told = heard.next(SOON_S)
    assert isinstance(told, PublishedEvent)
    assert isinstance(told.event, TorrentFailed)
    assert "the disk says no" in told.event.message
    settle(rig, info_hash)
    assert {entry.path for entry in rig.record(info_hash).files} == before
    assert rig.record(info_hash).fault is None
    eventually(lambda: set(rig.engine.renames(info_hash).values()) <= before, within_s=SOON_S)


def test_a_move_that_fails_leaves_the_torrent_where_it_is(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)
    heard = rig.feed.subscribe(("torrent.error",))
    rig.engine.fail_next_move(info_hash, "the disk is full")

    rig.do(cmd.MoveTorrent(info_hash, "library"))

    told = heard.next(SOON_S)
    assert isinstance(told, PublishedEvent)
    assert isinstance(told.event, TorrentFailed)
    assert (told.event.code, "the disk is full" in told.event.message) == ("move_failed", True)
    settle(rig, info_hash)
    assert rig.record(info_hash).spec.save_path == str(rig.root)
    assert rig.record(info_hash).fault is None


def test_while_files_are_on_their_way_no_other_move_or_rename_begins(
    tmp_path: Path, payload: Payload
) -> None:
    def slow(settings: EngineSettings) -> MemoryEngine:
        return MemoryEngine(settings, move_s=60.0)

    with Rig(root=tmp_path / "out", open_engine=slow) as rig:
        info_hash = rig.add(payload)
        rig.do(cmd.MoveTorrent(info_hash, "library"))
        moving = rig.record(info_hash)

        for command in (
            cmd.MoveTorrent(info_hash, "elsewhere"),
            cmd.RenameFile(info_hash, 0, "show/x"),
            cmd.RenameFolder(info_hash, "show", "x"),
        ):
            with pytest.raises(ConflictError, match="being moved"):
                rig.do(command)
        rig.engine.advance(61.0)

        settle(rig, info_hash)
        assert moving.phase.value == "moving"
        assert rig.record(info_hash).spec.save_path == str(rig.root / "library")
        assert rig.do(cmd.RenameFile(info_hash, 0, "show/x")).renames


def test_a_move_whose_report_was_lost_ends_all_the_same(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)
    rig.engine.lose_next(StorageMoved)

    rig.do(cmd.MoveTorrent(info_hash, "library"))

    settle(rig, info_hash)
    assert rig.record(info_hash).spec.save_path == str(rig.root / "library")


def test_an_engine_that_refuses_a_move_leaves_no_journal(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)
    rig.engine.fail_next("move", ConflictError("planted: not now"))

    with pytest.raises(ConflictError, match="planted"):
        rig.do(cmd.MoveTorrent(info_hash, "library"))

    assert not rig.stored(info_hash).moving_to


def test_what_lies_on_an_absent_storage_is_not_moved(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)
    rig.engine.fail(info_hash, Fault(FaultCode.STORAGE_ABSENT, "the disk is unplugged"))
    eventually(lambda: rig.record(info_hash).fault is not None, within_s=SOON_S)

    with pytest.raises(ConflictError, match="unplugged"):
        rig.do(cmd.MoveTorrent(info_hash, "library"))


def test_a_magnet_moves_but_has_no_files_to_rename(rig: Rig, payload: Payload) -> None:
    info_hash = rig.do(cmd.AddTorrent(source=MagnetSource(payload.magnet))).info_hash

    rig.do(cmd.MoveTorrent(info_hash, "library"))
    settle(rig, info_hash)
    with pytest.raises(ConflictError, match="metadata"):
        rig.do(cmd.RenameFile(info_hash, 0, "x"))

    assert rig.record(info_hash).spec.save_path == str(rig.root / "library")


def test_details_are_answered_from_the_engine(rig: Rig, payload: Payload) -> None:
    info_hash = rig.add(payload)
    rig.do(cmd.AddTrackers(info_hash, ((TRACKER, 2),)))
    rig.engine.peer_joins(info_hash, "192.0.2.1:6881")

    peers = rig.gateway.peers(info_hash)
    trackers = rig.gateway.trackers(info_hash)

    assert [(peer.address, peer.port) for peer in peers] == [("192.0.2.1", 6881)]
    assert [(tracker.url, tracker.tier) for tracker in trackers] == [(TRACKER, 2)]
    assert rig.gateway.web_seeds(info_hash) == ()
    assert len(rig.gateway.pieces(info_hash)) == len(rig.engine.pieces(info_hash)) > 0
    with pytest.raises(TorrentNotFoundError):
        rig.gateway.peers(InfoHash("f" * 40))


def test_a_hung_look_at_details_delays_no_command(tmp_path: Path, payload: Payload) -> None:
    released = threading.Event()

    class Hanging(MemoryEngine):
        def peers(self, info_hash: InfoHash) -> Any:
            released.wait(SOON_S)
            return super().peers(info_hash)

    with Rig(root=tmp_path / "out", open_engine=Hanging) as rig:
        info_hash = rig.add(payload)

        with pytest.raises(EngineDownError, match="did not answer"):
            rig.gateway.peers(info_hash, timeout_s=0.1)
        paused = rig.do(cmd.PauseTorrent(info_hash))
        released.set()

        assert paused.stop_reason is StopReason.USER
        assert rig.gateway.peers(info_hash, timeout_s=SOON_S) == ()


def engine_changes(rig: Rig) -> Iterator[tuple[int, str]]:
    """The calls that changed a torrent, in order."""
    reading = {
        *("knows", "status", "metainfo", "file_progress", "drain", "request_updates", "trackers"),
        *("request_all", "wake_fd", "global_limits", "listen_ports", "save", "flush", "web_seeds"),
        *("absent_interfaces", "set_interest", "live", "torrents", "peers", "pieces", "export"),
    }
    changes = [name for name, _ in tuple(rig.engine.calls) if name not in reading]
    return enumerate(changes)


def index_of(rig: Rig, info_hash: InfoHash, path: str) -> int:
    return next(entry.index for entry in rig.record(info_hash).files if entry.path == path)


def settle(rig: Rig, info_hash: InfoHash) -> None:
    """Wait until no file is on its way."""

    def is_settled() -> bool:
        spec = rig.record(info_hash).spec
        return not (spec.moving_to or spec.renaming)

    eventually(is_settled, within_s=SOON_S)


def test_going_back_under_the_queue_lifts_no_hold_of_a_list_that_nobody_has_judged(
    rig: Rig, tmp_path: Path
) -> None:
    hostile = make_payload(tmp_path / "seed", ".revaer", {"resume/victim.json": 70_000})
    info_hash = rig.do(cmd.AddTorrent(source=MagnetSource(hostile.magnet))).info_hash
    rig.engine.lose_next(MetadataReceived)  # it is on its way
    rig.engine.deliver_metadata(info_hash, hostile.torrent)

    with pytest.raises(PathRefusedError, match="revaer"):
        rig.do(cmd.SetForceStart(info_hash, force_start=False))

    rig.engine.progress(info_hash, 1.0)
    assert rig.engine.status(info_hash).progress == 0.0


def test_going_back_under_the_queue_follows_the_rules_for_a_list_that_just_came(
    rig: Rig, payload: Payload
) -> None:
    rules = SelectionRules.parse([("include", "*.mkv")])
    add = cmd.AddTorrent(source=MagnetSource(payload.magnet), selection=rules)
    info_hash = rig.do(add).info_hash
    rig.engine.lose_next(MetadataReceived)
    rig.engine.deliver_metadata(info_hash, payload.torrent)

    spec = rig.do(cmd.SetForceStart(info_hash, force_start=False))

    assert sorted(spec.priorities) == [0, 0, 4]
    assert rig.engine.priorities(info_hash) == spec.priorities
