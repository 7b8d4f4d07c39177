"""What the engine's actors tell each other, beside the domain's commands."""

from dataclasses import dataclass

from revaer.domain.facts import Fact


@dataclass(frozen=True, slots=True)
class EngineReported:
    """Facts that the session acts upon, in the order in which the engine told them."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """The session's second."""


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
