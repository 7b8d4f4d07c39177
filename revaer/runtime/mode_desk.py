"""Carries out changes of how a torrent runs and what it is called: store, then engine."""

from contextlib import suppress
from dataclasses import replace
from typing import Final, assert_never

from revaer.domain import commands as cmd
from revaer.domain.errors import InvalidInputError, StoreDownError
from revaer.domain.facts import SpecChanged
from revaer.domain.ids import InfoHash
from revaer.domain.labels import check_category, check_name, check_tags
from revaer.domain.queue_order import reranked
from revaer.domain.share_limits import ShareLimits, check_share_limits
from revaer.domain.torrent import QueueMove, StopReason, TorrentSpec
from revaer.runtime.session_parts import Outcome, SessionParts

_Tuning = cmd.SetSequential | cmd.SetFirstLastPieces | cmd.SetTorrentLimits
_Relabelling = cmd.RenameTorrent | cmd.SetCategory | cmd.SetTags

ModeCommand = cmd.MoveInQueue | cmd.SetForceStart | cmd.SetShareLimits | _Tuning | _Relabelling

HIGHEST_LIMIT: Final = 2**31 - 1


class ModeDesk:
    """One method per command; each returns what the board is to show."""

    def __init__(self, parts: SessionParts) -> None:
        """Share the session's parts."""
        self._parts = parts

    def execute(self, command: ModeCommand) -> Outcome:
        """Carry a command out up to the engine.

        Raises:
            RevaerError: refused, nothing changed.
        """
        spec = self._parts.running(command.info_hash)
        match command:
            case cmd.MoveInQueue(_, move):
                return self._move_in_queue(spec, move)
            case cmd.SetForceStart(_, force_start):
                return self._force_start(spec, force_start=force_start)
            case cmd.SetShareLimits():
                return self._change(_with_share_limits(spec, command))
            case cmd.RenameTorrent() | cmd.SetCategory() | cmd.SetTags():
                return self._change(_relabelled(spec, command))
            case _:
                return self._change(_tuned(spec, command))

    def _change(self, spec: TorrentSpec) -> Outcome:
        """Store a change, then let the engine follow as far as it is concerned."""
        parts = self._parts
        check_limits(spec)
        before = parts.roster.get(spec.info_hash)
        parts.keep(spec)
        engine = parts.engine
        modes = (spec.sequential, spec.first_last_pieces, spec.download_limit, spec.upload_limit)
        if spec.sequential != before.sequential:
            engine.set_sequential(spec.info_hash, sequential=spec.sequential)
        if spec.first_last_pieces != before.first_last_pieces:
            engine.set_first_last_pieces(spec.info_hash, enabled=spec.first_last_pieces)
        if (spec.download_limit, spec.upload_limit) != (before.download_limit, before.upload_limit):
            engine.set_limits(
                spec.info_hash, download=spec.download_limit, upload=spec.upload_limit
            )
        if modes != (
            before.sequential,
            before.first_last_pieces,
            before.download_limit,
            before.upload_limit,
        ):
            parts.saver.request(spec.info_hash)  # the engine's own data names them, too
        return Outcome(spec.info_hash, (SpecChanged(spec.info_hash, spec),))

    def _move_in_queue(self, spec: TorrentSpec, move: QueueMove) -> Outcome:
        parts = self._parts
        line = [each for each in parts.roster if not self._is_finished(each.info_hash)]
        changed = reranked(line, spec.info_hash, move)
        before = {each.info_hash: each for each in line}
        for number, each in enumerate(changed):
            try:
                parts.keep(each)
            except StoreDownError:
                for kept in changed[:number]:
                    with suppress(StoreDownError):
                        parts.keep(before[kept.info_hash])
                raise
        parts.engine.move_in_queue(spec.info_hash, move)
        shown = [SpecChanged(each.info_hash, each) for each in changed]
        return Outcome(spec.info_hash, (*shown, parts.fresh(spec.info_hash)))

    def _is_finished(self, info_hash: InfoHash) -> bool:
        record = self._parts.board.get(info_hash)
        return record is not None and record.status.is_finished

    def _force_start(self, spec: TorrentSpec, *, force_start: bool) -> Outcome:
        """Under the queue again, what stands still or is in trouble stays as it is.

        Force starting is done by the command desk, because it resumes.
        """
        parts = self._parts
        engine, info_hash = parts.engine, spec.info_hash
        spec = replace(spec, force_start=force_start)
        runs = spec.stop_reason is StopReason.NONE and not self._is_in_trouble(info_hash)
        metainfo = engine.metainfo(info_hash) if runs else None
        record = parts.board.get(info_hash)
        is_new = metainfo is not None and (record is None or record.metainfo is None)
        if metainfo is not None and is_new:  # the report of it may still be on its way
            spec = replace(spec, priorities=parts.judge(spec, metainfo.files))
        parts.keep(spec)
        if is_new and spec.priorities:
            engine.prioritize(info_hash, spec.priorities)
        if runs:
            engine.resume(info_hash, forced=force_start, is_judged=metainfo is not None)
        return Outcome(
            spec.info_hash, (SpecChanged(spec.info_hash, spec), parts.fresh(spec.info_hash))
        )

    def _is_in_trouble(self, info_hash: InfoHash) -> bool:
        record = self._parts.board.get(info_hash)
        return record is None or record.fault is not None or bool(record.status.error)


def check_limits(spec: TorrentSpec) -> None:
    """Refuse what no engine takes before it is stored: it would be refused at every start.

    Raises:
        InvalidInputError: names the limit and its range.
    """
    for name, limit in (("download", spec.download_limit), ("upload", spec.upload_limit)):
        if not 0 <= limit <= HIGHEST_LIMIT:
            raise InvalidInputError(
                f"the {name} limit of {spec.name} is {limit} bytes per second; give 0 (unlimited) "
                f"to {HIGHEST_LIMIT}"
            )


def _tuned(spec: TorrentSpec, command: _Tuning) -> TorrentSpec:
    match command:
        case cmd.SetSequential(_, sequential):
            return replace(spec, sequential=sequential)
        case cmd.SetFirstLastPieces(_, first_last_pieces):
            return replace(spec, first_last_pieces=first_last_pieces)
        case cmd.SetTorrentLimits(_, download, upload):
            return replace(spec, download_limit=download, upload_limit=upload)
        case _:
            assert_never(command)


def _relabelled(spec: TorrentSpec, command: _Relabelling) -> TorrentSpec:
    match command:
        case cmd.RenameTorrent(_, name):
            return replace(spec, name=check_name(name), has_given_name=True)
        case cmd.SetCategory(_, category):
            return replace(spec, category=check_category(category))
        case cmd.SetTags(_, tags):
            return replace(spec, tags=check_tags(tags))
        case _:
            assert_never(command)


def _with_share_limits(spec: TorrentSpec, command: cmd.SetShareLimits) -> TorrentSpec:
    limits = ShareLimits(
        ratio=command.ratio,
        seeding_time_s=command.seeding_time_s,
        inactive_seeding_time_s=command.inactive_seeding_time_s,
        action=command.action,
    )
    check_share_limits(limits, of=spec.name)
    return replace(
        spec,
        ratio_limit=float(limits.ratio),
        seeding_time_limit_s=limits.seeding_time_s,
        inactive_seeding_time_limit_s=limits.inactive_seeding_time_s,
        share_limit_action=limits.action,
    )
