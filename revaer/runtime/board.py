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
from revaer.runtime.intake import FactIntake
from revaer.runtime.messages import Republish

if TYPE_CHECKING:
    from revaer.domain.events import Event

EVENTS_PER_MESSAGE: Final = 64
FACTS_PER_TURN: Final = 64
"""Taken from the intake at a time: some three milliseconds of a worker."""


@dataclass(frozen=True, slots=True)
class ApplyFacts:
    """Facts about any torrents, in order; the answer is the `Revision` that shows them."""

    facts: tuple[TorrentFact, ...]

    if TYPE_CHECKING:

        @property
        def __answer__(self) -> Revision:
            """What an ask is answered with; only a type checker looks."""


@dataclass(frozen=True, slots=True)
class TakeIn:
    """The intake holds facts. Sent by whoever offers to it and is told that nobody else did."""


@dataclass(frozen=True, slots=True)
class _FlushEvents:
    """Everything that was queued before this is applied: hand its events on."""


class BoardActor(PooledActor):
    """Applies facts to the table, and hands the events that follow from them to the hub.

    The table belongs to the composition and survives this actor. Events of messages that wait
    in the mailbox together go to the hub together: at 20,000 reports per second a message to
    the hub for each would cost as much as applying them.
    """

    mailbox = MailboxOptions(capacity=10_000)

    def __init__(
        self,
        table: BoardTable,
        *,
        intake: FactIntake | None = None,
        events_path: str = "events",
        source_path: str | None = None,
    ) -> None:
        """Write `table`.

        Args:
            table: outlives this actor.
            intake: where the coalescers' facts wait; outlives this actor. None: they are told.
            events_path: the hub.
            source_path: who is asked to say everything again, with `Republish`, after this actor
                was restarted: facts that waited in its mailbox are gone. None for nobody.
        """
        super().__init__()
        self._table = table
        self._intake = intake if intake is not None else FactIntake()
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
        # A wake-up that was on its way died with the predecessor's mailbox.
        self._intake.not_woken()
        self._wake_for_the_rest()

    def on_stop(self) -> None:
        """Hand on what is left."""
        self._flush()

    def on_receive(self, message: Any) -> Revision | None:
        """Take an `ApplyFacts` or a `TakeIn`."""
        # What waits in the intake came first, and a wake-up that found no room is made up for.
        self._take_in()
        if isinstance(message, ApplyFacts):
            return self._apply(message.facts)
        if isinstance(message, TakeIn):
            return None
        if isinstance(message, _FlushEvents):
            self._is_flush_queued = False
            self._flush()
            return None
        return self.unknown(message)

    def _take_in(self) -> None:
        if self._intake:
            self._apply(self._intake.take(FACTS_PER_TURN))
            self._wake_for_the_rest()

    def _wake_for_the_rest(self) -> None:
        # Behind the messages that wait already, so that an ask is not kept waiting by a flood.
        if self._intake.wants_wake_up() and not self.context.address.tell_or_drop(TakeIn()):
            self._intake.not_woken()

    def _apply(self, facts: Iterable[TorrentFact]) -> Revision:
        changes: list[RowChange] = []
        events: list[Event] = []
        # All of it is decided before any of it is shown: a fact that cannot be applied must
        # not leave half a batch behind.
        for info_hash, of_torrent in by_torrent(facts).items():
            applied = apply(self._table.get(info_hash), of_torrent)
            events += applied.events
            if applied.mask or applied.record is not None:
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
