"""What a bench returns, and how two ways of doing a thing are compared fairly.

A bench is a module in this folder with a function `run() -> dict[str, Figure]`; its name is the
module's. Every bench runs in a process of its own.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to be; `value` itself is good enough."""

    value: float
    is_upper: bool

    def met_by(self, measured: float) -> bool:
        """Whether a measured value is good enough."""
        return measured <= self.value if self.is_upper else measured >= self.value

    def __str__(self) -> str:
        """For the table."""
        return f"{'<=' if self.is_upper else '>='} {self.value:g}"


def at_most(value: float) -> Target:
    """Less is better."""
    return Target(value, is_upper=True)


def at_least(value: float) -> Target:
    """More is better."""
    return Target(value, is_upper=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    Attributes:
        unit: of `value` and `target`; `x` for a ratio of two values of the same run.
        target: None for a figure that only explains others.
    """

    value: float
    unit: str
    target: Target | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else self.target.met_by(self.value)


@dataclass(frozen=True, slots=True)
class Pair:
    """Median seconds of two ways of doing a thing, measured in turns."""

    first_s: float
    second_s: float

    @property
    def ratio(self) -> float:
        """How many times as long the first takes."""
        return self.first_s / self.second_s if self.second_s else float("inf")


def interleaved(
    first: Callable[[], object], second: Callable[[], object], *, rounds: int = 15
) -> Pair:
    """Measure two ways alternately, so that whatever slows the machine slows both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for action, taken in zip((first, second), times, strict=True):
            began = time.perf_counter()
            action()
            taken.append(time.perf_counter() - began)
    return Pair(statistics.median(times[0]), statistics.median(times[1]))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed; nan for none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def rss_bytes() -> int:
    """Memory of this process that is in RAM now (Linux)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmRSS line; this bench needs Linux")
