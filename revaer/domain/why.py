"""What keeps a torrent from progressing, in the order in which it is worth looking at. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qs, urlsplit

from revaer.domain.details import TrackerInfo, TrackerState
from revaer.domain.ids import UNLIMITED, BytesPerSecond
from revaer.domain.redaction import redacted, without_secrets
from revaer.domain.torrent import (
    Activity,
    Phase,
    StopReason,
    TorrentRecord,
    TorrentState,
)

TINY_LIMIT: Final = BytesPerSecond(20 * 1024)
"""20 KiB/s: below this a limit looks like a standstill, and is most often a wrong unit."""

_NAMED_TRACKERS: Final = 3


class ReasonCode(StrEnum):
    """Machine-readable names; a fault's own code is used where there is a fault."""

    ENGINE_AWAY = "engine_away"
    MOVING = "moving"
    CHECKING = "checking"
    FAULT = "fault"
    METADATA = "fetching_metadata"
    STOPPED = "stopped"
    SHARE_LIMIT = "share_limit"
    QUEUED = "queued"
    STORAGE = "storage"
    NOT_WRITING = "not_writing"
    LIMIT = "download_limit"
    LIMITS = "limits"
    NETWORK = "network"
    NO_SOURCES = "no_sources"
    TRACKER = "tracker_failing"
    NO_PEERS = "no_peers"
    INCOMPLETE_SWARM = "incomplete_swarm"
    NO_SEEDS = "no_seeds"
    VERIFYING = "verifying"
    NOTHING_SELECTED = "nothing_selected"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that keeps a torrent from progressing.

    Attributes:
        code: stable, machine-readable: a `ReasonCode` or a `FaultCode`.
        message: what it is, and what to do.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What matters for a torrent beside its own record.

    Attributes:
        engine: why the engine does not run; empty when it does.
        storage: the health cause of the storage that it lies on; empty when it is well.
        network: as above, of the network: a vanished interface, no listening port.
        limits: as above, of the session's limits: read back otherwise than they were set.
        download_limit: the session's limit that holds now, bytes per second, 0 unlimited.
        is_dht_enabled: whether peers are found without a tracker.
        trackers: the torrent's, as the engine lists them; None when nobody asked.
    """

    engine: str = ""
    storage: str = ""
    network: str = ""
    limits: str = ""
    download_limit: BytesPerSecond = UNLIMITED
    is_dht_enabled: bool = True
    trackers: tuple[TrackerInfo, ...] | None = None


def why(record: TorrentRecord, circumstances: Circumstances) -> tuple[Reason, ...]:
    """Name what keeps a torrent from progressing; nothing when bytes arrive unhindered.

    What follows from another reason is left out: a torrent that stands still has no peers, and
    while the engine is away nothing that was last seen of a torrent counts.
    """
    if circumstances.engine:
        return (
            Reason(
                ReasonCode.ENGINE_AWAY,
                f"the engine does not run: {circumstances.engine}; it is tried again by itself",
            ),
        )
    standing = tuple(_standing_still(record, circumstances))
    if record.is_complete and not standing:
        return (_complete(record),)
    if standing:
        return (*standing, _complete(record)) if record.is_complete else standing
    return tuple(_running(record, circumstances))


def _standing_still(record: TorrentRecord, circumstances: Circumstances) -> Iterator[Reason]:
    spec, status = record.spec, record.status
    if record.phase is Phase.MOVING or spec.moving_to:
        where = f" to {spec.moving_to}" if spec.moving_to else ""
        yield Reason(
            ReasonCode.MOVING, f"its files are being moved{where}; it goes on when that is done"
        )
    if record.state is TorrentState.CHECKING:
        yield Reason(
            ReasonCode.CHECKING,
            f"its files are being checked, {status.progress:.0%} done; it goes on by itself",
        )
    yield from _trouble(record, circumstances)
    if spec.stop_reason is StopReason.USER:
        yield Reason(ReasonCode.STOPPED, "it was stopped by somebody; resume it")
    elif spec.stop_reason is StopReason.SHARE_LIMIT:
        yield Reason(
            ReasonCode.SHARE_LIMIT,
            "it was shared as much as its share limits ask for; raise them and resume it to go on",
        )
    elif record.state is TorrentState.QUEUED:
        place = f" at position {status.queue_position}" if status.queue_position else ""
        yield Reason(
            ReasonCode.QUEUED,
            f"it is queued{place}; move it up, force its start, or let more torrents be active",
        )
    if _wants_nothing(record):
        yield Reason(
            ReasonCode.NOTHING_SELECTED, "none of its files is selected; choose some to download"
        )


def _trouble(record: TorrentRecord, circumstances: Circumstances) -> Iterator[Reason]:
    fault, status = record.fault, record.status
    if fault is not None:
        yield Reason(fault.code, fault.message)
    elif status.error:
        yield Reason(
            ReasonCode.FAULT, f"the engine stopped it: {status.error}; mend that and resume it"
        )
    elif status.in_upload_mode and record.metainfo is not None:
        yield Reason(
            ReasonCode.NOT_WRITING,
            "nothing is written at present, most often because the disk is full; make room and "
            "resume it",
        )
    if circumstances.storage and fault is None:
        yield Reason(ReasonCode.STORAGE, circumstances.storage)


def _running(record: TorrentRecord, circumstances: Circumstances) -> Iterator[Reason]:
    yield from _limits(record, circumstances)
    status = record.status
    if status.is_finished:
        yield Reason(
            ReasonCode.VERIFYING,
            "every byte is here, and its files are being written and looked at; that takes seconds",
        )
        return
    if status.download_rate > 0:
        return
    if circumstances.network:
        yield Reason(ReasonCode.NETWORK, circumstances.network)
    peers = status.seeds + status.leechers
    if status.activity is Activity.FETCHING_METADATA:
        yield Reason(
            ReasonCode.METADATA,
            "its metadata is being fetched"
            + (f" from {peers} peers" if peers else ", and no peer is connected that has it")
            + "; add its torrent file instead if that takes long",
        )
    yield from _sources(record, circumstances, peers)
    if peers == 0:
        yield Reason(
            ReasonCode.NO_PEERS,
            "no peer is connected; check its trackers and the listening port, or wait for somebody "
            "who has it",
        )
    elif record.metainfo is not None and status.seeds == 0 and 0 <= status.availability < 1:
        yield Reason(
            ReasonCode.INCOMPLETE_SWARM,
            f"the {peers} connected peers have only {status.availability:.0%} of it together; wait "
            "for somebody who has the rest",
        )
    elif status.seeds == 0 and record.metainfo is not None:
        yield Reason(
            ReasonCode.NO_SEEDS,
            f"{peers} peers are connected, and none of them has everything or sends at present; "
            "it goes on when one does",
        )


def _limits(record: TorrentRecord, circumstances: Circumstances) -> Iterator[Reason]:
    for whose, limit in (
        ("the session's", circumstances.download_limit),
        ("its own", record.spec.download_limit),
    ):
        if 0 < limit <= TINY_LIMIT:
            yield Reason(
                ReasonCode.LIMIT,
                f"{whose} download limit is {limit} bytes per second; raise it, limits are bytes",
            )
    if circumstances.limits:
        yield Reason(ReasonCode.LIMITS, circumstances.limits)


def _sources(record: TorrentRecord, circumstances: Circumstances, peers: int) -> Iterator[Reason]:
    trackers = circumstances.trackers
    count = record.status.tracker_count if trackers is None else len(trackers)
    is_private = record.metainfo is not None and record.metainfo.is_private
    has_dht = circumstances.is_dht_enabled and not is_private
    if count == 0 and not has_dht and peers == 0:
        because = "its tracker's rules forbid it" if is_private else "it is switched off"
        yield Reason(
            ReasonCode.NO_SOURCES,
            f"it has no tracker, and peers are not searched for without one ({because}); add a "
            "tracker or a peer",
        )
    yield from _failing(record, trackers)


def _failing(record: TorrentRecord, trackers: tuple[TrackerInfo, ...] | None) -> Iterator[Reason]:
    if trackers is None:
        if record.tracker_message:
            words = without_secrets(record.tracker_message, _announced_to(record))
            yield Reason(
                ReasonCode.TRACKER, f"a tracker failed: {words}; it is asked again by itself"
            )
        return
    if any(tracker.state is TrackerState.WORKING for tracker in trackers):
        return
    urls = [tracker.url for tracker in trackers]
    failing = [tracker for tracker in trackers if tracker.state is TrackerState.FAILING]
    for tracker in failing[:_NAMED_TRACKERS]:
        words = without_secrets(tracker.message, urls) or "it does not answer"
        yield Reason(
            ReasonCode.TRACKER,
            f"tracker {redacted(tracker.url)} failed: {words}; it is asked again by itself",
        )


def _announced_to(record: TorrentRecord) -> Iterator[str]:
    """The announce addresses that the record itself names."""
    yield record.status.current_tracker
    for url, _ in record.spec.trackers or ():
        yield url
    yield from parse_qs(urlsplit(record.spec.magnet_uri).query).get("tr", ())


def _wants_nothing(record: TorrentRecord) -> bool:
    files = [entry for entry in record.files if not entry.is_pad]
    priorities = record.spec.priorities
    if not files or not priorities:
        return False
    return not any(priorities[entry.index] for entry in files if entry.index < len(priorities))


def _complete(record: TorrentRecord) -> Reason:
    seeds = record.state is TorrentState.SEEDING
    return Reason(
        ReasonCode.COMPLETE,
        "it is complete" + (" and seeds; nothing keeps it" if seeds else "; nothing is missing"),
    )
