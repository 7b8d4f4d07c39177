"""The three kinds of actors. The only file of the kit that touches Pykka's private hooks.

What Pykka gives: the actor class with its reference and its message vocabulary (`_handle_receive`).
What the kit replaces: the inbox, the receive loop, the drain at the end and the start, because
Pykka's own lose messages that race with a stop, report one way of dying out of ten, and stop every
actor of the process on a SystemExit. Kit actors never enter Pykka's process-wide registry.
"""

from __future__ import annotations

import contextlib
import queue
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias

import pykka

from actors.address import Address
from actors.directory import Letter
from actors.errors import Unavailable, UnknownMessage
from actors.kinds import LoopLife, PooledLife
from actors.life import Life
from actors.lifecycle import Cause
from actors.mailbox import MailboxClosed, MailboxOptions
from actors.reply import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from pykka._envelope import Envelope

    from actors.directory import Slot
    from actors.hooks import Report, StopOrder
    from actors.kit import Kit
    from actors.life import ActorTimer
    from actors.reply import Reply
    from actors.timers import Clock

Message: TypeAlias = Any
"""What an actor understands; its own `on_receive` says what that is."""


@dataclass(frozen=True, slots=True)
class ActorContext:
    """Where an actor is; there from `on_start` on.

    Attributes:
        path: dotted, from the root's child down.
        name: last part of the path.
        generation: 1 for the first instance, one more with each restart.
        address: its own; sending to it works in `on_start` already.
        clock: seconds that never go back; the only time to decide by.
        kit: shared parts of the system, for the kit's own use.
    """

    path: str
    name: str
    generation: int
    address: Address
    clock: Clock
    kit: Kit

    def address_of(self, path: str) -> Address:
        """The address of any actor; whether it exists shows when something is sent."""
        return Address(path, self.kit.directory)


class _PykkaInbox:
    """Lets Pykka's own references send to a kit actor."""

    __slots__ = ("life",)

    def __init__(self) -> None:
        self.life: Life | None = None

    def put(self, envelope: Envelope[Any], /) -> None:
        if self.life is None:
            raise pykka.ActorDeadError("this actor was not started by a supervisor")
        try:
            self.life.post(Letter(envelope.message, _pykka_answer(envelope.reply_to)))
        except MailboxClosed as error:
            raise pykka.ActorDeadError(str(error)) from error

    def get(self) -> NoReturn:
        raise NotImplementedError("the kit's own loop takes the messages")

    def empty(self) -> bool:
        return self.life is None or self.life.mailbox_stats.depth == 0


class Actor(pykka.Actor):
    """What the three kinds share. Subclass one of them, not this."""

    mailbox: ClassVar[MailboxOptions] = MailboxOptions()
    """Bound, overflow policy and coalescing key of the mailbox."""
    expected_errors: ClassVar[tuple[type[Exception], ...]] = ()
    """Errors that are answers: the asker gets them and the actor lives on. Any other is a crash."""
    ready_after_start: ClassVar[bool] = True
    """Whether `on_start` is all there is to a start; supervisors wait for their children."""
    life_class: ClassVar[type[Life]] = Life

    context: ActorContext

    # --- for subclasses --------------------------------------------------------------------------

    def on_start(self) -> None:
        """Run before the first message, in the actor's own thread. Raising is a failed start."""

    def on_receive(self, message: Message) -> Message:
        """Handle one message; what this returns is the answer of an ask."""
        self.unknown(message)

    def on_stop(self) -> None:
        """Run after the last message of an orderly end. Raising is reported as a crash."""

    def on_crash(self, reason: str, error: BaseException) -> None:
        """Run after a crash, instead of `on_stop`.

        Args:
            reason: where it happened: `start`, `message`, `step`, `stop`, `signal` or `loop`.
            error: what was raised, without its traceback, which was logged.
        """

    def unknown(self, message: object) -> NoReturn:
        """Refuse a message that is not for this actor.

        Raises:
            UnknownMessage: always. An asker gets it, a tell is logged; the actor lives on.
        """
        raise UnknownMessage(
            f"{self.context.path} ({type(self).__name__}) has no handler for "
            f"{type(message).__qualname__}"
        )

    def after(self, delay_s: float, message: object) -> ActorTimer:
        """Send `message` to itself once, `delay_s` seconds from now, before queued messages.

        It ends with this generation: a restarted actor never meets a timer of its predecessor.
        """
        return self._life.timer(message, delay_s, None)

    def every(self, period_s: float, message: object) -> ActorTimer:
        """Send `message` to itself each `period_s` seconds; at most one of them is ever queued.

        Raises:
            ValueError: for a period that is not above 0.
        """
        if not period_s > 0:
            raise ValueError(f"{self.context.path}: a period of {period_s} s; give one above 0")
        return self._life.timer(message, period_s, period_s)

    def defer_reply(self) -> Reply:
        """Answer the message being handled later, from any thread.

        If the actor ends first, the asker gets `Unavailable`. For a tell, the reply does nothing.
        """
        return self._life.defer()

    def stop(self) -> None:
        """End normally after the current handler. Queued asks fail, queued tells are lost."""
        self._life.end(Cause.NORMAL)

    def stop_if_idle(self) -> bool:
        """End normally after the current handler, unless a message waits: nothing is lost.

        For actors that go to sleep by themselves. Whoever sends from now on is told that nobody
        is there.

        Returns:
            Whether it ends.
        """
        return self._life.end_if_idle()

    # --- for the kit -----------------------------------------------------------------------------

    @classmethod
    def start(cls, *_args: object, **_kwargs: object) -> NoReturn:
        """Pykka's way to start; refused.

        Raises:
            TypeError: always.
        """
        raise TypeError(f"{cls.__name__} is started by a supervisor: name it in a ChildSpec")

    def join(self, kit: Kit, slot: Slot, generation: int, report: Callable[[Report], None]) -> Life:
        """Become one generation of a name. For supervisors.

        Raises:
            TypeError: when the subclass has its own `__init__` that does not call this one's.
        """
        inbox = getattr(self, "actor_inbox", None)
        if not isinstance(inbox, _PykkaInbox):
            raise TypeError(f"{type(self).__name__}.__init__ does not call super().__init__()")
        self.context = ActorContext(
            path=slot.path,
            name=slot.name,
            generation=generation,
            address=Address(slot.path, kit.directory),
            clock=kit.clock,
            kit=kit,
        )
        self._life = self.life_class(self, kit, slot, generation, report)
        inbox.life = self._life
        return self._life

    def begin(self) -> None:
        """Start running. For supervisors."""
        self._start_actor_loop()

    def handle(self, message: object) -> object:
        """Handle a message of the user lane. For the life."""
        return self._handle_receive(message)

    def on_stop_order(self, order: StopOrder) -> None:  # noqa: ARG002 - supervisors look at it
        """The supervisor wants an end."""
        self._life.end(Cause.SHUTDOWN)

    def on_signal(self, signal: object) -> None:
        """A message of the kit."""
        self.unknown(signal)

    def on_given_up(self) -> None:
        """The supervisor has abandoned this instance."""

    def longest_stop_s(self) -> float | None:
        """How long its own children may take to stop; None for whoever is no supervisor."""
        return None

    @property
    def cleans_up(self) -> bool:
        """Whether a last hook was written for this class, which could hang."""
        own = type(self)
        return own.on_stop is not Actor.on_stop or own.on_crash is not Actor.on_crash

    # --- Pykka's hooks ---------------------------------------------------------------------------

    @staticmethod
    def _create_actor_inbox() -> _PykkaInbox:
        return _PykkaInbox()

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return pykka.ThreadingFuture()

    def _start_actor_loop(self) -> None:
        self._life.launch()

    def _stop(self) -> None:
        # Pykka's stop message. Its own version would touch the process-wide registry.
        self._life.end(Cause.NORMAL)


class ThreadActor(Actor):
    """Has a thread of its own: handlers may block, for less than its spec's `hang_after_s`."""


class PooledActor(Actor):
    """Shares a few threads with all pooled actors: handlers must be quick and may not ask."""

    life_class = PooledLife


class LoopActor(Actor):
    """Waits for something outside (a descriptor) and handles its messages in between."""

    life_class = LoopLife

    def step(self, wake: int, deadline: float) -> None:
        """Wait for something outside, and deal with it.

        Args:
            wake: descriptor that becomes readable when a message arrives; wait for it too, and
                return when it is. Never read from it.
            deadline: return by then, on `context.clock`; at most 0.5 s away.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a step(wake, deadline)")


class _PykkaAnswer(Answer):
    """Passes an answer on to a future of Pykka's."""

    __slots__ = ("_future",)

    def __init__(self, future: pykka.Future[Any]) -> None:
        super().__init__()
        self._future = future

    def _settle(self, value: object, error: BaseException | None) -> bool:
        if not super()._settle(value, error):
            return False
        if isinstance(error, Unavailable):
            error = pykka.ActorDeadError(str(error))
        # Pykka's futures let anybody set them, and then raise at whoever comes second.
        with contextlib.suppress(queue.Full):
            if error is None:
                self._future.set(value)
            else:
                self._future.set_exception((type(error), error, error.__traceback__))
        return True


def _pykka_answer(future: pykka.Future[Any] | None) -> Answer | None:
    return None if future is None else _PykkaAnswer(future)
