"""Follows a run from its start to its end: complete, failed, broken or interrupted."""

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol

from revaer.cli.failures import DONE, FAILED, Failure, complain, report
from revaer.cli.progress import Display, Summary
from revaer.cli.signals import Interruption
from revaer.cli.watching import Outcome, Watch
from revaer.domain.events import ActorFailed, PublishedEvent
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import TorrentDescription
from revaer.ports.board import Board
from revaer.ports.event_feed import EventFeed, Subscription

STEP_S: Final = 0.1
"""How often the board is looked at; also how late a signal is noticed at most."""

ENGINE_PATHS: Final = frozenset({"engine", "engine.session"})
"""Actors without which nothing moves: when one of these has failed, the run is over."""

UNSAVED: Final = "not everything could be saved in time"
HINT: Final = "run the same command again to continue"


class Broken(Protocol):
    """Why a tree of actors ended by itself."""

    @property
    def path(self) -> str:
        """Who is to blame."""
        ...

    @property
    def message(self) -> str:
        """In words."""
        ...


class Run(Protocol):
    """What `DownloadRun` offers to those who follow it."""

    @property
    def wanted(self) -> Collection[InfoHash]:
        """The torrents of this run."""
        ...

    @property
    def resumed(self) -> Collection[InfoHash]:
        """Those that the directory knew before."""
        ...

    @property
    def board(self) -> Board:
        """Where the torrents stand."""
        ...

    @property
    def feed(self) -> EventFeed:
        """What happens."""
        ...

    @property
    def is_saved(self) -> bool:
        """After `stop`: whether all was stored."""
        ...

    def description(self, info_hash: InfoHash) -> TorrentDescription:
        """What the source said."""
        ...

    def start(self) -> None:
        """Begin; raises a RevaerError."""
        ...

    def stop(self) -> object:
        """Save and end; idempotent."""
        ...

    def broken(self) -> Broken | None:
        """Why it ended by itself, if it did."""
        ...


@dataclass(frozen=True, slots=True)
class _End:
    """How following a run ended.

    Attributes:
        trouble: what broke, as a message; empty when nothing did.
    """

    watch: Watch
    trouble: str
    was_interrupted: bool

    def summary(self) -> Summary:
        """The counts, and the exit code that follows."""
        outcomes = list(self.watch.outcomes.values())
        complete = outcomes.count(Outcome.COMPLETE)
        return Summary(
            complete=complete,
            failed=outcomes.count(Outcome.FAILED),
            unfinished=outcomes.count(Outcome.RUNNING),
            exit_code=DONE if complete == len(outcomes) else FAILED,
        )


@dataclass(slots=True)
class Following:
    """Starts a run, follows it until it is over, broken or interrupted, and stops it."""

    run: Run
    display: Display
    interruption: Interruption
    as_json: bool

    def to_the_end(self) -> int:
        """The exit code; whatever happens the run is stopped, which saves it."""
        self.display.open()
        try:
            try:
                end = self._follow()
                if end.was_interrupted:
                    self.display.stopping()
            finally:
                self.run.stop()
        finally:
            self.display.close()
        return self._tell_end(end)

    def _follow(self) -> _End:
        subscription = self.run.feed.subscribe(("torrent.state_changed", "actor.failed"))
        try:
            self.run.start()
            run = self.run
            watch = Watch(
                run.wanted,
                resumed=run.resumed,
                magnets=[one for one in run.wanted if run.description(one).metainfo is None],
                started_at=time.monotonic(),
            )
            trouble = ""
            while not (watch.is_over or trouble or self.interruption.received is not None):
                trouble = self._step(watch, subscription)
            return _End(watch, trouble, not watch.is_over and not trouble)
        finally:
            subscription.close()

    def _step(self, watch: Watch, subscription: Subscription) -> str:
        """Wait for events or a tenth of a second, then look; returns what broke, if anything."""
        board = self.run.board
        until = time.monotonic() + STEP_S
        trouble = ""
        while (left_s := until - time.monotonic()) > 0:
            delivery = subscription.next(left_s)
            if isinstance(delivery, PublishedEvent):
                for notice in watch.hear(delivery, board):
                    self.display.tell(notice)
                trouble = trouble or self._broken_by(delivery)
        now = time.monotonic()
        for notice in watch.look(board, now):
            self.display.tell(notice)
        self.display.update(watch.running, now)
        reason = self.run.broken()
        if reason is not None:
            return f"{reason.path} broke: {reason.message}; what was saved is kept, {HINT}"
        return trouble

    def _broken_by(self, published: PublishedEvent) -> str:
        event = published.event
        if isinstance(event, ActorFailed) and event.path in ENGINE_PATHS:
            return f"the engine failed: {event.message}; what was saved is kept, {HINT}"
        return ""

    def _tell_end(self, end: _End) -> int:
        summary = end.summary()
        if end.trouble:
            report(Failure(FAILED, "engine-failed", end.trouble), as_json=self.as_json)
        if end.was_interrupted:
            complain(f"interrupted, {'saved' if self.run.is_saved else UNSAVED}; {HINT}")
        elif not self.run.is_saved:
            complain(f"{UNSAVED}; what is not known to be there is checked or fetched again")
        self.display.end(summary)
        return summary.exit_code
