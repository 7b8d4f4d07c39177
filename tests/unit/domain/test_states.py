"""What do people see of a torrent, given what was asked for and what the engine reports?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revaer.domain.ids import InfoHash
from revaer.domain.states import derive_state
from revaer.domain.torrent import (
    Activity,
    Fault,
    FaultCode,
    Phase,
    StopReason,
    TorrentState,
    TorrentStatus,
)

ID = InfoHash("a" * 40)
BASE = TorrentStatus(ID, activity=Activity.DOWNLOADING, has_metadata=True)
RUNNING = BASE._replace(download_rate=1000)
DONE = BASE._replace(activity=Activity.SEEDING, is_finished=True, progress=1.0)
FAULT = Fault(FaultCode.DISK_FULL, "no space left below /data; free some and resume")

none, user, limit = StopReason.NONE, StopReason.USER, StopReason.SHARE_LIMIT
quick = settings(deadline=None, max_examples=300)


@pytest.mark.parametrize(
    ("stop", "status", "is_verified", "fault", "state"),
    [
        pytest.param(none, RUNNING, False, None, "downloading", id="bytes arrive"),
        pytest.param(none, BASE, False, None, "stalled", id="nothing arrives"),
        pytest.param(
            none,
            BASE._replace(activity=Activity.FETCHING_METADATA),
            False,
            None,
            "stalled",
            id="a magnet waits for its metadata",
        ),
        pytest.param(none, DONE, True, None, "seeding", id="finished and on disk"),
        pytest.param(
            none,
            DONE._replace(activity=Activity.FINISHED),
            True,
            None,
            "seeding",
            id="all that was chosen is there",
        ),
        pytest.param(none, DONE, False, None, "downloading", id="finished, not yet on disk"),
        pytest.param(
            none,
            BASE._replace(is_paused=True, is_auto_managed=True),
            False,
            None,
            "queued",
            id="the engine's queue holds it",
        ),
        pytest.param(
            none,
            DONE._replace(is_paused=True, is_auto_managed=True),
            True,
            None,
            "queued",
            id="the engine's queue holds a seed",
        ),
        pytest.param(
            none, BASE._replace(is_paused=True), False, None, "paused", id="paused by the engine"
        ),
        pytest.param(user, BASE._replace(is_paused=True), False, None, "paused", id="paused"),
        pytest.param(user, RUNNING, False, None, "paused", id="paused, the engine lags behind"),
        pytest.param(
            user, DONE._replace(is_paused=True), True, None, "paused", id="a seed was paused"
        ),
        pytest.param(
            limit, DONE._replace(is_paused=True), True, None, "completed", id="share limit reached"
        ),
        pytest.param(
            limit,
            DONE._replace(is_paused=True),
            False,
            None,
            "paused",
            id="share limit reached, not yet on disk",
        ),
        pytest.param(
            limit,
            BASE._replace(is_paused=True),
            False,
            None,
            "paused",
            id="share limit, then more files were chosen",
        ),
        pytest.param(
            none,
            BASE._replace(activity=Activity.CHECKING),
            False,
            None,
            "checking",
            id="a check runs",
        ),
        pytest.param(
            none,
            BASE._replace(activity=Activity.CHECKING_RESUME),
            False,
            None,
            "checking",
            id="a blob is loaded",
        ),
        pytest.param(
            user,
            BASE._replace(activity=Activity.CHECKING),
            False,
            None,
            "checking",
            id="a check of a paused torrent",
        ),
        pytest.param(
            user,
            BASE._replace(activity=Activity.CHECKING, is_paused=True),
            False,
            None,
            "paused",
            id="a check that was paused",
        ),
        pytest.param(
            none,
            BASE._replace(activity=Activity.CHECKING, is_paused=True, is_auto_managed=True),
            False,
            None,
            "queued",
            id="a check that waits its turn",
        ),
        pytest.param(none, RUNNING, False, FAULT, "error", id="a fault"),
        pytest.param(user, DONE, True, FAULT, "error", id="a fault of a paused seed"),
        pytest.param(
            none, RUNNING._replace(error="disk on fire"), False, None, "error", id="engine error"
        ),
        pytest.param(
            none,
            BASE._replace(error="disk on fire", activity=Activity.CHECKING),
            False,
            None,
            "error",
            id="an error while checking",
        ),
    ],
)
def test_the_state_follows_from_intent_and_report(
    stop: StopReason,
    status: TorrentStatus,
    is_verified: bool,  # noqa: FBT001 a table's column
    fault: Fault | None,
    state: str,
) -> None:
    seen = derive_state(stop_reason=stop, status=status, is_verified=is_verified, fault=fault)
    assert seen.state == state


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        (RUNNING, Phase.NONE),
        (BASE._replace(activity=Activity.FETCHING_METADATA), Phase.FETCHING_METADATA),
        (DONE._replace(is_moving=True), Phase.MOVING),
        (BASE._replace(activity=Activity.FETCHING_METADATA, is_moving=True), Phase.MOVING),
    ],
    ids=["busy with nothing else", "metadata", "moving", "moving before all"],
)
def test_the_phase_says_what_else_goes_on(status: TorrentStatus, phase: Phase) -> None:
    seen = derive_state(stop_reason=none, status=status, is_verified=False, fault=None)
    assert seen.phase is phase


statuses = st.builds(
    TorrentStatus,
    st.just(ID),
    activity=st.sampled_from(Activity),
    is_paused=st.booleans(),
    is_auto_managed=st.booleans(),
    is_finished=st.booleans(),
    is_moving=st.booleans(),
    error=st.sampled_from(["", "disk on fire"]),
    download_rate=st.sampled_from([0, 1, 10**6]),
)


@quick
@given(st.sampled_from(StopReason), statuses, st.booleans(), st.sampled_from([None, FAULT]))
def test_what_must_hold_whatever_is_reported(
    stop: StopReason,
    status: TorrentStatus,
    is_verified: bool,  # noqa: FBT001 hypothesis passes by position
    fault: Fault | None,
) -> None:
    seen = derive_state(stop_reason=stop, status=status, is_verified=is_verified, fault=fault)
    state = seen.state
    assert (state is TorrentState.ERROR) == bool(fault or status.error)
    if state in {TorrentState.SEEDING, TorrentState.COMPLETED}:  # clients import these
        assert is_verified
        assert status.is_finished
    if state is TorrentState.COMPLETED:
        assert stop is StopReason.SHARE_LIMIT
    if state is TorrentState.QUEUED:
        assert stop is StopReason.NONE
        assert status.is_auto_managed
    if state in {TorrentState.DOWNLOADING, TorrentState.STALLED, TorrentState.SEEDING}:
        assert stop is StopReason.NONE
        assert not status.is_paused


def test_a_torrent_that_receives_is_downloading_before_the_engine_shows_a_rate() -> None:
    status = TorrentStatus(InfoHash("1" * 40), activity=Activity.DOWNLOADING)

    states = [
        derive_state(
            stop_reason=StopReason.NONE,
            status=status,
            is_verified=False,
            fault=None,
            is_receiving=is_receiving,
        ).state
        for is_receiving in (False, True)
    ]

    assert states == [TorrentState.STALLED, TorrentState.DOWNLOADING]
