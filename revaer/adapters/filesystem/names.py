"""How the files of one torrent are called."""

import re
from typing import Final

from revaer.adapters.filesystem.atomic import PREVIOUS_SUFFIX
from revaer.domain.ids import InfoHash

OURS: Final = re.compile(
    r"([0-9a-f]{40})\.(json|json\.1|fastresume|fastresume\.1|torrent|torrent\.new|tombstone)"
    r"(\.copy)?(\.tmp)?"
)
"""Groups: id, kind, then what only a write that never ended leaves behind."""

PENDING_KIND: Final = "torrent.new"


def spec_name(info_hash: InfoHash) -> str:
    """What was asked for."""
    return f"{info_hash}.json"


def blob_name(info_hash: InfoHash) -> str:
    """The engine's resume data."""
    return f"{info_hash}.fastresume"


def metainfo_name(info_hash: InfoHash) -> str:
    """The torrent file's bytes."""
    return f"{info_hash}.torrent"


def pending_name(info_hash: InfoHash) -> str:
    """The torrent file's bytes until the JSON file that claims them is in place.

    Without such a claim they belong to an add that did not end. What has its final name was stored,
    so that alone it still is a torrent.
    """
    return f"{info_hash}.torrent.new"


def tombstone_name(info_hash: InfoHash) -> str:
    """The removal."""
    return f"{info_hash}.tombstone"


def previous(name: str) -> str:
    """The generation before."""
    return name + PREVIOUS_SUFFIX
