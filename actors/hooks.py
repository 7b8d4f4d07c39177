"""What a life and its actor say to each other, and what a supervisor is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from actors.lifecycle import Cause, Exited, Started

if TYPE_CHECKING:
    import threading

    from actors.mailbox import MailboxOptions


class StopOrder:
    """Told by the supervisor: end.

    Attributes:
        deadline: when the whole system wants to be down, on its clock; None if nobody hurries.
    """

    __slots__ = ("deadline",)

    def __init__(self, deadline: float | None = None) -> None:
        """Order a stop."""
        self.deadline = deadline


class Ending:
    """Reported before an actor's last hook runs, so that a hook that hangs is noticed.

    Attributes:
        name: the child.
        generation: which of its lives.
        cause: how it ends.
        error: what made it end, if it crashed.
    """

    __slots__ = ("cause", "error", "generation", "name")

    def __init__(
        self, name: str, generation: int, cause: Cause, error: BaseException | None
    ) -> None:
        """Announce an end."""
        self.name = name
        self.generation = generation
        self.cause = cause
        self.error = error


Report = Started | Ending | Exited


class Hooks(Protocol):
    """What a life calls on its actor."""

    mailbox: ClassVar[MailboxOptions]
    expected_errors: ClassVar[tuple[type[Exception], ...]]
    ready_after_start: ClassVar[bool]
    actor_stopped: threading.Event

    def on_start(self) -> None:
        """Run first."""

    def handle(self, message: object) -> object:
        """Handle a message; what it returns is the answer."""

    def on_stop(self) -> None:
        """Run last, after a stop."""

    def on_crash(self, reason: str, error: BaseException) -> None:
        """Run last, after a crash."""

    def on_stop_order(self, order: StopOrder) -> None:
        """Told to stop."""

    def on_signal(self, signal: object) -> None:
        """A message of the kit itself."""

    def on_given_up(self) -> None:
        """Abandoned; called by the supervisor's thread."""

    def longest_stop_s(self) -> float | None:
        """How long its own children may take to stop; None for whoever is no supervisor."""

    @property
    def cleans_up(self) -> bool:
        """Whether it has a last hook of its own."""
