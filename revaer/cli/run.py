"""One run of the download command on the library face: open, start, watch, stop."""

import time
from collections.abc import Mapping, Sequence

from revaer.cli.following import Broken
from revaer.compose.download import (
    DownloadOptions,
    JudgedSource,
    NamedSource,
    OpenedDownload,
    open_download,
)
from revaer.domain.errors import ConflictError, InvalidInputError
from revaer.domain.ids import NEVER, InfoHash
from revaer.domain.torrent import Activity, FaultCode, TorrentDescription, TorrentRecord
from revaer.embed import SharedResources, TorrentManager, TorrentSession
from revaer.ports.board import Board
from revaer.ports.event_feed import EventFeed
from revaer.ports.projection import Projection

SETTLE_S = 10.0
"""How long the look at the files of a complete torrent may take before it is taken as it says."""
_AT_WORK = frozenset({Activity.DOWNLOADING, Activity.CHECKING, Activity.FETCHING_METADATA})


class DownloadRun:
    """The torrents of one command; satisfies `cli.following.Run`."""

    def __init__(
        self,
        options: DownloadOptions,
        sources: Sequence[NamedSource],
        projections: Sequence[Projection] = (),
    ) -> None:
        """Judge everything that was given; nothing runs yet. Raises as `open_download`."""
        self._options = options
        self._opened: OpenedDownload = open_download(options, sources, projections)
        self._run = self._opened.run
        self._sources: Mapping[InfoHash, JudgedSource] = self._opened.wanted
        self._resources: SharedResources | None = None

    @property
    def wanted(self) -> tuple[InfoHash, ...]:
        """The torrents of this run."""
        return tuple(self._sources)

    @property
    def resumed(self) -> frozenset[InfoHash]:
        """Those that the directory knew before."""
        return self._opened.resumed

    @property
    def board(self) -> Board:
        """Every torrent of this run."""
        return self._run.board

    @property
    def feed(self) -> EventFeed:
        """What happens, live."""
        return self._run.feed

    @property
    def is_saved(self) -> bool:
        """After `stop`: whether all was stored."""
        return self._run.is_saved

    def description(self, info_hash: InfoHash) -> TorrentDescription:
        """What the source said of a torrent."""
        return self._sources[info_hash].description

    def start(self) -> None:
        """Start the engine, add what is new, and let what was stopped go on.

        Raises:
            RevaerError: the engine could not be started or a torrent could not be added.
        """
        self._resources = SharedResources.over(self._run)
        self._resources.launch()
        manager = TorrentManager(resources=self._resources, max_torrents=max(len(self._sources), 1))
        for info_hash, judged in self._sources.items():
            session = manager.get(info_hash)
            if session is None:  # new, or its stored state was beyond use
                manager.add(
                    judged.named.source,
                    start=True,
                    selection=self._options.selection,
                    sequential=self._options.sequential,
                    peers=self._options.peers,
                )
            else:
                self._continue(session)

    def stop(self) -> None:
        """Save everything and end; idempotent."""
        if self._resources is not None:
            self._resources.free()
        else:
            self._run.stop()

    def broken(self) -> Broken | None:
        """Why the tree as a whole ended by itself, or None while it stands."""
        return self._run.broken()

    def _continue(self, session: TorrentSession) -> None:
        """The same command again: go on, with the files and peers that it names now."""
        options = self._options
        record = session.record
        if record is None:
            return
        if self._must_choose(record):
            session.select(options.selection)
        if options.sequential != record.spec.sequential:
            session.set_sequential(sequential=options.sequential)
        try:
            if self._lost_files(session):
                session.recheck()
            session.start()
        except (InvalidInputError, ConflictError):
            return  # refused again, or could not be loaded: the board says so, the others go on
        if options.peers:
            session.connect(options.peers)

    def _must_choose(self, record: TorrentRecord) -> bool:
        """Whether to choose anew: other rules, or none where the old ones left nothing."""
        asked = self._options.selection
        if asked.is_empty:
            fault = record.fault
            return fault is not None and fault.code is FaultCode.NOTHING_SELECTED
        return asked != record.spec.selection

    def _lost_files(self, session: TorrentSession) -> bool:
        """Whether a torrent that was complete misses files now; known once they were looked at."""
        deadline = time.monotonic() + SETTLE_S
        subscription = self.feed.subscribe(("torrent.*",), torrents=(session.info_hash,))
        try:
            while time.monotonic() < deadline:
                record = session.record
                if record is None or record.is_verified or record.spec.completed_at == NEVER:
                    return False
                if record.fault is not None:
                    return record.fault.code is FaultCode.MISSING_FILES
                if record.status.activity in _AT_WORK:
                    return False
                subscription.next(0.2)
        finally:
            subscription.close()
        return False
