"""A torrent engine without a network: everything happens when a control says so."""

import time
from collections.abc import Sequence

from revaer.adapters.memory import metainfo as reader
from revaer.adapters.memory.blobs import Blob, BlobError, read_blob
from revaer.adapters.memory.core import check_settings, is_queueing, rate_limit, stand_still
from revaer.adapters.memory.simulated import SimulatedTorrent
from revaer.adapters.memory.storage import Storage
from revaer.adapters.memory.tuning import Tuning
from revaer.domain import engine_input
from revaer.domain import facts as f
from revaer.domain.errors import InvalidInputError, InvalidTorrentError, TorrentExistsError
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import (
    MagnetSource,
    Metainfo,
    MetainfoSource,
    StopReason,
    TorrentDescription,
    TorrentSource,
    TorrentSpec,
    TorrentStatus,
)
from revaer.ports.engine import Added, EngineSettings, EngineTorrent


class MemoryEngine(Tuning, Storage):
    """`TorrentEngine` as a simulation.

    Time stands still until `advance`, and no byte moves but through `progress`, `finish`, `upload`,
    or `advance` with an `auto_rate`. Every call and control is thread-safe.
    """

    def describe(self, source: TorrentSource) -> TorrentDescription:
        """Say what a source is; needs no session."""
        with self._lock:
            self._fail_if_told("describe")
        return reader.describe(source)

    def add(self, torrent: EngineTorrent) -> Metainfo | None:
        """Run a torrent; a blob that cannot be used costs a full check, not the call."""
        spec = torrent.spec
        with self._call("add", spec.info_hash):
            engine_input.check_save_path(spec.save_path)
            for priority in spec.priorities:
                engine_input.check_priority(priority)
            for _, path in spec.renames:
                engine_input.check_file_path(path)
            engine_input.check_peers(torrent.peers)
            blob, rejected = _blob_of(torrent)
            described, data = _source_of(torrent, blob)
            keys = reader.keys_of(described.infohash_v1, described.infohash_v2)
            if spec.info_hash not in keys:
                raise InvalidTorrentError(f"the source is another torrent than {spec.info_hash}")
            keys |= reader.keys_of(spec.infohash_v1, spec.infohash_v2)
            for key in keys:
                if key in self._by_key:
                    raise TorrentExistsError(
                        f"{key} is here already, as {self._by_key[key].info_hash}"
                    )
            one = self._simulated(spec, described, set(keys))
            one.asked_peers += torrent.peers
            one.is_metainfo_due = torrent.metainfo_data is None
            self._by_key.update(dict.fromkeys(keys, one))
            self._line_up(one)
            if rejected:
                self._tell(f.ResumeRejected(spec.info_hash, rejected))
            if described.metainfo is not None:
                one.learn(described.metainfo, data, one.priorities)
            is_recheck = torrent.recheck and not torrent.is_absent
            self._begin(one, blob, is_recheck=is_recheck, is_absent=torrent.is_absent)
            return one.metainfo

    def add_all(self, torrents: Sequence[EngineTorrent]) -> tuple[Added, ...]:
        """Run many torrents; one that is refused keeps none of the others back."""
        answers: list[Added] = []
        for torrent in torrents:
            try:
                answers.append(self.add(torrent))
            except (InvalidInputError, TorrentExistsError) as error:
                answers.append(error)
        return tuple(answers)

    def knows(self, info_hash: InfoHash) -> bool:
        """Whether the engine runs this torrent."""
        with self._call("knows"):
            one = self._by_key.get(info_hash)
            return one is not None and one.info_hash == info_hash

    def torrents(self) -> tuple[InfoHash, ...]:
        """The ids of all torrents."""
        with self._call("torrents"):
            return tuple(one.info_hash for one in self._all())

    def status(self, info_hash: InfoHash) -> TorrentStatus:
        """One fresh report."""
        with self._torrent("status", info_hash) as one:
            self._number_queue()
            return one.report(time.monotonic_ns())

    def metainfo(self, info_hash: InfoHash) -> Metainfo | None:
        """The torrent's metadata, or None while it is being fetched."""
        with self._torrent("metainfo", info_hash) as one:
            return one.metainfo

    def pause(self, info_hash: InfoHash) -> None:
        """Stop and stay stopped."""
        with self._torrent("pause", info_hash) as one:
            one.is_auto_managed = False
            one.is_paused = one.is_stopped = True
            one.stops_when_checked = False
            stand_still(one)

    def resume(self, info_hash: InfoHash, *, forced: bool, is_judged: bool = True) -> None:
        """Run, under the queue or past it; errors are cleared first."""
        with self._torrent("resume", info_hash) as one:
            one.is_auto_managed = not forced
            one.is_paused = one.is_stopped = False
            one.is_held = not is_judged or one.metainfo is None
            one.stops_when_checked = False
            one.touch()
            self._absolve(one)

    def remove(self, info_hash: InfoHash, *, with_data: bool) -> None:
        """Let go of a torrent; its ids are free again at once."""
        with self._torrent("remove", info_hash) as one:
            for key in one.keys:
                self._by_key.pop(key, None)
            self._is_line_stale = True
            reason = self._undeletable.pop(one.info_hash, "") if with_data else ""
            if with_data and not reason:
                one.delete_payload()
            else:
                one.flush()
            self._tell(
                f.TorrentGone(one.info_hash, data_deleted=with_data and not reason, reason=reason)
            )

    def set_global_limits(self, *, download: BytesPerSecond, upload: BytesPerSecond) -> None:
        """Limit the session; 0 means unlimited."""
        with self._call("set_global_limits"):
            self._limits = (
                rate_limit("download_limit", download),
                rate_limit("upload_limit", upload),
            )

    def apply(self, settings: EngineSettings) -> None:
        """Change the session: limits, queueing, listening and banned peers are honoured."""
        with self._call("apply"):
            check_settings(settings)
            was_listening_on, self._settings = self._settings.listen, settings
            self._limits = (settings.download_limit, settings.upload_limit)
            self._is_queueing = is_queueing(settings)
            for one in self._all():
                if not self._is_queueing and one.is_auto_managed and not one.error:
                    one.is_paused = False
                    one.touch()
                for address in self._banned_among(one):
                    self._part(one, address, "banned")
            if settings.listen != was_listening_on or not self._ports:
                self._ports = tuple(self._open_ports())

    def absent_interfaces(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those that `go_deaf` took away quietly."""
        with self._call("absent_interfaces"):
            if self._deaf_reason:
                return ()
            gone = {interface.rpartition(":")[0].strip("[]") for interface in self._gone_interfaces}
            return tuple(name for name in names if name in gone)

    def suspend(self, *, suspended: bool) -> None:
        """Part with all peers; nobody joins before the suspension ends."""
        with self._call("suspend"):
            self._is_suspended = suspended
            for one in self._all() if suspended else ():
                for address in tuple(one.peers):
                    self._part(one, address, "suspended")

    def global_limits(self) -> tuple[BytesPerSecond, BytesPerSecond]:
        """The session's limits: download, upload."""
        with self._call("global_limits"):
            return self._limits if self._stale_limits is None else self._stale_limits

    def set_interest(self, topics: frozenset[str]) -> None:
        """Report pieces and peers only while somebody listens."""
        with self._call("set_interest"):
            self._interest = topics

    def request_updates(self) -> None:
        """Report every torrent that changed since the last request."""
        with self._call("request_updates"):
            self._report(one for one in self._all() if one.has_changed)

    def request_all(self) -> None:
        """Report every torrent."""
        with self._call("request_all"):
            self._report(self._all())

    def wake_fd(self) -> int:
        """A descriptor that is readable while facts wait; valid until `close`."""
        with self._call("wake_fd"):
            return self._wake.read_fd

    def drain(self) -> Sequence[f.Fact]:
        """Take what happened since the last call, in order."""
        with self._call("drain"):
            self._wake.clear()
            facts, self._facts = self._facts, []
            return facts

    def listen_ports(self) -> tuple[int, ...]:
        """Ports on which peers are accepted; empty when deaf."""
        with self._call("listen_ports"):
            return self._ports

    def quiesce(self) -> None:
        """Stop all transfers; facts keep coming."""
        with self._call("quiesce"):
            self._is_quiet = True
            for one in self._all():
                stand_still(one)

    def close(self) -> None:
        """End for good, with everything in the caches written; again does nothing."""
        with self._lock:
            if self._is_closed:
                return
            for one in self._all():
                one.flush()
            self._is_closed = True
            self._wake.close()

    def _simulated(
        self, spec: TorrentSpec, described: TorrentDescription, keys: set[str]
    ) -> SimulatedTorrent:
        is_stopped = spec.stop_reason is not StopReason.NONE
        one = SimulatedTorrent(
            info_hash=spec.info_hash,
            keys=keys,
            save_path=spec.save_path,
            name=spec.name or described.name,
            payload=self._on_disk,
            priorities=list(spec.priorities),
            is_held=described.metainfo is None,
            is_paused=is_stopped,
            is_stopped=is_stopped,
            is_auto_managed=not is_stopped and not spec.force_start,
            is_sequential=spec.sequential,
            has_first_last_pieces=spec.first_last_pieces,
            renames=dict(spec.renames),
            download_limit=rate_limit("download_limit", spec.download_limit),
            upload_limit=rate_limit("upload_limit", spec.upload_limit),
            check_s=self._check_s,
            web_seeds=list(described.web_seeds),
        )
        one.announce_to([(url, tier) for tier, url in enumerate(described.trackers)])
        return one

    def _begin(
        self, one: SimulatedTorrent, blob: Blob | None, *, is_recheck: bool, is_absent: bool
    ) -> None:
        """Start with what a blob promises, or with a check; absent files are not looked at."""
        is_trusted = False
        if blob is not None:
            one.announce_to(list(blob.trackers))
            one.web_seeds = list(blob.web_seeds)
        if blob is not None and (is_recheck or blob.save_path != one.save_path):
            one.count_on(blob)
            if is_absent:
                why = "resume data is about files in another directory"
                self._tell(f.ResumeRejected(one.info_hash, why))
        elif blob is not None:
            refusal = one.trust(blob, is_absent=is_absent)
            is_trusted = not refusal
            if refusal:
                self._tell(f.ResumeRejected(one.info_hash, refusal))
        if one.metainfo is None:
            return
        if blob is not None or self._on_disk is not None:
            self._is_line_stale = True  # it may be finished as it comes
        if is_trusted or is_absent:
            self._tell(f.TorrentChecked(one.info_hash), *one.say_finished())
            return
        if one.is_paused and is_recheck:
            one.stops_when_checked, one.is_paused = True, False
        self._tell(*one.begin_check())


def _blob_of(torrent: EngineTorrent) -> tuple[Blob | None, str]:
    """The blob where it can be used, else why not."""
    if torrent.blob is None:
        return None, ""
    try:
        blob = read_blob(torrent.blob)
    except BlobError as error:
        return None, str(error)
    spec = torrent.spec
    own = reader.keys_of(spec.infohash_v1, spec.infohash_v2) | {str(spec.info_hash)}
    if not own & blob.keys:
        return None, "resume data belongs to another torrent"
    return blob, ""


def _source_of(torrent: EngineTorrent, blob: Blob | None) -> tuple[TorrentDescription, bytes]:
    """The best source there is: the torrent file, the one in the blob, or the magnet link."""
    data = torrent.metainfo_data or (b"" if blob is None else blob.metainfo_data)
    if data:
        return reader.describe(MetainfoSource(data)), data
    spec = torrent.spec
    if spec.magnet_uri:
        return reader.describe(MagnetSource(spec.magnet_uri)), b""
    topics = [f"xt=urn:btih:{spec.infohash_v1}"] if spec.infohash_v1 else []
    topics += [f"xt=urn:btmh:1220{spec.infohash_v2}"] if spec.infohash_v2 else []
    named = "&".join(topics) or f"xt=urn:btih:{spec.info_hash}"
    return reader.describe(MagnetSource(f"magnet:?{named}")), b""
