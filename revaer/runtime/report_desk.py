"""Acts on what the engine reports: metadata, completion, resume data, removals."""

from collections.abc import Iterator
from dataclasses import replace

from revaer.domain import facts as f
from revaer.domain.errors import (
    ConflictError,
    PathRefusedError,
    RevaerError,
    SelectionError,
    StoreDownError,
    TorrentNotFoundError,
)
from revaer.domain.ids import NEVER, InfoHash
from revaer.domain.storage import missing_fault
from revaer.domain.torrent import Activity, Metainfo, StopReason
from revaer.ports.logs import logger
from revaer.runtime.relocation import Relocation
from revaer.runtime.session_parts import SessionParts, fault_of, wanted_files

log = logger(__name__)


class ReportDesk:
    """One method per report that needs an answer; each returns what the board is to show."""

    def __init__(self, parts: SessionParts) -> None:
        """Share the session's parts."""
        self._parts = parts
        self.relocation = Relocation(parts)
        self._awaiting_flush: set[InfoHash] = set()
        self._metainfo_due: dict[InfoHash, bytes] = {}
        self._metainfo_wanted: set[InfoHash] = set()

    def take(self, fact: f.Fact) -> tuple[f.TorrentFact, ...]:
        """Act on one report.

        Reports about torrents that are gone are normal (they were on their way) and ignored.

        Raises:
            StoreDownError: the report changes what is stored; give it again later.
        """
        shown: tuple[f.TorrentFact, ...] = ()
        match fact:
            case f.TorrentGone():
                self._gone(fact)
            case f.ResumeDataReady():
                self._store(fact)
            case f.ResumeDataFailed():
                self._parts.saver.give_up(fact)
            case f.TorrentExported():
                self._keep_metainfo(fact)
            case f.AlertsDropped():
                shown = self.catch_up()
            case f.FaultRaised() | f.FaultCleared():
                shown = (fact,)
            case f.StorageMoved() | f.StorageMoveFailed() | f.FileRenamed() | f.FileRenameFailed():
                shown = self.relocation.take(fact)
                self._look_where_it_is(fact.info_hash)
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
                return self._checked(info_hash)
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
            name=spec.name if spec.has_given_name else metainfo.name,
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
        if self._parts.engine.knows(info_hash):
            self._awaiting_flush.add(info_hash)
            self._parts.engine.flush(info_hash)

    def _look_where_it_is(self, info_hash: InfoHash) -> None:
        """What was finished while its files were on their way is verified where they are now."""
        spec, record = self._parts.roster.find(info_hash), self._parts.board.get(info_hash)
        if spec is None or record is None or spec.moving_to or spec.renaming:
            return
        if record.status.is_finished and not record.is_verified:
            self.finished(info_hash)

    def catch_up(self) -> tuple[f.TorrentFact, ...]:
        """Reports were lost: ask again for all that may have been among them.

        A removal with data is left alone: only its own report tells that the files are gone.
        """
        parts = self._parts
        log.warning("engine_reports_dropped", torrents=len(parts.roster))
        parts.saver.ask_again()
        parts.engine.request_all()
        facts: list[f.TorrentFact] = []
        for spec in tuple(parts.roster):
            try:
                facts.extend(self._catch_up_with(spec.info_hash))
            except StoreDownError as error:
                parts.saver.trouble = str(error)  # what waits for metadata is looked at again
            except RevaerError as error:
                log.warning("torrent_not_caught_up", info_hash=spec.info_hash, cause=str(error))
        for info_hash, with_data in tuple(parts.roster.removing.items()):
            if not with_data and not parts.engine.knows(info_hash):
                self._gone(f.TorrentGone(info_hash))
        return tuple(facts)

    def _catch_up_with(self, info_hash: InfoHash) -> Iterator[f.TorrentFact]:
        parts = self._parts
        record = parts.board.get(info_hash)
        if record is None or not parts.engine.knows(info_hash):
            return
        yield from self.relocation.catch_up(parts.roster.get(info_hash))
        metainfo = parts.engine.metainfo(info_hash) if record.metainfo is None else None
        if metainfo is not None:
            yield from self.metadata(info_hash, metainfo)
        if not record.is_verified:
            report = parts.fresh(info_hash)
            yield report
            if report.status.is_finished:
                self.finished(info_hash)

    def _checked(self, info_hash: InfoHash) -> tuple[f.TorrentFact, ...]:
        """Say what a check found, and keep it; the quick one at every start found nothing new."""
        parts = self._parts
        record = parts.board.get(info_hash)
        if record is not None and record.status.activity is Activity.CHECKING:
            parts.saver.request(info_hash)
        return (self._files(info_hash),)

    def _files(self, info_hash: InfoHash) -> f.FilesProgressed:
        return f.FilesProgressed(info_hash, self._parts.engine.file_progress(info_hash))

    def _flushed(self, info_hash: InfoHash) -> tuple[f.TorrentFact, ...]:
        """See whether the files are there, and say so; a store that is away is tried again."""
        if info_hash not in self._awaiting_flush:
            return ()
        parts = self._parts
        spec = parts.roster.get(info_hash)
        report = parts.fresh(info_hash)
        if spec.moving_to or spec.renaming or info_hash in parts.holds:
            self._awaiting_flush.discard(info_hash)  # looked at again when the files stand still
            return (report,)
        record = parts.board.get(info_hash)
        metainfo = record.metainfo if record is not None else None
        if metainfo is None or not report.status.is_finished:
            self._awaiting_flush.discard(info_hash)
            return (report,)
        wanted = wanted_files(spec, metainfo)
        files = self._files(info_hash)
        whole = all(files.files_done[entry.index] >= entry.size_bytes for entry in wanted)
        if not wanted or not whole or spec.save_path in parts.silent_places:
            # More was chosen a moment ago: the engine is finished with less than is asked of it.
            # Or the disk does not answer: it is looked at again within a minute.
            self._awaiting_flush.discard(info_hash)
            return (report, files)
        missing = parts.files.missing(spec.save_path, wanted)
        if missing:
            self._awaiting_flush.discard(info_hash)
            fault = missing_fault(spec.save_path, missing)
            return (report, files, f.FaultRaised(info_hash, fault))
        at = spec.completed_at
        if at == NEVER:
            at = parts.now()
            parts.keep(replace(spec, completed_at=at))
            parts.saver.request(info_hash)
        self._awaiting_flush.discard(info_hash)
        return (report, files, f.PayloadVerified(info_hash, at))

    def _store(self, answer: f.ResumeDataReady) -> None:
        """The torrent file before the blob: a blob's file list was judged, or waits to be.

        The engine hands a torrent file out once, so it is kept here until the store takes it.
        """
        info_hash = answer.info_hash
        if answer.metainfo_data:
            self._metainfo_due[info_hash] = answer.metainfo_data
        spec = self._parts.roster.find(info_hash)
        if spec is None:
            self._metainfo_due.pop(info_hash, None)
        elif info_hash in self._metainfo_due:
            try:
                self._parts.store.put(spec, self._metainfo_due[info_hash])
            except StoreDownError as error:
                self._parts.saver.postpone(info_hash, str(error))
                return
            del self._metainfo_due[info_hash]
        self._parts.saver.store(answer)

    def want_metainfo(self, info_hash: InfoHash) -> None:
        """Have the engine hand a torrent file out again, for a store that lost it."""
        try:
            self._parts.engine.export(info_hash)
        except (ConflictError, TorrentNotFoundError):
            return  # a magnet without metadata has none
        self._metainfo_wanted.add(info_hash)

    def _keep_metainfo(self, fact: f.TorrentExported) -> None:
        spec = self._parts.roster.find(fact.info_hash)
        if spec is not None and fact.info_hash in self._metainfo_wanted:
            self._parts.store.put(spec, fact.metainfo_data)
        self._metainfo_wanted.discard(fact.info_hash)

    def _gone(self, fact: f.TorrentGone) -> None:
        parts = self._parts
        if fact.info_hash not in parts.roster.removing:
            return
        if fact.reason:
            log.warning(
                "payload_not_deleted",
                info_hash=fact.info_hash,
                reason=fact.reason,
                remedy="delete the files by hand; the torrent itself is gone",
            )
        parts.forget(fact.info_hash)
        del parts.roster.removing[fact.info_hash]
