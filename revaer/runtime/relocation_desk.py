"""Begins moves and renames: judged, journaled in the spec, then handed to the engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, assert_never

from revaer.domain import commands as cmd
from revaer.domain import relocation
from revaer.domain.errors import ConflictError, InvalidInputError, PathRefusedError, RevaerError
from revaer.domain.facts import SpecChanged
from revaer.domain.plain_text import escaped, stripped
from revaer.domain.torrent import (
    FaultCode,
    FileEntry,
    TorrentSpec,
    files_of,
    renamed,
)
from revaer.runtime.session_parts import Outcome, SessionParts

RelocationCommand = cmd.MoveTorrent | cmd.RenameFile | cmd.RenameFolder

_NAMED_FILES: Final = 3


class RelocationDesk:
    """Nothing is ever replaced: where a file lies already, no other goes."""

    def __init__(self, parts: SessionParts) -> None:
        """Share the session's parts."""
        self._parts = parts

    def execute(self, command: RelocationCommand) -> Outcome:
        """Begin; what became of it arrives as a report of the engine.

        Raises:
            RevaerError: refused, nothing changed.
        """
        spec = self._parts.running(command.info_hash)
        self._refuse_busy(spec)
        match command:
            case cmd.MoveTorrent(_, save_path):
                return self._move(spec, save_path)
            case cmd.RenameFile(_, index, path):
                return self._rename(spec, lambda files: relocation.file_renamed(files, index, path))
            case cmd.RenameFolder(_, folder, new_folder):
                return self._rename(
                    spec, lambda files: relocation.folder_renamed(files, folder, new_folder)
                )
            case _:
                assert_never(command)

    def _refuse_busy(self, spec: TorrentSpec) -> None:
        if spec.moving_to:
            raise ConflictError(
                f"{spec.name} is being moved to {spec.moving_to}; wait until its phase is no "
                "longer `moving`"
            )
        if spec.renaming:
            raise ConflictError(f"files of {spec.name} are being renamed; try again in a second")

    def _move(self, spec: TorrentSpec, save_path: str) -> Outcome:
        parts = self._parts
        if not save_path:
            raise PathRefusedError("The path is empty. Name the directory to move to.")
        target = parts.policy.resolve(save_path)
        if target == spec.save_path:
            raise ConflictError(f"{spec.name} is in {target} already; name another directory")
        record = parts.board.get(spec.info_hash)
        fault = record.fault if record is not None else None
        if fault is not None and fault.code is FaultCode.STORAGE_ABSENT:
            raise ConflictError(
                f"{spec.name} cannot be moved while its storage is away: {fault.message}"
            )
        metainfo = parts.engine.metainfo(spec.info_hash)
        if metainfo is not None:
            files = files_of(spec, metainfo)
            parts.policy.check_files(target, files)
            self._refuse_occupied(spec, target, relocation.paths_of(files))
        before = spec
        spec = replace(spec, moving_to=target)
        parts.keep(spec)
        try:
            parts.engine.move(spec.info_hash, target)
        except RevaerError:
            parts.keep(before)
            raise
        return Outcome(
            spec.info_hash, (SpecChanged(spec.info_hash, spec), parts.fresh(spec.info_hash))
        )

    def _refuse_occupied(self, spec: TorrentSpec, target: str, paths: Sequence[str]) -> None:
        """Look at the first names only, as long as none of them is there."""
        files = self._parts.files
        present = set(files.occupied(target, relocation.top_level_of(paths)))
        if not present:
            return
        paths = [path for path in paths if path.split("/", 1)[0] in present]
        self._refuse_ways_out(target, paths)
        lying = files.occupied(target, paths)
        if lying:
            raise ConflictError(
                f"{spec.name} cannot be moved to {target}, where {_named(lying)} already lies; "
                "move that away, or choose another directory"
            )

    def _rename(
        self,
        spec: TorrentSpec,
        changes_of: Callable[[Sequence[FileEntry]], Mapping[int, str]],
    ) -> Outcome:
        parts = self._parts
        metainfo = parts.engine.metainfo(spec.info_hash)
        if metainfo is None:
            raise ConflictError(
                f"{spec.name} has no files to rename before its metadata is known; try again then"
            )
        files = files_of(spec, metainfo)
        changes = changes_of(files)
        if not changes:
            return Outcome(spec.info_hash, ())
        for path in changes.values():
            if stripped(path) != path:
                raise InvalidInputError(
                    f"path '{escaped(path)}' holds a control character or a line break; write it "
                    "without"
                )
        relocation.refuse_collisions(files, changes)
        after = renamed(files, changes.items())
        parts.policy.check_files(spec.save_path, after)
        targets = tuple(changes.values())
        self._refuse_ways_out(spec.save_path, targets)
        lying = parts.files.occupied(spec.save_path, targets)
        if lying:
            raise ConflictError(
                f"{_named(lying)} already lies in {spec.save_path}; move that away, or choose "
                "another name"
            )
        return self._begin_renames(spec, files, changes)

    def _begin_renames(
        self, before: TorrentSpec, files: Sequence[FileEntry], changes: Mapping[int, str]
    ) -> Outcome:
        """Store both names, then let the engine begin."""
        parts = self._parts
        spec = replace(
            before,
            renames=relocation.with_renames(before, changes),
            renaming=tuple(sorted((index, files[index].path) for index in changes)),
        )
        parts.keep(spec)
        for position, (index, path) in enumerate(changes.items()):
            try:
                parts.engine.rename_file(spec.info_hash, index, path)
            except RevaerError:
                # Past the first one the engine went away in the middle: its next start settles it.
                if position == 0:
                    parts.keep(before)
                raise
        return Outcome(spec.info_hash, (SpecChanged(spec.info_hash, spec),))

    def _refuse_ways_out(self, save_path: str, paths: Sequence[str]) -> None:
        """A folder that is there already may be a link to somewhere else."""
        for folder in relocation.folders_of(paths):
            if folder:
                self._parts.policy.resolve(f"{save_path}/{folder}")


def _named(paths: Sequence[str]) -> str:
    named = ", ".join(repr(path) for path in paths[:_NAMED_FILES])
    more = len(paths) - _NAMED_FILES
    return f"{named} and {more} more" if more > 0 else named
