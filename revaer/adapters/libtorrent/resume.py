"""From what was asked and stored to what libtorrent is told, before a byte moves."""

from dataclasses import dataclass
from typing import Any, Final, cast

import libtorrent as lt

from revaer.adapters.libtorrent import metainfo
from revaer.adapters.libtorrent.profile import rate_limit
from revaer.adapters.libtorrent.registry import ids_of, keys_of
from revaer.domain import engine_input
from revaer.domain.errors import InvalidTorrentError
from revaer.domain.torrent import StopReason, TorrentSpec
from revaer.ports.engine import EngineTorrent

_FLAGS: Final = lt.torrent_flags
_MANAGED: Final = _FLAGS.paused | _FLAGS.auto_managed | _FLAGS.stop_when_ready
_REPLACED: Final = (
    _MANAGED
    | _FLAGS.seed_mode
    | _FLAGS.upload_mode
    | _FLAGS.share_mode
    | _FLAGS.no_verify_files
    | _FLAGS.super_seeding
    | _FLAGS.sequential_download
    | _FLAGS.default_dont_download
    | _FLAGS.disable_dht
    | _FLAGS.disable_lsd
    | _FLAGS.disable_pex
)


class _BlobError(Exception):
    """The blob cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A torrent ready to be added.

    Attributes:
        params: what libtorrent is told; not to be kept once added.
        hashes: v1 and v2, empty where there is none.
        keys: every id that shall find the torrent.
        rejected: why the blob was left aside, or empty.
    """

    params: lt.add_torrent_params
    hashes: tuple[str, str]
    keys: set[str]
    rejected: str = ""


def prepare(
    torrent: EngineTorrent, *, is_queueing: bool, is_exchanging_peers: bool = True
) -> Prepared:
    """Choose the best source and put what was asked over it.

    A blob that cannot be used costs a full check, never the torrent: the torrent file or the magnet
    link takes its place.

    Args:
        torrent: what to run.
        is_queueing: whether libtorrent limits how many torrents run; else a torrent that may run
            starts at once instead of at the queue's next turn, up to a second later.
        is_exchanging_peers: whether peers may tell of other peers; libtorrent knows this per
            torrent only.

    Raises:
        InvalidTorrentError: no source can be used, or it is not the torrent that the spec names.
        PathRefusedError: the save path is not an absolute path, or a file is renamed out of it.
        InvalidInputError: a limit, priority or peer out of range.
    """
    spec = torrent.spec
    _check_paths(spec)
    rejected = ""
    is_recheck = torrent.recheck
    params: lt.add_torrent_params | None = None
    if torrent.blob is not None:
        try:
            params = _read_blob(torrent.blob, spec, is_list_known=torrent.metainfo_data is not None)
            # The pieces that a blob claims were seen in the directory that it names.
            is_elsewhere = params.save_path != spec.save_path
            is_recheck = is_recheck or is_elsewhere
            if is_elsewhere and torrent.is_absent:
                rejected = "resume data is about files in another directory"
        except _BlobError as error:
            rejected = str(error)
            is_recheck = True
    if params is None:
        params = _from_source(torrent)
    elif params.ti is None and torrent.metainfo_data is not None:
        params.ti = metainfo.parse_metainfo(torrent.metainfo_data).ti
    v1, v2 = ids_of(params.info_hashes)
    if spec.info_hash not in keys_of(v1, v2):
        raise InvalidTorrentError(f"the source is another torrent than {spec.info_hash}")
    if is_recheck:
        _distrust(params)
    _apply(spec, params, is_queueing=is_queueing, is_recheck=is_recheck and not torrent.is_absent)
    if torrent.is_absent:
        # Else libtorrent makes empty files and forgets its pieces, also for a paused torrent.
        params.flags |= _FLAGS.no_verify_files
    if not is_exchanging_peers:
        params.flags |= _FLAGS.disable_pex
    params.peers = [*params.peers, *engine_input.check_peers(torrent.peers)]
    keys = keys_of(v1, v2) | keys_of(spec.infohash_v1, spec.infohash_v2) | {str(spec.info_hash)}
    return Prepared(params, (v1, v2), keys, rejected)


def _check_paths(spec: TorrentSpec) -> None:
    engine_input.check_save_path(spec.save_path)
    for _, path in spec.renames:
        engine_input.check_file_path(path)


def readable_trackers(params: lt.add_torrent_params) -> tuple[tuple[str, int], ...]:
    """Announce addresses with their tiers, without those that are not UTF-8."""
    try:
        return tuple(zip(params.trackers, params.tracker_tiers, strict=False))
    except UnicodeDecodeError:
        written = cast("dict[bytes, Any]", lt.bdecode(lt.write_resume_data_buf(params)))
    tiers: list[list[bytes]] = written.get(b"trackers", [])
    return tuple(
        (url.decode(), tier) for tier, urls in enumerate(tiers) for url in urls if _is_text(url)
    )


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read_blob(blob: bytes, spec: TorrentSpec, *, is_list_known: bool) -> lt.add_torrent_params:
    try:
        params = lt.read_resume_data(blob)
        v1, v2 = ids_of(params.info_hashes)
        renamed = params.renamed_files
        params.save_path  # noqa: B018 -- raises when it is not UTF-8, and status would later
        trackers = len(params.tracker_tiers)
    except (RuntimeError, UnicodeDecodeError, TypeError, ValueError, OverflowError) as error:
        raise _BlobError(f"resume data cannot be read: {metainfo.plain(error)}") from error
    wanted = keys_of(spec.infohash_v1, spec.infohash_v2) | {str(spec.info_hash)}
    if not wanted & keys_of(v1, v2):
        raise _BlobError("resume data belongs to another torrent")
    for name in renamed.values():
        if engine_input.escapes(name):
            raise _BlobError(f"resume data renames a file out of its directory: {name!r}")
    if trackers > metainfo.MAX_TRACKERS:
        raise _BlobError(f"resume data names {trackers} trackers")
    if params.ti is not None and not is_list_known:
        _check_list(params.ti)
    return params


def _check_list(info: lt.torrent_info) -> None:
    """Hold metadata that came from peers against the limits; the link takes its place."""
    try:
        metainfo.bounded(info)
    except InvalidTorrentError as error:
        raise _BlobError(str(error)) from error


def _from_source(torrent: EngineTorrent) -> lt.add_torrent_params:
    if torrent.metainfo_data is not None:
        return metainfo.parse_metainfo(torrent.metainfo_data)
    spec = torrent.spec
    if spec.magnet_uri:
        return metainfo.parse_magnet(spec.magnet_uri)
    topics = [f"xt=urn:btih:{spec.infohash_v1}"] if spec.infohash_v1 else []
    topics += [f"xt=urn:btmh:1220{spec.infohash_v2}"] if spec.infohash_v2 else []
    return metainfo.parse_magnet(f"magnet:?{'&'.join(topics) or f'xt=urn:btih:{spec.info_hash}'}")


def _distrust(params: lt.add_torrent_params) -> None:
    """Forget which pieces are there: without that knowledge libtorrent hashes every file."""
    params.have_pieces = []
    params.verified_pieces = []
    params.unfinished_pieces = {}


def _apply(
    spec: TorrentSpec, params: lt.add_torrent_params, *, is_queueing: bool, is_recheck: bool
) -> None:
    for priority in spec.priorities:
        engine_input.check_priority(priority)
    flags = params.flags & ~_REPLACED
    flags |= _FLAGS.duplicate_is_error | _FLAGS.update_subscribe | _FLAGS.apply_ip_filter
    if spec.stop_reason is not StopReason.NONE:
        # A stopped torrent is only checked while it runs, so a forced check runs it until then.
        is_checked = is_recheck and params.ti is not None
        flags |= _FLAGS.stop_when_ready if is_checked else _FLAGS.paused
    elif params.ti is None:
        # No byte moves before somebody has judged the file list. Not auto-managed, because an
        # auto-managed torrent leaves upload mode by itself after ten minutes.
        flags |= _FLAGS.upload_mode
    elif not spec.force_start:
        flags |= _FLAGS.auto_managed | (_FLAGS.paused if is_queueing else 0)
    if spec.sequential:
        flags |= _FLAGS.sequential_download
    if spec.super_seeding:
        flags |= _FLAGS.super_seeding
    params.flags = flags
    params.save_path = spec.save_path
    params.file_priorities = list(spec.priorities)
    params.piece_priorities = []
    # Whatever a blob says: the store's word holds, and libtorrent obeys any path it is given.
    params.renamed_files = dict(spec.renames)
    params.download_limit = rate_limit("download_limit", spec.download_limit)
    params.upload_limit = rate_limit("upload_limit", spec.upload_limit)
    if spec.added_at:
        params.added_time = spec.added_at
    if params.ti is None and spec.name:
        params.name = spec.name
