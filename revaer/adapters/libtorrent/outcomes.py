"""From what libtorrent repeats, or says in parts, to one fact each."""

from revaer.adapters.libtorrent.alerts import (
    Discovered,
    Failure,
    HandleGone,
    PayloadDeleted,
    Report,
    Saved,
)
from revaer.adapters.libtorrent.registry import Entry, Registry, Removal
from revaer.domain.facts import (
    Fact,
    FaultRaised,
    MetadataReceived,
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
            case Discovered(entry, metainfo, keys):
                if not entry.keys.issuperset(keys) and entry.removal is Removal.NONE:
                    self._registry.register(entry, keys)
                return (MetadataReceived(entry.info_hash, metainfo),)
            case Saved(entry, blob, metainfo_data):
                if metainfo_data:
                    entry.is_metainfo_due = False
                return (ResumeDataReady(entry.info_hash, blob, metainfo_data),)
            case PayloadDeleted(entry, reason):
                entry.deletion = reason
                return self._gone(entry)
            case HandleGone(entry):
                entry.is_gone = True
                return self._gone(entry)
            case _:
                return (report,)

    def _gone(self, entry: Entry) -> tuple[Fact, ...]:
        with_data = entry.removal is Removal.WITH_DATA
        if not entry.is_gone or (with_data and entry.deletion is None):
            return ()  # the answer about the files comes before or after the one about the torrent
        self._registry.forget(entry)
        if not with_data:
            return (TorrentGone(entry.info_hash),)
        reason = entry.deletion or ""
        return (TorrentGone(entry.info_hash, data_deleted=not reason, reason=reason),)


def _fault(failure: Failure) -> tuple[Fact, ...]:
    entry = failure.entry
    if failure.key in entry.faults:
        return ()
    entry.faults.add(failure.key)
    entry.is_fault_sticky = entry.is_fault_sticky or failure.is_sticky
    return (FaultRaised(entry.info_hash, failure.fault),)
