"""What a program that embeds Revaer hears of its torrents: thirteen names, typed payloads. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, TypeAlias, TypeGuard

from revaer.domain import events as ev
from revaer.domain.errors import InvalidInputError
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import Metainfo, StopReason, TorrentRecord, TorrentState

SESSION_STARTED: Final = "session.started"
SESSION_PAUSED: Final = "session.paused"
SESSION_RESUMED: Final = "session.resumed"
SESSION_COMPLETED: Final = "session.completed"
SESSION_STOPPED: Final = "session.stopped"
SESSION_ERROR: Final = "session.error"
PIECE_COMPLETED: Final = "piece.completed"
PIECE_HASH_FAILED: Final = "piece.hash_failed"
PEER_CONNECTED: Final = "peer.connected"
PEER_DISCONNECTED: Final = "peer.disconnected"
TRACKER_SUCCESS: Final = "tracker.success"
TRACKER_FAILED: Final = "tracker.failed"
STATS_UPDATE: Final = "stats.update"

EVENT_NAMES: Final = (
    SESSION_STARTED,
    SESSION_PAUSED,
    SESSION_RESUMED,
    SESSION_COMPLETED,
    SESSION_STOPPED,
    SESSION_ERROR,
    PIECE_COMPLETED,
    PIECE_HASH_FAILED,
    PEER_CONNECTED,
    PEER_DISCONNECTED,
    TRACKER_SUCCESS,
    TRACKER_FAILED,
    STATS_UPDATE,
)

ON_DEMAND: Final = ("piece", "peer")
"""Groups that cost the engine work per piece and peer, so `*` leaves them out."""


ENGINE_PATHS: Final = frozenset({"engine", "engine.session"})
"""Actors without which nothing moves."""


class SessionState(StrEnum):
    """What a torrent session is doing: the eight states of a torrent, and standing ready."""

    STOPPED = "stopped"
    QUEUED = "queued"
    CHECKING = "checking"
    DOWNLOADING = "downloading"
    SEEDING = "seeding"
    PAUSED = "paused"
    STALLED = "stalled"
    ERROR = "error"
    COMPLETED = "completed"


class SessionErrorCode(IntEnum):
    """The numbers of `SessionErrorEvent.error_code`."""

    UNAVAILABLE = 1
    """The engine failed for good, or until it is tried again; every call is refused meanwhile."""
    ENGINE = 2
    DISK_FULL = 3
    MISSING_FILES = 4
    STORAGE_ABSENT = 5
    UNWRITABLE = 6
    PATH_REFUSED = 7
    NOTHING_SELECTED = 8
    TORRENT_CONFLICT = 9


@dataclass(frozen=True, slots=True)
class SessionStateEvent:
    """Payload of `session.started|paused|resumed|completed|stopped`.

    Attributes:
        info_hash: the torrent's id.
        state: its state when this was said.
        message: in words, where there is more to say than the name does.
    """

    info_hash: InfoHash
    state: SessionState
    message: str


@dataclass(frozen=True, slots=True)
class PieceCompletedEvent:
    """Payload of `piece.completed`, and of `piece.hash_failed`: that piece is fetched again.

    Attributes:
        piece_index: 0-based.
        piece_size: bytes; the last piece may be smaller than the others.
        pieces_complete: how many pieces are there now; never decreases while nothing is lost.
        total_pieces: of the torrent.
    """

    piece_index: int
    piece_size: int
    pieces_complete: int
    total_pieces: int


@dataclass(frozen=True, slots=True)
class PeerEvent:
    """Payload of `peer.connected` and `peer.disconnected`.

    Attributes:
        peer_addr: `host:port`.
        peer_id: how the peer names itself, as in `-LT2110-VuVX3aW4aZ.v`, with bytes that are no
            printable ASCII as `%XX`; empty when that is not known, as when it is only just called.
    """

    peer_addr: str
    peer_id: str


@dataclass(frozen=True, slots=True)
class TrackerEvent:
    """Payload of `tracker.success` and `tracker.failed`.

    Attributes:
        tracker_url: which tracker.
        peer_count: peers that it named; 0 after a failure.
        error_message: empty after a success.
    """

    tracker_url: str
    peer_count: int
    error_message: str


@dataclass(frozen=True, slots=True)
class StatsUpdateEvent:
    """Payload of `stats.update`, each second.

    Attributes:
        downloaded: payload bytes of all sessions.
        uploaded: as above.
        download_rate: payload bytes per second.
        upload_rate: as above.
        connected_peers: seeds included.
        progress: 0 to 1 of the wanted bytes.
    """

    downloaded: int
    uploaded: int
    download_rate: int
    upload_rate: int
    connected_peers: int
    progress: float


@dataclass(frozen=True, slots=True)
class SessionErrorEvent:
    """Payload of `session.error`.

    Attributes:
        error_message: what happened and what can be done.
        error_code: a `SessionErrorCode`.
    """

    error_message: str
    error_code: int


Payload: TypeAlias = (
    SessionStateEvent
    | PieceCompletedEvent
    | PeerEvent
    | TrackerEvent
    | StatsUpdateEvent
    | SessionErrorEvent
)


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """What a callback is given.

    Attributes:
        name: one of `EVENT_NAMES`.
        info_hash: the torrent's id.
        data: the payload that belongs to the name.
    """

    name: str
    info_hash: InfoHash
    data: Payload


def names_matching(pattern: str) -> frozenset[str]:
    """Spell a subscription out: a full name, `group.*`, or `*` for all but pieces and peers.

    Raises:
        InvalidInputError: no event can ever match.
    """
    if pattern == "*":
        return frozenset(name for name in EVENT_NAMES if name.split(".")[0] not in ON_DEMAND)
    group = pattern.removesuffix(".*")
    found = {
        name
        for name in EVENT_NAMES
        if name == pattern or (group != pattern and name.split(".")[0] == group)
    }
    if not found:
        raise InvalidInputError(
            f"no event is named {pattern!r}; use *, session.*, piece.*, peer.*, tracker.*, stats.* "
            "or a full name such as session.completed"
        )
    return frozenset(found)


def engine_failed(torrents: Iterable[InfoHash], message: str) -> Iterable[SessionEvent]:
    """The engine is gone for good, or until it is tried again: told of every torrent."""
    payload = SessionErrorEvent(
        f"the engine failed: {message}; what was saved is kept", SessionErrorCode.UNAVAILABLE
    )
    return [SessionEvent(SESSION_ERROR, info_hash, payload) for info_hash in torrents]


class Call(StrEnum):
    """What a program asks of a session."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


class Standing(StrEnum):
    """How a session stands as its program sees it."""

    STOPPED = "stopped"
    RUNNING = "running"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Step:
    """What a call leads to.

    Attributes:
        standing: afterwards.
        event: what is said; empty when nothing changes.
    """

    standing: Standing
    event: str = ""


def after(standing: Standing, call: Call) -> Step:
    """Say what a call does; one that has nothing to change is no error and says nothing."""
    match standing, call:
        case (Standing.STOPPED, Call.START | Call.RESUME):
            return Step(Standing.RUNNING, SESSION_STARTED)
        case (Standing.PAUSED, Call.START | Call.RESUME):
            return Step(Standing.RUNNING, SESSION_RESUMED)
        case (Standing.RUNNING, Call.PAUSE):
            return Step(Standing.PAUSED, SESSION_PAUSED)
        case (Standing.RUNNING | Standing.PAUSED, Call.STOP):
            return Step(Standing.STOPPED, SESSION_STOPPED)
        case _:
            return Step(standing)


def state_of(record: TorrentRecord, standing: Standing) -> SessionState:
    """What a program sees of a torrent; `standing` tells paused from stopped."""
    if record.state is TorrentState.PAUSED and standing is Standing.STOPPED:
        return SessionState.STOPPED
    return SessionState(record.state.value)


def is_meant_to_run(record: TorrentRecord) -> bool:
    """Whether neither its program nor a share limit stopped it."""
    return record.spec.stop_reason is StopReason.NONE


def stats_of(record: TorrentRecord) -> StatsUpdateEvent:
    """A torrent's totals and rates as the last report has them."""
    status = record.status
    return StatsUpdateEvent(
        downloaded=status.downloaded_bytes,
        uploaded=status.uploaded_bytes,
        download_rate=status.download_rate,
        upload_rate=status.upload_rate,
        connected_peers=status.seeds + status.leechers,
        progress=status.progress,
    )


class Translator:
    """Turns the service's events into the session's, and counts pieces on the way."""

    def __init__(
        self,
        record_of: Callable[[InfoHash], TorrentRecord | None],
        owns: Callable[[InfoHash], bool],
        torrents: Callable[[], Iterable[InfoHash]],
    ) -> None:
        """Nothing was told yet.

        Args:
            record_of: the read model.
            owns: whether the listener is concerned with a torrent.
            torrents: all that it is concerned with.
        """
        self._record_of = record_of
        self._owns = owns
        self._torrents = torrents
        self._counted: dict[InfoHash, int] = {}

    def translate(self, batch: Sequence[ev.Event | SessionEvent]) -> list[SessionEvent]:
        """The events of a batch, in order; what a session does not tell is left out."""
        batch = [event for event in batch if self._concerns(event)]
        waiting: dict[InfoHash, int] = {}
        for event in batch:
            if isinstance(event, ev.PieceCompleted):
                waiting[event.info_hash] = waiting.get(event.info_hash, 0) + 1
        told: list[SessionEvent] = []
        for event in batch:
            if isinstance(event, ev.PieceCompleted):
                waiting[event.info_hash] -= 1
                told += self._piece_completed(event, after_it=waiting[event.info_hash])
            elif isinstance(event, ev.PieceHashFailed):
                told += self._piece_failed(event)
            elif isinstance(event, SessionEvent):
                told.append(event)
            elif _lost_pieces(event):
                self._counted.pop(event.info_hash, None)
            else:
                told += self._plain(event)
        return told

    def _concerns(self, event: ev.Event | SessionEvent) -> bool:
        info_hash = getattr(event, "info_hash", None)
        if info_hash is None or isinstance(event, SessionEvent | ev.TorrentRemoved):
            return True
        return self._owns(info_hash)

    def _plain(self, event: ev.Event) -> Iterable[SessionEvent]:
        match event:
            case ev.TorrentCompleted(info_hash):
                yield self._state_event(SESSION_COMPLETED, info_hash, "every wanted file is there")
            case ev.ActorFailed(path, message) if path in ENGINE_PATHS:
                yield from engine_failed(self._torrents(), message)
            case ev.TorrentStateChanged(info_hash, TorrentState.COMPLETED):
                yield self._state_event(SESSION_STOPPED, info_hash, "a share limit was reached")
            case ev.TorrentFailed(info_hash, code, message):
                yield SessionEvent(
                    SESSION_ERROR, info_hash, SessionErrorEvent(message, error_code(code))
                )
            case ev.PeerConnected(info_hash, address):
                yield SessionEvent(PEER_CONNECTED, info_hash, PeerEvent(address, ""))
            case ev.PeerDisconnected(info_hash, address, _, peer_id):
                yield SessionEvent(PEER_DISCONNECTED, info_hash, PeerEvent(address, peer_id))
            case ev.TrackerSucceeded(info_hash, url, peers):
                yield SessionEvent(TRACKER_SUCCESS, info_hash, TrackerEvent(url, peers, ""))
            case ev.TrackerFailed(info_hash, url, message):
                yield SessionEvent(TRACKER_FAILED, info_hash, TrackerEvent(url, 0, message))
            case ev.StatsUpdated():
                stats = StatsUpdateEvent(
                    downloaded=event.downloaded_bytes,
                    uploaded=event.uploaded_bytes,
                    download_rate=event.download_rate,
                    upload_rate=event.upload_rate,
                    connected_peers=event.peers,
                    progress=event.progress,
                )
                yield SessionEvent(STATS_UPDATE, event.info_hash, stats)
            case _:
                return

    def _state_event(self, name: str, info_hash: InfoHash, message: str) -> SessionEvent:
        record = self._record_of(info_hash)
        state = SessionState.STOPPED if record is None else SessionState(record.state.value)
        return SessionEvent(name, info_hash, SessionStateEvent(info_hash, state, message))

    def _piece_completed(
        self, event: ev.PieceCompleted, *, after_it: int
    ) -> Iterable[SessionEvent]:
        """Reports of pieces and of totals come apart; the larger of the two counts is the truer."""
        record = self._record_of(event.info_hash)
        if record is None or record.metainfo is None:
            return
        total = record.metainfo.piece_count
        shown = record.status.pieces_have - after_it
        counted = self._counted.get(event.info_hash, 0) + 1
        complete = min(max(shown, counted), total)
        self._counted[event.info_hash] = complete
        yield _piece_event(PIECE_COMPLETED, record, record.metainfo, event.piece_index, complete)

    def _piece_failed(self, event: ev.PieceHashFailed) -> Iterable[SessionEvent]:
        record = self._record_of(event.info_hash)
        if record is None or record.metainfo is None:
            return
        complete = max(record.status.pieces_have, self._counted.get(event.info_hash, 0))
        yield _piece_event(PIECE_HASH_FAILED, record, record.metainfo, event.piece_index, complete)


def _lost_pieces(event: ev.Event) -> TypeGuard[ev.TorrentRemoved | ev.TorrentStateChanged]:
    """Whether what was counted of a torrent's pieces holds no more."""
    is_check = isinstance(event, ev.TorrentStateChanged) and event.state is TorrentState.CHECKING
    return is_check or isinstance(event, ev.TorrentRemoved)


def _piece_event(
    name: str, record: TorrentRecord, metainfo: Metainfo, index: int, complete: int
) -> SessionEvent:
    payload = PieceCompletedEvent(
        piece_index=index,
        piece_size=piece_size(metainfo, index),
        pieces_complete=complete,
        total_pieces=metainfo.piece_count,
    )
    return SessionEvent(name, record.info_hash, payload)


def piece_size(metainfo: Metainfo, index: int) -> int:
    """Bytes of one piece: the last one may be smaller, in v2 the last one of each file."""
    begin, end = index * metainfo.piece_length, metainfo.total_size_bytes
    if not metainfo.infohash_v1:
        for entry in metainfo.files:
            if entry.size_bytes and entry.first_piece <= index <= entry.last_piece:
                begin = (index - entry.first_piece) * metainfo.piece_length
                end = entry.size_bytes
    return max(min(metainfo.piece_length, end - begin), 0)


def error_code(code: str) -> SessionErrorCode:
    """The number of a fault's name; one that has none counts as the engine's."""
    return SessionErrorCode.__members__.get(code.upper(), SessionErrorCode.ENGINE)
