"""Download one torrent: `python one_torrent.py SOURCE DIRECTORY [HOST:PORT]`."""

import sys

from revaer import NetworkOptions, SharedResources, TorrentSession


def main(source: str, directory: str, peer: str = "") -> None:
    """Wait until it is complete; everything is freed with the session."""
    host, _, port = peer.rpartition(":")
    shared = SharedResources(
        directory, network=NetworkOptions(enable_dht=not peer, enable_lsd=not peer)
    )
    session = TorrentSession(source, shared, peers=[(host, int(port))] if peer else [])
    session.events.subscribe("session.*", lambda event: print(event.name))
    session.start()
    session.wait()
    print(f"{session.name}: {session.progress:.0%}, {session.state}")
    session.close()  # lets go of the resources, which nobody else uses


if __name__ == "__main__":
    main(*sys.argv[1:])
