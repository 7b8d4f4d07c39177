"""What is asked of the engine on demand and never kept: peers, trackers, web seeds."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from revaer.domain.ids import NEVER, EpochSeconds


class TrackerState(StrEnum):
    """How far Revaer got with a tracker."""

    NOT_CONTACTED = "not_contacted"
    UPDATING = "updating"
    WORKING = "working"
    FAILING = "failing"


class PieceState(IntEnum):
    """How far a piece is, as qBittorrent numbers it."""

    MISSING = 0
    DOWNLOADING = 1
    HAVE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerInfo:
    """One announce address of a torrent.

    Attributes:
        url: as it is announced to, passkey included: never logged, shown to whoever may read it.
        tier: trackers of a lower tier are asked first, 0..255.
        state: of the last announce.
        message: the tracker's last warning or error; empty when it said nothing.
        seeds: as scraped; -1 unknown.
        leechers: as scraped; -1 unknown.
        downloaded: completed downloads as scraped; -1 unknown.
        fails: announces that failed in a row.
        next_announce_at: epoch seconds; 0 when none is planned.
    """

    url: str
    tier: int
    state: TrackerState = TrackerState.NOT_CONTACTED
    message: str = ""
    seeds: int = -1
    leechers: int = -1
    downloaded: int = -1
    fails: int = 0
    next_announce_at: EpochSeconds = NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerInfo:
    """One connected peer of a torrent.

    Attributes:
        address: IP address.
        port: TCP or UDP port.
        client: how it names itself; empty when it does not.
        peer_id: its id as sent, 40 hex digits.
        progress: 0..1.
        download_rate: payload bytes per second from it.
        upload_rate: payload bytes per second to it.
        downloaded_bytes: payload received from it.
        uploaded_bytes: payload sent to it.
        flags: qBittorrent's letters, such as `D U I H X E P`, separated by single spaces.
        connection: `bt`, `utp` or `web`.
        is_incoming: it connected to us.
        is_encrypted: its traffic is obfuscated.
        files: indexes of the files being fetched from it right now.
    """

    address: str
    port: int
    client: str = ""
    peer_id: str = ""
    progress: float = 0.0
    download_rate: int = 0
    upload_rate: int = 0
    downloaded_bytes: int = 0
    uploaded_bytes: int = 0
    flags: str = ""
    connection: str = "bt"
    is_incoming: bool = False
    is_encrypted: bool = False
    files: tuple[int, ...] = ()
