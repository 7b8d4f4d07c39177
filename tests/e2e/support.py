"""Runs the command line as people do: a process of its own, its output read as it comes."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.support.swarm import Peer

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ("--no-dht", "--no-utp", "--listen", "127.0.0.1:0")
"""TCP on loopback and nothing else."""

END_S = 60.0

Line = dict[str, Any]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without what changes the command's output."""
    kept = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "FORCE_COLOR"}}
    kept = {k: v for k, v in kept.items() if not k.startswith("REVAER_")}
    return kept | {"PYTHONPATH": str(ROOT)} | changes


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Line]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaints(self) -> list[str]:
        """Lines on standard error."""
        return self.err.splitlines()


class Running:
    """A command that runs; its output is collected as it comes, so it never blocks on a pipe."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._changed = threading.Condition()
        self._out: list[str] = []
        self._err: list[str] = []
        self._is_at_end = False
        self._readers = [
            threading.Thread(target=self._read, args=(process.stdout, self._out)),
            threading.Thread(target=self._read, args=(process.stderr, self._err)),
        ]
        for reader in self._readers:
            reader.start()

    def wait_for(self, wanted: Callable[[Line], bool], *, within_s: float = END_S) -> Line:
        """The first JSON line that is wanted; fails when the command ends without one."""
        line: Line = json.loads(self._wait(lambda text: wanted(json.loads(text)), within_s))
        return line

    def wait_out(self, part: str, *, within_s: float = END_S) -> str:
        """The first line on standard output that holds `part`."""
        return self._wait(lambda text: part in text, within_s)

    def wait_progress(self, fraction: float) -> Line:
        """Wait until a line shows that much."""
        return self.wait_for(lambda line: float(line.get("progress", 0.0)) >= fraction)

    def wait_ended(self, *, within_s: float) -> bool:
        """Whether it ended in this time."""
        try:
            self._process.wait(timeout=within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def end(self, *, within_s: float = END_S) -> Ended:
        """Wait until it ended and all it said was read."""
        code = self._process.wait(timeout=within_s)
        for reader in self._readers:
            reader.join(timeout=within_s)
        return Ended(code, "".join(self._out), "".join(self._err))

    def discard(self) -> None:
        """Kill it if it still runs, and collect what is left."""
        self._process.kill()
        self.end()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _wait(self, wanted: Callable[[str], bool], within_s: float) -> str:
        def found() -> str | None:
            return next(filter(wanted, self._out), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._is_at_end, timeout=within_s)
            line = found()
        assert line is not None, f"not seen in:\n{''.join(self._out + self._err)}"
        return line

    def _read(self, pipe: IO[str], into: list[str]) -> None:
        for line in pipe:
            with self._changed:
                into.append(line)
                self._changed.notify_all()
        with self._changed:
            self._is_at_end = self._is_at_end or into is self._out
            self._changed.notify_all()


class Processes:
    """Starts commands, and lets none outlive the test."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def start(self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path) -> Running:
        """Start `python -m revaer` with these arguments."""
        process = subprocess.Popen(
            [sys.executable, "-m", "revaer", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=dict(env),
            cwd=cwd,
        )
        running = Running(process)
        self._stack.callback(running.discard)
        return running

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


@dataclass(frozen=True, slots=True)
class Download:
    """`revaer download` into one directory."""

    output: Path
    processes: Processes

    def start(
        self, *arguments: str | Path, peers: Sequence[Peer] = (), env: Mapping[str, str] = {}
    ) -> Running:
        """Start the command; peers come as `--peer` options."""
        named = [text for host, port in peers for text in ("--peer", f"{host}:{port}")]
        return self.processes.start(
            ["download", *LOCAL, *map(str, arguments), "-o", str(self.output), *named],
            environment(**env),
            self.output.parent,
        )

    def run(
        self, *arguments: str | Path, peers: Sequence[Peer] = (), env: Mapping[str, str] = {}
    ) -> Ended:
        """Run the command to its end."""
        return self.start(*arguments, peers=peers, env=env).end()


def events(ended: Ended, name: str) -> list[Line]:
    """The lines of one kind of event."""
    return [line for line in ended.lines if line["event"] == name]


def states(ended: Ended) -> set[str]:
    """Every state that any line shows."""
    return {line["state"] for line in ended.lines if "state" in line}


def payload_files(directory: Path) -> set[str]:
    """Every file below a directory that is not Revaer's or libtorrent's own."""
    return {
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_file() and not path.name.startswith(".") and ".revaer" not in path.parts
    }
