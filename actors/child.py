"""What the restart core remembers about one child."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.lifecycle import LIVE, Cause, ChildState, ChildStatus

if TYPE_CHECKING:
    from actors.backoff import RestartWindow
    from actors.lifecycle import Timer
    from actors.spec import ChildSpec


@dataclass(slots=True, eq=False)
class Child:
    """One child of a `SupervisorCore`, which alone changes it.

    Attributes:
        generation: number of its latest instance.
        window: its own restart budget; None if it shares its supervisor's.
        running_since: when its instance became ready; None before and after.
        timer: the one that is armed.
        decided: its first start has come to something; until then boot waits for it.
        due: backing off, but no longer because of its own delay.
        must_stop: live, and to be stopped when its turn comes.
        end_cause: why it is stopped, or is to be.
        removing: it is being stopped to be forgotten.
        successor: who gets its name then.
    """

    spec: ChildSpec
    generation: int
    window: RestartWindow | None
    since: float
    state: ChildState = ChildState.ABSENT
    launches: int = 0
    attempt: int = 0
    running_since: float | None = None
    timer: Timer | None = None
    retry_at: float | None = None
    decided: bool = False
    due: bool = False
    must_stop: bool = False
    end_cause: Cause = Cause.SHUTDOWN
    removing: bool = False
    successor: ChildSpec | None = None
    cause: Cause | None = None
    error: BaseException | None = None
    failed_at: float | None = None
    failures: int = 0
    abandoned: int = 0

    @property
    def live(self) -> bool:
        """Whether an instance exists."""
        return self.state in LIVE

    @property
    def ready(self) -> bool:
        """Whether later siblings may rely on it, as far as that can ever be."""
        return self.state in {ChildState.RUNNING, ChildState.STOPPED}

    @property
    def wants_start(self) -> bool:
        """Whether only siblings can be in the way of its start."""
        return self.state is ChildState.ABSENT or (
            self.state is ChildState.BACKING_OFF and self.due
        )

    def end_run(self, now: float) -> None:
        """Its instance is gone; one that ran long enough was healthy."""
        since, self.running_since = self.running_since, None
        if since is not None and now - since >= self.spec.healthy_after_s:
            self.attempt = 0
        self.must_stop = False

    def note_failure(self, cause: Cause, error: BaseException | None, now: float) -> None:
        """Remember why its instance failed."""
        self.cause, self.error, self.failed_at = cause, error, now
        self.failures += 1

    def status(self) -> ChildStatus:
        """It as health shows it."""
        return ChildStatus(
            name=self.spec.name,
            state=self.state,
            since=self.since,
            generation=self.generation,
            restarts=max(0, self.launches - 1),
            attempt=self.attempt,
            retry_at=self.retry_at,
            cause=self.cause,
            error=self.error,
            failed_at=self.failed_at,
            failures=self.failures,
            abandoned=self.abandoned,
        )
