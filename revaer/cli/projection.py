"""A torrent as `revaer download --json` shows it, one JSON object per line.

Every line has `event`. A line about a torrent has all fields of `fields_of` too.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from revaer.domain.plain_text import encodable
from revaer.domain.rates import FOREVER_S
from revaer.domain.torrent import FileEntry, FilePriority, TorrentRecord

NAME: Final = "download"

_RAW_CONTROLS: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class DownloadProjection:
    """Satisfies `Projection`."""

    @property
    def name(self) -> str:
        """Under which the board offers it."""
        return NAME

    def encode(self, record: TorrentRecord) -> bytes:
        """One torrent as a JSON object without line breaks."""
        return _dumped(fields_of(record))


def fields_of(record: TorrentRecord) -> dict[str, Any]:
    """What a line says of a torrent.

    Sizes are bytes, rates payload bytes per second, `progress` is 0 to 1 of the wanted bytes (while
    `checking`: how far the check is), `eta_s` seconds or null, `error` an object or null. `wanted`
    and `done` count whole pieces, so with a selection they reach into neighbouring files.
    """
    status = record.status
    metainfo = record.metainfo
    return {
        "info_hash": record.info_hash,
        "name": encodable(metainfo.name if metainfo else record.spec.name),
        "state": record.state.value,
        "phase": record.phase.value,
        "progress": round(status.progress, 6),
        "is_complete": record.is_complete,
        "size": status.size_bytes,
        "wanted": status.wanted_bytes,
        "done": status.wanted_done_bytes,
        "downloaded": status.downloaded_bytes,
        "uploaded": status.uploaded_bytes,
        "downloaded_session": status.downloaded_session_bytes,
        "uploaded_session": status.uploaded_session_bytes,
        "wasted": status.wasted_bytes,
        "download_rate": status.download_rate,
        "upload_rate": status.upload_rate,
        "peers": status.seeds + status.leechers,
        "seeds": status.seeds,
        "eta_s": eta_s(record),
        "save_path": encodable(record.spec.save_path),
        "content_path": encodable(record.content_path),
        "files": None if metainfo is None else sum(1 for e in metainfo.files if not e.is_pad),
        "files_wanted": None if metainfo is None else len(wanted_files(record)),
        "error": _error_of(record),
    }


def wanted_files(record: TorrentRecord) -> tuple[FileEntry, ...]:
    """The files that are downloaded; none before the metadata is known."""
    if record.metainfo is None:
        return ()
    files = record.metainfo.files
    priorities = record.spec.priorities or (FilePriority.NORMAL,) * len(files)
    return tuple(
        entry
        for entry, priority in zip(files, priorities, strict=True)
        if priority != FilePriority.SKIP and not entry.is_pad
    )


def eta_s(record: TorrentRecord) -> int | None:
    """Seconds until the wanted bytes are there at the present rate; None when nobody can say."""
    status = record.status
    if record.is_complete:
        return 0
    left = status.wanted_bytes - status.wanted_done_bytes
    if record.metainfo is None or status.download_rate <= 0 or left <= 0:
        return None
    seconds = left // status.download_rate
    return seconds if seconds < FOREVER_S else None


def trouble_of(record: TorrentRecord) -> tuple[str, str] | None:
    """Code and message of what keeps a torrent from going on, or None."""
    if record.fault is not None:
        return record.fault.code.value, record.fault.message
    return ("engine", record.status.error) if record.status.error else None


def json_line(event: str, fields: Mapping[str, Any]) -> bytes:
    """One line of output, line end included."""
    return _dumped({"event": event, **fields}) + b"\n"


def torrent_line(event: str, fragment: bytes, more: Mapping[str, Any] | None = None) -> bytes:
    """A line from a torrent as the projection encoded it, with further fields at its end."""
    tail = b"," + _dumped(more)[1:] if more else b"}"
    return b'{"event":' + orjson.dumps(event) + b"," + fragment[1:-1] + tail + b"\n"


def _error_of(record: TorrentRecord) -> dict[str, str] | None:
    trouble = trouble_of(record)
    return None if trouble is None else {"code": trouble[0], "message": encodable(trouble[1])}


def _dumped(fields: Mapping[str, Any]) -> bytes:
    """JSON in which no character means something to a terminal: C1 and bidi controls escaped."""
    fields = {
        name: encodable(value) if isinstance(value, str) else value
        for name, value in fields.items()
    }
    text = orjson.dumps(fields, default=str).decode()
    return _RAW_CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()
