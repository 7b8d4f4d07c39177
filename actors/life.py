"""One generation of an actor: its mailbox, its loop, and exactly one report of its end.

However an actor ends, whether by itself, told to, by any exception out of any of its hooks, or
because its thread could not be started, its life ends in `Life._finish`, once. The address is
cleared first, then every waiting asker is answered, then hooks run, then the supervisor is told.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from actors.directory import ActingAs, Letter
from actors.errors import Unavailable, UnknownMessage
from actors.hooks import Ending, StopOrder
from actors.lifecycle import NORMAL_ENDS, Cause, Exited, Started
from actors.mailbox import Mailbox, MailboxClosed
from actors.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.directory import Directory, Slot
    from actors.hooks import Hooks, Report
    from actors.kit import Kit
    from actors.mailbox import MailboxStats
    from actors.timers import TimerHandle

log = logging.getLogger("actors")


class ActorTimer:
    """A message to itself that an actor has set; ends with the actor's generation."""

    __slots__ = ("_due", "_handle", "_life", "_message", "_period_s", "cancelled")

    def __init__(self, life: Life, message: object, delay_s: float, period_s: float | None) -> None:
        """Set it."""
        self._life = life
        self._message = message
        self._period_s = period_s
        self._due = life.kit.clock() + delay_s
        self.cancelled = False
        self._handle: TimerHandle = life.kit.timers.after(delay_s, self._fire)

    def cancel(self) -> bool:
        """Prevent it, also when it is due and still waits for its turn.

        Returns:
            Whether there was something to prevent.
        """
        live = not self.cancelled
        self.cancelled = True
        self._handle.cancel()
        self._life.timers.discard(self)
        return live

    @property
    def message(self) -> object:
        """What it sends."""
        return self._message

    def again(self) -> None:
        """Set a periodic one for its next turn, counted from when it was due.

        Set only after the last one was handled, so that at most one is queued; and when that was
        late, counted from now, so that a slow handler leaves room for other messages.
        """
        if self.cancelled or self._period_s is None:
            self._life.timers.discard(self)
            return
        now = self._life.kit.clock()
        self._due += self._period_s
        if self._due <= now:
            self._due = now + self._period_s
        self._handle = self._life.kit.timers.after(self._due - now, self._fire)

    def _fire(self) -> None:
        self._life.signal(self)


class Life:
    """See the module. Kinds differ in who runs it: a thread of its own, or a pool's workers."""

    kind = "thread"
    may_wait = True

    def __init__(
        self,
        hooks: Hooks,
        kit: Kit,
        slot: Slot,
        generation: int,
        report: Callable[[Report], None],
    ) -> None:
        """Prepare; nothing runs before `launch`.

        Args:
            hooks: the actor.
            kit: of its system.
            slot: its name.
            generation: given by the supervisor.
            report: tells the supervisor; never blocks.
        """
        self.hooks = hooks
        self.kit = kit
        self.slot = slot
        self.path = slot.path
        self.directory: Directory = kit.directory
        self.generation = generation
        self.given_up = False
        self.waiting_on: str | None = None
        self.handled = 0
        self.failed = 0
        self.last_latency_s: float | None = None
        self.busy_since: float | None = None
        self.last_activity = kit.clock()
        self.left_behind = 0
        self.timers: set[ActorTimer] = set()
        self._report = report
        self._box: Mailbox[Letter] = Mailbox(
            hooks.mailbox, on_ready=self._on_ready(), label=self.path
        )
        self._letter: Letter | None = None
        self._deferred = False
        self._replies: set[Reply] = set()
        # Set once; the loop runs while it is None.
        self._cause: Cause | None = None
        self._error: BaseException | None = None
        self._reason = ""
        self._over = False
        self._guard = threading.Lock()

    # --- seen by names, supervisors and health -------------------------------------------------

    @property
    def mailbox_stats(self) -> MailboxStats:
        """Counters of the mailbox."""
        return self._box.stats

    @property
    def ending(self) -> bool:
        """Whether it takes no further message."""
        return self._cause is not None

    @property
    def over(self) -> bool:
        """Whether it has reported its end."""
        return self._over

    def post(self, letter: Letter) -> None:
        """Queue in the user lane; raises MailboxFull or MailboxClosed."""
        self._box.put(letter)

    def signal(self, message: object) -> bool:
        """Queue in the system lane; False when it takes no more."""
        try:
            self._box.put_system(_Signal(message))
        except MailboxClosed:
            return False
        return True

    def launch(self) -> None:
        """Begin; if that is impossible, end at once with a report."""
        try:
            self._begin_running()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the child has not started
            self._settle(Cause.START_FAILED, error, "thread")
            self._finish(run_hooks=False)

    def give_up(self) -> None:
        """Fence off an instance that is stuck. Called by the supervisor, never by the actor.

        Its thread cannot be killed. It ends when the hook it is in returns; until then it is
        counted, it can send nothing, and its handler may still answer the message it is in.
        """
        with self._guard:
            if self._over or self.given_up:
                return
            self.given_up = True
            if self._cause is None:
                self._cause = Cause.HANG
            # Counted before its end can be: that takes the same guard.
            self.directory.abandoned(self.slot, 1)
        self.directory.withdraw(self.slot, self)
        self._close()
        self._fail_replies()
        self.hooks.on_given_up()

    # --- used by the actor ---------------------------------------------------------------------

    def end(self, cause: Cause, error: BaseException | None = None) -> None:
        """End after the current handler."""
        self._settle(cause, error, "stop")

    def end_if_idle(self) -> bool:
        """As `end` by design, but only when nothing is queued; says whether it does."""
        if not self._box.close_if_empty():
            return False
        self.end(Cause.NORMAL)
        return True

    def ready(self) -> None:
        """Report that the start succeeded."""
        self._report(Started(self.slot.name, self.generation))

    def timer(self, message: object, delay_s: float, period_s: float | None) -> ActorTimer:
        """Set a timer; one set by an instance that has ended or was given up never fires."""
        timer = ActorTimer(self, message, delay_s, period_s)
        self.timers.add(timer)
        if self._box.closed:
            timer.cancel()
        return timer

    def defer(self) -> Reply:
        """Take over the answer of the message being handled."""
        letter = self._letter
        if letter is None:
            raise RuntimeError(f"{self.path}: only a handler can defer the answer of its message")
        self._deferred = True
        reply = Reply(letter.reply, self._replies.discard)
        if letter.reply is not None:
            self._replies.add(reply)
        return reply

    # --- running -------------------------------------------------------------------------------

    def _on_ready(self) -> Callable[[], None] | None:
        """What the mailbox calls after a put."""
        return None

    def _begin_running(self) -> None:
        self.kit.spawn(self._run, f"actor-{self.path}-{self.generation}")

    def _run(self) -> None:
        with ActingAs(self):
            try:
                self._start()
                self._loop()
            except BaseException as error:  # noqa: BLE001 - an end without a report is worse
                self._crash("loop", error)
            finally:
                self._finish()

    def _start(self) -> None:
        if self._cause is not None:
            return  # given up before its first turn: somebody else has its place
        self.busy_since = self.kit.clock()
        try:
            self.hooks.on_start()
        except BaseException as error:  # noqa: BLE001 - SystemExit must not take others along
            self._crash("start", error)
        else:
            if self.hooks.ready_after_start:
                self.ready()
        self._rest()

    def _loop(self) -> None:
        while self._cause is None:
            letter = self._box.get(None)
            if letter is not None:
                self._take(letter)

    def _take(self, letter: Letter) -> None:
        """Handle one letter of either lane."""
        if not isinstance(letter, _Signal):
            self._handle(letter)
            return
        signal = letter.message
        if isinstance(signal, ActorTimer):
            if not signal.cancelled:
                self._handle(Letter(signal.message))
                signal.again()
            return
        self.busy_since = self.kit.clock()
        try:
            if isinstance(signal, StopOrder):
                self.hooks.on_stop_order(signal)
            else:
                self.hooks.on_signal(signal)
        except BaseException as error:  # noqa: BLE001 - as in _handle
            self._crash("signal", error)
        self._rest()

    def _handle(self, letter: Letter) -> None:
        began = self.busy_since = self.kit.clock()
        self._letter, self._deferred = letter, False
        try:
            answer = self.hooks.handle(letter.message)
        except BaseException as error:  # noqa: BLE001 - decided below; SystemExit is a crash too
            self.failed += 1
            self._not_handled(letter, error)
        else:
            self.handled += 1
            if letter.reply is not None and not self._deferred:
                letter.reply.set(answer)
        self._letter = None
        self._rest()
        self.last_latency_s = self.last_activity - began

    def _rest(self) -> None:
        self.busy_since = None
        self.last_activity = self.kit.clock()

    def _not_handled(self, letter: Letter, error: BaseException) -> None:
        if isinstance(error, (UnknownMessage, *self.hooks.expected_errors)):
            if letter.reply is not None:
                letter.reply.set_error(error)
            else:
                log.warning(
                    "message_failed",
                    extra={"path": self.path, "message_type": type(letter.message).__qualname__},
                    exc_info=error,
                )
            return
        self._crash("message", error)
        if letter.reply is not None:
            letter.reply.set_error(self._for_the_asker(error))

    def _for_the_asker(self, error: BaseException) -> BaseException:
        if isinstance(error, Exception):
            return error
        # A SystemExit raised in the asker's thread would end the asker as well.
        unavailable = Unavailable(self.path, f"ended by {type(error).__name__}")
        unavailable.__cause__ = error
        return unavailable

    # --- the end -------------------------------------------------------------------------------

    def _crash(self, reason: str, error: BaseException) -> None:
        """Note a crash. The address goes first: nobody may send to what is about to end."""
        self.directory.withdraw(self.slot, self)
        log.error(
            "actor_crashed",
            extra={"path": self.path, "generation": self.generation, "reason": reason},
            exc_info=error,
        )
        # The traceback holds every frame, and with them this instance, for as long as anybody
        # keeps the error; it has just been logged.
        _without_tracebacks(error)
        self._settle(Cause.START_FAILED if reason == "start" else Cause.CRASH, error, reason)

    def _settle(self, cause: Cause, error: BaseException | None, reason: str) -> None:
        with self._guard:
            if self._cause is None or (self._cause in NORMAL_ENDS and cause not in NORMAL_ENDS):
                self._cause, self._error, self._reason = cause, error, reason

    def _finish(self, *, run_hooks: bool = True) -> None:
        """The one way out. Never raises, never runs twice."""
        self.directory.withdraw(self.slot, self)
        self._close()
        if run_hooks and not self.given_up:
            self._last_hook()
        self._fail_replies()
        with self._guard:
            if self._over:
                return
            self._over = True
            given_up = self.given_up
        if given_up:
            self.directory.abandoned(self.slot, -1)
        self.hooks.actor_stopped.set()
        cause = self._cause or Cause.CRASH
        self._report(Exited(self.slot.name, self.generation, cause, self._error))

    def _last_hook(self) -> None:
        cause = self._cause or Cause.CRASH
        if self.hooks.cleans_up:
            self._report(Ending(self.slot.name, self.generation, cause, self._error))
        self.busy_since = self.kit.clock()
        try:
            if self._error is not None:
                self.hooks.on_crash(self._reason, self._error)
            else:
                self.hooks.on_stop()
        except BaseException as error:  # noqa: BLE001 - the report has still to be made
            self._crash("stop", error)
        self._rest()

    def _close(self) -> None:
        """Close the mailbox and settle what was in it."""
        lost = [letter for letter in self._box.close() if not isinstance(letter, _Signal)]
        self.left_behind += len(lost)
        for letter in lost:
            if letter.reply is not None:
                letter.reply.set_error(self._gone())
            else:
                self.directory.lost(self.path, letter.message, "exiting")
        for timer in list(self.timers):
            timer.cancel()

    def _fail_replies(self) -> None:
        for reply in list(self._replies):
            reply.set_error(self._gone())

    def _gone(self) -> Unavailable:
        return Unavailable(self.path, "exiting")


class _Signal(Letter):
    """A letter of the kit itself."""

    __slots__ = ()


def _without_tracebacks(error: BaseException) -> None:
    """Cut the tracebacks off an error and off those it came from."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        at = todo.pop()
        if at is not None and id(at) not in seen:
            seen.add(id(at))
            at.__traceback__ = None
            todo += (at.__cause__, at.__context__)
