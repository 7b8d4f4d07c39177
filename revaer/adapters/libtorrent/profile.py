"""Settings as libtorrent's settings pack: pure, ranges checked before libtorrent wraps them.

Values that are no setting of Revaer are qBittorrent's, which differ from the library's defaults for
a reason that most swarms have met; each deviation for another reason says so.
"""

from typing import Any, Final, cast

import libtorrent as lt

from revaer.domain.errors import InvalidInputError
from revaer.ports.engine import EngineSettings

MAX_INT: Final = 2**31 - 1
"""libtorrent keeps settings in 32 bits: 2**40 silently becomes 0, which means unlimited."""

_CATEGORY: Final = lt.alert.category_t
BASE_ALERTS: Final = (
    _CATEGORY.error_notification
    | _CATEGORY.status_notification
    | _CATEGORY.storage_notification
    | _CATEGORY.tracker_notification
    | _CATEGORY.port_mapping_notification
    | _CATEGORY.performance_warning
)
INTEREST_ALERTS: Final[dict[str, int]] = {
    "piece": _CATEGORY.piece_progress_notification,
    "peer": _CATEGORY.connect_notification,
}
"""Categories that a busy session fills with thousands of alerts per second: only on demand."""

DISK_BACKENDS: Final[dict[str, str]] = {
    "default": "default_disk_io_constructor",
    "pread": "pread_disk_io_constructor",
    "posix": "posix_disk_io_constructor",
    "mmap": "mmap_disk_io_constructor",
}

STOP_TRACKER_TIMEOUT_S: Final = 2
"""How long a hung tracker may hold up the end of a session."""

_UNLIMITED: Final = -1

_FIXED: Final[dict[str, Any]] = {
    "alert_queue_size": 100_000,
    # A port in use is an error to show, not a reason to listen elsewhere.
    "max_retry_port_bind": 0,
    "listen_system_port_fallback": False,
    "listen_queue_size": 30,
    # The overhead of a download's acknowledgements would count as upload and throttle the download.
    "rate_limit_ip_overhead": False,
    "mixed_mode_algorithm": int(lt.bandwidth_mixed_algo_t.prefer_tcp),
    "stop_tracker_timeout": STOP_TRACKER_TIMEOUT_S,
    "announce_to_all_tiers": True,
    "auto_scrape_interval": 1200,
    "auto_scrape_min_interval": 900,
    "use_dht_as_fallback": False,
    "ssrf_mitigation": True,
    "validate_https_trackers": True,
    "apply_ip_filter_to_trackers": True,
    # The wheel has WebTorrent built in and would ask a stranger's STUN host.
    "webtorrent_stun_server": "",
    "active_checking": 1,
    "aio_threads": 4,
    "hashing_threads": 1,
    "file_pool_size": 100,
    "checking_mem_usage": 512,
    "max_queued_disk_bytes": 64 * 1024 * 1024,
    "peer_fingerprint": "-RV0100-",
}


def settings_pack(settings: EngineSettings) -> "lt.settings_pack":
    """Translate all settings.

    Raises:
        InvalidInputError: a value out of range; the message names the setting.
    """
    mapping = settings.enable_port_mapping
    pack = _FIXED | {
        "alert_mask": alert_mask(frozenset()),
        "listen_interfaces": _interfaces("listen", settings.listen),
        "outgoing_interfaces": _text("outgoing_interface", settings.outgoing_interface),
        "download_rate_limit": rate_limit("download_limit", settings.download_limit),
        "upload_rate_limit": rate_limit("upload_limit", settings.upload_limit),
        "enable_dht": settings.enable_dht,
        "enable_lsd": settings.enable_lsd,
        "enable_upnp": mapping,
        "enable_natpmp": mapping,
        "connections_limit": _ranged("max_connections", settings.max_connections, 2),
        "unchoke_slots_limit": _ranged("max_uploads", settings.max_uploads, _UNLIMITED),
        "active_downloads": _ranged("active_downloads", settings.active_downloads, _UNLIMITED),
        "active_seeds": _ranged("active_seeds", settings.active_seeds, _UNLIMITED),
        "active_limit": _ranged("active_limit", settings.active_limit, _UNLIMITED),
        "user_agent": _text("user_agent", settings.user_agent),
        "enable_outgoing_utp": settings.enable_utp,
        "enable_incoming_utp": settings.enable_utp,
    }
    return cast("lt.settings_pack", pack)


def is_queueing(settings: EngineSettings) -> bool:
    """Whether libtorrent limits how many torrents run at once."""
    limits = (settings.active_downloads, settings.active_seeds, settings.active_limit)
    return any(limit >= 0 for limit in limits)


def limits_pack(download: int, upload: int) -> "lt.settings_pack":
    """Translate the session's rate limits alone.

    Raises:
        InvalidInputError: negative, or past 2 GiB per second.
    """
    return {
        "download_rate_limit": rate_limit("download_limit", download),
        "upload_rate_limit": rate_limit("upload_limit", upload),
    }


def alert_mask(topics: frozenset[str]) -> int:
    """Choose alert categories: the ones that state depends on, and what is listened to.

    Raises:
        InvalidInputError: a topic that the engine does not have.
    """
    unknown = topics - INTEREST_ALERTS.keys()
    if unknown:
        raise InvalidInputError(f"no such alert topic: {', '.join(sorted(unknown))}")
    mask = int(BASE_ALERTS)
    for topic in topics:
        mask |= INTEREST_ALERTS[topic]
    return mask


def rate_limit(name: str, value: int) -> int:
    """Check a limit in bytes per second; 0 is unlimited.

    Raises:
        InvalidInputError: negative, or more than libtorrent can hold.
    """
    return _ranged(name, value, 0)


def disk_backend(name: str) -> str:
    """Name libtorrent's constructor; an unknown name would silently be the default one.

    Raises:
        InvalidInputError: no such backend.
    """
    try:
        return DISK_BACKENDS[name]
    except KeyError as error:
        known = ", ".join(DISK_BACKENDS)
        raise InvalidInputError(f"disk_backend must be one of {known}, not {name!r}") from error


def every_peer_is_limited() -> lt.ip_filter:
    """Build the class filter that makes rate limits hold for LAN and loopback peers too.

    By default libtorrent puts those in a class of their own, past the session's limits.
    """
    session_wide = 1 << lt.session.global_peer_class_id
    peer_classes = lt.ip_filter()
    peer_classes.add_rule("0.0.0.0", "255.255.255.255", session_wide)  # noqa: S104 -- a range
    peer_classes.add_rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", session_wide)
    return peer_classes


def _ranged(name: str, value: int, least: int) -> int:
    if not least <= value <= MAX_INT:
        raise InvalidInputError(f"{name} must be {least} to {MAX_INT}: {value!r}")
    return value


def _text(name: str, value: str) -> str:
    if not value.isprintable():
        raise InvalidInputError(f"{name} must be printable text: {value!r}")
    return value


def _interfaces(name: str, values: tuple[str, ...]) -> str:
    for value in values:
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535 or "," in value:  # noqa: PLR2004
            raise InvalidInputError(f"{name} must be HOST:PORT or DEVICE:PORT: {value!r}")
        _text(name, value)
    return ",".join(values)
