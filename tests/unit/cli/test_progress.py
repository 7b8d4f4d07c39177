"""What do people and programs see of a run, and how often?"""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from revaer.cli.bars import Bars, rows_of
from revaer.cli.displays import display_for
from revaer.cli.progress import (
    LINES_PERIOD_S,
    STEP_PERIOD_S,
    STILL_PERIOD_S,
    Display,
    JsonLines,
    PlainLines,
    Silence,
    Summary,
    is_due,
    line_of,
    standing_of,
    title_of,
)
from revaer.cli.projection import DownloadProjection
from revaer.cli.watching import Begun, Completed, Failed, MetadataKnown, Notice, StateMoved
from revaer.domain.ids import InfoHash
from revaer.domain.reducer import EVERYTHING
from revaer.domain.torrent import Phase, TorrentRecord, TorrentState
from revaer.runtime.board_table import BoardTable, RowChange
from tests.unit.cli.records import HASH, named, record_of

CHECKING = StateMoved(record_of(), TorrentState.CHECKING, Phase.NONE, TorrentState.STALLED)
EVIL = "\x1b[31mred\x1b]0;title\x07\u202e[bold]x[/bold]"


def board_of(*records: TorrentRecord) -> BoardTable:
    board = BoardTable((DownloadProjection(),))
    show(board, *records)
    return board


def show(board: BoardTable, *records: TorrentRecord) -> None:
    board.commit([RowChange(one.info_hash, one, EVERYTHING) for one in records])


def json_of(out: io.BytesIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("notice", "line"),
    [
        (Begun(record_of(), is_resumed=False), "album: added, 100.0 MiB in 2 files, into /srv/x"),
        (
            Begun(record_of(), is_resumed=True),
            "album: continues at 25% of 100.0 MiB in 2 files, into /srv/x",
        ),
        (
            Begun(record_of(has_metadata=False), is_resumed=False),
            "album: added, fetching metadata, into /srv/x",
        ),
        (
            Begun(record_of(has_metadata=False), is_resumed=True),
            "album: continues, fetching metadata, into /srv/x",
        ),
        (MetadataKnown(record_of()), "album: 100.0 MiB in 2 files"),
        (
            Completed(record_of(), was_there=False),
            "album: complete, 100.0 MiB in 2 files, at /srv/x/album",
        ),
        (
            Completed(record_of(), was_there=True),
            "album: already complete, 100.0 MiB in 2 files, at /srv/x/album",
        ),
        (CHECKING, "album: checking the files that are there"),
        (replace(CHECKING, state=TorrentState.STALLED), ""),
        (Failed(record_of(), "engine", "gone"), ""),
    ],
)
def test_a_notice_is_one_plain_line(notice: Notice, line: str) -> None:
    assert line_of(notice) == line


def test_a_selection_is_counted_by_its_files() -> None:
    record = record_of()
    chosen = replace(record, spec=replace(record.spec, priorities=(0, 4)))
    assert line_of(MetadataKnown(chosen)) == "album: 40.0 MiB in 1 of 2 files"


def test_a_standing_says_how_far_how_fast_and_how_long() -> None:
    assert standing_of(record_of()) == (
        "album: downloading 25% of 100.0 MiB, 1.00 MiB/s, 3 peers, ETA 1m 15s"
    )
    assert standing_of(record_of(rate=0)).endswith("0 B/s, 3 peers, ETA -")
    assert standing_of(record_of(has_metadata=False)) == "album: fetching metadata, 3 peers"


def test_a_name_is_shown_without_what_a_terminal_would_obey() -> None:
    assert title_of(named(record_of(), EVIL)) == "[31mred]0;title[bold]x[/bold]"
    assert title_of(named(record_of(), "\x1b\x07")) == HASH


@pytest.mark.parametrize(
    ("elapsed_s", "before", "now", "due"),
    [
        (STEP_PERIOD_S, 0.19, 0.21, True),
        (STEP_PERIOD_S, 0.11, 0.19, False),
        (STEP_PERIOD_S / 2, 0.0, 0.9, False),
        (STILL_PERIOD_S, 0.5, 0.5, True),
    ],
    ids=["a-step", "no-step", "too-soon", "still-there"],
)
def test_plain_lines_come_at_tenths_but_not_in_a_rush(
    elapsed_s: float, before: float, now: float, *, due: bool
) -> None:
    assert is_due((100.0, before), (100.0 + elapsed_s, now)) is due


def test_plain_lines_tell_tenths_and_a_sum() -> None:
    out = io.StringIO()
    board = board_of(record_of(progress=0.0))
    display = PlainLines(board, out)
    display.tell(Begun(record_of(progress=0.0), is_resumed=False))
    display.update([HASH], 10.0)
    show(board, record_of(progress=0.35))
    display.update([HASH], 10.1)
    display.update([HASH], 13.0)
    display.update([HASH], 16.0)
    display.end(Summary(complete=1, failed=1, unfinished=0, exit_code=3))
    assert out.getvalue().splitlines() == [
        "album: added, 100.0 MiB in 2 files, into /srv/x",
        "album: downloading 35% of 100.0 MiB, 1.00 MiB/s, 3 peers, ETA 1m 05s",
        "1 complete, 1 failed",
    ]


def test_plain_lines_do_not_say_a_magnets_contents_twice() -> None:
    out = io.StringIO()
    display = PlainLines(board_of(), out)
    display.tell(Begun(record_of(), is_resumed=False))
    display.tell(MetadataKnown(record_of()))
    display.end(Summary(complete=1, failed=0, unfinished=0, exit_code=0))
    assert out.getvalue().count("100.0 MiB") == 1
    assert len(out.getvalue().splitlines()) == 1


def test_json_progress_comes_when_something_changed_and_not_more_often_than_agreed() -> None:
    out = io.BytesIO()
    board = board_of(record_of())
    display = JsonLines(board, out)
    display.update([HASH], 10.0)
    display.update([HASH], 10.0 + LINES_PERIOD_S)  # nothing changed
    show(board, record_of(progress=0.5))
    display.update([HASH], 10.0 + LINES_PERIOD_S / 2)  # too soon
    display.update([HASH], 10.0 + 2 * LINES_PERIOD_S)
    assert [(line["event"], line["progress"]) for line in json_of(out)] == [
        ("progress", 0.25),
        ("progress", 0.5),
    ]


def test_json_has_an_event_for_everything(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.BytesIO()
    display = JsonLines(board_of(record_of()), out)
    display.tell(Begun(record_of(), is_resumed=True))
    display.tell(MetadataKnown(record_of()))
    display.tell(CHECKING)
    display.tell(Completed(record_of(), was_there=False))
    display.tell(Failed(record_of(), "disk_full", "no room; free some space, then resume"))
    display.stopping()
    display.end(Summary(complete=0, failed=1, unfinished=0, exit_code=3))
    added, metadata, state, completed, error, interrupted, done = json_of(out)
    assert (added["event"], added["resumed"]) == ("added", True)
    assert (metadata["event"], metadata["files"]) == ("metadata", 2)
    assert state == {
        "event": "state",
        "info_hash": HASH,
        "state": "checking",
        "phase": "none",
        "previous": "stalled",
    }
    assert (completed["event"], completed["was_there"]) == ("completed", False)
    assert (error["event"], error["code"], error["info_hash"]) == ("error", "disk_full", HASH)
    assert interrupted == {"event": "interrupted"}
    assert done == {"event": "done", "exit_code": 3, "complete": 0, "failed": 1, "unfinished": 0}
    assert capsys.readouterr().err == (
        "revaer: album: no room; free some space, then resume (run the same command again)\n"
    )


def test_quiet_json_has_outcomes_only() -> None:
    out = io.BytesIO()
    display = JsonLines(board_of(record_of()), out, is_quiet=True)
    display.tell(Begun(record_of(), is_resumed=False))
    display.update([HASH], 10.0)
    display.tell(Completed(record_of(), was_there=False))
    display.end(Summary(complete=1, failed=0, unfinished=0, exit_code=0))
    assert [line["event"] for line in json_of(out)] == ["completed", "done"]


def test_silence_says_errors_alone(capsys: pytest.CaptureFixture[str]) -> None:
    display: Display = Silence()
    display.open()
    display.tell(Begun(record_of(), is_resumed=False))
    display.update([HASH], 1.0)
    display.tell(Failed(record_of("a\x1b[2Jb"), "engine", "no\x1b[2J\nroom"))
    display.stopping()
    display.end(Summary(complete=0, failed=1, unfinished=0, exit_code=3))
    display.close()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "revaer: a[2Jb: no\\x1b[2J\\x0aroom\n"


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    board = board_of(record_of())
    assert isinstance(display_for(board, as_json=False, is_quiet=False), PlainLines)
    assert isinstance(display_for(board, as_json=True, is_quiet=True), JsonLines)
    assert type(display_for(board, as_json=False, is_quiet=True)) is Silence


def terminal(width: int = 120) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=True, width=width, height=10, markup=False, no_color=True
    )
    return console, out


def rendered(*records: TorrentRecord, width: int, height: int = 10) -> list[str]:
    console, out = terminal(width)
    console.print(rows_of(records, width=width, height=height))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_row_has_name_bar_sizes_rate_peers_time_and_state() -> None:
    (row,) = rendered(record_of(), width=130)
    for part in ("album", "━", "25%", "25.0 MiB / 100.0 MiB", "1.00 MiB/s", "3 peers"):
        assert part in row
    assert row.endswith("ETA 1m 15s downloading")


@pytest.mark.parametrize("width", [30, 40, 79, 80, 99, 100, 200])
def test_rows_fit_any_width(width: int) -> None:
    long = record_of("a name that is much longer than any terminal would show " * 5)
    rows = rendered(long, record_of("b", info_hash=InfoHash("b" * 40)), width=width)
    assert len(rows) == 2
    assert all(len(row) <= width for row in rows)
    assert "25%" in rows[1]


def test_more_rows_than_lines_are_counted() -> None:
    many = [record_of(f"t{n}", info_hash=InfoHash(f"{n:040}")) for n in range(12)]
    rows = rendered(*many, width=100, height=10)
    assert len(rows) == 9
    assert rows[-1] == "and 4 more"


def test_bars_show_markup_and_escapes_in_names_as_they_are() -> None:
    (row,) = rendered(named(record_of(), EVIL), width=150)
    assert "[31mred]0;title[bold]x[/bold]" in row


def test_bars_keep_a_line_for_what_is_complete_and_give_the_cursor_back() -> None:
    console, out = terminal()
    board = board_of(record_of())
    display = Bars(board, console)
    display.open()
    display.update([HASH], 10.0)
    display.update([HASH], 10.01)  # too soon
    display.tell(Completed(record_of(), was_there=False))
    display.stopping()
    display.close()
    display.end(Summary(complete=1, failed=0, unfinished=1, exit_code=3))
    shown = out.getvalue()
    assert "album: complete, 100.0 MiB in 2 files, at /srv/x/album\n" in shown
    assert "saving..." in shown
    assert shown.count("25.0 MiB / 100.0 MiB") <= 3
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    assert shown.endswith("1 complete, 1 unfinished\n")
