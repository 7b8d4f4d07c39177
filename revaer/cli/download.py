"""`revaer download`: torrents into a directory, without a database and without a server."""

import io
import os
import sys
from dataclasses import dataclass
from typing import Final

import click

from revaer.cli.failures import FAILED, silence_stdout
from revaer.cli.inputs import (
    read_interface,
    read_limit,
    read_listen,
    read_peers,
    read_sources,
    resolve_output,
)
from revaer.cli.signals import Interruption
from revaer.domain.selection import SelectionRules

_RULES: Final = "revaer.rules"
_RULE_OPTIONS: Final = ("include", "exclude")


class OrderedRulesCommand(click.Command):
    """Keeps the order of `--include` and `--exclude` among each other: the first match decides."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note the order, then parse as always: click itself keeps one list per option."""
        if args:
            values, _, order = self.make_parser(ctx).parse_args(args=list(args))
            given = {name: iter(values.get(name) or ()) for name in _RULE_OPTIONS}
            ctx.meta[_RULES] = [
                (param.name, next(given[param.name])) for param in order if param.name in given
            ]
        return super().parse_args(ctx, args)


@click.command(cls=OrderedRulesCommand, no_args_is_help=True)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "-o", "--output", default=".", metavar="DIR", help="Where the files go.", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line on stdout.")
@click.option("--limit-down", metavar="RATE", help="As in 2MB/s, 500 KiB, 40 Mbit/s; 0 unlimited.")
@click.option("--limit-up", metavar="RATE", help="The same for what is sent.")
@click.option("--sequential", is_flag=True, help="Fetch pieces in file order.")
@click.option(
    "--include",
    multiple=True,
    metavar="GLOB",
    expose_value=False,
    help="Only files that match; repeatable.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    expose_value=False,
    help="No files that match; repeatable. Of all --include and --exclude the first match decides.",
)
@click.option("--peer", "peers", multiple=True, metavar="HOST:PORT", help="Connect; repeatable.")
@click.option("--listen", metavar="HOST:PORT", help="Accept peers here; default any free port.")
@click.option("--interface", metavar="NAME_OR_ADDRESS", help="Bind all traffic to it.")
@click.option("--no-dht", is_flag=True, help="Only trackers and --peer; no DHT, no local search.")
@click.option("--no-utp", is_flag=True, help="TCP only; for networks that drop UDP.")
@click.option("-q", "--quiet", is_flag=True, help="Only errors.")
@click.pass_context
def download(
    ctx: click.Context,
    *,
    sources: tuple[str, ...],
    output: str,
    as_json: bool,
    limit_down: str | None,
    limit_up: str | None,
    sequential: bool,
    peers: tuple[str, ...],
    listen: str | None,
    interface: str | None,
    no_dht: bool,
    no_utp: bool,
    quiet: bool,
) -> int:
    """Download SOURCE... and exit when all is complete.

    SOURCE is the path of a .torrent file or a magnet link. Interrupted by Ctrl-C or killed, the
    same command continues where it was; what the directory has already is not fetched again.
    """
    asked = _Asked(
        sources=sources,
        output=output,
        as_json=as_json,
        limit_down=limit_down,
        limit_up=limit_up,
        sequential=sequential,
        rules=tuple(ctx.meta.get(_RULES, ())),
        peers=peers,
        listen=listen,
        interface=interface,
        enable_dht=not no_dht,
        enable_utp=not no_utp,
        is_quiet=quiet,
    )
    with Interruption() as interruption:
        try:
            return _download(asked, interruption)
        except BrokenPipeError:  # click would make a failure without a word of it
            silence_stdout()
            return FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The command line, not yet read."""

    sources: tuple[str, ...]
    output: str
    as_json: bool
    limit_down: str | None
    limit_up: str | None
    sequential: bool
    rules: tuple[tuple[str, str], ...]
    peers: tuple[str, ...]
    listen: str | None
    interface: str | None
    enable_dht: bool
    enable_utp: bool
    is_quiet: bool


def _download(asked: _Asked, interruption: Interruption) -> int:
    """Read everything first: nothing is touched before all of it makes sense."""
    sources = read_sources(asked.sources)
    selection = SelectionRules.parse(asked.rules)
    download_limit = read_limit("--limit-down", asked.limit_down)
    upload_limit = read_limit("--limit-up", asked.limit_up)
    output = resolve_output(asked.output)
    listen = read_listen(asked.listen)
    interface = read_interface(asked.interface)
    peers = read_peers(asked.peers)

    from revaer.adapters.telemetry.logs import configure_logs, parse_levels

    configure_logs(parse_levels(os.environ.get("REVAER_LOG", "")))
    _tolerate_any_text()

    from revaer.adapters.environment.interpreter import tune_interpreter
    from revaer.cli.displays import display_for
    from revaer.cli.following import Following
    from revaer.cli.projection import DownloadProjection
    from revaer.cli.run import DownloadRun
    from revaer.compose.download import DownloadOptions, NamedSource

    run = DownloadRun(
        DownloadOptions(
            output=output,
            listen=listen,
            interface=interface,
            enable_dht=asked.enable_dht,
            enable_utp=asked.enable_utp,
            download_limit=download_limit,
            upload_limit=upload_limit,
            sequential=asked.sequential,
            selection=selection,
            peers=peers,
        ),
        [NamedSource(one.label, one.source) for one in sources],
        (DownloadProjection(),),
    )
    tune_interpreter()  # here, because the process is this command's own
    display = display_for(run.board, as_json=asked.as_json, is_quiet=asked.is_quiet)
    return Following(run, display, interruption, as_json=asked.as_json).to_the_end()


def _tolerate_any_text() -> None:
    """Names come in any script, terminals in any encoding: show a `?` rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
