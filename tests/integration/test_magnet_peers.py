"""Does a torrent that needs a peer get on when the one peer hangs up on the first call?"""

from collections.abc import Iterator
from pathlib import Path

import libtorrent as lt
import pytest

from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.facts import MetadataReceived, PeerLeft
from revaer.ports.engine import EngineTorrent
from tests.contract.engines import LOOPBACK, Observer, spec_of
from tests.support.seeder import seed
from tests.support.swarm import Payload, make_payload


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "seed", "film", {"film.mkv": 100_000})


@pytest.fixture
def engine() -> Iterator[LibtorrentEngine]:
    engine = LibtorrentEngine(LOOPBACK)
    engine.set_interest(frozenset({"peer"}))
    yield engine
    engine.close()


@pytest.fixture
def busy_seed(payload: Payload) -> lt.session:
    """One that answers the telephone, but not for this torrent yet."""
    session = seed(0, [(str(payload.torrent_path), str(payload.directory))])
    session.get_torrents()[0].pause()
    return session


def test_a_magnet_calls_a_peer_again_that_hung_up(
    engine: LibtorrentEngine, busy_seed: lt.session, payload: Payload, tmp_path: Path
) -> None:
    observer = Observer(engine)
    peer = ("127.0.0.1", busy_seed.listen_port())
    engine.add(EngineTorrent(spec=spec_of(payload, tmp_path / "dl"), peers=(peer,)))
    observer.first(PeerLeft)

    busy_seed.get_torrents()[0].resume()

    observer.first(MetadataReceived)  # libtorrent itself would wait for a minute
