"""Does the README tell the truth about its two commands and the options of `download`?"""

import os
import re
from pathlib import Path

import click

from revaer.cli.main import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def options_of(name: str) -> set[str]:
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None
    return {
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in (*parameter.opts, *parameter.secondary_opts)
    }


def test_the_two_commands_come_before_the_first_section() -> None:
    opening = README.split("\n## ", 1)[0]
    assert (
        "\npython3 -m venv .venv && .venv/bin/pip install . && "
        ".venv/bin/revaer download big.torrent -o out\n"
    ) in opening
    assert "\npython3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox\n" in opening


def test_ci_runs_the_readme_s_test_command_and_then_soak() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert "python3 -m venv .venv && .venv/bin/pip install tox && .venv/bin/tox &&\n" in text
    assert text.endswith(".venv/bin/tox -e soak\n")
    assert os.access(script, os.X_OK)


def test_the_table_of_options_is_the_command_s_own() -> None:
    rows = re.findall(r"^\| (`-.+?) \|", README, re.MULTILINE)
    documented = {option for row in rows for option in re.findall(r"(?<!\S)`?(--?[a-z-]+)", row)}
    assert documented == options_of("download")
