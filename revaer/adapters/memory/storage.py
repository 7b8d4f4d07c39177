"""Where a simulated torrent's bytes lie, and what is kept of them."""

import posixpath

from revaer.adapters.memory import exports
from revaer.adapters.memory.controls import Controls
from revaer.domain import engine_input
from revaer.domain import facts as f
from revaer.domain.details import PieceState
from revaer.domain.errors import ConflictError, InvalidInputError
from revaer.domain.ids import InfoHash


class Storage(Controls):
    """Moves, renames, checks and saves; see `TorrentEngine`."""

    def recheck(self, info_hash: InfoHash) -> None:
        """Look at every file again; a stopped torrent runs for the check, then stops again."""
        with self._torrent("recheck", info_hash) as one:
            if one.is_paused and not one.is_auto_managed and one.metainfo is not None:
                one.stops_when_checked = one.is_stopped
                one.is_paused = False
            self._absolve(one)
            self._is_line_stale = True
            self._tell(*one.begin_check())

    def retry_storage(self, info_hash: InfoHash) -> None:
        """Write again; what a fault had paused runs unless it was told to stand still."""
        with self._torrent("retry_storage", info_hash) as one:
            if one.error and not one.is_stopped:
                one.is_paused = False
            self._absolve(one)

    def move(self, info_hash: InfoHash, save_path: str) -> None:
        """Move the files; at once, or in `advance` where moves take time."""
        with self._torrent("move", info_hash) as one:
            engine_input.check_save_path(save_path)
            if one.moving_to:
                raise ConflictError(f"the files of {info_hash} are being moved already")
            if posixpath.normpath(save_path) == posixpath.normpath(one.save_path):
                self._tell(f.StorageMoved(one.info_hash, save_path))
                return
            self._tell(*one.begin_move(save_path, self._move_s))

    def rename_file(self, info_hash: InfoHash, index: int, path: str) -> None:
        """Give a file another path."""
        with self._torrent("rename_file", info_hash) as one:
            if one.metainfo is None:
                raise ConflictError(f"the files of {info_hash} are not known yet")
            if not 0 <= index < len(one.files):
                raise InvalidInputError(
                    f"{info_hash} has files 0 to {len(one.files) - 1}, no file {index}"
                )
            engine_input.check_file_path(path)
            others = {one.path_of(entry) for entry in one.files if entry.index != index}
            if path in others:
                raise ConflictError(f"another file of {info_hash} has the path {path!r}")
            self._tell(one.rename(index, path))

    def export(self, info_hash: InfoHash) -> None:
        """Make the torrent file as it would be made now."""
        with self._torrent("export", info_hash) as one:
            if one.metainfo is None:
                raise ConflictError(f"the metadata of {info_hash} is not known yet")
            if one.export_failures:
                reason = one.export_failures.popleft()
                self._tell(f.ResumeDataFailed(one.info_hash, reason))
                return
            trackers = [(tracker.url, tracker.tier) for tracker in one.trackers.values()]
            data = exports.with_sources(one.metainfo_data, trackers, one.web_seeds)
            self._tell(f.TorrentExported(one.info_hash, data))

    def pieces(self, info_hash: InfoHash) -> tuple[PieceState, ...]:
        """One state per piece; empty before the metadata is known."""
        with self._torrent("pieces", info_hash) as one:
            return one.piece_states()

    def file_progress(self, info_hash: InfoHash) -> tuple[int, ...]:
        """Bytes done per file; empty before the metadata is known."""
        with self._torrent("file_progress", info_hash) as one:
            return tuple(one.done)

    def save(self, info_hash: InfoHash) -> None:
        """Make resume data; the torrent file's bytes come with the first that can have them."""
        with self._torrent("save", info_hash) as one:
            one.flush()
            data = one.metainfo_data if one.is_metainfo_due else b""
            one.is_metainfo_due = one.is_metainfo_due and not data
            one.needs_save = False
            self._tell(f.ResumeDataReady(one.info_hash, one.blob(), data))

    def flush(self, info_hash: InfoHash) -> None:
        """Hand all buffered blocks to the file system."""
        with self._torrent("flush", info_hash) as one:
            one.flush()
            self._tell(f.CacheFlushed(one.info_hash))
