"""What is done about an engine whose limits are not those that were asked for?"""

import pytest
from structlog.testing import capture_logs

from revaer.domain import commands as cmd
from revaer.domain.events import HealthChanged
from revaer.domain.ids import BytesPerSecond
from revaer.runtime.limits_watch import LONGEST_RETRY_S, LimitsWatch
from revaer.runtime.session_desk import SessionDesk
from tests.support.session_stand import SessionStand

FIVE = BytesPerSecond(5)
SEVEN = BytesPerSecond(7)


@pytest.fixture
def stand() -> SessionStand:
    return SessionStand()


@pytest.fixture
def watch(stand: SessionStand) -> LimitsWatch:
    return LimitsWatch(stand.parts)


def tick(stand: SessionStand, watch: LimitsWatch, seconds: int = 1) -> None:
    for _ in range(seconds):
        stand.clock.advance(1.0)
        assert not tuple(watch.tick())


def test_limits_that_took_are_not_worth_a_word(stand: SessionStand, watch: LimitsWatch) -> None:
    SessionDesk(stand.parts).apply(cmd.SetGlobalLimits(FIVE, SEVEN))

    with capture_logs() as logs:
        tick(stand, watch, 5)

    assert not logs
    assert not stand.take()
    assert stand.calls("set_global_limits") == 1


def test_stale_limits_are_a_warning_and_a_health_cause_one_second_after_the_change(
    stand: SessionStand, watch: LimitsWatch
) -> None:
    stand.engine.freeze_limits()
    SessionDesk(stand.parts).apply(cmd.SetGlobalLimits(FIVE, SEVEN))
    stand.take()

    with capture_logs() as logs:
        tick(stand, watch)

    (told,) = stand.take()
    assert isinstance(told, HealthChanged)
    assert (told.component, told.status) == ("limits", "degraded")
    for text in ("download to unlimited", "5 bytes/s and 7 bytes/s were asked"):
        assert text in told.cause
    (warning,) = [each for each in logs if each["event"] == "limits_not_in_force"]
    assert warning["log_level"] == "warning"
    assert (warning["asked_download"], warning["found_download"]) == (5, 0)


def test_health_is_well_again_when_the_engine_obeys(
    stand: SessionStand, watch: LimitsWatch
) -> None:
    stand.engine.freeze_limits()
    SessionDesk(stand.parts).apply(cmd.SetGlobalLimits(FIVE, SEVEN))
    tick(stand, watch, 10)
    stand.take()

    stand.engine.thaw_limits()
    tick(stand, watch)

    assert stand.health() == [("limits", "ok")]


def test_limits_that_changed_on_their_own_are_put_right(
    stand: SessionStand, watch: LimitsWatch
) -> None:
    SessionDesk(stand.parts).apply(cmd.SetGlobalLimits(FIVE, SEVEN))
    tick(stand, watch)
    stand.engine.set_global_limits(download=SEVEN, upload=SEVEN)

    tick(stand, watch, 3)

    assert stand.engine.global_limits() == (5, 7)
    assert stand.health() == [("limits", "degraded"), ("limits", "ok")]


def test_an_engine_that_never_obeys_is_asked_ever_more_seldom(
    stand: SessionStand, watch: LimitsWatch
) -> None:
    stand.engine.freeze_limits()
    SessionDesk(stand.parts).apply(cmd.SetGlobalLimits(FIVE, SEVEN))
    stand.engine.calls.clear()

    tick(stand, watch, 600)

    asked = stand.calls("set_global_limits")
    assert 600 / LONGEST_RETRY_S < asked < 20
    assert stand.health() == [("limits", "degraded")]


def test_a_new_session_actor_looks_for_itself(stand: SessionStand) -> None:
    SessionDesk(stand.parts).apply(cmd.SetGlobalLimits(FIVE, SEVEN))
    stand.engine.set_global_limits(download=SEVEN, upload=SEVEN)

    tick(stand, LimitsWatch(stand.parts), 2)

    assert stand.engine.global_limits() == (5, 7)
