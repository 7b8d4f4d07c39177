"""Mends what the resume store, the engine and the catalog say differently of a torrent."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from revaer.domain.errors import RevaerError, UnavailableError
from revaer.domain.events import SelectionReconciled
from revaer.domain.ids import InfoHash
from revaer.domain.reconciliation import Aspect, Difference, Other, differences, reason_of
from revaer.domain.torrent import (
    LIBTORRENT_DEFAULT_PRIORITY,
    Metainfo,
    StopReason,
    TorrentSpec,
)
from revaer.ports.logs import logger
from revaer.ports.resume_store import Restored, StoredTorrent
from revaer.ports.torrents import CatalogEntry, TorrentCatalog
from revaer.runtime.session_parts import SessionParts

log = logger(__name__)

REBUILT = "its files in the resume store are gone: it was rebuilt from the catalog"


def tell(parts: SessionParts, info_hash: InfoHash, reason: str) -> None:
    """Say what was mended: in the log, and to whoever listens."""
    log.warning("torrent_reconciled", info_hash=info_hash, reason=reason)
    parts.publish(SelectionReconciled(info_hash, reason))


def read_catalog(
    catalog: TorrentCatalog | None, only: AbstractSet[InfoHash] | None
) -> dict[InfoHash, CatalogEntry] | None:
    """What the catalog says: nothing where there is none, None while nobody can tell."""
    if catalog is None:
        return {}
    try:
        entries = catalog.load()
    except UnavailableError as error:
        log.warning("catalog_not_read", cause=str(error))
        return None
    return {
        entry.spec.info_hash: entry
        for entry in entries
        if only is None or entry.spec.info_hash in only
    }


def filled_in(stored: StoredTorrent, entry: CatalogEntry | None) -> StoredTorrent:
    """Let the catalog say what the store has lost of a torrent."""
    if entry is None:
        return stored
    spec = entry.spec if stored.is_by_default else stored.spec
    if stored.metainfo_data is None and stored.blob is None:
        stored = replace(stored, metainfo_data=entry.metainfo_data)
    return replace(stored, spec=spec, is_by_default=False)


def rebuilt(restored: Restored, catalog: Iterable[CatalogEntry]) -> Iterator[StoredTorrent]:
    """Torrents that only the catalog knows, and that nobody removed."""
    known = {stored.spec.info_hash for stored in restored.torrents}
    known |= {tombstone.stored.spec.info_hash for tombstone in restored.tombstones}
    known |= restored.withheld
    for entry in catalog:
        if entry.spec.info_hash not in known:
            yield StoredTorrent(
                spec=entry.spec, metainfo_data=entry.metainfo_data, problems=(REBUILT,)
            )


def compare_with_catalog(
    parts: SessionParts, spec: TorrentSpec, entry: CatalogEntry | None
) -> None:
    """The catalog follows what the board is told of the torrent next; say that it was behind."""
    found = differences(spec, None, None if entry is None else entry.spec)
    if found:
        tell(parts, spec.info_hash, reason_of(found))


def mend_engine(parts: SessionParts, spec: TorrentSpec, metainfo: Metainfo | None) -> bool:
    """Bring a running torrent to what is stored.

    Returns:
        Whether the engine could say if the torrent is meant to stand still; else that is open.
    """
    info_hash = spec.info_hash
    live = parts.engine.live(info_hash)
    record = parts.board.get(info_hash)
    if record is not None and record.fault is not None:
        live = replace(live, is_settled=False)  # stopped because of that, not because it was asked
    found = differences(spec, live, None, () if metainfo is None else metainfo.files)
    mended = [each for each in found if _mend(parts, spec, metainfo, each)]
    if mended:
        parts.saver.queue((info_hash,))
        tell(parts, info_hash, reason_of(mended))
    return live.is_settled


def _mend(
    parts: SessionParts, spec: TorrentSpec, metainfo: Metainfo | None, found: Difference
) -> bool:
    engine, info_hash = parts.engine, spec.info_hash
    try:
        match found.aspect:
            case Aspect.PRIORITIES if metainfo is not None:
                engine.prioritize(info_hash, _full(spec.priorities, len(metainfo.files)))
            case Aspect.SEQUENTIAL:
                engine.set_sequential(info_hash, sequential=spec.sequential)
            case Aspect.FIRST_LAST_PIECES:
                engine.set_first_last_pieces(info_hash, enabled=spec.first_last_pieces)
            case Aspect.LIMITS:
                engine.set_limits(info_hash, download=spec.download_limit, upload=spec.upload_limit)
            case Aspect.STOPPED if spec.stop_reason is not StopReason.NONE:
                engine.pause(info_hash)
            case Aspect.STOPPED | Aspect.FORCE_START:
                engine.resume(info_hash, forced=spec.force_start, is_judged=metainfo is not None)
            case Aspect.SAVE_PATH:
                engine.move(info_hash, spec.save_path)
            case _:
                return False
    except RevaerError as error:
        log.warning("difference_not_mended", info_hash=info_hash, cause=str(error))
        return False
    return found.other is Other.ENGINE


def _full(priorities: Sequence[int], count: int) -> tuple[int, ...]:
    return (*priorities, *(LIBTORRENT_DEFAULT_PRIORITY,) * (count - len(priorities)))
