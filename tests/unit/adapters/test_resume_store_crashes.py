"""What is left of a resume store whose process is killed -9 between two steps of a call?

What returned holds; what did not return holds wholly or not at all.
"""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from revaer.adapters.filesystem import CRASH_POINTS
from revaer.adapters.memory.resume_store import MemoryResumeStore
from revaer.ports.resume_store import ResumeStore
from tests.support.soak import scaled
from tests.support.store_victim import BOOT, CALLS, ID, open_store, spec

ROOT = Path(__file__).parents[3]
PREFIXES = {
    "nothing": [],
    "a magnet": ["put", "put again"],
    "two unsynced generations": ["put metainfo", "put again", "blob", "blob again"],
    "two synced generations": ["put metainfo", "sync", "put again", "blob", "sync", "blob again"],
    "a tombstone": ["put metainfo", "blob", "bury with data"],
}
STEPS = ("put", "put metainfo", "blob", "blob again", "bury", "forget", "sync")
SEQUENCES = [*product(STEPS, repeat=2)]
SAMPLE = 8

State = tuple[Any, ...]


class Victims:
    """The process that forks the ones to be killed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.store_victim"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def order(self, directory: Path, calls: list[str], *, first: int, kill_at: int) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"directory": str(directory), "calls": calls, "first": first, "kill_at": kill_at}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    victims = Victims()
    yield victims
    victims.close()


def state_of(store: ResumeStore) -> State:
    """Everything that the port shows, but for the end before.

    A tombstone's blob and metainfo only matter where they are needed to find the payload.
    """
    restored = store.load()
    return (
        frozenset((each.spec, each.metainfo_data, each.blob) for each in restored.torrents),
        frozenset((each.stored.spec, each.with_data) for each in restored.tombstones),
        store.known(),
    )


def states_along(calls: list[str]) -> list[State]:
    """What holds after none, one, two ... of the calls, by the double of the store."""
    model = MemoryResumeStore(boot_id=BOOT)
    states = [state_of(model)]
    for name in calls:
        CALLS[name](model)
        states.append(state_of(model))
    return states


def check_every_death(victims: Victims, tmp_path: Path, prefix: list[str], tail: list[str]) -> int:
    """Kill at the first, second ... step of the tail until it reaches its end."""
    calls = prefix + tail
    states = states_along(calls)
    for kill_at in range(100):
        directory = tmp_path / f"{kill_at}"
        answer = victims.order(directory, calls, first=len(prefix), kill_at=kill_at)
        assert not answer["error"], answer
        returned = answer["returned"]
        store = open_store(directory)
        found = state_of(store)
        problems = [text for each in store.load().torrents for text in each.problems]
        leftovers = list(directory.rglob("*.tmp"))
        store.close(clean=True)
        assert problems == [], answer
        assert leftovers == [], answer
        if not answer["died"]:
            assert returned == len(calls)
            assert found == states[-1]
            return kill_at
        assert found in states[returned : returned + 2], (answer, tail[returned - len(prefix)])
    pytest.fail("a call with more than a hundred steps")


@pytest.mark.soak
@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
def test_a_call_cut_off_holds_wholly_or_not_at_all(
    victims: Victims, tmp_path: Path, prefix: list[str]
) -> None:
    chosen = random.Random(len(prefix)).sample(SEQUENCES, scaled(SAMPLE, len(SEQUENCES)))
    deaths = 0
    for index, tail in enumerate(chosen):
        deaths += check_every_death(victims, tmp_path / f"{index}", prefix, [*tail])
    assert deaths > 0


@pytest.mark.parametrize("call", STEPS)
@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
def test_each_call_alone_is_killed_at_each_of_its_steps(
    victims: Victims, tmp_path: Path, prefix: list[str], call: str
) -> None:
    check_every_death(victims, tmp_path, prefix, [call])


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
def test_a_store_killed_while_it_closes_is_whole_and_unclean_until_that_is_noted(
    victims: Victims, tmp_path: Path, prefix: list[str]
) -> None:
    clean: list[bool] = []
    for kill_at in range(20):
        directory = tmp_path / f"{kill_at}"
        calls = [*prefix, "close"]
        answer = victims.order(directory, calls, first=len(prefix), kill_at=kill_at)
        store = open_store(directory)
        clean.append(store.load().ended_cleanly)
        found = state_of(store)
        store.close(clean=True)
        assert found == states_along(prefix)[-1]
        if not answer["died"]:
            break
    assert clean == sorted(clean)  # once noted, the clean end stays
    assert (clean[0], clean[-1]) == (False, True)


def test_every_crash_point_is_reached_by_some_call(tmp_path: Path) -> None:
    reached: set[str] = set()
    store = open_store(tmp_path, reached.add)
    for name in ["put metainfo", "put again", "blob", "blob again", "sync", "bury", "put metainfo"]:
        CALLS[name](store)
    for name in ["blob", "bury", "forget", "put", "bury"]:
        CALLS[name](store)
    (tmp_path / f"{ID}.tombstone").write_bytes(b"damaged")
    store.load()
    store.close(clean=True)
    assert reached == set(CRASH_POINTS)


def test_a_directory_whose_opening_is_cut_off_can_be_opened(tmp_path: Path) -> None:
    class CutOffError(Exception):
        pass

    for point in ("state.written", "state.renamed", "sync.files", "sync.directory"):

        def cut(reached: str, at: str = point) -> None:
            if reached == at:
                raise CutOffError

        with pytest.raises(CutOffError):
            open_store(tmp_path / point, cut)
        store = open_store(tmp_path / point)
        store.put(spec("first"))
        store.close(clean=True)


@pytest.mark.soak
def test_acknowledged_writes_survive_kills_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(7)
    for number in range(scaled(4, 60)):
        directory = tmp_path / f"{number}"
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(directory)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 200)):
                process.stdout.readline()
            os.kill(process.pid, signal.SIGKILL)
            acknowledged = [int(line) for line in process.stdout.read().splitlines() if line]
        store = open_store(directory)
        (stored,) = store.load().torrents
        store.close(clean=True)
        last = acknowledged[-1] if acknowledged else 0
        assert stored.problems == ()
        assert int(stored.spec.category) >= last
        assert stored.blob is None or int(stored.blob) >= int(stored.spec.category) - 1


_WRITER = """
import os, sys, threading
from pathlib import Path
from tests.support.store_victim import ID, open_store, spec

store = open_store(Path(sys.argv[1]))
store.put(spec("0"), b"metainfo")
threading.Thread(target=lambda: [store.sync() for _ in iter(int, 1)], daemon=True).start()
for number in range(1, 10**9):
    store.put(spec(str(number)))
    store.put_blob(ID, b"%d" % number)
    os.write(1, b"%d\\n" % number)
"""
