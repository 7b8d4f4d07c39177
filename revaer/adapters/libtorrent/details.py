"""Peers and trackers as libtorrent describes them, as values."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import libtorrent as lt

from revaer.domain.details import PeerInfo, TrackerInfo, TrackerState
from revaer.domain.ids import NEVER, EpochSeconds

UTP_SOCKET: Final = 1 << 17
"""The flag of a uTP connection, to which the binding gives no name."""

_P = lt.peer_info
_HALF_OPEN: Final = _P.connecting | _P.handshake
_CATEGORIES: Final = {
    category.name(): category
    for category in (
        lt.system_category(),
        lt.generic_category(),
        lt.libtorrent_category(),
        lt.http_category(),
        lt.socks_category(),
        lt.bdecode_category(),
    )
}
"""Where the number of an error comes from; the handle tells the category's name alone."""
_WEB: Final = _P.web_seed | _P.http_seed


def is_connected(peer: lt.peer_info) -> bool:
    """Whether the handshake is done: libtorrent also lists those that it only calls."""
    return not peer.flags & _HALF_OPEN


def peer_info(peer: lt.peer_info, files_of: Callable[[int], tuple[int, ...]]) -> PeerInfo:
    """Describe one connected peer.

    Args:
        peer: as the handle lists it; nothing of it is kept.
        files_of: the indexes of the files that a piece has bytes of.
    """
    flags, source = peer.flags, peer.source
    address, port = peer.ip
    piece = peer.downloading_piece_index
    is_web = bool(peer.connection_type & _WEB)
    return PeerInfo(
        address=address,
        port=port,
        client=_printable(peer.client),
        peer_id=str(peer.pid),
        progress=min(max(peer.progress, 0.0), 1.0),
        download_rate=peer.payload_down_speed,
        upload_rate=peer.payload_up_speed,
        downloaded_bytes=peer.total_download,
        uploaded_bytes=peer.total_upload,
        flags=flag_letters(flags, source),
        connection="web" if is_web else "utp" if flags & UTP_SOCKET else "bt",
        is_incoming=not flags & _P.outgoing_connection,
        is_encrypted=bool(flags & _P.rc4_encrypted),
        files=files_of(piece) if piece >= 0 else (),
    )


def flag_letters(flags: int, source: int) -> str:
    """Tell a peer's state in qBittorrent's letters and in its order.

    Args:
        flags: `peer_info.flags`.
        source: `peer_info.source`: how the peer's address was learnt.
    """
    is_interesting, is_choked = flags & _P.interesting, flags & _P.choked
    is_interested, has_choked_us = flags & _P.remote_interested, flags & _P.remote_choked
    letters = (
        ("d" if has_choked_us else "D") if is_interesting else "",
        ("u" if is_choked else "U") if is_interested else "",
        "K" if not has_choked_us and not is_interesting else "",
        "?" if not is_choked and not is_interested else "",
        "O" if flags & _P.optimistic_unchoke else "",
        "S" if flags & _P.snubbed else "",
        "I" if not flags & _P.outgoing_connection else "",
        "H" if source & _P.dht else "",
        "X" if source & _P.pex else "",
        "L" if source & _P.lsd else "",
        "E" if flags & _P.rc4_encrypted else "",
        "e" if flags & _P.plaintext_encrypted else "",
        "P" if flags & UTP_SOCKET else "",
    )
    return " ".join(letter for letter in letters if letter)


def tracker_info(tracker: Mapping[str, Any]) -> TrackerInfo:
    """Describe one announce address.

    libtorrent keeps one state per listening socket and per info-hash version. The best of them is
    told, as qBittorrent does: a tracker that works over one of them works.
    """
    attempts = [
        attempt
        for endpoint in tracker.get("endpoints", ())
        for attempt in endpoint.get("info_hashes", ())
    ]
    failing = [attempt for attempt in attempts if attempt["fails"] > 0]
    working = [attempt for attempt in attempts if attempt["start_sent"] and not attempt["fails"]]
    state = TrackerState.NOT_CONTACTED
    if any(attempt["updating"] for attempt in attempts):
        state = TrackerState.UPDATING
    elif working and tracker.get("verified"):
        state = TrackerState.WORKING
    elif failing:
        state = TrackerState.FAILING
    planned = [a["next_announce"] for a in attempts if a["next_announce"] > 0]
    return TrackerInfo(
        url=tracker["url"],
        tier=tracker["tier"],
        state=state,
        message=_message(failing if state is TrackerState.FAILING else [*working, *attempts]),
        seeds=_most(attempts, "scrape_complete"),
        leechers=_most(attempts, "scrape_incomplete"),
        downloaded=_most(attempts, "scrape_downloaded"),
        fails=max((attempt["fails"] for attempt in failing), default=0),
        next_announce_at=EpochSeconds(min(planned)) if planned else NEVER,
    )


def _most(attempts: Iterable[Mapping[str, Any]], name: str) -> int:
    return max((attempt[name] for attempt in attempts), default=-1)


def _message(attempts: Iterable[Mapping[str, Any]]) -> str:
    return next((text for text in map(_said, attempts) if text), "")


def _said(attempt: Mapping[str, Any]) -> str:
    """What the tracker said, else what went wrong on the way to it."""
    if attempt["message"]:
        return str(attempt["message"])
    error = attempt["last_error"]
    if not error["value"]:
        return ""
    category = _CATEGORIES.get(error["category"])
    if category is None:
        return f"{error['category']} error {error['value']}"
    return lt.error_code(error["value"], category).message()


def _printable(name: bytes) -> str:
    return "".join(c for c in name.decode(errors="replace") if c.isprintable())
