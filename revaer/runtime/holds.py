"""Which torrents stand still until their storage is well again."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from revaer.domain.ids import InfoHash
from revaer.domain.torrent import Fault


@dataclass(slots=True, kw_only=True)
class Hold:
    """One torrent that the session has stopped although it is meant to run.

    Attributes:
        fault: what people are told; its code says what ends the hold.
        is_doubt: not told yet: whether the torrent had any data shows when the engine has read its
            resume data.
        must_check: nothing vouches for what lies in the files: hash them when they are back.
        since: the session's clock when it began.
    """

    fault: Fault
    is_doubt: bool = False
    must_check: bool = False
    since: float = 0.0


@dataclass(slots=True)
class Holds:
    """The holds of one session actor generation."""

    changes: int = 0
    """Grows whenever a torrent is held or let go."""
    _by_id: dict[InfoHash, Hold] = field(default_factory=dict)

    def __contains__(self, info_hash: InfoHash) -> bool:
        """Whether a torrent is held."""
        return info_hash in self._by_id

    def __iter__(self) -> Iterator[tuple[InfoHash, Hold]]:
        """All of them, as they are now."""
        return iter(tuple(self._by_id.items()))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_id)

    def find(self, info_hash: InfoHash) -> Hold | None:
        """The hold of a torrent, if there is one."""
        return self._by_id.get(info_hash)

    def put(self, info_hash: InfoHash, hold: Hold) -> None:
        """Hold a torrent."""
        self._by_id[info_hash] = hold
        self.changes += 1

    def drop(self, info_hash: InfoHash) -> None:
        """Let a torrent go; one that is not held is no error."""
        if self._by_id.pop(info_hash, None) is not None:
            self.changes += 1
