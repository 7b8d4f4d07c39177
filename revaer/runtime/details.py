"""Answers what is asked of the engine on demand, beside the commands: peers, trackers, pieces."""

from collections import OrderedDict
from typing import Any, ClassVar, Final

from actors import MailboxOptions, ThreadActor
from revaer.domain.errors import RevaerError
from revaer.domain.queries import (
    DetailsQuery,
    ListPeers,
    ListPieces,
    ListTrackers,
    ListWebSeeds,
)
from revaer.ports.engine import TorrentEngine
from revaer.runtime.engine_holder import EngineHolder

FRESH_S: Final = 1.0
"""How long an answer is given again: a page that many look at costs one round trip a second."""

MAX_KEPT: Final = 200
WAITING: Final = 200
"""Questions held while an engine call hangs; whoever asked gave up after two seconds."""


class Details(ThreadActor):
    """A thread of its own: a call that waits for the engine's network thread delays no command."""

    mailbox: ClassVar[MailboxOptions] = MailboxOptions(capacity=WAITING)
    expected_errors: ClassVar[tuple[type[Exception], ...]] = (RevaerError,)

    def __init__(self, holder: EngineHolder) -> None:
        """Ask whichever engine the holder has at that moment."""
        super().__init__()
        self._holder = holder
        self._kept: OrderedDict[DetailsQuery, tuple[float, TorrentEngine, object]] = OrderedDict()

    def on_receive(self, message: Any) -> Any:
        """Every message is a question; its answer is the one its class names."""
        if not isinstance(message, DetailsQuery):
            return self.unknown(message)
        engine = self._holder.current()
        now = self.context.clock()
        kept = self._kept.get(message)
        if kept is not None:
            asked_at, source, answer = kept
            if now - asked_at < FRESH_S and source is engine:
                return answer
        answer = _ask(engine, message)
        self._keep(message, (now, engine, answer))
        return answer

    def _keep(self, query: DetailsQuery, entry: tuple[float, TorrentEngine, object]) -> None:
        """The newest stands last, so whatever is out of date stands first."""
        self._kept.pop(query, None)
        self._kept[query] = entry
        while self._kept:
            oldest, (asked_at, source, _) = next(iter(self._kept.items()))
            is_stale = entry[0] - asked_at >= FRESH_S or source is not entry[1]
            if not is_stale and len(self._kept) <= MAX_KEPT:
                break
            del self._kept[oldest]


def _ask(engine: TorrentEngine, query: DetailsQuery) -> object:
    match query:
        case ListPeers(info_hash):
            return engine.peers(info_hash)
        case ListTrackers(info_hash):
            return engine.trackers(info_hash)
        case ListWebSeeds(info_hash):
            return engine.web_seeds(info_hash)
        case ListPieces(info_hash):
            return engine.pieces(info_hash)
