"""From what libtorrent repeats, or says in parts, to one fact each."""

from collections.abc import Iterator
from contextlib import suppress

from revaer.adapters.libtorrent.piece_order import put_ends_first_again
from revaer.adapters.libtorrent.registry import Ask, Entry, Registry, Removal
from revaer.adapters.libtorrent.reports import (
    Discovered,
    Failure,
    HandleGone,
    PayloadDeleted,
    PrioritiesApplied,
    Renamed,
    Report,
    Saved,
)
from revaer.domain.facts import (
    AlertsDropped,
    Fact,
    FaultRaised,
    FileRenamed,
    MetadataReceived,
    ResumeDataFailed,
    ResumeDataReady,
    TorrentGone,
)


class Outcomes:
    """Settles reports against what is remembered of each torrent; used by the pump alone."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def settle(self, report: Report) -> tuple[Fact, ...]:
        """Return the facts that a report adds to what was said before."""
        match report:
            case Failure():
                return _fault(report)
            case PayloadDeleted(entry, reason):
                entry.deletion = reason
                return self._gone(entry)
            case HandleGone(entry):
                entry.is_gone = True
                return self._gone(entry)
            case Discovered() | Saved() | Renamed() | PrioritiesApplied():
                return self._noted(report)
            case AlertsDropped():
                return (report, *self._give_up_exports())
            case _:
                return (report,)

    def _noted(self, report: Discovered | Saved | Renamed | PrioritiesApplied) -> tuple[Fact, ...]:
        """Remember what changed of a torrent, and tell it."""
        match report:
            case Discovered(entry, metainfo, keys):
                if not entry.keys.issuperset(keys) and entry.removal is Removal.NONE:
                    self._registry.register(entry, keys)
                _order_pieces(entry)
                return (MetadataReceived(entry.info_hash, metainfo),)
            case Saved(entry, blob, metainfo_data):
                if metainfo_data:
                    entry.is_metainfo_due = False
                return (ResumeDataReady(entry.info_hash, blob, metainfo_data),)
            case Renamed(entry, index, path):
                entry.renamed(index, path)
                return (FileRenamed(entry.info_hash, index, path),)
            case PrioritiesApplied(entry):
                _order_pieces(entry)
                return ()

    def _give_up_exports(self) -> Iterator[Fact]:
        """Answers may be among what was dropped, and then nobody knows whom the next ones are for.

        Each answer holds everything, so one that comes yet is good for a save.
        """
        for entry in self._registry.entries():
            if Ask.EXPORT in entry.asks:
                yield ResumeDataFailed(entry.info_hash, "answers were lost; export again")
            entry.asks.clear()

    def _gone(self, entry: Entry) -> tuple[Fact, ...]:
        with_data = entry.removal is Removal.WITH_DATA
        if not entry.is_gone or (with_data and entry.deletion is None):
            return ()  # the answer about the files comes before or after the one about the torrent
        self._registry.forget(entry)
        if not with_data:
            return (TorrentGone(entry.info_hash),)
        reason = entry.deletion or ""
        return (TorrentGone(entry.info_hash, data_deleted=not reason, reason=reason),)


def _order_pieces(entry: Entry) -> None:
    with suppress(RuntimeError):  # removed a moment ago
        put_ends_first_again(entry)


def _fault(failure: Failure) -> tuple[Fact, ...]:
    entry = failure.entry
    if failure.key in entry.faults:
        return ()
    entry.faults.add(failure.key)
    entry.is_fault_sticky = entry.is_fault_sticky or failure.is_sticky
    if failure.is_final:
        with suppress(RuntimeError):  # removed a moment ago
            entry.handle.pause()
    return (FaultRaised(entry.info_hash, failure.fault),)
