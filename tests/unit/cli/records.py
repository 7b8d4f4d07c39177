"""Records of made-up torrents, for what is shown of them."""

from dataclasses import replace

from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import (
    Activity,
    Fault,
    FileEntry,
    Metainfo,
    TorrentRecord,
    TorrentSpec,
    TorrentState,
    TorrentStatus,
)

HASH = InfoHash("a" * 40)
MIB = 1 << 20


def record_of(
    name: str = "album",
    *,
    info_hash: InfoHash = HASH,
    progress: float = 0.25,
    rate: int = MIB,
    state: TorrentState = TorrentState.DOWNLOADING,
    activity: Activity = Activity.DOWNLOADING,
    fault: Fault | None = None,
    error: str = "",
    is_verified: bool = False,
    has_metadata: bool = True,
    session_bytes: int = MIB,
    sequence: int = 1,
) -> TorrentRecord:
    """One torrent of 100 MiB in two files."""
    total = 100 * MIB
    files = (FileEntry(0, f"{name}/a", 60 * MIB), FileEntry(1, f"{name}/b", 40 * MIB))
    return TorrentRecord(
        spec=TorrentSpec(
            info_hash=info_hash, name=name, save_path="/srv/x", added_at=EpochSeconds(1)
        ),
        metainfo=Metainfo(
            name=name,
            files=files,
            total_size_bytes=total,
            piece_length=MIB,
            piece_count=100,
        )
        if has_metadata
        else None,
        status=TorrentStatus(
            info_hash,
            sequence=sequence,
            activity=activity,
            error=error,
            has_metadata=has_metadata,
            progress=progress,
            size_bytes=total,
            wanted_bytes=total,
            wanted_done_bytes=int(total * progress),
            download_rate=rate,
            downloaded_session_bytes=session_bytes,
            seeds=2,
            leechers=1,
        ),
        state=state,
        is_verified=is_verified,
        fault=fault,
    )


def named(record: TorrentRecord, name: str) -> TorrentRecord:
    """The same torrent under another name."""
    assert record.metainfo is not None
    return replace(
        record,
        spec=replace(record.spec, name=name),
        metainfo=replace(record.metainfo, name=name),
    )
