"""The store's JSON documents: checksummed, versioned, and kind to fields they do not know."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from revaer.adapters.filesystem.sealed import DamagedError
from revaer.domain.errors import InvalidInputError
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import TorrentSpec

VERSION: Final = 1
"""Grows when a field changes its meaning. New fields alone need no new version."""

TORRENT: Final = "revaer.torrent"
TOMBSTONE: Final = "revaer.tombstone"
STATE: Final = "revaer.store"

_HEAD: Final = b'{"checksum":"'
_MIDDLE: Final = b'","document":'
_TAIL: Final = b"}\n"
_DIGITS: Final = 64
_START: Final = len(_HEAD) + _DIGITS + len(_MIDDLE)

_SPEC: Final = TypeAdapter(TorrentSpec)
_SPEC_FIELDS: Final = tuple(each.name for each in fields(TorrentSpec))
_OWN: Final = frozenset({"format", "version", "life", "has_metainfo", "with_data", "spec"})

Json = dict[str, Any]


class NewerVersionError(Exception):
    """Written by a newer Revaer in a way that this one cannot read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorrentDocument:
    """One torrent's JSON file, or its tombstone.

    Attributes:
        life: how often this id was added anew; what carries another number is stale.
        has_metainfo: the torrent file's bytes lie beside it.
        with_data: tombstones only: the payload goes too.
        version: the writer's, never lowered by a rewrite.
        unknown: fields of a newer writer, kept on rewrite; `spec` holds those inside the spec.
    """

    spec: TorrentSpec
    life: int = 1
    has_metainfo: bool = False
    with_data: bool = False
    version: int = VERSION
    unknown: Mapping[str, Any] = field(default_factory=dict)


def wrap(document: Mapping[str, Any]) -> bytes:
    """Encode any document with its checksum."""
    raw = orjson.dumps(document)
    return b"%b%b%b%b%b" % (_HEAD, _checksum(raw), _MIDDLE, raw, _TAIL)


def unwrap(data: bytes, expected_format: str) -> Json:
    """Check and decode what `wrap` made.

    Raises:
        DamagedError: empty, cut short, changed, or something else altogether.
    """
    if not data:
        raise DamagedError("the file is empty")
    if not (data.startswith(_HEAD) and data.endswith(_TAIL)):
        raise DamagedError("the file is cut short or was written by something else")
    raw = data[_START : -len(_TAIL)]
    if data[len(_HEAD) : len(_HEAD) + _DIGITS] != _checksum(raw):
        raise DamagedError("the checksum does not fit: the file was changed")
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise DamagedError(f"not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != expected_format:
        raise DamagedError(f"not a document of the kind {expected_format}")
    return document


def encode(document: TorrentDocument, kind: str) -> bytes:
    """Encode a torrent or a tombstone.

    Raises:
        InvalidInputError: a text that is not Unicode, or a number that JSON cannot hold.
    """
    spec = document.spec
    if not math.isfinite(spec.ratio_limit):
        raise InvalidInputError(f"the ratio limit of {spec.info_hash} must be a finite number")
    body: Json = {"format": kind, "version": max(VERSION, document.version)}
    body["life"] = document.life
    body["has_metainfo"] = document.has_metainfo
    if kind == TOMBSTONE:
        body["with_data"] = document.with_data
    body["spec"] = spec
    try:
        if document.unknown:
            body["spec"] = orjson.loads(orjson.dumps(spec))
            body = _merged(document.unknown, body)
        return wrap(body)
    except orjson.JSONEncodeError as error:
        raise InvalidInputError(
            f"torrent {spec.info_hash} cannot be stored: {error}; "
            "use names and paths that are valid Unicode"
        ) from error


def decode(data: bytes, kind: str, info_hash: InfoHash) -> TorrentDocument:
    """Decode a torrent or a tombstone.

    Raises:
        DamagedError: the content is not what was written, or is about another torrent.
        NewerVersionError: sound, but of a version that this code cannot read.
    """
    body = unwrap(data, kind)
    version = body.get("version")
    if not isinstance(version, int):
        raise DamagedError("the version is missing")
    try:
        raw_spec = body["spec"]
        spec = _SPEC.validate_python(raw_spec)
        life = int(body["life"])
        has_metainfo = bool(body["has_metainfo"])
        with_data = bool(body.get("with_data", False))
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        if version > VERSION:
            raise NewerVersionError(
                f"version {version} is newer than {VERSION}, the newest that this Revaer reads"
            ) from error
        raise DamagedError(f"the content cannot be used: {_first_line(error)}") from error
    if spec.info_hash != info_hash:
        raise DamagedError(f"it is about another torrent, {spec.info_hash}")
    return TorrentDocument(
        spec=spec,
        life=life,
        has_metainfo=has_metainfo,
        with_data=with_data,
        version=version,
        unknown=_unknown(body),
    )


def _unknown(body: Json) -> Json:
    """What a newer writer added, at the top, in the spec, and in the spec's own objects."""
    unknown = {name: value for name, value in body.items() if name not in _OWN}
    raw_spec: Json = body["spec"]
    in_spec = {name: value for name, value in raw_spec.items() if name not in _SPEC_FIELDS}
    selection = raw_spec.get("selection")
    if isinstance(selection, dict) and (
        in_selection := {name: value for name, value in selection.items() if name != "rules"}
    ):
        in_spec["selection"] = in_selection
    if in_spec:
        unknown["spec"] = in_spec
    return unknown


def _merged(base: Mapping[str, Any], top: Mapping[str, Any]) -> Json:
    """Lay one document over another, object by object."""
    merged = dict(base)
    for name, value in top.items():
        below = merged.get(name)
        if isinstance(below, dict) and isinstance(value, dict):
            merged[name] = _merged(below, value)
        else:
            merged[name] = value
    return merged


def _checksum(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=_DIGITS // 2).hexdigest().encode()


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return f"{type(error).__name__} {error}"
