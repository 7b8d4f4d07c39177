"""The torrents and the projection that benches share."""

import orjson

from revaer.domain import facts as f
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import Activity, TorrentRecord, TorrentSpec, TorrentStatus


def hash_of(number: int) -> InfoHash:
    """The id of torrent `number`."""
    return InfoHash(f"{number:040x}")


def known(number: int) -> tuple[f.TorrentFact, ...]:
    """What makes a downloading torrent known."""
    info_hash = hash_of(number)
    spec = TorrentSpec(
        info_hash=info_hash,
        infohash_v1=info_hash,
        name=f"Some.Torrent.{number}.1080p.WEB.x264",
        save_path="/srv/downloads/complete",
        added_at=EpochSeconds(1_750_000_000 + number),
        category="tv",
        tags=("new", "hd"),
    )
    return (
        f.TorrentKnown(info_hash, spec, None, f.Origin.RESTORED),
        progress(number, 0),
    )


def progress(number: int, step: int) -> f.StatusReported:
    """What the engine reports of a torrent that downloads; each step differs from the last."""
    info_hash = hash_of(number)
    size_bytes = 4_000_000_000
    done_bytes = min(size_bytes, 1_000_000 + step * 16_384)
    return f.StatusReported(
        info_hash,
        TorrentStatus(
            info_hash,
            sequence=step,
            activity=Activity.DOWNLOADING,
            is_auto_managed=True,
            has_metadata=True,
            progress=done_bytes / size_bytes,
            size_bytes=size_bytes,
            wanted_bytes=size_bytes,
            wanted_done_bytes=done_bytes,
            done_bytes=done_bytes,
            pieces_have=done_bytes // 1_000_000,
            downloaded_bytes=done_bytes,
            downloaded_session_bytes=done_bytes,
            download_rate=100_000 + step % 1000,
            upload_rate=1_000 + step % 100,
            seeds=3 + step % 2,
            leechers=8,
            active_s=step // 10,
            tracker_count=2,
        ),
    )


class JsonProjection:
    """As wide as what the qBittorrent API shows of a torrent: some 1,500 bytes."""

    name = "json"

    def encode(self, record: TorrentRecord) -> bytes:
        """Encode every status field and the main ones of the spec."""
        return orjson.dumps(
            {
                **record.status._asdict(),
                "name": record.spec.name,
                "save_path": record.spec.save_path,
                "content_path": record.content_path,
                "category": record.spec.category,
                "tags": record.spec.tags,
                "state": record.state,
                "phase": record.phase,
                "added_at": record.spec.added_at,
                "completed_at": record.spec.completed_at,
                "ratio_limit": record.spec.ratio_limit,
                "download_limit": record.spec.download_limit,
                "upload_limit": record.spec.upload_limit,
                "magnet_uri": record.spec.magnet_uri,
                "fault": None if record.fault is None else record.fault.message,
                "tracker_message": record.tracker_message,
            }
        )
