"""How do libtorrent's peers and trackers read in qBittorrent's letters and our states?"""

from types import SimpleNamespace
from typing import Any, cast

import libtorrent as lt
import pytest

from revaer.adapters.libtorrent import details
from revaer.domain.details import TrackerState

P = lt.peer_info
OUT = P.outgoing_connection
QUIET = OUT | P.choked | P.remote_choked
"""A peer that we called, and neither side has anything to ask or gives anything."""


@pytest.mark.parametrize(
    ("flags", "source", "letters"),
    [
        (QUIET, 0, ""),
        (QUIET | P.interesting, 0, "d"),
        (OUT | P.choked | P.interesting, 0, "D"),
        (QUIET | P.remote_interested, 0, "u"),
        (OUT | P.remote_choked | P.remote_interested, 0, "U"),
        (OUT | P.choked, 0, "K"),
        (OUT | P.remote_choked, 0, "?"),
        (QUIET | P.optimistic_unchoke, 0, "O"),
        (QUIET | P.snubbed, 0, "S"),
        (P.choked | P.remote_choked, 0, "I"),
        (QUIET, P.dht, "H"),
        (QUIET, P.pex, "X"),
        (QUIET, P.lsd, "L"),
        (QUIET | P.rc4_encrypted, 0, "E"),
        (QUIET | P.plaintext_encrypted, 0, "e"),
        (QUIET | details.UTP_SOCKET, 0, "P"),
        (
            P.interesting
            | P.remote_interested
            | P.optimistic_unchoke
            | P.rc4_encrypted
            | details.UTP_SOCKET,
            P.dht | P.pex | P.lsd | P.tracker,
            "D U O I H X L E P",
        ),
    ],
)
def test_a_peer_s_state_reads_as_in_qbittorrent(flags: int, source: int, letters: str) -> None:
    assert details.flag_letters(flags, source) == letters


def peer(**fields: Any) -> Any:
    known: dict[str, Any] = {
        "ip": ("::1", 7),
        "client": b"Good\xff \x07Client",
        "pid": "ab" * 20,
        "progress": 0.5,
        "payload_down_speed": 1,
        "payload_up_speed": 2,
        "total_download": 3,
        "total_upload": 4,
        "flags": QUIET,
        "source": 0,
        "connection_type": P.standard_bittorrent,
        "downloading_piece_index": -1,
    }
    return SimpleNamespace(**(known | fields))


def test_a_peer_s_name_is_told_as_far_as_it_can_be_printed() -> None:
    told = details.peer_info(peer(), lambda _: (1,))
    assert told.client == "Good\ufffd Client"
    assert (told.address, told.port, told.files) == ("::1", 7, ())


@pytest.mark.parametrize("kind", [P.web_seed, P.http_seed])
def test_a_web_seed_is_told_as_such(kind: int) -> None:
    told = details.peer_info(peer(connection_type=kind, downloading_piece_index=3), lambda p: (p,))
    assert (told.connection, told.files) == ("web", (3,))


def test_a_peer_that_is_only_called_is_not_connected() -> None:
    assert details.is_connected(peer())
    assert not details.is_connected(peer(flags=QUIET | P.connecting))
    assert not details.is_connected(peer(flags=QUIET | P.handshake))


def attempt(**fields: Any) -> dict[str, Any]:
    return {
        "fails": 0,
        "updating": False,
        "start_sent": False,
        "message": "",
        "last_error": {"value": 0, "category": "system"},
        "next_announce": -(2**31) + 1,
        "scrape_complete": -1,
        "scrape_incomplete": -1,
        "scrape_downloaded": -1,
    } | fields


def tracker(*attempts: dict[str, Any], verified: bool = False) -> Any:
    return {
        "url": "http://t/announce",
        "tier": 2,
        "verified": verified,
        "endpoints": [{"info_hashes": [each]} for each in attempts],
    }


REFUSED = {"value": 111, "category": "system"}
WORKING = attempt(start_sent=True, scrape_complete=5, next_announce=1_000, message="be nice")
FAILING = attempt(fails=3, last_error=REFUSED, next_announce=500)


@pytest.mark.parametrize(
    ("attempts", "verified", "state"),
    [
        ((), False, TrackerState.NOT_CONTACTED),
        ((attempt(),), False, TrackerState.NOT_CONTACTED),
        ((attempt(updating=True), FAILING), False, TrackerState.UPDATING),
        ((FAILING, attempt()), False, TrackerState.FAILING),
        ((FAILING, WORKING), True, TrackerState.WORKING),
    ],
)
def test_a_tracker_is_as_well_as_its_best_attempt(
    attempts: tuple[dict[str, Any], ...], *, verified: bool, state: TrackerState
) -> None:
    assert details.tracker_info(tracker(*attempts, verified=verified)).state is state


def test_a_tracker_s_numbers_are_the_best_known() -> None:
    told = details.tracker_info(tracker(FAILING, WORKING, verified=True))
    assert (told.seeds, told.leechers, told.message, told.next_announce_at) == (
        5,
        -1,
        "be nice",
        500,
    )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (REFUSED, "Connection refused"),
        ({"value": 404, "category": "http"}, "404 Not Found"),
        ({"value": 7, "category": "asio.netdb"}, "asio.netdb error 7"),
        ({"value": 0, "category": ""}, ""),
    ],
)
def test_a_tracker_that_said_nothing_is_explained_by_the_error(
    error: dict[str, Any], message: str
) -> None:
    failing = attempt(fails=1, last_error=error)
    assert details.tracker_info(cast("Any", tracker(failing))).message == message
