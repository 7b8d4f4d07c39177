"""What does a program read in a line of `revaer download --json`?"""

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from revaer.cli.projection import (
    DownloadProjection,
    eta_s,
    fields_of,
    json_line,
    torrent_line,
    trouble_of,
)
from revaer.domain.torrent import Fault, FaultCode, TorrentState
from tests.unit.cli.records import HASH, MIB, named, record_of


def test_a_line_says_who_how_far_how_fast_and_where() -> None:
    fields = json.loads(DownloadProjection().encode(record_of()))
    assert fields["info_hash"] == HASH
    assert fields["name"] == "album"
    assert fields["state"] == "downloading"
    assert fields["phase"] == "none"
    assert fields["progress"] == 0.25
    assert fields["is_complete"] is False
    assert fields["wanted"] == fields["size"] == 100 * MIB
    assert fields["done"] == 25 * MIB
    assert fields["download_rate"] == MIB
    assert fields["downloaded_session"] == MIB
    assert fields["peers"] == 3
    assert fields["seeds"] == 2
    assert fields["eta_s"] == 75
    assert fields["save_path"] == "/srv/x"
    assert fields["content_path"] == "/srv/x/album"
    assert fields["files"] == 2
    assert fields["error"] is None


def test_a_magnet_without_metadata_has_no_files_and_no_content_path() -> None:
    fields = fields_of(record_of(has_metadata=False))
    assert fields["files"] is None
    assert fields["content_path"] == ""
    assert fields["eta_s"] is None


@pytest.mark.parametrize(
    ("progress", "rate", "verified", "expected"),
    [
        (0.5, MIB, False, 50),
        (0.5, 0, False, None),
        (1.0, MIB, False, None),
        (1.0, 0, True, 0),
        (0.0, 1, False, None),
    ],
    ids=["moving", "standing", "writing", "complete", "for-ever"],
)
def test_the_time_left_is_only_given_when_somebody_can_say(
    progress: float, rate: int, *, verified: bool, expected: int | None
) -> None:
    assert eta_s(record_of(progress=progress, rate=rate, is_verified=verified)) == expected


def test_a_fault_is_an_error_with_a_code_and_the_engines_own_word_comes_second() -> None:
    fault = Fault(FaultCode.DISK_FULL, "no room; free some space")
    assert fields_of(record_of(fault=fault, error="errno 28"))["error"] == {
        "code": "disk_full",
        "message": "no room; free some space",
    }
    assert trouble_of(record_of(error="errno 5")) == ("engine", "errno 5")
    assert trouble_of(record_of()) is None


@given(st.text(st.characters(), max_size=60))
def test_any_name_gives_one_line_of_json_without_terminal_controls(name: str) -> None:
    record = named(record_of(), name)
    line = torrent_line("progress", DownloadProjection().encode(record), {"more": name[:0]})
    text = line.decode()
    assert text.endswith("\n")
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in text[:-1])
    assert not any(char in text for char in "\u202e\u2066\u2028\u200f\u061c")
    read = json.loads(text)
    assert read["event"] == "progress"
    assert read["name"] == name.encode("utf-8", "replace").decode() or "\ufffd" in read["name"]


@given(st.text(st.characters(), max_size=60))
@example("\ud800")
def test_any_message_gives_one_line_of_json(message: str) -> None:
    line = json_line("error", {"info_hash": None, "message": message})
    assert line.count(b"\n") == 1
    assert json.loads(line)["event"] == "error"


def test_what_is_added_to_a_torrents_line_stands_beside_its_own_fields() -> None:
    fragment = DownloadProjection().encode(replace(record_of(), state=TorrentState.STALLED))
    line = json.loads(torrent_line("added", fragment, {"resumed": True}))
    assert line["resumed"] is True
    assert line["state"] == "stalled"
    assert json.loads(torrent_line("metadata", fragment))["event"] == "metadata"
