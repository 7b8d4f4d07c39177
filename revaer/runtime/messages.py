"""What the engine's actors tell each other, beside the domain's commands."""

from dataclasses import dataclass

from revaer.domain.facts import Fact
from revaer.domain.storage import FilesAsked, FilesSeen, PlaceSeen
from revaer.ports.engine import EngineSettings


@dataclass(frozen=True, slots=True)
class EngineReported:
    """Facts that the session acts upon, in the order in which the engine told them."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class ApplySettings:
    """Let the engine run with these settings from now on; answered with a `SettingsApplied`."""

    settings: EngineSettings


@dataclass(frozen=True, slots=True)
class Tick:
    """The session's second."""


@dataclass(frozen=True, slots=True)
class StoreSeen:
    """Somebody looked at the resume directory, and it cannot be used.

    Attributes:
        trouble: why.
        seen_at: the actors' clock.
    """

    trouble: str
    seen_at: float


@dataclass(frozen=True, slots=True)
class Republish:
    """The board lost its place: say again what is known of every torrent."""


@dataclass(frozen=True, slots=True)
class Quiesce:
    """Stop all transfers and save everything; the answer is a `Quiesced`."""


@dataclass(frozen=True, slots=True)
class Quiesced:
    """Everything that could be saved is saved.

    Attributes:
        saved: torrents whose resume data reached the store.
        failed: torrents whose resume data the store did not take.
    """

    saved: int
    failed: int


@dataclass(frozen=True, slots=True)
class ProbeStorage:
    """Look at these places, then at these files; answered with several `StorageSeen`.

    Attributes:
        number: grows with each round of questions.
        places: save paths.
        files: looked at after the places.
    """

    number: int
    places: tuple[str, ...]
    files: tuple[FilesAsked, ...] = ()


@dataclass(frozen=True, slots=True)
class StorageSeen:
    """What the storage probe found.

    Attributes:
        number: of the round that asked.
        is_last: nothing more of this round is to come.
    """

    number: int
    places: tuple[PlaceSeen, ...] = ()
    files: tuple[FilesSeen, ...] = ()
    is_last: bool = False
