"""Acts on what the engine reports: metadata, completion, resume data, removals."""

from dataclasses import replace

import structlog

from revaer.domain import facts as f
from revaer.domain.errors import PathRefusedError, RevaerError, SelectionError, StoreDownError
from revaer.domain.ids import NEVER, InfoHash
from revaer.domain.torrent import Activity, Fault, FaultCode, Metainfo, StopReason
from revaer.runtime.session_parts import SessionParts, fault_of, wanted_files

log = structlog.get_logger(__name__)

NAMED_FILES = 3


class ReportDesk:
    """One method per report that needs an answer; each returns what the board is to show."""

    def __init__(self, parts: SessionParts) -> None:
        """Share the session's parts."""
        self._parts = parts
        self._awaiting_flush: set[InfoHash] = set()

    def take(self, fact: f.Fact) -> tuple[f.TorrentFact, ...]:
        """Act on one report.

        Reports about torrents that are gone are normal (they were on their way) and ignored.
        """
        shown: tuple[f.TorrentFact, ...] = ()
        match fact:
            case f.TorrentGone():
                self._gone(fact)
            case f.ResumeDataReady():
                self._store(fact)
            case f.ResumeDataFailed():
                self._parts.saver.give_up(fact)
            case f.AlertsDropped():
                shown = self.catch_up()
            case f.FaultRaised() | f.FaultCleared():
                shown = (fact,)
            case (
                f.MetadataReceived(info_hash)
                | f.DownloadFinished(info_hash)
                | f.CacheFlushed(info_hash)
                | f.TorrentChecked(info_hash)
                | f.ResumeRejected(info_hash)
            ) if self._parts.roster.find(info_hash) is not None:
                shown = self._about_a_torrent(fact)
            case _:
                pass
        return shown

    def _about_a_torrent(self, fact: f.Fact) -> tuple[f.TorrentFact, ...]:
        match fact:
            case f.MetadataReceived(info_hash, metainfo):
                return self.metadata(info_hash, metainfo)
            case f.CacheFlushed(info_hash):
                return self._flushed(info_hash)
            case f.DownloadFinished(info_hash):
                self.finished(info_hash)
            case f.TorrentChecked(info_hash):
                self._checked(info_hash)
            case f.ResumeRejected(info_hash, reason):
                log.warning("resume_data_rejected", info_hash=info_hash, reason=reason)
            case _:
                pass
        return ()

    def metadata(self, info_hash: InfoHash, metainfo: Metainfo) -> tuple[f.TorrentFact, ...]:
        """Judge a magnet's file names, choose its files, and let it go on."""
        parts = self._parts
        spec = parts.roster.get(info_hash)
        try:
            priorities = parts.judge(spec, metainfo.files)
        except (PathRefusedError, SelectionError) as error:
            parts.engine.pause(info_hash)
            return (
                f.MetadataReceived(info_hash, metainfo),
                f.FaultRaised(info_hash, fault_of(error)),
            )
        spec = replace(
            spec,
            name=metainfo.name,
            priorities=priorities,
            infohash_v1=metainfo.infohash_v1 or spec.infohash_v1,
            infohash_v2=metainfo.infohash_v2 or spec.infohash_v2,
        )
        parts.keep(spec)
        if priorities:
            parts.engine.prioritize(info_hash, priorities)
        if spec.stop_reason is StopReason.NONE:
            parts.engine.resume(info_hash, forced=spec.force_start)
        parts.saver.request(info_hash)
        return (f.MetadataReceived(info_hash, metainfo), f.SpecChanged(info_hash, spec))

    def finished(self, info_hash: InfoHash) -> None:
        """The engine has every wanted piece: let it write them before anybody is told."""
        self._awaiting_flush.add(info_hash)
        self._parts.engine.flush(info_hash)

    def catch_up(self) -> tuple[f.TorrentFact, ...]:
        """Reports were lost: ask again for all that may have been among them."""
        parts = self._parts
        log.warning("engine_reports_dropped", torrents=len(parts.roster))
        parts.saver.ask_again()
        parts.engine.request_all()
        facts: list[f.TorrentFact] = []
        for spec in tuple(parts.roster):
            record = parts.board.get(spec.info_hash)
            metainfo = parts.engine.metainfo(spec.info_hash)
            if metainfo is not None and record is not None and record.metainfo is None:
                facts.extend(self.metadata(spec.info_hash, metainfo))
            if record is not None and not record.is_verified:
                report = parts.fresh(spec.info_hash)
                facts.append(report)
                if report.status.is_finished:
                    self.finished(spec.info_hash)
        for info_hash in tuple(parts.roster.removing):
            if not parts.engine.knows(info_hash):
                self._gone(f.TorrentGone(info_hash))
        return tuple(facts)

    def _checked(self, info_hash: InfoHash) -> None:
        """Keep what a full check found; the quick one at every start found nothing new."""
        record = self._parts.board.get(info_hash)
        if record is not None and record.status.activity is Activity.CHECKING:
            self._parts.saver.request(info_hash)

    def _flushed(self, info_hash: InfoHash) -> tuple[f.TorrentFact, ...]:
        if info_hash not in self._awaiting_flush:
            return ()
        self._awaiting_flush.discard(info_hash)
        parts = self._parts
        spec = parts.roster.get(info_hash)
        report = parts.fresh(info_hash)
        record = parts.board.get(info_hash)
        metainfo = record.metainfo if record is not None else None
        if metainfo is None or not report.status.is_finished:
            return (report,)
        wanted = wanted_files(spec, metainfo)
        if not wanted:
            return (report,)
        missing = parts.files.missing(spec.save_path, wanted)
        if missing:
            return (report, f.FaultRaised(info_hash, _missing(spec.save_path, missing)))
        at = spec.completed_at
        if at == NEVER:
            at = parts.now()
            parts.keep(replace(spec, completed_at=at))
            parts.saver.request(info_hash)
        return (report, f.PayloadVerified(info_hash, at))

    def _store(self, answer: f.ResumeDataReady) -> None:
        parts = self._parts
        spec = parts.roster.find(answer.info_hash)
        if spec is not None and answer.metainfo_data:
            try:
                parts.store.put(spec, answer.metainfo_data)
            except StoreDownError as error:
                parts.saver.trouble = str(error)
        parts.saver.store(answer)

    def _gone(self, fact: f.TorrentGone) -> None:
        parts = self._parts
        with_data = parts.roster.removing.pop(fact.info_hash, None)
        if with_data is None:
            return
        if fact.reason:
            log.warning(
                "payload_not_deleted",
                info_hash=fact.info_hash,
                reason=fact.reason,
                remedy="delete the files by hand; the torrent itself is gone",
            )
        try:
            parts.store.forget(fact.info_hash)
        except RevaerError as error:
            parts.saver.trouble = str(error)


def _missing(save_path: str, missing: tuple[str, ...]) -> Fault:
    named = ", ".join(missing[:NAMED_FILES])
    more = f" and {len(missing) - NAMED_FILES} more" if len(missing) > NAMED_FILES else ""
    return Fault(
        FaultCode.MISSING_FILES,
        f"{named}{more} not found in full below {save_path}; put the files back and recheck, or "
        "recheck to download them again",
    )
