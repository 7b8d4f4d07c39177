"""Brings the engine to what the store says: at a start, and when a new session actor adopts it."""

from collections.abc import Iterator
from dataclasses import replace

import structlog

from revaer.domain import facts as f
from revaer.domain.errors import (
    InvalidTorrentError,
    PathRefusedError,
    RevaerError,
    SelectionError,
    TorrentExistsError,
)
from revaer.domain.ids import NEVER, InfoHash
from revaer.domain.torrent import (
    Fault,
    FaultCode,
    Metainfo,
    MetainfoSource,
    StopReason,
    TorrentSpec,
)
from revaer.ports.engine import EngineTorrent
from revaer.ports.resume_store import Restored, StoredTorrent, Tombstone
from revaer.runtime.report_desk import ReportDesk
from revaer.runtime.session_parts import SessionParts, fault_of

log = structlog.get_logger(__name__)


def restore(
    parts: SessionParts, reports: ReportDesk, restored: Restored, *, is_adopted: bool
) -> tuple[f.TorrentFact, ...]:
    """Run every stored torrent, finish every buried one.

    One torrent that cannot be run becomes a record with a fault; it never keeps the others back.

    Returns:
        What the board is to show.
    """
    for problem in restored.problems:
        log.warning("resume_store_damage", problem=problem)
    for tombstone in restored.tombstones:
        _finish_removal(parts, tombstone)
    facts: list[f.TorrentFact] = []
    for stored in restored.torrents:
        for problem in stored.problems:
            log.warning("resume_data_damage", info_hash=stored.spec.info_hash, problem=problem)
        parts.roster.put(stored.spec)
        if is_adopted and parts.engine.knows(stored.spec.info_hash):
            facts.extend(_adopt(parts, reports, stored))
        else:
            facts.extend(_run(parts, stored, recheck=restored.must_recheck_incomplete))
    if is_adopted:
        facts.extend(_keep_unstored(parts))
        parts.engine.request_all()
    return tuple(facts)


def _run(parts: SessionParts, stored: StoredTorrent, *, recheck: bool) -> Iterator[f.TorrentFact]:
    spec = stored.spec
    was_complete = spec.completed_at != NEVER
    metainfo: Metainfo | None = None
    fault: Fault | None = None
    try:
        asked, fault = _judged(parts, stored)
        metainfo = parts.engine.add(
            EngineTorrent(
                spec=asked,
                metainfo_data=stored.metainfo_data,
                blob=stored.blob,
                recheck=recheck and not was_complete,
            )
        )
    except (InvalidTorrentError, TorrentExistsError) as error:
        fault = Fault(FaultCode.ENGINE, str(error))
        log.warning("torrent_not_restored", info_hash=spec.info_hash, cause=str(error))
    yield f.TorrentKnown(spec.info_hash, spec, metainfo, f.Origin.RESTORED)
    if fault is not None:
        yield f.FaultRaised(spec.info_hash, fault)


def _judged(parts: SessionParts, stored: StoredTorrent) -> tuple[TorrentSpec, Fault | None]:
    """A refused file list comes back at a standstill, however it came to be stored."""
    if stored.metainfo_data is None:
        return stored.spec, None
    description = parts.engine.describe(MetainfoSource(stored.metainfo_data))
    if description.metainfo is None:
        return stored.spec, None
    try:
        priorities = parts.judge(stored.spec, description.metainfo.files)
    except (PathRefusedError, SelectionError) as error:
        return replace(stored.spec, stop_reason=StopReason.USER), fault_of(error)
    return replace(stored.spec, priorities=priorities), None


def _adopt(
    parts: SessionParts, reports: ReportDesk, stored: StoredTorrent
) -> Iterator[f.TorrentFact]:
    """A torrent that kept running while its session actor was replaced."""
    spec = stored.spec
    info_hash = spec.info_hash
    metainfo = parts.engine.metainfo(info_hash)
    report = parts.fresh(info_hash)
    yield f.TorrentKnown(info_hash, spec, metainfo, f.Origin.ADOPTED)
    if metainfo is not None and stored.metainfo_data is None:
        # the metadata arrived while nobody was there to judge it
        yield from reports.metadata(info_hash, metainfo)
    elif spec.stop_reason is not StopReason.NONE and not report.status.is_paused:
        parts.engine.pause(info_hash)
    elif (
        spec.stop_reason is StopReason.NONE
        and report.status.is_paused
        and not report.status.is_auto_managed
        and not report.status.error
    ):
        parts.engine.resume(info_hash, forced=spec.force_start)
    yield parts.fresh(info_hash)
    if report.status.is_finished:
        reports.finished(info_hash)


def _keep_unstored(parts: SessionParts) -> Iterator[f.TorrentFact]:
    """Store again what runs but is not stored: a lost file must not cost a running torrent."""
    for info_hash in parts.engine.torrents():
        if parts.roster.find(info_hash) is not None or info_hash in parts.roster.removing:
            continue
        record = parts.board.get(info_hash)
        if record is None:
            continue
        log.warning("torrent_stored_again", info_hash=info_hash)
        parts.keep(record.spec)
        parts.saver.request(record.spec.info_hash)
        yield f.TorrentKnown(info_hash, record.spec, record.metainfo, f.Origin.ADOPTED)


def _finish_removal(parts: SessionParts, tombstone: Tombstone) -> None:
    """Carry out a removal that was promised; deleting files needs the engine to know them once."""
    stored = tombstone.stored
    info_hash: InfoHash = stored.spec.info_hash
    try:
        if parts.engine.knows(info_hash) or (tombstone.with_data and _add_to_delete(parts, stored)):
            parts.roster.drop(info_hash, with_data=tombstone.with_data)
            parts.engine.remove(info_hash, with_data=tombstone.with_data)
            return
        parts.store.forget(info_hash)
    except RevaerError as error:
        log.warning("removal_not_finished", info_hash=info_hash, cause=str(error))


def _add_to_delete(parts: SessionParts, stored: StoredTorrent) -> bool:
    """Add a buried torrent at a standstill; False when there is nothing that names its files."""
    if stored.metainfo_data is None and stored.blob is None:
        return False
    spec = replace(stored.spec, stop_reason=StopReason.USER)
    try:
        parts.engine.add(
            EngineTorrent(spec=spec, metainfo_data=stored.metainfo_data, blob=stored.blob)
        )
    except InvalidTorrentError:
        return False
    return True
