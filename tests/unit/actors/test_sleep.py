"""Can an actor go to sleep by itself without a message being lost on the way?"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from actors import (
    ChildSpec,
    DynamicSupervisor,
    MailboxOptions,
    PooledActor,
    Restart,
    StartChild,
    Unavailable,
)
from actors.testing import eventually, run_system

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES = 3_000


class Sleeper(PooledActor):
    """Writes down what it is told, and goes to sleep after each message if it can."""

    mailbox = MailboxOptions(capacity=2 * MESSAGES)

    def __init__(self, heard: list[int], naps: list[bool]) -> None:
        super().__init__()
        self._heard = heard
        self._naps = naps

    def on_receive(self, message: Any) -> None:
        self._heard.append(message)
        self._naps.append(self.stop_if_idle())


@pytest.fixture
def tiny_switch_interval() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


def test_whatever_was_accepted_is_handled_however_often_the_actor_sleeps(
    tiny_switch_interval: None,
) -> None:
    heard: list[int] = []
    naps: list[bool] = []
    accepted: list[int] = []
    pool = ChildSpec(
        name="pool",
        factory=lambda: DynamicSupervisor(
            template=lambda key: ChildSpec(
                name=key, factory=lambda: Sleeper(heard, naps), restart=Restart.TRANSIENT
            )
        ),
    )
    with run_system(pool) as system:
        supervisor, sleeper = system.address("pool"), None

        def tell(numbers: range) -> None:
            nonlocal sleeper
            for number in numbers:
                try:
                    if sleeper is None:
                        sleeper = supervisor.ask(StartChild("sleeper"), timeout_s=20)
                    sleeper.tell(number)
                except Unavailable:
                    supervisor.tell(StartChild("sleeper", first_message=number))
                accepted.append(number)

        threads = [
            threading.Thread(target=tell, args=(range(start, MESSAGES, 2),)) for start in (0, 1)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        eventually(lambda: len(heard) == len(accepted) == MESSAGES, within_s=30.0)

    assert sorted(heard) == list(range(MESSAGES))
    assert any(naps), "it never slept, so nothing was tried"
