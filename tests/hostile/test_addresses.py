"""Whom may a torrent have the session talk to, and with what words?"""

import pytest

from revaer.adapters.libtorrent.metainfo import (
    MAX_DHT_NODES,
    MAX_TEXT_CHARACTERS,
    describe,
    parse_magnet,
    parse_metainfo,
)
from revaer.domain.torrent import MagnetSource, MetainfoSource
from tests.hostile import magnets, torrents

LINKS = dict(magnets.all_classes())
FILES = dict(torrents.all_classes())
CONTROL = frozenset(map(chr, (*range(0x21), 0x7F)))


@pytest.mark.parametrize("name", ["web_seed_crlf", "web_seed_file", "web_seed_not_utf8"])
def test_a_link_s_web_seed_that_could_forge_a_request_is_left_out(name: str) -> None:
    """What libtorrent writes into its request is the decoded address, line breaks and all."""
    assert parse_magnet(LINKS[f"magnet_{name}"]).url_seeds == []


def test_a_sound_web_seed_of_a_link_stays() -> None:
    link = f"{LINKS['magnet_v2']}&ws=https%3A%2F%2Fseeds.invalid%2Ffilm.mkv"
    assert describe(MagnetSource(link)).web_seeds == ("https://seeds.invalid/film.mkv",)


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith(("tracker_", "web_"))])
def test_no_address_of_a_torrent_file_holds_a_control_character(name: str) -> None:
    said = describe(MetainfoSource(FILES[name]()))
    assert not CONTROL & set("".join((*said.trackers, *said.web_seeds)))


def test_only_so_many_dht_nodes_of_a_torrent_are_asked() -> None:
    params = parse_metainfo(FILES["as_many_nodes_as_fit"]())
    assert len(params.dht_nodes) == MAX_DHT_NODES


def test_a_comment_is_kept_to_a_length_that_can_be_shown() -> None:
    metainfo = describe(MetainfoSource(FILES["comment_of_9_megabytes"]())).metainfo
    assert metainfo is not None
    assert metainfo.comment == "c" * MAX_TEXT_CHARACTERS
