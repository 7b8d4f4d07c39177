"""The answer to an ask: set once, by whoever is first; waited for with a time limit."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Answer:
    """The place where one answer arrives. Any thread may set it; the first one counts."""

    __slots__ = ("_changed", "_error", "_value", "done")

    def __init__(self) -> None:
        """Wait for the answer."""
        self._changed = threading.Condition(threading.Lock())
        self._value: object = None
        self._error: BaseException | None = None
        self.done = False

    def set(self, value: object) -> bool:
        """Answer; False when there was an answer already, which stays."""
        return self._settle(value, None)

    def set_error(self, error: BaseException, /) -> bool:
        """Answer with an error; False when there was an answer already, which stays."""
        return self._settle(None, error)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the answer, at most `timeout_s` seconds; True when it is there."""
        with self._changed:
            return self._changed.wait_for(lambda: self.done, timeout_s)

    def result(self) -> Any:  # noqa: ANN401 - an answer is whatever the handler returns
        """The answer, once `done`.

        Raises:
            BaseException: the error that was the answer.
        """
        if self._error is not None:
            raise self._error
        return self._value

    def _settle(self, value: object, error: BaseException | None) -> bool:
        with self._changed:
            if self.done:
                return False
            self._value, self._error = value, error
            self.done = True
            self._changed.notify_all()
            return True


class Reply:
    """An answer that a handler gives later. See `Actor.defer_reply`.

    For a message that nobody waits for, setting it does nothing.
    """

    __slots__ = ("_answer", "_on_settled")

    def __init__(self, answer: Answer | None, on_settled: Callable[[Reply], None]) -> None:
        """Promise an answer.

        Args:
            answer: where it is waited for; None for a tell.
            on_settled: told when this reply is over.
        """
        self._answer = answer
        self._on_settled = on_settled

    @property
    def wanted(self) -> bool:
        """Whether somebody asked and has no answer yet."""
        return self._answer is not None and not self._answer.done

    def set(self, value: object) -> bool:
        """Answer, from any thread; False when nobody waits or there was an answer already."""
        self._on_settled(self)
        return self._answer is not None and self._answer.set(value)

    def set_error(self, error: Exception) -> bool:
        """Answer with an error, which the asker gets raised; False as in `set`."""
        self._on_settled(self)
        return self._answer is not None and self._answer.set_error(error)
