"""What people see of a torrent, derived from what was asked for and what the engine reports."""

from dataclasses import dataclass

from revaer.domain.torrent import (
    Activity,
    Fault,
    Phase,
    StopReason,
    TorrentState,
    TorrentStatus,
)


@dataclass(frozen=True, slots=True)
class StateAndPhase:
    """The answer of `derive_state`."""

    state: TorrentState
    phase: Phase


_CHECKING = frozenset({Activity.CHECKING, Activity.CHECKING_RESUME})


def derive_state(
    *,
    stop_reason: StopReason,
    status: TorrentStatus,
    is_verified: bool,
    fault: Fault | None,
    is_receiving: bool = False,
) -> StateAndPhase:
    """Say what people see of a torrent.

    A finished torrent whose bytes are not yet known to be in their files is still `downloading`:
    libtorrent 2.1.1 reports seeding before the last blocks were written, and clients import
    whatever is reported as seeding.

    Args:
        stop_reason: why it is meant to stand still.
        status: the engine's last report.
        is_verified: every wanted file was seen on disk after a flush.
        fault: why it cannot go on.
        is_receiving: bytes came since the report before: libtorrent's rate stays 0 for the first
            seconds of a transfer.
    """
    phase = Phase.NONE
    if status.is_moving:
        phase = Phase.MOVING
    elif status.activity is Activity.FETCHING_METADATA:
        phase = Phase.FETCHING_METADATA
    state = _state(stop_reason, status, is_verified=is_verified, fault=fault)
    if state is TorrentState.STALLED and is_receiving:
        state = TorrentState.DOWNLOADING
    return StateAndPhase(state, phase)


def _state(
    stop_reason: StopReason, status: TorrentStatus, *, is_verified: bool, fault: Fault | None
) -> TorrentState:
    if fault is not None or status.error:
        return TorrentState.ERROR
    if status.activity in _CHECKING and not status.is_paused:
        return TorrentState.CHECKING
    if stop_reason is not StopReason.NONE:
        # Clients import what is completed as they import what seeds, so it must be verified too.
        is_done = status.is_finished and is_verified
        by_limit = stop_reason is StopReason.SHARE_LIMIT and is_done
        return TorrentState.COMPLETED if by_limit else TorrentState.PAUSED
    if status.is_paused:
        return TorrentState.QUEUED if status.is_auto_managed else TorrentState.PAUSED
    if status.is_finished:
        return TorrentState.SEEDING if is_verified else TorrentState.DOWNLOADING
    return TorrentState.DOWNLOADING if status.download_rate > 0 else TorrentState.STALLED
