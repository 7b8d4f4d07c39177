"""Alerts as facts.

libtorrent frees an alert, and everything that hangs on it, at the next non-empty `pop_alerts`: no
alert, no sub-object and no lazy view leaves this module. Any text of an alert may be invalid UTF-8
and raise when it is read; one such alert costs its own text or itself, never the batch.
"""

import string
from collections.abc import Callable
from typing import Any, Final, Protocol, cast
from urllib.parse import quote_from_bytes

import libtorrent as lt

from revaer.adapters.libtorrent import faults, metainfo
from revaer.adapters.libtorrent.registry import Ask, Entry, keys_of
from revaer.adapters.libtorrent.reports import (
    Discovered,
    Failure,
    HandleGone,
    PayloadDeleted,
    PrioritiesApplied,
    Renamed,
    Report,
    Saved,
)
from revaer.domain import facts as f
from revaer.domain.errors import InvalidTorrentError
from revaer.domain.ids import InfoHash
from revaer.domain.redaction import without_secrets
from revaer.domain.torrent import FaultCode
from revaer.ports.logs import logger

log = logger(__name__)

UNREADABLE: Final = "(unreadable)"
_CONVERSION_ERRORS: Final = (UnicodeDecodeError, TypeError, RuntimeError)

Lookup = Callable[[lt.torrent_handle], Entry | None]
"""Finds the torrent that an alert names."""


def reports_of(alert: lt.alert, lookup: Lookup) -> tuple[Report, ...]:
    """Say what an alert reports; nothing for kinds, and torrents, that nobody asked about.

    `state_update_alert` is not handled here: see `status.reports`.
    """
    converter = _CONVERTERS.get(type(alert))
    if converter is None:
        return ()
    try:
        return converter(alert, lookup)
    except _CONVERSION_ERRORS as error:
        log.warning("alert_unreadable", alert=type(alert).__name__, error=type(error).__name__)
        return ()


def readable(read: Callable[[], str]) -> str:
    """Read a text that a tracker, peer or file system wrote."""
    try:
        return read()
    except UnicodeDecodeError:
        return UNREADABLE


_PLAIN: Final = string.punctuation.replace("%", "")
"""What stands for itself in a peer's id, beside letters and digits."""

_Converter = Callable[[Any, Lookup], tuple[Report, ...]]
"""Takes the one alert type that it is registered for; the table below is what binds the two."""


class _Endpoint(Protocol):
    """What peer alerts have in common."""

    @property
    def ep(self) -> tuple[str, int]: ...


def _simple(make: Callable[[InfoHash], f.Fact]) -> _Converter:
    def convert(alert: lt.torrent_alert, lookup: Lookup) -> tuple[Report, ...]:
        entry = lookup(alert.handle)
        return () if entry is None else (make(entry.info_hash),)

    return convert


def _metadata_received(alert: lt.metadata_received_alert, lookup: Lookup) -> tuple[Report, ...]:
    handle = alert.handle
    entry = lookup(handle)
    info = handle.torrent_file()
    if entry is None or info is None:
        return ()
    try:
        found = metainfo.bounded(info)
    except InvalidTorrentError as error:
        return (_past_limits(entry, error),)
    return (Discovered(entry, found, keys_of(found.infohash_v1, found.infohash_v2)),)


def _past_limits(entry: Entry, error: InvalidTorrentError) -> Failure:
    fault = faults.refused_metadata(str(error))
    return Failure(entry, faults.PAST_LIMITS, fault, is_sticky=True, is_final=True)


def _metadata_failed(alert: lt.metadata_failed_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    if entry is None:
        return ()
    text = f"metadata from peers does not fit: {readable(alert.error.message)}"
    return (Failure(entry, _key(alert.error), faults.fault(FaultCode.ENGINE, text)),)


def _add_torrent(alert: lt.add_torrent_alert, lookup: Lookup) -> tuple[Report, ...]:
    if not alert.error.value():
        return ()
    entry = lookup(alert.handle)
    return () if entry is None else (f.AddFailed(entry.info_hash, alert.error.message()),)


def _resume_data(alert: lt.save_resume_data_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    if entry is None:
        return ()
    params = alert.params
    if _asked(entry) is Ask.EXPORT:
        entry.is_save_owed = True
        return (_exported(entry, params),)
    entry.is_save_owed = False
    blob = lt.write_resume_data_buf(params)
    # What is past the limits is not kept: no start could read it.
    is_due = entry.is_metainfo_due and params.ti is not None
    is_due = is_due and faults.PAST_LIMITS not in entry.faults
    return (Saved(entry, blob, _torrent_file(params) if is_due else b""),)


def _asked(entry: Entry) -> Ask:
    """What this answer is for: libtorrent answers in the order in which it was asked."""
    return entry.asks.popleft() if entry.asks else Ask.SAVE


def _exported(entry: Entry, params: lt.add_torrent_params) -> f.Fact:
    try:
        return f.TorrentExported(entry.info_hash, _torrent_file(params))
    except _CONVERSION_ERRORS as error:
        reason = f"no torrent file can be written: {metainfo.plain(error)}"
        return f.ResumeDataFailed(entry.info_hash, reason)


def _torrent_file(params: lt.add_torrent_params) -> bytes:
    # The binding of `write_torrent_file_buf` decodes its bytes as UTF-8 and fails.
    return lt.bencode(cast("Any", lt.write_torrent_file(params)))


def _resume_data_failed(
    alert: lt.save_resume_data_failed_alert, lookup: Lookup
) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    if entry is None:
        return ()
    _asked(entry)
    return (f.ResumeDataFailed(entry.info_hash, readable(alert.error.message)),)


def _storage_moved(alert: lt.storage_moved_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    return () if entry is None else (f.StorageMoved(entry.info_hash, alert.storage_path()),)


def _storage_move_failed(
    alert: lt.storage_moved_failed_alert, lookup: Lookup
) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    if entry is None:
        return ()
    where = readable(alert.file_path)
    reason = _move_reason(alert.error)
    return (f.StorageMoveFailed(entry.info_hash, f"{where}: {reason}" if where else reason),)


def _move_reason(error: lt.error_code) -> str:
    """A file in the way is reported with an error whose own text is `Success`."""
    return readable(error.message) if error.value() else "a file is in the way at the destination"


def _file_renamed(alert: lt.file_renamed_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    return () if entry is None else (Renamed(entry, alert.index, alert.new_name()),)


def _file_rename_failed(alert: lt.file_rename_failed_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    if entry is None:
        return ()
    return (f.FileRenameFailed(entry.info_hash, alert.index, readable(alert.error.message)),)


def _file_priorities(alert: lt.file_prio_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    return () if entry is None else (PrioritiesApplied(entry),)


def _torrent_checked(alert: lt.torrent_checked_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    if entry is None:
        return ()
    return (PrioritiesApplied(entry), f.TorrentChecked(entry.info_hash))


def _resume_rejected(alert: lt.fastresume_rejected_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    if entry is None:
        return ()
    where = readable(alert.file_path)
    reason = readable(alert.error.message)
    return (f.ResumeRejected(entry.info_hash, f"{where}: {reason}" if where else reason),)


def _file_error(alert: lt.file_error_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    if entry is None:
        return ()
    error = alert.error
    fault = faults.fault_of(error, readable(alert.filename))
    is_sticky = fault.code is FaultCode.MISSING_FILES
    return (Failure(entry, _key(error), fault, is_sticky=is_sticky),)


def _torrent_error(alert: lt.torrent_error_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    if entry is None:
        return ()
    error = alert.error
    return (Failure(entry, _key(error), faults.fault_of(error, "")),)


def _torrent_conflict(alert: lt.torrent_conflict_alert, lookup: Lookup) -> tuple[Report, ...]:
    found = (lookup(alert.handle), lookup(alert.conflicting_torrent))
    ids = [entry.info_hash for entry in found if entry is not None]
    return tuple(
        f.FaultRaised(
            info_hash,
            faults.fault(
                FaultCode.TORRENT_CONFLICT,
                f"the same torrent as {', '.join(i for i in ids if i != info_hash) or 'another'}",
            ),
        )
        for info_hash in ids
    )


def _torrent_removed(alert: lt.torrent_removed_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    return () if entry is None else (HandleGone(entry),)


def _torrent_deleted(alert: lt.torrent_deleted_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    return () if entry is None else (PayloadDeleted(entry),)


def _delete_failed(alert: lt.torrent_delete_failed_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    if entry is None:
        return ()
    error = alert.error
    # A torrent that never had metadata has no files: libtorrent answers a failure without an error.
    return (PayloadDeleted(entry, readable(error.message) if error.value() else ""),)


def _tracker_reply(alert: lt.tracker_reply_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    if entry is None:
        return ()
    return (f.TrackerAnswered(entry.info_hash, readable(lambda: alert.url), alert.num_peers),)


def _tracker_error(alert: lt.tracker_error_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    if entry is None:
        return ()
    url = readable(lambda: alert.url)
    message = readable(alert.failure_reason) or readable(alert.error.message)
    return (f.TrackerRefused(entry.info_hash, url, without_secrets(message, (url,))),)


def _piece_finished(alert: lt.piece_finished_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    return () if entry is None else (f.PieceFinished(entry.info_hash, alert.piece_index),)


def _hash_failed(alert: lt.hash_failed_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    return () if entry is None else (f.PieceFailed(entry.info_hash, alert.piece_index),)


def _peer_connected(alert: lt.peer_connect_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    return () if entry is None else (f.PeerJoined(entry.info_hash, _address(alert)),)


def _peer_disconnected(alert: lt.peer_disconnected_alert, lookup: Lookup) -> tuple[Report, ...]:
    entry = lookup(alert.handle)
    if entry is None:
        return ()
    reason = readable(alert.error.message)
    return (f.PeerLeft(entry.info_hash, _address(alert), reason, _peer_id(alert.pid.to_bytes())),)


def _peer_id(raw: bytes) -> str:
    """All zeros until the peer has said it."""
    return quote_from_bytes(raw, safe=_PLAIN) if any(raw) else ""


def _alerts_dropped(_alert: lt.alerts_dropped_alert, _lookup: Lookup) -> tuple[Report, ...]:
    return (f.AlertsDropped(),)


def _listen_succeeded(alert: lt.listen_succeeded_alert, _lookup: Lookup) -> tuple[Report, ...]:
    if alert.socket_type != lt.socket_type_t.tcp:
        return ()  # uTP shares the port, and says so with an alert of its own
    return (f.ListenSucceeded(alert.address, alert.port),)


def _listen_failed(alert: lt.listen_failed_alert, _lookup: Lookup) -> tuple[Report, ...]:
    # For an address the alert names the device as interface, and the address beside it.
    where = _host_port(alert.address, alert.port) if alert.port else ""
    return (
        f.ListenFailed(where or readable(alert.listen_interface), readable(alert.error.message)),
    )


def _key(error: lt.error_code) -> tuple[str, int]:
    return error.category().name(), error.value()


def _address(alert: _Endpoint) -> str:
    return _host_port(*alert.ep)


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_CONVERTERS: Final[dict[type, _Converter]] = {
    lt.metadata_received_alert: _metadata_received,
    lt.metadata_failed_alert: _metadata_failed,
    lt.add_torrent_alert: _add_torrent,
    lt.torrent_finished_alert: _simple(f.DownloadFinished),
    lt.torrent_checked_alert: _torrent_checked,
    lt.file_prio_alert: _file_priorities,
    lt.storage_moved_alert: _storage_moved,
    lt.storage_moved_failed_alert: _storage_move_failed,
    lt.file_renamed_alert: _file_renamed,
    lt.file_rename_failed_alert: _file_rename_failed,
    lt.cache_flushed_alert: _simple(f.CacheFlushed),
    lt.save_resume_data_alert: _resume_data,
    lt.save_resume_data_failed_alert: _resume_data_failed,
    lt.fastresume_rejected_alert: _resume_rejected,
    lt.file_error_alert: _file_error,
    lt.torrent_error_alert: _torrent_error,
    lt.torrent_conflict_alert: _torrent_conflict,
    lt.torrent_removed_alert: _torrent_removed,
    lt.torrent_deleted_alert: _torrent_deleted,
    lt.torrent_delete_failed_alert: _delete_failed,
    lt.tracker_reply_alert: _tracker_reply,
    lt.tracker_error_alert: _tracker_error,
    lt.piece_finished_alert: _piece_finished,
    lt.hash_failed_alert: _hash_failed,
    lt.peer_connect_alert: _peer_connected,
    lt.peer_disconnected_alert: _peer_disconnected,
    lt.alerts_dropped_alert: _alerts_dropped,
    lt.listen_succeeded_alert: _listen_succeeded,
    lt.listen_failed_alert: _listen_failed,
}
