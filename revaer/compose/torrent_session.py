"""One torrent of the program that imports Revaer, and its events."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from revaer.compose.embed import PathText, dispatcher_for, path_text
from revaer.compose.resources import SharedResources
from revaer.compose.shared import SharedEngine, Source, read
from revaer.domain import commands as cmd
from revaer.domain.errors import (
    ClosedError,
    ConflictError,
    InvalidInputError,
    RevaerError,
    TorrentExistsError,
    TorrentFailedError,
    TorrentNotFoundError,
    UnavailableError,
)
from revaer.domain.ids import BytesPerSecond, InfoHash, Revision
from revaer.domain.selection import SelectionRules
from revaer.domain.session_events import (
    SESSION_STOPPED,
    Call,
    SessionEvent,
    SessionState,
    SessionStateEvent,
    Standing,
    StatsUpdateEvent,
    after,
    is_meant_to_run,
    state_of,
    stats_of,
)
from revaer.domain.torrent import StopReason, TorrentDescription, TorrentRecord
from revaer.runtime.callbacks import CAPACITY, Callback, CallbackSubscription, Dispatcher

LOOK_S: Final = 0.25
"""How late a wait sees what no event tells."""
NAMING_S: Final = 1.0
"""How long the engine's bare error waits for the fault that names its cause and the remedy."""


class SessionEvents:
    """The events of one torrent, or of all torrents of one manager."""

    def __init__(self, dispatcher: Dispatcher, info_hash: InfoHash | None = None) -> None:
        """Made by sessions and managers."""
        self._dispatcher = dispatcher
        self._info_hash = info_hash
        self._lock = threading.Lock()
        self._made: list[CallbackSubscription] = []

    def subscribe(self, event: str, callback: Callback) -> CallbackSubscription:
        """Have a function called with each `SessionEvent` that matches.

        Args:
            event: a name such as `piece.completed`, a group such as `piece.*`, or `*` for all but
                pieces and peers.
            callback: called in the dispatcher's thread; what it raises is logged.

        Returns:
            Something to unsubscribe with.

        Raises:
            InvalidInputError: no event can ever match, or the callback cannot be called.
        """
        refuse_no_callback(callback)
        made = self._dispatcher.subscribe(event, callback, self._info_hash)
        with self._lock:
            self._made = [*(one for one in self._made if one.is_active), made]
        return made

    def unsubscribe(self, subscription: CallbackSubscription | Callback) -> None:
        """Call it no more; idempotent, and fine inside of the callback.

        Args:
            subscription: what `subscribe` returned, or a callback, whatever it was subscribed to.
        """
        with self._lock:
            going = [
                one for one in self._made if one is subscription or one.callback == subscription
            ]
            self._made = [one for one in self._made if one not in going]
        for one in going:
            one.unsubscribe()

    def retire(self) -> None:
        """Call none of them any more, once they have heard what waits for them now."""
        with self._lock:
            going, self._made = self._made, []
        if going:
            self._dispatcher.retire(going)


def refuse_no_callback(callback: Callback | None) -> None:
    """Raise an InvalidInputError for what is there and cannot be called."""
    if callback is not None and not callable(callback):
        raise InvalidInputError(f"{callback!r} is no callback; give a function of one argument")


class TorrentSession:
    """One torrent. It stands still until `start`.

    Made by `TorrentManager.add`, or from a source on resources that it borrows: then it owns a
    reference to them until `close`.
    """

    def __init__(
        self,
        source: Source,
        resources: SharedResources,
        *,
        save_path: PathText | None = None,
        selection: SelectionRules | None = None,
        sequential: bool = False,
        peers: Sequence[tuple[str, int]] = (),
        on_event: Callback | None = None,
    ) -> None:
        """Add a torrent to the resources, or take over one that they know from earlier.

        Args:
            source: a torrent file's path or content, or a magnet link.
            resources: what it runs on.
            save_path: directory of the payload; the resources' download directory when None.
            selection: which files; all when None.
            sequential: fetch pieces in file order.
            peers: `(IP address, port)` to connect to at once.
            on_event: subscribed to `*` before anything happens.

        Raises:
            InvalidInputError: a source or path that cannot be used.
            TorrentExistsError: a manager or another session on these resources has it.
            ClosedError: the resources are freed.
            UnavailableError: the engine or the state directory is away.
        """
        refuse_no_callback(on_event)
        engine = resources.engine
        engine.refuse_closed()
        try:
            found, description = read(source)
            order = cmd.AddTorrent(
                source=found,
                save_path=None if save_path is None else path_text(save_path),
                paused=True,
                selection=selection if selection is not None else SelectionRules(),
                sequential=sequential,
                peers=tuple(peers),
            )
            info_hash = add_or_find(engine, order, description, self).info_hash
            dispatcher = dispatcher_for(
                engine.run,
                owns=lambda one: one == info_hash,
                torrents=lambda: (info_hash,),
                capacity=CAPACITY,
            )
            self._take(resources, dispatcher, info_hash, is_managed=False)
            resources.add_ref()  # last: one that was never made must not free them by letting go
        except BaseException:
            engine.leave(self)
            raise
        if on_event is not None:
            self.events.subscribe("*", on_event)

    @classmethod
    def managed(
        cls, resources: SharedResources, dispatcher: Dispatcher, info_hash: InfoHash
    ) -> Self:
        """The session of a torrent that a manager has; it lets go of it with `let_go`."""
        session = cls.__new__(cls)
        resources.add_ref()
        session._take(  # noqa: SLF001 one of our own
            resources, dispatcher, info_hash, is_managed=True
        )
        return session

    def _take(
        self,
        resources: SharedResources,
        dispatcher: Dispatcher,
        info_hash: InfoHash,
        *,
        is_managed: bool,
    ) -> None:
        self._resources = resources
        self._engine = resources.engine
        self._dispatcher = dispatcher
        self._is_managed = is_managed
        self._info_hash = info_hash
        self._lock = threading.RLock()
        self._is_closed = False
        self.events = SessionEvents(dispatcher, info_hash)
        """Where callbacks for this torrent are subscribed."""
        record = self._engine.record(info_hash)
        runs = record is not None and is_meant_to_run(record)
        self._standing = Standing.RUNNING if runs else Standing.STOPPED

    def __repr__(self) -> str:
        """Name the torrent."""
        return f"<TorrentSession {self.info_hash} {self.state}>"

    @property
    def info_hash(self) -> InfoHash:
        """The torrent's id: 40 hex digits, never changes."""
        return self._info_hash

    @property
    def resources(self) -> SharedResources:
        """What it runs on."""
        return self._resources

    @property
    def record(self) -> TorrentRecord | None:
        """Everything that is known of the torrent; None once it was removed."""
        return self._engine.record(self._info_hash)

    @property
    def name(self) -> str:
        """From the metadata, else from the magnet link, else the id."""
        record = self.record
        if record is None:
            return self._info_hash
        return record.metainfo.name if record.metainfo else record.spec.name

    @property
    def state(self) -> SessionState:
        """What it is doing; `stopped` once it is closed or removed."""
        record = self.record
        if record is None or self._is_closed or self._engine.is_closed:
            return SessionState.STOPPED
        return state_of(record, self._standing)

    @property
    def progress(self) -> float:
        """0 to 1 of the wanted bytes; while checking, how far the check is."""
        record = self.record
        return 0.0 if record is None else record.status.progress

    @property
    def is_complete(self) -> bool:
        """Whether every wanted byte is known to be in its file."""
        record = self.record
        return record is not None and record.is_complete

    @property
    def stats(self) -> StatsUpdateEvent:
        """Totals and rates as of now; what `stats.update` tells each second."""
        record = self.record
        if record is None:
            return StatsUpdateEvent(0, 0, 0, 0, 0, 0.0)
        return stats_of(record)

    @property
    def error(self) -> str:
        """Why it cannot go on by itself, with the remedy; empty when it can."""
        record = self.record
        return "" if record is None else _trouble_of(record)

    def start(self) -> None:
        """Run: for the first time, again, or anew after an error. Running already is no error.

        Raises:
            ClosedError: it is closed.
            TorrentNotFoundError: it was removed.
            UnavailableError: the engine or the state directory is away.
        """
        self.call(Call.START)

    def pause(self) -> None:
        """Stand still until `resume`; a session that does not run stays as it is."""
        self.call(Call.PAUSE)

    def resume(self) -> None:
        """Run again; one that was never started starts."""
        self.call(Call.RESUME)

    def stop(self) -> None:
        """Stand still until `start`; what was downloaded is kept."""
        self.call(Call.STOP)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the torrent is complete.

        Args:
            timeout_s: longest wait in seconds; None for no limit.

        Returns:
            Whether it is complete; False when the time is up.

        Raises:
            TorrentFailedError: it cannot go on by itself; says why, and what to do. After the cause
                is mended, `start` and wait again.
            TorrentNotFoundError: it was removed.
            ClosedError: it was closed meanwhile.
            UnavailableError: the engine failed for good.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        unnamed_since: float | None = None
        board = self._resources.board
        while True:
            revision = board.revision
            record = self._present()
            if record.is_complete:
                return True
            now = time.monotonic()
            trouble = _trouble_of(record)
            if trouble:
                unnamed_since = now if unnamed_since is None else unnamed_since
                if record.fault is not None or now - unnamed_since >= NAMING_S:
                    raise TorrentFailedError(f"{self.name}: {trouble}")
            else:
                unnamed_since = None
            left_s = LOOK_S if deadline is None else min(deadline - now, LOOK_S)
            if left_s <= 0:
                return False
            moved = board.wait_for(Revision(revision + 1), timeout_s=left_s)
            if not moved and self._engine.run.has_failed():
                self._present()  # a close is told as one
                raise UnavailableError(
                    f"the engine failed while {self.name} was waited for; what was saved is kept, "
                    "close this and open it again"
                )

    def select(self, selection: SelectionRules) -> None:
        """Choose files anew; kept until the metadata arrives where it is not known yet."""
        self._execute(cmd.SelectFiles(self._info_hash, selection=selection))

    def set_sequential(self, *, sequential: bool) -> None:
        """Fetch pieces in file order, or rarest first."""
        self._execute(cmd.SetSequential(self._info_hash, sequential))

    def set_limits(self, *, download: int, upload: int) -> None:
        """Limit this torrent: bytes per second, 0 unlimited."""
        self._execute(
            cmd.SetTorrentLimits(self._info_hash, BytesPerSecond(download), BytesPerSecond(upload))
        )

    def connect(self, peers: Iterable[tuple[str, int]]) -> None:
        """Try these peers now: `(IP address, port)`."""
        self._execute(cmd.ConnectPeers(self._info_hash, tuple(peers)))

    def recheck(self) -> None:
        """Read every file again and compare it with the metadata's hashes."""
        self._execute(cmd.RecheckTorrent(self._info_hash))

    def close(self) -> None:
        """Stop the torrent and let go of the resources; idempotent.

        Its state stays in the state directory: the same source on the same directory goes on from
        there. A session of a manager is let go of by the manager; closing it stops the torrent.
        """
        if self._engine.is_inherited:
            return
        with self._lock:
            if self._is_closed:
                return
            if not self._engine.is_closed and self.record is not None:
                with suppress(RevaerError):
                    self.stop()
            if self._is_managed:
                return
        self.let_go("the session was closed")
        self._dispatcher.close()
        self._engine.leave(self)

    def free(self) -> None:
        """The same as `close`."""
        self.close()

    def __enter__(self) -> Self:
        """Use it in a `with` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def call(self, call: Call) -> None:
        """What `start`, `pause`, `resume` and `stop` do."""
        with self._lock:
            record = self._present()
            standing = self._standing
            if record.spec.stop_reason is StopReason.SHARE_LIMIT:
                standing = Standing.STOPPED
            step = after(standing, call)
            runs = step.standing is Standing.RUNNING
            with self._dispatcher.telling_first() as told:
                if runs and (step.event or call is Call.START or _trouble_of(record)):
                    self._engine.execute(cmd.ResumeTorrent(self._info_hash))
                elif step.event and standing is Standing.RUNNING:
                    self._engine.execute(cmd.PauseTorrent(self._info_hash))
                self._standing = step.standing
                if step.event:
                    told.append(self.news(step.event))

    def news(self, name: str, message: str = "") -> SessionEvent:
        """The event of a change of the session's own, as things are now."""
        payload = SessionStateEvent(self._info_hash, self.state, message)
        return SessionEvent(name, self._info_hash, payload)

    def _execute(self, command: cmd.TorrentCommand) -> None:
        self._present()
        self._engine.execute(command)

    def _present(self) -> TorrentRecord:
        if self._is_closed:
            raise ClosedError(f"the session of {self._info_hash} is closed; open another")
        self._engine.refuse_closed()
        record = self.record
        if record is None:
            raise TorrentNotFoundError(f"{self._info_hash} was removed; add it again")
        return record

    def let_go(self, message: str) -> None:
        """End without a command to the engine; `message` tells why."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if self._standing is not Standing.STOPPED:
                self._standing = Standing.STOPPED
                self._dispatcher.tell(self.news(SESSION_STOPPED, message))
        self.events.retire()
        self._resources.release()


@dataclass(frozen=True, slots=True)
class Added:
    """A torrent that is there now; `is_new` when it was not before."""

    info_hash: InfoHash
    is_new: bool


def add_or_find(
    engine: SharedEngine,
    order: cmd.AddTorrent,
    description: TorrentDescription,
    owner: object,
    refuse_more: Callable[[], None] = lambda: None,
) -> Added:
    """Add a torrent for its owner, or find it."""
    hashes = (description.info_hash, description.infohash_v1, description.infohash_v2)
    while True:
        known = next((one for key in hashes if key and (one := engine.record(key))), None)
        if known is not None:
            engine.claim(known.info_hash, owner)
            if order.peers:
                with suppress(ConflictError):  # could not be loaded; its state says so
                    engine.execute(cmd.ConnectPeers(known.info_hash, order.peers))
            return Added(known.info_hash, is_new=False)
        refuse_more()
        engine.claim(description.info_hash, owner)
        try:
            return Added(engine.add(order), is_new=True)
        except TorrentExistsError:  # somebody else's call, or our own before a crash, was quicker
            if engine.record(description.info_hash) is None:
                raise
        except BaseException:
            engine.disclaim(description.info_hash)
            raise


def _trouble_of(record: TorrentRecord) -> str:
    return record.fault.message if record.fault is not None else record.status.error
