"""The read model's only writer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from actors import Address, MailboxOptions, PooledActor
from revaer.domain.facts import TorrentFact
from revaer.domain.ids import InfoHash, Revision
from revaer.domain.reducer import apply
from revaer.runtime.board_table import BoardTable, RowChange
from revaer.runtime.event_hub import Publish
from revaer.runtime.messages import Republish

if TYPE_CHECKING:
    from revaer.domain.events import Event

EVENTS_PER_MESSAGE: Final = 500


@dataclass(frozen=True, slots=True)
class ApplyFacts:
    """Facts about any torrents, in order; the answer is the `Revision` that shows them."""

    facts: tuple[TorrentFact, ...]


@dataclass(frozen=True, slots=True)
class _FlushEvents:
    """Everything that was queued before this is applied: hand its events on."""


class BoardActor(PooledActor):
    """Applies facts to the table, and hands the events that follow from them to the hub.

    The table belongs to the composition and survives this actor. Events of messages that wait
    in the mailbox together go to the hub together: at 20,000 reports per second a message to
    the hub for each would cost as much as applying them.
    """

    # A coalescer whose message finds no room keeps its facts and tries again; nothing is lost.
    mailbox = MailboxOptions(capacity=20_000)

    def __init__(
        self, table: BoardTable, *, events_path: str = "events", source_path: str | None = None
    ) -> None:
        """Write `table`.

        Args:
            table: outlives this actor.
            events_path: the hub.
            source_path: who is asked to say everything again, with `Republish`, after this actor
                was restarted: facts that waited in its mailbox are gone. None for nobody.
        """
        super().__init__()
        self._table = table
        self._events_path = events_path
        self._source_path = source_path
        self._waiting: list[tuple[Event, Revision]] = []
        self._is_flush_queued = False
        self._lost_events = False

    def on_start(self) -> None:
        """After a restart, have what was lost said again."""
        self._hub: Address = self.context.address_of(self._events_path)
        if self.context.generation > 1:
            self._lost_events = True
            if self._source_path is not None:
                self.context.address_of(self._source_path).tell_or_drop(Republish())

    def on_stop(self) -> None:
        """Hand on what is left."""
        self._flush()

    def on_receive(self, message: Any) -> Revision | None:
        """Take an `ApplyFacts`."""
        if isinstance(message, ApplyFacts):
            return self._apply(message.facts)
        if isinstance(message, _FlushEvents):
            self._is_flush_queued = False
            self._flush()
            return None
        return self.unknown(message)

    def _apply(self, facts: Iterable[TorrentFact]) -> Revision:
        changes: list[RowChange] = []
        events: list[Event] = []
        # All of it is decided before any of it is shown: a fact that cannot be applied must
        # not leave half a batch behind.
        for info_hash, of_torrent in by_torrent(facts).items():
            applied = apply(self._table.get(info_hash), of_torrent)
            events += applied.events
            if applied.mask:
                changes.append(RowChange(info_hash, applied.record, applied.mask))
        revision = self._table.commit(changes)
        if events:
            self._waiting += [(event, revision) for event in events]
            self._flush_soon()
        return revision

    def _flush_soon(self) -> None:
        if len(self._waiting) >= EVENTS_PER_MESSAGE:
            self._flush()
        elif not self._is_flush_queued:
            self._is_flush_queued = self.context.address.tell_or_drop(_FlushEvents())
            if not self._is_flush_queued:
                self._flush()

    def _flush(self) -> None:
        events, self._waiting = self._waiting, []
        if events:
            accepted = self._hub.tell_or_drop(Publish(tuple(events), self._lost_events))
            self._lost_events = not accepted


def by_torrent(facts: Iterable[TorrentFact]) -> dict[InfoHash, list[TorrentFact]]:
    """Group facts, keeping the order of each torrent's own."""
    groups: dict[InfoHash, list[TorrentFact]] = {}
    for fact in facts:
        group = groups.get(fact.info_hash)
        if group is None:
            groups[fact.info_hash] = [fact]
        else:
            group.append(fact)
    return groups
