"""Which display suits a process's standard output."""

import sys

from revaer.cli.progress import Display, JsonLines, PlainLines, Silence
from revaer.ports.board import Board


def display_for(board: Board, *, as_json: bool, is_quiet: bool) -> Display:
    """Choose: JSON when asked, bars on a terminal that can move its cursor, else plain lines."""
    if as_json:
        return JsonLines(board, sys.stdout.buffer, is_quiet=is_quiet)
    if is_quiet:
        return Silence()
    if sys.stdout.isatty():
        from revaer.cli.bars import Bars, console_of

        console = console_of(sys.stdout)
        if console.is_terminal and not console.is_dumb_terminal:
            return Bars(board, console)
    return PlainLines(board, sys.stdout)
