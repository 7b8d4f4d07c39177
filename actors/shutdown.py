"""One phase of a shutdown: an action that gets its time and no more."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("actors")


@dataclass(frozen=True, slots=True)
class ShutdownPhase:
    """Something to do before the tree is stopped.

    Attributes:
        name: for logs and reports.
        budget_s: its own time in seconds; what earlier phases did not use comes on top.
        action: called in a thread of its own with the seconds it has.
    """

    name: str
    budget_s: float
    action: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """How a phase went.

    Attributes:
        name: of the phase.
        took_s: seconds.
        finished: the action returned in time and without an error.
        error: what went wrong, empty if nothing did.
    """

    name: str
    took_s: float
    finished: bool
    error: str = ""


def run_phase(phase: ShutdownPhase, time_left_s: float) -> PhaseReport:
    """Run a phase; one that takes too long is left behind, one that fails is logged."""
    began = time.monotonic()
    done = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            phase.action(time_left_s)
        except BaseException as error:  # noqa: BLE001 - the phases after it have still to run
            errors.append(error)
        finally:
            done.set()

    try:
        threading.Thread(target=run, name=f"shutdown-{phase.name}", daemon=True).start()
    except RuntimeError as error:  # no thread to be had: better here than not at all
        log.warning("shutdown_phase_without_thread", extra={"phase": phase.name}, exc_info=error)
        run()
    in_time = done.wait(time_left_s)
    took_s = time.monotonic() - began
    if not in_time:
        log.error("shutdown_phase_overran", extra={"phase": phase.name, "budget_s": time_left_s})
        return PhaseReport(phase.name, took_s, finished=False, error="took too long")
    if errors:
        log.error("shutdown_phase_failed", extra={"phase": phase.name}, exc_info=errors[0])
        what = f"{type(errors[0]).__name__}: {errors[0]}"
        return PhaseReport(phase.name, took_s, finished=False, error=what)
    return PhaseReport(phase.name, took_s, finished=True)
