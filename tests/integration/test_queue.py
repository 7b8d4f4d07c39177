"""Does a torrent meet its peers again when the queue lets it run again?"""

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.adapters.libtorrent.reconnect import HASTE_S
from revaer.domain.ids import InfoHash
from tests.contract.engines import LOOPBACK, Observer, from_file
from tests.support.swarm import Seeder, make_payload

WITHIN_S = 30.0
"""libtorrent itself would wait 60 s before it calls a peer again."""


def test_a_torrent_that_the_queue_stopped_does_not_wait_a_minute_for_its_peers(
    tmp_path: Path,
) -> None:
    payload = make_payload(tmp_path / "seed", "queued", {"a.bin": 4_000_000})
    info_hash = InfoHash(payload.info_hash)
    running = replace(LOOPBACK, active_downloads=1, active_limit=1)
    standing = replace(running, active_downloads=0, active_limit=0)
    with (
        Seeder(payload, upload_limit=20_000) as seeder,
        closing(LibtorrentEngine(running)) as engine,
    ):
        observer = Observer(engine)

        def pump(*, until_connected: bool, within_s: float) -> bool:
            deadline = time.monotonic() + within_s
            while bool(engine.peers(info_hash)) is not until_connected:
                if time.monotonic() > deadline:
                    return False
                observer.step()
            return True

        engine.add(from_file(payload, tmp_path / "out", peers=(("127.0.0.1", seeder.port),)))
        assert pump(until_connected=True, within_s=WITHIN_S)
        engine.apply(standing)
        assert pump(until_connected=False, within_s=WITHIN_S)
        assert not pump(until_connected=True, within_s=HASTE_S + 2)
        engine.apply(running)
        assert pump(until_connected=True, within_s=WITHIN_S)
