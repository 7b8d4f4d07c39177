"""Which limits hold, which are refused, and which deserve a warning?"""

from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revaer.domain.errors import InvalidInputError
from revaer.domain.ids import BytesPerSecond
from revaer.domain.limits import (
    HIGH_LIMIT,
    MAX_LIMIT,
    GuardRail,
    Rates,
    SessionLimits,
    Warned,
    guard_rails,
)

OFF = BytesPerSecond(0)
USUAL = BytesPerSecond(1_000_000)
HIGH = BytesPerSecond(HIGH_LIMIT + 1)

any_limit = st.integers(min_value=0, max_value=MAX_LIMIT).map(BytesPerSecond)


def rates(download: int, upload: int = 0) -> Rates:
    return Rates(BytesPerSecond(download), BytesPerSecond(upload))


def test_the_alternative_limits_hold_only_while_they_are_on() -> None:
    limits = SessionLimits(
        download=BytesPerSecond(1),
        upload=BytesPerSecond(2),
        alternative_download=BytesPerSecond(3),
        alternative_upload=BytesPerSecond(4),
    )

    assert limits.effective == rates(1, 2)
    assert replace(limits, use_alternative=True).effective == rates(3, 4)


@pytest.mark.parametrize(
    "name", ["download", "upload", "alternative_download", "alternative_upload"]
)
@pytest.mark.parametrize("value", [-1, MAX_LIMIT + 1, 2**40, 1.5, True, None, "5"])
def test_a_limit_that_the_engine_would_misread_is_refused_by_its_name(
    name: str, value: object
) -> None:
    with pytest.raises(InvalidInputError, match=name.replace("_", " ")):
        SessionLimits(**cast("Any", {name: value}))


@pytest.mark.parametrize("value", [0, 1, MAX_LIMIT])
def test_every_limit_in_range_is_taken(value: int) -> None:
    assert SessionLimits(download=BytesPerSecond(value)).effective.download == value


@pytest.mark.parametrize(
    ("before", "after", "is_given", "reason"),
    [
        pytest.param(USUAL, OFF, True, GuardRail.ZERO, id="somebody gives 0"),
        pytest.param(USUAL, OFF, False, GuardRail.OFF, id="the limit goes without a number"),
        pytest.param(USUAL, HIGH, True, GuardRail.HIGH, id="above 5 Gbit/s"),
        pytest.param(OFF, HIGH, True, GuardRail.HIGH, id="from none to above 5 Gbit/s"),
        pytest.param(HIGH, OFF, True, GuardRail.ZERO, id="from above 5 Gbit/s to 0"),
        pytest.param(OFF, OFF, True, None, id="0 where there was no limit"),
        pytest.param(OFF, OFF, False, None, id="still none"),
        pytest.param(HIGH, HIGH + 1, True, None, id="still above 5 Gbit/s"),
        pytest.param(USUAL, HIGH_LIMIT, True, None, id="exactly 5 Gbit/s"),
        pytest.param(HIGH, USUAL, True, None, id="back to a usual one"),
    ],
)
def test_a_guard_rail_is_named_when_it_is_crossed(
    before: BytesPerSecond,
    after: BytesPerSecond,
    is_given: bool,  # noqa: FBT001 -- a parameter of pytest's
    reason: GuardRail | None,
) -> None:
    warned = guard_rails(rates(before, 5), rates(after, 5), is_given=is_given)

    assert warned == (() if reason is None else (Warned("download", reason, after),))


def test_each_direction_is_judged_by_itself() -> None:
    warned = guard_rails(rates(USUAL, USUAL), rates(HIGH, OFF), is_given=True)

    assert [(each.direction, each.reason) for each in warned] == [
        ("download", GuardRail.HIGH),
        ("upload", GuardRail.ZERO),
    ]


@given(before=any_limit, after=any_limit, is_given=st.booleans())
def test_the_same_limits_twice_are_never_warned_of_twice(
    before: BytesPerSecond,
    after: BytesPerSecond,
    is_given: bool,  # noqa: FBT001 -- hypothesis
) -> None:
    first = guard_rails(rates(before), rates(after), is_given=is_given)

    assert not guard_rails(rates(after), rates(after), is_given=is_given)
    assert not first or first[0].limit in {0, after}
