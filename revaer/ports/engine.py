"""A BitTorrent engine, whichever it is.

Thread rules: `drain` is called by one thread only (the alert pump); everything else may be called
from any thread, but only the session actor does so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from revaer.domain.details import PeerInfo, PieceState, TrackerInfo
from revaer.domain.errors import InvalidInputError, TorrentExistsError
from revaer.domain.facts import Fact
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.reconciliation import LiveTorrent
from revaer.domain.torrent import (
    Metainfo,
    QueueMove,
    TorrentDescription,
    TorrentSource,
    TorrentSpec,
    TorrentStatus,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTorrent:
    """What an engine is told of a torrent that it shall run.

    Attributes:
        spec: what was asked for; `stop_reason`, `priorities`, limits, sequential mode and queueing
            are applied before the torrent moves a byte.
        metainfo_data: the torrent file's bytes where known, else None (a magnet).
        metainfo: what `describe` said of `metainfo_data`, where somebody asked: spares the engine a
            second reading.
        blob: the engine's own resume data, or None.
        recheck: read all files again even though the blob looks sound.
        is_absent: the files cannot be looked at now: take the blob's word for them, and touch
            nothing in their directory. Only for a spec that comes at a standstill.
        peers: `(IP address, port)` to connect to at once.
    """

    spec: TorrentSpec
    metainfo_data: bytes | None = field(default=None, repr=False)
    metainfo: Metainfo | None = field(default=None, repr=False)
    blob: bytes | None = field(default=None, repr=False)
    recheck: bool = False
    is_absent: bool = False
    peers: tuple[tuple[str, int], ...] = ()


Added = Metainfo | InvalidInputError | TorrentExistsError | None
"""What `add` answers: the metadata, None while it is not known, or why there is no torrent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Session-wide settings, in the engine-agnostic words of the setting `torrent.session`.

    Attributes:
        listen: `host:port` or `device:port` list; port 0 lets the system choose.
        outgoing_interface: device or address that peers are reached from; empty for any.
        download_limit: bytes per second for the whole session, LAN peers included; 0 unlimited.
        upload_limit: as above.
        enable_dht: find peers through the distributed hash table.
        enable_lsd: find peers on the local network.
        enable_port_mapping: ask the router for a port by UPnP and NAT-PMP.
        enable_pex: learn peers from peers.
        banned_peers: IP addresses that are never talked to.
        max_connections: peer connections of the whole session.
        max_uploads: upload slots of the whole session.
        active_downloads: torrents downloading at once; -1 no queueing.
        active_seeds: torrents seeding at once; -1 no queueing.
        active_limit: torrents running at once; -1 no queueing.
        user_agent: how the engine names itself to trackers and peers.
        disk_backend: `pread`, `posix`, `mmap`, or `default` (libtorrent chooses); takes effect
            with a new session. `posix` waits for the disk in the network thread: one slow disk then
            holds up every torrent and every command.
        enable_utp: use uTP beside TCP.
    """

    listen: tuple[str, ...] = ("0.0.0.0:6881", "[::]:6881")
    outgoing_interface: str = ""
    download_limit: BytesPerSecond = BytesPerSecond(0)
    upload_limit: BytesPerSecond = BytesPerSecond(0)
    enable_dht: bool = True
    enable_lsd: bool = True
    enable_port_mapping: bool = False
    max_connections: int = 500
    max_uploads: int = 20
    active_downloads: int = -1
    active_seeds: int = -1
    active_limit: int = -1
    enable_pex: bool = True
    banned_peers: frozenset[str] = frozenset()
    user_agent: str = "Revaer/0.1"
    disk_backend: str = "pread"
    enable_utp: bool = True


class MetainfoReader(Protocol):
    """Reads sources without adding them."""

    def describe(self, source: TorrentSource) -> TorrentDescription:
        """Say what a source is.

        Raises:
            InvalidTorrentError: not a torrent file, not a usable magnet link, or past the limits on
                size, files, pieces and trackers.
        """
        ...


class TorrentEngine(MetainfoReader, Protocol):
    """The engine as the session actor and the alert pump see it.

    Commands return at once; what they bring about arrives as facts from `drain`. Unknown ids raise
    `TorrentNotFoundError`, a closed engine `EngineDownError`.
    """

    def add(self, torrent: EngineTorrent) -> Metainfo | None:
        """Run a torrent, and say what is known of its metadata.

        A magnet moves no payload byte by itself: when its metadata arrives the engine reports
        `MetadataReceived` and holds the torrent until `resume`, so that its file names can be
        judged and its files chosen first. (libtorrent: `upload_mode`. `stop_when_ready` stops a
        torrent without metadata at once, and a torrent that wants nothing,
        `default_dont_download`, counts as finished and loses its seeds for good.)

        Raises:
            InvalidTorrentError: the source cannot be used.
            TorrentExistsError: the engine has it already.
        """
        ...

    def add_all(self, torrents: Sequence[EngineTorrent]) -> tuple[Added, ...]:
        """Run many torrents, in this order: as `add`, at a fraction of its cost for each.

        Returns:
            For each torrent, in order, what `add` would have answered, or raised.
        """
        ...

    def knows(self, info_hash: InfoHash) -> bool:
        """Whether the engine runs a torrent under exactly this id; other hashes do not count."""
        ...

    def torrents(self) -> tuple[InfoHash, ...]:
        """The ids of all torrents, in no particular order."""
        ...

    def status(self, info_hash: InfoHash) -> TorrentStatus:
        """One fresh report; costs a round trip, so only for adoption and completion."""
        ...

    def live(self, info_hash: InfoHash) -> LiveTorrent:
        """What the engine does with a torrent now. Costs round trips, so only for adoption."""
        ...

    def metainfo(self, info_hash: InfoHash) -> Metainfo | None:
        """The torrent's metadata, or None while it is being fetched."""
        ...

    def pause(self, info_hash: InfoHash) -> None:
        """Stop and stay stopped, out of the engine's own queue."""
        ...

    def resume(self, info_hash: InfoHash, *, forced: bool, is_judged: bool = True) -> None:
        """Run: under the queue, or past it when forced. Clears errors first.

        A magnet's hold ends only when `is_judged` says that its file list was judged.
        """
        ...

    def recheck(self, info_hash: InfoHash) -> None:
        """Hash every file again."""
        ...

    def remove(self, info_hash: InfoHash, *, with_data: bool) -> None:
        """Let go of a torrent; answers `TorrentGone` when it (and its data) is gone."""
        ...

    def prioritize(self, info_hash: InfoHash, priorities: Sequence[int]) -> None:
        """Set one priority 0..7 per file.

        Raises:
            SelectionError: wrong length or value, or the metadata is not known yet.
        """
        ...

    def set_sequential(self, info_hash: InfoHash, *, sequential: bool) -> None:
        """Fetch pieces in order, or rarest first."""
        ...

    def set_limits(
        self, info_hash: InfoHash, *, download: BytesPerSecond, upload: BytesPerSecond
    ) -> None:
        """Limit one torrent; 0 means unlimited."""
        ...

    def connect(self, info_hash: InfoHash, peers: Sequence[tuple[str, int]]) -> None:
        """Try these peers now; hosts are IP addresses."""
        ...

    def reannounce(self, info_hash: InfoHash) -> None:
        """Ask every tracker, the DHT and the local network for peers now."""
        ...

    def move_in_queue(self, info_hash: InfoHash, move: QueueMove) -> None:
        """Change the order in which queued torrents get their turn."""
        ...

    def set_first_last_pieces(self, info_hash: InfoHash, *, enabled: bool) -> None:
        """Fetch the first and last pieces of each wanted file before the others, or not.

        Holds for files chosen later, and for a magnet once its metadata is known.
        """
        ...

    def trackers(self, info_hash: InfoHash) -> tuple[TrackerInfo, ...]:
        """Announce addresses in tier order. Costs a round trip."""
        ...

    def set_trackers(self, info_hash: InfoHash, trackers: Sequence[tuple[str, int]]) -> None:
        """Replace the announce addresses: `(url, tier 0..255)`."""
        ...

    def web_seeds(self, info_hash: InfoHash) -> tuple[str, ...]:
        """HTTP sources. Costs a round trip."""
        ...

    def set_web_seeds(self, info_hash: InfoHash, urls: Sequence[str]) -> None:
        """Replace the HTTP sources."""
        ...

    def peers(self, info_hash: InfoHash) -> tuple[PeerInfo, ...]:
        """Connected peers. Costs a round trip."""
        ...

    def pieces(self, info_hash: InfoHash) -> tuple[PieceState, ...]:
        """One state per piece; empty before the metadata is known. Costs a round trip."""
        ...

    def move(self, info_hash: InfoHash, save_path: str) -> None:
        """Move the files; answers `StorageMoved` or `StorageMoveFailed`.

        A file that is in the way at the destination makes it fail, with nothing moved.

        Raises:
            PathRefusedError: not an absolute path without `..`.
            ConflictError: a move is under way.
        """
        ...

    def rename_file(self, info_hash: InfoHash, index: int, path: str) -> None:
        """Give a file another path; answers `FileRenamed` or `FileRenameFailed`.

        Whoever calls has judged the path and seen that nothing lies there.

        Raises:
            InvalidInputError: no file has this index.
            PathRefusedError: the path could lead out of the torrent's directory.
            ConflictError: the metadata is not known yet, or another file of the torrent lies there.
        """
        ...

    def export(self, info_hash: InfoHash) -> None:
        """Ask for the torrent file; answers `TorrentExported` or `ResumeDataFailed`.

        Raises:
            ConflictError: the metadata is not known yet.
        """
        ...

    def retry_storage(self, info_hash: InfoHash) -> None:
        """Write again after a fault of the storage: clears the error and the upload mode.

        Nothing is checked anew, a torrent that was paused stays paused, and a magnet that is held
        stays held.
        """
        ...

    def file_progress(self, info_hash: InfoHash) -> tuple[int, ...]:
        """Bytes done per file; empty before the metadata is known. Costs a round trip."""
        ...

    def save(self, info_hash: InfoHash) -> None:
        """Ask for resume data; answers `ResumeDataReady` or `ResumeDataFailed`."""
        ...

    def flush(self, info_hash: InfoHash) -> None:
        """Hand all buffered blocks to the file system; answers `CacheFlushed`."""
        ...

    def set_global_limits(self, *, download: BytesPerSecond, upload: BytesPerSecond) -> None:
        """Limit the session; 0 means unlimited."""
        ...

    def apply(self, settings: EngineSettings) -> None:
        """Change the running session; what needs a new session (`disk_backend`) waits for it.

        Addresses that are listened on already stay open; those that could not be opened are tried
        again.

        Raises:
            InvalidInputError: a value that the engine cannot take; nothing changed.
        """
        ...

    def global_limits(self) -> tuple[BytesPerSecond, BytesPerSecond]:
        """Read the session's limits back: download, upload."""
        ...

    def set_interest(self, topics: frozenset[str]) -> None:
        """Report pieces and peers (`piece`, `peer`) only while somebody listens."""
        ...

    def request_updates(self) -> None:
        """Ask for the status of every torrent that changed since the last request."""
        ...

    def request_all(self) -> None:
        """Ask for the status of every torrent: for a reader that knows nothing yet."""
        ...

    def wake_fd(self) -> int:
        """A descriptor that is readable while facts wait."""
        ...

    def drain(self) -> Sequence[Fact]:
        """Take what happened since the last call, in order, as plain values. Never blocks."""
        ...

    def listen_ports(self) -> tuple[int, ...]:
        """Ports on which peers are accepted; empty when deaf."""
        ...

    def absent_interfaces(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of these devices and IP addresses that nothing can be sent from now.

        A device that was replaced by another of its name since the last call counts once, too.
        """
        ...

    def suspend(self, *, suspended: bool) -> None:
        """Let go of all peers and call none, or go on where that was; torrents keep their states.

        For as long as the interface is away that peers are to be reached from.
        """
        ...

    def quiesce(self) -> None:
        """Stop all transfers and announce the stop; facts keep coming until `close`."""
        ...

    def close(self) -> None:
        """End the session for good. May block for as long as stop announces take (2 s at most)."""
        ...
