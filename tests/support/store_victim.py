"""Carries out calls of the resume store in processes that are killed -9 at a chosen step.

`python -m tests.support.store_victim` reads one order per line (JSON: `directory`, `calls`,
`first`, `kill_at`), forks, and answers with one line: how many calls returned, and at which crash
point the fork died (empty at the end). The first `first` calls run unharmed, then steps
are counted. A fork costs milliseconds where a new interpreter would cost half a second.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from revaer.adapters.filesystem import FilesystemResumeStore
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import TorrentSpec
from revaer.ports.resume_store import ResumeStore

ID = InfoHash("a" * 40)
OTHER = InfoHash("b" * 40)
BOOT = "one boot"


def spec(category: str, info_hash: InfoHash = ID) -> TorrentSpec:
    """A torrent that differs by its category."""
    return TorrentSpec(
        info_hash=info_hash,
        name="name",
        save_path="/data",
        added_at=EpochSeconds(1_700_000_000),
        category=category,
    )


CALLS: dict[str, Callable[[ResumeStore], object]] = {
    "put": lambda s: s.put(spec("first")),
    "put again": lambda s: s.put(spec("second")),
    "put metainfo": lambda s: s.put(spec("with metainfo"), b"metainfo" * 100),
    "put other": lambda s: s.put(spec("other", OTHER), b"other's"),
    "blob": lambda s: s.put_blob(ID, b"blob one"),
    "blob again": lambda s: s.put_blob(ID, b"blob two" * 50),
    "bury": lambda s: s.bury(ID, with_data=False),
    "bury with data": lambda s: s.bury(ID, with_data=True),
    "forget": lambda s: s.forget(ID),
    "sync": lambda s: s.sync(),
    "load": lambda s: s.load(),
    "close": lambda s: s.close(clean=True),
}


def open_store(
    directory: Path, crash_point: Callable[[str], None] = lambda _: None
) -> FilesystemResumeStore:
    """Own the directory."""
    return FilesystemResumeStore(
        directory, boot_id=BOOT, default_save_path="/default", crash_point=crash_point
    )


def serve() -> None:
    """Answer orders until the input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            _suffer(Path(order["directory"]), order, write_end)
        os.close(write_end)
        with os.fdopen(read_end) as answers:
            steps = answers.read().splitlines()
        os.waitpid(child, 0)
        returned = steps.count("returned")
        died_at = steps[-1].removeprefix("died ") if steps[-1:] and "died " in steps[-1] else ""
        error = next((step for step in steps if step.startswith("error")), "")
        sys.stdout.write(json.dumps({"returned": returned, "died": died_at, "error": error}) + "\n")
        sys.stdout.flush()


def _suffer(directory: Path, order: dict[str, object], write_end: int) -> None:
    countdown = -1

    def reach(point: str) -> None:
        nonlocal countdown
        if countdown == 0:
            os.write(write_end, f"died {point}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
        countdown -= 1

    try:
        store = open_store(directory, reach)
        calls = order["calls"]
        assert isinstance(calls, list)
        for index, name in enumerate(calls):
            if index == order["first"]:
                countdown = int(str(order["kill_at"]))
            CALLS[name](store)
            os.write(write_end, b"returned\n")
    except BaseException as error:  # noqa: BLE001 whatever it is, the test shall see it
        os.write(write_end, f"error {error!r}\n".encode())
    os._exit(0)


if __name__ == "__main__":
    serve()
