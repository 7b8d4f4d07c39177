"""Download many torrents: `python many_torrents.py DIRECTORY HOST:PORT SOURCE...`."""

import sys

from revaer import NetworkOptions, SessionEvent, TorrentManager


def tell(event: SessionEvent) -> None:
    """Runs in the manager's dispatcher thread."""
    print(event.name, event.info_hash)


def main(directory: str, peer: str, *sources: str) -> None:
    """Run them all on one libtorrent session, two at a time."""
    host, _, port = peer.rpartition(":")
    with TorrentManager(
        directory,
        network=NetworkOptions(enable_dht=False, enable_lsd=False),
        max_active_downloads=2,
        global_upload_limit=1_000_000,
    ) as manager:
        manager.subscribe_all("session.completed", tell)  # of later torrents, too
        sessions = [manager.add(source, peers=[(host, int(port))]) for source in sources]
        manager.resume_all()
        for session in sessions:
            session.wait()
        print(f"{len(manager.all())} torrents are complete")


if __name__ == "__main__":
    main(*sys.argv[1:])
