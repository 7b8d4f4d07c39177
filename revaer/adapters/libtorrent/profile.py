"""Settings as libtorrent's settings pack: pure, ranges checked before libtorrent wraps them.

Values that are no setting of Revaer are qBittorrent's, which differ from the library's defaults for
a reason that most swarms have met; each deviation for another reason says so.
"""

from typing import Any, Final, cast

import libtorrent as lt

from revaer.adapters.libtorrent.metainfo import MAX_METAINFO_BYTES, MAX_PIECES, MAX_TOKENS
from revaer.domain import engine_input
from revaer.domain.errors import InvalidInputError
from revaer.ports.engine import EngineSettings

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

STOP_TRACKER_TIMEOUT_S: Final = 2
"""How long a hung tracker may hold up the end of a session."""

_UNLIMITED: Final = -1
_BLOCKED: Final = 1

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
    # A torrent's first four pieces would be random ones, past every piece priority: those of a
    # file's ends, which players read first, and those that an operator ranked highest.
    "initial_picker_threshold": 0,
    "active_checking": 1,
    "aio_threads": 4,
    "hashing_threads": 1,
    "file_pool_size": 100,
    "checking_mem_usage": 512,
    "max_queued_disk_bytes": 64 * 1024 * 1024,
    # What peers may send for a magnet is bounded as a torrent file is.
    "max_metadata_size": MAX_METAINFO_BYTES,
    "max_piece_count": MAX_PIECES,
    "metadata_token_limit": MAX_TOKENS,
    "peer_fingerprint": "-RV0100-",
}


def settings_pack(settings: EngineSettings) -> "lt.settings_pack":
    """Translate all settings.

    Raises:
        InvalidInputError: a value out of range; the message names the setting.
    """
    fixed = _FIXED | {"alert_mask": alert_mask(frozenset())}
    return cast("lt.settings_pack", fixed | _changeable(settings))


def live_pack(settings: EngineSettings) -> "lt.settings_pack":
    """Translate what a running session can change; what somebody listens to is left as it is.

    Raises:
        InvalidInputError: a value out of range; the message names the setting.
    """
    return cast("lt.settings_pack", _changeable(settings))


def _changeable(settings: EngineSettings) -> dict[str, Any]:
    mapping = settings.enable_port_mapping
    return {
        "listen_interfaces": _interfaces("listen", settings.listen),
        "outgoing_interfaces": engine_input.check_line(
            "outgoing_interface", settings.outgoing_interface
        ),
        "download_rate_limit": rate_limit("download_limit", settings.download_limit),
        "upload_rate_limit": rate_limit("upload_limit", settings.upload_limit),
        "enable_dht": settings.enable_dht,
        "enable_lsd": settings.enable_lsd,
        "enable_upnp": mapping,
        "enable_natpmp": mapping,
        "connections_limit": engine_input.check_number(
            "max_connections", settings.max_connections, 2
        ),
        "unchoke_slots_limit": engine_input.check_number(
            "max_uploads", settings.max_uploads, _UNLIMITED
        ),
        "active_downloads": engine_input.check_number(
            "active_downloads", settings.active_downloads, _UNLIMITED
        ),
        "active_seeds": engine_input.check_number(
            "active_seeds", settings.active_seeds, _UNLIMITED
        ),
        "active_limit": engine_input.check_number(
            "active_limit", settings.active_limit, _UNLIMITED
        ),
        "user_agent": engine_input.check_line("user_agent", settings.user_agent),
        "enable_outgoing_utp": settings.enable_utp,
        "enable_incoming_utp": settings.enable_utp,
    }


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
    return engine_input.check_number(name, value, 0)


def disk_backend(name: str) -> str:
    """Name libtorrent's constructor; an unknown name would silently be the default one.

    Raises:
        InvalidInputError: no such backend.
    """
    return f"{engine_input.check_disk_backend(name)}_disk_io_constructor"


def every_peer_is_limited() -> lt.ip_filter:
    """Build the class filter that makes rate limits hold for LAN and loopback peers too.

    By default libtorrent puts those in a class of their own, past the session's limits.
    """
    session_wide = 1 << lt.session.global_peer_class_id
    peer_classes = lt.ip_filter()
    peer_classes.add_rule("0.0.0.0", "255.255.255.255", session_wide)  # noqa: S104 -- a range
    peer_classes.add_rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", session_wide)
    return peer_classes


def ban_filter(banned_peers: frozenset[str]) -> lt.ip_filter:
    """Build the filter that blocks single addresses; another than the one of peer classes.

    Raises:
        InvalidInputError: not an IP address.
    """
    blocked = lt.ip_filter()
    for address in banned_peers:
        plain = engine_input.check_address("a banned peer", address)
        blocked.add_rule(plain, plain, _BLOCKED)
    return blocked


def _interfaces(name: str, values: tuple[str, ...]) -> str:
    return ",".join(engine_input.check_listen(name, value) for value in values)
