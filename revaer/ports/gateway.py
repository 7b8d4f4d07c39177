"""How the faces of Revaer give commands to the engine."""

from typing import Protocol

from revaer.domain.commands import CommandDone, SessionCommand, SettingsApplied, TorrentCommand
from revaer.domain.details import PeerInfo, PieceState, TrackerInfo
from revaer.domain.ids import InfoHash


class Gateway(Protocol):
    """One typed outcome per command, given after the store's rename."""

    def execute(self, command: TorrentCommand, *, timeout_s: float = 5.0) -> CommandDone:
        """Carry a command about a torrent out.

        Raises:
            InvalidInputError: the command cannot be used as it is; nothing changed.
            TorrentNotFoundError: no such torrent.
            ConflictError: the present state refuses it; nothing changed.
            UnavailableError: the engine or the store is away, or did not answer in time.
        """
        ...

    def export(self, info_hash: InfoHash, *, timeout_s: float = 5.0) -> bytes:
        """Write a torrent file with the trackers and web seeds that the torrent has now.

        Raises:
            ConflictError: the metadata is not known yet.
            TorrentNotFoundError: no such torrent.
            UnavailableError: the engine is away, or did not answer in time.
        """
        ...

    def apply(self, command: SessionCommand, *, timeout_s: float = 5.0) -> SettingsApplied:
        """Carry a session-wide command out.

        Raises:
            InvalidInputError: a value out of range; nothing changed.
            UnavailableError: the engine is away, or did not answer in time.
        """
        ...

    def peers(self, info_hash: InfoHash, *, timeout_s: float = 2.0) -> tuple[PeerInfo, ...]:
        """Who is connected; up to a second old, as are the other answers about one torrent.

        Raises:
            TorrentNotFoundError: the engine has no such torrent.
            UnavailableError: the engine is away, or did not answer in time.
        """
        ...

    def trackers(self, info_hash: InfoHash, *, timeout_s: float = 2.0) -> tuple[TrackerInfo, ...]:
        """Where the torrent announces, in tier order, and how that went; raises as `peers`."""
        ...

    def web_seeds(self, info_hash: InfoHash, *, timeout_s: float = 2.0) -> tuple[str, ...]:
        """Which HTTP addresses it fetches from; raises as `peers`."""
        ...

    def pieces(self, info_hash: InfoHash, *, timeout_s: float = 2.0) -> tuple[PieceState, ...]:
        """How far each piece is, none before the metadata is known; raises as `peers`."""
        ...
