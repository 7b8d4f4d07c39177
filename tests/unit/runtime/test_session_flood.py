"""Does one drain with more to show than may be held reach the board whole?"""

from pathlib import Path

from actors.testing import eventually
from revaer.adapters.memory.engine import MemoryEngine
from revaer.domain.commands import AddTorrent
from revaer.domain.facts import FaultRaised, TorrentChecked
from revaer.domain.torrent import Fault, FaultCode, MetainfoSource
from revaer.runtime.messages import EngineReported
from revaer.runtime.session import MAX_UNSHOWN
from tests.support.rig import EngineRig
from tests.support.swarm import make_payload

SOON_S = 20.0


def test_what_a_long_report_says_first_is_shown_too(tmp_path: Path) -> None:
    payload = make_payload(tmp_path / "seed", "film.mkv", 100_000)
    with EngineRig(root=tmp_path / "out", open_engine=MemoryEngine) as rig:
        info_hash = rig.gateway.execute(
            AddTorrent(source=MetainfoSource(payload.torrent)), timeout_s=SOON_S
        ).info_hash
        fault = Fault(FaultCode.ENGINE, "planted")
        # Each check is shown as the progress of files: as a start with as many torrents does it.
        checks = (TorrentChecked(info_hash),) * (MAX_UNSHOWN + 100)
        rig.system.address("engine.session").tell(
            EngineReported((FaultRaised(info_hash, fault), *checks))
        )
        eventually(lambda: rig.record(info_hash).fault == fault, within_s=SOON_S)
