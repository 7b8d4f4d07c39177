"""The `revaer` command: its subcommands, and how a failed one ends."""

from collections.abc import Sequence
from importlib import import_module
from typing import Final

import click

from revaer import __version__
from revaer.cli.failures import BAD_INPUT, FAILED, Failure, failure_of, report, silence_stdout
from revaer.domain.errors import RevaerError

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "download": ("revaer.cli.download", "Download torrents into a directory, then exit."),
}
"""Name to module and one line of help: a listing imports none of them."""


class LazyGroup(click.Group):
    """Imports a command's module when the command is called."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """All names, in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; its module has it under the same name."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name][0]}.{cmd_name} is not a command")
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 2 bad input, 3 failure or interrupted. "
    "REVAER_LOG=info|debug|NAME=LEVEL shows more of what happens.",
)
@click.version_option(__version__, prog_name="revaer", message="%(prog)s %(version)s")
def cli() -> None:
    """A torrent service for a home server."""


def run(arguments: Sequence[str]) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name.

    Returns:
        The exit code. Every failure that was foreseen has been told in one line on stderr.
    """
    as_json = "--json" in arguments
    try:
        code = cli.main(args=list(arguments), prog_name="revaer", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return BAD_INPUT
    except click.ClickException as error:
        context = (
            error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        )
        hint = f" (see `{context} --help`)" if context else ""
        failure = Failure(BAD_INPUT, "usage", f"{_sentence(error.format_message())}{hint}")
    except RevaerError as error:
        failure = failure_of(error)
    except (click.Abort, KeyboardInterrupt):
        failure = Failure(FAILED, "interrupted", "interrupted before anything began")
    except OSError as error:
        silence_stdout()
        failure = Failure(FAILED, "output", f"standard output cannot be written: {error.strerror}")
        as_json = False
    else:
        return code if isinstance(code, int) else 0
    try:
        report(failure, as_json=as_json)
    except OSError:
        silence_stdout()
    return failure.exit_code


def _sentence(text: str) -> str:
    return " ".join(text.split()).removesuffix(".")
