"""`TorrentEngine` on one libtorrent session."""

import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import libtorrent as lt

from revaer.adapters.libtorrent import metainfo, piece_order, resume, status
from revaer.adapters.libtorrent.alerts import reports_of
from revaer.adapters.libtorrent.core import FLAGS
from revaer.adapters.libtorrent.queries import Queries
from revaer.adapters.libtorrent.reconfigure import Reconfiguration
from revaer.adapters.libtorrent.registry import Entry, Removal, ids_of, keys_of
from revaer.adapters.libtorrent.resume import Prepared
from revaer.adapters.libtorrent.storage import Storage
from revaer.adapters.libtorrent.tuning import Tuning
from revaer.domain.errors import InvalidInputError, InvalidTorrentError, TorrentExistsError
from revaer.domain.facts import Fact, ResumeRejected
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import Metainfo, StopReason
from revaer.ports.engine import Added, EngineTorrent

_DUPLICATE: Final = "[libtorrent:19]"


_REFUSALS = (RuntimeError, KeyError, OverflowError, UnicodeError)


class LibtorrentEngine(Queries, Tuning, Storage, Reconfiguration):
    """One libtorrent session behind the engine port.

    Commands may come from any thread. Only `drain` pops alerts, and only one thread may call it: an
    alert is freed at the next pop. Nothing here holds the GIL while libtorrent's network thread is
    waited for, except opening and the end of `close`.
    """

    def add(self, torrent: EngineTorrent) -> Metainfo | None:
        """See `TorrentEngine.add`; a blob that cannot be used costs a full check, not the call."""
        session = self._live()
        prepared = self._prepared(torrent)
        with self._registry.adding:
            self._refuse_known(prepared)
            try:
                handle = session.add_torrent(prepared.params)
            except _REFUSALS as error:
                raise _refusal(torrent, error) from error
            entry = self._register(torrent, prepared, handle)
        return self._begun(torrent, prepared, entry)

    def add_all(self, torrents: Sequence[EngineTorrent]) -> tuple[Added, ...]:
        """See `TorrentEngine.add_all`; one round trip for all of them instead of one for each."""
        session = self._live()
        answers: dict[int, Added] = {}
        asked: dict[int, Prepared] = {}
        with self._registry.adding:
            known = self._registry.by_handle
            wanted: set[str] = set()
            for index, torrent in enumerate(torrents):
                try:
                    prepared = self._prepared(torrent)
                    self._refuse_known(prepared, wanted)
                    session.async_add_torrent(prepared.params)
                except (InvalidInputError, TorrentExistsError) as error:
                    answers[index] = error
                except _REFUSALS as error:
                    answers[index] = _refusal(torrent, error)
                else:
                    wanted |= prepared.keys
                    asked[index] = prepared
            # Answered by the network thread when it has dealt with all that was asked before.
            handles = {
                key: handle
                for handle in session.get_torrents()
                if handle not in known
                for key in keys_of(*ids_of(handle.info_hashes()))
            }
            entries: dict[int, Entry] = {}
            for index, prepared in asked.items():
                found = next((handles[key] for key in prepared.keys if key in handles), None)
                if found is None:
                    answers[index] = _refusal(torrents[index], "libtorrent did not take it")
                else:
                    entries[index] = self._register(torrents[index], prepared, found)
        for index, entry in entries.items():
            answers[index] = self._begun(torrents[index], asked[index], entry)
        return tuple(answers[index] for index in range(len(torrents)))

    def _prepared(self, torrent: EngineTorrent) -> Prepared:
        try:
            return resume.prepare(
                torrent,
                is_queueing=self._is_queueing,
                is_exchanging_peers=self._is_exchanging_peers,
            )
        except (OverflowError, UnicodeError) as error:  # a number or text that no binding takes
            raise InvalidTorrentError(
                f"{torrent.spec.info_hash} cannot be handed to libtorrent: {metainfo.plain(error)}"
            ) from error

    def _register(
        self, torrent: EngineTorrent, prepared: Prepared, handle: lt.torrent_handle
    ) -> Entry:
        """Remember a torrent that libtorrent has taken; whoever calls holds `adding`."""
        spec, params = torrent.spec, prepared.params
        entry = Entry(
            info_hash=spec.info_hash,
            handle=handle,
            origin=metainfo.origin_of(params),
            trackers=resume.readable_trackers(params),
            tracker_count=len(params.tracker_tiers),
            priorities=spec.priorities,
            has_first_last_pieces=spec.first_last_pieces,
            renames=dict(spec.renames),
            is_held=params.ti is None,
            is_stopped=spec.stop_reason is not StopReason.NONE,
            is_metainfo_due=torrent.metainfo_data is None,
        )
        self._registry.register(entry, prepared.keys)
        return entry

    def _begun(self, torrent: EngineTorrent, prepared: Prepared, entry: Entry) -> Metainfo | None:
        """Do what follows an add, and say what is known of the metadata."""
        info = prepared.params.ti
        piece_order.put_ends_first_again(entry)
        if not entry.is_stopped and (info is None or torrent.peers):
            self._reconnects.hurry(self._live())
        if prepared.rejected:
            self._tell(ResumeRejected(entry.info_hash, prepared.rejected))
        if info is None:
            return None
        known = torrent.metainfo
        is_same = known is not None and (known.infohash_v1, known.infohash_v2) == prepared.hashes
        return known if is_same else metainfo.of_info(info, entry.origin)

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

    def _refuse_known(self, prepared: Prepared, asked: AbstractSet[str] = frozenset()) -> None:
        for key in prepared.keys:
            known = self._registry.find(key)
            if known is not None:
                raise TorrentExistsError(f"{key} is here already, as {known.info_hash}")
            if key in asked:
                raise TorrentExistsError(f"{key} is named twice")


def _refusal(
    torrent: EngineTorrent, cause: Exception | str
) -> InvalidTorrentError | TorrentExistsError:
    info_hash = torrent.spec.info_hash
    if _DUPLICATE in str(cause):
        return TorrentExistsError(f"{info_hash} is here already")
    reason = cause if isinstance(cause, str) else metainfo.plain(cause)
    return InvalidTorrentError(f"{info_hash} was refused: {reason}")
