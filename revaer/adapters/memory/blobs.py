"""The double's own resume data: progress and counters as JSON behind a checksum."""

import base64
import binascii
import json
import zlib
from dataclasses import dataclass
from typing import Final

_MAGIC: Final = b"revaer-memory-blob 1 "


class BlobError(ValueError):
    """Not a blob of this engine, or damaged; the text says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """What a simulated torrent remembers of itself.

    Attributes:
        keys: every id of the torrent it belongs to.
        save_path: where the bytes were seen.
        done: bytes per file; empty without metadata.
        metainfo_data: the torrent file's bytes where known.
        trackers: announce addresses with their tiers; what the source names is not asked again.
        web_seeds: as above.
    """

    keys: frozenset[str]
    save_path: str
    done: tuple[int, ...] = ()
    metainfo_data: bytes = b""
    trackers: tuple[tuple[str, int], ...] = ()
    web_seeds: tuple[str, ...] = ()
    downloaded_bytes: int = 0
    uploaded_bytes: int = 0
    active_s: float = 0.0
    finished_s: float = 0.0
    seeding_s: float = 0.0


def write_blob(blob: Blob) -> bytes:
    """Encode."""
    body = json.dumps(
        {
            "keys": sorted(blob.keys),
            "save_path": blob.save_path,
            "done": blob.done,
            "metainfo": base64.b64encode(blob.metainfo_data).decode(),
            "trackers": blob.trackers,
            "web_seeds": blob.web_seeds,
            "downloaded_bytes": blob.downloaded_bytes,
            "uploaded_bytes": blob.uploaded_bytes,
            "active_s": blob.active_s,
            "finished_s": blob.finished_s,
            "seeding_s": blob.seeding_s,
        }
    ).encode()
    return b"%b%08x\n%b" % (_MAGIC, zlib.crc32(body), body)


def read_blob(data: bytes) -> Blob:
    """Decode.

    Raises:
        BlobError: not a blob, or damaged.
    """
    head, _, body = data.partition(b"\n")
    if head != b"%b%08x" % (_MAGIC, zlib.crc32(body)):
        raise BlobError("resume data cannot be read")
    try:
        found = json.loads(body)
        return Blob(
            keys=frozenset(str(key) for key in found["keys"]),
            save_path=str(found["save_path"]),
            done=tuple(int(size) for size in found["done"]),
            metainfo_data=base64.b64decode(found["metainfo"], validate=True),
            trackers=tuple((str(url), int(tier)) for url, tier in found["trackers"]),
            web_seeds=tuple(str(url) for url in found["web_seeds"]),
            downloaded_bytes=int(found["downloaded_bytes"]),
            uploaded_bytes=int(found["uploaded_bytes"]),
            active_s=float(found["active_s"]),
            finished_s=float(found["finished_s"]),
            seeding_s=float(found["seeding_s"]),
        )
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise BlobError(f"resume data cannot be read: {error}") from error
