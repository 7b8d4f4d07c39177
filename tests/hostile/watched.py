"""The watching side: hands inputs to a process of their own, and sees whether it lives."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from tests.hostile.target import Answer
from tests.support.children import ROOT

HANG_S: Final = 30.0
START_S: Final = 60.0
_PYTHON: Final = (sys.executable, "-X", "faulthandler")
MEMORY_BYTES: Final = 300 * 1024 * 1024


class DiedError(AssertionError):
    """The process crashed, hung or used too much memory; the text says with which input."""


class Watched:
    """A context manager around one attacked process."""

    def __init__(self, base: Path, mode: Literal["session", "engine"]) -> None:
        """Remember where and how; nothing is started.

        Args:
            base: an empty directory.
            mode: `session` for the whole tree, `engine` for engine and judge alone.
        """
        self._base = base
        self._mode = mode
        self._log = base / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._pending = b""

    def __enter__(self) -> Self:
        """Start, and wait until the engine is open."""
        self._base.mkdir(parents=True, exist_ok=True)
        work = self._base / "work"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*_PYTHON, "-m", "tests.hostile.target", str(work), self._mode],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        self._read_line("its start", START_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it, by force where its input's end does not do it."""
        process = self._process
        if process is None:
            return
        try:
            process.communicate(timeout=HANG_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        if kind is None and process.returncode:
            raise DiedError(f"the process ended with {process.returncode}: {self._tail()}")

    def send(self, name: str, content: bytes | str) -> Answer:
        """Hand over one input and wait for what became of it.

        Raises:
            DiedError: the process crashed, did not answer, or used more memory than it may.
        """
        process = self._running()
        kind = "magnet" if isinstance(content, str) else "torrent"
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        head = json.dumps({"name": name, "kind": kind, "size": len(data)}).encode()
        if process.stdin is None:
            raise RuntimeError("the process has no input")
        try:
            process.stdin.write(head + b"\n" + data)
            process.stdin.flush()
        except BrokenPipeError as error:
            raise self._dead(name) from error
        answer = Answer(**json.loads(self._read_line(name, HANG_S)))
        peak = self.peak_bytes()
        if peak > MEMORY_BYTES:
            raise DiedError(f"{name}: {peak >> 20} MiB of memory")
        return answer

    def peak_bytes(self) -> int:
        """The most memory that the process had in RAM at once."""
        text = Path(f"/proc/{self._running().pid}/status").read_text(encoding="ascii")
        line = next(line for line in text.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("use it as a context manager")
        return self._process

    def _read_line(self, name: str, limit_s: float) -> Any:
        process = self._running()
        if process.stdout is None:
            raise RuntimeError("the process has no output")
        pipe = process.stdout.fileno()
        while b"\n" not in self._pending:
            if not select.select([pipe], [], [], limit_s)[0]:
                process.send_signal(signal.SIGABRT)  # faulthandler says where it hangs
                process.wait(HANG_S)
                raise DiedError(f"{name}: no answer within {limit_s} s: {self._tail()}")
            chunk = os.read(pipe, 65_536)
            if not chunk:
                raise self._dead(name)
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _dead(self, name: str) -> DiedError:
        code = self._running().wait(HANG_S)
        return DiedError(f"{name}: the process ended with {code}: {self._tail()}")

    def _tail(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-3_000:]
