"""What the desks and watches of the session share."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from revaer.domain.errors import ConflictError, PathRefusedError, SelectionError
from revaer.domain.events import Event
from revaer.domain.facts import StatusReported, TorrentFact
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.paths import PathPolicy
from revaer.domain.selection import priorities_for
from revaer.domain.torrent import (
    Fault,
    FaultCode,
    FileEntry,
    Metainfo,
    TorrentSpec,
    files_of,
    renamed,
)
from revaer.ports.board import Board
from revaer.ports.engine import TorrentEngine
from revaer.ports.payload import PayloadFiles
from revaer.ports.resume_store import ResumeStore
from revaer.runtime.component_health import ComponentHealth
from revaer.runtime.engine_holder import EngineHolder
from revaer.runtime.holds import Holds
from revaer.runtime.roster import Roster
from revaer.runtime.saver import Saver


class Publisher(Protocol):
    """Announces events, in order."""

    def __call__(self, *events: Event) -> None:
        """Hand them to the hub; never waits."""
        ...


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
    clock: Callable[[], float]
    health: ComponentHealth
    publish: Publisher
    roster: Roster = field(default_factory=Roster)
    holds: Holds = field(default_factory=Holds)
    silent_places: set[str] = field(default_factory=set)
    """Save paths that do not answer: a look at a file there would hold the session up."""
    saver: Saver
    has_catalog: bool = False

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

    def judge(
        self,
        spec: TorrentSpec,
        files: Sequence[FileEntry],
        *,
        realpath: Callable[[str], str] = os.path.realpath,
    ) -> tuple[int, ...]:
        """Decide on a file list before a byte of it is written: the priorities, or a refusal.

        Args:
            spec: what is asked for.
            files: as the metadata names them.
            realpath: follows symbolic links; that of a start remembers, and waits for no dead disk.

        Raises:
            PathRefusedError: a file would lie outside the save path or in a reserved place, or the
                save path outside of the allowed directories.
            SelectionError: the rules leave nothing to download.
        """
        files = renamed(tuple(files), spec.renames)
        self.policy.resolve(spec.save_path, realpath=realpath)
        self.policy.check_files(spec.save_path, files, realpath=realpath)
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
            self.policy.check_files(spec.save_path, files_of(spec, metainfo))
        except PathRefusedError:
            return False
        return True

    def forget(self, info_hash: InfoHash) -> None:
        """Drop what is stored of a removed torrent.

        Where a catalog may still remember it, the tombstone stays until a start finds that it does
        not: else that start would bring the torrent back. It says no more that the data goes, too.
        """
        if self.has_catalog:
            self.store.bury(info_hash, with_data=False)
        else:
            self.store.forget(info_hash)

    def keep(self, spec: TorrentSpec, metainfo_data: bytes | None = None) -> None:
        """Store a spec, then remember it: what cannot be stored does not happen."""
        self.store.put(spec, metainfo_data)
        self.roster.put(spec)


class Watch(Protocol):
    """Something the session looks after once a second."""

    def tick(self) -> Iterable[TorrentFact]:
        """Look, act, and say what the board is to show. Quick: the session waits."""
        ...


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
    """The files that are downloaded, where they lie now; padding never reaches the disk."""
    files = metainfo.files
    priorities = spec.priorities or (1,) * len(files)
    return [
        entry
        for entry, priority in zip(renamed(files, spec.renames), priorities, strict=False)
        if priority > 0 and not entry.is_pad
    ]
