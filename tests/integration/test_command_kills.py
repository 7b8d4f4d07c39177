"""What is left of a command when the process is killed between two of its steps?

What was answered holds; what was not answered holds wholly or not at all.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.testing import eventually
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.commands import AddTorrent, PauseTorrent
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import MetainfoSource, StopReason, TorrentRecord
from tests.support.kill_points import COMMANDS, STEPS
from tests.support.rig import EngineRig
from tests.support.swarm import make_payload

FILES = {"film.mkv": 300_000, "notes.txt": 1_000}

Claim = Callable[[TorrentRecord | None], bool]


def _there(record: TorrentRecord | None) -> bool:
    return record is not None


AFTER: dict[str, Claim] = {
    "add": lambda r: r is not None and r.spec.category == "tv",
    "pause": lambda r: r is not None and r.spec.stop_reason is StopReason.USER,
    "resume": lambda r: r is not None and r.spec.stop_reason is StopReason.NONE,
    "select": lambda r: r is not None and r.spec.priorities.count(0) == 1,
    "sequential": lambda r: r is not None and r.spec.sequential,
    "limits": lambda r: (
        r is not None and (r.spec.download_limit, r.spec.upload_limit) == (1_000_000, 500_000)
    ),
    "remove": lambda r: r is None,
    "remove_with_data": lambda r: r is None,
}
BEFORE: dict[str, Claim] = {
    "add": lambda r: r is None,
    "pause": lambda r: r is not None and r.spec.stop_reason is StopReason.NONE,
    "resume": lambda r: r is not None and r.spec.stop_reason is StopReason.USER,
    "select": lambda r: r is not None and not r.spec.priorities,
    "sequential": lambda r: r is not None and not r.spec.sequential,
    "limits": lambda r: r is not None and (r.spec.download_limit, r.spec.upload_limit) == (0, 0),
    "remove": _there,
    "remove_with_data": _there,
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_cut_off_holds_wholly_or_not_at_all(
    command: str, step: str, tmp_path: Path
) -> None:
    root, torrent, info_hash = _prepared(tmp_path, command)

    killed = subprocess.run(
        [sys.executable, "-m", "tests.support.kill_points", root, command, step, torrent],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert killed.returncode == -9, killed.stderr
    answered = "answered" in killed.stdout
    assert answered == (step == "reply")
    stored = step != "before"
    with EngineRig(root=root, open_engine=LibtorrentEngine) as rig:
        record = rig.board.get(info_hash)
        assert AFTER[command](record) if stored else BEFORE[command](record)
        if command == "remove_with_data" and stored:
            eventually(lambda: not (root / "show").exists(), within_s=20.0)
        elif command != "add":
            assert (root / "show/film.mkv").stat().st_size == FILES["film.mkv"]
        if record is not None and command != "add":
            eventually(lambda: rig.record(info_hash).is_verified, within_s=30.0)


def _prepared(tmp_path: Path, command: str) -> tuple[Path, Path, InfoHash]:
    """A root with one complete torrent (none for `add`), closed cleanly."""
    payload = make_payload(tmp_path / "source", "show", FILES)
    info_hash = InfoHash(payload.info_hash)
    root = tmp_path / "root"
    root.mkdir()
    if command != "add":
        shutil.copytree(payload.directory, root, dirs_exist_ok=True)
        with EngineRig(root=root, open_engine=LibtorrentEngine) as rig:
            rig.gateway.execute(AddTorrent(source=MetainfoSource(payload.torrent)), timeout_s=30.0)
            rig.wait_complete(info_hash)
            if command == "resume":
                rig.gateway.execute(PauseTorrent(info_hash), timeout_s=30.0)
    return root, payload.torrent_path, info_hash
