"""`TorrentEngine` on one libtorrent session."""

import time
from collections.abc import Sequence
from typing import Final

import libtorrent as lt

from revaer.adapters.libtorrent import metainfo, piece_order, resume, status
from revaer.adapters.libtorrent.alerts import reports_of
from revaer.adapters.libtorrent.core import FLAGS
from revaer.adapters.libtorrent.queries import Queries
from revaer.adapters.libtorrent.reconfigure import Reconfiguration
from revaer.adapters.libtorrent.registry import Entry, Removal
from revaer.adapters.libtorrent.storage import Storage
from revaer.adapters.libtorrent.tuning import Tuning
from revaer.domain.errors import InvalidTorrentError, TorrentExistsError
from revaer.domain.facts import Fact, ResumeRejected
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import Metainfo, StopReason
from revaer.ports.engine import EngineTorrent

_DUPLICATE: Final = "[libtorrent:19]"


class LibtorrentEngine(Queries, Tuning, Storage, Reconfiguration):
    """One libtorrent session behind the engine port.

    Commands may come from any thread. Only `drain` pops alerts, and only one thread may call it: an
    alert is freed at the next pop. Nothing here holds the GIL while libtorrent's network thread is
    waited for, except opening and the end of `close`.
    """

    def add(self, torrent: EngineTorrent) -> Metainfo | None:
        """See `TorrentEngine.add`; a blob that cannot be used costs a full check, not the call."""
        session = self._live()
        try:
            prepared = resume.prepare(
                torrent,
                is_queueing=self._is_queueing,
                is_exchanging_peers=self._is_exchanging_peers,
            )
        except (OverflowError, UnicodeError) as error:  # a number or text that no binding takes
            raise InvalidTorrentError(
                f"{torrent.spec.info_hash} cannot be handed to libtorrent: {metainfo.plain(error)}"
            ) from error
        params = prepared.params
        info = params.ti
        origin = metainfo.origin_of(params)
        trackers = len(params.tracker_tiers)
        readable = resume.readable_trackers(params)
        spec = torrent.spec
        info_hash = spec.info_hash
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
                trackers=readable,
                tracker_count=trackers,
                priorities=spec.priorities,
                has_first_last_pieces=spec.first_last_pieces,
                renames=dict(spec.renames),
                is_held=info is None,
                is_stopped=spec.stop_reason is not StopReason.NONE,
                is_metainfo_due=torrent.metainfo_data is None,
            )
            self._registry.register(entry, prepared.keys)
        piece_order.put_ends_first_again(entry)
        if not entry.is_stopped and (info is None or torrent.peers):
            self._reconnects.hurry(session)
        if prepared.rejected:
            self._tell(ResumeRejected(info_hash, prepared.rejected))
        if info is None:
            return None
        known = torrent.metainfo
        is_same = known is not None and (known.infohash_v1, known.infohash_v2) == prepared.hashes
        return known if is_same else metainfo.of_info(info, origin)

    def pause(self, info_hash: InfoHash) -> None:
        """See `TorrentEngine.pause`; the queue would undo a pause of an auto-managed torrent."""
        with self._torrent(info_hash) as entry:
            entry.is_stopped = True
            entry.handle.unset_flags(FLAGS.auto_managed | FLAGS.stop_when_ready)
            entry.handle.pause()

    def resume(self, info_hash: InfoHash, *, forced: bool, is_judged: bool = True) -> None:
        """See `TorrentEngine.resume`."""
        with self._torrent(info_hash) as entry:
            handle = entry.handle
            self._clear_error(entry)
            handle.unset_flags(FLAGS.stop_when_ready)
            is_held = not is_judged or handle.torrent_file() is None
            entry.is_stopped, entry.is_held = False, is_held
            if is_held:
                handle.set_flags(FLAGS.upload_mode)
            else:
                handle.unset_flags(FLAGS.upload_mode)
            if forced or is_held:
                handle.unset_flags(FLAGS.auto_managed)
            else:
                handle.set_flags(FLAGS.auto_managed)
            if forced or is_held or not self._is_queueing:
                handle.resume()
            self._reconnects.hurry(self._live())
            self._absolve(entry)
            if is_held:
                self._metainfo_of(entry)  # what was refused before is refused again

    def remove(self, info_hash: InfoHash, *, with_data: bool) -> None:
        """See `TorrentEngine.remove`; the ids are free again at once."""
        session = self._live()
        with self._torrent(info_hash) as entry:
            entry.removal = Removal.WITH_DATA if with_data else Removal.KEEP_DATA
            what = lt.session.delete_files if with_data else lt.session.delete_partfile
            with self._registry.adding:
                self._registry.retire(entry)
                session.remove_torrent(entry.handle, what)

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
            elif isinstance(alert, lt.torrent_resumed_alert):
                # Also by the queue, long after whoever asked for it: its peers are known, too.
                self._reconnects.hurry(session)
            else:
                for report in reports_of(alert, self._registry.of_handle):
                    facts += self._outcomes.settle(report)
        return facts

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

    def _refuse_known(self, key: str) -> None:
        known = self._registry.find(key)
        if known is not None:
            raise TorrentExistsError(f"{key} is here already, as {known.info_hash}")
