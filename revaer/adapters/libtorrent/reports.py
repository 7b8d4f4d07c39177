"""What one alert says of a torrent, before it is held against what was said before."""

from dataclasses import dataclass

from revaer.adapters.libtorrent.registry import Entry
from revaer.domain import facts as f
from revaer.domain.torrent import Fault, Metainfo


@dataclass(frozen=True, slots=True)
class Failure:
    """A fault as libtorrent repeats it, once per block that could not be written.

    Attributes:
        key: category and number of the error; one fact per torrent and key.
        is_sticky: whether the status shows nothing of it (files that vanished under a seed).
        is_final: whether the torrent has to stand still, because no trial can end otherwise.
    """

    entry: Entry
    key: tuple[str, int]
    fault: Fault
    is_sticky: bool = False
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class PayloadDeleted:
    """The files of a removed torrent are gone, or `reason` says why not."""

    entry: Entry
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HandleGone:
    """libtorrent let go of the torrent itself."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Discovered:
    """A magnet's metadata is here, and with it perhaps another id.

    Attributes:
        keys: every id that finds the torrent from now on.
    """

    entry: Entry
    metainfo: Metainfo
    keys: set[str]


@dataclass(frozen=True, slots=True)
class Saved:
    """Resume data, and the torrent file's bytes when they were not handed out before."""

    entry: Entry
    blob: bytes
    metainfo_data: bytes


@dataclass(frozen=True, slots=True)
class PrioritiesApplied:
    """libtorrent worked all piece priorities out anew from those of the files."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Renamed:
    """A file has another path."""

    entry: Entry
    index: int
    path: str


Report = (
    f.Fact
    | Failure
    | PayloadDeleted
    | HandleGone
    | Discovered
    | Saved
    | PrioritiesApplied
    | Renamed
)
"""What an alert says; all but the facts is for `outcomes` to settle."""
