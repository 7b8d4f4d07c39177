"""Every error that crosses a port, and what a caller can do about it."""

from typing import ClassVar


class RevaerError(Exception):
    """Base of all errors that Revaer raises on purpose.

    The message says what happened, to what, and what to do. `code` is stable and machine-readable;
    `retryable` says whether the same call may succeed later without anybody changing anything.
    """

    code: ClassVar[str] = "revaer-error"
    retryable: ClassVar[bool] = False


class InvalidInputError(RevaerError):
    """The caller's to fix: what was given cannot be used as it is."""

    code = "invalid-input"


class InvalidTorrentError(InvalidInputError):
    """Neither a torrent file nor a magnet link that can be used."""

    code = "invalid-torrent"


class PathRefusedError(InvalidInputError):
    """A path outside the allowed roots, inside a reserved place, or not a usable path at all."""

    code = "path-refused"


class SelectionError(InvalidInputError):
    """A file selection that cannot be applied: bad glob, unknown preset, index out of range."""

    code = "selection-invalid"


class TorrentNotFoundError(RevaerError):
    """No torrent has this id."""

    code = "torrent-not-found"


class ConflictError(RevaerError):
    """The request is sound but the present state refuses it."""

    code = "conflict"


class TorrentExistsError(ConflictError):
    """The torrent is already here."""

    code = "torrent-exists"


class StoreLockedError(ConflictError):
    """Another process owns the resume directory."""

    code = "store-locked"


class ClosedError(ConflictError):
    """What was asked was closed before; open another."""

    code = "closed"


class TooManyTorrentsError(ConflictError):
    """One more torrent than was allowed."""

    code = "too-many-torrents"


class TorrentFailedError(ConflictError):
    """A torrent that is waited for cannot go on by itself."""

    code = "torrent-failed"


class UnavailableError(RevaerError):
    """Something Revaer depends on is away for now."""

    code = "unavailable"
    retryable = True


class EngineDownError(UnavailableError):
    """The engine does not answer or its session is gone."""

    code = "engine-down"


class EngineUnsupportedError(RevaerError):
    """The installed libtorrent lacks what Revaer needs."""

    code = "engine-unsupported"


class StoreDownError(UnavailableError):
    """The resume directory cannot be read or written now."""

    code = "store-down"
