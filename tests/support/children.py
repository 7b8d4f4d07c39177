"""Code that may hang, or end its process, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]


def start_python(source: str) -> subprocess.Popen[str]:
    """Start a Python process that can import this project; its output is captured as text."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-u", "-c", dedent(source)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def run_python(source: str, *, timeout_s: float = 60.0) -> tuple[int | None, str]:
    """Run a Python process to its end.

    Returns:
        Exit code and output; None as the code when it had to be killed after `timeout_s` seconds.
    """
    with start_python(source) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            return None, output
        return process.returncode, output
