"""The read model: every torrent's record, readable from any thread without asking an actor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from revaer.domain.ids import InfoHash, Revision
from revaer.domain.torrent import TorrentRecord


@dataclass(frozen=True, slots=True)
class BoardChanges:
    """What differs since a revision.

    Attributes:
        revision: what the reader knows after taking these in.
        changed: id to the union of changed-field bits; `EVERYTHING` for new torrents.
        removed: ids that are gone.
    """

    revision: Revision
    changed: Mapping[InfoHash, int]
    removed: frozenset[InfoHash]


class Board(Protocol):
    """Snapshots; a reader never blocks the writer and never sees half a batch of one torrent."""

    @property
    def revision(self) -> Revision:
        """The newest revision that readers can see."""
        ...

    def get(self, info_hash: str) -> TorrentRecord | None:
        """Look up by id, v1 hash, v2 hash or truncated v2 hash, any letter case."""
        ...

    def records(self) -> Sequence[TorrentRecord]:
        """All records, in the order in which the torrents were added."""
        ...

    def changes_since(self, revision: Revision) -> BoardChanges | None:
        """The difference, or None when the revision is too old or from another process."""
        ...

    def wait_for(self, revision: Revision, *, timeout_s: float) -> bool:
        """Wait until readers can see this revision."""
        ...

    def fragment(self, projection: str, info_hash: InfoHash) -> bytes | None:
        """One torrent as the named projection encodes it; None for an unknown torrent."""
        ...

    def joined(self, projection: str) -> bytes:
        """All torrents as the named projection encodes them, joined by commas."""
        ...
