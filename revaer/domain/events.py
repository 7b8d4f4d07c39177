"""What is announced to the world: past tense, values only, one topic each."""

from dataclasses import dataclass
from typing import ClassVar

from revaer.domain.ids import EpochSeconds, EventId, InfoHash, Revision
from revaer.domain.torrent import FileEntry, Phase, TorrentState


@dataclass(frozen=True, slots=True)
class TorrentAdded:
    """A torrent that was not known before is stored and running."""

    topic: ClassVar[str] = "torrent.added"
    info_hash: InfoHash
    name: str


@dataclass(frozen=True, slots=True)
class TorrentUpdated:
    """Something that was asked of a torrent changed; `fields` names what."""

    topic: ClassVar[str] = "torrent.updated"
    info_hash: InfoHash
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TorrentStateChanged:
    """People see another state or phase."""

    topic: ClassVar[str] = "torrent.state_changed"
    info_hash: InfoHash
    state: TorrentState
    phase: Phase
    previous: TorrentState


@dataclass(frozen=True, slots=True)
class TorrentProgress:
    """Bytes arrived; at most ten of these per second and torrent."""

    topic: ClassVar[str] = "torrent.progress"
    info_hash: InfoHash
    progress: float
    done_bytes: int
    wanted_bytes: int
    download_rate: int
    upload_rate: int
    peers: int


@dataclass(frozen=True, slots=True)
class TorrentCompleted:
    """The first time that every wanted byte is in its file."""

    topic: ClassVar[str] = "torrent.completed"
    info_hash: InfoHash
    at: EpochSeconds


@dataclass(frozen=True, slots=True)
class TorrentRemoved:
    """A torrent is no longer part of Revaer."""

    topic: ClassVar[str] = "torrent.removed"
    info_hash: InfoHash
    with_data: bool


@dataclass(frozen=True, slots=True)
class TorrentFailed:
    """A torrent cannot go on; topic `torrent.error`."""

    topic: ClassVar[str] = "torrent.error"
    info_hash: InfoHash
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FilesDiscovered:
    """A torrent's file list became known."""

    topic: ClassVar[str] = "torrent.files_discovered"
    info_hash: InfoHash
    files: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True)
class SelectionReconciled:
    """The stored selection and the engine's differed; the stored one holds again."""

    topic: ClassVar[str] = "torrent.selection_reconciled"
    info_hash: InfoHash
    reason: str


@dataclass(frozen=True, slots=True)
class PieceCompleted:
    """A piece passed its hash check."""

    topic: ClassVar[str] = "piece.completed"
    info_hash: InfoHash
    piece_index: int


@dataclass(frozen=True, slots=True)
class PieceHashFailed:
    """A piece failed its hash check and is fetched again."""

    topic: ClassVar[str] = "piece.hash_failed"
    info_hash: InfoHash
    piece_index: int


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """A peer connection was made."""

    topic: ClassVar[str] = "peer.connected"
    info_hash: InfoHash
    address: str


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    """A peer connection ended; `peer_id` is empty when it ended before the peer named itself."""

    topic: ClassVar[str] = "peer.disconnected"
    info_hash: InfoHash
    address: str
    reason: str
    peer_id: str = ""


@dataclass(frozen=True, slots=True)
class TrackerSucceeded:
    """A tracker accepted an announce."""

    topic: ClassVar[str] = "tracker.success"
    info_hash: InfoHash
    url: str
    peers: int


@dataclass(frozen=True, slots=True)
class TrackerFailed:
    """A tracker did not answer or refused an announce."""

    topic: ClassVar[str] = "tracker.failed"
    info_hash: InfoHash
    url: str
    message: str


@dataclass(frozen=True, slots=True)
class HealthChanged:
    """A component's health changed; `cause` is empty when it is well again."""

    topic: ClassVar[str] = "health.changed"
    component: str
    status: str
    cause: str


@dataclass(frozen=True, slots=True)
class GuardRailRaised:
    """A session-wide limit was set to something that is most often a mistake.

    Attributes:
        direction: `download` or `upload`.
        reason: `off` (no limit any more), `zero` (given as 0, which means no limit), or `high`
            (above 5 Gbit/s).
        limit: bytes per second; 0 when there is none.
    """

    topic: ClassVar[str] = "limits.guard_rail"
    direction: str
    reason: str
    limit: int


@dataclass(frozen=True, slots=True)
class StatsUpdated:
    """A torrent's totals and rates, each second while somebody listens to it.

    Bytes are payload of all sessions, rates payload bytes per second.
    """

    topic: ClassVar[str] = "stats.update"
    info_hash: InfoHash
    downloaded_bytes: int
    uploaded_bytes: int
    download_rate: int
    upload_rate: int
    peers: int
    progress: float


@dataclass(frozen=True, slots=True)
class ActorRestarted:
    """An actor died and was (or will be) started again."""

    topic: ClassVar[str] = "actor.restarted"
    path: str
    generation: int
    cause: str
    message: str
    backoff_s: float
    mailbox_depth: int


@dataclass(frozen=True, slots=True)
class ActorFailed:
    """An actor spent its restart budget and is held."""

    topic: ClassVar[str] = "actor.failed"
    path: str
    message: str


Event = (
    TorrentAdded
    | TorrentUpdated
    | TorrentStateChanged
    | TorrentProgress
    | TorrentCompleted
    | TorrentRemoved
    | TorrentFailed
    | FilesDiscovered
    | SelectionReconciled
    | PieceCompleted
    | PieceHashFailed
    | PeerConnected
    | PeerDisconnected
    | TrackerSucceeded
    | TrackerFailed
    | HealthChanged
    | GuardRailRaised
    | StatsUpdated
    | ActorRestarted
    | ActorFailed
)


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """An event with its place in the stream.

    Attributes:
        id: grows with every event, also across restarts.
        event: what happened.
        revision: the board revision that shows it; 0 for events that the board does not show.
    """

    id: EventId
    event: Event
    revision: Revision

    @property
    def topic(self) -> str:
        """The dotted topic."""
        return self.event.topic

    @property
    def info_hash(self) -> InfoHash | None:
        """The torrent it is about, if one."""
        return getattr(self.event, "info_hash", None)
