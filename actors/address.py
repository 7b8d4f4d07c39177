"""Names to send to. They survive every restart of the actor behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, overload

from actors.directory import Letter, current_actor
from actors.errors import AskTimeout, Unavailable
from actors.mailbox import MailboxClosed, MailboxFull
from actors.reply import Answer

if TYPE_CHECKING:
    from actors.directory import Directory, Incarnation

R_co = TypeVar("R_co", covariant=True)

Untyped: TypeAlias = Any
"""The answer to a message that does not say what its answer is."""


class Question(Protocol[R_co]):
    """A message class that says what type its answer has. The attribute is never read.

    `class CountWords: __answer__: int` makes `address.ask(CountWords(), ...)` an `int` for a type
    checker; nothing of the kit needs to be imported for that.
    """

    @property
    def __answer__(self) -> R_co:
        """The type of the answer."""


class Future:
    """An answer to come; from `Address.ask_later`."""

    __slots__ = ("_answer", "_directory", "path")

    def __init__(self, path: str, answer: Answer, directory: Directory) -> None:
        self.path = path
        self._answer = answer
        self._directory = directory

    @property
    def done(self) -> bool:
        """Whether the answer, or an error, is there."""
        return self._answer.done

    def get(self, *, timeout_s: float) -> Untyped:
        """Wait for the answer.

        Raises:
            AskTimeout: none came in time; asking again is allowed.
            Unavailable: the actor ended before it answered.
            DeadlockError: it waits for the actor that calls this.
            Exception: the handler's error.
        """
        if not self._answer.done:
            with self._directory.waiting(self.path):
                if not self._answer.wait(timeout_s):
                    raise AskTimeout(self.path, timeout_s)
        return self._answer.result()


class Address:
    """Sends to whoever answers to a path at that moment. Cheap, immutable, safe to share."""

    __slots__ = ("_directory", "path")

    def __init__(self, path: str, directory: Directory) -> None:
        """Name somebody; nobody needs to be there yet."""
        self.path = path
        self._directory = directory

    def tell(self, message: object) -> None:
        """Send, and go on. Never blocks.

        Raises:
            Unavailable: nobody takes messages there now.
            MailboxFull: the mailbox is at its bound and rejects.
        """
        self._post(Letter(message))

    def tell_or_drop(self, message: object) -> bool:
        """Send if possible: for events, so that a dead listener cannot hurt whoever reports.

        Returns:
            Whether it was queued. If not, it is counted as a dead letter.
        """
        try:
            self._post(Letter(message))
        except (Unavailable, MailboxFull) as error:
            state = error.state if isinstance(error, Unavailable) else "full"
            self._directory.lost(self.path, message, state)
            return False
        return True

    @overload
    def ask(self, message: Question[R_co], *, timeout_s: float) -> R_co: ...
    @overload
    def ask(self, message: object, *, timeout_s: float) -> Untyped: ...
    def ask(self, message: object, *, timeout_s: float) -> Untyped:
        """Send and wait for the answer. Ask downwards only; upwards, tell.

        Args:
            message: a query or command.
            timeout_s: longest wait in seconds.

        Raises:
            Unavailable: nobody takes messages there, or the actor ended before it answered.
            MailboxFull: the mailbox is at its bound.
            AskTimeout: no answer in time.
            DeadlockError: the answer could never come.
            PooledActorMayNotAskError: called by an actor that shares its thread.
            Exception: the handler's error.
        """
        answer = Answer()
        with self._directory.waiting(self.path):
            self._post(Letter(message, answer))
            if not answer.wait(timeout_s):
                raise AskTimeout(self.path, timeout_s)
        return answer.result()

    def ask_later(self, message: object) -> Future:
        """Send, and collect the answer later. Never blocks.

        Raises:
            Unavailable: nobody takes messages there now.
            MailboxFull: the mailbox is at its bound.
        """
        answer = Answer()
        self._post(Letter(message, answer))
        return Future(self.path, answer, self._directory)

    def __repr__(self) -> str:
        """The path, for logs."""
        return f"Address({self.path!r})"

    def __eq__(self, other: object) -> bool:
        """Whether both name the same actor of the same system."""
        return (
            isinstance(other, Address)
            and self.path == other.path
            and self._directory is other._directory
        )

    def __hash__(self) -> int:
        """As `__eq__`."""
        return hash(self.path)

    def _post(self, letter: Letter) -> None:
        target = self._target()
        if target is not None:
            try:
                target.post(letter)
            except MailboxClosed:
                pass  # it ended between the look and the put
            else:
                return
        raise self._unavailable()

    def _target(self) -> Incarnation | None:
        sender = current_actor()
        if sender is not None:
            if sender.given_up:
                # Somebody else has taken its place: what it still wants to say is out of date.
                raise Unavailable(sender.path, "abandoned")
            if sender.path == self.path and sender.directory is self._directory:
                return sender  # also before it is published, so that on_start can tell to self
        slot = self._directory.find(self.path)
        return None if slot is None else slot.target

    def _unavailable(self) -> Unavailable:
        slot = self._directory.find(self.path)
        if slot is None:
            return Unavailable(self.path, "unknown")
        retry_at = slot.retry_at
        left_s = None if retry_at is None else max(0.0, retry_at - self._directory.clock())
        return Unavailable(self.path, slot.shown_state, left_s)
