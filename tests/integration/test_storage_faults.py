"""Do torrents name what is wrong with their disk, wait for it, and go on when it is well again?

Each scenario runs in a child process with mounts of its own. They wait for most of their time, so
they run side by side.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO

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


class Scenarios:
    """Child processes that play a scenario each, side by side."""

    def __init__(self, where: Path) -> None:
        self._where = where
        self._running: dict[str, tuple[subprocess.Popen[str], IO[str]]] = {}

    def start(self, name: str) -> None:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        # Not a pipe: nobody reads while another scenario is waited for, and a full pipe stops.
        output = (self._where / f"{name}.log").open("w+", encoding="utf-8")
        process = subprocess.Popen(
            [
                *IN_A_NAMESPACE,
                sys.executable,
                "-m",
                "tests.support.storage_scenarios",
                name,
                str(self._where / name),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._running[name] = process, output

    def outcome(self, name: str) -> tuple[int, str]:
        """How it ended, and what it said."""
        process, output = self._running[name]
        ended = process.wait(PATIENCE_S)
        output.seek(0)
        return ended, output.read()

    def stop(self) -> None:
        for process, output in self._running.values():
            process.kill()
            process.wait()
            output.close()


@pytest.fixture(scope="module")
def scenarios(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scenarios]:
    """All that were chosen, started together."""
    if refusal():
        pytest.skip(refusal())
    playing = Scenarios(tmp_path_factory.mktemp("scenarios"))
    chosen = {item.name for item in request.session.items}
    try:
        for name, described in DESCRIBED.items():
            if any(described in each for each in chosen):
                playing.start(name)
        yield playing
    finally:
        playing.stop()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", DESCRIBED, ids=DESCRIBED.get)
def test_a_storage_that_fails_is_named_and_its_torrents_go_on_when_it_is_back(
    scenario: str, scenarios: Scenarios
) -> None:
    ended, output = scenarios.outcome(scenario)

    assert ended == 0, output
