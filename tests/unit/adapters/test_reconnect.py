"""How long does a known peer wait to be called again?"""

from typing import Any, cast

import libtorrent as lt

from revaer.adapters.libtorrent.reconnect import HASTE_S, Reconnects


class Session:
    """Remembers which waits it was told."""

    def __init__(self) -> None:
        self.waits_s: list[int] = []

    def apply_settings(self, settings: dict[str, Any]) -> None:
        self.waits_s.append(settings["min_reconnect_time"])


def test_haste_begins_once_lasts_from_the_latest_call_and_ends() -> None:
    told = Session()
    session = cast("lt.session", told)
    now = 100.0
    reconnects = Reconnects(now=lambda: now)
    reconnects.settle(session)
    assert told.waits_s == []
    reconnects.hurry(session)
    now += HASTE_S - 1
    reconnects.hurry(session)
    now += HASTE_S - 1
    reconnects.settle(session)
    assert told.waits_s == [1]
    now += 1
    reconnects.settle(session)
    reconnects.settle(session)
    assert told.waits_s == [1, 60]


def test_the_usual_wait_is_libtorrent_s_own() -> None:
    defaults = cast("dict[str, Any]", lt.default_settings())
    assert defaults["min_reconnect_time"] == 60
