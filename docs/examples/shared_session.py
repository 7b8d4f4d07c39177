"""Several users of one libtorrent session: `python shared_session.py DIRECTORY HOST:PORT A B`."""

import sys

from revaer import NetworkOptions, SharedResources, TorrentManager, TorrentSession


def main(directory: str, peer: str, first: str, second: str) -> None:
    """One session by itself, one in a manager; the last one to close frees what they share."""
    host, _, port = peer.rpartition(":")
    peers = [(host, int(port))]
    shared = SharedResources(directory, network=NetworkOptions(enable_dht=False, enable_lsd=False))
    alone = TorrentSession(first, shared, peers=peers)
    manager = TorrentManager(resources=shared, download_dir=f"{directory}/managed")
    managed = manager.add(second, peers=peers)
    alone.start()
    managed.start()
    alone.wait()
    managed.wait()
    print(f"{shared.ref_count} references, {shared.active_torrents} active torrents")
    alone.close()
    print("freed:", shared.is_freed)
    manager.close()
    print("freed:", shared.is_freed)


if __name__ == "__main__":
    main(*sys.argv[1:])
