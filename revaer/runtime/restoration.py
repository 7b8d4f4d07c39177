"""Brings the engine to what the store says: at a start, and when a new session actor adopts it."""

from collections.abc import Iterator
from dataclasses import replace

import structlog

from revaer.domain import facts as f
from revaer.domain.errors import (
    InvalidInputError,
    PathRefusedError,
    RevaerError,
    SelectionError,
    StoreDownError,
    TorrentExistsError,
)
from revaer.domain.ids import NEVER
from revaer.domain.torrent import (
    Activity,
    Fault,
    FaultCode,
    FileEntry,
    MetainfoSource,
    StopReason,
    TorrentSpec,
)
from revaer.ports.engine import EngineTorrent
from revaer.ports.resume_store import Restored, StoredTorrent, Tombstone
from revaer.runtime.report_desk import ReportDesk
from revaer.runtime.session_parts import SessionParts, fault_of

log = structlog.get_logger(__name__)

_CHECKING = frozenset({Activity.CHECKING, Activity.CHECKING_RESUME})


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
        info_hash = stored.spec.info_hash
        for problem in stored.problems:
            log.warning("resume_data_damage", info_hash=info_hash, problem=problem)
        parts.roster.put(stored.spec)
        try:
            if is_adopted and parts.engine.knows(info_hash):
                facts.extend(_adopt(parts, reports, stored))
            else:
                must_recheck = restored.must_recheck_incomplete
                facts.extend(_run(parts, reports, stored, recheck=must_recheck))
        except (InvalidInputError, TorrentExistsError, StoreDownError) as error:
            log.warning("torrent_not_restored", info_hash=info_hash, cause=str(error))
            facts += (
                f.TorrentKnown(info_hash, stored.spec, None, f.Origin.RESTORED),
                f.FaultRaised(info_hash, Fault(FaultCode.ENGINE, str(error))),
            )
    if is_adopted:
        facts.extend(_keep_unstored(parts))
        parts.engine.request_all()
    facts.extend(ghosts(parts))
    return tuple(facts)


def ghosts(parts: SessionParts) -> Iterator[f.TorrentFact]:
    """Have the board forget what was removed while it, or the session, was away."""
    for record in parts.board.records():
        if parts.roster.find(record.info_hash) is None:
            with_data = parts.roster.removing.get(record.info_hash, False)
            yield f.TorrentForgotten(record.info_hash, with_data)


def _run(
    parts: SessionParts, reports: ReportDesk, stored: StoredTorrent, *, recheck: bool
) -> Iterator[f.TorrentFact]:
    """Add a torrent, at a standstill as long as its file list is refused or not known yet."""
    info_hash = stored.spec.info_hash
    spec, fault, files = _judged(parts, stored)
    # Resume data may carry a file list that nobody has judged: then it waits, too.
    is_unjudged = stored.metainfo_data is None and stored.blob is not None
    stands = spec if fault is None and not is_unjudged else _standing(spec)
    if fault is not None:
        # A file of no bytes is made as soon as it is wanted, also at a standstill.
        stands = replace(stands, priorities=(0,) * files)
    metainfo = parts.engine.add(
        EngineTorrent(
            spec=stands,
            metainfo_data=stored.metainfo_data,
            blob=stored.blob,
            recheck=recheck and spec.completed_at == NEVER,
        )
    )
    yield f.TorrentKnown(info_hash, spec, metainfo, f.Origin.RESTORED)
    yield f.FaultCleared(info_hash)  # what a dead engine said of it is out of date
    if fault is not None:
        yield f.FaultRaised(info_hash, fault)
    elif is_unjudged and metainfo is not None:
        yield from reports.metadata(info_hash, metainfo)
    elif is_unjudged and spec.stop_reason is StopReason.NONE:
        parts.engine.resume(info_hash, forced=spec.force_start, is_judged=False)


def _standing(spec: TorrentSpec) -> TorrentSpec:
    return replace(spec, stop_reason=StopReason.USER)


def _judged(parts: SessionParts, stored: StoredTorrent) -> tuple[TorrentSpec, Fault | None, int]:
    """Judge a stored file list again, however it came to be stored; says how long it is, too."""
    if stored.metainfo_data is None:
        return stored.spec, None, 0
    description = parts.engine.describe(MetainfoSource(stored.metainfo_data))
    if description.metainfo is None:
        return stored.spec, None, 0
    files = description.metainfo.files
    return *_verdict(parts, stored.spec, files), len(files)


def _verdict(
    parts: SessionParts, spec: TorrentSpec, files: tuple[FileEntry, ...]
) -> tuple[TorrentSpec, Fault | None]:
    try:
        priorities = parts.judge(spec, files)
    except (PathRefusedError, SelectionError) as error:
        return spec, fault_of(error)
    if priorities != spec.priorities:
        spec = replace(spec, priorities=priorities)
        parts.keep(spec)
    return spec, None


def _adopt(
    parts: SessionParts, reports: ReportDesk, stored: StoredTorrent
) -> Iterator[f.TorrentFact]:
    """A torrent that kept running while its session actor was replaced."""
    info_hash = stored.spec.info_hash
    metainfo = parts.engine.metainfo(info_hash)
    report = parts.fresh(info_hash)
    status = report.status
    yield f.TorrentKnown(info_hash, stored.spec, metainfo, f.Origin.ADOPTED)
    yield report
    if not (status.error or status.in_upload_mode):
        yield f.FaultCleared(info_hash)
    if metainfo is not None and stored.metainfo_data is None:
        # the metadata arrived while nobody was there to judge it, or to store it
        yield from reports.metadata(info_hash, metainfo)
    else:
        spec, fault = stored.spec, None
        if metainfo is not None:
            spec, fault = _verdict(parts, spec, metainfo.files)
        if fault is not None:
            parts.engine.pause(info_hash)
            yield f.FaultRaised(info_hash, fault)
        elif spec.stop_reason is not StopReason.NONE:
            if not status.is_paused and status.activity not in _CHECKING:
                parts.engine.pause(info_hash)
        elif status.is_paused and not status.is_auto_managed and not status.error:
            parts.engine.resume(info_hash, forced=spec.force_start, is_judged=metainfo is not None)
    if status.is_finished:
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
        try:
            parts.keep(record.spec)
        except StoreDownError as error:
            parts.saver.trouble = str(error)
            parts.roster.put(record.spec)
        parts.saver.request(record.spec.info_hash)
        yield f.TorrentKnown(info_hash, record.spec, record.metainfo, f.Origin.ADOPTED)


def _finish_removal(parts: SessionParts, tombstone: Tombstone) -> None:
    """Carry out a removal that was promised; deleting files needs the engine to know them once."""
    stored = tombstone.stored
    info_hash = stored.spec.info_hash
    try:
        if parts.engine.knows(info_hash) or (tombstone.with_data and _add_to_delete(parts, stored)):
            with_data = tombstone.with_data and parts.may_delete(stored.spec)
            parts.roster.drop(info_hash, with_data=with_data)
            parts.engine.remove(info_hash, with_data=with_data)
            return
        parts.store.forget(info_hash)
    except RevaerError as error:
        log.warning("removal_not_finished", info_hash=info_hash, cause=str(error))


def _add_to_delete(parts: SessionParts, stored: StoredTorrent) -> bool:
    """Add a buried torrent at a standstill; False when there is nothing that names its files."""
    if stored.metainfo_data is None and stored.blob is None:
        return False
    try:
        parts.engine.add(
            EngineTorrent(
                spec=_standing(stored.spec),
                metainfo_data=stored.metainfo_data,
                blob=stored.blob,
            )
        )
    except InvalidInputError:
        return False
    return True
