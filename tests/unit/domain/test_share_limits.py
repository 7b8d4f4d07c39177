"""When has a torrent been shared enough, by whose limit, and when is it worth looking again?"""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revaer.domain.errors import InvalidInputError
from revaer.domain.ids import NEVER, EpochSeconds, InfoHash
from revaer.domain.share_limits import (
    LONGEST_SEEDING_S,
    UNLIMITED_SHARING,
    LimitReached,
    ShareLimit,
    ShareLimitPolicy,
    ShareLimits,
    Sharing,
    can_reach_a_limit,
    check_share_limits,
    is_limited,
    limit_reached,
    limits_of,
    next_look,
    sharing_of,
)
from revaer.domain.torrent import (
    Activity,
    Phase,
    ShareLimitAction,
    TorrentRecord,
    TorrentSpec,
    TorrentState,
    TorrentStatus,
)

ID = InfoHash("a" * 40)
SPEC = TorrentSpec(
    info_hash=ID, name="show", save_path="/data", added_at=EpochSeconds(1), category="tv"
)
STATUS = TorrentStatus(ID, activity=Activity.SEEDING, is_finished=True, has_metadata=True)
RECORD = TorrentRecord(
    spec=SPEC, metainfo=None, status=STATUS, state=TorrentState.SEEDING, is_verified=True
)
NOW = 1_800_000_000.0

quick = settings(deadline=None, max_examples=300)
ratio_limits = st.one_of(st.just(-1.0), st.just(0.0), st.floats(0, 10_000))
time_limits = st.one_of(st.just(-1), st.integers(0, 10_000))
limits_in_force = st.builds(
    ShareLimits, ratio=ratio_limits, seeding_time_s=time_limits, inactive_seeding_time_s=time_limits
)


@st.composite
def sharings(draw: st.DrawFn) -> Sharing:
    seeding_s = draw(st.integers(0, 20_000))
    return Sharing(
        uploaded_bytes=draw(st.integers(0, 2**40)),
        base_bytes=draw(st.integers(0, 2**40)),
        seeding_s=seeding_s,
        inactive_s=draw(st.integers(0, seeding_s)),
    )


def policy(everything: ShareLimits = UNLIMITED_SHARING, **categories: ShareLimits) -> Any:
    return ShareLimitPolicy(everything=everything, categories=categories)


# --- whose limit


@pytest.mark.parametrize(
    ("own", "of_category", "of_all", "in_force"),
    [
        pytest.param(-2.0, None, -1, -1, id="nobody limits"),
        pytest.param(-2.0, None, 2.0, 2.0, id="global"),
        pytest.param(-2.0, -2.0, 2.0, 2.0, id="the category asks above"),
        pytest.param(-2.0, 1.5, 2.0, 1.5, id="category"),
        pytest.param(-2.0, -1.0, 2.0, -1, id="a category without a limit"),
        pytest.param(-1.0, 1.5, 2.0, -1, id="a torrent without a limit"),
        pytest.param(0.0, 1.5, 2.0, 0.0, id="0 is a limit"),
        pytest.param(3.0, 1.5, 2.0, 3.0, id="own"),
        pytest.param(-2.0, -2.0, -2.0, -1, id="nobody above the topmost"),
        pytest.param(math.nan, None, 2.0, -1, id="not a number"),
        pytest.param(math.inf, None, 2.0, -1, id="infinite"),
        pytest.param(-7.0, None, 2.0, -1, id="negative"),
    ],
)
def test_the_nearest_level_that_names_a_ratio_decides(
    own: float, of_category: float | None, of_all: float, in_force: float
) -> None:
    categories = {} if of_category is None else {"tv": ShareLimits(ratio=of_category)}

    found = limits_of(
        replace(SPEC, ratio_limit=own), policy(ShareLimits(ratio=of_all), **categories)
    )

    assert found.ratio == in_force


@pytest.mark.parametrize(
    ("own", "of_category", "of_all", "in_force"),
    [
        pytest.param(-2, None, -1, -1, id="nobody limits"),
        pytest.param(-2, None, 60, 60, id="global"),
        pytest.param(-2, -2, 60, 60, id="the category asks above"),
        pytest.param(-2, 30, 60, 30, id="category"),
        pytest.param(-2, -1, 60, -1, id="a category without a limit"),
        pytest.param(-1, 30, 60, -1, id="a torrent without a limit"),
        pytest.param(0, 30, 60, 0, id="0 is a limit"),
        pytest.param(-9, 30, 60, -1, id="negative"),
    ],
)
def test_the_nearest_level_that_names_a_time_decides(
    own: int, of_category: int | None, of_all: int, in_force: int
) -> None:
    seeding = limits_of(
        replace(SPEC, seeding_time_limit_s=own),
        policy(
            ShareLimits(seeding_time_s=of_all),
            **({} if of_category is None else {"tv": ShareLimits(seeding_time_s=of_category)}),
        ),
    )
    inactive = limits_of(
        replace(SPEC, inactive_seeding_time_limit_s=own),
        policy(
            ShareLimits(inactive_seeding_time_s=of_all),
            **(
                {}
                if of_category is None
                else {"tv": ShareLimits(inactive_seeding_time_s=of_category)}
            ),
        ),
    )

    assert (seeding.seeding_time_s, seeding.inactive_seeding_time_s) == (in_force, -1)
    assert (inactive.inactive_seeding_time_s, inactive.seeding_time_s) == (in_force, -1)


def test_each_limit_comes_from_a_level_of_its_own() -> None:
    spec = replace(SPEC, ratio_limit=1.0, share_limit_action=ShareLimitAction.REMOVE)

    found = limits_of(
        spec,
        policy(
            ShareLimits(ratio=9.0, seeding_time_s=9, inactive_seeding_time_s=90),
            tv=ShareLimits(seeding_time_s=5, action=ShareLimitAction.REMOVE_WITH_DATA),
        ),
    )

    assert found == ShareLimits(
        ratio=1.0,
        seeding_time_s=5,
        inactive_seeding_time_s=90,
        action=ShareLimitAction.REMOVE,
    )


@pytest.mark.parametrize(
    ("own", "of_category", "of_all", "in_force"),
    [
        ("default", "default", "default", "stop"),
        ("default", "default", "remove", "remove"),
        ("default", "remove_with_data", "remove", "remove_with_data"),
        ("stop", "remove_with_data", "remove", "stop"),
    ],
)
def test_the_nearest_level_that_names_an_action_decides(
    own: str, of_category: str, of_all: str, in_force: str
) -> None:
    found = limits_of(
        replace(SPEC, share_limit_action=ShareLimitAction(own)),
        policy(
            ShareLimits(action=ShareLimitAction(of_all)),
            tv=ShareLimits(action=ShareLimitAction(of_category)),
        ),
    )

    assert found.action is ShareLimitAction(in_force)


def test_a_category_of_others_says_nothing() -> None:
    others = policy(ShareLimits(ratio=2.0), films=ShareLimits(ratio=0.0))

    assert limits_of(SPEC, others).ratio == 2.0
    assert limits_of(replace(SPEC, category=""), policy(**{"": ShareLimits(ratio=0.0)})).ratio == -1


@quick
@given(
    st.sampled_from([-2.0, -1.0, 0.0, 1.5]),
    st.sampled_from([-2, -1, 0, 30]),
    st.sampled_from(ShareLimitAction),
    st.sampled_from([-2.0, -1.0, 0.0, 1.5]),
)
def test_limits_in_force_leave_nothing_to_ask(
    own: float, time_s: int, action: ShareLimitAction, of_all: float
) -> None:
    spec = replace(SPEC, ratio_limit=own, seeding_time_limit_s=time_s, share_limit_action=action)

    found = limits_of(spec, policy(ShareLimits(ratio=of_all, action=action)))

    assert found.ratio >= -1
    assert found.seeding_time_s >= -1
    assert found.inactive_seeding_time_s == -1
    assert found.action is not ShareLimitAction.DEFAULT
    assert limits_of(SPEC, policy(found)) == found


@pytest.mark.parametrize(
    "limits",
    [
        ShareLimits(),
        UNLIMITED_SHARING,
        ShareLimits(ratio=0.0, seeding_time_s=0, inactive_seeding_time_s=LONGEST_SEEDING_S),
    ],
)
def test_limits_that_make_sense_are_taken(limits: ShareLimits) -> None:
    check_share_limits(limits, of="show")


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        (ShareLimits(ratio=-0.5), "ratio limit of show is -0.5"),
        (ShareLimits(ratio=math.nan), "ratio limit of show is nan"),
        (ShareLimits(ratio=math.inf), "ratio limit of show is inf"),
        (ShareLimits(ratio=10_000.0), "ratio limit of show is 10000.0"),
        (ShareLimits(seeding_time_s=-3), "seeding time limit of show is -3 s"),
        (ShareLimits(inactive_seeding_time_s=2**70), "inactive seeding time limit of show"),
    ],
)
def test_what_is_no_limit_is_refused_by_name(limits: ShareLimits, named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        check_share_limits(limits, of="show")


# --- how much it was shared


@pytest.mark.parametrize(
    ("uploaded", "downloaded", "done", "ratio"),
    [
        pytest.param(500, 1_000, 1_000, 0.5, id="downloaded"),
        pytest.param(500, 2_000, 1_000, 0.25, id="what was downloaded twice counts twice"),
        pytest.param(500, 0, 1_000, 0.5, id="seeded from files that were there"),
        pytest.param(500, 9, 1_000, 0.5, id="lost its counters"),
        pytest.param(500, 10, 1_000, 50.0, id="one per cent is a download"),
        pytest.param(0, 0, 0, 0.0, id="nothing anywhere"),
        pytest.param(1, 0, 0, math.inf, id="sent without having"),
    ],
)
def test_the_ratio_divides_by_what_was_downloaded_or_else_by_what_is_there(
    uploaded: int, downloaded: int, done: int, ratio: float
) -> None:
    status = STATUS._replace(uploaded_bytes=uploaded, downloaded_bytes=downloaded, done_bytes=done)

    assert sharing_of(status, now=NOW).ratio == ratio


@pytest.mark.parametrize(
    ("finished_s", "last_upload_ago_s", "inactive_s"),
    [
        pytest.param(100, None, 100, id="never uploaded"),
        pytest.param(100, 30, 30, id="uploaded a while ago"),
        pytest.param(100, 5_000, 100, id="uploaded while it still downloaded"),
        pytest.param(100, -50, 0, id="a clock that went back"),
    ],
)
def test_inactivity_counts_from_the_last_upload_and_never_exceeds_the_seeding(
    finished_s: int, last_upload_ago_s: int | None, inactive_s: float
) -> None:
    at = NEVER if last_upload_ago_s is None else EpochSeconds(int(NOW) - last_upload_ago_s)

    sharing = sharing_of(STATUS._replace(finished_s=finished_s, last_upload_at=at), now=NOW)

    assert (sharing.seeding_s, sharing.inactive_s) == (finished_s, inactive_s)


def test_an_older_report_is_read_with_the_seeding_time_of_now() -> None:
    sharing = sharing_of(STATUS._replace(finished_s=5), now=NOW, seeding_s=65.0)

    assert (sharing.seeding_s, sharing.inactive_s) == (65.0, 65.0)


# --- who can reach a limit


@pytest.mark.parametrize(
    ("record", "can"),
    [
        pytest.param(RECORD, True, id="seeding"),
        pytest.param(replace(RECORD, state=TorrentState.QUEUED), True, id="waits for its turn"),
        pytest.param(
            replace(RECORD, state=TorrentState.QUEUED, is_verified=False), False, id="downloads"
        ),
        pytest.param(replace(RECORD, state=TorrentState.PAUSED), False, id="paused by the user"),
        pytest.param(replace(RECORD, state=TorrentState.COMPLETED), False, id="ended before"),
        pytest.param(replace(RECORD, state=TorrentState.ERROR), False, id="in trouble"),
        pytest.param(replace(RECORD, state=TorrentState.CHECKING), False, id="checking"),
        pytest.param(replace(RECORD, phase=Phase.MOVING), False, id="its files move"),
        pytest.param(
            replace(RECORD, spec=replace(SPEC, moving_to="/there")), False, id="about to move"
        ),
        pytest.param(
            replace(RECORD, spec=replace(SPEC, force_start=True)), False, id="force started"
        ),
    ],
)
def test_only_what_is_complete_and_meant_to_run_can_reach_a_limit(
    record: TorrentRecord, *, can: bool
) -> None:
    assert can_reach_a_limit(record) is can


# --- reached or not


def shared(
    uploaded: int = 0, base: int = 1_000, seeding_s: float = 0, inactive_s: float = 0
) -> Sharing:
    return Sharing(
        uploaded_bytes=uploaded, base_bytes=base, seeding_s=seeding_s, inactive_s=inactive_s
    )


def in_force(ratio: float = -1, seeding: int = -1, inactive: int = -1) -> ShareLimits:
    return ShareLimits(ratio=ratio, seeding_time_s=seeding, inactive_seeding_time_s=inactive)


@pytest.mark.parametrize(
    ("limits", "sharing", "reached"),
    [
        pytest.param(in_force(), shared(10**9, 1, 10**9, 10**9), None, id="no limit"),
        pytest.param(in_force(1.5), shared(1_499), None, id="a byte short of the ratio"),
        pytest.param(
            in_force(1.5), shared(1_500), LimitReached(ShareLimit.RATIO, 1.5, 1.5), id="the ratio"
        ),
        pytest.param(
            in_force(0), shared(), LimitReached(ShareLimit.RATIO, 0.0, 0), id="ratio 0 at once"
        ),
        pytest.param(
            in_force(0),
            shared(base=0),
            LimitReached(ShareLimit.RATIO, 0.0, 0),
            id="ratio 0 of nothing",
        ),
        pytest.param(in_force(1.5), shared(base=0), None, id="nothing of nothing"),
        pytest.param(
            in_force(1.5),
            shared(1, 0),
            LimitReached(ShareLimit.RATIO, math.inf, 1.5),
            id="something of nothing",
        ),
        pytest.param(in_force(seeding=60), shared(seeding_s=59), None, id="a second short"),
        pytest.param(
            in_force(seeding=60),
            shared(seeding_s=60),
            LimitReached(ShareLimit.SEEDING_TIME, 60, 60),
            id="the time",
        ),
        pytest.param(
            in_force(seeding=0),
            shared(),
            LimitReached(ShareLimit.SEEDING_TIME, 0, 0),
            id="time 0 at once",
        ),
        pytest.param(
            in_force(inactive=60), shared(seeding_s=99, inactive_s=59), None, id="was active"
        ),
        pytest.param(
            in_force(inactive=60),
            shared(seeding_s=99, inactive_s=61),
            LimitReached(ShareLimit.INACTIVE_SEEDING_TIME, 61, 60),
            id="idle for too long",
        ),
        pytest.param(
            in_force(1.0, 60, 60),
            shared(1_000, seeding_s=60, inactive_s=60),
            LimitReached(ShareLimit.RATIO, 1.0, 1.0),
            id="the ratio is named first",
        ),
        pytest.param(
            in_force(9.0, 60, 60),
            shared(1_000, seeding_s=60, inactive_s=60),
            LimitReached(ShareLimit.SEEDING_TIME, 60, 60),
            id="then the time",
        ),
    ],
)
def test_a_limit_is_reached_when_it_is_met(
    limits: ShareLimits, sharing: Sharing, reached: LimitReached | None
) -> None:
    assert limit_reached(limits, sharing) == reached


@quick
@given(limits_in_force, sharings())
def test_only_limits_reach_an_end(limits: ShareLimits, sharing: Sharing) -> None:
    if not is_limited(limits):
        assert limit_reached(limits, sharing) is None
        assert next_look(limits, sharing) == next_look(in_force(), shared())


@quick
@given(limits_in_force, sharings(), st.integers(0, 2**40), st.integers(0, 10_000))
def test_what_was_reached_stays_reached(
    limits: ShareLimits, sharing: Sharing, more_bytes: int, more_s: int
) -> None:
    """But for inactivity, which an upload ends."""
    limits = replace(limits, inactive_seeding_time_s=-1)
    if limit_reached(limits, sharing) is None:
        return

    later = replace(
        sharing,
        uploaded_bytes=sharing.uploaded_bytes + more_bytes,
        seeding_s=sharing.seeding_s + more_s,
    )

    assert limit_reached(limits, later) is not None


# --- when to look again


@quick
@given(limits_in_force, sharings())
def test_a_look_is_due_now_exactly_when_a_limit_is_reached(
    limits: ShareLimits, sharing: Sharing
) -> None:
    assert (next_look(limits, sharing).within_s <= 0) is (
        limit_reached(limits, sharing) is not None
    )


@quick
@given(limits_in_force, sharings(), st.data())
def test_nothing_is_reached_before_the_next_look(
    limits: ShareLimits, sharing: Sharing, data: st.DataObject
) -> None:
    look = next_look(limits, sharing)
    if look.within_s <= 0:
        return
    most_s = 20_000 if math.isinf(look.within_s) else int(look.within_s) - 1
    most_bytes = 2**42 if math.isinf(look.at_uploaded_bytes) else int(look.at_uploaded_bytes) - 1
    after_s = data.draw(st.integers(0, most_s))
    idle_s = data.draw(st.integers(0, after_s)) if after_s else 0
    has_uploaded = data.draw(st.booleans())
    uploaded = sharing.uploaded_bytes
    if has_uploaded:
        uploaded = data.draw(st.integers(uploaded, most_bytes))

    later = replace(
        sharing,
        uploaded_bytes=uploaded,
        seeding_s=sharing.seeding_s + after_s,
        inactive_s=idle_s if has_uploaded else sharing.inactive_s + after_s,
    )

    assert limit_reached(limits, later) is None


@quick
@given(limits_in_force, sharings())
def test_an_idle_torrent_reaches_its_limit_at_the_next_look(
    limits: ShareLimits, sharing: Sharing
) -> None:
    look = next_look(limits, sharing)
    if math.isinf(look.within_s):
        return

    later = replace(
        sharing,
        seeding_s=sharing.seeding_s + look.within_s,
        inactive_s=sharing.inactive_s + look.within_s,
    )

    assert limit_reached(limits, later) is not None


@quick
@given(limits_in_force, sharings())
def test_the_upload_that_was_waited_for_reaches_the_ratio(
    limits: ShareLimits, sharing: Sharing
) -> None:
    look = next_look(limits, sharing)
    if math.isinf(look.at_uploaded_bytes):
        assert limits.ratio == -1
        return

    later = replace(sharing, uploaded_bytes=int(look.at_uploaded_bytes))
    reached = limit_reached(limits, later)

    assert reached is not None
    assert reached.limit is ShareLimit.RATIO
