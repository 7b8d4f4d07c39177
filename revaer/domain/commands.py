"""What the engine can be asked to do. One receiver, may be refused; each has one typed outcome."""

from dataclasses import dataclass, field

from revaer.domain.ids import BytesPerSecond, InfoHash, Revision
from revaer.domain.selection import SelectionRules
from revaer.domain.torrent import TorrentSource


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
)
EngineCommand = TorrentCommand | SetGlobalLimits
