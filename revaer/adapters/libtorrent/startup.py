"""Is this the libtorrent that Revaer was made for?"""

from typing import Final

import libtorrent

from revaer.domain.errors import EngineUnsupportedError

SUPPORTED: Final = (2, 1, 1)

NEEDED: Final = (
    "session.set_alert_fd",
    "session.pop_alerts",
    "session.post_torrent_updates",
    "session.set_peer_class_filter",
    "session.set_ip_filter",
    "session.reopen_network_sockets",
    "session_params.disk_io_constructor",
    "torrent_handle.flush_cache",
    "torrent_handle.post_status",
    "torrent_handle.move_storage",
    "torrent_handle.rename_file",
    "torrent_handle.prioritize_pieces",
    "torrent_handle.replace_trackers",
    "move_flags_t.fail_if_exist",
    "file_prio_alert",
    "storage_moved_alert",
    "storage_moved_failed_alert",
    "file_renamed_alert",
    "file_rename_failed_alert",
    "torrent_status.total_redundant_bytes",
    "torrent_status.time_since_upload",
    "torrent_status.need_save_resume",
    "torrent_info.layout",
    "cache_flushed_alert",
    "read_resume_data",
    "write_resume_data_buf",
    "write_torrent_file",
    "load_torrent_buffer",
)


def check_libtorrent(module: object = libtorrent) -> str:
    """Verify version and calls before anything depends on them.

    Args:
        module: the installed binding; another one in tests.

    Returns:
        The version text.

    Raises:
        EngineUnsupportedError: another version, or a build that lacks a needed call.
    """
    version = str(getattr(module, "version", getattr(module, "__version__", "unknown")))
    wanted = ".".join(map(str, SUPPORTED))
    remedy = f"install the pinned one: pip install 'libtorrent=={wanted}'"
    if not (version + ".").startswith(wanted + "."):
        raise EngineUnsupportedError(
            f"libtorrent {version} is installed, {wanted} needed; {remedy}"
        )
    missing = [name for name in NEEDED if not _has(module, name)]
    if missing:
        raise EngineUnsupportedError(
            f"libtorrent {version} lacks {', '.join(missing)}; it was built otherwise; {remedy}"
        )
    return version


def _has(module: object, dotted: str) -> bool:
    found: object = module
    for part in dotted.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True
