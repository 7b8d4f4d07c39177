"""Is every byte in its file at the moment when completion is announced?"""

from dataclasses import replace
from pathlib import Path

import pytest

from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.commands import AddTorrent
from revaer.domain.events import PublishedEvent, TorrentCompleted, TorrentStateChanged
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import MagnetSource, MetainfoSource, TorrentState
from tests.support.rig import LOOPBACK, EngineRig
from tests.support.swarm import Payload, Seeder, make_payload

TORRENTS = 6
SOON_S = 60.0


@pytest.fixture
def payloads(tmp_path: Path) -> list[Payload]:
    """Odd sizes, small and large pieces, one file and several, an empty file among them."""
    return [
        make_payload(
            tmp_path / f"seed{number}",
            f"show-{number}",
            {
                "film.mkv": 900_000 + 77_777 * number,
                "subs/en.srt": 4_001 + number,
                "subs/empty.srt": 0,
                "extra.bin": 300_000,
            },
            piece_length=16_384 << (number % 4),
        )
        for number in range(TORRENTS)
    ]


@pytest.mark.parametrize("backend", ["default", "pread", "posix", "mmap"])
def test_the_files_are_whole_when_the_event_is_heard(
    tmp_path: Path, payloads: list[Payload], backend: str
) -> None:
    root = tmp_path / "out"
    by_id = {InfoHash(payload.info_hash): payload for payload in payloads}
    settings = replace(LOOPBACK, disk_backend=backend)
    with (
        Seeder(*payloads) as seeder,
        EngineRig(root=root, open_engine=LibtorrentEngine, settings=settings) as rig,
    ):
        heard = rig.feed.subscribe(("torrent.completed", "torrent.state_changed"))
        for number, payload in enumerate(payloads):
            source = MagnetSource(payload.magnet) if number % 2 else MetainfoSource(payload.torrent)
            rig.gateway.execute(AddTorrent(source=source, peers=(seeder.peer,)), timeout_s=SOON_S)
        complete: list[InfoHash] = []
        while len(complete) < TORRENTS:
            delivery = heard.next(SOON_S)
            assert isinstance(delivery, PublishedEvent), f"only {len(complete)} completed"
            match delivery.event:
                case TorrentCompleted(info_hash):
                    assert by_id[info_hash].is_whole_in(root)
                    complete.append(info_hash)
                case TorrentStateChanged(info_hash, TorrentState.SEEDING):
                    assert by_id[info_hash].is_whole_in(root)
                case _:
                    pass
    assert sorted(complete) == sorted(by_id)
