"""Where a torrent's bytes lie, and what is kept of them."""

import posixpath

import libtorrent as lt

from revaer.adapters.libtorrent.core import FLAGS, EngineCore
from revaer.adapters.libtorrent.registry import Ask, Entry
from revaer.domain import engine_input
from revaer.domain.errors import ConflictError, InvalidInputError
from revaer.domain.facts import CacheFlushed, FileRenamed, StorageMoved
from revaer.domain.ids import InfoHash

_HANDLE = lt.torrent_handle


class Storage(EngineCore):
    """Moves, renames, checks and saves; see `TorrentEngine`."""

    def recheck(self, info_hash: InfoHash) -> None:
        """See `TorrentEngine.recheck`; a stopped torrent runs for the check, then stops again."""
        with self._torrent(info_hash) as entry:
            handle = entry.handle
            if handle.torrent_file() is None:
                return  # a magnet without metadata has no files to hash
            self._clear_error(entry)
            if not entry.is_held:
                handle.unset_flags(FLAGS.upload_mode)
            handle.force_recheck()
            if entry.is_stopped:
                handle.set_flags(FLAGS.stop_when_ready)
            if not self._is_left_to_queue(handle):
                handle.resume()
            self._absolve(entry)

    def retry_storage(self, info_hash: InfoHash) -> None:
        """See `TorrentEngine.retry_storage`.

        libtorrent pauses a torrent whose files it cannot use; clearing the error alone would leave
        a torrent that is outside the queue paused for good.
        """
        with self._torrent(info_hash) as entry:
            handle = entry.handle
            self._clear_error(entry)
            if not entry.is_held:
                handle.unset_flags(FLAGS.upload_mode)
            if not entry.is_stopped and not self._is_left_to_queue(handle):
                handle.resume()
            self._reconnects.hurry(self._live())
            self._absolve(entry)

    def move(self, info_hash: InfoHash, save_path: str) -> None:
        """See `TorrentEngine.move`; a torrent that is there already has been moved."""
        with self._torrent(info_hash) as entry:
            engine_input.check_save_path(save_path)
            now = entry.handle.status()
            if now.moving_storage:
                raise ConflictError(f"the files of {info_hash} are being moved already")
            if posixpath.normpath(save_path) == posixpath.normpath(now.save_path):
                self._tell(StorageMoved(entry.info_hash, save_path))
                return
            entry.handle.move_storage(save_path, lt.move_flags_t.fail_if_exist)

    def rename_file(self, info_hash: InfoHash, index: int, path: str) -> None:
        """See `TorrentEngine.rename_file`.

        An index out of range crashes libtorrent, and a path of another file of the same torrent
        overwrites that file: both are refused here whatever the caller has judged.
        """
        with self._torrent(info_hash) as entry:
            info = entry.handle.torrent_file()
            if info is None:
                raise ConflictError(f"the files of {info_hash} are not known yet")
            if not 0 <= index < info.num_files():
                raise InvalidInputError(
                    f"{info_hash} has files 0 to {info.num_files() - 1}, no file {index}"
                )
            engine_input.check_file_path(path)
            if entry.path_of(index) == path:
                self._tell(FileRenamed(entry.info_hash, index, path))
                return
            if entry.others_at(path, index):
                raise ConflictError(f"another file of {info_hash} has the path {path!r}")
            entry.handle.rename_file(index, path)

    def export(self, info_hash: InfoHash) -> None:
        """See `TorrentEngine.export`."""
        with self._torrent(info_hash) as entry:
            if entry.handle.torrent_file() is None:
                raise ConflictError(f"the metadata of {info_hash} is not known yet")
            self._ask(entry, Ask.EXPORT, _HANDLE.save_info_dict)

    def save(self, info_hash: InfoHash) -> None:
        """See `TorrentEngine.save`."""
        with self._torrent(info_hash) as entry:
            self._ask(entry, Ask.SAVE, _HANDLE.save_info_dict | _HANDLE.flush_disk_cache)

    def flush(self, info_hash: InfoHash) -> None:
        """See `TorrentEngine.flush`."""
        with self._torrent(info_hash) as entry:
            if entry.handle.torrent_file() is None:
                self._tell(CacheFlushed(entry.info_hash))  # libtorrent answers nothing
            else:
                entry.handle.flush_cache()

    def _is_left_to_queue(self, handle: lt.torrent_handle) -> bool:
        return self._is_queueing and bool(handle.flags() & FLAGS.auto_managed)

    def _ask(self, entry: Entry, ask: Ask, flags: int) -> None:
        """Ask for resume data; libtorrent answers in the order of asking and never says whom."""
        with self._asking:
            entry.asks.append(ask)
            try:
                entry.handle.save_resume_data(flags)
            except RuntimeError:
                entry.asks.pop()
                raise
