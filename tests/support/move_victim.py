"""Begins to move a torrent in a process of its own, and waits to be killed.

`python -m tests.support.move_victim ROOT INFO_HASH PLACE`; prints `answered` when the move began.
"""

import sys
import threading
from pathlib import Path

from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.commands import MoveTorrent
from revaer.domain.ids import InfoHash
from tests.support.rig import EngineRig

WAIT_S = 60.0


def run(root: Path, info_hash: InfoHash, place: str) -> None:
    """Start on what is stored below `root`, and begin the move."""
    with EngineRig(root=root, open_engine=LibtorrentEngine) as rig:
        rig.wait_complete(info_hash)
        rig.gateway.execute(MoveTorrent(info_hash, place), timeout_s=WAIT_S)
        sys.stdout.write("answered\n")
        sys.stdout.flush()
        threading.Event().wait(WAIT_S)


if __name__ == "__main__":
    run(Path(sys.argv[1]), InfoHash(sys.argv[2]), sys.argv[3])
