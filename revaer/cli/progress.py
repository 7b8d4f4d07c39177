"""How a run is shown: JSON lines, plain lines, live bars, or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Final, Protocol, assert_never

from revaer.cli.failures import complain
from revaer.cli.projection import NAME, eta_s, json_line, torrent_line, wanted_files
from revaer.cli.watching import Begun, Completed, Failed, MetadataKnown, Notice, StateMoved
from revaer.domain.ids import InfoHash
from revaer.domain.plain_text import stripped
from revaer.domain.rates import format_duration, format_rate, format_size
from revaer.domain.torrent import Phase, TorrentRecord, TorrentState
from revaer.ports.board import Board

LINES_PERIOD_S: Final = 0.5
"""Between two progress lines of one torrent for programs: at most two per second."""

STEP: Final = 0.1
STEP_PERIOD_S: Final = 2.0
STILL_PERIOD_S: Final = 60.0
"""A plain line says again where a torrent stands, though no step was reached."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended."""

    complete: int
    failed: int
    unfinished: int
    exit_code: int


class Display(Protocol):
    """Shows a run. Errors go to standard error whatever the display."""

    def open(self) -> None:
        """Take the terminal over."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was; idempotent."""
        ...

    def tell(self, notice: Notice) -> None:
        """Show something that happens once."""
        ...

    def update(self, shown: Sequence[InfoHash], now: float) -> None:
        """Show where these torrents stand, as often as suits the display."""
        ...

    def stopping(self) -> None:
        """The run was interrupted and is being saved."""
        ...

    def end(self, summary: Summary) -> None:
        """The run is over."""
        ...


class Silence:
    """Shows nothing but errors."""

    def open(self) -> None:
        """Nothing to take over."""

    def close(self) -> None:
        """Nothing to give back."""

    def tell(self, notice: Notice) -> None:
        """Say what failed."""
        if isinstance(notice, Failed):
            complain(f"{title_of(notice.record)}: {notice.message}{_again(notice.message)}")

    def update(self, shown: Sequence[InfoHash], now: float) -> None:
        """Nothing to show."""

    def stopping(self) -> None:
        """Nothing to show."""

    def end(self, summary: Summary) -> None:
        """Nothing to show."""


class JsonLines(Silence):
    """One JSON object per line, flushed, for programs."""

    def __init__(self, board: Board, out: IO[bytes], *, is_quiet: bool = False) -> None:
        """Write lines of the board's `download` projection to `out`.

        Args:
            board: has that projection.
            out: binary, because lines are whole and UTF-8 whatever the locale says.
            is_quiet: leave out what is not an outcome.
        """
        self._board = board
        self._out = out
        self._is_quiet = is_quiet
        self._last: dict[InfoHash, tuple[float, bytes]] = {}

    def tell(self, notice: Notice) -> None:
        """One line; errors on standard error too."""
        super().tell(notice)
        info_hash = notice.record.info_hash
        match notice:
            case Begun(_, is_resumed):
                self._torrent("added", info_hash, {"resumed": is_resumed})
            case MetadataKnown():
                self._torrent("metadata", info_hash)
            case StateMoved(_, state, phase, previous):
                moved = {"state": state.value, "phase": phase.value, "previous": previous.value}
                self._line("state", {"info_hash": info_hash, **moved})
            case Completed(_, was_there):
                self._torrent("completed", info_hash, {"was_there": was_there}, is_outcome=True)
            case Failed(_, code, message):
                fields = {"info_hash": info_hash, "code": code, "message": message}
                self._line("error", fields, is_outcome=True)
            case _:
                assert_never(notice)

    def update(self, shown: Sequence[InfoHash], now: float) -> None:
        """A line for each torrent that changed, at most two per second each."""
        for info_hash in shown:
            at, before = self._last.get(info_hash, (0.0, b""))
            if before and now - at < LINES_PERIOD_S:
                continue
            fragment = self._board.fragment(NAME, info_hash)
            if fragment is not None and fragment != before:
                self._last[info_hash] = (now, fragment)
                self._write(torrent_line("progress", fragment))

    def stopping(self) -> None:
        """One line; where each torrent stands was told before."""
        self._line("interrupted", {}, is_outcome=True)

    def end(self, summary: Summary) -> None:
        """The last line."""
        self._line(
            "done",
            {
                "exit_code": summary.exit_code,
                "complete": summary.complete,
                "failed": summary.failed,
                "unfinished": summary.unfinished,
            },
            is_outcome=True,
        )

    def _torrent(
        self,
        event: str,
        info_hash: InfoHash,
        more: Mapping[str, object] | None = None,
        *,
        is_outcome: bool = False,
    ) -> None:
        fragment = self._board.fragment(NAME, info_hash)
        if fragment is not None:
            self._write(torrent_line(event, fragment, more), is_outcome=is_outcome)

    def _line(self, event: str, fields: Mapping[str, object], *, is_outcome: bool = False) -> None:
        self._write(json_line(event, fields), is_outcome=is_outcome)

    def _write(self, line: bytes, *, is_outcome: bool = False) -> None:
        if is_outcome or not self._is_quiet:
            self._out.write(line)
            self._out.flush()


class PlainLines(Silence):
    """Lines for logs and pipes: the start, every tenth, the end."""

    def __init__(self, board: Board, out: IO[str]) -> None:
        """Write to `out`."""
        self._board = board
        self._out = out
        self._last: dict[InfoHash, tuple[float, float]] = {}
        self._contents_told: set[InfoHash] = set()

    def tell(self, notice: Notice) -> None:
        """One line; errors on standard error only."""
        super().tell(notice)
        info_hash = notice.record.info_hash
        if isinstance(notice, Begun) and notice.record.metainfo is not None:
            self._contents_told.add(info_hash)
        if isinstance(notice, MetadataKnown) and info_hash in self._contents_told:
            return
        line = line_of(notice)
        if line:
            self._say(line)

    def update(self, shown: Sequence[InfoHash], now: float) -> None:
        """A line for each torrent that came a tenth further, and a rare one for the others."""
        for info_hash in shown:
            record = self._board.get(info_hash)
            if record is None or record.is_complete:
                continue
            progress = record.status.progress
            last = self._last.setdefault(info_hash, (now, progress))
            if is_due(last, (now, progress)):
                self._last[info_hash] = (now, progress)
                self._say(standing_of(record))

    def end(self, summary: Summary) -> None:
        """A sum, when there is something to sum up."""
        line = sum_of(summary)
        if line:
            self._say(line)

    def _say(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()


def sum_of(summary: Summary) -> str:
    """How a run of several torrents ended; empty for a single one."""
    counts = (
        (summary.complete, "complete"),
        (summary.failed, "failed"),
        (summary.unfinished, "unfinished"),
    )
    if sum(count for count, _ in counts) == 1:
        return ""
    return ", ".join(f"{count} {what}" for count, what in counts if count)


def is_due(last: tuple[float, float], here: tuple[float, float]) -> bool:
    """Whether a plain line is due.

    Args:
        last: when the last one was written, in seconds, and the progress (0..1) it showed.
        here: the same of now.
    """
    elapsed_s = here[0] - last[0]
    if elapsed_s >= STILL_PERIOD_S:
        return True
    return elapsed_s >= STEP_PERIOD_S and int(here[1] / STEP) != int(last[1] / STEP)


def title_of(record: TorrentRecord) -> str:
    """A torrent's name as it may be shown."""
    name = stripped(record.metainfo.name if record.metainfo else record.spec.name).strip()
    return name or record.info_hash


def line_of(notice: Notice) -> str:
    """What a person reads of it; empty for what is not worth a line, or goes elsewhere."""
    title = title_of(notice.record)
    match notice:
        case Begun(record, is_resumed):
            return f"{title}: {_begin(record, is_resumed=is_resumed)}"
        case MetadataKnown(record):
            return f"{title}: {_contents(record)}"
        case Completed(record, was_there):
            how = "already complete" if was_there else "complete"
            return f"{title}: {how}, {_contents(record)}, at {stripped(record.content_path)}"
        case StateMoved(_, TorrentState.CHECKING, _, _):
            return f"{title}: checking the files that are there"
        case StateMoved() | Failed():
            return ""
        case _:
            assert_never(notice)


def standing_of(record: TorrentRecord) -> str:
    """Where a torrent stands, in one line."""
    if record.metainfo is None:
        return f"{title_of(record)}: fetching metadata, {_peers(record)}"
    status = record.status
    done = f"{state_of(record)} {status.progress:.0%} of {format_size(status.wanted_bytes)}"
    parts = (done, format_rate(status.download_rate), _peers(record), f"ETA {eta_of(record)}")
    return f"{title_of(record)}: {', '.join(parts)}"


def state_of(record: TorrentRecord) -> str:
    """State and phase in one word."""
    if record.phase is Phase.FETCHING_METADATA:
        return "metadata"
    return record.state.value


def eta_of(record: TorrentRecord) -> str:
    """Time left as people read it; `-` when nobody can say."""
    left_s = eta_s(record)
    return "-" if left_s is None else format_duration(left_s)


def _begin(record: TorrentRecord, *, is_resumed: bool) -> str:
    where = stripped(record.spec.save_path)
    if record.metainfo is None:
        how = "continues" if is_resumed else "added"
        return f"{how}, fetching metadata, into {where}"
    if is_resumed:
        return f"continues at {record.status.progress:.0%} of {_contents(record)}, into {where}"
    return f"added, {_contents(record)}, into {where}"


def _contents(record: TorrentRecord) -> str:
    """The wanted files: their sizes, not the wanted pieces', which reach into their neighbours."""
    if record.metainfo is None:
        return "contents unknown"
    wanted = wanted_files(record)
    total = sum(1 for entry in record.metainfo.files if not entry.is_pad)
    size = format_size(sum(entry.size_bytes for entry in wanted))
    count = _count(total, "file") if len(wanted) == total else f"{len(wanted)} of {total} files"
    return f"{size} in {count}"


def _peers(record: TorrentRecord) -> str:
    return _count(record.status.seeds + record.status.leechers, "peer")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _again(message: str) -> str:
    """How to do what a fault's remedy asks for, here, where no server waits for a command."""
    return " (run the same command again)" if message.endswith("resume") else ""
