"""Waits for the engine's alerts, drains them, and routes the facts: one hop to whoever acts."""

import select
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from actors import Address, ChildState, LoopActor, MailboxFull, StartChild, Unavailable
from revaer.domain import facts as f
from revaer.runtime.board import ApplyFacts
from revaer.runtime.engine_holder import EngineHolder
from revaer.runtime.messages import EngineReported
from revaer.runtime.progress import TorrentFacts
from revaer.runtime.routing import is_worth_a_coalescer, route

if TYPE_CHECKING:
    from revaer.domain.ids import InfoHash
    from revaer.ports.engine import TorrentEngine

BOARD_PATH = "board"
SESSION_PATH = "engine.session"
COALESCERS_PATH = "engine.coalescers"

ACTIVE_PERIOD_S = 0.1
IDLE_PERIOD_S = 0.5
FACTS_PER_MESSAGE = 500
MAX_BACKLOG = 10_000
"""Batches held for a session that does not take them; past it the session is told to catch up."""

_NOBODY_THERE = frozenset({ChildState.BACKING_OFF, ChildState.FAILED})


class AlertPump(LoopActor):
    """The only caller of `drain`; asks for status updates ten times a second while things move."""

    def __init__(self, holder: EngineHolder) -> None:
        """The engine is looked up when the actor starts: the session opened it before."""
        super().__init__()
        self._holder = holder

    def on_start(self) -> None:
        """Pop before the first wait: a dead predecessor may have consumed the wake-up byte."""
        self._engine: TorrentEngine = self._holder.current()
        self._session: Address = self.context.address_of(SESSION_PATH)
        self._board: Address = self.context.address_of(BOARD_PATH)
        self._coalescers: Address = self.context.address_of(COALESCERS_PATH)
        self._active: dict[InfoHash, Address] = {}
        self._backlog: deque[EngineReported] = deque()
        self._poller = select.poll()
        self._poller.register(self._engine.wake_fd(), select.POLLIN)
        self._watched_wake = -1
        self._next_request = 0.0
        self._period_s = ACTIVE_PERIOD_S
        if self.context.generation > 1:  # what a predecessor had drained died with it
            self._backlog.append(EngineReported((f.AlertsDropped(),)))
        self._pump()

    def step(self, wake: int, deadline: float) -> None:
        """Wait for alerts, a message or the next request, whichever comes first."""
        if wake != self._watched_wake:
            self._poller.register(wake, select.POLLIN)
            self._watched_wake = wake
        now = time.monotonic()
        if now >= self._next_request:
            self._engine.request_updates()
            self._next_request = now + self._period_s
        until = min(deadline, self._next_request)
        self._poller.poll(max(0.0, until - now) * 1000)
        self._pump()

    def _pump(self) -> None:
        facts = self._engine.drain()
        self._period_s = ACTIVE_PERIOD_S if facts else IDLE_PERIOD_S
        if facts:
            self._send(facts)
        self._deliver_backlog()

    def _send(self, facts: Sequence[f.Fact]) -> None:
        routes = route(facts, self._active)
        for info_hash, gathered in routes.coalescers.items():
            self._tell_coalescer(TorrentFacts(info_hash, tuple(gathered)))
        self._tell_board(routes.board)
        if routes.session:
            self._tell_session(EngineReported(tuple(routes.session)))

    def _tell_coalescer(self, message: TorrentFacts) -> None:
        """Hand facts to the torrent's coalescer, by way of its supervisor when it has none yet.

        A coalescer that went to sleep is woken by what is worth one; one that died or is flooded is
        passed by, so that its torrent still shows what happens.
        """
        address = self._active.get(message.info_hash)
        if address is not None:
            try:
                address.tell(message)
            except Unavailable as error:
                if error.state in _NOBODY_THERE:
                    self._tell_board(message.facts)
                    return
                if error.state != ChildState.STARTING:
                    del self._active[message.info_hash]  # it went to sleep
                    if not is_worth_a_coalescer(message.facts):
                        self._tell_board(message.facts)
                        return
            except MailboxFull:
                self._tell_board(message.facts)
                return
            else:
                return
        start = StartChild(message.info_hash, first_message=message)
        if not self._coalescers.tell_or_drop(start):
            self._tell_board(message.facts)
            return
        self._active[message.info_hash] = self.context.address_of(
            f"{COALESCERS_PATH}.{message.info_hash}"
        )

    def _tell_board(self, facts: Sequence[f.TorrentFact]) -> None:
        for start in range(0, len(facts), FACTS_PER_MESSAGE):
            self._board.tell_or_drop(ApplyFacts(tuple(facts[start : start + FACTS_PER_MESSAGE])))

    def _tell_session(self, message: EngineReported) -> None:
        """What the session must act upon waits here while it cannot take it."""
        self._backlog.append(message)
        if len(self._backlog) > MAX_BACKLOG:
            self._backlog.clear()
            self._backlog.append(EngineReported((f.AlertsDropped(),)))
        self._deliver_backlog()

    def _deliver_backlog(self) -> None:
        while self._backlog:
            if not self._session.tell_or_drop(self._backlog[0]):
                return
            self._backlog.popleft()
