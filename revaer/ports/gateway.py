"""How the faces of Revaer give commands to the engine."""

from typing import Protocol

from revaer.domain.commands import CommandDone, SetGlobalLimits, SettingsApplied, TorrentCommand


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

    def apply(self, command: SetGlobalLimits, *, timeout_s: float = 5.0) -> SettingsApplied:
        """Carry a session-wide command out.

        Raises:
            InvalidInputError: a value out of range; nothing changed.
            UnavailableError: the engine is away, or did not answer in time.
        """
        ...
