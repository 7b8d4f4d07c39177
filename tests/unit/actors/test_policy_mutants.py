"""Would the checks notice if the restart core were wrong?

Each mutant is the real source with one mistake in it. The random walks that the real core passes
must catch every one of them. They are only generated, never shrunk, so that this stays quick.
"""

from __future__ import annotations

import inspect
import random
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from actors import backoff, child, groups, policy
from tests.unit.actors.restart_model import Core, Plan, random_plan, walk

if TYPE_CHECKING:
    from collections.abc import Callable

WALKS = 1500
STEPS = 60


@dataclass(frozen=True)
class Mutant:
    """One mistake: `old` occurs exactly once in the module's source and becomes `new`."""

    mistake: str
    module: types.ModuleType
    old: str
    new: str


MUTANTS = [
    Mutant(
        "a Started of an old generation counts",
        policy,
        "self._on_started(self._live(name, generation), now)",
        "self._on_started(self._children.get(name), now)",
    ),
    Mutant(
        "reports of old generations count",
        policy,
        "child.generation != generation or not child.live",
        "not child.live",
    ),
    Mutant(
        "reports about a dead instance count",
        policy,
        "child.generation != generation or not child.live",
        "child.generation != generation",
    ),
    Mutant("late timers count", policy, "child.timer != timer", "child.timer is None"),
    Mutant(
        "the budget is one too small",
        backoff,
        "self.spent(now) > self._max_restarts",
        "self.spent(now) >= self._max_restarts",
    ),
    Mutant(
        "a death at the edge of the window is forgotten",
        backoff,
        "now - death <= self._window_s",
        "now - death < self._window_s",
    ),
    Mutant(
        "deaths are never forgotten",
        backoff,
        "now - death <= self._window_s",
        "death <= now",
    ),
    Mutant(
        "healthy only after longer than healthy_after_s",
        child,
        "now - since >= self.spec.healthy_after_s",
        "now - since > self.spec.healthy_after_s",
    ),
    Mutant("every death is taken for the first", child, "if since is not None and", "if True or"),
    Mutant("the delay never grows", policy, "child.attempt += 1", "child.attempt = 1"),
    Mutant(
        "the delay lags by one attempt",
        policy,
        "backoff_delay_s(child.spec.wait, child.attempt)",
        "backoff_delay_s(child.spec.wait, child.attempt - 1)",
    ),
    Mutant(
        "a temporary child is restarted",
        policy,
        "elif spec.restart is Restart.TEMPORARY or (",
        "elif (",
    ),
    Mutant(
        "a temporary sibling is restarted with its group",
        policy,
        "cause is Cause.GROUP and child.spec.restart is Restart.TEMPORARY",
        "False",
    ),
    Mutant(
        "a transient child that was shut down is restarted",
        policy,
        "failed = cause not in NORMAL_ENDS",
        "failed = cause is not Cause.NORMAL",
    ),
    Mutant(
        "a transient sibling that was done is left out of the group",
        policy,
        "self._release(child, Cause.GROUP, now)",
        "pass",
    ),
    Mutant(
        "stops go first to last",
        groups,
        "for child in reversed(children):",
        "for child in list(children):",
    ),
    Mutant(
        "the last stop is not one at a time",
        policy,
        "one_at_a_time = self._ordered or self._ending",
        "one_at_a_time = self._ordered",
    ),
    Mutant(
        "group stops are not one at a time",
        policy,
        "one_at_a_time = self._ordered or self._ending",
        "one_at_a_time = self._ending",
    ),
    Mutant(
        "a stop is sent twice",
        policy,
        "        child.must_stop = False\n        child.end_cause = cause",
        "        child.end_cause = cause",
    ),
    Mutant(
        "ordered starts do not wait for earlier siblings",
        groups,
        "strategy is not Strategy.ONE_FOR_ONE and not child.ready:",
        "strategy is not Strategy.ONE_FOR_ONE and child.state is ChildState.ABSENT:",
    ),
    Mutant(
        "boot of one_for_one starts all at once",
        groups,
        "child.wants_start and (all_decided or child.decided)",
        "child.wants_start",
    ),
    Mutant(
        "a start does not wait for the group to stop",
        policy,
        "elif self._stop_next(now):\n            self._start_next(now)",
        "else:\n            self._stop_next(now)\n            self._start_next(now)",
    ),
    Mutant(
        "rest_for_one takes the earlier siblings too",
        groups,
        "elif after or strategy is Strategy.ONE_FOR_ALL:",
        "else:",
    ),
    Mutant(
        "one_for_all forgets the earlier siblings",
        groups,
        "elif after or strategy is Strategy.ONE_FOR_ALL:",
        "elif after:",
    ),
    Mutant(
        "one_for_all starts before the delay is over",
        groups,
        "child.state is ChildState.BACKING_OFF and not child.due",
        "False",
    ),
    Mutant(
        "a sibling already stopping gets a second reason",
        policy,
        "if child.state in {ChildState.STARTING, ChildState.RUNNING}:\n            child.must_stop",
        "if child.live:\n            child.must_stop",
    ),
    Mutant(
        "an outage uses up the budget",
        policy,
        "spec.counts_against_limit and not isinstance(error, spec.transient_errors)",
        "spec.counts_against_limit",
    ),
    Mutant(
        "a child outside the limit uses up the budget",
        policy,
        "spec.counts_against_limit and not isinstance(error, spec.transient_errors)",
        "not isinstance(error, spec.transient_errors)",
    ),
    Mutant(
        "a retried child spends its siblings' budget",
        policy,
        "own_budget = self.dynamic or spec.retry_failed_s is not None",
        "own_budget = self.dynamic",
    ),
    Mutant(
        "a supervisor that gave up is restarted at once",
        policy,
        "elif cause is Cause.ESCALATED and spec.retry_failed_s is not None:",
        "elif False:",
    ),
    Mutant(
        "the operator's restart does not renew the budget",
        policy,
        "child.window.clear()",
        "pass",
    ),
    Mutant(
        "escalation leaves the siblings running",
        policy,
        "self._emit(Escalate(child.spec.name, cause, error))\n        self._end(now)",
        "self._emit(Escalate(child.spec.name, cause, error))",
    ),
    Mutant(
        "a child that dies after the end is started again",
        policy,
        "if self._ending:\n            self._rest(child, cause, error, now)",
        "if self._done:\n            self._rest(child, cause, error, now)",
    ),
    Mutant(
        "a backing off child survives the stop",
        policy,
        "if child.state in {ChildState.BACKING_OFF, ChildState.ABSENT}:",
        "if child.state is ChildState.ABSENT:",
    ),
    Mutant("done is told twice", policy, "if not self._done and not any(", "if not any("),
    Mutant(
        "a fatal hang is replaced",
        policy,
        "fatal = child.spec.on_hang is OnHang.ESCALATE",
        "fatal = False",
    ),
    Mutant(
        "a fatal hang below is restarted",
        policy,
        "fatal=cause is Cause.HANG",
        "fatal=False",
    ),
    Mutant(
        "a slow start is taken for a hang",
        policy,
        "if child is None or child.state is not ChildState.RUNNING:",
        "if child is None:",
    ),
    Mutant(
        "a stuck stop is not abandoned",
        policy,
        "self._abandon(child)\n                if child.spec.on_hang",
        "if child.spec.on_hang",
    ),
    Mutant(
        "one that may not be started beside itself is replaced while it is stuck",
        policy,
        "if child.spec.on_hang is OnHang.ESCALATE and not (self._ending or child.removing):",
        "if self is None:",
    ),
    Mutant(
        "a hung instance is not abandoned",
        policy,
        "self._abandon(child)\n        fatal",
        "fatal",
    ),
    Mutant(
        "a start timeout during the last stop is taken for its reason",
        policy,
        "case TimerKind.START if self._ending:",
        "case TimerKind.START if self._done:",
    ),
    Mutant(
        "a start timeout costs nothing",
        policy,
        "if cause is Cause.START_TIMEOUT and not child.removing:",
        "if self._done:",
    ),
    Mutant(
        "a name's next child repeats the generations of the last",
        policy,
        "max(self._last_generation, child.generation)",
        "self._last_generation",
    ),
    Mutant(
        "a timer outlives the state it was for",
        policy,
        "self._disarm(child)  # whatever it was for, that state is over",
        "pass",
    ),
    Mutant(
        "a failed child is retried after the end",
        policy,
        "elif child.state is ChildState.FAILED:\n                self._disarm(child)",
        "elif child.state is ChildState.FAILED:\n                pass",
    ),
    Mutant(
        "a normal end just before the group's stop leaves the group",
        policy,
        "early = child.must_stop and cause in NORMAL_ENDS",
        "early = False",
    ),
]


def core_factory(mutant: Mutant | None) -> Callable[[Plan], Core]:
    """Makes cores from freshly compiled source, with the mutant's mistake if there is one."""
    changed: dict[str, object] = {}
    if mutant is not None and mutant.module is not policy:
        changed = compiled(mutant.module, mutant)
    fresh = compiled(policy, mutant if mutant and mutant.module is policy else None)
    defined = {name for name, value in changed.items() if is_from(mutant, value)}
    fresh.update({name: changed[name] for name in defined & fresh.keys()})
    core_type = cast("type[policy.SupervisorCore]", fresh["SupervisorCore"])
    return lambda plan: core_type(plan.strategy, plan.specs, plan.limit, dynamic=plan.dynamic)


def is_from(mutant: Mutant | None, value: object) -> bool:
    """Whether a name's value is defined by the mutant's module, not imported into it."""
    return mutant is not None and getattr(value, "__module__", None) == mutant.module.__name__


def compiled(module: types.ModuleType, mutant: Mutant | None) -> dict[str, object]:
    """The names that a module defines when its source is run afresh, changed by `mutant`."""
    source = inspect.getsource(module)
    if mutant is not None:
        assert source.count(mutant.old) == 1, f"{mutant.mistake}: {mutant.old!r} must occur once"
        source = source.replace(mutant.old, mutant.new)
    copy = types.ModuleType(module.__name__)
    # dataclasses look their module up by name; the original serves for that.
    exec(compile(source, f"<mutant of {module.__name__}>", "exec"), copy.__dict__)  # noqa: S102
    return copy.__dict__


def walks_until_noticed(make_core: Callable[[Plan], Core], walks: int) -> int | None:
    """Number of the random walk in which something is wrong; None if all of them pass."""
    for seed in range(walks):
        rng = random.Random(seed)
        plan = random_plan(rng)
        try:
            walk(plan, make_core(plan), rng, STEPS)
        except Exception:  # noqa: BLE001 - a mutant may fail in any way; all of them are noticed
            return seed
    return None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_a_mistake_is_noticed(mutant: Mutant) -> None:
    assert walks_until_noticed(core_factory(mutant), WALKS) is not None


def test_the_core_without_a_mistake_passes_the_same_walks() -> None:
    assert walks_until_noticed(core_factory(None), WALKS) is None
