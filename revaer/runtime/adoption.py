"""Takes over what an engine runs already, and brings it to what is asked for."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from revaer.domain import facts as f
from revaer.domain.errors import PathRefusedError, SelectionError
from revaer.domain.ids import InfoHash
from revaer.domain.storage import HELD_FAULTS
from revaer.domain.torrent import (
    Activity,
    Fault,
    FileEntry,
    StopReason,
    TorrentSpec,
    TorrentStatus,
)
from revaer.ports.resume_store import StoredTorrent
from revaer.runtime.holds import Hold
from revaer.runtime.reconciling import mend_engine, tell
from revaer.runtime.relocation import remember
from revaer.runtime.report_desk import ReportDesk
from revaer.runtime.session_parts import SessionParts, fault_of

_CHECKING = frozenset({Activity.CHECKING, Activity.CHECKING_RESUME})


def adopt(
    parts: SessionParts,
    reports: ReportDesk,
    stored: StoredTorrent,
    realpath: Callable[[str], str],
) -> Iterator[f.TorrentFact]:
    """A torrent that kept running while its session actor was replaced.

    Args:
        parts: the session's.
        reports: acts on what is found.
        stored: what is asked for.
        realpath: follows symbolic links, without waiting for a disk that does not answer.
    """
    info_hash = stored.spec.info_hash
    metainfo = parts.engine.metainfo(info_hash)
    report = parts.fresh(info_hash)
    status = report.status
    yield f.TorrentKnown(info_hash, stored.spec, metainfo, f.Origin.ADOPTED)
    yield report
    is_held = _is_held_on(parts, info_hash)
    if not (status.error or status.in_upload_mode or is_held):
        yield f.FaultCleared(info_hash)
    follow_sources(parts, stored.spec)
    yield from reports.relocation.catch_up(stored.spec)
    stored = replace(stored, spec=parts.roster.get(info_hash))
    if metainfo is not None and stored.metainfo_data is None:
        # the metadata arrived while nobody was there to judge it, or to store it
        yield from reports.metadata(info_hash, metainfo)
    else:
        spec, fault = stored.spec, None
        if metainfo is not None:
            spec, fault = verdict(parts, spec, metainfo.files, realpath)
        if fault is not None:
            parts.engine.pause(info_hash)
            yield f.FaultRaised(info_hash, fault)
        elif not mend_engine(parts, spec, metainfo):
            _stand_or_run(parts, spec, status, is_held=is_held, is_judged=metainfo is not None)
    if status.is_finished:
        reports.finished(info_hash)


def _stand_or_run(
    parts: SessionParts, spec: TorrentSpec, status: TorrentStatus, *, is_held: bool, is_judged: bool
) -> None:
    """What is asked of one that is being checked, held, or in trouble."""
    if spec.stop_reason is not StopReason.NONE:
        if not status.is_paused and status.activity not in _CHECKING:
            parts.engine.pause(spec.info_hash)
    elif is_held:
        parts.engine.pause(spec.info_hash)
    elif status.is_paused and not status.is_auto_managed and not status.error:
        parts.engine.resume(spec.info_hash, forced=spec.force_start, is_judged=is_judged)


def _is_held_on(parts: SessionParts, info_hash: InfoHash) -> bool:
    """Whether a torrent goes on to wait for its storage, as the board says it did."""
    record = parts.board.get(info_hash)
    fault = None if record is None else record.fault
    if fault is None or fault.code not in HELD_FAULTS:
        return False
    parts.holds.put(info_hash, Hold(fault=fault, since=parts.clock()))
    return True


def keep_unstored(parts: SessionParts, reports: ReportDesk) -> Iterator[f.TorrentFact]:
    """Store again what runs but is not stored: a lost file must not cost a running torrent."""
    for info_hash in parts.engine.torrents():
        if parts.roster.find(info_hash) is not None or info_hash in parts.roster.removing:
            continue
        record = parts.board.get(info_hash)
        if record is None:
            continue
        remember(parts, record.spec)
        reports.want_metainfo(info_hash)
        parts.saver.request(info_hash)
        tell(parts, info_hash, "it runs, and its files in the resume store were gone")
        yield f.TorrentKnown(info_hash, record.spec, record.metainfo, f.Origin.ADOPTED)


def verdict(
    parts: SessionParts,
    spec: TorrentSpec,
    files: tuple[FileEntry, ...],
    realpath: Callable[[str], str],
) -> tuple[TorrentSpec, Fault | None]:
    """Judge a file list that nobody has judged in this generation; a choice of files is kept."""
    try:
        priorities = parts.judge(spec, files, realpath=realpath)
    except (PathRefusedError, SelectionError) as error:
        return spec, fault_of(error)
    if priorities != spec.priorities:
        spec = replace(spec, priorities=priorities)
        remember(parts, spec)
    return spec, None


def follow_sources(parts: SessionParts, spec: TorrentSpec) -> None:
    """Trackers and web seeds that were changed: the blob may be older than the change."""
    engine = parts.engine
    if spec.trackers is not None:
        known = {(each.url, each.tier) for each in engine.trackers(spec.info_hash)}
        if known != set(spec.trackers):
            engine.set_trackers(spec.info_hash, spec.trackers)
    seeds = spec.web_seeds
    if seeds is not None and set(engine.web_seeds(spec.info_hash)) != set(seeds):
        engine.set_web_seeds(spec.info_hash, seeds)
