"""Live bars on a terminal: one row per running torrent, finished ones as lines above."""

import sys
from collections.abc import Sequence
from typing import Final, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from revaer.cli.progress import (
    Silence,
    Summary,
    eta_of,
    line_of,
    state_of,
    sum_of,
    title_of,
)
from revaer.cli.watching import Begun, Completed, Notice, Outcome, outcome_of
from revaer.domain.ids import InfoHash
from revaer.domain.rates import format_rate, format_size
from revaer.domain.torrent import TorrentRecord, TorrentState
from revaer.ports.board import Board

REFRESH_S: Final = 0.2
MIN_BAR_WIDTH: Final = 100
"""Columns of the terminal below which there is no bar, only the percentage."""
MIN_DETAIL_WIDTH: Final = 80
KEPT_ROWS: Final = 2

_STYLES: Final[dict[TorrentState, str]] = {
    TorrentState.DOWNLOADING: "green",
    TorrentState.STALLED: "yellow",
    TorrentState.ERROR: "red",
    TorrentState.CHECKING: "cyan",
}


class Bars(Silence):
    """Redraws in place from the run's own thread; no thread of its own."""

    def __init__(self, board: Board, console: Console) -> None:
        """Draw on `console`, which has to be a terminal."""
        self._board = board
        self._console = console
        # Lines that are written meanwhile (errors, logs) appear above the bars, unless standard
        # error goes elsewhere: then it stays there.
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=sys.stderr.isatty(),
        )
        self._drawn_at = 0.0
        self._note = ""

    def open(self) -> None:
        """Hide the cursor and begin to draw."""
        self._live.start()

    def close(self) -> None:
        """Erase the bars and show the cursor."""
        self._live.stop()

    def tell(self, notice: Notice) -> None:
        """A line above the bars for what stays true."""
        super().tell(notice)
        if isinstance(notice, Completed) or (isinstance(notice, Begun) and notice.is_resumed):
            self._console.print(Text(line_of(notice)), soft_wrap=True)

    def update(self, shown: Sequence[InfoHash], now: float) -> None:
        """Redraw, at most five times per second."""
        if now - self._drawn_at < REFRESH_S:
            return
        self._drawn_at = now
        records = [record for one in shown if (record := self._board.get(one)) is not None]
        self._draw(records)

    def stopping(self) -> None:
        """Saving takes a moment."""
        self._live.update(Text("saving..."), refresh=True)

    def end(self, summary: Summary) -> None:
        """A sum, when there is something to sum up."""
        line = sum_of(summary)
        if line:
            self._console.print(Text(line))

    def _draw(self, records: Sequence[TorrentRecord]) -> None:
        running = [record for record in records if outcome_of(record) is not Outcome.COMPLETE]
        self._live.update(
            rows_of(running, width=self._console.width, height=self._console.height), refresh=True
        )


def console_of(stream: TextIO) -> Console:
    """A console that takes nothing in a text for markup; `NO_COLOR` is honoured by rich."""
    return Console(file=stream, markup=False, emoji=False, highlight=False)


def rows_of(records: Sequence[TorrentRecord], *, width: int, height: int) -> RenderableType:
    """The rows that fit.

    Args:
        records: running torrents, first ones first.
        width: columns of the terminal; little room drops the bar, then the details.
        height: lines of the terminal.
    """
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=2)
    if width >= MIN_BAR_WIDTH:
        table.add_column(ratio=1, min_width=10)
    table.add_column(no_wrap=True, justify="right")
    if width >= MIN_DETAIL_WIDTH:
        for _ in range(4):
            table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True)
    room = max(height - KEPT_ROWS, 1)
    for record in records[:room]:
        table.add_row(*_cells(record, width))
    hidden = len(records) - room
    return Group(table, Text(f"and {hidden} more")) if hidden > 0 else table


def _cells(record: TorrentRecord, width: int) -> list[RenderableType]:
    status = record.status
    cells: list[RenderableType] = [Text(title_of(record))]
    if width >= MIN_BAR_WIDTH:
        cells.append(ProgressBar(total=1.0, completed=status.progress))
    cells.append(Text(f"{status.progress:.0%}"))
    if width >= MIN_DETAIL_WIDTH:
        peers = status.seeds + status.leechers
        cells += [
            Text(f"{format_size(status.wanted_done_bytes)} / {format_size(status.wanted_bytes)}"),
            Text(format_rate(status.download_rate)),
            Text(f"{peers} peer{'' if peers == 1 else 's'}"),
            Text(f"ETA {eta_of(record)}"),
        ]
    cells.append(Text(state_of(record), style=_STYLES.get(record.state, "")))
    return cells
