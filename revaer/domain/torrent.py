"""What a torrent is: what was asked for, what its metadata says, what the engine reports of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from revaer.domain.ids import NEVER, UNLIMITED, BytesPerSecond, EpochSeconds, InfoHash
from revaer.domain.selection import SelectionRules


class TorrentState(StrEnum):
    """The eight states that people and APIs see."""

    QUEUED = "queued"
    CHECKING = "checking"
    DOWNLOADING = "downloading"
    SEEDING = "seeding"
    PAUSED = "paused"
    STALLED = "stalled"
    ERROR = "error"
    COMPLETED = "completed"


class Phase(StrEnum):
    """What a torrent is busy with beside its state."""

    NONE = "none"
    FETCHING_METADATA = "fetching_metadata"
    MOVING = "moving"


class Activity(StrEnum):
    """What the engine itself says a torrent is doing; paused is a flag beside it."""

    CHECKING_RESUME = "checking_resume"
    CHECKING = "checking"
    FETCHING_METADATA = "fetching_metadata"
    DOWNLOADING = "downloading"
    FINISHED = "finished"
    SEEDING = "seeding"


class StopReason(StrEnum):
    """Why a torrent is meant to stand still."""

    NONE = "none"
    USER = "user"
    SHARE_LIMIT = "share_limit"


class ShareLimitAction(StrEnum):
    """What happens to a torrent that reaches one of its share limits."""

    DEFAULT = "default"
    STOP = "stop"
    REMOVE = "remove"
    REMOVE_WITH_DATA = "remove_with_data"


class QueueMove(StrEnum):
    """Where to in the order in which queued torrents get their turn."""

    UP = "up"
    DOWN = "down"
    TOP = "top"
    BOTTOM = "bottom"


class FaultCode(StrEnum):
    """The named causes of a torrent in trouble."""

    DISK_FULL = "disk_full"
    MISSING_FILES = "missing_files"
    STORAGE_ABSENT = "storage_absent"
    UNWRITABLE = "unwritable"
    PATH_REFUSED = "path_refused"
    NOTHING_SELECTED = "nothing_selected"
    TORRENT_CONFLICT = "torrent_conflict"
    ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class MagnetSource:
    """A magnet link, as it was given."""

    uri: str


@dataclass(frozen=True, slots=True)
class MetainfoSource:
    """The bytes of a torrent file."""

    data: bytes = field(repr=False)


TorrentSource = MagnetSource | MetainfoSource


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a torrent as its metadata names it.

    Attributes:
        index: position in the metadata; what priorities and renames refer to.
        path: relative, `/` between parts, root folder included for multi-file torrents.
        size_bytes: exact size once complete.
        first_piece: first piece with bytes of this file.
        last_piece: last piece with bytes of this file, inclusive.
        is_pad: true for alignment padding that never reaches the disk.
    """

    index: int
    path: str
    size_bytes: int
    first_piece: int = 0
    last_piece: int = 0
    is_pad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Metainfo:
    """What a torrent's metadata says; never changes once known."""

    name: str
    files: tuple[FileEntry, ...]
    total_size_bytes: int
    piece_length: int
    piece_count: int
    infohash_v1: str = ""
    infohash_v2: str = ""
    is_private: bool = False
    comment: str = ""
    created_by: str = ""
    created_at: EpochSeconds = NEVER

    @property
    def has_root_folder(self) -> bool:
        """Whether the metadata puts every file into one folder of the torrent's own."""
        return bool(root_folder_of(self.files))


def root_folder_of(files: Sequence[FileEntry]) -> str:
    """The one folder that all files lie in, padding apart; empty when there is none."""
    paths = [entry.path for entry in files if not entry.is_pad]
    roots = {path.split("/", 1)[0] for path in paths}
    return roots.pop() if len(roots) == 1 and all("/" in path for path in paths) else ""


def renamed(
    files: tuple[FileEntry, ...], renames: Iterable[tuple[int, str]]
) -> tuple[FileEntry, ...]:
    """The same files under the paths that they were given; indexes that no file has are ignored."""
    paths = dict(renames)
    if not paths:
        return files
    return tuple(
        replace(entry, path=paths[entry.index]) if entry.index in paths else entry
        for entry in files
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TorrentDescription:
    """What can be said of a source before it is added.

    Attributes:
        info_hash: the id that the torrent will have.
        name: from the metadata, else the magnet's display name, else the id.
        metainfo: None for a magnet.
        magnet_uri: a link that names the torrent and its trackers.
        trackers: announce addresses in tier order.
        web_seeds: HTTP sources named by the source.
    """

    info_hash: InfoHash
    infohash_v1: str
    infohash_v2: str
    name: str
    metainfo: Metainfo | None
    magnet_uri: str
    trackers: tuple[str, ...] = ()
    web_seeds: tuple[str, ...] = ()


class FilePriority:
    """The four priorities of the qBittorrent API on libtorrent's scale of 0 to 7."""

    SKIP = 0
    NORMAL = 1
    HIGH = 6
    MAXIMUM = 7


LIBTORRENT_DEFAULT_PRIORITY = 4
"""What libtorrent gives a file that nobody ranked; shown as normal."""

USE_GLOBAL_RATIO = -2.0
USE_GLOBAL_LIMIT = -2
NO_LIMIT = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class TorrentSpec:
    """What was asked for: the part of a torrent whose truth is the resume store.

    Attributes:
        info_hash: the stable id.
        infohash_v1: 40 hex digits, or empty.
        infohash_v2: 64 hex digits, or empty.
        name: display name.
        magnet_uri: a link that names the torrent; the source itself for magnets.
        save_path: absolute directory of the payload.
        moving_to: where a move that has begun is going; empty when none is under way. Written
            before the first file moves, so that a start after a crash knows both places.
        renames: files that were given another path: `(index, path)`, relative to `save_path`, in
            the order of their indexes.
        renaming: the renames that the engine has not answered yet: `(index, path before)`. Written
            with `renames` before the first file is renamed, so that a start after a crash knows
            both names.
        has_given_name: somebody gave it its name, which the metadata's does not replace.
        trackers: announce addresses once somebody changed them: `(url, tier)`; None for those that
            the source names.
        web_seeds: HTTP sources once somebody changed them; None for those that the source names.
        queue_rank: torrents of a lower rank get their turn first.
        added_at: when it was first added.
        completed_at: when it was first complete and on disk; 0 before.
        stop_reason: why it is meant to stand still; NONE means it is meant to run.
        selection: rules applied to the file list, kept for a magnet until its metadata arrives.
        priorities: one 0..7 per file once the metadata is known; empty means all at the default.
        download_limit: bytes per second, 0 unlimited.
        upload_limit: bytes per second, 0 unlimited.
        ratio_limit: -2 follow the global limit, -1 none, else the ratio.
        seeding_time_limit_s: -2 follow the global limit, -1 none, else seconds.
        inactive_seeding_time_limit_s: as above, seconds without upload.
    """

    info_hash: InfoHash
    infohash_v1: str = ""
    infohash_v2: str = ""
    name: str
    magnet_uri: str = ""
    save_path: str
    moving_to: str = ""
    renames: tuple[tuple[int, str], ...] = ()
    renaming: tuple[tuple[int, str], ...] = ()
    has_given_name: bool = False
    trackers: tuple[tuple[str, int], ...] | None = field(default=None, repr=False)
    web_seeds: tuple[str, ...] | None = field(default=None, repr=False)
    queue_rank: int = 0
    added_at: EpochSeconds
    completed_at: EpochSeconds = NEVER
    stop_reason: StopReason = StopReason.NONE
    selection: SelectionRules = field(default_factory=SelectionRules)
    priorities: tuple[int, ...] = ()
    sequential: bool = False
    first_last_pieces: bool = False
    super_seeding: bool = False
    force_start: bool = False
    auto_managed_path: bool = False
    category: str = ""
    tags: tuple[str, ...] = ()
    download_limit: BytesPerSecond = UNLIMITED
    upload_limit: BytesPerSecond = UNLIMITED
    ratio_limit: float = USE_GLOBAL_RATIO
    seeding_time_limit_s: int = USE_GLOBAL_LIMIT
    inactive_seeding_time_limit_s: int = USE_GLOBAL_LIMIT
    share_limit_action: ShareLimitAction = ShareLimitAction.DEFAULT


class TorrentStatus(NamedTuple):
    """What the engine reports of one torrent at one moment.

    A NamedTuple because thousands are built and compared per second: building one costs a third of
    a frozen dataclass of the same width, and comparing two is one tuple walk.

    Sizes are bytes, rates payload bytes per second, `*_s` seconds, `*_at` epoch seconds (0 never).
    """

    info_hash: InfoHash
    sequence: int = 0
    """Grows with every report of the process; an older report never replaces a newer one."""
    activity: Activity = Activity.CHECKING_RESUME
    is_paused: bool = False
    is_auto_managed: bool = False
    is_finished: bool = False
    in_upload_mode: bool = False
    is_moving: bool = False
    has_metadata: bool = False
    error: str = ""
    progress: float = 0.0
    """Wanted bytes done, 0..1; while checking, how far the check is."""
    size_bytes: int = 0
    """All bytes of the torrent; 0 without metadata."""
    wanted_bytes: int = 0
    wanted_done_bytes: int = 0
    done_bytes: int = 0
    pieces_have: int = 0
    downloaded_bytes: int = 0
    uploaded_bytes: int = 0
    downloaded_session_bytes: int = 0
    uploaded_session_bytes: int = 0
    wasted_bytes: int = 0
    download_rate: int = 0
    upload_rate: int = 0
    seeds: int = 0
    """Connected peers that have everything."""
    leechers: int = 0
    """Connected peers that do not."""
    swarm_seeds: int = 0
    swarm_leechers: int = 0
    connections_limit: int = -1
    availability: float = -1.0
    """Distributed copies among connected peers; -1 when not applicable."""
    queue_position: int = 0
    """1-based; 0 when not queued."""
    active_s: int = 0
    finished_s: int = 0
    seeding_s: int = 0
    last_upload_at: EpochSeconds = NEVER
    last_download_at: EpochSeconds = NEVER
    last_seen_complete_at: EpochSeconds = NEVER
    next_announce_s: int = 0
    current_tracker: str = ""
    tracker_count: int = 0
    needs_save: bool = False


def files_of(spec: TorrentSpec, metainfo: Metainfo) -> tuple[FileEntry, ...]:
    """A torrent's files under the paths that they have now, in the order of their indexes."""
    return renamed(metainfo.files, spec.renames)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a torrent cannot go on, in words an operator can act on."""

    code: FaultCode
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TorrentRecord:
    """Everything that is known of one torrent; the board's row, immutable.

    Attributes:
        spec: what was asked for.
        metainfo: what the metadata says; None for a magnet still fetching it.
        status: the engine's last report.
        state: derived, what people see.
        phase: derived.
        files_done: bytes done per file, in file order; empty before the first report.
        is_verified: every wanted file was seen on disk with its full size after a flush.
        fault: why it cannot go on, or None.
        tracker_message: what the last tracker answer or failure said.
    """

    spec: TorrentSpec
    metainfo: Metainfo | None
    status: TorrentStatus
    state: TorrentState = TorrentState.CHECKING
    phase: Phase = Phase.NONE
    files_done: tuple[int, ...] = ()
    is_verified: bool = False
    fault: Fault | None = None
    tracker_message: str = ""

    @property
    def info_hash(self) -> InfoHash:
        """The stable id."""
        return self.spec.info_hash

    def reporting(self, status: TorrentStatus) -> "TorrentRecord":
        """The same torrent with a newer report; one that is not finished is not verified.

        Spelled out because `dataclasses.replace` takes twice as long, and this is done for every
        report of every torrent.
        """
        return TorrentRecord(
            spec=self.spec,
            metainfo=self.metainfo,
            status=status,
            state=self.state,
            phase=self.phase,
            files_done=self.files_done,
            is_verified=self.is_verified and status.is_finished,
            fault=self.fault,
            tracker_message=self.tracker_message,
        )

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """The files under the paths that they have now; empty before metadata."""
        return () if self.metainfo is None else files_of(self.spec, self.metainfo)

    @property
    def content_path(self) -> str:
        """Where the payload is: its file, root folder or save path; empty before metadata."""
        if self.metainfo is None:
            return ""
        files = [entry for entry in self.files if not entry.is_pad]
        root = root_folder_of(files)
        if not root and len(files) == 1:
            root = files[0].path
        return f"{self.spec.save_path}/{root}" if root else self.spec.save_path

    @property
    def is_complete(self) -> bool:
        """Whether every wanted byte is known to be in its file."""
        return self.is_verified
