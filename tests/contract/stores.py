"""Each implementation of the resume store, with a place that outlives its owners."""

import shutil
from pathlib import Path
from typing import Protocol, cast

from revaer.adapters.filesystem import FilesystemResumeStore
from revaer.adapters.memory.resume_store import MemoryDisk, MemoryResumeStore
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import TorrentSpec
from revaer.ports.resume_store import ResumeStore

A = InfoHash("a" * 40)
B = InfoHash("b" * 40)
C = InfoHash("c" * 40)


class Shelf(Protocol):
    """Where a store is kept."""

    def open(self, boot_id: str = "first boot") -> ResumeStore:
        """Own what is there."""
        ...

    def hide(self, store: ResumeStore) -> None:
        """Make it vanish for a while, as a disk does that is unplugged."""
        ...

    def show(self, store: ResumeStore) -> None:
        """Bring it back as it was."""
        ...

    def delete(self, store: ResumeStore) -> None:
        """Delete everything that is stored."""
        ...


class FilesystemShelf:
    """A directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def open(self, boot_id: str = "first boot") -> ResumeStore:
        return FilesystemResumeStore(
            self.directory, boot_id=boot_id, default_save_path="/data/default"
        )

    def hide(self, store: ResumeStore) -> None:
        """Another file lies in its place, so that nobody makes the directory anew."""
        self.directory.rename(self._elsewhere)
        self.directory.touch()

    def show(self, store: ResumeStore) -> None:
        self.directory.unlink()
        self._elsewhere.rename(self.directory)

    def delete(self, store: ResumeStore) -> None:
        shutil.rmtree(self.directory)

    @property
    def _elsewhere(self) -> Path:
        return self.directory.with_name("unplugged")


class MemoryShelf:
    """A table."""

    def __init__(self) -> None:
        self._disk = MemoryDisk()

    def open(self, boot_id: str = "first boot") -> ResumeStore:
        return MemoryResumeStore(self._disk, boot_id=boot_id)

    def hide(self, store: ResumeStore) -> None:
        cast("MemoryResumeStore", store).go_down()

    def show(self, store: ResumeStore) -> None:
        cast("MemoryResumeStore", store).come_back()

    def delete(self, store: ResumeStore) -> None:
        cast("MemoryResumeStore", store).lose_everything()


def spec_of(
    info_hash: InfoHash, *, category: str = "", added_at: int = 1_700_000_000, name: str = "name"
) -> TorrentSpec:
    """A torrent that was asked for."""
    return TorrentSpec(
        info_hash=info_hash,
        infohash_v1=info_hash,
        name=name,
        magnet_uri=f"magnet:?xt=urn:btih:{info_hash}",
        save_path="/data/media",
        added_at=EpochSeconds(added_at),
        category=category,
    )
