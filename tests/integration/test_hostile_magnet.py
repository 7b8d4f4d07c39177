"""What can a stranger's file list do, to files that are not the torrent's and to us?"""

import hashlib
from pathlib import Path
from typing import Any, cast

import libtorrent as lt
import pytest

from actors.testing import eventually
from revaer.adapters.libtorrent import metainfo
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.commands import AddTorrent, RemoveTorrent, ResumeTorrent
from revaer.domain.facts import FaultRaised, MetadataReceived, ResumeDataReady, ResumeRejected
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import FaultCode, MagnetSource, TorrentSpec
from revaer.ports.engine import EngineTorrent
from tests.contract.engines import LOOPBACK, Observer
from tests.support.rig import EngineRig
from tests.support.seeder import seed
from tests.support.swarm import Peer, Seeder, make_payload

SOON_S = 30.0


class Crowd:
    """A torrent of more files than a torrent file may have, at somebody who tells of it."""

    def __init__(self, directory: Path) -> None:
        files = [
            {b"length": 1, b"path": [b"%06x" % number]} for number in range(metainfo.MAX_FILES + 1)
        ]
        info = {
            b"name": b"crowd",
            b"piece length": 1 << 20,
            b"pieces": bytes(20),
            b"files": files,
        }
        written = lt.bencode(cast("Any", info))
        self.info_hash = InfoHash(hashlib.sha1(written, usedforsecurity=False).hexdigest())
        self.magnet = f"magnet:?xt=urn:btih:{self.info_hash}"
        self._session = seed(0, [])
        params = lt.load_torrent_buffer(b"d4:info" + written + b"e")
        params.save_path = str(directory)
        params.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
        handle = self._session.add_torrent(params)
        downloading = lt.torrent_status.states.downloading
        eventually(lambda: handle.status().state == downloading, within_s=SOON_S)

    @property
    def peer(self) -> Peer:
        return ("127.0.0.1", self._session.listen_port())

    def spec(self, save_path: Path) -> TorrentSpec:
        return TorrentSpec(
            info_hash=self.info_hash,
            infohash_v1=self.info_hash,
            magnet_uri=self.magnet,
            name="crowd",
            save_path=str(save_path),
            added_at=EpochSeconds(1),
        )


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    return Crowd(tmp_path_factory.mktemp("crowd"))


def test_a_magnet_that_names_our_state_neither_writes_nor_deletes_it(tmp_path: Path) -> None:
    hostile = make_payload(tmp_path / "seed", ".revaer", {"resume/victim.json": 70_000})
    root = tmp_path / "out"
    with (
        Seeder(hostile) as seeder,
        EngineRig(root=root, open_engine=LibtorrentEngine) as rig,
    ):
        victim = root / ".revaer" / "resume" / "victim.json"
        victim.write_text("ours")
        info_hash = rig.gateway.execute(
            AddTorrent(source=MagnetSource(hostile.magnet), peers=(seeder.peer,)),
            timeout_s=SOON_S,
        ).info_hash
        eventually(lambda: rig.record(info_hash).fault is not None, within_s=SOON_S)
        fault = rig.record(info_hash).fault
        assert fault is not None
        assert fault.code is FaultCode.PATH_REFUSED
        assert victim.read_text() == "ours"

        rig.gateway.execute(RemoveTorrent(info_hash, with_data=True), timeout_s=SOON_S)
        eventually(lambda: not rig.holder.current().torrents(), within_s=SOON_S)

        assert victim.read_text() == "ours"


def test_a_magnet_of_too_many_files_is_refused_with_its_reason(
    tmp_path: Path, crowd: Crowd
) -> None:
    with EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine) as rig:
        info_hash = rig.gateway.execute(
            AddTorrent(source=MagnetSource(crowd.magnet), peers=(crowd.peer,)), timeout_s=SOON_S
        ).info_hash

        def reason() -> str:
            fault = rig.record(info_hash).fault
            return fault.message if fault is not None else ""

        eventually(lambda: "more than the 100000 allowed" in reason(), within_s=SOON_S)
        assert rig.record(info_hash).metainfo is None
        eventually(lambda: rig.record(info_hash).status.is_paused, within_s=SOON_S)

        rig.gateway.execute(ResumeTorrent(info_hash), timeout_s=SOON_S)
        eventually(lambda: "more than the 100000 allowed" in reason(), within_s=SOON_S)
        rig.gateway.execute(RemoveTorrent(info_hash, with_data=True), timeout_s=SOON_S)
        eventually(lambda: not rig.holder.current().torrents(), within_s=SOON_S)


def test_too_long_a_list_is_neither_kept_nor_taken_from_resume_data(
    tmp_path: Path, crowd: Crowd
) -> None:
    engine = LibtorrentEngine(LOOPBACK)
    again = LibtorrentEngine(LOOPBACK)
    spec = crowd.spec(tmp_path)
    try:
        observer = Observer(engine)
        engine.add(EngineTorrent(spec=spec, peers=(crowd.peer,)))
        observer.first(FaultRaised)
        engine.save(crowd.info_hash)
        saved = observer.first(ResumeDataReady)
        assert not observer.all(MetadataReceived)
        assert saved.metainfo_data == b""

        assert again.add(EngineTorrent(spec=spec, blob=saved.blob)) is None
        rejected = Observer(again).first(ResumeRejected)
        assert "100001 files" in rejected.reason
    finally:
        engine.close()
        again.close()
