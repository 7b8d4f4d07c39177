"""Carries out the commands about torrents: store first, then engine; the board shows it after.

The order is what makes an unanswered command hold wholly or not at all: killed before the store's
rename nothing happened, killed after it the next start brings the engine to what the store says.
"""

from dataclasses import replace
from typing import assert_never

from revaer.domain import commands as cmd
from revaer.domain.errors import (
    ConflictError,
    RevaerError,
    SelectionError,
    StoreDownError,
    TorrentExistsError,
)
from revaer.domain.facts import (
    FaultCleared,
    Origin,
    SpecChanged,
    TorrentForgotten,
    TorrentKnown,
)
from revaer.domain.ids import InfoHash
from revaer.domain.labels import check_category, check_tags
from revaer.domain.selection import priorities_for
from revaer.domain.torrent import (
    LIBTORRENT_DEFAULT_PRIORITY,
    MetainfoSource,
    StopReason,
    TorrentDescription,
    TorrentSpec,
    files_of,
)
from revaer.ports.engine import EngineTorrent
from revaer.runtime.mode_desk import ModeCommand, ModeDesk, check_limits
from revaer.runtime.relocation_desk import RelocationCommand, RelocationDesk
from revaer.runtime.session_parts import Outcome, SessionParts
from revaer.runtime.tracker_desk import TrackerCommand, TrackerDesk

HIGHEST_PRIORITY = 7
TRUNCATED_HASH = 40


class CommandDesk:
    """One method per command; each returns what the board is to show."""

    def __init__(self, parts: SessionParts) -> None:
        """Share the session's parts."""
        self._parts = parts
        self._modes = ModeDesk(parts)
        self._trackers = TrackerDesk(parts)
        self._relocations = RelocationDesk(parts)

    def execute(self, command: cmd.TorrentCommand) -> Outcome:
        """Carry a command out up to the engine.

        Raises:
            RevaerError: refused, nothing changed.
        """
        match command:
            case cmd.AddTorrent():
                outcome = self._add(command)
            case cmd.PauseTorrent(info_hash):
                outcome = self._pause(info_hash)
            case cmd.ResumeTorrent(info_hash):
                outcome = self._resume(info_hash)
            case cmd.RecheckTorrent(info_hash):
                outcome = self._recheck(info_hash)
            case cmd.RemoveTorrent(info_hash, with_data):
                outcome = self._remove(info_hash, with_data=with_data)
            case cmd.SelectFiles():
                outcome = self._select(command)
            case _:
                outcome = self._pass_on(command)
        return outcome

    def _pass_on(self, command: ModeCommand | TrackerCommand | RelocationCommand) -> Outcome:
        match command:
            case cmd.SetForceStart(info_hash, True):
                return self._resume(info_hash, force_start=True)
            case _ if isinstance(command, ModeCommand):
                return self._modes.execute(command)
            case _ if isinstance(command, TrackerCommand):
                return self._trackers.execute(command)
            case _ if isinstance(command, RelocationCommand):
                return self._relocations.execute(command)
            case _:
                assert_never(command)

    def _add(self, command: cmd.AddTorrent) -> Outcome:
        parts = self._parts
        description = parts.engine.describe(command.source)
        self._refuse_known(description)
        spec = self._spec_of(command, description)
        check_limits(spec)
        data = command.source.data if isinstance(command.source, MetainfoSource) else None
        parts.keep(spec, data)
        try:
            metainfo = parts.engine.add(
                EngineTorrent(spec=spec, metainfo_data=data, peers=command.peers)
            )
        except RevaerError:
            parts.roster.drop(spec.info_hash, with_data=False)
            del parts.roster.removing[spec.info_hash]
            parts.store.bury(spec.info_hash, with_data=False)
            parts.store.forget(spec.info_hash)
            raise
        parts.saver.request(spec.info_hash)
        known = TorrentKnown(spec.info_hash, spec, metainfo, Origin.ADDED)
        return Outcome(spec.info_hash, (known, parts.fresh(spec.info_hash)))

    def _refuse_known(self, description: TorrentDescription) -> None:
        roster = self._parts.roster
        v2 = description.infohash_v2
        for alias in (description.info_hash, description.infohash_v1, v2, v2[:TRUNCATED_HASH]):
            if alias in roster.removing:
                raise ConflictError(
                    f"{description.name} is being removed; add it again when torrent.removed was "
                    "seen"
                )
            known = roster.find(alias) if alias else None
            if known is not None:
                raise TorrentExistsError(
                    f"{description.name} is here already as {known.info_hash}; its settings can be "
                    "changed there"
                )

    def _spec_of(self, command: cmd.AddTorrent, description: TorrentDescription) -> TorrentSpec:
        policy = self._parts.policy
        save_path = policy.resolve(command.save_path)
        priorities = command.priorities
        if description.metainfo is not None:
            files = description.metainfo.files
            policy.check_files(save_path, files)
            if priorities:
                _check_priorities(priorities, len(files))
            elif not command.selection.is_empty:
                priorities = priorities_for(command.selection, files)
        elif priorities:
            raise SelectionError(
                f"{description.name} is a magnet link whose files are not known yet; give rules "
                "instead of priorities"
            )
        return TorrentSpec(
            info_hash=description.info_hash,
            infohash_v1=description.infohash_v1,
            infohash_v2=description.infohash_v2,
            name=description.name,
            magnet_uri=description.magnet_uri,
            save_path=save_path,
            queue_rank=self._parts.roster.last_rank + 1,
            added_at=self._parts.now(),
            stop_reason=StopReason.USER if command.paused else StopReason.NONE,
            selection=command.selection,
            priorities=priorities,
            sequential=command.sequential,
            category=check_category(command.category),
            tags=check_tags(command.tags),
            download_limit=command.download_limit,
            upload_limit=command.upload_limit,
        )

    def _pause(self, info_hash: InfoHash) -> Outcome:
        parts = self._parts
        spec = replace(parts.running(info_hash), stop_reason=StopReason.USER)
        parts.keep(spec)
        parts.engine.pause(spec.info_hash)
        parts.saver.request(spec.info_hash)
        return Outcome(
            spec.info_hash, (SpecChanged(spec.info_hash, spec), parts.fresh(spec.info_hash))
        )

    def _resume(self, info_hash: InfoHash, *, force_start: bool | None = None) -> Outcome:
        """Run; `force_start` says whether past the queue, None leaves that as it is."""
        parts = self._parts
        spec = replace(parts.running(info_hash), stop_reason=StopReason.NONE)
        if force_start is not None:
            spec = replace(spec, force_start=force_start)
        metainfo = parts.engine.metainfo(spec.info_hash)
        if metainfo is not None:
            spec = replace(spec, priorities=parts.judge(spec, metainfo.files))
        parts.keep(spec)
        if metainfo is not None:  # one that was refused before wants nothing yet
            wanted = spec.priorities or (LIBTORRENT_DEFAULT_PRIORITY,) * len(metainfo.files)
            parts.engine.prioritize(spec.info_hash, wanted)
        # A list that arrives just now is judged when its report is taken, and resumed then.
        parts.engine.resume(spec.info_hash, forced=spec.force_start, is_judged=metainfo is not None)
        return Outcome(
            spec.info_hash,
            (
                SpecChanged(spec.info_hash, spec),
                FaultCleared(spec.info_hash),
                parts.fresh(spec.info_hash),
            ),
        )

    def _recheck(self, info_hash: InfoHash) -> Outcome:
        parts = self._parts
        spec = parts.running(info_hash)
        metainfo = parts.engine.metainfo(spec.info_hash)
        if metainfo is None:
            raise ConflictError(f"{spec.name} has no files to check before its metadata is known")
        priorities = parts.judge(spec, metainfo.files)
        if priorities != spec.priorities:
            spec = replace(spec, priorities=priorities)
            parts.keep(spec)
            parts.engine.prioritize(spec.info_hash, priorities)
        parts.engine.recheck(spec.info_hash)
        return Outcome(
            spec.info_hash,
            (
                SpecChanged(spec.info_hash, spec),
                FaultCleared(spec.info_hash),
                parts.fresh(spec.info_hash),
            ),
        )

    def _remove(self, info_hash: InfoHash, *, with_data: bool) -> Outcome:
        parts = self._parts
        spec = parts.roster.get(info_hash)
        is_running = parts.engine.knows(spec.info_hash)
        with_data = with_data and is_running and parts.may_delete(spec)
        self._bury(spec, with_data=with_data)
        parts.roster.drop(spec.info_hash, with_data=with_data)
        parts.saver.forget(spec.info_hash)
        if is_running:
            parts.engine.remove(spec.info_hash, with_data=with_data)
        else:
            del parts.roster.removing[spec.info_hash]
            parts.forget(spec.info_hash)
        return Outcome(spec.info_hash, (TorrentForgotten(spec.info_hash, with_data),))

    def _bury(self, spec: TorrentSpec, *, with_data: bool) -> None:
        """Write the tombstone; nothing happened if that fails."""
        parts = self._parts
        parts.store.bury(spec.info_hash, with_data=with_data)
        if not with_data:
            return
        try:
            # files must not be gone while a power loss could still bring the torrent back
            parts.store.sync()
        except StoreDownError:
            parts.store.put(spec)
            raise

    def _select(self, command: cmd.SelectFiles) -> Outcome:
        parts = self._parts
        spec = parts.running(command.info_hash)
        metainfo = parts.engine.metainfo(spec.info_hash)
        priorities = command.priorities
        if metainfo is None:
            if priorities:
                raise SelectionError(
                    f"the files of {spec.name} are not known yet; give rules instead of priorities"
                )
        elif priorities:
            _check_priorities(priorities, len(metainfo.files))
        else:
            priorities = priorities_for(command.selection, files_of(spec, metainfo))
        spec = replace(spec, selection=command.selection, priorities=priorities)
        parts.keep(spec)
        if metainfo is not None:
            parts.engine.prioritize(spec.info_hash, priorities)
            parts.saver.request(spec.info_hash)
        return Outcome(
            spec.info_hash, (SpecChanged(spec.info_hash, spec), parts.fresh(spec.info_hash))
        )


def _check_priorities(priorities: tuple[int, ...], file_count: int) -> None:
    if len(priorities) != file_count:
        raise SelectionError(
            f"{len(priorities)} priorities were given for {file_count} files; give one for each"
        )
    for index, priority in enumerate(priorities):
        if not 0 <= priority <= HIGHEST_PRIORITY:
            raise SelectionError(
                f"file {index} was given priority {priority}; 0 skips, 1 to 7 rank"
            )
