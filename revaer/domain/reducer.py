"""The one path of state: `apply(record, facts)` for alerts, adoption, restore and the double."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from itertools import compress
from operator import ne
from typing import Final, assert_never

from revaer.domain import events as ev
from revaer.domain import facts as f
from revaer.domain.ids import NEVER
from revaer.domain.states import derive_state
from revaer.domain.storage import STORAGE_FAULTS
from revaer.domain.torrent import (
    Fault,
    FaultCode,
    Metainfo,
    TorrentRecord,
    TorrentSpec,
    TorrentStatus,
)

STATUS_FIELDS: Final = TorrentStatus._fields[2:]
SPEC_FIELDS: Final = tuple(field.name for field in fields(TorrentSpec))[1:]
RECORD_FIELDS: Final = (
    "metainfo",
    "state",
    "phase",
    "files_done",
    "is_verified",
    "fault",
    "tracker_message",
)

FIELD_BITS: Final[dict[str, int]] = {
    name: 1 << index
    for index, name in enumerate(
        [*RECORD_FIELDS]
        + [f"status.{name}" for name in STATUS_FIELDS]
        + [f"spec.{name}" for name in SPEC_FIELDS]
    )
}
"""One bit per fact that the APIs show; a change mask is their union."""

EVERYTHING: Final = (1 << len(FIELD_BITS)) - 1

_RECORD_BITS: Final = tuple((name, FIELD_BITS[name]) for name in RECORD_FIELDS)
_STATUS_BITS: Final = tuple(FIELD_BITS[f"status.{name}"] for name in STATUS_FIELDS)
_PROGRESS_BITS: Final = (
    FIELD_BITS["status.done_bytes"]
    | FIELD_BITS["status.progress"]
    | FIELD_BITS["status.download_rate"]
    | FIELD_BITS["status.upload_rate"]
)


@dataclass(frozen=True, slots=True)
class Applied:
    """What a batch of facts did to one torrent.

    Attributes:
        record: the new record, or None when the torrent is not part of Revaer (any more). Keep it
            also when the mask is 0: it may carry a newer report of the same content.
        mask: exactly which fields differ from before, as bits of `FIELD_BITS`; `EVERYTHING` for a
            torrent that is new or gone.
        events: what there is to announce, in order.
    """

    record: TorrentRecord | None
    mask: int
    events: tuple[ev.Event, ...]


def fields_of(mask: int) -> tuple[str, ...]:
    """Name the fields of a mask."""
    return tuple(name for name, bit in FIELD_BITS.items() if mask & bit)


def apply(record: TorrentRecord | None, facts: Iterable[f.TorrentFact]) -> Applied:
    """Apply facts about one torrent to its record.

    Facts about a torrent without a record are ignored, except the one that makes it known: late
    reports of a removed torrent are normal.
    """
    draft = _Draft(record)
    for fact in facts:
        draft.take(fact)
    return draft.finish()


class _Draft:
    """A record under change; derived fields and the mask are settled once, when the batch ends."""

    __slots__ = ("_base", "_before", "_events", "_record")

    def __init__(self, record: TorrentRecord | None) -> None:
        self._before = record
        self._base = record  # what the mask compares with; None when the torrent is new
        self._record = record
        self._events: list[ev.Event] = []

    def take(self, fact: f.TorrentFact) -> None:  # noqa: C901, PLR0912 one arm per kind of fact
        if type(fact) is f.StatusReported:  # thousands of these per second
            if self._record is not None:
                self._status(self._record, fact.status)
            return
        match fact:
            case f.TorrentKnown():
                self._know(fact)
                return
            case f.TorrentForgotten(info_hash, with_data):
                if self._record is not None:
                    self._record = self._base = None
                    self._events.append(ev.TorrentRemoved(info_hash, with_data))
                return
            case _:
                pass
        record = self._record
        if record is None:
            return
        match fact:
            case f.SpecChanged(_, spec):
                self._spec(record, spec)
            case f.MetadataReceived(_, metainfo):
                self._metainfo(record, metainfo)
            case f.FilesProgressed(_, files_done):
                self._record = replace(record, files_done=files_done)
            case f.PayloadVerified():
                self._verified(record, fact)
            case f.FaultRaised(_, fault):
                self._fault(record, fault)
            case f.FaultCleared():
                self._record = replace(record, fault=None)
            case f.AddFailed(_, reason):
                self._fault(record, Fault(FaultCode.ENGINE, reason))
            case f.TrackerAnswered(info_hash, url, peers):
                self._record = replace(record, tracker_message="")
                self._events.append(ev.TrackerSucceeded(info_hash, url, peers))
            case f.TrackerRefused(info_hash, url, message):
                self._record = replace(record, tracker_message=message)
                self._events.append(ev.TrackerFailed(info_hash, url, message))
            case f.PieceFinished(info_hash, index):
                self._events.append(ev.PieceCompleted(info_hash, index))
            case f.PieceFailed(info_hash, index):
                self._events.append(ev.PieceHashFailed(info_hash, index))
            case f.PeerJoined(info_hash, address):
                self._events.append(ev.PeerConnected(info_hash, address))
            case f.PeerLeft(info_hash, address, reason, peer_id):
                self._events.append(ev.PeerDisconnected(info_hash, address, reason, peer_id))
            case (
                f.DownloadFinished()
                | f.CacheFlushed()
                | f.TorrentChecked()
                | f.ResumeRejected()
                | f.ResumeDataReady()
                | f.ResumeDataFailed()
                | f.TorrentGone()
                | f.StorageMoved()
                | f.StorageMoveFailed()
                | f.FileRenamed()
                | f.FileRenameFailed()
                | f.TorrentExported()
                | f.StatusReported()
            ):
                # reports are taken above; on the others the session acts, and what they change
                # arrives as facts of their own
                pass
            case _:
                assert_never(fact)

    def finish(self) -> Applied:
        record = self._record
        if record is None:
            return Applied(None, EVERYTHING if self._before is not None else 0, tuple(self._events))
        if record is self._base:
            return Applied(record, 0, tuple(self._events))
        record = self._settle(record)
        if self._base is None:
            return Applied(record, EVERYTHING, tuple(self._events))
        mask = _difference(self._base, record)
        if mask & _PROGRESS_BITS:
            self._events.append(_progress(record))
        return Applied(record, mask, tuple(self._events))

    def _settle(self, record: TorrentRecord) -> TorrentRecord:
        before = self._base
        derived = derive_state(
            stop_reason=record.spec.stop_reason,
            status=record.status,
            is_verified=record.is_verified,
            fault=record.fault,
            is_receiving=before is not None
            and record.status.downloaded_session_bytes > before.status.downloaded_session_bytes,
        )
        if derived.state is record.state and derived.phase is record.phase:
            return record
        self._events.append(
            ev.TorrentStateChanged(record.info_hash, derived.state, derived.phase, record.state)
        )
        return replace(record, state=derived.state, phase=derived.phase)

    def _know(self, fact: f.TorrentKnown) -> None:
        known = self._record
        if known is None:
            self._record = TorrentRecord(
                spec=fact.spec, metainfo=fact.metainfo, status=TorrentStatus(fact.info_hash)
            )
            if fact.origin is f.Origin.ADDED:
                self._events.append(ev.TorrentAdded(fact.info_hash, fact.spec.name))
                if fact.metainfo is not None:
                    self._events.append(ev.FilesDiscovered(fact.info_hash, fact.metainfo.files))
            return
        known = self._spec(known, fact.spec)
        if fact.metainfo is not None:
            self._metainfo(known, fact.metainfo)

    def _status(self, record: TorrentRecord, status: TorrentStatus) -> None:
        old = record.status
        if status.sequence < old.sequence:
            return  # the session asks for fresh ones while older ones wait in a coalescer
        # Kept even when only the sequence is new: it is what the next report is measured by.
        self._record = record.reporting(status)
        if status.error and status.error != old.error:
            self._events.append(ev.TorrentFailed(record.info_hash, FaultCode.ENGINE, status.error))

    def _spec(self, record: TorrentRecord, spec: TorrentSpec) -> TorrentRecord:
        if record.spec.completed_at != NEVER and spec.completed_at == NEVER:
            spec = replace(spec, completed_at=record.spec.completed_at)  # only ever set once
        changed = tuple(
            name for name in SPEC_FIELDS if getattr(record.spec, name) != getattr(spec, name)
        )
        if not changed:
            return record
        self._events.append(ev.TorrentUpdated(record.info_hash, changed))
        if record.spec.completed_at == NEVER and spec.completed_at != NEVER:
            # The session stored the completion and died before it could report it.
            self._events.append(ev.TorrentCompleted(record.info_hash, spec.completed_at))
        self._record = record = replace(record, spec=spec)
        return record

    def _metainfo(self, record: TorrentRecord, metainfo: Metainfo) -> None:
        if record.metainfo is None:
            self._record = replace(record, metainfo=metainfo)
            self._events.append(ev.FilesDiscovered(record.info_hash, metainfo.files))

    def _verified(self, record: TorrentRecord, fact: f.PayloadVerified) -> None:
        if record.is_verified:
            return
        fault = record.fault
        if fault is not None and fault.code is FaultCode.MISSING_FILES:
            fault = None
        spec = record.spec
        if spec.completed_at == NEVER:
            spec = replace(spec, completed_at=fact.at)
            self._events.append(ev.TorrentCompleted(record.info_hash, fact.at))
        self._record = replace(record, spec=spec, is_verified=True, fault=fault)

    def _fault(self, record: TorrentRecord, fault: Fault) -> None:
        if record.fault == fault:
            return
        is_verified = record.is_verified and fault.code is not FaultCode.MISSING_FILES
        self._record = replace(record, fault=fault, is_verified=is_verified)
        known = record.fault
        if known is None or known.code is not fault.code or fault.code not in STORAGE_FAULTS:
            # of the storage's faults, a newer message says the same cause with newer figures
            self._events.append(ev.TorrentFailed(record.info_hash, fault.code, fault.message))


def _difference(before: TorrentRecord, after: TorrentRecord) -> int:
    """The bits of all fields whose values differ."""
    mask = 0
    for name, bit in _RECORD_BITS:
        old, new = getattr(before, name), getattr(after, name)
        # Most often the same object; comparing would walk the list of files with each report.
        if old is not new and old != new:
            mask |= bit
    if before.status is not after.status:
        # Without a loop of our own: thousands of reports per second pay for it.
        differs = map(ne, before.status[2:], after.status[2:])
        mask |= sum(compress(_STATUS_BITS, differs))
    if before.spec is not after.spec:
        for name in SPEC_FIELDS:
            if getattr(before.spec, name) != getattr(after.spec, name):
                mask |= FIELD_BITS[f"spec.{name}"]
    return mask


def _progress(record: TorrentRecord) -> ev.TorrentProgress:
    status = record.status
    return ev.TorrentProgress(
        record.info_hash,
        status.progress,
        status.wanted_done_bytes,
        status.wanted_bytes,
        status.download_rate,
        status.upload_rate,
        status.seeds + status.leechers,
    )
