"""Another record of all torrents, from which a lost resume store can be rebuilt."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from revaer.domain.torrent import TorrentSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogEntry:
    """One torrent as the catalog last heard of it; it may lag behind the resume store.

    Attributes:
        spec: what was asked for; its `magnet_uri` is the source where there is no torrent file.
        metainfo_data: the torrent file's bytes, or None while they are not known.
    """

    spec: TorrentSpec
    metainfo_data: bytes | None = field(default=None, repr=False)


class TorrentCatalog(Protocol):
    """The projection of all torrents that is kept outside of the resume store."""

    def load(self) -> Sequence[CatalogEntry]:
        """Every torrent that the catalog has not heard to be removed.

        Raises:
            UnavailableError: it cannot be read now; the resume store alone says what there is then.
        """
        ...
