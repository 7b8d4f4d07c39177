"""What the engine and the session report: the only inputs of the reducer.

A fact is past tense and cannot be refused. Facts about torrents name one torrent each; facts about
the engine as a whole name none and go to the session.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import Fault, Metainfo, TorrentSpec, TorrentStatus


class Origin(StrEnum):
    """How a torrent came to be known."""

    ADDED = "added"
    RESTORED = "restored"
    ADOPTED = "adopted"


@dataclass(frozen=True, slots=True)
class TorrentKnown:
    """A torrent is part of the engine from now on (or still is, after an adoption)."""

    info_hash: InfoHash
    spec: TorrentSpec
    metainfo: Metainfo | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class SpecChanged:
    """What is asked of a torrent changed, and is stored."""

    info_hash: InfoHash
    spec: TorrentSpec


class StatusReported(NamedTuple):
    """The engine's newest report of one torrent; a tuple for the reason that its status is one."""

    info_hash: InfoHash
    status: TorrentStatus


@dataclass(frozen=True, slots=True)
class MetadataReceived:
    """A magnet's metadata arrived."""

    info_hash: InfoHash
    metainfo: Metainfo


@dataclass(frozen=True, slots=True)
class FilesProgressed:
    """Bytes done per file, in file order."""

    info_hash: InfoHash
    files_done: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DownloadFinished:
    """The engine has every wanted piece in memory or on disk; says nothing about the files."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True)
class CacheFlushed:
    """The engine handed every buffered block of the torrent to the file system."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True)
class PayloadVerified:
    """Every wanted file is there with its full size, after a flush."""

    info_hash: InfoHash
    at: EpochSeconds


@dataclass(frozen=True, slots=True)
class FaultRaised:
    """The torrent cannot go on."""

    info_hash: InfoHash
    fault: Fault


@dataclass(frozen=True, slots=True)
class FaultCleared:
    """What kept the torrent from going on is over."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True)
class TorrentChecked:
    """A check of the files on disk ended (also the quick one when a blob is loaded)."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True)
class ResumeRejected:
    """The blob did not fit the files; the engine checks them all."""

    info_hash: InfoHash
    reason: str


@dataclass(frozen=True, slots=True)
class ResumeDataReady:
    """The engine answered a save: the blob to store.

    Attributes:
        metainfo_data: the torrent file's bytes once the metadata is known, else empty.
    """

    info_hash: InfoHash
    blob: bytes = field(repr=False)
    metainfo_data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class ResumeDataFailed:
    """The engine could not (or had no need to) make a blob."""

    info_hash: InfoHash
    reason: str


@dataclass(frozen=True, slots=True)
class AddFailed:
    """The engine refused a torrent after it had accepted the call."""

    info_hash: InfoHash
    reason: str


@dataclass(frozen=True, slots=True)
class TorrentGone:
    """The engine let go of the torrent; its files are gone too where that was asked.

    Attributes:
        data_deleted: true when deleting the files was asked and done.
        reason: why deleting failed, or empty.
    """

    info_hash: InfoHash
    data_deleted: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StorageMoved:
    """All files of the torrent lie in another directory now."""

    info_hash: InfoHash
    save_path: str


@dataclass(frozen=True, slots=True)
class StorageMoveFailed:
    """The files stayed where they were, or as many of them as the reason says."""

    info_hash: InfoHash
    reason: str


@dataclass(frozen=True, slots=True)
class FileRenamed:
    """A file lies under another path, relative to the save path."""

    info_hash: InfoHash
    index: int
    path: str


@dataclass(frozen=True, slots=True)
class FileRenameFailed:
    """A file kept its path."""

    info_hash: InfoHash
    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class TorrentExported:
    """The torrent file that was asked for, with the trackers and web seeds it has now."""

    info_hash: InfoHash
    metainfo_data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TorrentForgotten:
    """The torrent is no longer part of Revaer: acknowledged removal."""

    info_hash: InfoHash
    with_data: bool


@dataclass(frozen=True, slots=True)
class PieceFinished:
    """A piece passed its hash check."""

    info_hash: InfoHash
    piece_index: int


@dataclass(frozen=True, slots=True)
class PieceFailed:
    """A piece failed its hash check and is fetched again."""

    info_hash: InfoHash
    piece_index: int


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """A peer connection was made; address as `host:port`."""

    info_hash: InfoHash
    address: str


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """A peer connection ended; `peer_id` is empty when it ended before the peer named itself."""

    info_hash: InfoHash
    address: str
    reason: str
    peer_id: str = ""


@dataclass(frozen=True, slots=True)
class TrackerAnswered:
    """A tracker accepted an announce."""

    info_hash: InfoHash
    url: str
    peers: int


@dataclass(frozen=True, slots=True)
class TrackerRefused:
    """A tracker did not answer or refused an announce."""

    info_hash: InfoHash
    url: str
    message: str


TorrentFact = (
    TorrentKnown
    | SpecChanged
    | StatusReported
    | MetadataReceived
    | FilesProgressed
    | DownloadFinished
    | CacheFlushed
    | PayloadVerified
    | FaultRaised
    | FaultCleared
    | TorrentChecked
    | ResumeRejected
    | ResumeDataReady
    | ResumeDataFailed
    | AddFailed
    | TorrentGone
    | StorageMoved
    | StorageMoveFailed
    | FileRenamed
    | FileRenameFailed
    | TorrentExported
    | TorrentForgotten
    | PieceFinished
    | PieceFailed
    | PeerJoined
    | PeerLeft
    | TrackerAnswered
    | TrackerRefused
)


@dataclass(frozen=True, slots=True)
class AlertsDropped:
    """The engine's alert queue overflowed: whoever keeps state must ask for it again."""


@dataclass(frozen=True, slots=True)
class ListenSucceeded:
    """The engine accepts peers on this address and port."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class ListenFailed:
    """The engine could not open a listening socket."""

    interface: str
    reason: str


@dataclass(frozen=True, slots=True)
class SessionFailed:
    """The engine's session as a whole is unusable and must be rebuilt."""

    reason: str


EngineFact = AlertsDropped | ListenSucceeded | ListenFailed | SessionFailed

Fact = TorrentFact | EngineFact
