"""Keeps what one busy torrent reports down to what the board can use."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from actors import Address, MailboxOptions, PooledActor
from revaer.domain import facts as f
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import TorrentStatus
from revaer.runtime.board import ApplyFacts, TakeIn
from revaer.runtime.intake import FactIntake

log = logging.getLogger(__name__)

PERIOD_S: Final = 0.1
PASSIVATE_AFTER_S: Final = 30.0
MAX_GATHERED: Final = 1_000

_CAN_WAIT: Final = (
    f.StatusReported,
    f.FilesProgressed,
    f.PieceFinished,
    f.PieceFailed,
    f.PeerJoined,
    f.PeerLeft,
)
_EXPENDABLE: Final = _CAN_WAIT[2:]
"""Told once and kept by nobody: the first to go when there is no room."""


@dataclass(frozen=True, slots=True)
class TorrentFacts:
    """Facts about one torrent, in the order in which the engine told them."""

    info_hash: InfoHash
    facts: tuple[f.TorrentFact, ...]


@dataclass(frozen=True, slots=True)
class _PeriodOver:
    """What was gathered meanwhile can go."""


@dataclass(frozen=True, slots=True)
class _QuietCheck:
    """Time to see whether this torrent still does anything."""


@dataclass(frozen=True, slots=True)
class _Passivate:
    """To itself, behind all that is queued: end, if the torrent is still quiet by then."""


class Gathering:
    """Decides which facts go on, and when. Pure; times are seconds on any one clock.

    The first facts go at once, later ones at most once per period. A newer status replaces the
    one that waits, and stands where the newer one came; so does a newer list of file progress.
    Facts that somebody waits for take everything before them along at once: a change of what
    the torrent does, of its metadata or its faults. Pieces and peers, of which there may be
    thousands per second, wait like a status does.
    """

    __slots__ = ("_dropped", "_gathered", "_max_gathered", "_period_s", "_sent_at", "_shown")

    def __init__(self, *, period_s: float = PERIOD_S, max_gathered: int = MAX_GATHERED) -> None:
        """Gather at most `max_gathered` facts for as long as nobody takes them."""
        self._period_s = period_s
        self._max_gathered = max_gathered
        self._gathered: list[f.TorrentFact] = []
        self._sent_at = float("-inf")
        self._shown: TorrentStatus | None = None
        self._dropped = 0

    def take(self, facts: Iterable[f.TorrentFact], now: float) -> bool:
        """Gather facts.

        Returns:
            Whether what is gathered should go now.
        """
        is_urgent = False
        for fact in facts:
            is_urgent |= self._gather(fact)
        if len(self._gathered) > self._max_gathered:
            self._make_room()
        return is_urgent or now - self._sent_at >= self._period_s

    @property
    def gathered(self) -> tuple[f.TorrentFact, ...]:
        """What waits, in order."""
        return tuple(self._gathered)

    @property
    def dropped(self) -> int:
        """How many facts found no room."""
        return self._dropped

    def sent(self, now: float) -> None:
        """What was gathered is on its way."""
        self._gathered.clear()
        self._sent_at = now

    def due_in(self, now: float) -> float:
        """Seconds until what is gathered can go."""
        return max(0.0, self._sent_at + self._period_s - now)

    def _gather(self, fact: f.TorrentFact) -> bool:
        if isinstance(fact, f.StatusReported):
            shown, self._shown = self._shown, fact.status
            self._replace(f.StatusReported, fact)
            return shown is None or _matters(shown, fact.status)
        if isinstance(fact, f.FilesProgressed):
            self._replace(f.FilesProgressed, fact)
            return False
        self._gathered.append(fact)
        return not isinstance(fact, _CAN_WAIT)

    def _replace(self, kind: type[f.TorrentFact], fact: f.TorrentFact) -> None:
        for position, waiting in enumerate(self._gathered):
            if isinstance(waiting, kind):
                del self._gathered[position]
                break
        self._gathered.append(fact)

    def _make_room(self) -> None:
        excess = len(self._gathered) - self._max_gathered
        expendable = [
            position
            for position, fact in enumerate(self._gathered)
            if isinstance(fact, _EXPENDABLE)
        ][:excess]
        for position in reversed(expendable):
            del self._gathered[position]
        del self._gathered[: excess - len(expendable)]
        self._dropped += excess


def _matters(old: TorrentStatus, new: TorrentStatus) -> bool:
    """Whether people wait to see the difference."""
    return (
        old.activity is not new.activity
        or old.is_finished != new.is_finished
        or old.is_paused != new.is_paused
        or old.has_metadata != new.has_metadata
        or old.error != new.error
    )


class ProgressCoalescer(PooledActor):
    """One busy torrent's way to the board; ends by itself when the torrent falls quiet.

    Its mailbox does not coalesce: a status that takes an older one's place in the queue could
    overtake what stood between the two, such as the news that the files are verified.
    """

    mailbox = MailboxOptions(capacity=1_000)

    def __init__(
        self,
        *,
        intake: FactIntake | None = None,
        board_path: str = "board",
        period_s: float = PERIOD_S,
        passivate_after_s: float = PASSIVATE_AFTER_S,
    ) -> None:
        """Report to the board.

        Args:
            intake: where facts are left for the board. None: each batch is a message to it,
                which costs a busy process about a quarter more.
            board_path: who is told.
            period_s: least time between two messages with nothing urgent in them.
            passivate_after_s: how long to live without hearing anything.
        """
        super().__init__()
        self._intake = intake
        self._board_path = board_path
        self._period_s = period_s
        self._passivate_after_s = passivate_after_s
        self._gathering = Gathering(period_s=period_s)
        self._is_timer_set = False

    def on_start(self) -> None:
        """Be ready, and see later whether anything came."""
        self._board: Address = self.context.address_of(self._board_path)
        self._heard_at = self.context.clock()
        self.after(self._passivate_after_s, _QuietCheck())

    def on_receive(self, message: Any) -> None:
        """Take `TorrentFacts`."""
        match message:
            case TorrentFacts(_, facts):
                now = self._heard_at = self.context.clock()
                if self._gathering.take(facts, now):
                    self._send(now)
                else:
                    self._wait(now)
            case _PeriodOver():
                self._is_timer_set = False
                self._send(self.context.clock())
            case _QuietCheck():
                self._check_quiet()
            case _Passivate():
                self._passivate()
            case _:
                self.unknown(message)

    def _send(self, now: float) -> None:
        facts = self._gathering.gathered
        if not facts:
            return
        if self._hand_on(facts):
            self._gathering.sent(now)
        else:
            self._wait(now)

    def _hand_on(self, facts: tuple[f.TorrentFact, ...]) -> bool:
        intake = self._intake
        if intake is None:
            return self._board.tell_or_drop(ApplyFacts(facts))
        if not intake.offer(facts):
            return False
        if intake.wants_wake_up() and not self._board.tell_or_drop(TakeIn()):
            intake.not_woken()
        return True

    def _wait(self, now: float) -> None:
        if not self._is_timer_set:
            self._is_timer_set = True
            delay_s = self._gathering.due_in(now) or self._period_s
            self.after(delay_s, _PeriodOver())

    def _check_quiet(self) -> None:
        """Timers overtake what is queued, so this alone is no reason to end."""
        left_s = self._passivate_after_s - (self.context.clock() - self._heard_at)
        if left_s > 0 or not self.context.address.tell_or_drop(_Passivate()):
            self._look_again(left_s)

    def _passivate(self) -> None:
        left_s = self._passivate_after_s - (self.context.clock() - self._heard_at)
        if left_s > 0 or self._gathering.gathered:
            self._look_again(left_s)
            return
        if not self.stop_if_idle():
            self._look_again(left_s)
        elif self._gathering.dropped:
            log.warning("facts_dropped", extra={"count": self._gathering.dropped})

    def _look_again(self, left_s: float) -> None:
        self.after(max(left_s, self._period_s), _QuietCheck())
