"""Which settings does libtorrent get, and which are refused before it silently wraps them?"""

from dataclasses import replace
from typing import Any, cast

import libtorrent as lt
import pytest

from revaer.adapters.libtorrent import profile, startup
from revaer.domain.errors import EngineUnsupportedError, InvalidInputError
from revaer.domain.ids import BytesPerSecond
from revaer.ports.engine import EngineSettings

DEFAULTS = EngineSettings()


def pack(**changes: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", profile.settings_pack(replace(DEFAULTS, **changes)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alert_queue_size", 100_000),
        ("max_retry_port_bind", 0),
        ("listen_system_port_fallback", False),
        ("rate_limit_ip_overhead", False),
        ("ssrf_mitigation", True),
        ("validate_https_trackers", True),
        ("webtorrent_stun_server", ""),
        ("stop_tracker_timeout", 2),
        ("enable_upnp", False),
        ("enable_natpmp", False),
        ("connections_limit", 500),
        ("active_downloads", -1),
        ("listen_interfaces", "0.0.0.0:6881,[::]:6881"),
    ],
)
def test_a_default_that_protects_somebody_is_set(name: str, value: object) -> None:
    assert pack()[name] == value


def test_every_setting_is_one_that_libtorrent_knows_and_of_its_type() -> None:
    known = cast("dict[str, Any]", lt.default_settings())
    null_by_default = {"outgoing_interfaces"}
    for name, value in pack().items():
        if name not in null_by_default:
            assert type(value) is type(known[name]), name


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("enable_dht", ["enable_dht"]),
        ("enable_lsd", ["enable_lsd"]),
        ("enable_port_mapping", ["enable_upnp", "enable_natpmp"]),
        ("enable_utp", ["enable_outgoing_utp", "enable_incoming_utp"]),
    ],
)
def test_a_switch_reaches_libtorrent_both_ways(setting: str, names: list[str]) -> None:
    for wanted in (True, False):
        assert [pack(**{setting: wanted})[name] for name in names] == [wanted] * len(names)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("download_limit", 2**31),
        ("download_limit", 2**40),
        ("upload_limit", -1),
        ("max_connections", 0),
        ("max_connections", 2**40),
        ("max_uploads", -2),
        ("active_downloads", -2),
        ("active_seeds", 2**31),
        ("active_limit", 2**31),
        ("listen", ("no-port",)),
        ("listen", ("1.2.3.4:99999",)),
        ("listen", ("1.2.3.4:1,5.6.7.8:2",)),
        ("listen", ("lo\n:1",)),
        ("outgoing_interface", "tun\0"),
        ("user_agent", "a\r\nX-Header: b"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(InvalidInputError, match=name):
        pack(**{name: value})


def test_a_limit_at_the_end_of_its_range_is_passed_on() -> None:
    assert pack(download_limit=BytesPerSecond(2**31 - 1))["download_rate_limit"] == 2**31 - 1
    assert dict(profile.limits_pack(5, 0)) == {"download_rate_limit": 5, "upload_rate_limit": 0}


def test_an_unknown_disk_backend_is_refused_with_the_known_ones() -> None:
    assert profile.disk_backend("posix") == "posix_disk_io_constructor"
    with pytest.raises(InvalidInputError, match="posix, mmap"):
        profile.disk_backend("tape")


def test_busy_alert_categories_are_on_only_while_somebody_listens() -> None:
    category = lt.alert.category_t
    quiet = profile.alert_mask(frozenset())
    busy = category.piece_progress_notification | category.connect_notification
    assert quiet & busy == 0
    assert quiet & category.storage_notification
    assert profile.alert_mask(frozenset({"piece", "peer"})) == quiet | busy
    never = category.block_progress_notification | category.peer_log_notification
    assert profile.alert_mask(frozenset({"piece", "peer"})) & never == 0
    with pytest.raises(InvalidInputError, match="weather"):
        profile.alert_mask(frozenset({"weather"}))


@pytest.mark.parametrize(
    ("changes", "is_queueing"),
    [({}, False), ({"active_downloads": 3}, True), ({"active_limit": 0}, True)],
)
def test_a_limit_of_running_torrents_makes_a_queue(
    changes: dict[str, Any], *, is_queueing: bool
) -> None:
    assert profile.is_queueing(replace(DEFAULTS, **changes)) is is_queueing


@pytest.mark.parametrize("address", ["127.0.0.1", "192.168.1.9", "8.8.8.8", "::1", "fe80::1"])
def test_no_address_is_outside_the_session_s_limits(address: str) -> None:
    assert profile.every_peer_is_limited().access(address) == 1 << lt.session.global_peer_class_id


class OtherBinding:
    """A libtorrent of another version."""

    version = "2.0.11.0"


class BareBinding:
    """The right version, built without what is needed."""

    version = "2.1.1.0"


def test_another_libtorrent_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        EngineUnsupportedError, match=r"2\.0\.11.*pip install 'libtorrent==2\.1\.1'"
    ):
        startup.check_libtorrent(OtherBinding)
    with pytest.raises(EngineUnsupportedError, match=r"lacks .*flush_cache"):
        startup.check_libtorrent(BareBinding)
