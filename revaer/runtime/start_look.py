"""Looks at the storage of each torrent before it is run: what is away must not be checked.

libtorrent looks at the files of a torrent as soon as it is added, stopped or not: where they are
missing it drops what it knew of them, makes empty files and folders in the mount point, and begins
to download anew.
"""

import os
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from revaer.domain.ids import NEVER
from revaer.domain.storage import (
    FilesAsked,
    FilesSeen,
    PlaceKind,
    PlaceSeen,
    absence,
    absent_fault,
    missing_fault,
)
from revaer.domain.torrent import FileEntry, TorrentSpec
from revaer.ports.payload import PayloadFiles
from revaer.runtime.holds import Hold

R = TypeVar("R")

PATIENCE_S = 5.0
"""A disk that is asleep wakes within this time; one that does not answer counts as absent."""

LEAST_PATIENCE_S = 0.05
"""After each silence half as long is waited, down to this: hundreds of save paths on one dead
network disk must not use up the session's time to start. Who is counted as absent by mistake goes
on unchecked once the probe has looked."""


class StartLook:
    """Decides which torrents are held from their start on.

    The looks run in a thread of their own, which is left behind when a disk does not answer:
    nothing can end its wait, and the session's start must not share it.
    """

    def __init__(
        self,
        files: PayloadFiles,
        clock: Callable[[], float],
        *,
        patience_s: float = PATIENCE_S,
        realpath: Callable[[str], str] = os.path.realpath,
    ) -> None:
        """No thread is started before the first look."""
        self._files = files
        self._clock = clock
        self._patience_s = patience_s
        self._follow = realpath
        self._real: dict[str, str] = {}
        self._places: dict[str, PlaceSeen] = {}
        self._looker: _Looker | None = None

    def hold_for(
        self, spec: TorrentSpec, files: Sequence[FileEntry], *, has_blob: bool, recheck: bool
    ) -> Hold | None:
        """Say whether a torrent must wait for its storage.

        Args:
            spec: what is asked for.
            files: those that are wanted, where they lie; empty when they are not known.
            has_blob: there is resume data, which knows whether the torrent had any bytes.
            recheck: the resume data of an incomplete torrent is not trusted.

        Returns:
            A hold that is in doubt where only the resume data can tell; None to run it.
        """
        was_complete = spec.completed_at != NEVER
        if spec.moving_to or not (has_blob or was_complete):
            return None
        must_check = not has_blob or (recheck and not was_complete)
        away = absence(self._place(spec.save_path))
        if away is not None:
            fault = absent_fault(spec.save_path, away.reason)
            return self._hold(Hold(fault=fault, is_doubt=has_blob, must_check=must_check))
        if not was_complete or not has_blob or not files:
            return None
        missing = self._missing(spec, tuple(files))
        if missing is None:
            fault = absent_fault(spec.save_path, _SILENT)
        elif missing:
            fault = missing_fault(spec.save_path, missing)
        else:
            return None
        return self._hold(Hold(fault=fault, is_doubt=True))

    def realpath(self, path: str) -> str:
        """Follow symbolic links, once per path: most torrents lie in a few directories.

        What does not answer counts as absent and is taken as it is: a save path had no links left
        when it was stored.
        """
        real = self._real.get(path)
        if real is None:
            found = self._look(lambda: self._follow(path))
            if found is None:
                self._places[path] = _silent(path)
            real = self._real[path] = path if found is None else found
        return real

    def end(self) -> None:
        """Let the thread go."""
        if self._looker is not None:
            self._looker.end()

    def _hold(self, hold: Hold) -> Hold:
        hold.since = self._clock()
        return hold

    def _place(self, path: str) -> PlaceSeen:
        seen = self._places.get(path)
        if seen is None:
            found = self._look(lambda: self._files.place(path))
            seen = self._places[path] = _silent(path) if found is None else found
        return seen

    def _missing(self, spec: TorrentSpec, files: tuple[FileEntry, ...]) -> tuple[str, ...] | None:
        path = spec.save_path
        sizes = self._look(lambda: self._files.sizes(path, files))
        if sizes is None:
            self._places[path] = _silent(path)
            return None
        return FilesSeen(FilesAsked(spec.info_hash, path, files), sizes).missing

    def _look(self, look: Callable[[], R]) -> R | None:
        """What a look found, or None when it takes too long."""
        if self._looker is None:
            self._looker = _Looker()
        errand = _Errand(look)
        self._looker.errands.put(errand)
        if not errand.is_open.acquire(timeout=self._patience_s):
            self._looker.end()
            self._looker = None
            self._patience_s = max(self._patience_s / 2, min(self._patience_s, LEAST_PATIENCE_S))
            return None
        if errand.error is not None:
            raise errand.error
        return errand.found


_SILENT = "does not answer"


def _silent(path: str) -> PlaceSeen:
    return PlaceSeen(path=path, kind=PlaceKind.ABSENT, problem=_SILENT)


@dataclass(slots=True)
class _Errand(Generic[R]):
    look: Callable[[], R]
    found: R | None = None
    error: Exception | None = None
    is_open: threading.Lock = field(default_factory=threading.Lock)
    """Held until the errand is done; an `Event` costs several times as much."""

    def __post_init__(self) -> None:
        self.is_open.acquire()

    def run(self) -> None:
        try:
            self.found = self.look()
        except Exception as error:  # noqa: BLE001 raised again where it is waited for
            self.error = error
        self.is_open.release()


class _Looker:
    """A thread that runs errands until it is told to end; it keeps no process from exiting."""

    def __init__(self) -> None:
        self.errands: queue.SimpleQueue[_Errand[Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="start-look", daemon=True).start()

    def end(self) -> None:
        self.errands.put(None)

    def _run(self) -> None:
        while (errand := self.errands.get()) is not None:
            errand.run()
