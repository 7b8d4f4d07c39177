"""The way from threads that are not actors to the engine, in the domain's errors only."""

from typing import Any

from actors import ActorSystem, AskTimeout, MailboxFull, Unavailable
from revaer.domain.commands import (
    CommandDone,
    EngineCommand,
    SetGlobalLimits,
    SettingsApplied,
    TorrentCommand,
)
from revaer.domain.errors import EngineDownError

SESSION_PATH = "engine.session"


class ActorGateway:
    """Implements `ports.gateway.Gateway` over the actor system."""

    def __init__(self, system: ActorSystem) -> None:
        """The system may be started later; until then everything is unavailable."""
        self._system = system

    def execute(self, command: TorrentCommand, *, timeout_s: float = 5.0) -> CommandDone:
        """Carry a torrent command out and wait for its outcome."""
        outcome: CommandDone = self._ask(command, timeout_s)
        return outcome

    def apply(self, command: SetGlobalLimits, *, timeout_s: float = 5.0) -> SettingsApplied:
        """Carry a session-wide command out and wait for its outcome."""
        outcome: SettingsApplied = self._ask(command, timeout_s)
        return outcome

    def _ask(self, command: EngineCommand, timeout_s: float) -> Any:
        try:
            return self._system.address(SESSION_PATH).ask(command, timeout_s=timeout_s)
        except Unavailable as error:
            raise EngineDownError(
                f"the engine is {error.state}; try again in {error.retry_after_s or 1:.0f} s"
            ) from error
        except MailboxFull as error:
            raise EngineDownError(
                "the engine has more commands waiting than it can hold; try again in a second"
            ) from error
        except AskTimeout as error:
            raise EngineDownError(
                f"the engine did not answer within {timeout_s:g} s; the command may still take "
                "effect"
            ) from error
