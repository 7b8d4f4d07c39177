"""One engine for several users in one program: whose torrent is whose, and calls that hold out."""

import os
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from revaer.adapters.libtorrent.metainfo import describe
from revaer.adapters.sources import read_source
from revaer.compose.engine import EngineRun
from revaer.domain import commands as cmd
from revaer.domain.errors import (
    ClosedError,
    ConflictError,
    EngineDownError,
    InvalidInputError,
    InvalidTorrentError,
    TorrentExistsError,
    UnavailableError,
)
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import (
    MagnetSource,
    MetainfoSource,
    TorrentDescription,
    TorrentRecord,
    TorrentSource,
)

T = TypeVar("T")

Source = str | os.PathLike[str] | bytes | MagnetSource | MetainfoSource
"""A torrent file's path or content, or a magnet link."""

COMMAND_S: Final = 30.0
RETRY_S: Final = 0.1
"""How often a call looks whether an engine that is being restarted is back."""
REMOVAL_S: Final = 10.0
"""How long adding waits for an earlier removal of the same torrent to end."""


class SharedEngine:
    """An engine's run, with owners of its torrents; any thread may call."""

    def __init__(self, run: EngineRun) -> None:
        """Nobody owns anything yet."""
        self.run = run
        self.is_closed = False
        """Set by whoever stops the run, before it does."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._owners: dict[InfoHash, object] = {}
        self._heirs: list[tuple[object, Callable[[TorrentRecord], bool]]] = []
        self._pause = threading.Event()  # never set: a wait that is no sleep

    @property
    def is_inherited(self) -> bool:
        """Whether this is a forked child, which has neither the threads nor a right to the state.

        Asked before any lock is taken: one that was held during the fork is never given back.
        """
        return os.getpid() != self._process

    def refuse_inherited(self) -> None:
        """Raise a ClosedError in a forked child."""
        if self.is_inherited:
            raise ClosedError(
                "these resources belong to the process that opened them, and not to a child that "
                "it forked; use them there, or open others here"
            )

    def refuse_closed(self) -> None:
        """Raise a ClosedError once the run is stopped, and in a forked child."""
        self.refuse_inherited()
        if self.is_closed:
            raise ClosedError("the resources behind this torrent are freed; open new ones")

    def record(self, any_hash: str) -> TorrentRecord | None:
        """What is known of a torrent, by any of its hashes."""
        return self.run.board.get(any_hash)

    # --- owners ----------------------------------------------------------------------------------

    def inherit(self, heir: object, takes: Callable[[TorrentRecord], bool]) -> None:
        """Let torrents that nobody owns be this one's; who comes first takes first."""
        with self._lock:
            self._heirs.append((heir, takes))

    def owner_of(self, info_hash: InfoHash) -> object | None:
        """Whose torrent it is; None when nobody claimed it."""
        with self._lock:
            owner = self._owners.get(info_hash)
            heirs = tuple(self._heirs) if owner is None else ()
        if heirs and (record := self.record(info_hash)) is not None:
            return next((heir for heir, takes in heirs if takes(record)), None)
        return owner

    def claim(self, info_hash: InfoHash, owner: object) -> None:
        """Make a torrent this one's.

        Raises:
            TorrentExistsError: it is somebody else's.
        """
        present = self.owner_of(info_hash)
        with self._lock:
            if self._owners.setdefault(info_hash, present or owner) is not owner:
                raise TorrentExistsError(
                    f"{info_hash} belongs to another manager or session on these resources; use "
                    "that one, or close it first"
                )

    def disclaim(self, info_hash: InfoHash) -> None:
        """Nobody owns this torrent any more."""
        with self._lock:
            self._owners.pop(info_hash, None)

    def leave(self, owner: object) -> None:
        """Give up everything that is this one's."""
        with self._lock:
            self._heirs = [one for one in self._heirs if one[0] is not owner]
            self._owners = {key: one for key, one in self._owners.items() if one is not owner}

    def torrents_of(self, owner: object) -> tuple[InfoHash, ...]:
        """Its torrents, in the order in which they were added."""
        return tuple(
            record.info_hash
            for record in self.run.board.records()
            if self.owner_of(record.info_hash) is owner
        )

    # --- calls -----------------------------------------------------------------------------------

    def execute(self, command: cmd.TorrentCommand, *, timeout_s: float = COMMAND_S) -> InfoHash:
        """Carry a command out; a restart of the engine meanwhile is waited for.

        Raises:
            ClosedError: the run is stopped.
            UnavailableError: the engine failed for good, or did not come back in time.
            RevaerError: the command was refused.
        """
        return self._hold_out(
            lambda left_s: self.run.gateway.execute(command, timeout_s=left_s).info_hash, timeout_s
        )

    def apply(self, command: cmd.SessionCommand, *, timeout_s: float = COMMAND_S) -> None:
        """Carry a session-wide command out; raises as `execute`."""
        self._hold_out(lambda left_s: self.run.gateway.apply(command, timeout_s=left_s), timeout_s)

    def add(self, command: cmd.AddTorrent) -> InfoHash:
        """Add a torrent, once an earlier removal of it has ended.

        Raises:
            TorrentExistsError: it is here already.
            RevaerError: as `execute`.
        """
        deadline = time.monotonic() + REMOVAL_S
        while True:
            try:
                return self.execute(command)
            except ConflictError as error:
                is_going = not isinstance(error, TorrentExistsError | ClosedError)
                if not is_going or time.monotonic() >= deadline:
                    raise
            self._pause.wait(RETRY_S)

    def _hold_out(self, call: Callable[[float], T], timeout_s: float) -> T:
        deadline = time.monotonic() + timeout_s
        while True:
            self.refuse_closed()
            left_s = deadline - time.monotonic()
            try:
                return call(max(left_s, RETRY_S))
            except EngineDownError as error:
                if self.is_closed:
                    raise ClosedError("the resources were freed during this call") from error
                if self.run.has_failed():
                    raise UnavailableError(
                        f"the engine failed and is not running: {error}; what was saved is kept, "
                        "close this and open it again"
                    ) from error
                if left_s <= RETRY_S:
                    raise
            self._pause.wait(RETRY_S)


def read(source: Source) -> tuple[TorrentSource, TorrentDescription]:
    """Read a source, and say what it is.

    Raises:
        InvalidTorrentError: neither a torrent file nor a magnet link that can be used.
        InvalidInputError: a path that cannot be read, or nothing that could be a source.
    """
    match source:
        case MagnetSource() | MetainfoSource():
            label, found = "the torrent", source
        case bytes():
            label, found = "the torrent", MetainfoSource(source)
        case str() | os.PathLike():
            one = read_source(os.fspath(source))
            label, found = one.label, one.source
        case _:
            raise InvalidInputError(
                f"{source!r} is no torrent; give a path, the bytes of a torrent file, or a magnet "
                "link"
            )
    try:
        return found, describe(found)
    except InvalidTorrentError as error:
        raise InvalidTorrentError(f"{label}: {error}") from error
