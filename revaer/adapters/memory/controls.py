"""What a test can make happen to a simulated engine."""

from collections import deque
from dataclasses import replace
from typing import Final

from revaer.adapters.memory import metainfo as reader
from revaer.adapters.memory.core import EngineCore, stand_still
from revaer.domain import facts as f
from revaer.domain.details import PeerInfo, TrackerState
from revaer.domain.errors import InvalidTorrentError
from revaer.domain.ids import BytesPerSecond, EpochSeconds, InfoHash
from revaer.domain.torrent import Fault, FaultCode
from revaer.ports.engine import EngineSettings, TorrentEngine

_SURVIVORS: Final = (f.ResumeDataReady, f.ResumeDataFailed, f.TorrentGone)
"""What libtorrent still reports when its alert queue overflows."""


class Controls(EngineCore):
    """Time, bytes, trouble and the swarm, moved by hand."""

    # --- controls: time and bytes

    def advance(self, seconds: float) -> None:
        """Let time pass: checks go on, counters grow, and bytes come where `auto_rate` is set."""
        with self._change():
            self._now_s += seconds
            for one in self._all():
                if not self._is_quiet:
                    self._tell(*one.age(seconds))
                self._tell(*one.move_on(seconds))
            self._download(seconds)

    def deliver_metadata(self, info_hash: InfoHash, metainfo_data: bytes) -> None:
        """Let a magnet's metadata arrive.

        Raises:
            InvalidTorrentError: it is another torrent's: no peer could pass it off.
        """
        with self._change():
            one = self._get(info_hash)
            metainfo = reader.read_metainfo(metainfo_data)
            keys = reader.keys_of(metainfo.infohash_v1, metainfo.infohash_v2)
            if not keys & one.keys:
                raise InvalidTorrentError(f"this is not the metadata of {info_hash}")
            if one.metainfo is not None:
                return
            for key in keys:
                if self._by_key.setdefault(key, one) is one:
                    one.keys.add(key)
            # What a peer sends has no comment, creator or time: those are not metadata.
            received = replace(metainfo, comment="", created_by="", created_at=EpochSeconds(0))
            one.learn(received, metainfo_data, one.priorities)
            self._tell(f.MetadataReceived(one.info_hash, received))
            self._tell(*one.begin_check())

    def progress(self, info_hash: InfoHash, fraction: float) -> None:
        """Have this part (0..1) of the wanted bytes; what is there already stays there.

        A held magnet asks for nothing, so nothing comes.
        """
        with self._change():
            one = self._get(info_hash)
            if not 0.0 <= fraction <= 1.0:
                raise ValueError(f"a fraction lies between 0 and 1: {fraction}")
            if one.metainfo is None:
                raise ValueError(f"{info_hash} has no metadata yet: deliver it first")
            if one.is_held:
                return
            self._hear(one.receive(int(one.wanted_bytes * fraction), self._now()))

    def finish(self, info_hash: InfoHash) -> None:
        """Have every wanted byte, still in the cache."""
        self.progress(info_hash, 1.0)

    def upload(self, info_hash: InfoHash, size_bytes: int) -> None:
        """Send so many payload bytes to peers."""
        with self._change():
            self._get(info_hash).send(size_bytes, self._now())

    def set_rates(self, info_hash: InfoHash, *, download: int = 0, upload: int = 0) -> None:
        """Show these rates in the next reports, bytes per second; moves nothing."""
        with self._change():
            one = self._get(info_hash)
            one.download_rate, one.upload_rate = download, upload
            one.has_changed = True

    # --- controls: trouble

    def fail(self, info_hash: InfoHash, fault: Fault) -> None:
        """Run into trouble, with libtorrent's manners: only some faults stop a torrent."""
        with self._change():
            one = self._get(info_hash)
            if one.fault is not None and one.fault.code is fault.code:
                return
            one.fault = fault
            if one.error:
                one.is_paused = True
                stand_still(one)
            one.touch()
            self._tell(f.FaultRaised(one.info_hash, fault))

    def heal(self, info_hash: InfoHash) -> None:
        """Let the trouble pass by itself."""
        with self._change():
            self._absolve(self._get(info_hash))

    def fail_next(self, call_name: str, error: Exception) -> None:
        """Make the next call of this name raise; several wait in line."""
        if not hasattr(TorrentEngine, call_name):
            raise ValueError(f"an engine has no call {call_name!r}")
        with self._lock:
            self._failures.setdefault(call_name, deque()).append(error)

    def fail_deletion(self, info_hash: InfoHash, reason: str) -> None:
        """Keep the files when this torrent is removed with its data, and say why."""
        with self._lock:
            self._undeletable[self._get(info_hash).info_hash] = reason

    def fail_session(self, reason: str) -> None:
        """Report that the session as a whole is unusable."""
        with self._change():
            self._tell(f.SessionFailed(reason))

    def lose_next(self, kind: type[f.Fact]) -> None:
        """Swallow the next fact of this kind, as if it had never been reported."""
        with self._lock:
            self._lost.append(kind)

    def drop_alerts(self) -> None:
        """Overflow: waiting facts are lost but for a few kinds, and that is reported."""
        with self._change():
            self._facts = [fact for fact in self._facts if isinstance(fact, _SURVIVORS)]
            self._tell(f.AlertsDropped())

    def go_deaf(self, reason: str = "the interface is gone", *, quietly: bool = False) -> None:
        """Stop listening; quietly, as libtorrent does when a bound device vanishes."""
        with self._change():
            self._gone_interfaces = frozenset(self._settings.listen)
            self._deaf_reason = "" if quietly else reason
            self._ports = tuple(self._open_ports())

    def hear_again(self) -> None:
        """Bring back the interfaces that `go_deaf` took away, and listen on them."""
        with self._change():
            self._gone_interfaces = frozenset()
            self._deaf_reason = ""
            self._ports = tuple(self._open_ports())

    def fill_disk(self, info_hash: InfoHash) -> None:
        """Let there be no room: libtorrent goes on without an error, and without downloading."""
        self.fail(info_hash, Fault(FaultCode.DISK_FULL, "No space left on device; free some space"))

    def lose_files(self, info_hash: InfoHash) -> None:
        """Take the files off the disk; noticed as libtorrent does, when a peer asks for one."""
        with self._change():
            one = self._get(info_hash)
            if one.payload is not None:
                for entry in one.files:
                    one.payload.delete(one.save_path, one.path_of(entry))
        self.fail(info_hash, Fault(FaultCode.MISSING_FILES, "No such file; bring it back"))

    def fail_next_move(self, info_hash: InfoHash, reason: str) -> None:
        """Let the next move of this torrent fail with nothing moved."""
        with self._lock:
            self._get(info_hash).move_failures.append(reason)

    def fail_next_rename(self, info_hash: InfoHash, reason: str) -> None:
        """Let the next rename of one of this torrent's files fail."""
        with self._lock:
            self._get(info_hash).rename_failures.append(reason)

    def fail_next_export(self, info_hash: InfoHash, reason: str) -> None:
        """Let the next export of this torrent answer a failure."""
        with self._lock:
            self._get(info_hash).export_failures.append(reason)

    def freeze_limits(self) -> None:
        """Go on answering the session's present limits, whatever is set from now on."""
        with self._lock:
            self._stale_limits = self._limits

    def thaw_limits(self) -> None:
        """Answer the session's limits as they are."""
        with self._lock:
            self._stale_limits = None

    # --- controls: the swarm

    def peer_joins(
        self,
        info_hash: InfoHash,
        address: str,
        *,
        is_seed: bool = False,
        details: PeerInfo | None = None,
    ) -> None:
        """Connect a peer, unless it is banned or the engine is suspended.

        Args:
            info_hash: the torrent that it has.
            address: `host:port`.
            is_seed: it has everything; of no consequence beside `details`.
            details: what `peers` tells of it.
        """
        with self._change():
            one = self._get(info_hash)
            host, _, port = address.rpartition(":")
            host = host.strip("[]")
            if host in self._settings.banned_peers or self._is_suspended:
                return
            one.peers[address] = details or PeerInfo(
                address=host, port=int(port), progress=float(is_seed), flags="D I"
            )
            one.has_changed = True
            self._hear([f.PeerJoined(one.info_hash, address)])

    def peer_leaves(self, info_hash: InfoHash, address: str, reason: str = "") -> None:
        """Disconnect a peer."""
        with self._change():
            self._part(self._get(info_hash), address, reason)

    def piece_fails(self, info_hash: InfoHash, piece_index: int) -> None:
        """Get a piece that does not pass its check."""
        with self._change():
            self._hear([f.PieceFailed(self._get(info_hash).info_hash, piece_index)])

    def tracker_answers(self, info_hash: InfoHash, url: str, peers: int) -> None:
        """Let a tracker accept an announce."""
        with self._change():
            one = self._get(info_hash)
            one.hear_tracker(url, TrackerState.WORKING)
            self._tell(f.TrackerAnswered(one.info_hash, url, peers))

    def tracker_refuses(self, info_hash: InfoHash, url: str, message: str) -> None:
        """Let a tracker refuse an announce."""
        with self._change():
            one = self._get(info_hash)
            one.hear_tracker(url, TrackerState.FAILING, message)
            self._tell(f.TrackerRefused(one.info_hash, url, message))

    # --- what a test may look at

    def asked_peers(self, info_hash: InfoHash) -> tuple[tuple[str, int], ...]:
        """Every peer that was to be tried, in order."""
        with self._lock:
            return tuple(self._get(info_hash).asked_peers)

    def priorities(self, info_hash: InfoHash) -> tuple[int, ...]:
        """The file priorities in force; empty before the metadata is known."""
        with self._lock:
            one = self._get(info_hash)
            return () if one.metainfo is None else tuple(one.priorities)

    def limits(self, info_hash: InfoHash) -> tuple[BytesPerSecond, BytesPerSecond]:
        """One torrent's limits: download, upload."""
        with self._lock:
            one = self._get(info_hash)
            return one.download_limit, one.upload_limit

    def is_sequential(self, info_hash: InfoHash) -> bool:
        """Whether pieces are fetched in order."""
        with self._lock:
            return self._get(info_hash).is_sequential

    def has_first_last_pieces(self, info_hash: InfoHash) -> bool:
        """Whether the ends of each file are fetched first."""
        with self._lock:
            return self._get(info_hash).has_first_last_pieces

    def renames(self, info_hash: InfoHash) -> dict[int, str]:
        """Paths that files were given, by their index."""
        with self._lock:
            return dict(self._get(info_hash).renames)

    def save_path(self, info_hash: InfoHash) -> str:
        """Where the files lie."""
        with self._lock:
            return self._get(info_hash).save_path

    @property
    def settings(self) -> EngineSettings:
        """What was last applied."""
        with self._lock:
            return self._settings

    @property
    def interest(self) -> frozenset[str]:
        """What somebody listens to."""
        with self._lock:
            return self._interest

    def _download(self, seconds: float) -> None:
        """Share the rates out among those that can download."""
        if not self.auto_rate or self._is_quiet or self._is_suspended or seconds <= 0:
            return
        running = [one for one in self._all() if one.is_moving_bytes]
        rates = [min(self.auto_rate, one.download_limit or self.auto_rate) for one in running]
        scale = min(1.0, self._limits[0] / sum(rates)) if rates and self._limits[0] else 1.0
        for one, rate in zip(running, rates, strict=True):
            before = one.wanted_done_bytes
            upto = before + int(rate * scale * seconds)
            one.download_rate = int(rate * scale)
            self._hear(one.receive(min(upto, one.wanted_bytes), self._now()))
