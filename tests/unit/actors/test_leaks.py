"""After a thousand restarts: is anything left of the dead?"""

from __future__ import annotations

import gc
import os
import threading
import weakref

import pykka
import pytest

from actors import ChildSpec, DynamicSupervisor, Restart, StartChild
from actors.testing import eventually, run_system
from tests.support.soak import scaled
from tests.unit.actors.cast import (
    AT_ONCE,
    GENEROUS,
    KINDS,
    Fail,
    Leave,
    PooledPlayer,
    _Player,
    generation_of,
    node,
)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only, and no Path per entry


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_thousand_restarts_leave_nothing_behind(
    kind: type[_Player], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", logger="actors")  # a captured record keeps the error it shows
    restarts = scaled(300, 1_000)
    instances: list[weakref.ref[_Player]] = []

    def factory() -> _Player:
        actor = kind()
        instances.append(weakref.ref(actor))
        return actor

    child = ChildSpec(name="a", factory=factory, wait=lambda _state: 0.0)
    with run_system(child, limit=GENEROUS) as system:
        address = system.address("a")
        threads, files = threading.active_count(), open_files()
        for generation in range(1, restarts + 1):
            eventually(lambda g=generation: generation_of(address) == g)  # type: ignore[misc]
            address.tell(Fail(ValueError("again")))
        eventually(lambda: generation_of(address) == restarts + 1)
        eventually(lambda: threading.active_count() <= threads)
        eventually(lambda: open_files() <= files)
        assert pykka.ActorRegistry.get_all() == []
        gc.collect()
        alive = [ref for ref in instances if ref() is not None]
        assert len(instances) == restarts + 1
        # The running one, and at most one that a thread which just ends still holds.
        assert len(alive) <= 2


def test_the_error_that_an_asker_keeps_does_not_keep_the_dead_actor(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("CRITICAL", logger="actors")
    instances: list[weakref.ref[_Player]] = []

    def factory() -> _Player:
        actor = PooledPlayer()
        instances.append(weakref.ref(actor))
        return actor

    with run_system(ChildSpec(name="a", factory=factory, wait=AT_ONCE)) as system:
        address = system.address("a")
        with pytest.raises(ValueError, match="kept") as kept:
            address.ask(Fail(ValueError("kept")), timeout_s=10)
        eventually(lambda: generation_of(address) == 2)
        eventually(lambda: gc.collect() >= 0 and instances[0]() is None)
        assert str(kept.value) == "kept"


@pytest.mark.soak
def test_children_that_went_to_sleep_leave_nothing_behind() -> None:
    instances: list[weakref.ref[_Player]] = []
    crowd = scaled(300, 5_000)

    def make() -> _Player:
        actor = PooledPlayer()
        instances.append(weakref.ref(actor))
        return actor

    def factory() -> DynamicSupervisor:
        return DynamicSupervisor(
            template=lambda key: ChildSpec(name=key, factory=make, restart=Restart.TRANSIENT)
        )

    with run_system(ChildSpec(name="pool", factory=factory)) as system:
        for n in range(crowd):
            system.address("pool").tell(StartChild(f"k{n}", first_message=Leave()))
        eventually(lambda: len(instances) == crowd, within_s=60)
        eventually(lambda: node(system, "pool")["children_by_state"] == {}, within_s=60)
        assert system.address("pool").ask(StartChild("last"), timeout_s=10).path == "pool.last"
        gc.collect()
        alive = [ref for ref in instances if ref() is not None]
        assert len(alive) <= 2
