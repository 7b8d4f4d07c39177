"""How a face of Revaer encodes a torrent."""

from typing import Protocol

from revaer.domain.torrent import TorrentRecord


class Projection(Protocol):
    """Turns a record into bytes; pure, so that the board may keep the answer."""

    @property
    def name(self) -> str:
        """Unique among the projections of a board."""
        ...

    def encode(self, record: TorrentRecord) -> bytes:
        """Encode one torrent."""
        ...
