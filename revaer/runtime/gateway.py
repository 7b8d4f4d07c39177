"""The way from threads that are not actors to the engine, in the domain's errors only."""

from typing import Any

from actors import ActorSystem, AskTimeout, MailboxFull, Unavailable
from revaer.domain.commands import (
    CommandDone,
    EngineCommand,
    ExportTorrent,
    SessionCommand,
    SettingsApplied,
    TorrentCommand,
)
from revaer.domain.details import PeerInfo, PieceState, TrackerInfo
from revaer.domain.errors import EngineDownError
from revaer.domain.ids import InfoHash
from revaer.domain.queries import (
    DetailsQuery,
    ListPeers,
    ListPieces,
    ListTrackers,
    ListWebSeeds,
)

SESSION_PATH = "engine.session"
DETAILS_PATH = "engine.details"


class ActorGateway:
    """Implements `ports.gateway.Gateway` over the actor system."""

    def __init__(self, system: ActorSystem) -> None:
        """The system may be started later; until then everything is unavailable."""
        self._system = system

    def execute(self, command: TorrentCommand, *, timeout_s: float = 5.0) -> CommandDone:
        """Carry a torrent command out and wait for its outcome."""
        outcome: CommandDone = self._ask(command, timeout_s)
        return outcome

    def export(self, info_hash: InfoHash, *, timeout_s: float = 5.0) -> bytes:
        """Ask for a torrent file."""
        data: bytes = self._ask(ExportTorrent(info_hash), timeout_s)
        return data

    def apply(self, command: SessionCommand, *, timeout_s: float = 5.0) -> SettingsApplied:
        """Carry a session-wide command out and wait for its outcome."""
        outcome: SettingsApplied = self._ask(command, timeout_s)
        return outcome

    def peers(self, info_hash: InfoHash, *, timeout_s: float = 2.0) -> tuple[PeerInfo, ...]:
        """Ask who is connected."""
        peers: tuple[PeerInfo, ...] = self._ask(ListPeers(info_hash), timeout_s)
        return peers

    def trackers(self, info_hash: InfoHash, *, timeout_s: float = 2.0) -> tuple[TrackerInfo, ...]:
        """Ask where it announces."""
        trackers: tuple[TrackerInfo, ...] = self._ask(ListTrackers(info_hash), timeout_s)
        return trackers

    def web_seeds(self, info_hash: InfoHash, *, timeout_s: float = 2.0) -> tuple[str, ...]:
        """Ask which HTTP addresses it fetches from."""
        urls: tuple[str, ...] = self._ask(ListWebSeeds(info_hash), timeout_s)
        return urls

    def pieces(self, info_hash: InfoHash, *, timeout_s: float = 2.0) -> tuple[PieceState, ...]:
        """Ask how far each piece is."""
        pieces: tuple[PieceState, ...] = self._ask(ListPieces(info_hash), timeout_s)
        return pieces

    def _ask(self, question: EngineCommand | DetailsQuery, timeout_s: float) -> Any:
        is_query = isinstance(question, DetailsQuery)
        path = DETAILS_PATH if is_query else SESSION_PATH
        try:
            return self._system.address(path).ask(question, timeout_s=timeout_s)
        except Unavailable as error:
            raise EngineDownError(
                f"the engine is {error.state}; try again in {error.retry_after_s or 1:.0f} s"
            ) from error
        except MailboxFull as error:
            raise EngineDownError(
                "the engine has more commands waiting than it can hold; try again in a second"
            ) from error
        except AskTimeout as error:
            hint = "ask again later" if is_query else "the command may still take effect"
            raise EngineDownError(
                f"the engine did not answer within {timeout_s:g} s; {hint}"
            ) from error
