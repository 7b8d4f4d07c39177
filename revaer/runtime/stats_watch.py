"""Publishes totals and rates, each second, of torrents that somebody listens to."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from revaer.domain.events import StatsUpdated
from revaer.domain.torrent import TorrentRecord
from revaer.runtime.listeners import Audience
from revaer.runtime.session_parts import SessionParts

if TYPE_CHECKING:
    from revaer.domain.ids import InfoHash


class StatsWatch:
    """A torrent asked for by name is told each second, others each second in which they moved.

    So a listener to everything costs nothing for ten thousand idle torrents: after the first round
    the board says which ones changed.
    """

    def __init__(self, parts: SessionParts, audience: Callable[[], Audience]) -> None:
        """Nobody has been told anything yet.

        Args:
            parts: the session's.
            audience: who listens now; asked once a second.
        """
        self._parts = parts
        self._audience = audience
        self._told: dict[InfoHash, StatsUpdated] = {}
        self._revision = parts.board.revision

    def tick(self) -> tuple[()]:
        """Publish; the board has nothing to show of it."""
        audience = self._audience()
        if not audience:
            self._told.clear()
            return ()
        board = self._parts.board
        events: list[StatsUpdated] = []
        for info_hash in audience.named:
            record = board.get(info_hash)
            if record is not None:
                events.append(_stats(record))
        if audience.everything:
            events += self._moved(audience)
        else:
            self._told.clear()
        if events:
            self._parts.publish(*events)
        return ()

    def _moved(self, audience: Audience) -> list[StatsUpdated]:
        """What is new of torrents that nobody named."""
        board = self._parts.board
        changes = board.changes_since(self._revision) if self._told else None
        records: list[TorrentRecord | None]
        if changes is None:
            self._revision = board.revision
            self._told.clear()
            records = list(board.records())
        else:
            self._revision = changes.revision
            for info_hash in changes.removed:
                self._told.pop(info_hash, None)
            records = [board.get(info_hash) for info_hash in changes.changed]
        events = []
        for record in records:
            if record is None or record.info_hash in audience.named:
                continue
            event = _stats(record)
            if self._told.get(record.info_hash) != event:
                self._told[record.info_hash] = event
                events.append(event)
        return events


def _stats(record: TorrentRecord) -> StatsUpdated:
    status = record.status
    return StatsUpdated(
        info_hash=record.info_hash,
        downloaded_bytes=status.downloaded_bytes,
        uploaded_bytes=status.uploaded_bytes,
        download_rate=status.download_rate,
        upload_rate=status.upload_rate,
        peers=status.seeds + status.leechers,
        progress=status.progress,
    )
