"""Brings the engine to what the store says: at a start, and when a new session actor adopts it."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace

from revaer.domain import facts as f
from revaer.domain.errors import (
    InvalidInputError,
    RevaerError,
    StoreDownError,
    TorrentExistsError,
)
from revaer.domain.ids import NEVER, InfoHash
from revaer.domain.queue_order import queue_key
from revaer.domain.torrent import (
    Fault,
    FaultCode,
    FileEntry,
    Metainfo,
    MetainfoSource,
    StopReason,
    TorrentSpec,
)
from revaer.ports.engine import Added, EngineTorrent
from revaer.ports.logs import logger
from revaer.ports.resume_store import Restored, StoredTorrent, Tombstone
from revaer.ports.torrents import CatalogEntry
from revaer.runtime.adoption import adopt, follow_sources, keep_unstored, verdict
from revaer.runtime.holds import Hold
from revaer.runtime.reconciling import (
    compare_with_catalog,
    filled_in,
    rebuilt,
    tell,
)
from revaer.runtime.relocation import Settled, remember
from revaer.runtime.report_desk import ReportDesk
from revaer.runtime.session_parts import SessionParts, wanted_files
from revaer.runtime.start_look import StartLook

log = logger(__name__)

ADDED_AT_ONCE = 500
"""The engine's network thread is asked once for so many: a tenth of the cost of asking for each."""

_BringIn = Generator[f.TorrentFact | EngineTorrent, Metainfo | None, None]
"""Brings one torrent in: says facts, and asks once at most for a torrent to be added, which it is
answered with the metadata or has the refusal raised."""

_WAITING = Fault(
    FaultCode.ENGINE,
    "the resume store cannot be read, see its health; the torrent goes on when it can",
)


def restore(
    parts: SessionParts,
    reports: ReportDesk,
    restored: Restored,
    *,
    is_adopted: bool,
    catalog: Mapping[InfoHash, CatalogEntry] | None,
) -> tuple[f.TorrentFact, ...]:
    """Run every stored torrent, finish every buried one, rebuild those that only the catalog knows.

    One torrent that cannot be run becomes a record with a fault; it never keeps the others back.
    Whatever was damaged, or differs, is mended and told of.

    Args:
        parts: the session's.
        reports: acts on what is found.
        restored: what the store says.
        is_adopted: the engine may run torrents already.
        catalog: what another record says; None while it is away, when it may remember anything.

    Returns:
        What the board is to show.
    """
    for problem in restored.problems:
        log.warning("resume_store_damage", problem=problem)
    for tombstone in restored.tombstones:
        is_remembered = catalog is None or tombstone.stored.spec.info_hash in catalog
        _finish_removal(parts, reports, tombstone, is_remembered=is_remembered)
    catalog = catalog or {}
    facts: list[f.TorrentFact] = []
    look = StartLook(parts.files, parts.clock)
    must_recheck = restored.must_recheck_incomplete
    torrents = (*restored.torrents, *rebuilt(restored, catalog.values()))
    in_turn = sorted(torrents, key=lambda each: queue_key(each.spec))
    for start in range(0, len(in_turn), ADDED_AT_ONCE):
        brought: list[tuple[StoredTorrent, _BringIn]] = []
        for damaged in in_turn[start : start + ADDED_AT_ONCE]:
            stored = filled_in(damaged, catalog.get(damaged.spec.info_hash))
            if is_adopted and parts.engine.knows(stored.spec.info_hash):
                run = _bring_in(parts, stored, adopt(parts, reports, stored, look.realpath))
            else:
                added = _run(parts, reports, look, stored, recheck=must_recheck)
                run = _bring_in(parts, stored, added)
            brought.append((stored, run))
        for (stored, _), shown in zip(brought, _carry_out(parts, brought), strict=True):
            facts.extend(shown)
            if stored.problems:
                _mend_store(parts, reports, stored)
            else:
                compare_with_catalog(parts, stored.spec, catalog.get(stored.spec.info_hash))
    look.end()
    if is_adopted:
        facts.extend(keep_unstored(parts, reports))
        parts.engine.request_all()
    facts.extend(ghosts(parts))
    return tuple(facts)


def run_without_store(
    parts: SessionParts,
    reports: ReportDesk,
    *,
    is_adopted: bool,
    catalog: Mapping[InfoHash, CatalogEntry] | None,
) -> tuple[f.TorrentFact, ...]:
    """Go on with what the board and the catalog know; the store says what holds when it is back.

    Nothing can be stored meanwhile, so nothing that was asked for can change.
    """
    catalog = catalog or {}
    facts: list[f.TorrentFact] = []
    for record in parts.board.records():
        info_hash = record.info_hash
        parts.roster.put(record.spec)
        if info_hash in catalog and not parts.engine.knows(info_hash):
            continue
        facts.append(f.TorrentKnown(info_hash, record.spec, record.metainfo, f.Origin.ADOPTED))
        if is_adopted and parts.engine.knows(info_hash):
            facts.append(parts.fresh(info_hash))
        else:
            facts.append(f.FaultRaised(info_hash, _WAITING))
    look = StartLook(parts.files, parts.clock)
    for info_hash, entry in catalog.items():
        if not parts.engine.knows(info_hash):
            stored = StoredTorrent(spec=entry.spec, metainfo_data=entry.metainfo_data)
            run = _run(parts, reports, look, stored, recheck=False)
            for shown in _carry_out(parts, [(stored, _bring_in(parts, stored, run))]):
                facts.extend(shown)
    look.end()
    if is_adopted:
        parts.engine.request_all()
    return tuple(facts)


def _carry_out(
    parts: SessionParts, brought: Sequence[tuple[StoredTorrent, _BringIn]]
) -> Iterator[list[f.TorrentFact]]:
    """Have the engine run what these ask for, all of it in one go, and say what follows for each.

    Each of them asks for one torrent at most; what follows waits until the others were asked for.
    """
    shown: list[list[f.TorrentFact]] = []
    waiting: list[tuple[int, EngineTorrent]] = []
    for index, (_, run) in enumerate(brought):
        shown.append([])
        for step in run:
            if isinstance(step, EngineTorrent):
                waiting.append((index, step))
                break
            shown[index].append(step)
    answers = dict(
        zip(
            (index for index, _ in waiting),
            parts.engine.add_all([torrent for _, torrent in waiting]),
            strict=True,
        )
    )
    for index, (_, run) in enumerate(brought):
        if index in answers:
            shown[index].extend(_go_on(run, answers[index]))
        yield shown[index]


def _go_on(run: _BringIn, answer: Added) -> Iterator[f.TorrentFact]:
    """Tell a run what became of its torrent; what it says after that are facts."""
    try:
        first = run.throw(answer) if isinstance(answer, RevaerError) else run.send(answer)
    except StopIteration:
        return
    for step in (first, *run):
        if not isinstance(step, EngineTorrent):
            yield step


def _bring_in(
    parts: SessionParts, stored: StoredTorrent, run: _BringIn | Iterator[f.TorrentFact]
) -> _BringIn:
    """Run a torrent, or say why it cannot be."""
    info_hash = stored.spec.info_hash
    parts.roster.put(stored.spec)
    try:
        yield from run
    except (InvalidInputError, TorrentExistsError, StoreDownError) as error:
        log.warning("torrent_not_restored", info_hash=info_hash, cause=str(error))
        yield f.TorrentKnown(info_hash, stored.spec, None, f.Origin.RESTORED)
        yield f.FaultRaised(info_hash, Fault(FaultCode.ENGINE, str(error)))


def _mend_store(parts: SessionParts, reports: ReportDesk, stored: StoredTorrent) -> None:
    """Have everything of a damaged torrent stored again, and tell of it."""
    info_hash = stored.spec.info_hash
    spec = parts.roster.find(info_hash)
    if spec is not None:
        remember(parts, spec, stored.metainfo_data)
    if parts.engine.knows(info_hash):
        if stored.metainfo_data is None:
            reports.want_metainfo(info_hash)
        parts.saver.queue((info_hash,))
    for problem in stored.problems:
        log.warning("resume_data_damage", info_hash=info_hash, problem=problem)
    tell(parts, info_hash, "; ".join(stored.problems))


def ghosts(parts: SessionParts) -> Iterator[f.TorrentFact]:
    """Have the board forget what was removed while it, or the session, was away."""
    for record in parts.board.records():
        if parts.roster.find(record.info_hash) is None:
            with_data = parts.roster.removing.get(record.info_hash, False)
            yield f.TorrentForgotten(record.info_hash, with_data)


def _run(
    parts: SessionParts,
    reports: ReportDesk,
    look: StartLook,
    stored: StoredTorrent,
    *,
    recheck: bool,
) -> _BringIn:
    """Add a torrent, at a standstill where its file list or its storage is not as it should be."""
    info_hash = stored.spec.info_hash
    settled = _settled(parts, reports, stored)
    stored = stored if settled.spec is stored.spec else replace(stored, spec=settled.spec)
    spec, fault, described = _judged(parts, stored, look.realpath)
    if fault is not None:
        spec = _called_off(parts, spec, settled)
    # Resume data may carry a file list that nobody has judged: then it waits, too.
    is_unjudged = stored.metainfo_data is None and stored.blob is not None
    hold: Hold | None = None
    if fault is None and settled.fault is not None:
        hold = Hold(fault=settled.fault, must_check=True, since=parts.clock())
    elif fault is None and not is_unjudged:
        chosen = _chosen(_with_renames(spec, settled), described)
        has_blob = stored.blob is not None
        hold = look.hold_for(spec, chosen, has_blob=has_blob, recheck=recheck)
    stands = spec if fault is None and hold is None and not is_unjudged else _standing(spec)
    if fault is not None:
        stands = _wanting_nothing(stands, described)
    metainfo = yield EngineTorrent(
        spec=_with_renames(stands, settled),
        metainfo_data=stored.metainfo_data,
        metainfo=described,
        blob=stored.blob,
        recheck=recheck and spec.completed_at == NEVER,
        is_absent=hold is not None,
    )
    follow_sources(parts, spec)
    yield f.TorrentKnown(info_hash, spec, metainfo, f.Origin.RESTORED)
    yield f.FaultCleared(info_hash)  # what a dead engine said of it is out of date
    if hold is not None:
        parts.holds.put(info_hash, hold)
        fault = None if hold.is_doubt else hold.fault
    else:
        yield from reports.relocation.go_on(spec)
    if fault is not None:
        yield f.FaultRaised(info_hash, fault)
    elif hold is not None:
        pass
    elif is_unjudged and metainfo is not None:
        yield from reports.metadata(info_hash, metainfo)
    elif is_unjudged and spec.stop_reason is StopReason.NONE:
        parts.engine.resume(info_hash, forced=spec.force_start, is_judged=False)


def _settled(parts: SessionParts, reports: ReportDesk, stored: StoredTorrent) -> Settled:
    """See what an interrupted move or rename left behind, and keep what holds from now on."""
    spec = stored.spec
    settled = reports.relocation.settle(spec, _metainfo_of(parts, stored))
    if settled.spec != spec:
        remember(parts, settled.spec)
    if settled.trouble:
        reports.relocation.tell(settled.spec, "relocation_interrupted", settled.trouble)
    return settled


def _called_off(parts: SessionParts, spec: TorrentSpec, settled: Settled) -> TorrentSpec:
    """Leave the files where they lie: those of a refused list may be somebody else's."""
    called_off = settled.left_alone(spec)
    if called_off != spec:
        remember(parts, called_off)
    return called_off


def _metainfo_of(parts: SessionParts, stored: StoredTorrent) -> Metainfo | None:
    if stored.metainfo_data is None or not (stored.spec.moving_to or stored.spec.renaming):
        return None  # read only where somebody needs it
    return parts.engine.describe(MetainfoSource(stored.metainfo_data)).metainfo


def _with_renames(spec: TorrentSpec, settled: Settled) -> TorrentSpec:
    """What is asked for, with the files where they lie; nearly all lie where they were asked to."""
    return spec if spec.renames == settled.lying else replace(spec, renames=settled.lying)


def _chosen(spec: TorrentSpec, metainfo: Metainfo | None) -> Sequence[FileEntry]:
    return () if metainfo is None else wanted_files(spec, metainfo)


def _wanting_nothing(spec: TorrentSpec, metainfo: Metainfo | None) -> TorrentSpec:
    """A file of no bytes is made as soon as it is wanted, also at a standstill."""
    return replace(spec, priorities=(0,) * (0 if metainfo is None else len(metainfo.files)))


def _standing(spec: TorrentSpec) -> TorrentSpec:
    is_standing = spec.stop_reason is StopReason.USER
    return spec if is_standing else replace(spec, stop_reason=StopReason.USER)


def _judged(
    parts: SessionParts, stored: StoredTorrent, realpath: Callable[[str], str]
) -> tuple[TorrentSpec, Fault | None, Metainfo | None]:
    """Judge a stored file list again, however it came to be stored; answers with the list, too."""
    if stored.metainfo_data is None:
        return stored.spec, None, None
    description = parts.engine.describe(MetainfoSource(stored.metainfo_data))
    if description.metainfo is None:
        return stored.spec, None, None
    spec = stored.spec
    if stored.is_by_default:
        spec = replace(
            spec,
            name=description.name,
            magnet_uri=description.magnet_uri,
            infohash_v1=description.infohash_v1,
            infohash_v2=description.infohash_v2,
            added_at=parts.now(),
        )
        remember(parts, spec)
    metainfo = description.metainfo
    return *verdict(parts, spec, metainfo.files, realpath), metainfo


def _finish_removal(
    parts: SessionParts, reports: ReportDesk, tombstone: Tombstone, *, is_remembered: bool
) -> None:
    """Carry out a removal that was promised; deleting files needs the engine to know them once.

    The tombstone of one that the catalog (may) remember stays: else that would bring it back.
    """
    stored = tombstone.stored
    info_hash = stored.spec.info_hash
    try:
        settled = reports.relocation.settle(stored.spec, _metainfo_of(parts, stored))
        stored = replace(stored, spec=settled.left_alone(settled.spec))
        if parts.engine.knows(info_hash) or (tombstone.with_data and _add_to_delete(parts, stored)):
            with_data = tombstone.with_data and parts.may_delete(stored.spec)
            parts.roster.drop(info_hash, with_data=with_data)
            parts.engine.remove(info_hash, with_data=with_data)
            return
        if not is_remembered:
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
