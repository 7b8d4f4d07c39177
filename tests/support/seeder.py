"""Seeds torrents over loopback until its standard input ends; run as a script by `swarm.Seeder`.

Arguments: the upload limit in bytes per second (0 unlimited), then pairs of torrent file and
directory. Prints one line, the listening port, once every torrent is seeding.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import libtorrent as lt

_POLL_MS = 200


def seed(
    upload_limit: int, torrents: list[tuple[str, str]], changed: Mapping[str, Any] | None = None
) -> lt.session:
    """Open a session that answers on TCP alone and finds nobody by itself.

    Args:
        upload_limit: bytes per second; 0 is unlimited.
        torrents: torrent file and directory of each.
        changed: libtorrent settings that differ from what the tests need most often.
    """
    settings: dict[str, Any] = {
        "listen_interfaces": "127.0.0.1:0",
        "alert_mask": lt.alert.category_t.status_notification,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        "allow_multiple_connections_per_ip": True,
        "unchoke_slots_limit": -1,
        "connections_limit": 1000,
        "rate_limit_ip_overhead": False,
        "stop_tracker_timeout": 0,
        "upload_rate_limit": upload_limit,
        **(changed or {}),
    }
    session: lt.session = lt.session(cast("lt.settings_pack", settings))
    everybody = lt.ip_filter()
    classes = 1 << lt.session.global_peer_class_id
    everybody.add_rule("0.0.0.0", "255.255.255.255", classes)  # noqa: S104 -- a range of peers
    session.set_peer_class_filter(everybody)
    for torrent, directory in torrents:
        params = lt.load_torrent_file(torrent)
        params.save_path = directory
        params.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
        params.flags |= lt.torrent_flags.seed_mode
        session.add_torrent(params)
    # `is_seeding` is true at once in seed mode, but a peer that calls before the files were looked
    # at is hung up on.
    seeding = lt.torrent_status.states.seeding
    while not all(handle.status().state == seeding for handle in session.get_torrents()):
        session.wait_for_alert(_POLL_MS)
        session.pop_alerts()
    return session


def main() -> None:
    """Seed what the arguments name."""
    limit, *rest = sys.argv[1:]
    for path in rest[::2]:
        if not Path(path).is_file():
            sys.exit(f"no such torrent file: {path}")
    session = seed(int(limit), list(zip(rest[::2], rest[1::2], strict=True)))
    print(session.listen_port(), flush=True)  # noqa: T201 -- the answer to the parent process
    sys.stdin.read()


if __name__ == "__main__":
    main()
