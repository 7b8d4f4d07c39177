"""What every part of the libtorrent engine stands on: one session, its torrents, its own facts."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import libtorrent as lt

from revaer.adapters.libtorrent import faults, metainfo, profile
from revaer.adapters.libtorrent.interfaces import Interfaces
from revaer.adapters.libtorrent.outcomes import Outcomes
from revaer.adapters.libtorrent.reconnect import Reconnects
from revaer.adapters.libtorrent.registry import Entry, Registry
from revaer.adapters.libtorrent.wake import WakePipe
from revaer.domain.errors import EngineDownError, InvalidTorrentError, TorrentNotFoundError
from revaer.domain.facts import Fact, FaultCleared, FaultRaised
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import Metainfo
from revaer.ports.engine import EngineSettings

FLAGS = lt.torrent_flags
"""libtorrent's flags of a torrent."""


class EngineCore:
    """One libtorrent session and what is remembered beside it."""

    def __init__(self, settings: EngineSettings) -> None:
        """Open a session and start to listen.

        Raises:
            InvalidInputError: a setting out of range.
        """
        params = lt.session_params()
        params.disk_io_constructor = profile.disk_backend(settings.disk_backend)
        params.settings = profile.settings_pack(settings)
        params.ip_filter = profile.ban_filter(settings.banned_peers)
        self._is_queueing = profile.is_queueing(settings)
        self._is_exchanging_peers = settings.enable_pex
        self._listen = settings.listen
        self._is_suspended = False
        self._interfaces = Interfaces()
        self._registry = Registry()
        self._outcomes = Outcomes(self._registry)
        self._own_facts: deque[Fact] = deque()
        self._wake = WakePipe()
        self._reconnects = Reconnects()
        self._closing = threading.Lock()
        self._asking = threading.Lock()
        self._session: lt.session | None = lt.session(params)
        # Holds the GIL for a round trip: only here, before anything else runs.
        self._session.set_peer_class_filter(profile.every_peer_is_limited())
        self._session.set_alert_fd(self._wake.write_fd)

    def _live(self) -> lt.session:
        session = self._session
        if session is None:
            raise EngineDownError("the engine is closed; restart Revaer's engine")
        return session

    @contextmanager
    def _torrent(self, info_hash: InfoHash) -> Iterator[Entry]:
        self._live()
        entry = self._registry.find(info_hash)
        if entry is None:
            raise TorrentNotFoundError(f"no torrent {info_hash}")
        try:
            yield entry
        except RuntimeError as error:
            # The handle went stale between look-up and call.
            raise TorrentNotFoundError(f"no torrent {info_hash} any more") from error

    def _clear_error(self, entry: Entry) -> None:
        """Let a torrent begin anew, to be called before it is resumed.

        libtorrent touches the files before it takes a choice of them, and drops a choice that met a
        fault of the disk. The choice comes before the resumption because a torrent that runs while
        it counts as finished puts its seeds aside until it hears of a new peer.
        """
        entry.handle.clear_error()
        if entry.faults and entry.priorities and entry.handle.torrent_file() is not None:
            entry.handle.prioritize_files(list(entry.priorities))

    def _metainfo_of(self, entry: Entry) -> Metainfo | None:
        """What the torrent consists of; metadata past the limits is as good as none, and told."""
        info = entry.handle.torrent_file()
        if info is None:
            return None
        try:
            return metainfo.bounded(info, entry.origin)
        except InvalidTorrentError as error:
            if faults.PAST_LIMITS not in entry.faults:
                entry.faults.add(faults.PAST_LIMITS)
                entry.is_fault_sticky = True
                self._tell(FaultRaised(entry.info_hash, faults.refused_metadata(str(error))))
            return None

    def _absolve(self, entry: Entry) -> None:
        if entry.faults:
            entry.faults.clear()
            entry.is_fault_sticky = False
            self._tell(FaultCleared(entry.info_hash))

    def _tell(self, fact: Fact) -> None:
        self._own_facts.append(fact)
        with self._closing:
            if self._session is not None:
                self._wake.wake()
