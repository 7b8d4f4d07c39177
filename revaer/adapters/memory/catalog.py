"""The double of the torrent catalog: what it holds is set by hand."""

from collections.abc import Iterable, Sequence

from revaer.domain.errors import UnavailableError
from revaer.ports.torrents import CatalogEntry


class MemoryCatalog:
    """`TorrentCatalog` without a database."""

    def __init__(self, entries: Iterable[CatalogEntry] = ()) -> None:
        """Hold these entries."""
        self.entries = list(entries)
        self.outage = ""
        """Why it cannot be read now; empty when it can."""

    def load(self) -> Sequence[CatalogEntry]:
        """Every entry."""
        if self.outage:
            raise UnavailableError(self.outage)
        return tuple(self.entries)
