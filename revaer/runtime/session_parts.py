"""What the desks of the session share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from revaer.domain.errors import ConflictError, PathRefusedError, SelectionError
from revaer.domain.facts import StatusReported, TorrentFact
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.paths import PathPolicy
from revaer.domain.selection import priorities_for
from revaer.domain.torrent import Fault, FaultCode, FileEntry, Metainfo, TorrentSpec
from revaer.ports.board import Board
from revaer.ports.engine import TorrentEngine
from revaer.ports.payload import PayloadFiles
from revaer.ports.resume_store import ResumeStore
from revaer.runtime.engine_holder import EngineHolder
from revaer.runtime.roster import Roster
from revaer.runtime.saver import Saver


@dataclass(slots=True, kw_only=True)
class SessionParts:
    """One session actor generation's tools and memory."""

    engine: TorrentEngine
    holder: EngineHolder
    store: ResumeStore
    policy: PathPolicy
    files: PayloadFiles
    board: Board
    wall_clock: Callable[[], float]
    roster: Roster = field(default_factory=Roster)
    saver: Saver

    def now(self) -> EpochSeconds:
        """The wall clock in whole seconds."""
        return EpochSeconds(int(self.wall_clock()))

    def fresh(self, info_hash: InfoHash) -> StatusReported:
        """A report newer than anything that waits in a coalescer."""
        return StatusReported(info_hash, self.engine.status(info_hash))

    def running(self, any_hash: str) -> TorrentSpec:
        """The spec of a torrent that the engine has.

        Raises:
            ConflictError: it is stored but could not be loaded, or it is being removed.
            TorrentNotFoundError: no torrent has this hash.
        """
        spec = self.roster.get(any_hash)
        if not self.engine.knows(spec.info_hash):
            raise ConflictError(
                f"{spec.name} could not be loaded at the start; remove it and add it again"
            )
        return spec

    def judge(self, spec: TorrentSpec, files: Sequence[FileEntry]) -> tuple[int, ...]:
        """Decide on a file list before a byte of it is written: the priorities, or a refusal.

        Raises:
            PathRefusedError: a file would lie outside the save path or in a reserved place, or the
                save path outside of the allowed directories.
            SelectionError: the rules leave nothing to download.
        """
        self.policy.resolve(spec.save_path)
        self.policy.check_files(spec.save_path, files)
        if spec.priorities or spec.selection.is_empty:
            return spec.priorities
        return priorities_for(spec.selection, files)

    def may_delete(self, spec: TorrentSpec) -> bool:
        """Whether the files that the engine would delete are the torrent's own.

        A refused file list names places of others, and not one byte of it was written.
        """
        metainfo = self.engine.metainfo(spec.info_hash)
        if metainfo is None:
            return False  # it has no files yet, and a list that comes now was not judged
        try:
            self.policy.resolve(spec.save_path)
            self.policy.check_files(spec.save_path, metainfo.files)
        except PathRefusedError:
            return False
        return True

    def keep(self, spec: TorrentSpec, metainfo_data: bytes | None = None) -> None:
        """Store a spec, then remember it: what cannot be stored does not happen."""
        self.store.put(spec, metainfo_data)
        self.roster.put(spec)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command brought about, before the board shows it."""

    info_hash: InfoHash
    facts: tuple[TorrentFact, ...]


def fault_of(refusal: PathRefusedError | SelectionError) -> Fault:
    """A refused file list as the fault that people see on the torrent."""
    refused = isinstance(refusal, PathRefusedError)
    return Fault(FaultCode.PATH_REFUSED if refused else FaultCode.NOTHING_SELECTED, str(refusal))


def wanted_files(spec: TorrentSpec, metainfo: Metainfo) -> Sequence[FileEntry]:
    """The files that are downloaded; padding never reaches the disk."""
    priorities = spec.priorities or (1,) * len(metainfo.files)
    return [
        entry
        for entry, priority in zip(metainfo.files, priorities, strict=False)
        if priority > 0 and not entry.is_pad
    ]
