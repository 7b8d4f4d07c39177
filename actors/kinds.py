"""Who runs a life: a pool's workers in turns, or a thread that also waits for something outside."""

from __future__ import annotations

import logging
import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Protocol

from actors.directory import ActingAs
from actors.hooks import Hooks
from actors.life import Life

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.directory import Letter, Slot
    from actors.hooks import Report
    from actors.kit import Kit

log = logging.getLogger("actors")

LONGEST_STEP_S = 0.5
"""A step that takes longer makes stops late, and in the end looks hung."""

LONGEST_TURN_S = 0.002
"""After this a turn ends with the letter it is in: letters are not all of one size, and whoever
waits for a worker waits for the end of a turn."""

# Between two steps; more would let a flood of messages starve what the loop is for.
_LETTERS_PER_STEP = 256


class PooledLife(Life):
    """Runs in turns on the workers of the system's dispatcher; idle, it holds no thread."""

    kind = "pooled"
    may_wait = False
    _begun = False

    def run_turn(self, quantum: int) -> bool:
        """Handle at most `quantum` letters, fewer when they take long; True when some are left."""
        if self._over:
            return False
        ends_at = self.kit.clock() + LONGEST_TURN_S
        with ActingAs(self):
            try:
                if not self._begun:
                    self._begun = True
                    self._start()
                for _ in range(quantum):
                    if self._cause is not None:
                        return False
                    letter = self._box.get_nowait()
                    if letter is None:
                        return False
                    self._take(letter)
                    if self.last_activity > ends_at:
                        break
            except BaseException as error:  # noqa: BLE001 - an end without a report is worse
                self._crash("loop", error)
            finally:
                if self._cause is not None:
                    self._finish()
        return not self._box.empty

    def post(self, letter: Letter) -> None:
        """Queue in the user lane; an ask gets its turn before tells to others."""
        super().post(letter)
        if letter.reply is not None:
            self.kit.dispatcher.submit(self, urgent=True)

    def give_up(self) -> None:
        """Fence it off; a worker that is stuck in it is replaced."""
        super().give_up()
        dispatcher = self.kit.dispatcher
        try:
            is_stuck = dispatcher.abandon(self)
        except RuntimeError as error:  # no thread for another worker: the stuck one stays theirs
            log.error("worker_not_replaced", extra={"path": self.path, "cause": str(error)})  # noqa: TRY400 - the error is in it
            return
        if not is_stuck:
            dispatcher.submit(self)  # let it end in its next turn

    def _on_ready(self) -> Callable[[], None]:
        return partial(self.kit.dispatcher.submit, self)

    def _begin_running(self) -> None:
        self.kit.dispatcher.submit(self)


class LoopHooks(Hooks, Protocol):
    """What a loop life calls in addition."""

    def step(self, wake: int, deadline: float) -> None:
        """Wait for something outside and deal with it."""


class LoopLife(Life):
    """Runs in a thread of its own: all messages, then one step, and so on."""

    kind = "loop"
    hooks: LoopHooks

    def __init__(
        self,
        hooks: LoopHooks,
        kit: Kit,
        slot: Slot,
        generation: int,
        report: Callable[[Report], None],
    ) -> None:
        """As `Life`."""
        self._pipe: tuple[int, int] | None = None
        self._pipe_lock = threading.Lock()
        self._signalled = False
        super().__init__(hooks, kit, slot, generation, report)

    def _on_ready(self) -> Callable[[], None]:
        return self._wake

    def _wake(self) -> None:
        with self._pipe_lock:
            # Once closed, the number may belong to somebody else's file.
            if self._pipe is not None and not self._signalled:
                self._signalled = True
                os.write(self._pipe[1], b"\0")

    def _begin_running(self) -> None:
        self._pipe = os.pipe()
        super()._begin_running()

    def _loop(self) -> None:
        while self._cause is None:
            self._calm()
            if not self._drain():
                self._wake()
            if self._cause is None:
                self._step()

    def _calm(self) -> None:
        with self._pipe_lock:
            if self._pipe is not None and self._signalled:
                os.read(self._pipe[0], 1)
                self._signalled = False

    def _drain(self) -> bool:
        """Handle what is queued; False when there was too much of it for one go."""
        for _ in range(_LETTERS_PER_STEP):
            letter = self._box.get_nowait()
            if letter is None:
                return True
            self._take(letter)
            if self._cause is not None:
                return True
        return False

    def _step(self) -> None:
        pipe = self._pipe
        if pipe is None:
            return
        now = self.busy_since = self.kit.clock()
        try:
            self.hooks.step(pipe[0], now + LONGEST_STEP_S)
        except BaseException as error:  # noqa: BLE001 - as in handlers: SystemExit is a crash too
            self._crash("step", error)
        self._rest()

    def _finish(self, *, run_hooks: bool = True) -> None:
        with self._pipe_lock:
            pipe, self._pipe = self._pipe, None
        for end in pipe or ():
            os.close(end)
        super()._finish(run_hooks=run_hooks)
