"""Logs as plain lines on standard error: one line per record, nothing that a terminal would obey.

Passkeys that stand in the addresses of trackers are left out, whoever wrote the record.

Only a program's entry point calls `configure_logs`; as a library Revaer leaves logging to its host.
"""

import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import structlog

from revaer.domain.errors import InvalidInputError
from revaer.domain.plain_text import escaped
from revaer.domain.redaction import without_addresses

DEFAULT_LEVEL: Final = logging.WARNING
MAX_VALUE_LENGTH: Final = 2000
"""Characters of one field; a log line is for reading."""

_LEVELS: Final[dict[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_FORMS: Final = "Write a level (debug, info, warning, error), a NAME=LEVEL, or several with commas."
_KNOWN: Final = frozenset({"event", "level", "logger", "timestamp", "exception"})


@dataclass(frozen=True, slots=True)
class LogLevels:
    """How much is logged.

    Attributes:
        default: level of every logger that has none of its own.
        by_name: levels of loggers and of what is below them (`revaer.runtime`).
    """

    default: int = DEFAULT_LEVEL
    by_name: Mapping[str, int] = field(default_factory=dict)


def parse_levels(text: str) -> LogLevels:
    """Read the value of `REVAER_LOG`: `info`, `revaer.runtime=debug`, `info,actors=debug`.

    Raises:
        InvalidInputError: names the part that cannot be used and the accepted forms.
    """
    default = DEFAULT_LEVEL
    by_name: dict[str, int] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, is_named, level = part.rpartition("=")
        if level.strip().lower() not in _LEVELS or (is_named and not name.strip()):
            raise InvalidInputError(f"REVAER_LOG: {part!r} is not a log level. {_FORMS}")
        if is_named:
            by_name[name.strip()] = _LEVELS[level.strip().lower()]
        else:
            default = _LEVELS[level.lower()]
    return LogLevels(default, by_name)


def line_of(event: Mapping[str, Any]) -> str:
    """Write a record as one line: time, level, logger, event, fields in their order."""
    head = (
        str(event.get("timestamp", "")),
        f"{event.get('level', '')!s:<7}",
        str(event.get("logger", "")),
        str(event.get("event", "")),
    )
    fields = [f"{key}={_quoted(value)}" for key, value in event.items() if key not in _KNOWN]
    if event.get("exception"):
        fields.append(f"exception={_quoted(event['exception'])}")
    return " ".join(filter(None, (*(_cut(_plain(part)) for part in head), *fields)))


def configure_logs(levels: LogLevels, stream: TextIO | None = None) -> None:
    """Send the process's log records, structlog's and the standard library's, to one stream.

    Args:
        levels: what is logged at all.
        stream: where lines go; None for whatever `sys.stderr` is when a line is written, so that
            a display that owns the terminal can take lines in above its bars.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _add_time,
    ]
    handler = logging.StreamHandler(stream) if stream is not None else _StderrHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _render,
            ],
        )
    )
    root = logging.getLogger()
    _replace_handlers(root, [handler])
    root.setLevel(levels.default)
    for name, level in levels.by_name.items():
        logging.getLogger(name).setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # loggers made at import time follow a later change
    )


class _StderrHandler(logging.Handler):
    """Looks `sys.stderr` up for every record."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a standard error that is gone costs the line, not the program."""
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            self.handleError(record)


def _replace_handlers(logger: logging.Logger, handlers: Iterable[logging.Handler]) -> None:
    for old in tuple(logger.handlers):
        logger.removeHandler(old)
    for new in handlers:
        logger.addHandler(new)


def _add_time(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    event["timestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return event


def _render(_logger: object, _method: str, event: structlog.typing.EventDict) -> str:
    return line_of(event)


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    if text and not any(char in ' "=' or char.isspace() for char in text):
        return _cut(_plain(text))
    return _cut(f'"{_plain(text.replace(chr(34), chr(39)))}"')


def _plain(text: str) -> str:
    return escaped(without_addresses(text))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}..."
