"""Is what was shared enough ended, once, for the right reason, and is nothing else looked at?

The watch over the memory engine, store and board, on a clock that is moved by hand.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from revaer.adapters.memory.engine import MemoryEngine
from revaer.adapters.memory.payload import MemoryPayload
from revaer.adapters.memory.resume_store import MemoryResumeStore
from revaer.domain import facts as f
from revaer.domain.commands import RemoveTorrent, TorrentCommand
from revaer.domain.errors import ConflictError, EngineDownError
from revaer.domain.events import Event
from revaer.domain.ids import EpochSeconds, InfoHash, Revision
from revaer.domain.paths import PathPolicy
from revaer.domain.reducer import apply
from revaer.domain.share_limits import ShareLimitPolicy, ShareLimits
from revaer.domain.torrent import (
    Activity,
    Fault,
    FaultCode,
    ShareLimitAction,
    StopReason,
    TorrentRecord,
    TorrentSpec,
    TorrentState,
    TorrentStatus,
)
from revaer.ports.board import BoardChanges
from revaer.ports.engine import EngineSettings, EngineTorrent
from revaer.runtime.board_table import BoardTable, RowChange
from revaer.runtime.command_desk import CommandDesk
from revaer.runtime.component_health import ComponentHealth
from revaer.runtime.engine_holder import EngineHolder
from revaer.runtime.saver import Saver
from revaer.runtime.session_parts import Outcome, SessionParts
from revaer.runtime.share_limit_watch import LOOKS_PER_TICK, RETRY_S, ShareLimitWatch
from tests.support.swarm import Payload, make_payload

SIZE = 100_000
EPOCH = 1_800_000_000
SAVE_PATH = "/data"
MANY = 10_000


class CountingBoard(BoardTable):
    """A board that counts how often somebody looks at a record."""

    looks = 0

    def get(self, info_hash: str) -> TorrentRecord | None:
        self.looks += 1
        return super().get(info_hash)

    def records(self) -> Sequence[TorrentRecord]:
        records = super().records()
        self.looks += len(records)
        return records

    def show(self, *facts: f.TorrentFact) -> None:
        """What the board's actor does."""
        by_torrent: dict[InfoHash, list[f.TorrentFact]] = {}
        for fact in facts:
            by_torrent.setdefault(fact.info_hash, []).append(fact)
        applied = {
            one: apply(super(CountingBoard, self).get(one), of) for one, of in by_torrent.items()
        }
        self.commit(RowChange(one, done.record, done.mask) for one, done in applied.items())


class ForgetfulBoard(CountingBoard):
    """A board whose journal never reaches back far enough."""

    def changes_since(self, revision: Revision) -> BoardChanges | None:
        return None


@dataclass
class World:
    """A session without its actor, and the time."""

    board: CountingBoard = field(default_factory=CountingBoard)
    settings: EngineSettings = field(default_factory=EngineSettings)
    now_s: float = 1_000.0
    commands: list[TorrentCommand] = field(default_factory=list)
    announced: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.disk = MemoryPayload()
        self.engine = MemoryEngine(self.settings, on_disk=self.disk, starts_at=EPOCH)
        self.store = MemoryResumeStore()
        self.holder = EngineHolder(lambda _: self.engine, self.settings)
        self.parts = SessionParts(
            engine=self.engine,
            holder=self.holder,
            store=self.store,
            policy=PathPolicy(roots=(SAVE_PATH,), default=SAVE_PATH),
            files=self.disk,
            board=self.board,
            wall_clock=lambda: EPOCH + self.now_s - 1_000.0,
            clock=lambda: self.now_s,
            health=ComponentHealth(self.announced.append),
            publish=lambda *events: self.announced.extend(events),
            saver=Saver(self.engine, self.store, lambda: self.now_s),
        )
        self.desk = CommandDesk(self.parts)
        self.watch = self.new_watch()

    def new_watch(self) -> ShareLimitWatch:
        self.watch = ShareLimitWatch(self.parts, self._execute)
        return self.watch

    def _execute(self, command: TorrentCommand) -> Outcome:
        self.commands.append(command)
        return self.desk.execute(command)

    def seed(self, payload: Payload, **spec: Any) -> InfoHash:
        """Add a torrent and have all of it."""
        info_hash = self.add(payload, **spec)
        self.engine.finish(info_hash)
        self.engine.flush(info_hash)
        self.report()
        self.board.show(f.PayloadVerified(info_hash, self.parts.now()))
        return info_hash

    def add(self, payload: Payload, **options: Any) -> InfoHash:
        info_hash = InfoHash(payload.info_hash)
        spec = TorrentSpec(
            info_hash=info_hash,
            infohash_v1=payload.infohash_v1,
            name=payload.name,
            save_path=SAVE_PATH,
            added_at=self.parts.now(),
            **options,
        )
        self.parts.keep(spec, payload.torrent)
        metainfo = self.engine.add(EngineTorrent(spec=spec, metainfo_data=payload.torrent))
        self.board.show(f.TorrentKnown(info_hash, spec, metainfo, f.Origin.ADDED))
        self.report()
        return info_hash

    def change(self, info_hash: InfoHash, **changes: Any) -> None:
        """What a command does to a spec."""
        spec = replace(self.parts.roster.get(info_hash), **changes)
        self.parts.keep(spec)
        self.board.show(f.SpecChanged(info_hash, spec), self.parts.fresh(info_hash))

    def report(self) -> None:
        """Let the board hear what the engine reports of what changed."""
        self.engine.request_updates()
        self.board.show(
            *(fact for fact in self.engine.drain() if isinstance(fact, f.StatusReported))
        )

    def upload(self, info_hash: InfoHash, size_bytes: int) -> None:
        self.engine.upload(info_hash, size_bytes)
        self.report()

    def wait(self, seconds: float) -> None:
        """Let time pass in which the engine, as libtorrent, reports nothing of what is idle."""
        self.now_s += seconds
        self.engine.advance(seconds)

    def tick(self) -> tuple[f.TorrentFact, ...]:
        facts = tuple(self.watch.tick())
        self.board.show(*facts)
        return facts

    def looks_in_a_tick(self) -> int:
        before = self.board.looks
        self.tick()
        return self.board.looks - before

    def engine_calls_in_a_tick(self, name: str) -> int:
        self.engine.calls.clear()
        self.tick()
        return sum(called == name for called, _ in self.engine.calls)

    def state(self, info_hash: InfoHash) -> TorrentState | None:
        record = self.board.get(info_hash)
        return None if record is None else record.state

    def limit_everything(self, **limits: Any) -> None:
        self.holder.remember_share_policy(ShareLimitPolicy(everything=ShareLimits(**limits)))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "film.mkv", SIZE)


@pytest.fixture
def other(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "other.mkv", SIZE)


seeding, completed = TorrentState.SEEDING, TorrentState.COMPLETED

# --- the three limits


def test_a_ratio_of_0_ends_a_torrent_as_soon_as_it_is_complete(
    world: World, payload: Payload
) -> None:
    info_hash = world.add(payload, ratio_limit=0.0)
    world.tick()
    running = world.parts.roster.get(info_hash).stop_reason

    world.engine.finish(info_hash)
    world.report()
    world.tick()
    unverified = world.parts.roster.get(info_hash).stop_reason
    world.board.show(f.PayloadVerified(info_hash, world.parts.now()))
    world.tick()

    assert (running, unverified) == (StopReason.NONE, StopReason.NONE)
    assert world.state(info_hash) is completed


def test_a_ratio_is_reached_by_the_byte_that_makes_it(world: World, payload: Payload) -> None:
    info_hash = world.seed(payload, ratio_limit=1.5)
    world.tick()

    world.upload(info_hash, int(1.5 * SIZE) - 1)
    world.tick()
    short = world.state(info_hash)
    world.upload(info_hash, 1)
    world.tick()

    assert short is seeding
    assert world.state(info_hash) is completed


def test_a_seeding_time_ends_an_idle_torrent_of_which_nothing_is_reported(
    world: World, payload: Payload
) -> None:
    info_hash = world.seed(payload, seeding_time_limit_s=100)
    world.tick()

    world.wait(99)
    world.tick()
    short = world.state(info_hash)
    world.wait(1)
    world.tick()

    assert short is seeding
    assert world.state(info_hash) is completed


def test_an_upload_puts_the_inactive_limit_off(world: World, payload: Payload) -> None:
    info_hash = world.seed(payload, inactive_seeding_time_limit_s=100)
    world.tick()

    world.wait(90)
    world.upload(info_hash, 1)
    world.tick()
    world.wait(99)
    world.tick()
    short = world.state(info_hash)
    world.wait(1)
    world.tick()

    assert short is seeding
    assert world.state(info_hash) is completed


def test_time_in_which_a_torrent_is_paused_is_not_seeding_time(
    world: World, payload: Payload
) -> None:
    info_hash = world.seed(payload, seeding_time_limit_s=100)
    world.tick()
    world.wait(50)

    world.board.show(*world.desk._pause(info_hash).facts)
    world.tick()
    world.wait(1_000)
    world.tick()
    world.board.show(*world.desk._resume(info_hash).facts)
    looks = [world.engine_calls_in_a_tick("status") for _ in range(2)]
    world.change(info_hash, category="films")
    looks.append(world.engine_calls_in_a_tick("status"))
    world.wait(49)
    world.tick()
    short = world.state(info_hash)
    world.wait(1)
    world.tick()

    assert looks == [1, 0, 0]  # to learn that its clock stood meanwhile
    assert short is seeding
    assert world.state(info_hash) is completed


def test_the_clock_of_a_torrent_that_waits_for_its_turn_stands(
    payload: Payload, other: Payload
) -> None:
    world = World(settings=EngineSettings(active_seeds=1))
    ids = [world.seed(one) for one in (payload, other)]
    world.report()
    (waiting,) = (one for one in ids if world.state(one) is TorrentState.QUEUED)
    world.tick()
    world.wait(60)
    world.change(waiting, seeding_time_limit_s=60)
    world.tick()

    world.wait(1_000)
    looks = world.looks_in_a_tick()

    assert looks == 0
    assert world.state(waiting) is TorrentState.QUEUED


def test_a_torrent_that_waits_for_its_turn_may_have_had_enough(
    payload: Payload, other: Payload
) -> None:
    world = World(settings=EngineSettings(active_seeds=1))
    world.seed(payload)
    waiting = world.add(other, ratio_limit=0.0)
    world.engine.finish(waiting)
    world.engine.flush(waiting)
    world.report()
    world.tick()
    unverified = world.state(waiting)

    world.board.show(f.PayloadVerified(waiting, world.parts.now()))
    world.tick()

    assert unverified is TorrentState.QUEUED
    assert world.state(waiting) is completed


# --- what is done


def test_a_stopped_torrent_is_stored_and_stands_still(world: World, payload: Payload) -> None:
    info_hash = world.seed(payload, ratio_limit=0.0)

    with capture_logs() as logs:
        saved = world.engine_calls_in_a_tick("save")

    assert saved == 1
    stored = world.store.load().torrents[0].spec
    assert stored.stop_reason is StopReason.SHARE_LIMIT
    assert world.engine.status(info_hash).is_paused
    assert not world.engine.status(info_hash).is_auto_managed
    assert [log for log in logs if log["event"] == "share_limit_reached"] == [
        {
            "event": "share_limit_reached",
            "log_level": "info",
            "info_hash": info_hash,
            "name": "film.mkv",
            "limit": "ratio",
            "value": 0.0,
            "bound": 0.0,
            "action": "stop",
        }
    ]
    assert world.tick() == ()


@pytest.mark.parametrize(
    ("action", "with_data"),
    [(ShareLimitAction.REMOVE, False), (ShareLimitAction.REMOVE_WITH_DATA, True)],
)
def test_a_removal_is_the_command_that_a_user_would_give(
    world: World, payload: Payload, action: ShareLimitAction, *, with_data: bool
) -> None:
    info_hash = world.seed(payload, seeding_time_limit_s=10, share_limit_action=action)
    world.tick()
    world.wait(10)

    world.tick()

    assert world.commands == [RemoveTorrent(info_hash, with_data=with_data)]
    assert world.state(info_hash) is None
    assert not world.store.known()
    assert (world.disk.size_bytes(SAVE_PATH, "film.mkv") is None) is with_data


def test_the_action_counts_that_is_set_when_the_limit_is_reached(
    world: World, payload: Payload
) -> None:
    info_hash = world.seed(payload, seeding_time_limit_s=10)
    world.tick()
    world.change(info_hash, share_limit_action=ShareLimitAction.REMOVE)
    world.wait(10)

    world.tick()

    assert world.commands == [RemoveTorrent(info_hash)]


# --- who decides


def test_the_policy_is_followed_when_it_changes(
    world: World, payload: Payload, other: Payload
) -> None:
    ended = world.seed(payload, category="tv")
    kept = world.seed(other)
    world.tick()
    world.wait(500)
    world.tick()

    world.holder.remember_share_policy(
        ShareLimitPolicy(
            everything=ShareLimits(seeding_time_s=501),
            categories={"tv": ShareLimits(seeding_time_s=500)},
        )
    )
    world.tick()

    assert (world.state(ended), world.state(kept)) == (completed, seeding)
    world.wait(1)
    world.tick()
    assert world.state(kept) is completed


@pytest.mark.parametrize(
    "change",
    [
        {"ratio_limit": 0.0},
        {"seeding_time_limit_s": 60},
        {"inactive_seeding_time_limit_s": 60},
        {"category": "tv"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_limits_given_to_a_torrent_that_seeds_count_from_now_on(
    world: World, payload: Payload, change: dict[str, Any]
) -> None:
    world.holder.remember_share_policy(
        ShareLimitPolicy(categories={"tv": ShareLimits(seeding_time_s=60)})
    )
    info_hash = world.seed(payload)
    world.tick()
    world.wait(60)
    world.tick()
    before = world.state(info_hash)

    world.change(info_hash, **change)
    world.tick()

    assert before is seeding
    assert world.state(info_hash) is completed


def test_a_limit_that_is_taken_back_in_time_ends_nothing(world: World, payload: Payload) -> None:
    info_hash = world.seed(payload, seeding_time_limit_s=10, ratio_limit=1.0)
    world.tick()

    world.change(info_hash, seeding_time_limit_s=-1, ratio_limit=-1.0)
    world.tick()
    world.wait(10)
    world.upload(info_hash, SIZE)
    looks = world.looks_in_a_tick()

    assert looks == 0
    assert world.state(info_hash) is seeding


def test_a_limit_that_is_raised_in_time_ends_nothing_yet(world: World, payload: Payload) -> None:
    info_hash = world.seed(payload, seeding_time_limit_s=10)
    world.tick()

    world.change(info_hash, seeding_time_limit_s=20)
    world.tick()
    world.wait(19)
    looks = world.looks_in_a_tick()
    world.wait(1)
    world.tick()

    assert looks == 0
    assert world.state(info_hash) is completed


def test_a_paused_torrent_is_not_looked_at(world: World, payload: Payload) -> None:
    info_hash = world.seed(payload, seeding_time_limit_s=10, ratio_limit=1.0)
    world.tick()
    world.board.show(*world.desk._pause(info_hash).facts)
    world.tick()

    world.wait(10)

    assert world.looks_in_a_tick() == 0


def test_a_forced_torrent_is_never_ended_until_it_is_forced_no_more(
    world: World, payload: Payload
) -> None:
    info_hash = world.seed(payload, ratio_limit=0.0, force_start=True)
    world.tick()
    forced = world.state(info_hash)

    world.change(info_hash, force_start=False)
    world.tick()

    assert forced is seeding
    assert world.state(info_hash) is completed


def test_a_torrent_that_moves_is_ended_when_it_has_arrived(world: World, payload: Payload) -> None:
    action = ShareLimitAction.REMOVE_WITH_DATA
    info_hash = world.seed(
        payload, ratio_limit=0.0, share_limit_action=action, moving_to="/data/there"
    )
    world.tick()
    moving = world.state(info_hash)

    world.change(info_hash, moving_to="")
    world.tick()

    assert moving is seeding
    assert world.state(info_hash) is None


def test_the_engine_s_word_that_files_move_is_enough(world: World, payload: Payload) -> None:
    info_hash = world.seed(payload)
    arrived = world.parts.fresh(info_hash).status
    world.board.show(f.StatusReported(info_hash, arrived._replace(is_moving=True)))
    world.limit_everything(ratio=0.0)
    world.tick()
    moving = world.state(info_hash)

    world.board.show(f.StatusReported(info_hash, arrived))
    world.tick()

    assert moving is seeding
    assert world.state(info_hash) is completed


def test_a_torrent_in_trouble_is_not_called_completed(world: World, payload: Payload) -> None:
    info_hash = world.seed(payload, seeding_time_limit_s=10)
    world.tick()
    world.board.show(f.FaultRaised(info_hash, Fault(FaultCode.UNWRITABLE, "planted")))
    world.wait(10)
    world.tick()
    troubled = world.state(info_hash)

    world.board.show(f.FaultCleared(info_hash))
    world.tick()

    assert troubled is TorrentState.ERROR
    assert world.state(info_hash) is completed


def test_a_pause_that_the_board_has_not_heard_of_is_respected(
    world: World, payload: Payload
) -> None:
    info_hash = world.seed(payload, ratio_limit=0.0)
    world.desk._pause(info_hash)  # the board is away

    assert world.tick() == ()
    assert world.parts.roster.get(info_hash).stop_reason is StopReason.USER


@pytest.mark.parametrize("change", [{"force_start": True}, {"moving_to": "/data/there"}], ids=str)
def test_a_change_that_the_board_has_not_heard_of_is_respected(
    world: World, payload: Payload, change: dict[str, Any]
) -> None:
    info_hash = world.seed(payload, ratio_limit=0.0)
    world.parts.keep(replace(world.parts.roster.get(info_hash), **change))  # the board is away

    world.tick()

    assert world.parts.roster.get(info_hash).stop_reason is StopReason.NONE


def test_trouble_that_the_board_has_not_heard_of_keeps_a_torrent_from_being_completed(
    world: World, payload: Payload
) -> None:
    info_hash = world.seed(payload, ratio_limit=0.0)
    world.engine.fail(info_hash, Fault(FaultCode.ENGINE, "planted"))

    world.tick()

    assert world.parts.roster.get(info_hash).stop_reason is StopReason.NONE


# --- resumed, restarted


def test_a_torrent_that_is_resumed_over_its_limit_is_stopped_again(
    world: World, payload: Payload
) -> None:
    info_hash = world.seed(payload, ratio_limit=0.0)
    world.tick()

    world.board.show(*world.desk._resume(info_hash).facts)
    resumed = world.state(info_hash)
    world.tick()

    assert resumed is seeding
    assert world.state(info_hash) is completed


def test_a_torrent_that_is_resumed_with_a_higher_limit_goes_on(
    world: World, payload: Payload
) -> None:
    info_hash = world.seed(payload, ratio_limit=0.0)
    world.tick()

    world.change(info_hash, ratio_limit=1.0)
    world.board.show(*world.desk._resume(info_hash).facts)
    world.tick()
    resumed = world.state(info_hash)
    world.upload(info_hash, SIZE)
    world.tick()

    assert resumed is seeding
    assert world.state(info_hash) is completed


def test_a_successor_goes_on_where_its_predecessor_died(world: World, payload: Payload) -> None:
    world.limit_everything(seeding_time_s=100)
    info_hash = world.seed(payload)
    world.tick()
    world.wait(60)

    world.new_watch()
    world.board.show(world.parts.fresh(info_hash))  # as every adoption does
    world.tick()
    world.wait(39)
    world.tick()
    short = world.state(info_hash)
    world.wait(1)
    world.tick()

    assert short is seeding
    assert world.state(info_hash) is completed


def test_a_board_that_cannot_say_what_changed_is_read_anew(payload: Payload) -> None:
    world = World(ForgetfulBoard())
    info_hash = world.seed(payload, seeding_time_limit_s=100)
    gone = InfoHash("e" * 40)
    world.board.show(*idle_seed(gone, seeding_time_limit_s=100))
    world.tick()
    world.board.show(f.TorrentForgotten(gone, with_data=False))

    world.wait(60)
    world.tick()
    world.wait(40)
    world.tick()

    assert world.state(info_hash) is completed
    assert gone not in world.watch._began


# --- when something does not work


def test_nothing_happens_while_the_store_is_down_and_all_of_it_after(
    world: World, payload: Payload, other: Payload
) -> None:
    stopped = world.seed(payload, ratio_limit=0.0)
    removed = world.seed(
        other, ratio_limit=0.0, share_limit_action=ShareLimitAction.REMOVE_WITH_DATA
    )
    world.store.go_down("planted")

    with capture_logs() as logs:
        for _ in range(3):
            world.tick()
            world.wait(1)
    down = (world.state(stopped), world.state(removed), world.engine.status(stopped).is_paused)
    trouble = world.parts.saver.trouble
    world.store.come_back()
    world.tick()

    assert down == (seeding, seeding, False)
    assert not [log for log in logs if log["event"] == "share_limit_reached"]
    assert "planted" in trouble
    assert world.state(stopped) is completed
    assert world.state(removed) is None
    assert world.store.known() == {stopped}


def test_the_store_is_asked_once_per_tick_while_it_is_down(
    world: World, payload: Payload, other: Payload
) -> None:
    world.seed(payload, ratio_limit=0.0)
    world.seed(other, ratio_limit=0.0)
    world.store.go_down("planted")
    world.engine.calls.clear()

    world.tick()

    asked = [name for name, _ in world.engine.calls if name == "status"]
    assert len(asked) == 1
    assert world.parts.saver.unsaved == 1  # whose blob will say that the store is back


def test_a_stop_that_the_engine_did_not_hear_of_is_made_good(
    world: World, payload: Payload
) -> None:
    info_hash = world.seed(payload, ratio_limit=0.0)
    world.engine.fail_next("pause", EngineDownError("planted"))

    world.tick()
    stored = world.store.load().torrents[0].spec.stop_reason
    running = world.engine.status(info_hash).is_paused
    world.wait(RETRY_S - 1)
    world.tick()
    waiting = world.engine.status(info_hash).is_paused
    world.wait(1)
    world.tick()

    assert stored is StopReason.SHARE_LIMIT
    assert (running, waiting) == (False, False)
    assert world.engine.status(info_hash).is_paused
    assert world.state(info_hash) is completed


def test_one_that_cannot_be_ended_keeps_none_of_the_others(
    world: World, payload: Payload, other: Payload
) -> None:
    stuck = world.seed(payload, ratio_limit=0.0)
    ended = world.seed(other, ratio_limit=0.0)
    world.engine.fail_next("status", ConflictError("planted"))

    with capture_logs() as logs:
        world.tick()

    states = {world.state(stuck), world.state(ended)}
    assert states == {seeding, completed}
    assert [log["cause"] for log in logs if log["event"] == "share_limit_not_enforced"] == [
        "planted"
    ]
    world.wait(RETRY_S)
    world.tick()
    assert {world.state(stuck), world.state(ended)} == {completed}


# --- what it costs


def idle_seed(info_hash: InfoHash, **spec: Any) -> Iterable[f.TorrentFact]:
    """A torrent as the board shows it; no engine knows it."""
    yield f.TorrentKnown(
        info_hash,
        TorrentSpec(
            info_hash=info_hash,
            name="idle",
            save_path=SAVE_PATH,
            added_at=EpochSeconds(EPOCH),
            **spec,
        ),
        None,
        f.Origin.RESTORED,
    )
    yield report_of(info_hash, 1)
    yield f.PayloadVerified(info_hash, EpochSeconds(EPOCH))


def report_of(info_hash: InfoHash, sequence: int, **status: Any) -> f.StatusReported:
    return f.StatusReported(
        info_hash,
        TorrentStatus(
            info_hash,
            sequence=sequence,
            activity=Activity.SEEDING,
            is_finished=True,
            has_metadata=True,
            done_bytes=SIZE,
            downloaded_bytes=SIZE,
            **status,
        ),
    )


def many_seeds(world: World, **spec: Any) -> list[InfoHash]:
    ids = [InfoHash(f"{number:040x}") for number in range(MANY)]
    world.board.show(*(fact for one in ids for fact in idle_seed(one, **spec)))
    world.tick()
    return ids


def everyone(
    ids: Sequence[InfoHash], report: Callable[[InfoHash], f.TorrentFact]
) -> Iterable[f.TorrentFact]:
    return (report(info_hash) for info_hash in ids)


def test_idle_seeds_without_limits_are_never_looked_at(world: World) -> None:
    ids = many_seeds(world)

    idle = world.looks_in_a_tick()
    world.now_s += 100_000
    much_later = world.looks_in_a_tick()
    world.board.show(*everyone(ids, lambda one: report_of(one, 2, finished_s=9, upload_rate=9)))
    reported = world.looks_in_a_tick()
    world.board.show(*everyone(ids, lambda one: report_of(one, 3, uploaded_bytes=10 * SIZE)))
    uploaded = world.looks_in_a_tick()

    assert (idle, much_later, reported, uploaded) == (0, 0, 0, 0)


def test_idle_seeds_with_limits_are_looked_at_when_their_time_has_come(world: World) -> None:
    ids = many_seeds(world, ratio_limit=2.0, seeding_time_limit_s=1_000)

    idle = world.looks_in_a_tick()
    world.now_s += 999
    early = world.looks_in_a_tick()
    world.board.show(*everyone(ids, lambda one: report_of(one, 2, finished_s=999)))
    reported = world.looks_in_a_tick()
    world.board.show(report_of(ids[7], 3, uploaded_bytes=SIZE))
    one_uploaded = world.looks_in_a_tick()

    assert (idle, early, reported, one_uploaded) == (0, 0, 0, 1)


def test_uploads_of_all_do_not_put_off_the_looks_one_by_one(world: World) -> None:
    """Each upload moves the inactive limit, and none of them is worth a look."""
    ids = many_seeds(world, inactive_seeding_time_limit_s=1_000)
    looks = 0
    for sequence in range(2, 6):
        world.now_s += 100
        now = EpochSeconds(EPOCH + int(world.now_s) - 1_000)
        world.board.show(
            *everyone(
                ids,
                lambda one, n=sequence, at=now: report_of(  # type: ignore[misc]
                    one, n, finished_s=n * 100, uploaded_bytes=n, last_upload_at=at
                ),
            )
        )
        looks += world.looks_in_a_tick()

    assert looks == 0


def test_a_tick_ends_no_more_than_it_can_and_the_next_one_goes_on(tmp_path: Path) -> None:
    world = World()
    payloads = [
        make_payload(tmp_path / "seed", f"film-{number}.mkv", 1)
        for number in range(LOOKS_PER_TICK + 3)
    ]
    ids = [world.seed(one, ratio_limit=0.0) for one in payloads]

    world.tick()
    first = sum(world.state(one) is completed for one in ids)
    world.tick()

    assert first == LOOKS_PER_TICK
    assert {world.state(one) for one in ids} == {completed}


def test_torrents_that_come_and_go_leave_nothing_behind(world: World) -> None:
    world.tick()
    for number in range(1_000):
        info_hash = InfoHash(f"{number:040x}")
        world.board.show(*idle_seed(info_hash, ratio_limit=9.0, seeding_time_limit_s=10**9))
        world.tick()
        world.board.show(f.TorrentForgotten(info_hash, with_data=False))
        world.tick()

    watch = world.watch
    assert not watch._began
    assert not watch._enough
    assert not watch._schedule._due_at
    assert len(watch._schedule._heap) < 100
