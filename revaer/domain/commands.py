"""What the engine can be asked to do. One receiver, may be refused; each has one typed outcome."""

from dataclasses import dataclass, field

from revaer.domain.ids import BytesPerSecond, InfoHash, Revision
from revaer.domain.selection import SelectionRules
from revaer.domain.share_limits import ShareLimitPolicy
from revaer.domain.torrent import QueueMove, ShareLimitAction, TorrentSource


@dataclass(frozen=True, slots=True)
class CommandDone:
    """A command took effect and is in the store.

    Attributes:
        info_hash: the torrent it was about.
        revision: the board revision that shows it.
    """

    info_hash: InfoHash
    revision: Revision


@dataclass(frozen=True, slots=True)
class SettingsApplied:
    """A session-wide command took effect."""

    revision: Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTorrent:
    """Add a torrent, or learn that it is there.

    Attributes:
        source: a magnet link or the bytes of a torrent file.
        save_path: directory for the payload; None for the default root.
        peers: `(host, port)` to connect to at once, hosts as IP addresses.
        priorities: one 0..7 per file; empty to let `selection` decide.
    """

    source: TorrentSource
    save_path: str | None = None
    paused: bool = False
    selection: SelectionRules = field(default_factory=SelectionRules)
    priorities: tuple[int, ...] = ()
    sequential: bool = False
    category: str = ""
    tags: tuple[str, ...] = ()
    download_limit: BytesPerSecond = BytesPerSecond(0)
    upload_limit: BytesPerSecond = BytesPerSecond(0)
    peers: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PauseTorrent:
    """Stand still until resumed."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True)
class ResumeTorrent:
    """Run again, also after an error: faults are cleared and the engine tries anew."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True)
class RecheckTorrent:
    """Read every file again and compare it with the metadata's hashes."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True)
class RemoveTorrent:
    """Forget a torrent; with `with_data` its files are deleted too."""

    info_hash: InfoHash
    with_data: bool = False


@dataclass(frozen=True, slots=True)
class SelectFiles:
    """Choose what is downloaded.

    Exactly one of the two is used: `priorities` (one 0..7 per file, needs the metadata) when not
    empty, else `selection` (kept until the metadata arrives).
    """

    info_hash: InfoHash
    selection: SelectionRules = field(default_factory=SelectionRules)
    priorities: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SetSequential:
    """Fetch pieces in file order, or rarest first."""

    info_hash: InfoHash
    sequential: bool


@dataclass(frozen=True, slots=True)
class SetTorrentLimits:
    """Limit one torrent's payload rates; 0 means unlimited."""

    info_hash: InfoHash
    download: BytesPerSecond
    upload: BytesPerSecond


@dataclass(frozen=True, slots=True)
class SetGlobalLimits:
    """Limit the whole session; 0 means unlimited."""

    download: BytesPerSecond
    upload: BytesPerSecond


@dataclass(frozen=True, slots=True)
class ConnectPeers:
    """Try these peers now, beside what trackers and the network name."""

    info_hash: InfoHash
    peers: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ReannounceTorrent:
    """Ask every tracker, the DHT and the local network for peers now."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True)
class MoveInQueue:
    """Change the order in which queued torrents get their turn."""

    info_hash: InfoHash
    move: QueueMove


@dataclass(frozen=True, slots=True)
class SetForceStart:
    """Run past the queue, or under it again. Force starting also resumes."""

    info_hash: InfoHash
    force_start: bool


@dataclass(frozen=True, slots=True)
class SetFirstLastPieces:
    """Fetch the first and the last pieces of each file before the others, or not."""

    info_hash: InfoHash
    first_last_pieces: bool


@dataclass(frozen=True, slots=True)
class SetShareLimits:
    """When to stop seeding one torrent.

    Attributes:
        ratio: -2 follow the category or the global limit, -1 none, else uploaded / downloaded.
        seeding_time_s: -2 and -1 as above, else seconds of seeding.
        inactive_seeding_time_s: -2 and -1 as above, else seconds of seeding without an upload.
        action: what happens then.
    """

    info_hash: InfoHash
    ratio: float
    seeding_time_s: int
    inactive_seeding_time_s: int
    action: ShareLimitAction = ShareLimitAction.DEFAULT


@dataclass(frozen=True, slots=True)
class AddTrackers:
    """Announce to these, too: `(url, tier)`; known ones stay as they are."""

    info_hash: InfoHash
    trackers: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class RemoveTrackers:
    """Announce to these no longer. Refused as a whole when one of them is not known."""

    info_hash: InfoHash
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EditTracker:
    """Replace one announce address, keeping its tier."""

    info_hash: InfoHash
    url: str
    new_url: str


@dataclass(frozen=True, slots=True)
class AddWebSeeds:
    """Fetch from these HTTP addresses, too."""

    info_hash: InfoHash
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoveWebSeeds:
    """Fetch from these HTTP addresses no longer. Refused as a whole when one is not known."""

    info_hash: InfoHash
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MoveTorrent:
    """Move the files to another directory; done when the phase `moving` is over.

    Refused when the place holds a file of the same name already: nothing is ever replaced.
    """

    info_hash: InfoHash
    save_path: str


@dataclass(frozen=True, slots=True)
class RenameTorrent:
    """Show another name; no file changes."""

    info_hash: InfoHash
    name: str


@dataclass(frozen=True, slots=True)
class RenameFile:
    """Give a file another path, relative to the save path, `/` between parts."""

    info_hash: InfoHash
    index: int
    path: str


@dataclass(frozen=True, slots=True)
class RenameFolder:
    """Give every file below a folder a path below another one; paths as in `RenameFile`."""

    info_hash: InfoHash
    folder: str
    new_folder: str


@dataclass(frozen=True, slots=True)
class SetCategory:
    """Put a torrent into a category; empty for none."""

    info_hash: InfoHash
    category: str


@dataclass(frozen=True, slots=True)
class SetTags:
    """Replace a torrent's tags."""

    info_hash: InfoHash
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExportTorrent:
    """Ask for the torrent file, with the trackers and web seeds of now; the answer is its bytes."""

    info_hash: InfoHash


@dataclass(frozen=True, slots=True)
class BanPeers:
    """Never talk to these IP addresses again, in any torrent."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetAlternativeLimits:
    """The limits that hold while the alternative ones are switched on; 0 means unlimited."""

    download: BytesPerSecond
    upload: BytesPerSecond


@dataclass(frozen=True, slots=True)
class UseAlternativeLimits:
    """Switch between the usual and the alternative limits."""

    enabled: bool


@dataclass(frozen=True, slots=True)
class SetShareLimitPolicy:
    """The share limits of torrents that have none of their own."""

    policy: ShareLimitPolicy


TorrentCommand = (
    AddTorrent
    | PauseTorrent
    | ResumeTorrent
    | RecheckTorrent
    | RemoveTorrent
    | SelectFiles
    | SetSequential
    | SetTorrentLimits
    | ConnectPeers
    | ReannounceTorrent
    | MoveInQueue
    | SetForceStart
    | SetFirstLastPieces
    | SetShareLimits
    | AddTrackers
    | RemoveTrackers
    | EditTracker
    | AddWebSeeds
    | RemoveWebSeeds
    | MoveTorrent
    | RenameTorrent
    | RenameFile
    | RenameFolder
    | SetCategory
    | SetTags
)
"""Answered with a `CommandDone`. `ExportTorrent` has an answer of its own."""

SessionCommand = (
    SetGlobalLimits | SetAlternativeLimits | UseAlternativeLimits | SetShareLimitPolicy | BanPeers
)
"""Answered with a `SettingsApplied`."""

EngineCommand = TorrentCommand | SessionCommand | ExportTorrent
