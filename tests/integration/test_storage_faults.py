"""Do torrents name what is wrong with their disk, wait for it, and go on when it is well again?"""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.support.children import ROOT
from tests.support.storage_scenarios import SCENARIOS

IN_A_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
PATIENCE_S = 240.0
DESCRIBED = {
    "disk_full": "an 8 MiB disk that fills up and is made larger",
    "files_deleted_under_a_seed": "a file that is taken from a seed, and put back",
    "files_deleted_for_good": "a file that is gone, and fetched again when somebody asks for it",
    "unmounted_while_running": "a disk that goes away under twenty torrents, and comes back",
    "unmounted_at_the_start": "a disk that is away when twenty torrents are restored",
    "unwritable": "a disk mounted read-only, and a file where the directory should be",
}


@cache
def refusal() -> str:
    """Why this machine lets nobody mount anything in a namespace; empty when it does."""
    if shutil.which("unshare") is None:
        return "there is no `unshare` on this machine"
    tried = subprocess.run(
        [*IN_A_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return "" if tried.returncode == 0 else f"no mounts in a namespace: {tried.stderr.strip()}"


def test_every_scenario_is_run() -> None:
    assert DESCRIBED.keys() == SCENARIOS.keys()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", DESCRIBED, ids=DESCRIBED.get)
def test_a_storage_that_fails_is_named_and_its_torrents_go_on_when_it_is_back(
    scenario: str, tmp_path: Path
) -> None:
    if refusal():
        pytest.skip(refusal())
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    ended = subprocess.run(
        [
            *IN_A_NAMESPACE,
            sys.executable,
            "-m",
            "tests.support.storage_scenarios",
            scenario,
            str(tmp_path),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 0, ended.stdout
