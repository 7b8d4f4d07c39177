"""Where Revaer's own log records go: to whoever set logging up, and nowhere else.

structlog that nobody configured writes to standard output, which belongs to the program that
imports Revaer. So records of such a program go to the standard library's loggers of the same names
(`revaer.runtime.session`, ...) as plain text, for it to show, to file or to leave. When it set up
nothing at all they go nowhere, instead of to its standard error.
"""

import logging
from typing import Any, cast

import structlog

logging.getLogger("revaer").addHandler(logging.NullHandler())


class _Log:
    """Finds out with each record who has logging in hand."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._plain = structlog.wrap_logger(
            logging.getLogger(name),
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.processors.format_exc_info,
                structlog.processors.KeyValueRenderer(key_order=["event"]),
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
        )

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 a method of structlog's
        chosen = structlog.get_logger(self._name) if structlog.is_configured() else self._plain
        return getattr(chosen, name)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger of this name; use it as structlog's: a constant event name, then fields."""
    return cast("structlog.stdlib.BoundLogger", _Log(name))
