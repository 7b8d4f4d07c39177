"""What can go wrong between actors, as exceptions that name the actor and the remedy."""

from __future__ import annotations


class Unavailable(Exception):  # noqa: N818 - names a state the sender meets, as queue.Full does
    """The actor behind an address takes no messages right now.

    Attributes:
        path: the address.
        state: what the actor is doing instead: a `ChildState` value, `exiting` while it ends, or
            `unknown` when no actor of this path exists.
        retry_after_s: seconds until the next start is tried; None when nobody knows.
    """

    def __init__(self, path: str, state: str, retry_after_s: float | None = None) -> None:
        super().__init__(path, state, retry_after_s)
        self.path = path
        self.state = state
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        """Say who, why and when to try again."""
        again = (
            "try again later"
            if self.retry_after_s is None
            else f"try again in {self.retry_after_s:.2f} s"
        )
        return f"{self.path} is {self.state}; {again}"


class AskTimeout(Exception):  # noqa: N818 - as Unavailable
    """No answer within the time given; the message may still be handled later."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__(path, timeout_s)
        self.path = path
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        """Say who did not answer."""
        return f"{self.path} gave no answer within {self.timeout_s:g} s"


class DeadlockError(Exception):
    """Waiting would never end: the asked actor waits, directly or not, for the asking one."""


class PooledActorMayNotAskError(Exception):
    """A pooled actor tried to wait for an answer, which would hold a worker that all share."""


class UnknownMessage(Exception):  # noqa: N818 - the kit's fixed name for it
    """An actor was sent something it has no handler for. The sender's mistake: nobody crashes."""


class UnknownName(Exception):  # noqa: N818 - as UnknownMessage
    """No actor of this path exists and no spec names one."""


class StartFailed(Exception):  # noqa: N818 - as UnknownMessage
    """The system did not come up; the message names the child and the cause."""

    def __init__(self, path: str, cause: str) -> None:
        super().__init__(path, cause)
        self.path = path
        self.cause = cause

    def __str__(self) -> str:
        """Say which child, and what it said."""
        return f"{self.path} did not start: {self.cause}"


class RestartsExhausted(Exception):  # noqa: N818 - as UnknownMessage
    """A supervisor gave up, because a child of it died more often than its limit allows.

    Attributes:
        path: the child.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path, message)
        self.path = path
        self.message = message

    def __str__(self) -> str:
        """Say who died, how often, and of what."""
        return self.message


class ChildHung(Exception):  # noqa: N818 - as UnknownMessage
    """A child that must never exist twice is stuck in a handler.

    Attributes:
        path: the stuck child.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        """Say who is stuck."""
        return f"{self.path} is stuck in a handler and may not be started beside it"


class TooManyChildren(Exception):  # noqa: N818 - as UnknownMessage
    """A dynamic supervisor is full; stop a child first or raise `max_children`."""


def text_of(error: BaseException | None) -> str:
    """What an error says; empty for none. An error that cannot say it must not hurt who asks."""
    if error is None:
        return ""
    try:
        return str(error)
    except Exception as failure:  # noqa: BLE001 - whatever a stranger's `__str__` raises
        return f"(its text cannot be had: {type(failure).__name__})"
