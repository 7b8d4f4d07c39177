"""Ends the seeding of torrents that were shared enough.

Nothing is looked at that cannot have reached a limit since the last look: a torrent is woken by its
own clock, by an upload that reaches its ratio, by a change of what it is, may or does, and by a
change of the policy. Ten thousand idle seeds without limits cost a second nothing.
"""

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from revaer.domain import commands as cmd
from revaer.domain.errors import RevaerError, StoreDownError
from revaer.domain.facts import SpecChanged, TorrentFact
from revaer.domain.ids import InfoHash, Revision
from revaer.domain.reducer import FIELD_BITS
from revaer.domain.share_limits import (
    LimitReached,
    NextLook,
    can_reach_a_limit,
    is_limited,
    limit_reached,
    limits_of,
    next_look,
    sharing_of,
)
from revaer.domain.torrent import (
    ShareLimitAction,
    StopReason,
    TorrentRecord,
    TorrentSpec,
    TorrentState,
)
from revaer.ports.logs import logger
from revaer.runtime.session_parts import Outcome, SessionParts

log = logger(__name__)

LOOKS_PER_TICK: Final = 100
"""Each asks the engine, and may write to the store: 10,000 at once would hold the session."""
RETRY_S: Final = 30.0
"""After a torrent could not be stopped or removed for any reason but a store that is down."""
_MIN_STALE: Final = 64
_NEVER: Final = NextLook(math.inf, math.inf)

_WAKING_BITS: Final = sum(
    FIELD_BITS[name]
    for name in (
        "state",
        "phase",
        "is_verified",
        "spec.force_start",
        "spec.moving_to",
        "spec.category",
        "spec.ratio_limit",
        "spec.seeding_time_limit_s",
        "spec.inactive_seeding_time_limit_s",
    )
)
_UPLOADED_BIT: Final = FIELD_BITS["status.uploaded_bytes"]


class ShareLimitWatch:
    """Looks at what can have reached a limit, and stops or removes what has.

    A look believes the board only as far as to stay away. What is done is decided on a fresh report
    of the engine and on the spec that the session itself keeps.

    A torrent that a limit stopped and that is resumed without more is over its limit still, and is
    stopped again at the next tick, as in qBittorrent. To let it go on, give it other limits or
    force it to start.
    """

    def __init__(
        self, parts: SessionParts, execute: Callable[[cmd.TorrentCommand], Outcome]
    ) -> None:
        """Share the session's parts.

        Args:
            parts: the policy is read from their holder, where it outlives the session actor.
            execute: carries a removal out, tombstone first.
        """
        self._parts = parts
        self._execute = execute
        self._schedule = _Schedule()
        self._policy = parts.holder.share_policy
        self._revision: Revision | None = None
        # When a torrent would have begun to seed, had it never paused. The engine does not report
        # what is idle, so that this goes on where its last report ends. A moment too early costs
        # a look for nothing; one too late would let a limit pass.
        self._began: dict[InfoHash, float] = {}
        self._enough: dict[InfoHash, float] = {}

    def tick(self) -> Iterable[TorrentFact]:
        """Look at what is due, `LOOKS_PER_TICK` torrents at most, the longest overdue first."""
        self._follow_the_policy()
        self._follow_the_board()
        return self._look_at_what_is_due()

    def _follow_the_policy(self) -> None:
        policy = self._parts.holder.share_policy
        if policy is self._policy:
            return
        self._policy = policy
        for info_hash in tuple(self._began):
            record = self._parts.board.get(info_hash)
            if record is not None:
                self._plan(record)

    def _follow_the_board(self) -> None:
        board = self._parts.board
        changes = None if self._revision is None else board.changes_since(self._revision)
        if changes is None:
            self._start_over()
            return
        self._revision = changes.revision
        for info_hash in changes.removed:
            self._forget(info_hash)
        for info_hash, mask in changes.changed.items():
            is_woken = bool(mask & _WAKING_BITS)
            if not is_woken and not (mask & _UPLOADED_BIT and info_hash in self._enough):
                continue
            record = board.get(info_hash)
            if record is None:
                continue
            if is_woken:
                self._plan(record)
            elif record.status.uploaded_bytes >= self._enough[info_hash]:
                self._schedule.put(info_hash, self._parts.clock())

    def _start_over(self) -> None:
        self._revision = self._parts.board.revision  # before the records: nothing falls between
        records = self._parts.board.records()
        for info_hash in self._began.keys() - {record.info_hash for record in records}:
            self._forget(info_hash)
        for record in records:
            self._plan(record)

    def _plan(self, record: TorrentRecord) -> bool:
        """Say when to look at a torrent again; true when that is now."""
        info_hash, status, now = record.info_hash, record.status, self._parts.clock()
        if not can_reach_a_limit(record):
            self._await(info_hash, _NEVER, now)
            return False
        began = min(self._began.get(info_hash, math.inf), now - status.finished_s)
        self._began[info_hash] = began
        limits = limits_of(record.spec, self._policy)
        if not is_limited(limits):
            self._await(info_hash, _NEVER, now)
            return False
        is_waiting = record.state is TorrentState.QUEUED  # in the queue its clock stands
        seeding_s = float(status.finished_s) if is_waiting else now - began
        sharing = sharing_of(status, now=self._parts.wall_clock(), seeding_s=seeding_s)
        look = next_look(limits, sharing)
        is_due = look.within_s <= 0
        if is_waiting and not is_due:
            look = replace(look, within_s=math.inf)
        self._await(info_hash, look, now)
        return is_due

    def _await(self, info_hash: InfoHash, look: NextLook, now: float) -> None:
        if math.isinf(look.at_uploaded_bytes):
            self._enough.pop(info_hash, None)
        else:
            self._enough[info_hash] = look.at_uploaded_bytes
        if math.isinf(look.within_s):
            self._schedule.drop(info_hash)
        else:
            self._schedule.put(info_hash, now + look.within_s)

    def _forget(self, info_hash: InfoHash) -> None:
        self._schedule.drop(info_hash)
        self._began.pop(info_hash, None)
        self._enough.pop(info_hash, None)

    def _look_at_what_is_due(self) -> Iterable[TorrentFact]:
        facts: list[TorrentFact] = []
        now = self._parts.clock()
        looks = 0
        for info_hash in self._schedule.due(now):
            record = self._parts.board.get(info_hash)
            if record is None or not self._plan(record):
                continue
            if looks == LOOKS_PER_TICK:
                break  # planned for now, so that it is among the next tick's
            looks += 1
            self._schedule.drop(info_hash)
            try:
                facts += self._judge(info_hash)
            except StoreDownError as error:
                # The store's next blob says that it is well again, so there has to be one.
                self._parts.saver.trouble = str(error)
                self._parts.saver.queue((info_hash,))
                self._schedule.put(info_hash, now)
                break  # it would not take the others' either
            except RevaerError as error:
                log.warning(
                    "share_limit_not_enforced",
                    info_hash=info_hash,
                    cause=str(error),
                    retry_in_s=RETRY_S,
                )
                self._schedule.put(info_hash, now + RETRY_S)
        return facts

    def _judge(self, info_hash: InfoHash) -> tuple[TorrentFact, ...]:
        """Decide on a fresh report; a spec of which the board has not heard yet counts, too."""
        parts = self._parts
        spec = parts.roster.find(info_hash)
        if spec is None or spec.stop_reason is StopReason.USER or not parts.engine.knows(info_hash):
            return ()
        status = parts.engine.status(info_hash)
        if spec.force_start or spec.moving_to or not status.is_finished or status.error:
            return ()
        now = parts.clock()
        self._began[info_hash] = now - status.finished_s
        limits = limits_of(spec, self._policy)
        sharing = sharing_of(status, now=parts.wall_clock())
        reached = limit_reached(limits, sharing)
        if reached is None:
            self._await(info_hash, next_look(limits, sharing), now)
            return ()
        facts = self._end(spec, limits.action)
        _tell(spec, reached, limits.action)
        return facts

    def _end(self, spec: TorrentSpec, action: ShareLimitAction) -> tuple[TorrentFact, ...]:
        parts, info_hash = self._parts, spec.info_hash
        if action in (ShareLimitAction.REMOVE, ShareLimitAction.REMOVE_WITH_DATA):
            with_data = action is ShareLimitAction.REMOVE_WITH_DATA
            return self._execute(cmd.RemoveTorrent(info_hash, with_data=with_data)).facts
        stopped = replace(spec, stop_reason=StopReason.SHARE_LIMIT)
        parts.keep(stopped)
        parts.engine.pause(info_hash)
        parts.saver.request(info_hash)
        return SpecChanged(info_hash, stopped), parts.fresh(info_hash)


class _Schedule:
    """When to look at which torrent; each has one moment at most."""

    def __init__(self) -> None:
        self._due_at: dict[InfoHash, float] = {}
        self._heap: list[tuple[float, InfoHash]] = []

    def put(self, info_hash: InfoHash, at: float) -> None:
        """Look at a torrent at `at`, and no longer when it was asked for before."""
        self._due_at[info_hash] = at
        heapq.heappush(self._heap, (at, info_hash))
        self._shrink()

    def drop(self, info_hash: InfoHash) -> None:
        """Do not look at a torrent."""
        if self._due_at.pop(info_hash, None) is not None:
            self._shrink()

    def _shrink(self) -> None:
        """Forget the moments that hold no longer, once they are most of what is kept."""
        if len(self._heap) > 2 * len(self._due_at) + _MIN_STALE:
            self._heap = [(at, one) for one, at in self._due_at.items()]
            heapq.heapify(self._heap)

    def due(self, now: float) -> Iterator[InfoHash]:
        """Take out what is due now, the longest overdue first."""
        while self._heap and self._heap[0][0] <= now:
            at, info_hash = heapq.heappop(self._heap)
            if self._due_at.get(info_hash) == at:
                del self._due_at[info_hash]
                yield info_hash


def _tell(spec: TorrentSpec, reached: LimitReached, action: ShareLimitAction) -> None:
    log.info(
        "share_limit_reached",
        info_hash=spec.info_hash,
        name=spec.name,
        limit=reached.limit.value,
        value=round(reached.value, 3),
        bound=reached.bound,
        action=action.value,
    )
