"""What becomes of commands that concern the engine as a whole?"""

from dataclasses import replace
from typing import Any, cast

import pytest

from revaer.domain import commands as cmd
from revaer.domain.errors import InvalidInputError
from revaer.domain.events import GuardRailRaised
from revaer.domain.ids import BytesPerSecond
from revaer.domain.limits import HIGH_LIMIT
from revaer.runtime.messages import ApplySettings
from revaer.runtime.session_desk import SessionDesk
from tests.support.session_stand import SessionStand

FIVE = BytesPerSecond(5)
SEVEN = BytesPerSecond(7)
OFF = BytesPerSecond(0)


@pytest.fixture
def stand() -> SessionStand:
    return SessionStand()


@pytest.fixture
def desk(stand: SessionStand) -> SessionDesk:
    return SessionDesk(stand.parts)


def rebuilt(stand: SessionStand) -> Any:
    """The engine that replaces one beyond use."""
    stand.holder.condemn()
    return stand.holder.acquire().engine


def test_limits_hold_at_once_and_for_a_rebuilt_engine(
    stand: SessionStand, desk: SessionDesk
) -> None:
    done = desk.apply(cmd.SetGlobalLimits(FIVE, SEVEN))

    assert done.revision == stand.parts.board.revision
    assert stand.engine.global_limits() == (5, 7)
    assert rebuilt(stand).global_limits() == (5, 7)


def test_alternative_limits_wait_until_they_are_switched_on_and_yield_when_off(
    stand: SessionStand, desk: SessionDesk
) -> None:
    desk.apply(cmd.SetGlobalLimits(FIVE, FIVE))

    desk.apply(cmd.SetAlternativeLimits(SEVEN, SEVEN))
    assert stand.engine.global_limits() == (5, 5)
    desk.apply(cmd.UseAlternativeLimits(enabled=True))
    assert stand.engine.global_limits() == (7, 7)
    desk.apply(cmd.SetAlternativeLimits(FIVE, SEVEN))
    assert stand.engine.global_limits() == (5, 7)
    desk.apply(cmd.UseAlternativeLimits(enabled=False))
    assert stand.engine.global_limits() == (5, 5)


def test_usual_limits_set_while_the_alternative_ones_hold_wait_for_their_turn(
    stand: SessionStand, desk: SessionDesk
) -> None:
    desk.apply(cmd.SetAlternativeLimits(SEVEN, SEVEN))
    desk.apply(cmd.UseAlternativeLimits(enabled=True))

    desk.apply(cmd.SetGlobalLimits(FIVE, FIVE))

    assert stand.engine.global_limits() == (7, 7)
    assert rebuilt(stand).global_limits() == (7, 7)
    assert stand.holder.memory.limits.download == 5


@pytest.mark.parametrize(
    "command",
    [
        cmd.SetGlobalLimits(BytesPerSecond(-1), FIVE),
        cmd.SetGlobalLimits(FIVE, BytesPerSecond(2**40)),
        cmd.SetAlternativeLimits(BytesPerSecond(-1), FIVE),
        cmd.SetGlobalLimits(cast("Any", 1.5), FIVE),
        cmd.BanPeers(("10.0.0.1", "example.org")),
        cmd.BanPeers(("10.0.0.1:6881",)),
    ],
    ids=["negative", "too large", "alternative", "no whole number", "a name", "with a port"],
)
def test_what_cannot_be_used_is_refused_and_changes_nothing(
    stand: SessionStand, desk: SessionDesk, command: cmd.SessionCommand
) -> None:
    desk.apply(cmd.SetGlobalLimits(SEVEN, SEVEN))
    before = stand.holder.memory
    stand.take()

    with pytest.raises(InvalidInputError):
        desk.apply(command)

    assert stand.holder.memory is before
    assert stand.engine.global_limits() == (7, 7)
    assert not stand.engine.settings.banned_peers
    assert not stand.take()


def test_settings_that_the_engine_refuses_are_not_remembered(
    stand: SessionStand, desk: SessionDesk
) -> None:
    before = stand.holder.memory
    stand.engine.fail_next("apply", InvalidInputError("the engine will not have it"))

    with pytest.raises(InvalidInputError):
        desk.apply(ApplySettings(replace(before.settings, enable_dht=False)))

    assert stand.holder.memory is before


def test_bans_add_up_and_hold_for_a_rebuilt_engine(stand: SessionStand, desk: SessionDesk) -> None:
    desk.apply(cmd.BanPeers(("10.0.0.1", "2001:DB8:0::1")))
    desk.apply(cmd.BanPeers(("10.0.0.2", "2001:db8::1")))

    banned = {"10.0.0.1", "10.0.0.2", "2001:db8::1"}
    assert stand.engine.settings.banned_peers == banned
    assert rebuilt(stand).settings.banned_peers == banned


def test_settings_reach_the_engine_with_the_limits_that_hold(
    stand: SessionStand, desk: SessionDesk
) -> None:
    desk.apply(cmd.SetAlternativeLimits(SEVEN, SEVEN))
    desk.apply(cmd.UseAlternativeLimits(enabled=True))
    asked = replace(stand.holder.memory.settings, enable_lsd=False, download_limit=FIVE)

    desk.apply(ApplySettings(asked))

    assert not stand.engine.settings.enable_lsd
    assert stand.engine.global_limits() == (7, 7)
    desk.apply(cmd.UseAlternativeLimits(enabled=False))
    assert stand.engine.global_limits() == (5, 0)
    assert not rebuilt(stand).settings.enable_lsd


def test_a_guard_rail_is_raised_when_it_is_crossed_and_says_nothing_of_health(
    stand: SessionStand, desk: SessionDesk
) -> None:
    high = BytesPerSecond(HIGH_LIMIT + 1)

    assert not stand.take(), "unlimited from the start is nobody's mistake"
    desk.apply(cmd.SetGlobalLimits(high, FIVE))
    desk.apply(cmd.SetGlobalLimits(BytesPerSecond(high + 1), FIVE))
    desk.apply(cmd.SetGlobalLimits(FIVE, OFF))
    desk.apply(cmd.SetGlobalLimits(FIVE, OFF))
    desk.apply(cmd.UseAlternativeLimits(enabled=True))
    desk.apply(cmd.UseAlternativeLimits(enabled=False))
    desk.apply(ApplySettings(replace(stand.holder.memory.settings, download_limit=OFF)))

    assert stand.take() == [
        GuardRailRaised("download", "high", high),
        GuardRailRaised("upload", "zero", 0),
        GuardRailRaised("download", "off", 0),
        GuardRailRaised("download", "off", 0),
    ]
