"""How does the command line end, and how little does it load for help?"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from revaer import __version__
from revaer.cli.failures import BAD_INPUT, FAILED, failure_of
from revaer.cli.main import run
from revaer.cli.signals import Interruption
from revaer.domain.errors import (
    EngineDownError,
    InvalidInputError,
    PathRefusedError,
    RevaerError,
    SelectionError,
    StoreDownError,
    StoreLockedError,
)

ROOT = Path(__file__).resolve().parents[3]
HEAVY = (
    "libtorrent",
    "rich.live",
    "pykka",
    "structlog",
    "orjson",
    "revaer.compose.download",
    "revaer.embed",
)


def python(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        timeout=60,
    )


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"revaer {__version__}\n"


def test_help_names_the_commands_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "download  Download torrents into a directory" in shown
    assert "Exit codes: 0 done, 2 bad input, 3 failure" in shown


def test_the_help_of_download_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["download", "-h"]) == 0
    shown = capsys.readouterr().out
    for option in ("--output", "--json", "--limit-down", "--limit-up", "--sequential", "--include"):
        assert option in shown
    for option in ("--exclude", "--peer", "--listen", "--interface", "--no-dht", "--quiet"):
        assert option in shown


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["download", "--help"]])
def test_what_is_only_for_downloads_is_not_loaded_for_help(arguments: list[str]) -> None:
    code = (
        "import sys; from revaer.cli.main import run; run(sys.argv[1:]);"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    assert python(code, *arguments).stderr == "[]\n"


def test_no_arguments_show_help_and_are_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == BAD_INPUT
    assert "Usage: revaer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--bogus"], "No such option '--bogus' (see `revaer --help`)"),
        (["upload"], "No such command 'upload' (see `revaer --help`)"),
        (["download", "x", "--peer"], "Option '--peer' requires an argument"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert run(arguments) == BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("revaer: ")
    assert line.endswith(told)


def test_a_wrong_command_line_is_a_json_line_for_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["download", "--bogus", "--json"]) == BAD_INPUT
    error = json.loads(capsys.readouterr().out)
    assert (error["event"], error["code"]) == ("error", "usage")
    assert "--bogus" in error["message"]


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (InvalidInputError("x"), BAD_INPUT),
        (PathRefusedError("x"), BAD_INPUT),
        (SelectionError("x"), BAD_INPUT),
        (StoreLockedError("x"), FAILED),
        (StoreDownError("x"), FAILED),
        (EngineDownError("x"), FAILED),
        (RevaerError("x"), FAILED),
    ],
)
def test_what_the_caller_can_mend_is_two_and_the_rest_three(
    error: RevaerError, exit_code: int
) -> None:
    failure = failure_of(error)
    assert (failure.exit_code, failure.code, failure.message) == (exit_code, error.code, "x")


def test_the_first_signal_is_noted_and_the_handlers_come_back() -> None:
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGTERM)
        signaled = interruption.received
    assert signaled == signal.SIGTERM
    assert {one: signal.getsignal(one) for one in before} == before


def test_a_signal_that_the_parent_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGHUP)
            assert interruption.received is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_second_signal_ends_the_process_at_once() -> None:
    code = (
        "import signal\n"
        "from revaer.cli.signals import Interruption\n"
        "with Interruption():\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('saving', flush=True)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print('never')\n"
    )
    ended = python(code)
    assert (ended.returncode, ended.stdout) == (
        FAILED,
        "saving\n",
    )
    assert ended.stderr == "\nrevaer: stopped without saving\n"
