"""What the simulated engine holds, and the rules that every call and control keeps."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from revaer.adapters.memory.payload import MemoryPayload
from revaer.adapters.memory.simulated import SimulatedTorrent
from revaer.adapters.memory.wake import WakePipe
from revaer.domain import engine_input
from revaer.domain import facts as f
from revaer.domain.errors import EngineDownError, TorrentNotFoundError
from revaer.domain.ids import UNLIMITED, BytesPerSecond, EpochSeconds, InfoHash
from revaer.ports.engine import EngineSettings

FIRST_FREE_PORT: Final = 49_152
REMEMBERED_CALLS: Final = 10_000


class EngineCore:
    """State behind one lock: torrents, waiting facts, the queue, and failures to come."""

    def __init__(
        self,
        settings: EngineSettings,
        *,
        on_disk: MemoryPayload | None = None,
        auto_rate: BytesPerSecond = UNLIMITED,
        check_s: float = 0.0,
        move_s: float = 0.0,
        starts_at: float = 1_800_000_000.0,
    ) -> None:
        """Open a session and start to listen.

        Args:
            settings: limits, queueing and listening are honoured, the rest is of no consequence.
            on_disk: where flushed bytes become file sizes, and what checks look at; never a real
                disk. Without one, what was written is still there at the next check.
            auto_rate: bytes per second that each downloading torrent gets in `advance`; 0 none.
            check_s: how long a check of files that are there takes.
            move_s: how long a move of files takes.
            starts_at: the epoch seconds of the beginning.

        Raises:
            InvalidInputError: a setting out of range.
        """
        self._lock = threading.RLock()
        check_settings(settings)
        self._settings = settings
        self._limits = (settings.download_limit, settings.upload_limit)
        self._stale_limits: tuple[BytesPerSecond, BytesPerSecond] | None = None
        self._on_disk = on_disk
        self._check_s = check_s
        self._move_s = move_s
        self._now_s = starts_at
        self._by_key: dict[str, SimulatedTorrent] = {}
        self._is_queueing = is_queueing(settings)
        self._facts: list[f.Fact] = []
        self._failures: dict[str, deque[Exception]] = {}
        self._lost: list[type[f.Fact]] = []
        self._undeletable: dict[InfoHash, str] = {}
        self._interest: frozenset[str] = frozenset()
        self._is_closed = False
        self._is_quiet = False
        self._is_suspended = False
        self._wake = WakePipe()
        self._line_length = 0
        self._is_line_stale = False
        self.auto_rate = auto_rate
        self.calls: deque[tuple[str, InfoHash | None]] = deque(maxlen=REMEMBERED_CALLS)
        """Every call of the port that was carried out, by name, with the torrent it was about."""
        self._gone_interfaces: frozenset[str] = frozenset()
        self._deaf_reason = ""
        """Why the gone interfaces cannot be opened; empty when they are not there at all."""
        self._ports = tuple(self._open_ports())

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
            self._is_line_stale = True
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
        self._number_queue()
        for one in some:
            one.has_changed = False
            self._tell(f.StatusReported(one.info_hash, one.report(time.monotonic_ns())))

    def _now(self) -> EpochSeconds:
        return EpochSeconds(int(self._now_s))

    def _absolve(self, one: SimulatedTorrent) -> None:
        if one.fault is not None:
            one.fault = None
            one.touch()
            self._tell(f.FaultCleared(one.info_hash))

    def _run_queue(self) -> None:
        """Pause and run those that the queue decides about, in the order of their positions."""
        if not self._is_queueing:
            return  # then whoever may run does so since it was told to
        self._number_queue()
        everybody = self._all()
        everybody.sort(key=lambda one: one.queue_position or len(everybody) + 1)
        room = {
            "download": self._settings.active_downloads,
            "seed": self._settings.active_seeds,
            "any": self._settings.active_limit,
        }
        for one in everybody:
            if not one.is_auto_managed or one.error:
                continue
            kind = "seed" if one.is_finished else "download"
            may_run = room[kind] != 0 and room["any"] != 0
            if may_run:
                room[kind] -= room[kind] > 0
                room["any"] -= room["any"] > 0
            if one.is_paused == may_run:
                one.is_paused = not may_run
                stand_still(one)

    def _line_up(self, one: SimulatedTorrent) -> None:
        """Stand at the end of the line."""
        self._line_length += 1
        one.queue_position = self._line_length

    def _number_queue(self) -> None:
        """Close the gaps: those that are not finished stand in line, in the order they came."""
        if not self._is_line_stale:
            return
        self._is_line_stale = False
        line = self._line()
        places = {id(one): place for place, one in enumerate(line, start=1)}
        self._line_length = len(line)
        for one in self._all():
            before, one.queue_position = one.queue_position, places.get(id(one), 0)
            if one.queue_position != before:
                one.has_changed = True

    def _line(self) -> list[SimulatedTorrent]:
        """Those that are not finished, in their order; who stood in no line comes last."""
        waiting = [one for one in self._all() if not one.was_finished]
        return sorted(waiting, key=lambda one: one.queue_position or len(self._by_key) + 1)

    def _open_ports(self) -> Iterator[int]:
        for index, interface in enumerate(self._settings.listen):
            if interface in self._gone_interfaces:
                if self._deaf_reason:
                    self._tell(f.ListenFailed(interface, self._deaf_reason))
                continue
            host, _, text = interface.rpartition(":")
            port = int(text) or FIRST_FREE_PORT + index
            self._tell(f.ListenSucceeded(host.strip("[]"), port))
            yield port

    def _banned_among(self, one: SimulatedTorrent) -> list[str]:
        banned = self._settings.banned_peers
        return [name for name, peer in one.peers.items() if peer.address in banned]

    def _part(self, one: SimulatedTorrent, address: str, reason: str) -> None:
        if one.peers.pop(address, None) is not None:
            one.has_changed = True
            self._hear([f.PeerLeft(one.info_hash, address, reason)])


def is_queueing(settings: EngineSettings) -> bool:
    """Whether the number of torrents that run at once is limited."""
    limits = (settings.active_downloads, settings.active_seeds, settings.active_limit)
    return any(limit >= 0 for limit in limits)


def check_settings(settings: EngineSettings) -> None:
    """Refuse what libtorrent could not take.

    Raises:
        InvalidInputError: a value out of range; the message names the setting.
    """
    rate_limit("download_limit", settings.download_limit)
    rate_limit("upload_limit", settings.upload_limit)
    engine_input.check_number("max_connections", settings.max_connections, 2)
    for name in ("max_uploads", "active_downloads", "active_seeds", "active_limit"):
        engine_input.check_number(name, getattr(settings, name), -1)
    for interface in settings.listen:
        engine_input.check_listen("listen", interface)
    for name in ("outgoing_interface", "user_agent"):
        engine_input.check_line(name, getattr(settings, name))
    for address in settings.banned_peers:
        engine_input.check_address("a banned peer", address)
    engine_input.check_disk_backend(settings.disk_backend)


def stand_still(one: SimulatedTorrent) -> None:
    """Note that nothing moves any more."""
    one.download_rate = one.upload_rate = 0
    one.touch()


def rate_limit(name: str, rate: BytesPerSecond) -> BytesPerSecond:
    """Pass a limit on.

    Raises:
        InvalidInputError: libtorrent would take it for something else.
    """
    engine_input.check_number(name, rate, 0)
    return rate
