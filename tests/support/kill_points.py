"""Carries out one command in a process of its own and kills it -9 at a chosen step.

`python -m tests.support.kill_points ROOT COMMAND STEP TORRENT`; prints `answered` when the outcome
was given. The steps are those of every command: before anything, after the store (or tombstone),
after the engine, after the board, after the reply.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.adapters.libtorrent.metainfo import describe
from revaer.domain import commands as cmd
from revaer.domain.ids import BytesPerSecond, InfoHash, Revision
from revaer.domain.selection import RuleKind, SelectionRule, SelectionRules
from revaer.domain.torrent import MetainfoSource, ShareLimitAction
from revaer.runtime.board_table import BoardTable, RowChange
from tests.support.rig import EngineRig

STEPS = ("before", "store", "engine", "board", "reply")
STORE_CALLS = frozenset({"put", "bury"})
ENGINE_CALLS = frozenset(
    {
        *("add", "pause", "resume", "remove", "prioritize", "set_sequential", "set_limits"),
        *("set_first_last_pieces", "set_trackers", "set_web_seeds", "move", "rename_file"),
    }
)

TRACKER = "http://127.0.0.1:9/announce"
WEB_SEED = "http://127.0.0.1:9/files/"
MOVED_TO = "library"
"""Below the root."""

Command = Callable[[bytes, InfoHash], cmd.TorrentCommand]
COMMANDS: dict[str, Command] = {
    "add": lambda data, _: cmd.AddTorrent(source=MetainfoSource(data), category="tv"),
    "pause": lambda _, one: cmd.PauseTorrent(one),
    "resume": lambda _, one: cmd.ResumeTorrent(one),
    "select": lambda _, one: cmd.SelectFiles(
        one, selection=SelectionRules((SelectionRule(RuleKind.EXCLUDE, "*.txt"),))
    ),
    "sequential": lambda _, one: cmd.SetSequential(one, sequential=True),
    "limits": lambda _, one: cmd.SetTorrentLimits(
        one, BytesPerSecond(1_000_000), BytesPerSecond(500_000)
    ),
    "force_start": lambda _, one: cmd.SetForceStart(one, force_start=True),
    "first_last": lambda _, one: cmd.SetFirstLastPieces(one, first_last_pieces=True),
    "share_limits": lambda _, one: cmd.SetShareLimits(one, 1.5, 3_600, -1, ShareLimitAction.STOP),
    "add_trackers": lambda _, one: cmd.AddTrackers(one, ((TRACKER, 3),)),
    "add_web_seeds": lambda _, one: cmd.AddWebSeeds(one, (WEB_SEED,)),
    "name": lambda _, one: cmd.RenameTorrent(one, "Another name"),
    "category": lambda _, one: cmd.SetCategory(one, "films"),
    "tags": lambda _, one: cmd.SetTags(one, ("b", "a")),
    "move": lambda _, one: cmd.MoveTorrent(one, MOVED_TO),
    "rename_file": lambda _, one: cmd.RenameFile(one, 0, "show/renamed.bin"),
    "rename_folder": lambda _, one: cmd.RenameFolder(one, "show", "The Show"),
    "remove": lambda _, one: cmd.RemoveTorrent(one),
    "remove_with_data": lambda _, one: cmd.RemoveTorrent(one, with_data=True),
}

STORE_ONLY = frozenset({"share_limits", "name", "category", "tags"})
"""Commands that no engine hears of."""


class Fuse:
    """Kills the process when the chosen step is reached, once armed."""

    def __init__(self, step: str) -> None:
        """Not armed: the set-up runs unharmed."""
        self._step = step
        self.is_armed = False
        self.is_past_the_engine = False

    def blow(self, step: str) -> None:
        """Reach a step."""
        if self.is_armed and step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)


class Fused:
    """Any object, with steps reached before and after some of its calls."""

    def __init__(
        self, inner: Any, calls: frozenset[str], fuse: Fuse, step: str, *, is_last: bool
    ) -> None:
        """Wrap `inner`; after the last of the steps comes the board's."""
        self._is_last = is_last
        self._inner = inner
        self._calls = calls
        self._fuse = fuse
        self._step = step

    def __getattr__(self, name: str) -> Any:
        """Pass everything on."""
        member = getattr(self._inner, name)
        if name not in self._calls:
            return member

        def called(*args: Any, **options: Any) -> Any:
            self._fuse.blow("before")
            answer = member(*args, **options)
            self._fuse.blow(self._step)
            if self._fuse.is_armed and self._is_last:
                self._fuse.is_past_the_engine = True
            return answer

        return called


class FusedTable(BoardTable):
    """A board that reaches its step once a change shows."""

    def __init__(self, fuse: Fuse) -> None:
        """An empty board."""
        super().__init__()
        self._fuse = fuse

    def commit(self, changes: Iterable[RowChange]) -> Revision:
        """Take a batch in, then reach the step."""
        taken = tuple(changes)
        revision = super().commit(taken)
        if taken and self._fuse.is_past_the_engine:
            self._fuse.blow("board")
        return revision


def run(root: Path, command: str, step: str, torrent: Path) -> None:
    """Carry `command` out on the tree below `root` and die at `step`."""
    fuse = Fuse(step)
    data = torrent.read_bytes()
    info_hash = describe(MetainfoSource(data)).info_hash
    is_stored_only = command in STORE_ONLY
    rig = EngineRig(
        root=root,
        open_engine=lambda settings: Fused(
            LibtorrentEngine(settings), ENGINE_CALLS, fuse, "engine", is_last=not is_stored_only
        ),
        store=lambda store: Fused(store, STORE_CALLS, fuse, "store", is_last=is_stored_only),
        table=FusedTable(fuse),
    )
    with rig:
        if command != "add":
            rig.wait_complete(info_hash)
        fuse.is_armed = True
        rig.gateway.execute(COMMANDS[command](data, info_hash), timeout_s=30.0)
        sys.stdout.write("answered\n")
        sys.stdout.flush()
        fuse.blow("reply")


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
