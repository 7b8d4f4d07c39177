"""How commands fail: exit codes, and one clear line on standard error."""

import os
import sys
from dataclasses import dataclass
from typing import Final

from revaer.domain.errors import InvalidInputError, RevaerError
from revaer.domain.plain_text import escaped

DONE: Final = 0
BAD_INPUT: Final = 2
FAILED: Final = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command ended without success.

    Attributes:
        exit_code: 2 when what was given cannot be used, else 3.
        code: stable and machine-readable.
        message: what happened, to what, and what to do.
    """

    exit_code: int
    code: str
    message: str


def failure_of(error: RevaerError) -> Failure:
    """Sort an error: the caller's to fix, or not."""
    exit_code = BAD_INPUT if isinstance(error, InvalidInputError) else FAILED
    return Failure(exit_code, error.code, str(error))


def report(failure: Failure, *, as_json: bool) -> None:
    """Say it on standard error, and for programs on standard output too."""
    complain(failure.message)
    if as_json:
        from revaer.cli.projection import json_line

        line = json_line(
            "error", {"info_hash": None, "code": failure.code, "message": failure.message}
        )
        sys.stdout.buffer.write(line)
        sys.stdout.flush()


def complain(message: str) -> None:
    """One line on standard error, whatever the message holds."""
    sys.stderr.write(f"revaer: {escaped(message)}\n")
    sys.stderr.flush()


def silence_stdout() -> None:
    """Nobody reads any more: what the interpreter flushes at its end must not fail again."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 a descriptor is needed, not a file
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
