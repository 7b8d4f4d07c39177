"""The shape of a program with windows: `python window.py DIRECTORY HOST:PORT SOURCE...`.

A toolkit wants its widgets touched by its own thread only. So callbacks put events into a queue,
and the main loop, which here only prints, takes them out between two frames.
"""

import queue
import sys
import threading

from revaer import (
    NetworkOptions,
    SessionErrorEvent,
    SessionEvent,
    StatsUpdateEvent,
    TorrentManager,
)

FRAME_S = 0.1


class Window:
    """Rows of torrents; only the main thread calls it."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.complete: set[str] = set()

    def show(self, event: SessionEvent) -> None:
        """Bring one row up to date."""
        match event.data:
            case StatsUpdateEvent() as stats:
                self.rows[event.info_hash] = f"{stats.progress:4.0%} {stats.download_rate} B/s"
            case SessionErrorEvent(message):
                print(f"{event.info_hash}: {message}")
            case _:
                print(f"{event.info_hash}: {event.name}")
        if event.name == "session.completed":
            self.complete.add(event.info_hash)


def main(directory: str, peer: str, *sources: str) -> None:
    """Run until every torrent is complete; a real program runs until its window is closed."""
    host, _, port = peer.rpartition(":")
    events: queue.Queue[SessionEvent] = queue.Queue()
    window = Window()
    frame = threading.Event()  # stands for the toolkit's own timer
    with TorrentManager(
        directory,
        network=NetworkOptions(enable_dht=False, enable_lsd=False),
        on_event=events.put,  # from the first moment on, also of torrents of the last time
    ) as manager:
        for source in sources:
            manager.add(source, peers=[(host, int(port))], start=True)
        while len(window.complete) < len(sources):
            while not events.empty():
                window.show(events.get_nowait())
            frame.wait(FRAME_S)
    print(f"closed with {len(window.complete)} complete torrents")


if __name__ == "__main__":
    main(*sys.argv[1:])
