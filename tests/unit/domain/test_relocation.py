"""Where are the files after an interrupted move, and which renames are possible?"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revaer.domain.errors import ConflictError, InvalidInputError
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.relocation import (
    Whereabouts,
    file_renamed,
    folder_renamed,
    folders_of,
    paths_of,
    refuse_collisions,
    top_level_of,
    whereabouts,
    with_renames,
)
from revaer.domain.torrent import (
    FileEntry,
    Metainfo,
    TorrentRecord,
    TorrentSpec,
    TorrentStatus,
    files_of,
    renamed,
)

FILES = (
    FileEntry(0, "show/film.mkv", 100),
    FileEntry(1, "show/subs/en.srt", 5),
    FileEntry(2, "show/.pad/7", 7, is_pad=True),
    FileEntry(3, "show/subs/de.srt", 5),
)
HASH = InfoHash("a" * 40)
SPEC = TorrentSpec(info_hash=HASH, name="show", save_path="/data", added_at=EpochSeconds(1))
METAINFO = Metainfo(name="show", files=FILES, total_size_bytes=110, piece_length=16, piece_count=8)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("", "", Whereabouts.NOWHERE),
        ("abc", "", Whereabouts.OLD),
        ("abc", "ab", Whereabouts.OLD),
        ("abc", "abc", Whereabouts.OLD),
        ("", "abc", Whereabouts.NEW),
        ("c", "abc", Whereabouts.NEW),
        ("bc", "a", Whereabouts.SPLIT),
        ("bc", "ab", Whereabouts.SPLIT),
    ],
)
def test_what_lies_where_says_which_place_holds(old: str, new: str, found: Whereabouts) -> None:
    assert whereabouts(set(old), set(new)) is found


@given(files=st.integers(0, 6), steps=st.integers(0, 12), across=st.booleans())
def test_wherever_a_move_stops_no_place_is_chosen_that_lacks_a_file(
    files: int, steps: int, *, across: bool
) -> None:
    everything = {str(number) for number in range(files)}
    copied = {str(number) for number in range(min(steps, files))}
    if not across:  # renamed one by one
        old, new = everything - copied, copied
    else:  # all copied, then deleted one by one
        deleted = {str(number) for number in range(max(steps - files, 0))}
        old, new = everything - deleted, copied
    found = whereabouts(old, new)

    chosen = {Whereabouts.OLD: old, Whereabouts.NEW: new}.get(found)
    assert chosen is None or chosen == everything


def test_padding_never_lies_on_a_disk() -> None:
    assert paths_of(FILES) == ("show/film.mkv", "show/subs/en.srt", "show/subs/de.srt")
    assert top_level_of(paths_of(FILES)) == ("show",)
    assert folders_of(("a", "b/c", "b/d")) == ("", "b")


def test_a_file_gets_another_path() -> None:
    assert file_renamed(FILES, 0, "show/new.mkv") == {0: "show/new.mkv"}
    assert file_renamed(FILES, 0, "show/film.mkv") == {}


@pytest.mark.parametrize("index", [-1, 2, 4])
def test_an_index_that_no_file_or_only_padding_has_is_refused(index: int) -> None:
    with pytest.raises(InvalidInputError, match=str(index)):
        file_renamed(FILES, index, "x")


def test_all_files_below_a_folder_get_another_path() -> None:
    assert folder_renamed(FILES, "show/subs", "show/text") == {
        1: "show/text/en.srt",
        3: "show/text/de.srt",
    }
    assert folder_renamed(FILES, "show", "The Show")[0] == "The Show/film.mkv"
    assert folder_renamed(FILES, "show", "show") == {}


@pytest.mark.parametrize("folder", ["sho", "show/film.mkv", "show/.pad", "", "nothing"])
def test_what_is_no_folder_of_the_torrent_is_refused(folder: str) -> None:
    with pytest.raises(InvalidInputError, match="no folder"):
        folder_renamed(FILES, folder, "x")


@pytest.mark.parametrize(
    "changes",
    [
        {0: "show/subs/en.srt"},
        {0: "show/subs"},
        {0: "show/subs/en.srt/film.mkv"},
        {0: "x", 1: "x"},
        {0: "x", 1: "x/y"},
        {0: "show/film.mkv/film.mkv"},
        {1: "show/subs/de.srt"},
    ],
    ids=[
        "another file",
        "a folder",
        "below a file",
        "twice the same",
        "below a new one",
        "below itself",
        "one that moves, too",
    ],
)
def test_paths_in_each_others_way_are_refused(changes: dict[int, str]) -> None:
    with pytest.raises(ConflictError):
        refuse_collisions(FILES, changes)


def test_free_paths_are_no_collision() -> None:
    refuse_collisions(FILES, {0: "show/new.mkv", 1: "text/en.srt"})


def test_renames_are_laid_over_those_before() -> None:
    spec = replace(SPEC, renames=((1, "old"), (3, "kept")))

    assert with_renames(spec, {1: "new", 0: "first"}) == ((0, "first"), (1, "new"), (3, "kept"))


def test_files_lie_under_the_paths_that_they_were_given() -> None:
    spec = replace(SPEC, renames=((1, "text/en.srt"), (99, "nobody")))

    files = files_of(spec, METAINFO)

    assert [entry.path for entry in files][:2] == ["show/film.mkv", "text/en.srt"]
    assert [entry.size_bytes for entry in files] == [entry.size_bytes for entry in FILES]
    assert renamed(files, spec.renames) == files
    assert files_of(SPEC, METAINFO) is METAINFO.files


@pytest.mark.parametrize(
    ("renames", "content_path"),
    [
        ((), "/data/show"),
        (((0, "S/film.mkv"), (1, "S/en.srt"), (3, "S/de.srt")), "/data/S"),
        (((0, "film.mkv"),), "/data"),
    ],
    ids=["as named", "root renamed", "one taken out"],
)
def test_the_content_path_follows_renames(
    renames: tuple[tuple[int, str], ...], content_path: str
) -> None:
    record = TorrentRecord(
        spec=replace(SPEC, renames=renames), metainfo=METAINFO, status=TorrentStatus(HASH)
    )

    assert record.content_path == content_path
    assert record.files == files_of(record.spec, METAINFO)


def test_the_content_path_of_a_single_file_is_the_file() -> None:
    single = replace(METAINFO, files=(FileEntry(0, "film.mkv", 100),))
    record = TorrentRecord(
        spec=replace(SPEC, renames=((0, "Film.mkv"),)),
        metainfo=single,
        status=TorrentStatus(HASH),
    )

    assert record.content_path == "/data/Film.mkv"
