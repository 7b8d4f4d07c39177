"""The settings of the session as a whole, changed while it runs."""

from collections.abc import Sequence

import libtorrent as lt

from revaer.adapters.libtorrent import profile
from revaer.adapters.libtorrent.core import FLAGS, EngineCore
from revaer.domain.ids import BytesPerSecond
from revaer.ports.engine import EngineSettings


class Reconfiguration(EngineCore):
    """Live changes; see `TorrentEngine`."""

    def apply(self, settings: EngineSettings) -> None:
        """See `TorrentEngine.apply`.

        libtorrent does nothing about addresses that stay the same, so it is told to open those that
        it does not listen on: another program may have let go of the port.
        """
        session = self._live()
        pack = profile.live_pack(settings)
        banned = profile.ban_filter(settings.banned_peers)
        profile.disk_backend(settings.disk_backend)
        is_same_listen = settings.listen == self._listen
        session.apply_settings(pack)
        session.set_ip_filter(banned)
        self._is_queueing = profile.is_queueing(settings)
        self._listen = settings.listen
        self._exchange_peers(settings.enable_pex)
        if is_same_listen:
            session.reopen_network_sockets(lt.session.reopen_map_ports)

    def absent_interfaces(self, names: Sequence[str]) -> tuple[str, ...]:
        """See `TorrentEngine.absent_interfaces`."""
        self._live()
        return self._interfaces.absent(names)

    def suspend(self, *, suspended: bool) -> None:
        """See `TorrentEngine.suspend`; ends a suspension of its own only, never `quiesce`."""
        session = self._live()
        if suspended == self._is_suspended:
            return
        self._is_suspended = suspended
        if suspended:
            session.pause()
        else:
            session.resume()
            self._reconnects.hurry(session)

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

    def _exchange_peers(self, is_allowed: bool) -> None:  # noqa: FBT001 -- one call, named there
        """Libtorrent knows this per torrent only; those added later get it with their flags."""
        if is_allowed == self._is_exchanging_peers:
            return
        self._is_exchanging_peers = is_allowed
        for entry in self._registry.entries():
            try:
                if is_allowed:
                    entry.handle.unset_flags(FLAGS.disable_pex)
                else:
                    entry.handle.set_flags(FLAGS.disable_pex)
            except RuntimeError:
                continue  # removed a moment ago
