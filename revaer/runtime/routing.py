"""Which fact goes where: pure, one dictionary look-up per fact, order kept per receiver."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from revaer.domain import facts as f
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import Activity, TorrentStatus


class Receiver(Enum):
    """Who acts on a kind of fact."""

    SESSION = auto()
    BOARD = auto()


RECEIVERS: Final[dict[type[f.Fact], Receiver]] = {
    f.StatusReported: Receiver.BOARD,
    f.FilesProgressed: Receiver.BOARD,
    f.PieceFinished: Receiver.BOARD,
    f.PieceFailed: Receiver.BOARD,
    f.PeerJoined: Receiver.BOARD,
    f.PeerLeft: Receiver.BOARD,
    f.TrackerAnswered: Receiver.BOARD,
    f.TrackerRefused: Receiver.BOARD,
    f.AddFailed: Receiver.BOARD,
    # By way of the session: an add that fails at once must not be told of a torrent that the board
    # does not know yet, because the session's own answer is still on its way.
    f.FaultRaised: Receiver.SESSION,
    f.FaultCleared: Receiver.SESSION,
    # The session judges a magnet's file list before it lets the board show it.
    f.MetadataReceived: Receiver.SESSION,
    f.DownloadFinished: Receiver.SESSION,
    f.CacheFlushed: Receiver.SESSION,
    f.TorrentChecked: Receiver.SESSION,
    f.ResumeRejected: Receiver.SESSION,
    f.ResumeDataReady: Receiver.SESSION,
    f.ResumeDataFailed: Receiver.SESSION,
    f.TorrentGone: Receiver.SESSION,
    f.StorageMoved: Receiver.SESSION,
    f.StorageMoveFailed: Receiver.SESSION,
    f.FileRenamed: Receiver.SESSION,
    f.FileRenameFailed: Receiver.SESSION,
    f.TorrentExported: Receiver.SESSION,
    f.AlertsDropped: Receiver.SESSION,
    f.ListenSucceeded: Receiver.SESSION,
    f.ListenFailed: Receiver.SESSION,
    f.SessionFailed: Receiver.SESSION,
}
"""Facts that the engine reports; those that only the session makes up are not here."""

_BUSY: Final = frozenset({Activity.CHECKING, Activity.FETCHING_METADATA, Activity.DOWNLOADING})


@dataclass(slots=True)
class Routes:
    """One drain's facts by receiver.

    Attributes:
        session: what the session acts on.
        coalescers: what goes through a torrent's coalescer.
        board: what goes to the board directly: reports of torrents in which nothing moves.
    """

    session: list[f.Fact] = field(default_factory=list)
    coalescers: dict[InfoHash, list[f.TorrentFact]] = field(default_factory=dict)
    board: list[f.TorrentFact] = field(default_factory=list)


def route(facts: Iterable[f.Fact], active: Container[InfoHash]) -> Routes:
    """Sort facts by receiver.

    Args:
        facts: as drained.
        active: torrents whose coalescer is running: everything about them goes through it, so that
            nothing overtakes.

    Returns:
        The facts of each receiver, in order.
    """
    routes = Routes()
    coalescers = routes.coalescers
    for fact in facts:
        if RECEIVERS[type(fact)] is Receiver.SESSION:
            routes.session.append(fact)
            continue
        info_hash = fact.info_hash  # type: ignore[union-attr] # the board's facts name a torrent
        gathered = coalescers.get(info_hash)
        if gathered is not None:
            gathered.append(fact)  # type: ignore[arg-type] # as above
        elif info_hash in active or (type(fact) is f.StatusReported and is_active(fact.status)):
            coalescers[info_hash] = [fact]  # type: ignore[list-item] # as above
        else:
            routes.board.append(fact)  # type: ignore[arg-type] # as above
    return routes


def is_worth_a_coalescer(facts: Iterable[f.TorrentFact]) -> bool:
    """Whether these facts say that their torrent is active."""
    return any(isinstance(fact, f.StatusReported) and is_active(fact.status) for fact in facts)


def is_active(status: TorrentStatus) -> bool:
    """Whether a torrent's reports are worth an actor of their own: bytes move, or may soon."""
    if status.download_rate or status.upload_rate:
        return True
    return status.activity in _BUSY and not status.is_paused
