"""Where torrents come from: a file or a magnet link, read before anything else is touched."""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from revaer.domain.errors import InvalidInputError, InvalidTorrentError
from revaer.domain.rates import format_size
from revaer.domain.torrent import MagnetSource, MetainfoSource, TorrentSource

MAX_TORRENT_FILE_BYTES: Final = 64 * 1024 * 1024
"""More than any real torrent file, and little enough to hold several in memory."""

_MAGNET: Final = "magnet:"
_SCHEMES: Final = ("http://", "https://", "ftp://")
_SHOWN_LENGTH: Final = 120


@dataclass(frozen=True, slots=True)
class ReadSource:
    """A source as the user named it, and what it is.

    Attributes:
        label: for messages: the file's path, or the beginning of the link.
        source: its content.
    """

    label: str
    source: TorrentSource


def read_source(text: str) -> ReadSource:
    """Read one source: a magnet link, or the path of a torrent file.

    Raises:
        InvalidInputError: neither; says what it is instead.
    """
    if text[: len(_MAGNET)].lower() == _MAGNET:
        return ReadSource(_shown(text), MagnetSource(text))
    label = _shown(text)
    if text.lower().startswith(_SCHEMES):
        raise InvalidInputError(
            f"{label} is a web address; download the torrent file first and name its path"
        )
    if not text:
        raise InvalidInputError("a source is empty; name a .torrent file or a magnet link")
    return ReadSource(label, MetainfoSource(_read_file(label, text)))


def _read_file(label: str, path: str) -> bytes:
    try:
        # Looked at before it is opened: opening a named pipe waits for its writer.
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            raise InvalidInputError(f"{label} is a directory; name the .torrent file itself")
        if not stat.S_ISREG(mode):
            raise InvalidInputError(f"{label} is not a regular file; name a .torrent file")
        with Path(path).open("rb") as file:
            data = file.read(MAX_TORRENT_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InvalidInputError(
            f"{label}: no such file; name a .torrent file or a magnet link"
        ) from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a path"
        raise InvalidInputError(f"{label} cannot be read: {why}") from error
    if not data:
        raise InvalidTorrentError(f"{label} is empty, so it is not a torrent file; get it again")
    if len(data) > MAX_TORRENT_FILE_BYTES:
        raise InvalidTorrentError(
            f"{label} is larger than {format_size(MAX_TORRENT_FILE_BYTES)}, which no torrent file "
            "is; name the .torrent file, not the payload"
        )
    return data


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}..."
