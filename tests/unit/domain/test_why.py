"""What keeps a torrent from progressing, and in which order is it told?"""

from dataclasses import replace
from urllib.parse import quote

import pytest

from revaer.domain.details import TrackerInfo, TrackerState
from revaer.domain.ids import BytesPerSecond, EpochSeconds, InfoHash
from revaer.domain.redaction import without_secrets
from revaer.domain.states import derive_state
from revaer.domain.torrent import (
    Activity,
    Fault,
    FaultCode,
    FileEntry,
    Metainfo,
    StopReason,
    TorrentRecord,
    TorrentSpec,
    TorrentStatus,
)
from revaer.domain.why import Circumstances, ReasonCode, why

HASH = InfoHash("a" * 40)
PASSKEY = "c0ffee0123456789"
SPEC = TorrentSpec(info_hash=HASH, name="show", save_path="/data", added_at=EpochSeconds(1))
METAINFO = Metainfo(
    name="show",
    files=(FileEntry(0, "show/a", 10), FileEntry(1, "show/b", 10)),
    total_size_bytes=20,
    piece_length=10,
    piece_count=2,
)
IDLE = TorrentStatus(HASH, activity=Activity.DOWNLOADING, has_metadata=True, tracker_count=1)
SWARM = IDLE._replace(seeds=2, leechers=1)
DONE = IDLE._replace(activity=Activity.SEEDING, is_finished=True, progress=1.0)
QUEUED = IDLE._replace(is_paused=True, is_auto_managed=True, queue_position=4)
STOPPED = IDLE._replace(is_paused=True)
WELL = Circumstances()
DISK_FULL = Fault(FaultCode.DISK_FULL, "no space left below /data; free some")
FAILING = TrackerInfo(
    url=f"https://t.example/{PASSKEY}/announce",
    tier=0,
    state=TrackerState.FAILING,
    message=f"unregistered torrent {PASSKEY}, see https://t.example/{PASSKEY}/help\n",
)
WORKING = TrackerInfo(url="https://u.example/announce", tier=0, state=TrackerState.WORKING)


def record(
    status: TorrentStatus,
    spec: TorrentSpec = SPEC,
    *,
    metainfo: Metainfo | None = METAINFO,
    fault: Fault | None = None,
    is_verified: bool = False,
    tracker_message: str = "",
) -> TorrentRecord:
    """A record whose state and phase are derived as on the board."""
    derived = derive_state(
        stop_reason=spec.stop_reason, status=status, is_verified=is_verified, fault=fault
    )
    return TorrentRecord(
        spec=spec,
        metainfo=metainfo,
        status=status,
        state=derived.state,
        phase=derived.phase,
        is_verified=is_verified,
        fault=fault,
        tracker_message=tracker_message,
    )


TABLE: dict[str, tuple[TorrentRecord, Circumstances, list[str]]] = {
    "bytes arrive": (record(SWARM._replace(download_rate=1)), WELL, []),
    "the engine is away": (
        record(IDLE, fault=DISK_FULL),
        Circumstances(engine="it failed four times"),
        ["engine_away"],
    ),
    "moving": (record(IDLE._replace(is_moving=True)), WELL, ["moving"]),
    "a move begins": (record(SWARM, replace(SPEC, moving_to="/new")), WELL, ["moving"]),
    "checking": (
        record(IDLE._replace(activity=Activity.CHECKING, progress=0.5)),
        WELL,
        ["checking"],
    ),
    "disk full": (record(SWARM, fault=DISK_FULL), WELL, ["disk_full"]),
    "disk full and stopped": (
        record(STOPPED, replace(SPEC, stop_reason=StopReason.USER), fault=DISK_FULL),
        WELL,
        ["disk_full", "stopped"],
    ),
    "storage absent": (
        record(IDLE, fault=Fault(FaultCode.STORAGE_ABSENT, "/data is not mounted; mount it")),
        Circumstances(storage="/data is not mounted"),
        ["storage_absent"],
    ),
    "storage in trouble": (record(SWARM), Circumstances(storage="/data is silent"), ["storage"]),
    "an error of the engine": (record(IDLE._replace(error="bad piece")), WELL, ["fault"]),
    "nothing is written": (record(SWARM._replace(in_upload_mode=True)), WELL, ["not_writing"]),
    "a magnet without peers": (
        record(
            IDLE._replace(activity=Activity.FETCHING_METADATA, in_upload_mode=True), metainfo=None
        ),
        WELL,
        ["fetching_metadata", "no_peers"],
    ),
    "a magnet with peers": (
        record(SWARM._replace(activity=Activity.FETCHING_METADATA), metainfo=None),
        WELL,
        ["fetching_metadata"],
    ),
    "stopped": (record(STOPPED, replace(SPEC, stop_reason=StopReason.USER)), WELL, ["stopped"]),
    "stopped by a share limit": (
        record(
            DONE._replace(is_paused=True),
            replace(SPEC, stop_reason=StopReason.SHARE_LIMIT),
            is_verified=True,
        ),
        WELL,
        ["share_limit", "complete"],
    ),
    "queued": (record(QUEUED), Circumstances(network="deaf"), ["queued"]),
    "a tiny session limit": (
        record(SWARM._replace(download_rate=1_000)),
        Circumstances(download_limit=BytesPerSecond(1_000)),
        ["download_limit"],
    ),
    "a tiny limit of its own": (
        record(SWARM._replace(download_rate=1), replace(SPEC, download_limit=BytesPerSecond(1))),
        Circumstances(download_limit=BytesPerSecond(10_000_000)),
        ["download_limit"],
    ),
    "limits that do not hold": (
        record(SWARM._replace(download_rate=1)),
        Circumstances(limits="2 MB/s was set, 1 is read"),
        ["limits"],
    ),
    "deaf": (
        record(IDLE),
        Circumstances(network="tun0 is gone"),
        ["network", "no_peers"],
    ),
    "no tracker and no DHT": (
        record(IDLE._replace(tracker_count=0)),
        Circumstances(is_dht_enabled=False),
        ["no_sources", "no_peers"],
    ),
    "a private one without tracker": (
        record(IDLE, metainfo=replace(METAINFO, is_private=True)),
        Circumstances(trackers=()),
        ["no_sources", "no_peers"],
    ),
    "no tracker, but DHT": (record(IDLE._replace(tracker_count=0)), WELL, ["no_peers"]),
    "its tracker fails": (
        record(IDLE),
        Circumstances(trackers=(FAILING,)),
        ["tracker_failing", "no_peers"],
    ),
    "one tracker fails, one works": (
        record(IDLE),
        Circumstances(trackers=(FAILING, WORKING)),
        ["no_peers"],
    ),
    "a tracker's last words": (
        record(IDLE, tracker_message="unregistered"),
        WELL,
        ["tracker_failing", "no_peers"],
    ),
    "half of it is in the swarm": (
        record(IDLE._replace(leechers=3, availability=0.5)),
        WELL,
        ["incomplete_swarm"],
    ),
    "nobody sends": (record(IDLE._replace(leechers=3, availability=1.5)), WELL, ["no_seeds"]),
    "seeds that do not send yet": (record(SWARM), WELL, []),
    "nothing is selected": (
        record(DONE, replace(SPEC, priorities=(0, 0))),
        WELL,
        ["nothing_selected"],
    ),
    "its files are being looked at": (record(DONE), WELL, ["verifying"]),
    "complete": (record(DONE, is_verified=True), WELL, ["complete"]),
}


@pytest.mark.parametrize(("torrent", "circumstances", "codes"), TABLE.values(), ids=TABLE)
def test_the_reasons_are_named_in_order(
    torrent: TorrentRecord, circumstances: Circumstances, codes: list[str]
) -> None:
    reasons = why(torrent, circumstances)

    assert [reason.code for reason in reasons] == codes
    assert all(reason.message for reason in reasons)


def test_every_reason_has_a_row_above() -> None:
    told = {code for _, _, codes in TABLE.values() for code in codes}

    assert set(ReasonCode) <= told


def test_messages_carry_the_cause_and_the_place() -> None:
    queued = why(record(QUEUED), WELL)[0]
    checking = why(record(IDLE._replace(activity=Activity.CHECKING, progress=0.25)), WELL)[0]
    full = why(record(SWARM, fault=DISK_FULL), WELL)[0]

    assert "position 4" in queued.message
    assert "25%" in checking.message
    assert full.message == DISK_FULL.message


def test_no_reason_repeats_a_passkey_or_breaks_a_line() -> None:
    told = why(record(IDLE), Circumstances(trackers=(FAILING,)))[0].message
    heard = [
        record(IDLE._replace(current_tracker=FAILING.url), tracker_message=FAILING.message),
        record(IDLE, replace(SPEC, trackers=((FAILING.url, 0),)), tracker_message=FAILING.message),
        record(
            IDLE,
            replace(SPEC, magnet_uri=f"magnet:?xt=urn:btih:{HASH}&tr={quote(FAILING.url)}"),
            tracker_message=FAILING.message,
        ),
    ]

    assert "https://t.example/…" in told
    for words in (told, *(why(each, WELL)[0].message for each in heard)):
        assert PASSKEY not in words
        assert "\n" not in words


def test_words_without_secrets_stay_as_they_are() -> None:
    assert without_secrets("unregistered torrent", (FAILING.url,)) == "unregistered torrent"


def test_the_words_of_an_address_that_everybody_knows_stay() -> None:
    assert without_secrets("cannot announce", (FAILING.url,)) == "cannot announce"
