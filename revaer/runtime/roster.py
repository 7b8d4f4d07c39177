"""What the session knows of its torrents: specs by id, and ids by every hash they have."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from revaer.domain.errors import ConflictError, TorrentNotFoundError
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import TorrentSpec

_TRUNCATED = 40


@dataclass(slots=True)
class Roster:
    """The session's own memory; rebuilt from the store by every generation.

    Attributes:
        specs: what was asked for, by id.
        removing: removals that the engine has not confirmed; the value says whether data goes too.
        last_rank: the highest rank in the queue that any torrent has, or had.
    """

    specs: dict[InfoHash, TorrentSpec] = field(default_factory=dict)
    removing: dict[InfoHash, bool] = field(default_factory=dict)
    last_rank: int = 0
    _aliases: dict[str, InfoHash] = field(default_factory=dict)

    def __iter__(self) -> Iterator[TorrentSpec]:
        """Every spec, oldest first."""
        return iter(self.specs.values())

    def __len__(self) -> int:
        """How many torrents there are, those being removed left out."""
        return len(self.specs)

    def find(self, any_hash: str) -> TorrentSpec | None:
        """Look up by id, v1, v2 or truncated v2 hash, any letter case."""
        info_hash = self._aliases.get(any_hash.lower())
        return None if info_hash is None else self.specs.get(info_hash)

    def get(self, any_hash: str) -> TorrentSpec:
        """As `find`.

        Raises:
            ConflictError: the torrent is being removed.
            TorrentNotFoundError: no torrent has this hash.
        """
        spec = self.find(any_hash)
        if spec is not None:
            return spec
        if any_hash.lower() in self.removing:
            raise ConflictError(
                f"torrent {any_hash} is being removed; ask again when torrent.removed was seen"
            )
        raise TorrentNotFoundError(f"no torrent has the hash {any_hash}; list them to see the ids")

    def put(self, spec: TorrentSpec) -> None:
        """Remember a new or changed spec."""
        self.specs[spec.info_hash] = spec
        self.last_rank = max(self.last_rank, spec.queue_rank)
        for alias in _aliases_of(spec):
            self._aliases[alias] = spec.info_hash

    def drop(self, info_hash: InfoHash, *, with_data: bool) -> None:
        """Forget a torrent whose removal is under way."""
        spec = self.specs.pop(info_hash, None)
        if spec is not None:
            for alias in _aliases_of(spec):
                self._aliases.pop(alias, None)
        self.removing[info_hash] = with_data


def _aliases_of(spec: TorrentSpec) -> Iterator[str]:
    yield spec.info_hash
    if spec.infohash_v1:
        yield spec.infohash_v1
    if spec.infohash_v2:
        yield spec.infohash_v2
        yield spec.infohash_v2[:_TRUNCATED]
