"""What the engine is asked about one torrent on demand; each class names its answer's type."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from revaer.domain.ids import InfoHash

if TYPE_CHECKING:
    from revaer.domain.details import PeerInfo, PieceState, TrackerInfo


@dataclass(frozen=True, slots=True)
class ListPeers:
    """Who is connected."""

    info_hash: InfoHash

    if TYPE_CHECKING:

        @property
        def __answer__(self) -> tuple[PeerInfo, ...]:
            """The answer's type; never read."""
            ...


@dataclass(frozen=True, slots=True)
class ListTrackers:
    """Where it announces, in tier order, and how that went."""

    info_hash: InfoHash

    if TYPE_CHECKING:

        @property
        def __answer__(self) -> tuple[TrackerInfo, ...]:
            """The answer's type; never read."""
            ...


@dataclass(frozen=True, slots=True)
class ListWebSeeds:
    """Which HTTP addresses it fetches from."""

    info_hash: InfoHash

    if TYPE_CHECKING:

        @property
        def __answer__(self) -> tuple[str, ...]:
            """The answer's type; never read."""
            ...


@dataclass(frozen=True, slots=True)
class ListPieces:
    """How far each piece is; empty before the metadata is known."""

    info_hash: InfoHash

    if TYPE_CHECKING:

        @property
        def __answer__(self) -> tuple[PieceState, ...]:
            """The answer's type; never read."""
            ...


DetailsQuery = ListPeers | ListTrackers | ListWebSeeds | ListPieces
