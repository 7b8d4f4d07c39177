"""Revaer as a library: torrents inside of another program.

Three classes: `TorrentManager` looks after many torrents, `TorrentSession` is one of them,
`SharedResources` is what they share: one libtorrent session with its network, DHT, port mapping and
bandwidth. Nothing here ends the process, installs a signal handler, configures logging, or touches
the program's interpreter settings and actors of its own. All methods may be called from any thread,
callbacks included.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from revaer.compose.embed import (
    NetworkOptions,
    PathText,
    ResourceLimits,
    directory_at,
    dispatcher_for,
    open_run,
    path_text,
)
from revaer.compose.resources import MAX_CONNECTIONS, SharedResources
from revaer.compose.shared import Source, read
from revaer.compose.torrent_session import (
    SessionEvents,
    TorrentSession,
    add_or_find,
    refuse_no_callback,
)
from revaer.domain import commands as cmd
from revaer.domain.errors import (
    ClosedError,
    ConflictError,
    InvalidInputError,
    RevaerError,
    TooManyTorrentsError,
    TorrentNotFoundError,
)
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.selection import SelectionRules
from revaer.domain.session_events import SESSION_STARTED, Call, SessionEvent, is_meant_to_run
from revaer.ports.logs import logger
from revaer.runtime.callbacks import CAPACITY, Callback, CallbackSubscription

log = logger(__name__)

__all__ = ["NetworkOptions", "SharedResources", "TorrentManager", "TorrentSession"]


class TorrentManager:
    """Many torrents on one `SharedResources`.

    A context manager; without `with`, call `close`. Torrents of an earlier run in the same state
    directory are there again, and run again if they ran.
    """

    def __init__(
        self,
        download_dir: PathText | None = None,
        *,
        resources: SharedResources | None = None,
        state_dir: PathText | None = None,
        save_roots: Sequence[PathText] = (),
        network: NetworkOptions | None = None,
        max_torrents: int = 100,
        max_connections: int | None = None,
        max_active_downloads: int | None = None,
        max_active_seeds: int | None = None,
        global_download_limit: int | None = None,
        global_upload_limit: int | None = None,
        on_event: Callback | None = None,
        event_capacity: int = CAPACITY,
    ) -> None:
        """Open resources, or share some, and take over what is there from earlier.

        Args:
            download_dir: as for `SharedResources`; with `resources`, a directory in theirs, which
                the manager's torrents go to.
            resources: to share with others; what concerns them is given where they are made, so
                the arguments from `state_dir` to the limits are for a manager without.
            state_dir: as for `SharedResources`, like those that follow.
            save_roots: as above.
            network: as above.
            max_torrents: past it `add` raises; torrents from earlier are kept all the same.
            max_connections: as above, 200 when None.
            max_active_downloads: as above.
            max_active_seeds: as above.
            global_download_limit: as above, unlimited when None.
            global_upload_limit: as above.
            on_event: subscribed to `*` before anything happens, so it hears of torrents from
                earlier, too. May be called before this constructor has returned.
            event_capacity: events that wait for slow callbacks before the oldest are dropped.

        Raises:
            InvalidInputError: a path, a number or a combination that cannot be used.
            StoreLockedError: the state directory is in use, here or in another process.
            UnavailableError: the download directory cannot be made, or the engine did not start.
            ClosedError: the resources are freed.
        """
        if max_torrents < 1 or event_capacity < 1:
            raise InvalidInputError("max_torrents and event_capacity are at least 1")
        refuse_no_callback(on_event)
        self._max_torrents = max_torrents
        self._lock = threading.RLock()
        self._adding = threading.RLock()
        self._sessions: dict[InfoHash, TorrentSession] = {}
        self._is_closed = False
        self._is_gone = threading.Event()
        self._owns_resources = resources is None
        self._default_dir: str | None = None
        if resources is None:
            if download_dir is None:
                raise InvalidInputError("name a download_dir, or give resources to share")
            run = open_run(
                download_dir,
                state_dir=state_dir,
                save_roots=save_roots,
                network=network,
                limits=ResourceLimits(
                    max_connections=MAX_CONNECTIONS if max_connections is None else max_connections,
                    max_active_downloads=max_active_downloads,
                    max_active_seeds=max_active_seeds,
                    download=global_download_limit or 0,
                    upload=global_upload_limit or 0,
                ),
            )
            resources = SharedResources.over(run)
        else:
            given = {
                "state_dir": state_dir,
                "save_roots": save_roots or None,
                "network": network,
                "max_connections": max_connections,
                "max_active_downloads": max_active_downloads,
                "max_active_seeds": max_active_seeds,
                "global_download_limit": global_download_limit,
                "global_upload_limit": global_upload_limit,
            }
            misplaced = [name for name, value in given.items() if value is not None]
            if misplaced:
                raise InvalidInputError(
                    f"{', '.join(misplaced)} belong to the resources that are shared; give them "
                    "where those are made"
                )
            resources.engine.refuse_closed()
        self._resources = resources
        self._engine = resources.engine
        run = resources.engine.run
        directory = run.policy.resolve(None)
        if download_dir is not None and not self._owns_resources:
            directory = run.policy.resolve(directory_at(download_dir))
            self._default_dir = directory
        resources.add_ref()
        self._dispatcher = dispatcher_for(
            run,
            owns=lambda one: self._engine.owner_of(one) is self,
            torrents=lambda: self._engine.torrents_of(self),
            capacity=event_capacity,
        )
        self._events = SessionEvents(self._dispatcher)
        try:
            takes_all = self._owns_resources
            self._engine.inherit(
                self, lambda record: takes_all or _lies_in(record.spec.save_path, directory)
            )
            if on_event is not None:
                self._events.subscribe("*", on_event)
            with self._dispatcher.telling_first() as told:
                if self._owns_resources:
                    resources.launch()
                told.extend(self._take_over())
        except BaseException:
            self.close()
            raise

    # --- torrents --------------------------------------------------------------------------------

    def add(
        self,
        source: Source,
        *,
        start: bool = False,
        save_path: PathText | None = None,
        selection: SelectionRules | None = None,
        sequential: bool = False,
        peers: Sequence[tuple[str, int]] = (),
        download_limit: int = 0,
        upload_limit: int = 0,
        category: str = "",
        tags: Sequence[str] = (),
    ) -> TorrentSession:
        """Add a torrent, or get the session of one that is there, which stays as it is.

        Args:
            source: a torrent file's path or content, or a magnet link.
            start: run at once. Without it, subscribe first and call `start` then.
            save_path: directory of the payload; the manager's when None.
            selection: which files; all when None.
            sequential: fetch pieces in file order.
            peers: `(IP address, port)` to connect to at once.
            download_limit: bytes per second for this torrent; 0 unlimited.
            upload_limit: as above.
            category: a name to find it by.
            tags: more of them.

        Raises:
            InvalidInputError: a source, path, rule or number that cannot be used.
            TooManyTorrentsError: `max_torrents` are there already.
            TorrentExistsError: another user of the same resources has it.
            ClosedError: the manager is closed.
            UnavailableError: the engine or the state directory is away.
        """
        self._refuse_closed()
        found, description = read(source)
        order = cmd.AddTorrent(
            source=found,
            save_path=self._default_dir if save_path is None else path_text(save_path),
            paused=not start,
            selection=selection if selection is not None else SelectionRules(),
            sequential=sequential,
            peers=tuple(peers),
            download_limit=BytesPerSecond(download_limit),
            upload_limit=BytesPerSecond(upload_limit),
            category=category,
            tags=tuple(tags),
        )
        with self._adding:
            self._refuse_closed()
            self._forget_what_is_gone()  # a torrent that comes back gets a new session
            with self._dispatcher.telling_first() as told:
                added = add_or_find(self._engine, order, description, self, self._refuse_more)
                session = self._session_of(added.info_hash)
                if start and added.is_new:
                    told.append(session.news(SESSION_STARTED))
        self._dispatcher.torrents_moved()
        if start and not added.is_new:
            session.start()
        return session

    def remove(self, torrent: TorrentSession | str, *, with_data: bool = False) -> bool:
        """Forget a torrent; with `with_data` its files are deleted, too.

        Args:
            torrent: a session, or any hash of the torrent.
            with_data: delete the payload.

        Returns:
            Whether it was there.

        Raises:
            ClosedError: the manager is closed.
            UnavailableError: the engine or the state directory is away.
        """
        with self._adding:
            self._refuse_closed()
            asked = torrent.info_hash if isinstance(torrent, TorrentSession) else torrent
            session = self.get(asked)
            if session is None:
                return False
            with suppress(TorrentNotFoundError):  # a share limit was quicker
                self._engine.execute(cmd.RemoveTorrent(session.info_hash, with_data))
            with self._lock:
                self._sessions.pop(session.info_hash, None)
        self._let_go(session)
        self._dispatcher.torrents_moved()
        return True

    def get(self, info_hash: str) -> TorrentSession | None:
        """The session of a torrent, by any of its hashes; None when the manager has none."""
        record = self._engine.record(info_hash)
        if record is None:
            return None
        if self._is_closed:
            return self._sessions.get(record.info_hash)
        if self._engine.owner_of(record.info_hash) is not self:
            return None
        return self._session_of(record.info_hash)

    def all(self) -> tuple[TorrentSession, ...]:
        """Every session, in the order in which the torrents were added."""
        if self._is_closed:
            return tuple(self._sessions.values())
        self._forget_what_is_gone()
        return tuple(self._session_of(one) for one in self._engine.torrents_of(self))

    def pause_all(self) -> None:
        """Pause what runs.

        Raises:
            UnavailableError: the engine or the state directory is away; some may be paused.
        """
        self._each(Call.PAUSE)

    def resume_all(self) -> None:
        """Run everything; what was never started starts."""
        self._each(Call.RESUME)

    # --- events ----------------------------------------------------------------------------------

    def subscribe_all(self, event: str, callback: Callback) -> CallbackSubscription:
        """Have a function called for every torrent, also for those that are added later.

        Args and errors are those of `TorrentSession.events.subscribe`.
        """
        return self._events.subscribe(event, callback)

    def unsubscribe(self, subscription: CallbackSubscription | Callback) -> None:
        """Call it no more; idempotent, and fine inside of the callback."""
        self._events.unsubscribe(subscription)

    @property
    def dropped_events(self) -> int:
        """Events that were lost because callbacks were too slow."""
        return self._dispatcher.dropped

    # --- limits ----------------------------------------------------------------------------------

    @property
    def max_torrents(self) -> int:
        """Past it `add` raises."""
        return self._max_torrents

    @property
    def max_connections(self) -> int:
        """Peers of all torrents on the resources together."""
        return self._resources.max_connections

    @property
    def global_download_limit(self) -> int:
        """Bytes per second of all torrents on the resources together, 0 unlimited."""
        return self._resources.global_download_limit

    @property
    def global_upload_limit(self) -> int:
        """As above."""
        return self._resources.global_upload_limit

    @property
    def resources(self) -> SharedResources:
        """What the torrents run on."""
        return self._resources

    def set_limits(self, *, download: int, upload: int) -> None:
        """Limit all torrents on the resources together: bytes per second, 0 unlimited."""
        self._refuse_closed()
        self._resources.set_limits(download=download, upload=upload)

    def set_alternative_limits(self, *, download: int, upload: int) -> None:
        """The limits that hold while the alternative ones are on."""
        self._refuse_closed()
        self._resources.set_alternative_limits(download=download, upload=upload)

    def use_alternative_limits(self, *, enabled: bool) -> None:
        """Switch between the usual and the alternative limits."""
        self._refuse_closed()
        self._resources.use_alternative_limits(enabled=enabled)

    # --- end -------------------------------------------------------------------------------------

    def close(self) -> None:
        """Save everything, let go of the resources, and call no callback after that; idempotent.

        Torrents that ran run again with the next manager on the same state directory. Where the
        resources go on because others use them, the manager's torrents are stopped, and stay so.
        Works inside of a callback: then that callback is the last one, but for what waits already.
        In a forked child it does nothing.
        """
        if self._engine.is_inherited:
            return
        with self._lock:
            is_first, self._is_closed = not self._is_closed, True
        if not is_first:
            if not self._dispatcher.is_own_thread():
                self._is_gone.wait()
            return
        try:
            self._end()
        finally:
            self._is_gone.set()

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

    def _end(self) -> None:
        resources = self._resources
        if self._owns_resources:
            resources.free()  # first, so that its last events are told before the end is
        with self._adding, self._lock:  # after whoever adds just now
            sessions = tuple(self._sessions.values())
        go_on = not self._owns_resources and resources.ref_count > len(sessions) + 1
        if go_on and not resources.is_freed:
            self._stop_what_has_no_session(sessions)
        for session in sessions:
            if go_on and not resources.is_freed:
                session.close()  # stops it
            session.let_go("the manager was closed")
        resources.release()
        self._dispatcher.close()
        self._engine.leave(self)

    def _stop_what_has_no_session(self, sessions: Sequence[TorrentSession]) -> None:
        """An add that the close was quicker than leaves a torrent that nobody else would stop."""
        known = {session.info_hash for session in sessions}
        for info_hash in self._engine.torrents_of(self):
            if info_hash not in known:
                with suppress(RevaerError):
                    self._engine.execute(cmd.PauseTorrent(info_hash))

    def _take_over(self) -> Iterator[SessionEvent]:
        """Sessions for what is there from earlier; what ran runs, and that is said."""
        for info_hash in self._engine.torrents_of(self):
            self._engine.claim(info_hash, self)
            session = self._session_of(info_hash)
            record = session.record
            if record is not None and is_meant_to_run(record):
                yield session.news(SESSION_STARTED, "from an earlier run")

    def _session_of(self, info_hash: InfoHash) -> TorrentSession:
        with self._lock:
            session = self._sessions.get(info_hash)
            if session is None:
                if self._is_closed:
                    raise ClosedError("the manager was closed meanwhile; open another")
                session = TorrentSession.managed(self._resources, self._dispatcher, info_hash)
                self._sessions[info_hash] = session
            return session

    def _forget_what_is_gone(self) -> None:
        """Let go of sessions whose torrents were removed by a share limit."""
        with self._lock:
            gone = [one for one in self._sessions.values() if one.record is None]
            for session in gone:
                del self._sessions[session.info_hash]
        for session in gone:
            self._let_go(session)

    def _let_go(self, session: TorrentSession) -> None:
        session.let_go("the torrent was removed")
        self._engine.disclaim(session.info_hash)

    def _refuse_more(self) -> None:
        count = len(self._engine.torrents_of(self))
        if count >= self._max_torrents:
            raise TooManyTorrentsError(
                f"{count} torrents are here and max_torrents is {self._max_torrents}; remove one, "
                "or open the manager with more"
            )

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise ClosedError("the manager is closed; open another")
        self._engine.refuse_closed()

    def _each(self, call: Call) -> None:
        self._refuse_closed()
        for session in self.all():
            try:
                session.call(call)
            except (ConflictError, TorrentNotFoundError, InvalidInputError) as error:
                log.warning("torrent_refused", call=call.value, cause=str(error))


def _lies_in(path: str, directory: str) -> bool:
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")
