"""Where do the store, the engine and the catalog differ, and what is said of it?"""

from dataclasses import replace

import pytest

from revaer.domain.ids import BytesPerSecond, EpochSeconds, InfoHash
from revaer.domain.reconciliation import (
    Aspect,
    LiveTorrent,
    Other,
    differences,
    reason_of,
)
from revaer.domain.torrent import FileEntry, StopReason, TorrentSpec

A = InfoHash("a" * 40)
FILES = (
    FileEntry(0, "show/a.mkv", 10),
    FileEntry(1, "show/.pad/6", 6, is_pad=True),
    FileEntry(2, "show/b.mkv", 10),
)
SPEC = TorrentSpec(
    info_hash=A,
    name="show",
    save_path="/data",
    added_at=EpochSeconds(1),
    priorities=(7, 4, 0),
    download_limit=BytesPerSecond(5),
)
LIVE = LiveTorrent(save_path="/data", priorities=(7, 0, 0), download_limit=BytesPerSecond(5))


def aspects(spec: TorrentSpec, live: LiveTorrent) -> set[Aspect]:
    return {each.aspect for each in differences(spec, live, None, FILES)}


def test_a_torrent_that_does_what_is_stored_has_no_difference() -> None:
    assert differences(SPEC, LIVE, SPEC, FILES) == ()
    assert differences(SPEC, None, None) == ()


@pytest.mark.parametrize(
    ("live", "aspect"),
    [
        (replace(LIVE, priorities=(1, 0, 0)), Aspect.PRIORITIES),
        (replace(LIVE, priorities=(7,)), Aspect.PRIORITIES),
        (replace(LIVE, sequential=True), Aspect.SEQUENTIAL),
        (replace(LIVE, first_last_pieces=True), Aspect.FIRST_LAST_PIECES),
        (replace(LIVE, download_limit=BytesPerSecond(0)), Aspect.LIMITS),
        (replace(LIVE, upload_limit=BytesPerSecond(9)), Aspect.LIMITS),
        (replace(LIVE, is_stopped=True), Aspect.STOPPED),
        (replace(LIVE, is_forced=True), Aspect.FORCE_START),
        (replace(LIVE, save_path="/elsewhere"), Aspect.SAVE_PATH),
    ],
    ids=str,
)
def test_each_thing_that_the_engine_does_otherwise_is_found(
    live: LiveTorrent, aspect: Aspect
) -> None:
    (found,) = differences(SPEC, live, None, FILES)
    assert (found.other, found.aspect) == (Other.ENGINE, aspect)
    assert str(aspect) in reason_of((found,))


def test_no_priorities_mean_the_default_for_all() -> None:
    spec = replace(SPEC, priorities=())
    assert aspects(spec, replace(LIVE, priorities=(4, 0, 4))) == set()
    assert aspects(spec, replace(LIVE, priorities=())) == set()
    assert aspects(spec, replace(LIVE, priorities=(4, 0, 1))) == {Aspect.PRIORITIES}


def test_priorities_are_not_compared_before_the_files_are_known() -> None:
    assert differences(SPEC, replace(LIVE, priorities=()), None) == ()


def test_whether_it_runs_is_open_while_it_is_checked_held_or_in_trouble() -> None:
    unsettled = replace(LIVE, is_stopped=True, is_forced=True, is_settled=False)
    assert aspects(SPEC, unsettled) == set()


def test_a_stopped_torrent_is_not_asked_whether_it_is_forced() -> None:
    spec = replace(SPEC, stop_reason=StopReason.USER, force_start=True)
    assert aspects(spec, replace(LIVE, is_stopped=True)) == set()
    assert aspects(spec, LIVE) == {Aspect.STOPPED}


def test_a_move_under_way_is_no_difference() -> None:
    spec = replace(SPEC, moving_to="/elsewhere")
    assert aspects(spec, replace(LIVE, save_path="/elsewhere")) == set()


def test_what_the_catalog_says_otherwise_is_found_by_name() -> None:
    projected = replace(SPEC, sequential=True, save_path="/old", category="not compared")
    found = differences(SPEC, None, projected)
    assert [(each.other, each.aspect) for each in found] == [
        (Other.CATALOG, Aspect.SEQUENTIAL),
        (Other.CATALOG, Aspect.SAVE_PATH),
    ]
    assert reason_of(found) == (
        "sequential was yes in the catalog, no is stored; "
        "save_path was /old in the catalog, /data is stored"
    )


def test_a_reason_stays_short_however_many_files_there_are() -> None:
    many = tuple(FileEntry(index, f"{index}", 1) for index in range(10_000))
    spec = replace(SPEC, priorities=(1,) * 10_000)
    found = differences(spec, replace(LIVE, priorities=(0,) * 10_000), None, many)
    assert "9988 more" in reason_of(found)
    assert len(reason_of(found)) < 200
