"""The truth about which torrents exist and what was asked of them."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

from revaer.domain.ids import InfoHash
from revaer.domain.torrent import TorrentSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTorrent:
    """One torrent as it was found in the store.

    Attributes:
        spec: what was asked for.
        metainfo_data: the torrent file's bytes, or None for a magnet without metadata.
        blob: the engine's resume data, or None when there is none that can be used.
        problems: what was damaged or replaced on the way, in an operator's words; empty when sound.
        is_by_default: what was asked for is lost, and `spec` is made of defaults: whoever knows
            better may say so.
    """

    spec: TorrentSpec
    metainfo_data: bytes | None = field(default=None, repr=False)
    blob: bytes | None = field(default=None, repr=False)
    problems: tuple[str, ...] = ()
    is_by_default: bool = False


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A removal that was asked for and may not be finished."""

    stored: StoredTorrent
    with_data: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a start finds.

    Attributes:
        torrents: every torrent of the store that was asked for, oldest first.
        tombstones: removals to finish.
        ended_cleanly: the last process closed the store.
        same_boot: the machine did not restart since the last process wrote.
        problems: damage that belongs to no torrent that could be named.
        withheld: torrents that are stored in a way that this Revaer cannot read: left alone.
    """

    torrents: tuple[StoredTorrent, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    ended_cleanly: bool = True
    same_boot: bool = True
    problems: tuple[str, ...] = ()
    withheld: frozenset[InfoHash] = frozenset()

    @property
    def must_recheck_incomplete(self) -> bool:
        """After a power loss a blob may promise bytes that never reached the disk."""
        return not (self.ended_cleanly or self.same_boot)


class ResumeStore(Protocol):
    """A directory of torrents; each call is atomic under kill -9 when it returns.

    `put_*`, `bury` and `forget` rename into place and return; `sync` makes what was renamed survive
    a power loss too. All calls are thread-safe. `StoreDownError` means that the directory cannot be
    read or written now; nothing was changed then.

    A store that could not be read yet takes nothing: what it holds must never be written over by
    somebody who does not know it. `load` ends that.
    """

    def load(self, only: AbstractSet[InfoHash] | None = None) -> Restored:
        """Read the store: every torrent, or those named."""
        ...

    def known(self) -> frozenset[InfoHash]:
        """The ids of all torrents that are stored and not buried."""
        ...

    def put(self, spec: TorrentSpec, metainfo_data: bytes | None = None) -> None:
        """Store what was asked for; `metainfo_data` is written once, when first known.

        A tombstone of the same torrent is lifted by this.
        """
        ...

    def put_blob(self, info_hash: InfoHash, blob: bytes) -> None:
        """Store the engine's resume data; the one before it is kept as the previous generation.

        Ignored for torrents that are not (or no longer) stored.
        """
        ...

    def bury(self, info_hash: InfoHash, *, with_data: bool) -> None:
        """Write the tombstone: from here on the torrent does not exist for any restart."""
        ...

    def forget(self, info_hash: InfoHash) -> None:
        """Delete a buried torrent's files and then its tombstone."""
        ...

    def check(self) -> None:
        """Look, without writing, whether the directory could be written now.

        Raises:
            StoreDownError: it could not, and why.
        """
        ...

    def reopen(self) -> bool:
        """Use the directory again after a `StoreDownError`, and prove by a write that it works.

        One that was deleted is made anew where its parent directory still is.

        Returns:
            Whether all that is known must be written again: nothing, or less than was acknowledged,
            may be left of what was stored. `load` says what there is.

        Raises:
            StoreDownError: it still cannot be used.
        """
        ...

    def sync(self) -> int:
        """Force everything renamed so far to the disk; says how many files that were."""
        ...

    def close(self, *, clean: bool) -> None:
        """Sync, note whether the end was clean, and unlock."""
        ...
