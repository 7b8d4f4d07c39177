"""What is left of a command when the process is killed between two of its steps?

What was answered holds; what was not answered holds wholly or not at all.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors.testing import eventually
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.commands import AddTorrent, PauseTorrent
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import MetainfoSource, StopReason, TorrentRecord
from tests.support.kill_points import (
    COMMANDS,
    MOVED_TO,
    STEPS,
    STORE_ONLY,
    TRACKER,
    WEB_SEED,
)
from tests.support.rig import EngineRig
from tests.support.soak import scaled
from tests.support.swarm import make_payload

FILES = {"film.mkv": 300_000, "notes.txt": 1_000}

DECISIVE = ("store", "reply")

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
    "force_start": lambda r: r is not None and r.spec.force_start,
    "first_last": lambda r: r is not None and r.spec.first_last_pieces,
    "share_limits": lambda r: (
        r is not None and (r.spec.ratio_limit, r.spec.seeding_time_limit_s) == (1.5, 3_600)
    ),
    "add_trackers": lambda r: r is not None and r.spec.trackers == ((TRACKER, 3),),
    "add_web_seeds": lambda r: r is not None and r.spec.web_seeds == (WEB_SEED,),
    "name": lambda r: r is not None and r.spec.name == "Another name",
    "category": lambda r: r is not None and r.spec.category == "films",
    "tags": lambda r: r is not None and r.spec.tags == ("a", "b"),
    "move": lambda r: r is not None and r.spec.save_path.endswith(f"/{MOVED_TO}"),
    "rename_file": lambda r: r is not None and r.files[0].path == "show/renamed.bin",
    "rename_folder": lambda r: (
        r is not None and all(entry.path.startswith("The Show/") for entry in r.files)
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
    "force_start": lambda r: r is not None and not r.spec.force_start,
    "first_last": lambda r: r is not None and not r.spec.first_last_pieces,
    "share_limits": lambda r: (
        r is not None and (r.spec.ratio_limit, r.spec.seeding_time_limit_s) == (-2, -2)
    ),
    "add_trackers": lambda r: r is not None and r.spec.trackers is None,
    "add_web_seeds": lambda r: r is not None and r.spec.web_seeds is None,
    "name": lambda r: r is not None and r.spec.name == "show",
    "category": lambda r: r is not None and not r.spec.category,
    "tags": lambda r: r is not None and not r.spec.tags,
    "move": lambda r: (
        r is not None and not r.spec.moving_to and not r.spec.save_path.endswith(MOVED_TO)
    ),
    "rename_file": lambda r: r is not None and not r.spec.renames,
    "rename_folder": lambda r: r is not None and not r.spec.renames,
    "remove": _there,
    "remove_with_data": _there,
}


RELOCATING = frozenset({"move", "rename_file", "rename_folder"})
"""What was promised is carried out after the next start, because files have to follow."""

ALIKE = frozenset(
    {*("force_start", "first_last", "share_limits", "add_trackers", "add_web_seeds"), *STORE_ONLY}
)
"""Commands that go the way of those before them: one step of them tells enough without a soak."""


def _cases() -> Iterator[tuple[str, str]]:
    for command in COMMANDS:
        steps = scaled(1, len(STEPS)) if command in ALIKE else len(STEPS)
        for step in (*DECISIVE, *(each for each in STEPS if each not in DECISIVE))[:steps]:
            if not (step == "engine" and command in STORE_ONLY):
                yield command, step


@pytest.mark.soak
@pytest.mark.parametrize(("command", "step"), tuple(_cases()))
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
        holds = AFTER[command] if stored else BEFORE[command]
        if command in RELOCATING and stored:
            eventually(lambda: _is_settled(rig, info_hash), within_s=20.0)
        record = rig.board.get(info_hash)
        assert holds(record)
        if command == "remove_with_data" and stored:
            eventually(lambda: not (root / "show").exists(), within_s=20.0)
        elif command != "add":
            assert _sizes(root) == sorted(FILES.values())
        if record is not None and command != "add":
            assert _follows(rig, record)
        if record is not None and command != "add":
            eventually(lambda: rig.record(info_hash).is_verified, within_s=30.0)


def _is_settled(rig: EngineRig, info_hash: InfoHash) -> bool:
    spec = rig.record(info_hash).spec
    return not (spec.moving_to or spec.renaming)


def _follows(rig: EngineRig, record: TorrentRecord) -> bool:
    """Whether the engine does what is stored, as far as it can be asked."""
    engine, spec = rig.holder.current(), record.spec
    trackers = tuple((each.url, each.tier) for each in engine.trackers(spec.info_hash))
    return trackers == (spec.trackers or ()) and engine.web_seeds(spec.info_hash) == (
        spec.web_seeds or ()
    )


def _sizes(root: Path) -> list[int]:
    """The payload's files, wherever they lie: none is missing, none is there twice."""
    return sorted(
        path.stat().st_size
        for path in root.rglob("*")
        if path.is_file() and ".revaer" not in path.parts
    )


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
