"""What can a stranger's file list do to files that are not the torrent's?"""

from pathlib import Path

from actors.testing import eventually
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.commands import AddTorrent, RemoveTorrent
from revaer.domain.torrent import FaultCode, MagnetSource
from tests.support.rig import EngineRig
from tests.support.swarm import Seeder, make_payload

SOON_S = 30.0


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
