"""One simulated torrent: what it has, what it does, and what there is to tell of a change."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from revaer.adapters.memory.blobs import Blob, write_blob
from revaer.adapters.memory.simulated_files import SimulatedFiles
from revaer.domain import facts as f
from revaer.domain.details import PeerInfo, PieceState, TrackerInfo, TrackerState
from revaer.domain.ids import NEVER, UNLIMITED, BytesPerSecond, EpochSeconds
from revaer.domain.torrent import (
    LIBTORRENT_DEFAULT_PRIORITY,
    Activity,
    Fault,
    FaultCode,
    FileEntry,
    Metainfo,
    TorrentStatus,
)

_RUNNING_ON = frozenset({FaultCode.DISK_FULL, FaultCode.MISSING_FILES})
"""Faults that libtorrent does not stop a torrent for, nor show as its error."""


@dataclass(slots=True, eq=False, kw_only=True)
class SimulatedTorrent(SimulatedFiles):
    """A torrent whose bytes come from nowhere.

    Files fill from their beginnings.

    Attributes:
        keys: every id that finds it.
        metainfo_data: the torrent file's bytes once known.
        is_metainfo_due: they were not handed out with a save yet.
        is_held: a magnet: no byte moves before somebody has judged its file list and resumed it.
        check_left_s: how long the running check still takes; None when there is none.
        stops_when_checked: it only runs for the check.
        is_stopped: it was told to stand still, which a fault alone does not.
        trackers: by announce address, in tier order.
        was_finished: the last `DownloadFinished` still holds.
    """

    keys: set[str]
    name: str
    metainfo_data: bytes = b""
    is_metainfo_due: bool = True
    is_held: bool = False
    is_paused: bool = False
    is_auto_managed: bool = True
    is_stopped: bool = False
    is_sequential: bool = False
    has_first_last_pieces: bool = False
    download_limit: BytesPerSecond = UNLIMITED
    upload_limit: BytesPerSecond = UNLIMITED
    queue_position: int = 0
    check_left_s: float | None = None
    check_s: float = 0.0
    stops_when_checked: bool = False
    was_finished: bool = False
    fault: Fault | None = None
    trackers: dict[str, TrackerInfo] = field(default_factory=dict)
    web_seeds: list[str] = field(default_factory=list)
    export_failures: deque[str] = field(default_factory=deque)
    asked_peers: list[tuple[str, int]] = field(default_factory=list)
    peers: dict[str, PeerInfo] = field(default_factory=dict)
    """Connected ones by address."""
    download_rate: int = 0
    upload_rate: int = 0
    downloaded_bytes: int = 0
    uploaded_bytes: int = 0
    downloaded_session_bytes: int = 0
    uploaded_session_bytes: int = 0
    active_s: float = 0.0
    finished_s: float = 0.0
    seeding_s: float = 0.0
    last_download_at: EpochSeconds = NEVER
    last_upload_at: EpochSeconds = NEVER

    @property
    def wanted(self) -> list[FileEntry]:
        """The files that are downloaded; padding never is."""
        return [e for e in self.files if not e.is_pad and self.priorities[e.index] > 0]

    @property
    def wanted_bytes(self) -> int:
        """How much is wanted."""
        return sum(entry.size_bytes for entry in self.wanted)

    @property
    def wanted_done_bytes(self) -> int:
        """How much of it is there."""
        return sum(self.done[entry.index] for entry in self.wanted)

    @property
    def activity(self) -> Activity:
        """What it is doing, or would be doing if it were not paused."""
        if self.metainfo is None:
            return Activity.FETCHING_METADATA
        if self.check_left_s is not None:
            return Activity.CHECKING
        if all(e.is_pad or self.done[e.index] >= e.size_bytes for e in self.files):
            return Activity.SEEDING
        if self.wanted_done_bytes >= self.wanted_bytes:
            return Activity.FINISHED
        return Activity.DOWNLOADING

    @property
    def is_finished(self) -> bool:
        """Whether every wanted byte is there, and known to be."""
        return self.activity in {Activity.FINISHED, Activity.SEEDING}

    @property
    def error(self) -> str:
        """The error that the status shows."""
        if self.fault is None or self.fault.code in _RUNNING_ON:
            return ""
        return self.fault.message

    @property
    def in_upload_mode(self) -> bool:
        """Whether it does not download: held, or for want of disk space."""
        is_full = self.fault is not None and self.fault.code is FaultCode.DISK_FULL
        return self.is_held or is_full

    @property
    def is_moving_bytes(self) -> bool:
        """Whether bytes could arrive now."""
        return (
            self.activity is Activity.DOWNLOADING
            and not self.is_paused
            and not self.error
            and not self.in_upload_mode
        )

    def learn(self, metainfo: Metainfo, data: bytes, priorities: Sequence[int]) -> None:
        """Take the metadata in."""
        self.metainfo = metainfo
        self.metainfo_data = data
        self.name = metainfo.name
        default = LIBTORRENT_DEFAULT_PRIORITY
        given = [*priorities][: len(metainfo.files)]
        self.priorities = given + [default] * (len(metainfo.files) - len(given))
        self.done = [0] * len(metainfo.files)
        self.written = [0] * len(metainfo.files)
        self.touch()

    def trust(self, blob: Blob, *, is_absent: bool = False) -> str:
        """Take a blob's word for what is there; says why not, or nothing.

        Args:
            blob: the resume data.
            is_absent: the disk is away, so it cannot be asked.
        """
        if self.metainfo is not None:
            if len(blob.done) != len(self.files):
                return "" if not blob.done else "resume data is about another list of files"
            if self.payload is not None and not is_absent:
                for entry, size in zip(self.files, blob.done, strict=True):
                    found = self.payload.size_bytes(self.save_path, self.path_of(entry))
                    if size and (found is None or found < size):
                        return f"{self.path_of(entry)}: mismatching file size"
            self.done = [min(s, e.size_bytes) for s, e in zip(blob.done, self.files, strict=True)]
            self.written = list(self.done)
        self.count_on(blob)
        return ""

    def count_on(self, blob: Blob) -> None:
        """Continue the counters of a life before."""
        self.downloaded_bytes = blob.downloaded_bytes
        self.uploaded_bytes = blob.uploaded_bytes
        self.active_s = blob.active_s
        self.finished_s = blob.finished_s
        self.seeding_s = blob.seeding_s

    def begin_check(self) -> list[f.Fact]:
        """Look at every file; ends at once when there is nothing to read or checks take no time."""
        if self.metainfo is None:
            return []
        self.flush()
        self.was_finished = False
        self.check_left_s = self.check_s if any(self.on_disk()) else 0.0
        self.touch()
        return self.end_check() if self.check_left_s <= 0 else []

    def end_check(self) -> list[f.Fact]:
        """Believe what the files showed."""
        self.done = self.on_disk()
        self.written = list(self.done)
        self.check_left_s = None
        if self.stops_when_checked:
            self.stops_when_checked = False
            self.is_paused = True
            self.is_auto_managed = False
        self.touch()
        return [f.TorrentChecked(self.info_hash), *self.say_finished()]

    def say_finished(self) -> list[f.Fact]:
        """Say that the last wanted piece is there, once each time that this becomes so."""
        is_finished = self.is_finished
        news: list[f.Fact] = []
        if is_finished and not self.was_finished:
            self.queue_position = 0
            self.download_rate = 0
            news.append(f.DownloadFinished(self.info_hash))
        self.was_finished = is_finished
        return news

    def receive(self, upto_bytes: int, now: EpochSeconds) -> list[f.Fact]:
        """Have this many of the wanted bytes, filling the files in order; never fewer than before.

        Returns:
            The pieces that are complete now, and the end of the download.
        """
        before = {piece for span in self.pieces_had() for piece in span}
        left = upto_bytes
        gained = 0
        for entry in self.wanted:
            has = max(self.done[entry.index], min(entry.size_bytes, left))
            gained += has - self.done[entry.index]
            self.done[entry.index] = has
            left = max(left - entry.size_bytes, 0)
        if gained:
            self.downloaded_bytes += gained
            self.downloaded_session_bytes += gained
            self.last_download_at = now
            self.touch()
        after = [piece for span in self.pieces_had() for piece in span]
        news: list[f.Fact] = [
            f.PieceFinished(self.info_hash, piece) for piece in after if piece not in before
        ]
        return news + self.say_finished()

    def send(self, size_bytes: int, now: EpochSeconds) -> None:
        """Upload so many bytes."""
        self.uploaded_bytes += size_bytes
        self.uploaded_session_bytes += size_bytes
        self.last_upload_at = now
        self.touch()

    def announce_to(self, trackers: Sequence[tuple[str, int]]) -> None:
        """Replace the announce addresses, given in tier order; those that stay keep their state."""
        known = self.trackers
        self.trackers = {
            url: replace(known[url], tier=tier) if url in known else TrackerInfo(url=url, tier=tier)
            for url, tier in trackers
        }

    def hear_tracker(self, url: str, state: TrackerState, message: str = "") -> None:
        """Take a tracker's answer in; of one that is not announced to, nothing is kept."""
        tracker = self.trackers.get(url)
        if tracker is not None:
            fails = tracker.fails + 1 if state is TrackerState.FAILING else 0
            self.trackers[url] = replace(tracker, state=state, message=message, fails=fails)

    def blob(self) -> bytes:
        """Everything worth keeping, as resume data."""
        return write_blob(
            Blob(
                keys=frozenset(self.keys),
                save_path=self.save_path,
                done=tuple(self.done),
                metainfo_data=self.metainfo_data,
                trackers=tuple((tracker.url, tracker.tier) for tracker in self.trackers.values()),
                web_seeds=tuple(self.web_seeds),
                downloaded_bytes=self.downloaded_bytes,
                uploaded_bytes=self.uploaded_bytes,
                active_s=self.active_s,
                finished_s=self.finished_s,
                seeding_s=self.seeding_s,
            )
        )

    def age(self, seconds: float) -> list[f.Fact]:
        """Let time pass for a torrent that runs."""
        if self.is_paused or self.error:
            return []
        self.active_s += seconds
        if self.is_finished:
            self.finished_s += seconds
        if self.activity is Activity.SEEDING:
            self.seeding_s += seconds
        self.has_changed = True
        if self.check_left_s is None:
            return []
        self.check_left_s -= seconds
        return self.end_check() if self.check_left_s <= 0 else []

    def pieces_had(self) -> Iterable[range]:
        """Runs of complete pieces."""
        if self.metainfo is None:
            return
        length = self.metainfo.piece_length
        total = sum(entry.size_bytes for entry in self.files)
        begin = end = offset = 0
        for entry in self.files:
            has = entry.size_bytes if entry.is_pad else self.done[entry.index]
            if offset != end:
                yield _whole_pieces(begin, end, total, length)
                begin = offset
            end = offset + has
            offset += entry.size_bytes
        yield _whole_pieces(begin, end, total, length)

    def piece_states(self) -> tuple[PieceState, ...]:
        """One state per piece; one with some of its bytes is being downloaded."""
        if self.metainfo is None:
            return ()
        states = [PieceState.MISSING] * self.metainfo.piece_count
        for entry in self.files:
            for piece in range(entry.first_piece, entry.last_piece + 1):
                if not entry.is_pad and self._has_bytes_of(entry, piece):
                    states[piece] = PieceState.DOWNLOADING
        for span in self.pieces_had():
            for piece in span:
                states[piece] = PieceState.HAVE
        return tuple(states)

    def report(self, sequence: int) -> TorrentStatus:
        """Everything that the status shows."""
        wanted, done = self.wanted_bytes, self.wanted_done_bytes
        activity = self.activity
        progress = done / wanted if wanted else float(self.is_finished)
        if self.check_left_s is not None:
            progress = 1.0 - self.check_left_s / self.check_s if self.check_s else 0.0
        seeds = sum(peer.progress >= 1.0 for peer in self.peers.values())
        return TorrentStatus(
            info_hash=self.info_hash,
            sequence=sequence,
            activity=activity,
            is_paused=self.is_paused,
            is_auto_managed=self.is_auto_managed,
            is_finished=self.is_finished,
            in_upload_mode=self.in_upload_mode,
            is_moving=bool(self.moving_to),
            has_metadata=self.metainfo is not None,
            error=self.error,
            progress=progress,
            size_bytes=0 if self.metainfo is None else self.metainfo.total_size_bytes,
            wanted_bytes=wanted,
            wanted_done_bytes=done,
            done_bytes=sum(self.done),
            pieces_have=sum(len(span) for span in self.pieces_had()),
            downloaded_bytes=self.downloaded_bytes,
            uploaded_bytes=self.uploaded_bytes,
            downloaded_session_bytes=self.downloaded_session_bytes,
            uploaded_session_bytes=self.uploaded_session_bytes,
            download_rate=self.download_rate,
            upload_rate=self.upload_rate,
            seeds=seeds,
            leechers=len(self.peers) - seeds,
            swarm_seeds=seeds,
            swarm_leechers=len(self.peers) - seeds,
            queue_position=self.queue_position,
            active_s=int(self.active_s),
            finished_s=int(self.finished_s),
            seeding_s=int(self.seeding_s),
            last_upload_at=self.last_upload_at,
            last_download_at=self.last_download_at,
            current_tracker=next(iter(self.trackers), ""),
            tracker_count=len(self.trackers),
            needs_save=self.needs_save,
        )

    def _has_bytes_of(self, entry: FileEntry, piece: int) -> bool:
        """Whether some of a file's bytes within a piece are here; it fills from its beginning."""
        if piece == entry.first_piece:
            return self.done[entry.index] > 0
        length = 0 if self.metainfo is None else self.metainfo.piece_length
        begin = sum(each.size_bytes for each in self.files[: entry.index])
        return begin + self.done[entry.index] > piece * length


def _whole_pieces(begin: int, end: int, total: int, length: int) -> range:
    """The pieces that lie within these bytes as a whole."""
    first = -(-begin // length)
    last = -(-end // length) if end >= total else end // length
    return range(first, max(first, last))
