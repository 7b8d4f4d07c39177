"""Does the restart core keep its promises in any life that a supervisor can have?

The promises are checked after each event by an independent model:

1. never two live generations of a child; 2. the live children are the model's; 3. a start waits for
all earlier siblings (ordered strategies); 4. stops one at a time, last first, once per generation;
5. the whole group is stopped before its first start; 6. escalation exactly when the model's window
says so, once, and no start after it; 7. a temporary child is never restarted; 8. the delay is that
of the model's attempt; 9. reports that come late or again lead to nothing; 10. in a friendly
environment all permanent children come to run, or after a stop there is exactly one `Done`.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from actors.lifecycle import Cause, ChildState
from actors.policy import SupervisorCore
from actors.spec import ChildSpec, OnHang, Restart, RestartLimit, Strategy
from tests.unit.actors.restart_model import (
    DependencyDownError,
    Plan,
    World,
    make_spec,
    random_plan,
    walk,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

SOAK = os.environ.get("REVAER_SOAK") == "1"
LIVE = (ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING)
ENDS = (
    (Cause.CRASH, RuntimeError("broken")),
    (Cause.CRASH, DependencyDownError("down")),
    (Cause.START_FAILED, OSError("no port")),
    (Cause.NORMAL, None),
    (Cause.SHUTDOWN, None),
    (Cause.ESCALATED, RuntimeError("below")),
    (Cause.HANG, None),
)


def specs(name: str) -> SearchStrategy[ChildSpec]:
    return st.builds(
        make_spec,
        st.just(name),
        restart=st.sampled_from(Restart),
        on_hang=st.sampled_from(OnHang),
        counts_against_limit=st.booleans(),
        retry_failed_s=st.sampled_from([None, 5.0, 40.0]),
    )


def plans() -> SearchStrategy[Plan]:
    limits = st.builds(RestartLimit, st.sampled_from([2, 0, 1, 3, 20]), st.just(20.0))
    static = st.builds(
        Plan,
        strategy=st.sampled_from(Strategy),
        specs=st.integers(1, 4).flatmap(lambda n: st.tuples(*map(specs, "abcd"[:n]))),
        limit=limits,
    )
    return st.one_of(static, st.builds(Plan, dynamic=st.just(value=True), limit=limits))


def core_for(plan: Plan) -> SupervisorCore:
    return SupervisorCore(plan.strategy, plan.specs, plan.limit, dynamic=plan.dynamic)


class SupervisorLife(RuleBasedStateMachine):
    """Everything that can happen to a supervisor, in any order."""

    world: World

    @initialize(plan=plans(), booted=st.booleans())
    def begin(self, plan: Plan, *, booted: bool) -> None:
        self.world = World(plan, core_for(plan))
        if booted:
            self.world.boot()

    def can(self, *states: ChildState) -> bool:
        return bool(self.world.names_in(*states))

    @rule()
    def boot(self) -> None:
        self.world.boot()

    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        self.world.pass_time(data.draw(st.sampled_from(self.world.interesting_pauses())))

    @precondition(lambda self: self.can(ChildState.STARTING))
    @rule(data=st.data())
    def child_is_ready(self, data: st.DataObject) -> None:
        starting = self.world.names_in(ChildState.STARTING)
        self.world.child_starts(data.draw(st.sampled_from(starting)))

    @precondition(lambda self: self.can(*LIVE))
    @rule(data=st.data(), end=st.sampled_from(ENDS))
    def child_dies(self, data: st.DataObject, end: tuple[Cause, Exception | None]) -> None:
        self.world.child_dies(data.draw(st.sampled_from(self.world.names_in(*LIVE))), *end)

    @precondition(lambda self: self.can(*LIVE))
    @rule(data=st.data())
    def child_hangs(self, data: st.DataObject) -> None:
        self.world.child_hangs(data.draw(st.sampled_from(self.world.names_in(*LIVE))))

    @precondition(lambda self: bool(self.world.timers))
    @rule(data=st.data())
    def timer_fires(self, data: st.DataObject) -> None:
        self.world.timer_fires(data.draw(st.sampled_from(list(self.world.timers))))

    @precondition(lambda self: bool(self.world.reports))
    @rule(data=st.data())
    def report_arrives_again(self, data: st.DataObject) -> None:
        self.world.replay(data.draw(st.sampled_from(self.world.reports)))

    @precondition(lambda self: bool(self.world.kids))
    @rule(data=st.data())
    def operator_restarts(self, data: st.DataObject) -> None:
        self.world.operator_restarts(data.draw(st.sampled_from(list(self.world.kids))))

    @precondition(lambda self: self.world.plan.dynamic)
    @rule(data=st.data(), name=st.sampled_from("abc"))
    def child_is_added_or_removed(self, data: st.DataObject, name: str) -> None:
        kid = self.world.kids.get(name)
        if kid is None or (kid.removing and data.draw(st.booleans())):
            self.world.add(data.draw(specs(name)))
        else:
            self.world.remove(name)

    @precondition(lambda self: bool(self.world.reports))
    @rule()
    def stop(self) -> None:
        self.world.stop()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.settle()


TestSupervisorLife = pytest.mark.soak(pytest.mark.timeout(900)(SupervisorLife.TestCase))
TestSupervisorLife.settings = settings(
    max_examples=2500 if SOAK else 150,
    stateful_step_count=60,
    deadline=None,
    derandomize=not SOAK,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_random_lives_of_random_supervisors() -> None:
    visited = set()
    for seed in range(20_000 if SOAK else 1000):
        rng = random.Random(seed)
        plan = random_plan(rng)
        world = walk(plan, core_for(plan), rng, steps=60)
        visited |= {(kid.state, kid.spec.restart) for kid in world.kids.values()}
    # A walk that ended everything at once would check nothing: the lives must be rich.
    assert (ChildState.RUNNING, Restart.PERMANENT) in visited
    assert (ChildState.FAILED, Restart.PERMANENT) in visited
