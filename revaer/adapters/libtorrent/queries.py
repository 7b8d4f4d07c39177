"""What is asked of libtorrent on demand; most of it waits for the network thread."""

import time
from typing import Final, cast

import libtorrent as lt

from revaer.adapters.libtorrent import details, metainfo, status
from revaer.adapters.libtorrent.core import FLAGS, EngineCore
from revaer.adapters.libtorrent.registry import Entry
from revaer.domain.details import PeerInfo, PieceState, TrackerInfo
from revaer.domain.errors import TorrentNotFoundError
from revaer.domain.facts import StatusReported
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.reconciliation import LiveTorrent
from revaer.domain.torrent import Metainfo, TorrentDescription, TorrentSource, TorrentStatus

_STATES = lt.torrent_status.states
_UNSETTLED: Final = frozenset(
    {_STATES.queued_for_checking, _STATES.checking_files, _STATES.checking_resume_data}
)


class Queries(EngineCore):
    """The questions of `TorrentEngine`; see there."""

    def describe(self, source: TorrentSource) -> TorrentDescription:
        """See `MetainfoReader.describe`; needs no session."""
        return metainfo.describe(source)

    def knows(self, info_hash: InfoHash) -> bool:
        """See `TorrentEngine.knows`."""
        self._live()
        entry = self._registry.find(info_hash)
        return entry is not None and entry.info_hash == info_hash

    def torrents(self) -> tuple[InfoHash, ...]:
        """See `TorrentEngine.torrents`."""
        self._live()
        return tuple(entry.info_hash for entry in self._registry.entries())

    def status(self, info_hash: InfoHash) -> TorrentStatus:
        """See `TorrentEngine.status`."""
        with self._torrent(info_hash) as entry:
            update = entry.handle.status(status.QUERY)
            facts = status.reports(
                [update], self._registry, sequence=time.monotonic_ns(), now=int(time.time())
            )
            for fact in facts[1:]:
                self._tell(fact)  # a fault that is over is news for everybody
            if facts and isinstance(facts[0], StatusReported):
                return facts[0].status
            raise TorrentNotFoundError(f"no torrent {info_hash} any more")

    def live(self, info_hash: InfoHash) -> LiveTorrent:
        """See `TorrentEngine.live`."""
        with self._torrent(info_hash) as entry:
            handle = entry.handle
            update = handle.status()
            flags, state = update.flags, lt.torrent_status.states(update.state)
            is_paused = bool(flags & FLAGS.paused)
            is_managed = bool(flags & FLAGS.auto_managed)
            is_held = entry.is_held or bool(flags & FLAGS.upload_mode)
            is_in_trouble = bool(update.errc.value()) or bool(entry.faults)
            return LiveTorrent(
                save_path=update.save_path,
                priorities=tuple(handle.get_file_priorities()),
                sequential=bool(flags & FLAGS.sequential_download),
                first_last_pieces=entry.has_first_last_pieces,
                download_limit=BytesPerSecond(max(handle.download_limit(), 0)),
                upload_limit=BytesPerSecond(max(handle.upload_limit(), 0)),
                is_stopped=is_paused and not is_managed,
                is_forced=not is_paused and not is_managed,
                is_settled=not (is_held or is_in_trouble or state in _UNSETTLED),
            )

    def metainfo(self, info_hash: InfoHash) -> Metainfo | None:
        """See `TorrentEngine.metainfo`."""
        with self._torrent(info_hash) as entry:
            return self._metainfo_of(entry)

    def file_progress(self, info_hash: InfoHash) -> tuple[int, ...]:
        """See `TorrentEngine.file_progress`."""
        with self._torrent(info_hash) as entry:
            return tuple(entry.handle.file_progress())

    def trackers(self, info_hash: InfoHash) -> tuple[TrackerInfo, ...]:
        """See `TorrentEngine.trackers`.

        libtorrent reads the whole list or nothing: one address or message that is not UTF-8 makes
        it unreadable. Then the addresses that Revaer knows are told without their state.
        """
        with self._torrent(info_hash) as entry:
            try:
                listed = entry.handle.trackers()
            except UnicodeDecodeError:
                return tuple(TrackerInfo(url=url, tier=tier) for url, tier in entry.trackers)
            told = [details.tracker_info(dict(tracker)) for tracker in listed]
            return tuple(sorted(told, key=lambda tracker: tracker.tier))

    def web_seeds(self, info_hash: InfoHash) -> tuple[str, ...]:
        """See `TorrentEngine.web_seeds`; without those that are no text."""
        with self._torrent(info_hash) as entry:
            try:
                return tuple(sorted(entry.handle.url_seeds()))
            except UnicodeDecodeError:
                return ()

    def peers(self, info_hash: InfoHash) -> tuple[PeerInfo, ...]:
        """See `TorrentEngine.peers`."""
        with self._torrent(info_hash) as entry:
            info = entry.handle.torrent_file()

            def files_of(piece: int) -> tuple[int, ...]:
                if info is None or piece >= info.num_pieces():
                    return ()
                layout, pad = info.layout(), lt.file_flags_t.flag_pad_file
                first = layout.file_index_at_piece(piece)
                # Typed as if it might be nothing; every piece has a last file.
                last = cast("int", layout.last_file_index_at_piece(piece))
                return tuple(i for i in range(first, last + 1) if not layout.file_flags(i) & pad)

            return tuple(
                details.peer_info(peer, files_of)
                for peer in entry.handle.get_peer_info()
                if details.is_connected(peer)
            )

    def pieces(self, info_hash: InfoHash) -> tuple[PieceState, ...]:
        """See `TorrentEngine.pieces`."""
        with self._torrent(info_hash) as entry:
            return self._pieces(entry)

    def _pieces(self, entry: Entry) -> tuple[PieceState, ...]:
        info = entry.handle.torrent_file()
        if info is None:
            return ()
        had = entry.handle.status(lt.torrent_handle.query_pieces).pieces
        if len(had) != info.num_pieces():
            had = [False] * info.num_pieces()  # while it is still being set up
        states = [PieceState.HAVE if has else PieceState.MISSING for has in had]
        for part in entry.handle.get_download_queue():
            piece = part["piece_index"]
            if states[piece] is PieceState.MISSING:
                states[piece] = PieceState.DOWNLOADING
        return tuple(states)

    def listen_ports(self) -> tuple[int, ...]:
        """See `TorrentEngine.listen_ports`; asked afresh, for a lost interface posts no alert."""
        session = self._live()
        port = session.listen_port() if session.is_listening() else 0
        return (port,) if port else ()
