"""One libtorrent session for one or many torrents of the program that imports Revaer."""

import atexit
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from revaer.compose.embed import NetworkOptions, PathText, ResourceLimits, open_run
from revaer.compose.engine import EngineRun
from revaer.compose.shared import SharedEngine
from revaer.domain import commands as cmd
from revaer.domain.errors import ClosedError, ConflictError, UnavailableError
from revaer.domain.ids import BytesPerSecond
from revaer.domain.torrent import TorrentState
from revaer.ports.board import Board
from revaer.ports.event_feed import EventFeed

MAX_CONNECTIONS: Final = 200
_ACTIVE: Final = frozenset(
    {
        TorrentState.CHECKING,
        TorrentState.DOWNLOADING,
        TorrentState.SEEDING,
        TorrentState.STALLED,
    }
)


class SharedResources:
    """One libtorrent session for one or many torrents: network, DHT, port mapping, bandwidth.

    It counts who uses it: every session and every manager holds a reference until it is closed, and
    the last one to let go frees it. `free` does so at once, whoever still holds one; so does
    leaving a `with` block. Torrents that the state directory holds from earlier go on when it
    opens; a manager or session made on the resources takes them over.
    """

    def __init__(
        self,
        download_dir: PathText,
        *,
        state_dir: PathText | None = None,
        save_roots: Sequence[PathText] = (),
        network: NetworkOptions | None = None,
        max_connections: int = MAX_CONNECTIONS,
        max_active_downloads: int | None = None,
        max_active_seeds: int | None = None,
        global_download_limit: int = 0,
        global_upload_limit: int = 0,
    ) -> None:
        """Open the session and start it.

        Args:
            download_dir: where payload goes unless a torrent says otherwise; made where missing.
            state_dir: what Revaer remembers; `.revaer` in `download_dir` when None.
            save_roots: directories beside it that torrents may be saved in.
            network: how peers are reached.
            max_connections: peers of all torrents together.
            max_active_downloads: torrents downloading at once, the others wait; None for any
                number.
            max_active_seeds: as above, for seeding.
            global_download_limit: bytes per second; 0 unlimited.
            global_upload_limit: as above.

        Raises:
            InvalidInputError: a path or a number that cannot be used.
            StoreLockedError: the state directory is in use, here or in another process.
            UnavailableError: the download directory cannot be made, or the engine did not start.
        """
        limits = ResourceLimits(
            max_connections=max_connections,
            max_active_downloads=max_active_downloads,
            max_active_seeds=max_active_seeds,
            download=global_download_limit,
            upload=global_upload_limit,
        )
        self._take(
            open_run(
                download_dir,
                state_dir=state_dir,
                save_roots=save_roots,
                network=network,
                limits=limits,
            )
        )
        self.launch()

    @classmethod
    def over(cls, run: EngineRun) -> Self:
        """Use a run that was opened in another way; `launch` starts it, `free` ends it."""
        resources = cls.__new__(cls)
        resources._take(run)  # noqa: SLF001 one of our own
        return resources

    def _take(self, run: EngineRun) -> None:
        self._run = run
        self.engine = SharedEngine(run)
        """What sessions and managers share; no business of programs."""
        self._lock = threading.Lock()
        self._refs = 0
        self._is_freed = False
        self._is_gone = threading.Event()

    def launch(self) -> None:
        """Start the engine; the constructor has done so, after `over` it is for the caller to do.

        Raises:
            RevaerError: it could not be started; the resources are freed then.
        """
        try:
            self._run.start()
        except BaseException:
            self.free()
            raise
        atexit.register(self.free)  # for a program that forgets to

    @property
    def ref_count(self) -> int:
        """How many sessions, managers and callers of `add_ref` use this."""
        return self._refs

    @property
    def is_freed(self) -> bool:
        """Whether it is of no use any more."""
        return self._is_freed

    @property
    def active_torrents(self) -> int:
        """Torrents that are neither paused, waiting, stopped nor in error."""
        if self._is_freed:
            return 0
        return sum(record.state in _ACTIVE for record in self.board.records())

    @property
    def total_download_rate(self) -> int:
        """Payload bytes per second of all torrents."""
        if self._is_freed:
            return 0
        return sum(record.status.download_rate for record in self.board.records())

    @property
    def total_upload_rate(self) -> int:
        """Payload bytes per second of all torrents."""
        if self._is_freed:
            return 0
        return sum(record.status.upload_rate for record in self.board.records())

    @property
    def max_connections(self) -> int:
        """Peers of all torrents together."""
        return self._run.holder.memory.settings.max_connections

    @property
    def global_download_limit(self) -> int:
        """Bytes per second of all torrents together, 0 unlimited; as last set."""
        return self._run.holder.memory.settings.download_limit

    @property
    def global_upload_limit(self) -> int:
        """As above."""
        return self._run.holder.memory.settings.upload_limit

    @property
    def listen_port(self) -> int:
        """Where peers are accepted; 0 while nowhere."""
        with suppress(UnavailableError):
            return next(iter(self._run.holder.current().listen_ports()), 0)
        return 0

    @property
    def board(self) -> Board:
        """The read model behind all sessions: records with everything that is known."""
        return self._run.board

    @property
    def feed(self) -> EventFeed:
        """The service's own events, for programs that want more than the thirteen."""
        return self._run.feed

    def add_ref(self) -> None:
        """Hold on to it.

        Raises:
            ClosedError: it is freed.
        """
        self.engine.refuse_inherited()
        with self._lock:
            if self._is_freed:
                raise ClosedError("these resources are freed; open new ones")
            self._refs += 1

    def release(self) -> None:
        """Let go of it; the last one to do so frees it. Nothing happens once it is freed.

        Raises:
            ConflictError: nobody holds it.
        """
        if self.engine.is_inherited:
            return
        with self._lock:
            if self._is_freed:
                return
            if self._refs == 0:
                raise ConflictError("released more often than referenced; call add_ref first")
            self._refs -= 1
            is_last = self._refs == 0
        if is_last:
            self.free()

    def free(self) -> None:
        """Save everything and close the session, whoever still uses it; idempotent.

        Takes nine seconds at most. In a forked child it does nothing: the threads and the state are
        those of the process that opened them.
        """
        if self.engine.is_inherited:
            return
        with self._lock:
            is_first, self._is_freed = not self._is_freed, True
        if not is_first:
            self._is_gone.wait()
            return
        try:
            self.engine.is_closed = True
            self._run.stop()
        finally:
            atexit.unregister(self.free)
            self._is_gone.set()

    def close(self) -> None:
        """The same as `free`."""
        self.free()

    def set_limits(self, *, download: int, upload: int) -> None:
        """Limit all torrents together: bytes per second, 0 unlimited."""
        self.engine.apply(
            cmd.SetGlobalLimits(download=BytesPerSecond(download), upload=BytesPerSecond(upload))
        )

    def set_alternative_limits(self, *, download: int, upload: int) -> None:
        """The limits that hold while the alternative ones are on."""
        self.engine.apply(
            cmd.SetAlternativeLimits(
                download=BytesPerSecond(download), upload=BytesPerSecond(upload)
            )
        )

    def use_alternative_limits(self, *, enabled: bool) -> None:
        """Switch between the usual and the alternative limits."""
        self.engine.apply(cmd.UseAlternativeLimits(enabled))

    def __enter__(self) -> Self:
        """Use it in a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free it."""
        self.free()
