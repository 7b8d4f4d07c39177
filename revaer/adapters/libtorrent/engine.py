"""`TorrentEngine` on one libtorrent session."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import libtorrent as lt

from revaer.adapters.libtorrent import metainfo, profile, resume, status
from revaer.adapters.libtorrent.alerts import reports_of
from revaer.adapters.libtorrent.outcomes import Outcomes
from revaer.adapters.libtorrent.reconnect import Reconnects
from revaer.adapters.libtorrent.registry import Entry, Registry, Removal
from revaer.adapters.libtorrent.wake import WakePipe
from revaer.domain.errors import (
    EngineDownError,
    InvalidInputError,
    InvalidTorrentError,
    SelectionError,
    TorrentExistsError,
    TorrentNotFoundError,
)
from revaer.domain.facts import CacheFlushed, Fact, FaultCleared, ResumeRejected, StatusReported
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import Metainfo, TorrentDescription, TorrentSource, TorrentStatus
from revaer.ports.engine import EngineSettings, EngineTorrent

_DUPLICATE: Final = "[libtorrent:19]"
_FLAGS: Final = lt.torrent_flags


class LibtorrentEngine:
    """One libtorrent session behind the engine port.

    Commands may come from any thread. Only `drain` pops alerts, and only one thread may call it: an
    alert is freed at the next pop. Nothing here holds the GIL while libtorrent's network thread is
    waited for, except opening and the end of `close`.
    """

    def __init__(self, settings: EngineSettings) -> None:
        """Open a session and start to listen.

        Raises:
            InvalidInputError: a setting out of range.
        """
        pack = profile.settings_pack(settings)
        params = lt.session_params()
        params.disk_io_constructor = profile.disk_backend(settings.disk_backend)
        params.settings = pack
        self._is_queueing = profile.is_queueing(settings)
        self._registry = Registry()
        self._outcomes = Outcomes(self._registry)
        self._own_facts: deque[Fact] = deque()
        self._wake = WakePipe()
        self._reconnects = Reconnects()
        self._closing = threading.Lock()
        self._session: lt.session | None = lt.session(params)
        # Holds the GIL for a round trip: only here, before anything else runs.
        self._session.set_peer_class_filter(profile.every_peer_is_limited())
        self._session.set_alert_fd(self._wake.write_fd)

    def describe(self, source: TorrentSource) -> TorrentDescription:
        """See `MetainfoReader.describe`; needs no session."""
        return metainfo.describe(source)

    def add(self, torrent: EngineTorrent) -> Metainfo | None:
        """See `TorrentEngine.add`; a blob that cannot be used costs a full check, not the call."""
        session = self._live()
        prepared = resume.prepare(torrent, is_queueing=self._is_queueing)
        params = prepared.params
        info = params.ti
        origin = metainfo.origin_of(params)
        trackers = len(params.tracker_tiers)
        info_hash = torrent.spec.info_hash
        with self._registry.adding:
            for key in prepared.keys:
                self._refuse_known(key)
            try:
                handle = session.add_torrent(params)
            except (RuntimeError, KeyError, OverflowError, UnicodeError) as error:
                if _DUPLICATE in str(error):
                    raise TorrentExistsError(f"{info_hash} is here already") from error
                raise InvalidTorrentError(
                    f"{info_hash} was refused: {metainfo.plain(error)}"
                ) from error
            entry = Entry(
                info_hash=info_hash,
                handle=handle,
                origin=origin,
                tracker_count=trackers,
                is_metainfo_due=torrent.metainfo_data is None,
            )
            self._registry.register(entry, prepared.keys)
        if prepared.rejected:
            self._tell(ResumeRejected(info_hash, prepared.rejected))
        return None if info is None else metainfo.of_info(info, origin)

    def knows(self, info_hash: InfoHash) -> bool:
        """See `TorrentEngine.knows`."""
        self._live()
        entry = self._registry.find(info_hash)
        return entry is not None and entry.info_hash == info_hash

    def torrents(self) -> tuple[InfoHash, ...]:
        """See `TorrentEngine.torrents`."""
        self._live()
        return tuple(entry.info_hash for entry in self._registry.entries())

    def status(self, info_hash: InfoHash) -> TorrentStatus:
        """See `TorrentEngine.status`."""
        with self._torrent(info_hash) as entry:
            update = entry.handle.status(status.QUERY)
            facts = status.reports(
                [update], self._registry, sequence=time.monotonic_ns(), now=int(time.time())
            )
            for fact in facts[1:]:
                self._tell(fact)  # a fault that is over is news for everybody
            if facts and isinstance(facts[0], StatusReported):
                return facts[0].status
            raise TorrentNotFoundError(f"no torrent {info_hash} any more")

    def metainfo(self, info_hash: InfoHash) -> Metainfo | None:
        """See `TorrentEngine.metainfo`."""
        with self._torrent(info_hash) as entry:
            info = entry.handle.torrent_file()
            return None if info is None else metainfo.of_info(info, entry.origin)

    def pause(self, info_hash: InfoHash) -> None:
        """See `TorrentEngine.pause`; the queue would undo a pause of an auto-managed torrent."""
        with self._torrent(info_hash) as entry:
            entry.handle.unset_flags(_FLAGS.auto_managed | _FLAGS.stop_when_ready)
            entry.handle.pause()

    def resume(self, info_hash: InfoHash, *, forced: bool, is_judged: bool = True) -> None:
        """See `TorrentEngine.resume`."""
        with self._torrent(info_hash) as entry:
            handle = entry.handle
            handle.clear_error()
            handle.unset_flags(_FLAGS.stop_when_ready)
            is_held = not is_judged or handle.torrent_file() is None
            if is_held:
                handle.set_flags(_FLAGS.upload_mode)
            else:
                handle.unset_flags(_FLAGS.upload_mode)
            if forced or is_held:
                handle.unset_flags(_FLAGS.auto_managed)
            else:
                handle.set_flags(_FLAGS.auto_managed)
            if forced or is_held or not self._is_queueing:
                handle.resume()
            self._reconnects.hurry(self._live())
            self._absolve(entry)

    def recheck(self, info_hash: InfoHash) -> None:
        """See `TorrentEngine.recheck`; a stopped torrent runs for the check, then stops again."""
        with self._torrent(info_hash) as entry:
            handle = entry.handle
            if handle.torrent_file() is None:
                return  # a magnet without metadata has no files to hash
            flags = handle.flags()
            handle.clear_error()
            handle.unset_flags(_FLAGS.upload_mode)
            handle.force_recheck()
            if flags & _FLAGS.paused and not flags & _FLAGS.auto_managed:
                handle.set_flags(_FLAGS.stop_when_ready)
                handle.resume()
            self._absolve(entry)

    def remove(self, info_hash: InfoHash, *, with_data: bool) -> None:
        """See `TorrentEngine.remove`; the ids are free again at once."""
        session = self._live()
        with self._torrent(info_hash) as entry:
            entry.removal = Removal.WITH_DATA if with_data else Removal.KEEP_DATA
            what = lt.session.delete_files if with_data else lt.session.delete_partfile
            with self._registry.adding:
                self._registry.retire(entry)
                session.remove_torrent(entry.handle, what)

    def prioritize(self, info_hash: InfoHash, priorities: Sequence[int]) -> None:
        """See `TorrentEngine.prioritize`."""
        with self._torrent(info_hash) as entry:
            info = entry.handle.torrent_file()
            if info is None:
                raise SelectionError(f"the files of {info_hash} are not known yet")
            if len(priorities) != info.num_files():
                raise SelectionError(
                    f"{info_hash} has {info.num_files()} files, {len(priorities)} priorities given"
                )
            try:
                for priority in priorities:
                    resume.check_priority(priority)
            except InvalidInputError as error:
                raise SelectionError(str(error)) from error
            entry.handle.prioritize_files(list(priorities))

    def set_sequential(self, info_hash: InfoHash, *, sequential: bool) -> None:
        """See `TorrentEngine.set_sequential`."""
        with self._torrent(info_hash) as entry:
            if sequential:
                entry.handle.set_flags(_FLAGS.sequential_download)
            else:
                entry.handle.unset_flags(_FLAGS.sequential_download)

    def set_limits(
        self, info_hash: InfoHash, *, download: BytesPerSecond, upload: BytesPerSecond
    ) -> None:
        """See `TorrentEngine.set_limits`."""
        with self._torrent(info_hash) as entry:
            down = profile.rate_limit("download_limit", download)
            up = profile.rate_limit("upload_limit", upload)
            entry.handle.set_download_limit(down)
            entry.handle.set_upload_limit(up)

    def connect(self, info_hash: InfoHash, peers: Sequence[tuple[str, int]]) -> None:
        """See `TorrentEngine.connect`."""
        with self._torrent(info_hash) as entry:
            for peer in resume.check_peers(peers):
                entry.handle.connect_peer(peer)

    def file_progress(self, info_hash: InfoHash) -> tuple[int, ...]:
        """See `TorrentEngine.file_progress`."""
        with self._torrent(info_hash) as entry:
            return tuple(entry.handle.file_progress())

    def save(self, info_hash: InfoHash) -> None:
        """See `TorrentEngine.save`."""
        with self._torrent(info_hash) as entry:
            entry.handle.save_resume_data(
                lt.torrent_handle.save_info_dict | lt.torrent_handle.flush_disk_cache
            )

    def flush(self, info_hash: InfoHash) -> None:
        """See `TorrentEngine.flush`."""
        with self._torrent(info_hash) as entry:
            if entry.handle.torrent_file() is None:
                self._tell(CacheFlushed(entry.info_hash))  # libtorrent answers nothing
            else:
                entry.handle.flush_cache()

    def set_global_limits(self, *, download: BytesPerSecond, upload: BytesPerSecond) -> None:
        """See `TorrentEngine.set_global_limits`."""
        self._live().apply_settings(profile.limits_pack(download, upload))

    def global_limits(self) -> tuple[BytesPerSecond, BytesPerSecond]:
        """See `TorrentEngine.global_limits`."""
        settings = self._live().get_settings()
        return (
            BytesPerSecond(settings["download_rate_limit"]),
            BytesPerSecond(settings["upload_rate_limit"]),
        )

    def set_interest(self, topics: frozenset[str]) -> None:
        """See `TorrentEngine.set_interest`."""
        self._live().apply_settings({"alert_mask": profile.alert_mask(topics)})

    def request_updates(self) -> None:
        """See `TorrentEngine.request_updates`."""
        session = self._live()
        session.post_torrent_updates(status.QUERY)
        self._reconnects.settle(session)

    def request_all(self) -> None:
        """See `TorrentEngine.request_all`; the session itself only repeats what changed."""
        self._live()
        for entry in self._registry.entries():
            try:
                entry.handle.post_status(status.QUERY)
            except RuntimeError:
                continue  # removed a moment ago

    def wake_fd(self) -> int:
        """See `TorrentEngine.wake_fd`; valid until `close`."""
        self._live()
        return self._wake.read_fd

    def drain(self) -> Sequence[Fact]:
        """See `TorrentEngine.drain`; always pops, also when nothing woke the caller."""
        with self._closing:
            session = self._live()
            self._wake.clear()
        facts: list[Fact] = []
        while self._own_facts:
            facts.append(self._own_facts.popleft())
        sequence = time.monotonic_ns()
        now = int(time.time())
        for alert in session.pop_alerts():
            if isinstance(alert, lt.state_update_alert):
                facts += status.reports(alert.status, self._registry, sequence=sequence, now=now)
            else:
                for report in reports_of(alert, self._registry.of_handle):
                    facts += self._outcomes.settle(report)
        return facts

    def listen_ports(self) -> tuple[int, ...]:
        """See `TorrentEngine.listen_ports`; asked afresh, for a lost interface posts no alert."""
        session = self._live()
        port = session.listen_port() if session.is_listening() else 0
        return (port,) if port else ()

    def quiesce(self) -> None:
        """See `TorrentEngine.quiesce`."""
        self._live().pause()

    def close(self) -> None:
        """See `TorrentEngine.close`; calling it again does nothing.

        The session's destructor holds the GIL until stop announces were answered or timed out:
        nothing of that is left after `quiesce` and draining for as long as the timeout.
        """
        with self._closing:
            session, self._session = self._session, None
            if session is None:
                return
            session.set_alert_fd(-1)  # the number may belong to another file in a moment
            self._wake.close()
        del session

    def _live(self) -> lt.session:
        session = self._session
        if session is None:
            raise EngineDownError("the engine is closed; restart Revaer's engine")
        return session

    @contextmanager
    def _torrent(self, info_hash: InfoHash) -> Iterator[Entry]:
        self._live()
        entry = self._registry.find(info_hash)
        if entry is None:
            raise TorrentNotFoundError(f"no torrent {info_hash}")
        try:
            yield entry
        except RuntimeError as error:
            # The handle went stale between look-up and call.
            raise TorrentNotFoundError(f"no torrent {info_hash} any more") from error

    def _refuse_known(self, key: str) -> None:
        known = self._registry.find(key)
        if known is not None:
            raise TorrentExistsError(f"{key} is here already, as {known.info_hash}")

    def _absolve(self, entry: Entry) -> None:
        if entry.faults:
            entry.faults.clear()
            entry.is_fault_sticky = False
            self._tell(FaultCleared(entry.info_hash))

    def _tell(self, fact: Fact) -> None:
        self._own_facts.append(fact)
        with self._closing:
            if self._session is not None:
                self._wake.wake()
