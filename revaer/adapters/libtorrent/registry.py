"""Which libtorrent handle is which torrent, whatever id somebody uses for it."""

import threading
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

import libtorrent as lt

from revaer.domain.ids import NEVER, EpochSeconds, InfoHash


class Removal(Enum):
    """How a torrent is being removed."""

    NONE = 0
    KEEP_DATA = 1
    WITH_DATA = 2


class Ask(Enum):
    """What resume data was asked for."""

    SAVE = 0
    EXPORT = 1


@dataclass(slots=True, eq=False)
class Entry:
    """What the engine remembers of one torrent; never holds anything that libtorrent frees.

    Attributes:
        info_hash: the stable id.
        handle: a weak reference; its hash and equality hold even after the torrent is gone.
        keys: every id that finds this torrent.
        origin: comment, creator and creation time of the torrent file: libtorrent keeps these
            beside the metadata, not in it.
        trackers: announce addresses that are text, with their tiers, as they were last set.
        tracker_count: all announce addresses.
        priorities: what was last asked for, per file; files past its end have the default.
        has_first_last_pieces: the ends of each wanted file come first.
        renames: paths that libtorrent acknowledged, by file index.
        paths: which files have each path now, read at the first rename: walking a list of 100,000
            files with each rename would take minutes.
        is_held: a magnet whose file list nobody has judged: it stays in upload mode.
        is_stopped: it was told to stand still.
        asks: what the next answers with resume data are for, in order.
        is_save_owed: an export took resume data, and libtorrent counts that as a save.
        is_metainfo_due: the torrent file's bytes were not yet handed out with a save.
        faults: error codes already reported, so that one cause is one fact.
        is_fault_sticky: the fault leaves no trace in the status, so the status cannot clear it.
        last_upload_at: last reported moment; libtorrent tells an age, which must not make it dance.
        last_download_at: as above.
        removal: whether and how the torrent is being removed.
        is_gone: libtorrent let go of it.
        deletion: why its files could not be deleted, empty when they were; None before the answer.
    """

    info_hash: InfoHash
    handle: lt.torrent_handle
    keys: set[str] = field(default_factory=set)
    origin: tuple[str, str, int] = ("", "", 0)
    trackers: tuple[tuple[str, int], ...] = ()
    tracker_count: int = 0
    priorities: tuple[int, ...] = ()
    has_first_last_pieces: bool = False
    renames: dict[int, str] = field(default_factory=dict)
    paths: dict[str, set[int]] = field(default_factory=dict)
    is_held: bool = False
    is_stopped: bool = False
    asks: deque[Ask] = field(default_factory=deque)
    is_save_owed: bool = False
    is_metainfo_due: bool = False
    faults: set[tuple[str, int]] = field(default_factory=set)
    is_fault_sticky: bool = False
    last_upload_at: EpochSeconds = NEVER
    last_download_at: EpochSeconds = NEVER
    removal: Removal = Removal.NONE
    is_gone: bool = False
    deletion: str | None = None

    def renamed(self, index: int, path: str) -> None:
        """Note a path that libtorrent acknowledged."""
        before = self.renames.get(index)
        self.renames[index] = path
        if not self.paths:
            return
        if before is None:
            before = self._named_by_metadata(index)
        self.paths.get(before, set()).discard(index)
        self.paths.setdefault(path, set()).add(index)

    def others_at(self, path: str, index: int) -> bool:
        """Whether another file of the torrent has this path."""
        if not self.paths:
            info = self.handle.torrent_file()
            count = 0 if info is None else info.num_files()
            for each in range(count):
                named = self.renames.get(each) or self._named_by_metadata(each)
                self.paths.setdefault(named, set()).add(each)
        return bool(self.paths.get(path, set()) - {index})

    def path_of(self, index: int) -> str:
        """The path that a file has now."""
        return self.renames.get(index) or self._named_by_metadata(index)

    def _named_by_metadata(self, index: int) -> str:
        info = self.handle.torrent_file()
        return "" if info is None else info.layout().file_path(index)


def ids_of(hashes: lt.info_hash_t) -> tuple[str, str]:
    """Return the v1 hash (40 hex digits) and the v2 hash (64), empty where there is none."""
    v1 = str(hashes.v1) if hashes.has_v1() else ""
    v2 = str(hashes.v2) if hashes.has_v2() else ""
    return v1, v2


def stable_id(v1: str, v2: str) -> InfoHash:
    """Choose the id that a torrent keeps: v1 where known, else truncated v2."""
    return InfoHash(v1 or v2[:40])


def keys_of(v1: str, v2: str) -> set[str]:
    """Every id under which a torrent with these hashes can be looked up."""
    return {key for key in (v1, v2, v2[:40]) if key}


class Registry:
    """All torrents of one session.

    Writers hold `adding` from before libtorrent knows a torrent until it is registered: the pump
    may see the torrent's first alerts in between and then waits for the writer.
    """

    def __init__(self) -> None:
        self.adding = threading.Lock()
        self.by_handle: dict[lt.torrent_handle, Entry] = {}
        self._by_key: dict[str, Entry] = {}

    def register(self, entry: Entry, keys: set[str]) -> None:
        """Make an entry findable by its handle and more ids; an id's first owner keeps it."""
        self.by_handle[entry.handle] = entry
        for key in keys:
            if self._by_key.setdefault(key, entry) is entry:
                entry.keys.add(key)

    def find(self, info_hash: str) -> Entry | None:
        """Find by v1, v2 or truncated v2, in lower-case hex."""
        return self._by_key.get(info_hash)

    def of_handle(self, handle: lt.torrent_handle) -> Entry | None:
        """Find the torrent that an alert is about."""
        entry = self.by_handle.get(handle)
        if entry is None:
            with self.adding:
                entry = self.by_handle.get(handle)
        return entry

    def retire(self, entry: Entry) -> None:
        """Let ids go at once, so that the same torrent can be added again while it is removed."""
        for key in entry.keys:
            self._by_key.pop(key, None)
        entry.keys.clear()

    def forget(self, entry: Entry) -> None:
        """Drop the last trace of a torrent that libtorrent let go of."""
        self.retire(entry)
        if self.by_handle.get(entry.handle) is entry:
            del self.by_handle[entry.handle]

    def entries(self) -> tuple[Entry, ...]:
        """All torrents that are not being removed."""
        return tuple({id(entry): entry for entry in list(self._by_key.values())}.values())
