"""A torrent engine without a network: everything happens when a control says so."""

import ipaddress
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from revaer.adapters.memory import metainfo as reader
from revaer.adapters.memory.blobs import Blob, BlobError, read_blob
from revaer.adapters.memory.payload import MemoryPayload
from revaer.adapters.memory.simulated import SimulatedTorrent
from revaer.adapters.memory.wake import WakePipe
from revaer.domain import facts as f
from revaer.domain.errors import (
    EngineDownError,
    InvalidInputError,
    InvalidTorrentError,
    PathRefusedError,
    SelectionError,
    TorrentExistsError,
    TorrentNotFoundError,
)
from revaer.domain.ids import UNLIMITED, BytesPerSecond, EpochSeconds, InfoHash
from revaer.domain.torrent import (
    Fault,
    MagnetSource,
    Metainfo,
    MetainfoSource,
    StopReason,
    TorrentDescription,
    TorrentSource,
    TorrentSpec,
    TorrentStatus,
)
from revaer.ports.engine import EngineSettings, EngineTorrent

HIGHEST_PRIORITY: Final = 7
MAX_RATE: Final = 2**31 - 1
MAX_PORT: Final = 65_535
FIRST_FREE_PORT: Final = 49_152
REMEMBERED_CALLS: Final = 10_000

_SURVIVORS: Final = (f.ResumeDataReady, f.ResumeDataFailed, f.TorrentGone)
"""What libtorrent still reports when its alert queue overflows."""


class MemoryEngine:
    """`TorrentEngine` as a simulation.

    Time stands still until `advance`, and no byte moves but through `progress`, `finish`, `upload`,
    or `advance` with an `auto_rate`. Every call and control is thread-safe.
    """

    def __init__(
        self,
        settings: EngineSettings,
        *,
        on_disk: MemoryPayload | None = None,
        auto_rate: BytesPerSecond = UNLIMITED,
        check_s: float = 0.0,
        starts_at: float = 1_800_000_000.0,
    ) -> None:
        """Open a session and start to listen.

        Args:
            settings: limits, queueing and listening are honoured, the rest is of no consequence.
            on_disk: where flushed bytes become file sizes, and what checks look at; never a real
                disk. Without one, what was written is still there at the next check.
            auto_rate: bytes per second that each downloading torrent gets in `advance`; 0 none.
            check_s: how long a check of files that are there takes.
            starts_at: the epoch seconds of the beginning.

        Raises:
            InvalidInputError: a limit out of range, or an unreadable listening address.
        """
        self._lock = threading.RLock()
        self._settings = settings
        self._limits = (
            _rate("download_limit", settings.download_limit),
            _rate("upload_limit", settings.upload_limit),
        )
        self._on_disk = on_disk
        self._check_s = check_s
        self._now_s = starts_at
        self._by_key: dict[str, SimulatedTorrent] = {}
        self._queue: list[SimulatedTorrent] = []
        self._facts: list[f.Fact] = []
        self._failures: dict[str, deque[Exception]] = {}
        self._lost: list[type[f.Fact]] = []
        self._undeletable: dict[InfoHash, str] = {}
        self._interest: frozenset[str] = frozenset()
        self._is_closed = False
        self._is_quiet = False
        self._wake = WakePipe()
        self.auto_rate = auto_rate
        self.calls: deque[tuple[str, InfoHash | None]] = deque(maxlen=REMEMBERED_CALLS)
        """Every call of the port that was carried out, by name, with the torrent it was about."""
        self._ports = tuple(self._listen(settings.listen))

    # --- the port

    def describe(self, source: TorrentSource) -> TorrentDescription:
        """Say what a source is; needs no session."""
        with self._lock:
            self._fail_if_told("describe")
        return reader.describe(source)

    def add(self, torrent: EngineTorrent) -> Metainfo | None:
        """Run a torrent; a blob that cannot be used costs a full check, not the call."""
        spec = torrent.spec
        with self._call("add", spec.info_hash):
            _check_save_path(spec.save_path)
            for priority in spec.priorities:
                _check_priority(priority)
            _check_peers(torrent.peers)
            blob, rejected = _blob_of(torrent)
            described, data = _source_of(torrent, blob)
            keys = reader.keys_of(described.infohash_v1, described.infohash_v2)
            if spec.info_hash not in keys:
                raise InvalidTorrentError(f"the source is another torrent than {spec.info_hash}")
            keys |= reader.keys_of(spec.infohash_v1, spec.infohash_v2)
            for key in keys:
                if key in self._by_key:
                    raise TorrentExistsError(
                        f"{key} is here already, as {self._by_key[key].info_hash}"
                    )
            one = self._simulated(spec, described, set(keys))
            one.asked_peers += torrent.peers
            one.is_metainfo_due = torrent.metainfo_data is None
            self._by_key.update(dict.fromkeys(keys, one))
            self._begin(one, described.metainfo, data, torrent, blob, rejected)
            return one.metainfo

    def knows(self, info_hash: InfoHash) -> bool:
        """Whether the engine runs this torrent."""
        with self._call("knows"):
            return info_hash in self._by_key

    def torrents(self) -> tuple[InfoHash, ...]:
        """The ids of all torrents."""
        with self._call("torrents"):
            return tuple(one.info_hash for one in self._all())

    def status(self, info_hash: InfoHash) -> TorrentStatus:
        """One fresh report."""
        with self._torrent("status", info_hash) as one:
            return one.report(time.monotonic_ns())

    def metainfo(self, info_hash: InfoHash) -> Metainfo | None:
        """The torrent's metadata, or None while it is being fetched."""
        with self._torrent("metainfo", info_hash) as one:
            return one.metainfo

    def pause(self, info_hash: InfoHash) -> None:
        """Stop and stay stopped."""
        with self._torrent("pause", info_hash) as one:
            one.is_auto_managed = False
            one.is_paused = True
            one.stops_when_checked = False
            _stand_still(one)

    def resume(self, info_hash: InfoHash, *, forced: bool) -> None:
        """Run, under the queue or past it; errors are cleared first."""
        with self._torrent("resume", info_hash) as one:
            one.is_auto_managed = not forced
            one.is_paused = False
            one.stops_when_checked = False
            one.touch()
            self._absolve(one)

    def recheck(self, info_hash: InfoHash) -> None:
        """Look at every file again; a stopped torrent runs for the check, then stops again."""
        with self._torrent("recheck", info_hash) as one:
            if one.is_paused and not one.is_auto_managed:
                one.stops_when_checked = one.metainfo is not None
                one.is_paused = not one.stops_when_checked
            self._absolve(one)
            self._tell(*one.begin_check())

    def remove(self, info_hash: InfoHash, *, with_data: bool) -> None:
        """Let go of a torrent; its ids are free again at once."""
        with self._torrent("remove", info_hash) as one:
            for key in one.keys:
                self._by_key.pop(key, None)
            reason = self._undeletable.pop(one.info_hash, "") if with_data else ""
            if with_data and not reason:
                one.delete_payload()
            else:
                one.flush()
            self._tell(
                f.TorrentGone(one.info_hash, data_deleted=with_data and not reason, reason=reason)
            )

    def prioritize(self, info_hash: InfoHash, priorities: Sequence[int]) -> None:
        """Set one priority 0..7 per file."""
        with self._torrent("prioritize", info_hash) as one:
            if one.metainfo is None:
                raise SelectionError(f"the files of {info_hash} are not known yet")
            if len(priorities) != len(one.files):
                raise SelectionError(
                    f"{info_hash} has {len(one.files)} files, {len(priorities)} priorities given"
                )
            try:
                for priority in priorities:
                    _check_priority(priority)
            except InvalidInputError as error:
                raise SelectionError(str(error)) from error
            one.priorities = list(priorities)
            one.touch()
            self._tell(*one.say_finished())

    def set_sequential(self, info_hash: InfoHash, *, sequential: bool) -> None:
        """Remember the order; files fill in their own order either way."""
        with self._torrent("set_sequential", info_hash) as one:
            one.is_sequential = sequential
            one.touch()

    def set_limits(
        self, info_hash: InfoHash, *, download: BytesPerSecond, upload: BytesPerSecond
    ) -> None:
        """Limit one torrent; 0 means unlimited."""
        with self._torrent("set_limits", info_hash) as one:
            down, up = _rate("download_limit", download), _rate("upload_limit", upload)
            one.download_limit, one.upload_limit = down, up
            one.touch()

    def connect(self, info_hash: InfoHash, peers: Sequence[tuple[str, int]]) -> None:
        """Note which peers were asked for; they connect through `peer_joins`."""
        with self._torrent("connect", info_hash) as one:
            _check_peers(peers)
            one.asked_peers += peers

    def file_progress(self, info_hash: InfoHash) -> tuple[int, ...]:
        """Bytes done per file; empty before the metadata is known."""
        with self._torrent("file_progress", info_hash) as one:
            return tuple(one.done)

    def save(self, info_hash: InfoHash) -> None:
        """Make resume data; the torrent file's bytes come with the first that can have them."""
        with self._torrent("save", info_hash) as one:
            one.flush()
            data = one.metainfo_data if one.is_metainfo_due else b""
            one.is_metainfo_due = one.is_metainfo_due and not data
            one.needs_save = False
            self._tell(f.ResumeDataReady(one.info_hash, one.blob(), data))

    def flush(self, info_hash: InfoHash) -> None:
        """Hand all buffered blocks to the file system."""
        with self._torrent("flush", info_hash) as one:
            one.flush()
            self._tell(f.CacheFlushed(one.info_hash))

    def set_global_limits(self, *, download: BytesPerSecond, upload: BytesPerSecond) -> None:
        """Limit the session; 0 means unlimited."""
        with self._call("set_global_limits"):
            self._limits = (_rate("download_limit", download), _rate("upload_limit", upload))

    def global_limits(self) -> tuple[BytesPerSecond, BytesPerSecond]:
        """The session's limits: download, upload."""
        with self._call("global_limits"):
            return self._limits

    def set_interest(self, topics: frozenset[str]) -> None:
        """Report pieces and peers only while somebody listens."""
        with self._call("set_interest"):
            self._interest = topics

    def request_updates(self) -> None:
        """Report every torrent that changed since the last request."""
        with self._call("request_updates"):
            self._report(one for one in self._all() if one.has_changed)

    def request_all(self) -> None:
        """Report every torrent."""
        with self._call("request_all"):
            self._report(self._all())

    def wake_fd(self) -> int:
        """A descriptor that is readable while facts wait; valid until `close`."""
        with self._call("wake_fd"):
            return self._wake.read_fd

    def drain(self) -> Sequence[f.Fact]:
        """Take what happened since the last call, in order."""
        with self._call("drain"):
            self._wake.clear()
            facts, self._facts = self._facts, []
            return facts

    def listen_ports(self) -> tuple[int, ...]:
        """Ports on which peers are accepted; empty when deaf."""
        with self._call("listen_ports"):
            return self._ports

    def quiesce(self) -> None:
        """Stop all transfers; facts keep coming."""
        with self._call("quiesce"):
            self._is_quiet = True
            for one in self._all():
                _stand_still(one)

    def close(self) -> None:
        """End for good, with everything in the caches written; again does nothing."""
        with self._lock:
            if self._is_closed:
                return
            for one in self._all():
                one.flush()
            self._is_closed = True
            self._wake.close()

    # --- controls: time and bytes

    def advance(self, seconds: float) -> None:
        """Let time pass: checks go on, counters grow, and bytes come where `auto_rate` is set."""
        with self._change():
            self._now_s += seconds
            for one in self._all():
                if not self._is_quiet:
                    self._tell(*one.age(seconds))
            self._download(seconds)

    def deliver_metadata(self, info_hash: InfoHash, metainfo_data: bytes) -> None:
        """Let a magnet's metadata arrive.

        Raises:
            InvalidTorrentError: it is another torrent's: no peer could pass it off.
        """
        with self._change():
            one = self._get(info_hash)
            metainfo = reader.read_metainfo(metainfo_data)
            keys = reader.keys_of(metainfo.infohash_v1, metainfo.infohash_v2)
            if not keys & one.keys:
                raise InvalidTorrentError(f"this is not the metadata of {info_hash}")
            if one.metainfo is not None:
                return
            for key in keys:
                if self._by_key.setdefault(key, one) is one:
                    one.keys.add(key)
            # What a peer sends has no comment, creator or time: those are not metadata.
            one.learn(
                replace(metainfo, comment="", created_by="", created_at=EpochSeconds(0)),
                metainfo_data,
                one.priorities,
            )
            self._tell(f.MetadataReceived(one.info_hash, one.metainfo or metainfo))
            self._tell(*one.begin_check())

    def progress(self, info_hash: InfoHash, fraction: float) -> None:
        """Have this part (0..1) of the wanted bytes; what is there already stays there."""
        with self._change():
            one = self._get(info_hash)
            if not 0.0 <= fraction <= 1.0:
                raise ValueError(f"a fraction lies between 0 and 1: {fraction}")
            if one.metainfo is None:
                raise ValueError(f"{info_hash} has no metadata yet: deliver it first")
            self._hear(one.receive(int(one.wanted_bytes * fraction), self._now()))

    def finish(self, info_hash: InfoHash) -> None:
        """Have every wanted byte, still in the cache."""
        self.progress(info_hash, 1.0)

    def upload(self, info_hash: InfoHash, size_bytes: int) -> None:
        """Send so many payload bytes to peers."""
        with self._change():
            self._get(info_hash).send(size_bytes, self._now())

    def set_rates(self, info_hash: InfoHash, *, download: int = 0, upload: int = 0) -> None:
        """Show these rates in the next reports, bytes per second; moves nothing."""
        with self._change():
            one = self._get(info_hash)
            one.download_rate, one.upload_rate = download, upload
            one.has_changed = True

    # --- controls: trouble

    def fail(self, info_hash: InfoHash, fault: Fault) -> None:
        """Run into trouble, with libtorrent's manners: only some faults stop a torrent."""
        with self._change():
            one = self._get(info_hash)
            if one.fault is not None and one.fault.code is fault.code:
                return
            one.fault = fault
            if one.error:
                one.is_paused = True
                _stand_still(one)
            one.touch()
            self._tell(f.FaultRaised(one.info_hash, fault))

    def heal(self, info_hash: InfoHash) -> None:
        """Let the trouble pass by itself."""
        with self._change():
            self._absolve(self._get(info_hash))

    def fail_next(self, call_name: str, error: Exception) -> None:
        """Make the next call of this name raise; several wait in line."""
        if not callable(getattr(self, call_name, None)):
            raise ValueError(f"the engine has no call {call_name!r}")
        with self._lock:
            self._failures.setdefault(call_name, deque()).append(error)

    def fail_deletion(self, info_hash: InfoHash, reason: str) -> None:
        """Keep the files when this torrent is removed with its data, and say why."""
        with self._lock:
            self._undeletable[self._get(info_hash).info_hash] = reason

    def fail_session(self, reason: str) -> None:
        """Report that the session as a whole is unusable."""
        with self._change():
            self._tell(f.SessionFailed(reason))

    def lose_next(self, kind: type[f.Fact]) -> None:
        """Swallow the next fact of this kind, as if it had never been reported."""
        with self._lock:
            self._lost.append(kind)

    def drop_alerts(self) -> None:
        """Overflow: waiting facts are lost but for a few kinds, and that is reported."""
        with self._change():
            self._facts = [fact for fact in self._facts if isinstance(fact, _SURVIVORS)]
            self._tell(f.AlertsDropped())

    def go_deaf(self, reason: str = "the interface is gone", *, quietly: bool = False) -> None:
        """Stop listening; quietly, as libtorrent does when a bound device vanishes."""
        with self._change():
            self._ports = ()
            if not quietly:
                for interface in self._settings.listen:
                    self._tell(f.ListenFailed(interface, reason))

    # --- controls: the swarm

    def peer_joins(self, info_hash: InfoHash, address: str, *, is_seed: bool = False) -> None:
        """Connect a peer."""
        with self._change():
            one = self._get(info_hash)
            one.peers[address] = is_seed
            one.has_changed = True
            self._hear([f.PeerJoined(one.info_hash, address)])

    def peer_leaves(self, info_hash: InfoHash, address: str, reason: str = "") -> None:
        """Disconnect a peer."""
        with self._change():
            one = self._get(info_hash)
            if one.peers.pop(address, None) is not None:
                one.has_changed = True
                self._hear([f.PeerLeft(one.info_hash, address, reason)])

    def piece_fails(self, info_hash: InfoHash, piece_index: int) -> None:
        """Get a piece that does not pass its check."""
        with self._change():
            self._hear([f.PieceFailed(self._get(info_hash).info_hash, piece_index)])

    def tracker_answers(self, info_hash: InfoHash, url: str, peers: int) -> None:
        """Let a tracker accept an announce."""
        with self._change():
            self._tell(f.TrackerAnswered(self._get(info_hash).info_hash, url, peers))

    def tracker_refuses(self, info_hash: InfoHash, url: str, message: str) -> None:
        """Let a tracker refuse an announce."""
        with self._change():
            self._tell(f.TrackerRefused(self._get(info_hash).info_hash, url, message))

    # --- what a test may look at

    def asked_peers(self, info_hash: InfoHash) -> tuple[tuple[str, int], ...]:
        """Every peer that was to be tried, in order."""
        with self._lock:
            return tuple(self._get(info_hash).asked_peers)

    def priorities(self, info_hash: InfoHash) -> tuple[int, ...]:
        """The file priorities in force; empty before the metadata is known."""
        with self._lock:
            one = self._get(info_hash)
            return () if one.metainfo is None else tuple(one.priorities)

    def limits(self, info_hash: InfoHash) -> tuple[BytesPerSecond, BytesPerSecond]:
        """One torrent's limits: download, upload."""
        with self._lock:
            one = self._get(info_hash)
            return one.download_limit, one.upload_limit

    def is_sequential(self, info_hash: InfoHash) -> bool:
        """Whether pieces are fetched in order."""
        with self._lock:
            return self._get(info_hash).is_sequential

    @property
    def interest(self) -> frozenset[str]:
        """What somebody listens to."""
        with self._lock:
            return self._interest

    # --- inside

    @contextmanager
    def _call(self, name: str, info_hash: InfoHash | None = None) -> Iterator[None]:
        """One call of the port: fails where it was told to, and settles the queue at its end."""
        with self._lock:
            if self._is_closed:
                raise EngineDownError("the engine is closed; restart Revaer's engine")
            self._fail_if_told(name)
            yield
            self.calls.append((name, info_hash))
            self._run_queue()

    @contextmanager
    def _torrent(self, name: str, info_hash: InfoHash) -> Iterator[SimulatedTorrent]:
        with self._call(name, info_hash):
            yield self._get(info_hash)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """One control."""
        with self._lock:
            yield
            self._run_queue()

    def _fail_if_told(self, name: str) -> None:
        waiting = self._failures.get(name)
        if waiting:
            raise waiting.popleft()

    def _get(self, info_hash: InfoHash) -> SimulatedTorrent:
        one = self._by_key.get(info_hash)
        if one is None:
            raise TorrentNotFoundError(f"no torrent {info_hash}")
        return one

    def _all(self) -> list[SimulatedTorrent]:
        return [one for key, one in self._by_key.items() if key == one.info_hash]

    def _tell(self, *news: f.Fact) -> None:
        for fact in news:
            lost = next((kind for kind in self._lost if isinstance(fact, kind)), None)
            if lost is not None:
                self._lost.remove(lost)
                continue
            self._facts.append(fact)
            if not self._is_closed:
                self._wake.wake()

    def _hear(self, news: Sequence[f.Fact]) -> None:
        """Tell, but of pieces and peers only while somebody listens."""
        for fact in news:
            match fact:
                case f.PieceFinished() if "piece" not in self._interest:
                    continue
                case f.PeerJoined() | f.PeerLeft() if "peer" not in self._interest:
                    continue
                case _:
                    self._tell(fact)

    def _report(self, some: Iterable[SimulatedTorrent]) -> None:
        for one in some:
            one.has_changed = False
            self._tell(f.StatusReported(one.info_hash, one.report(time.monotonic_ns())))

    def _now(self) -> EpochSeconds:
        return EpochSeconds(int(self._now_s))

    def _simulated(
        self, spec: TorrentSpec, described: TorrentDescription, keys: set[str]
    ) -> SimulatedTorrent:
        is_stopped = spec.stop_reason is not StopReason.NONE
        return SimulatedTorrent(
            info_hash=spec.info_hash,
            keys=keys,
            save_path=spec.save_path,
            name=spec.name or described.name,
            payload=self._on_disk,
            priorities=list(spec.priorities),
            wants_nothing_yet=(
                described.metainfo is None and not spec.priorities and not spec.selection.is_empty
            ),
            is_paused=is_stopped,
            is_auto_managed=not is_stopped and not spec.force_start,
            is_sequential=spec.sequential,
            download_limit=_rate("download_limit", spec.download_limit),
            upload_limit=_rate("upload_limit", spec.upload_limit),
            check_s=self._check_s,
            trackers=described.trackers,
        )

    def _begin(
        self,
        one: SimulatedTorrent,
        metainfo: Metainfo | None,
        data: bytes,
        torrent: EngineTorrent,
        blob: Blob | None,
        rejected: str,
    ) -> None:
        """Start with what a blob promises, or with a check."""
        if metainfo is not None:
            one.learn(metainfo, data, one.priorities)
        is_trusted = blob is not None and not torrent.recheck
        if blob is not None:
            if torrent.recheck or blob.save_path != one.save_path:
                one.count_on(blob)
                is_trusted = False
            else:
                rejected = one.trust(blob)
                is_trusted = not rejected
        if rejected:
            self._tell(f.ResumeRejected(one.info_hash, rejected))
        if one.metainfo is None:
            return
        if is_trusted:
            self._tell(f.TorrentChecked(one.info_hash), *one.say_finished())
            return
        if one.is_paused and torrent.recheck:
            one.stops_when_checked, one.is_paused = True, False
        self._tell(*one.begin_check())

    def _absolve(self, one: SimulatedTorrent) -> None:
        if one.fault is not None:
            one.fault = None
            one.touch()
            self._tell(f.FaultCleared(one.info_hash))

    def _download(self, seconds: float) -> None:
        """Share the rates out among those that can download."""
        if not self.auto_rate or self._is_quiet or seconds <= 0:
            return
        running = [one for one in self._all() if one.is_moving_bytes]
        rates = [min(self.auto_rate, one.download_limit or self.auto_rate) for one in running]
        scale = min(1.0, self._limits[0] / sum(rates)) if rates and self._limits[0] else 1.0
        for one, rate in zip(running, rates, strict=True):
            before = one.wanted_done_bytes
            upto = before + int(rate * scale * seconds)
            one.download_rate = int(rate * scale)
            self._hear(one.receive(min(upto, one.wanted_bytes), self._now()))

    def _run_queue(self) -> None:
        """Pause and run those that the queue decides about, in the order of their positions."""
        everybody = self._all()
        self._queue = [one for one in self._queue if one in everybody and not one.was_finished] + [
            one for one in everybody if not one.was_finished and one not in self._queue
        ]
        for position, one in enumerate(self._queue, start=1):
            one.queue_position = position
        room = {
            "download": self._settings.active_downloads,
            "seed": self._settings.active_seeds,
            "any": self._settings.active_limit,
        }
        for one in [*self._queue, *(one for one in everybody if one.was_finished)]:
            if not one.is_auto_managed or one.error:
                continue
            kind = "seed" if one.is_finished else "download"
            may_run = room[kind] != 0 and room["any"] != 0
            if may_run:
                room[kind] -= room[kind] > 0
                room["any"] -= room["any"] > 0
            if one.is_paused == may_run:
                one.is_paused = not may_run
                one.has_changed = True
                if not may_run:
                    _stand_still(one)

    def _listen(self, interfaces: Sequence[str]) -> Iterator[int]:
        for index, interface in enumerate(interfaces):
            host, _, text = interface.rpartition(":")
            if not host or not text.isdigit() or int(text) > MAX_PORT:
                raise InvalidInputError(
                    f"a listening address is HOST:PORT or DEVICE:PORT: {interface!r}"
                )
            port = int(text) or FIRST_FREE_PORT + index
            self._tell(f.ListenSucceeded(host.strip("[]"), port))
            yield port


def _stand_still(one: SimulatedTorrent) -> None:
    one.download_rate = one.upload_rate = 0
    one.touch()


def _blob_of(torrent: EngineTorrent) -> tuple[Blob | None, str]:
    """The blob where it can be used, else why not."""
    if torrent.blob is None:
        return None, ""
    try:
        blob = read_blob(torrent.blob)
    except BlobError as error:
        return None, str(error)
    spec = torrent.spec
    own = reader.keys_of(spec.infohash_v1, spec.infohash_v2) | {str(spec.info_hash)}
    if not own & blob.keys:
        return None, "resume data belongs to another torrent"
    return blob, ""


def _source_of(torrent: EngineTorrent, blob: Blob | None) -> tuple[TorrentDescription, bytes]:
    """The best source there is: the torrent file, the one in the blob, or the magnet link."""
    data = torrent.metainfo_data or (b"" if blob is None else blob.metainfo_data)
    if data:
        return reader.describe(MetainfoSource(data)), data
    spec = torrent.spec
    if spec.magnet_uri:
        return reader.describe(MagnetSource(spec.magnet_uri)), b""
    topics = [f"xt=urn:btih:{spec.infohash_v1}"] if spec.infohash_v1 else []
    topics += [f"xt=urn:btmh:1220{spec.infohash_v2}"] if spec.infohash_v2 else []
    named = "&".join(topics) or f"xt=urn:btih:{spec.info_hash}"
    return reader.describe(MagnetSource(f"magnet:?{named}")), b""


def _check_save_path(path: str) -> None:
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise PathRefusedError(f"the save path must be absolute, without '..': {path!r}")
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise PathRefusedError(f"the save path must be UTF-8: {path!r}") from error


def _check_priority(priority: int) -> None:
    if not 0 <= priority <= HIGHEST_PRIORITY:
        raise InvalidInputError(f"a file priority must be 0 to 7: {priority}")


def _check_peers(peers: Sequence[tuple[str, int]]) -> None:
    for host, port in peers:
        try:
            ipaddress.ip_address(host)
        except ValueError as error:
            raise InvalidInputError(f"a peer must be an IP address and a port: {host!r}") from error
        if not 0 < port <= MAX_PORT:
            raise InvalidInputError(f"a peer's port must be 1 to {MAX_PORT}: {port}")


def _rate(name: str, rate: BytesPerSecond) -> BytesPerSecond:
    if not 0 <= rate <= MAX_RATE:
        raise InvalidInputError(f"{name} must be 0 (unlimited) to {MAX_RATE}: {rate}")
    return rate
