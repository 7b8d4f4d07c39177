"""Revaer: a torrent service for a home server, built from supervised actors around libtorrent.

As a library: `from revaer import TorrentManager`. The names below are loaded when they are used, so
that `import revaer` itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from revaer.domain.errors import (
        ClosedError,
        ConflictError,
        InvalidInputError,
        InvalidTorrentError,
        PathRefusedError,
        RevaerError,
        StoreLockedError,
        TooManyTorrentsError,
        TorrentExistsError,
        TorrentFailedError,
        TorrentNotFoundError,
        UnavailableError,
    )
    from revaer.domain.selection import SelectionRules
    from revaer.domain.session_events import (
        EVENT_NAMES,
        PEER_CONNECTED,
        PEER_DISCONNECTED,
        PIECE_COMPLETED,
        PIECE_HASH_FAILED,
        SESSION_COMPLETED,
        SESSION_ERROR,
        SESSION_PAUSED,
        SESSION_RESUMED,
        SESSION_STARTED,
        SESSION_STOPPED,
        STATS_UPDATE,
        TRACKER_FAILED,
        TRACKER_SUCCESS,
        PeerEvent,
        PieceCompletedEvent,
        SessionErrorCode,
        SessionErrorEvent,
        SessionEvent,
        SessionState,
        SessionStateEvent,
        StatsUpdateEvent,
        TrackerEvent,
    )
    from revaer.embed import NetworkOptions, SharedResources, TorrentManager, TorrentSession

__version__ = "0.1.0"

__all__ = [
    "EVENT_NAMES",
    "PEER_CONNECTED",
    "PEER_DISCONNECTED",
    "PIECE_COMPLETED",
    "PIECE_HASH_FAILED",
    "SESSION_COMPLETED",
    "SESSION_ERROR",
    "SESSION_PAUSED",
    "SESSION_RESUMED",
    "SESSION_STARTED",
    "SESSION_STOPPED",
    "STATS_UPDATE",
    "TRACKER_FAILED",
    "TRACKER_SUCCESS",
    "ClosedError",
    "ConflictError",
    "InvalidInputError",
    "InvalidTorrentError",
    "NetworkOptions",
    "PathRefusedError",
    "PeerEvent",
    "PieceCompletedEvent",
    "RevaerError",
    "SelectionRules",
    "SessionErrorCode",
    "SessionErrorEvent",
    "SessionEvent",
    "SessionState",
    "SessionStateEvent",
    "SharedResources",
    "StatsUpdateEvent",
    "StoreLockedError",
    "TooManyTorrentsError",
    "TorrentExistsError",
    "TorrentFailedError",
    "TorrentManager",
    "TorrentNotFoundError",
    "TorrentSession",
    "TrackerEvent",
    "UnavailableError",
    "__version__",
]

_PLACES = ("revaer.domain.errors", "revaer.domain.session_events", "revaer.embed")
_AT_HOME = {"SelectionRules": "revaer.domain.selection"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 each name has its own type, stated above
    """Load what is asked for, once."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    places = (_AT_HOME[name],) if name in _AT_HOME else _PLACES
    for place in places:
        module = import_module(place)
        if hasattr(module, name):
            globals()[name] = value = getattr(module, name)
            return value
    raise AttributeError(f"module {__name__!r} lost {name!r}")


def __dir__() -> list[str]:
    """All names, loaded or not."""
    return sorted({*globals(), *__all__})
