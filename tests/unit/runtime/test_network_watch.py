"""When is Revaer cut off from its peers, and what is done about it?"""

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from revaer.domain import facts as f
from revaer.ports.engine import EngineSettings
from revaer.runtime.messages import ApplySettings
from revaer.runtime.network_watch import LONGEST_RETRY_S, NetworkWatch
from revaer.runtime.session_desk import SessionDesk
from tests.support.session_stand import SessionStand

if TYPE_CHECKING:
    from revaer.domain.events import HealthChanged

BOUND = EngineSettings(listen=("tun0:6881",), outgoing_interface="tun0")
TWO = EngineSettings(listen=("10.0.0.7:6881", "10.0.0.8:6881"))


class Stand(SessionStand):
    """The stand with its watch, and the pump that tells it what the engine says."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self.engine.drain()
        self.watch = NetworkWatch(self.parts)
        self.pass_seconds(1)
        assert not self.take()

    def pass_seconds(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance(1.0)
            assert not tuple(self.watch.tick())
            self.pump()

    def pump(self) -> None:
        for fact in self.engine.drain():
            if isinstance(fact, f.ListenSucceeded | f.ListenFailed):
                self.watch.hear(fact)

    def cause(self) -> str:
        """Of the only thing that was told."""
        (told,) = self.take()
        assert (cast("HealthChanged", told).component, cast("HealthChanged", told).status) == (
            "network",
            "degraded",
        )
        return cast("HealthChanged", told).cause


def test_a_vanished_device_is_a_cause_within_a_second_and_suspends_the_engine() -> None:
    stand = Stand(BOUND)

    stand.engine.go_deaf(quietly=True)
    stand.pass_seconds(1)

    assert "tun0 is not there" in stand.cause()
    assert stand.engine._is_suspended


def test_a_device_that_is_back_ends_it_all_by_itself() -> None:
    stand = Stand(BOUND)
    stand.engine.go_deaf(quietly=True)
    stand.pass_seconds(300)
    stand.take()

    stand.engine.hear_again()
    stand.pass_seconds(1)

    assert stand.health() == [("network", "ok")]
    assert not stand.engine._is_suspended


def test_no_socket_is_tried_on_a_device_that_is_not_there() -> None:
    stand = Stand(BOUND)
    stand.engine.go_deaf(quietly=True)

    stand.pass_seconds(300)

    assert stand.calls("apply") == 0


def test_listening_on_a_lost_device_does_not_suspend_what_calls_out_by_another_way() -> None:
    stand = Stand(replace(BOUND, outgoing_interface=""))

    stand.engine.go_deaf(quietly=True)
    stand.pass_seconds(1)

    assert "listening goes on by itself" in stand.cause()
    assert not stand.engine._is_suspended


def test_a_port_in_use_is_tried_again_ever_more_seldom_until_it_is_free() -> None:
    stand = Stand(TWO)
    stand.engine.go_deaf("Address already in use")
    stand.pump()
    assert "10.0.0.7:6881 (Address already in use)" in cast("HealthChanged", stand.take()[-1]).cause

    stand.pass_seconds(600)
    tried = stand.calls("apply")
    assert 600 / LONGEST_RETRY_S < tried < 20
    assert not stand.take(), "nothing new is to be said of it"
    stand.engine.hear_again()
    stand.pump()

    assert stand.health()[-1] == ("network", "ok")


def test_a_failure_on_one_address_of_two_is_told_and_mended() -> None:
    stand = Stand(TWO)

    stand.watch.hear(f.ListenFailed("10.0.0.8:6881", "Address already in use"))
    assert "other addresses still do" in stand.cause()
    stand.watch.hear(f.ListenSucceeded("10.0.0.7", 6881))
    assert not stand.take()
    stand.watch.hear(f.ListenSucceeded("10.0.0.8", 6881))

    assert stand.health() == [("network", "ok")]


def test_a_failure_that_is_not_reported_again_after_another_try_is_over() -> None:
    """The address is gone, for instance: nobody will ever listen on it."""
    stand = Stand(TWO)
    stand.watch.hear(f.ListenFailed("10.9.9.9:6881", "Address already in use"))
    stand.take()

    stand.pass_seconds(5)

    assert stand.health() == [("network", "ok")]
    assert stand.calls("apply") == 1


def test_a_link_local_address_that_cannot_be_bound_yet_is_nobodys_trouble() -> None:
    stand = Stand(TWO)

    stand.watch.hear(f.ListenFailed("[fe80::1%eth0]:6881", "Cannot assign requested address"))
    stand.pass_seconds(3)

    assert not stand.take()


def test_an_engine_that_is_deaf_for_no_reason_is_believed_at_the_second_look() -> None:
    stand = Stand(TWO)
    stand.engine._ports = ()

    stand.pass_seconds(1)
    assert not stand.take()
    stand.pass_seconds(1)
    assert "no listening socket" in stand.cause()
    stand.pass_seconds(5)

    assert stand.health() == [("network", "ok")], "it was made to listen again"


def test_failures_of_addresses_that_are_no_longer_asked_for_are_forgotten() -> None:
    stand = Stand(TWO)
    stand.watch.hear(f.ListenFailed("10.0.0.8:6881", "Address already in use"))
    stand.take()

    SessionDesk(stand.parts).apply(ApplySettings(replace(TWO, listen=("10.0.0.7:6881",))))
    stand.pass_seconds(1)

    assert stand.health() == [("network", "ok")]


def test_a_successor_that_finds_the_device_back_ends_the_suspension() -> None:
    stand = Stand(BOUND)
    stand.engine.go_deaf(quietly=True)
    stand.pass_seconds(1)
    stand.engine.hear_again()

    NetworkWatch(stand.parts).tick()

    assert not stand.engine._is_suspended


def test_with_nothing_bound_nobody_is_asked_for_interfaces() -> None:
    stand = Stand(EngineSettings(listen=("0.0.0.0:6881", "[::]:6881")))

    stand.pass_seconds(10)

    assert stand.calls("absent_interfaces") == 0
    assert stand.calls("apply") == 0
    assert not stand.take()


@pytest.mark.parametrize("settings", [BOUND, TWO], ids=["bound", "two"])
def test_an_engine_that_is_well_is_only_looked_at(settings: EngineSettings) -> None:
    stand = Stand(settings)

    stand.pass_seconds(100)

    assert stand.calls("apply") == 0
    assert stand.calls("suspend") <= 1
    assert not stand.take()
