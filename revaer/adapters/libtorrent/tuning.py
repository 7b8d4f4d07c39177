"""How one torrent runs: what of it is fetched, in which order, how fast, and from whom."""

from collections.abc import Sequence
from typing import Any, cast

import libtorrent as lt

from revaer.adapters.libtorrent import piece_order, profile
from revaer.adapters.libtorrent.core import FLAGS, EngineCore
from revaer.domain import engine_input
from revaer.domain.errors import InvalidInputError, SelectionError
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import QueueMove


class Tuning(EngineCore):
    """The settings of one torrent; see `TorrentEngine`."""

    def prioritize(self, info_hash: InfoHash, priorities: Sequence[int]) -> None:
        """See `TorrentEngine.prioritize`."""
        with self._torrent(info_hash) as entry:
            info = entry.handle.torrent_file()
            if info is None:
                raise SelectionError(f"the files of {info_hash} are not known yet")
            if len(priorities) != info.num_files():
                raise SelectionError(
                    f"{info_hash} has {info.num_files()} files, {len(priorities)} priorities given"
                )
            try:
                for priority in priorities:
                    engine_input.check_priority(priority)
            except InvalidInputError as error:
                raise SelectionError(str(error)) from error
            entry.priorities = tuple(priorities)
            entry.handle.prioritize_files(list(priorities))

    def set_first_last_pieces(self, info_hash: InfoHash, *, enabled: bool) -> None:
        """See `TorrentEngine.set_first_last_pieces`."""
        with self._torrent(info_hash) as entry:
            piece_order.put_ends_first(entry, enabled=enabled)

    def set_sequential(self, info_hash: InfoHash, *, sequential: bool) -> None:
        """See `TorrentEngine.set_sequential`."""
        with self._torrent(info_hash) as entry:
            if sequential:
                entry.handle.set_flags(FLAGS.sequential_download)
            else:
                entry.handle.unset_flags(FLAGS.sequential_download)

    def set_limits(
        self, info_hash: InfoHash, *, download: BytesPerSecond, upload: BytesPerSecond
    ) -> None:
        """See `TorrentEngine.set_limits`."""
        with self._torrent(info_hash) as entry:
            down = profile.rate_limit("download_limit", download)
            up = profile.rate_limit("upload_limit", upload)
            entry.handle.set_download_limit(down)
            entry.handle.set_upload_limit(up)

    def connect(self, info_hash: InfoHash, peers: Sequence[tuple[str, int]]) -> None:
        """See `TorrentEngine.connect`; one that hung up a moment ago is called again, too."""
        with self._torrent(info_hash) as entry:
            for peer in engine_input.check_peers(peers):
                entry.handle.connect_peer(peer)
            self._reconnects.hurry(self._live())

    def reannounce(self, info_hash: InfoHash) -> None:
        """See `TorrentEngine.reannounce`.

        libtorrent has no call for the local network: it announces there every five minutes.
        """
        with self._torrent(info_hash) as entry:
            entry.handle.force_reannounce(0, -1, lt.torrent_handle.ignore_min_interval)
            entry.handle.force_dht_announce()

    def move_in_queue(self, info_hash: InfoHash, move: QueueMove) -> None:
        """See `TorrentEngine.move_in_queue`."""
        with self._torrent(info_hash) as entry:
            handle = entry.handle
            match move:
                case QueueMove.UP:
                    handle.queue_position_up()
                case QueueMove.DOWN:
                    handle.queue_position_down()
                case QueueMove.TOP:
                    handle.queue_position_top()
                case QueueMove.BOTTOM:
                    handle.queue_position_bottom()

    def set_trackers(self, info_hash: InfoHash, trackers: Sequence[tuple[str, int]]) -> None:
        """See `TorrentEngine.set_trackers`."""
        with self._torrent(info_hash) as entry:
            chosen = engine_input.check_trackers(trackers)
            listed = [{"url": url, "tier": tier} for url, tier in chosen]
            entry.handle.replace_trackers(cast("Any", listed))
            entry.trackers = tuple(chosen)
            entry.tracker_count = len(chosen)

    def set_web_seeds(self, info_hash: InfoHash, urls: Sequence[str]) -> None:
        """See `TorrentEngine.set_web_seeds`."""
        with self._torrent(info_hash) as entry:
            chosen = engine_input.check_web_seeds(urls)
            try:
                known = set(entry.handle.url_seeds())
            except UnicodeDecodeError:
                known = set()  # what is no text cannot be named, so it stays
            for url in known.difference(chosen):
                entry.handle.remove_url_seed(url)
            for url in chosen:
                if url not in known:
                    entry.handle.add_url_seed(url)
