"""What does each known kind of hostile torrent and magnet do to the whole tree?

Each is refused with one of Revaer's own errors, or accepted and then fed with data: in both cases
nothing outside of its save path appears, changes or is led to, and the process lives, answers in
time and stays small.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile import magnets, torrents
from tests.hostile.target import Answer
from tests.hostile.watched import Watched

LIMIT_S = 2.0
"""Of work, for one input. What else the machine does is not counted; a hang ends the process."""

Content = Callable[[], bytes | str]

SMALL: dict[str, Content] = {
    **dict(torrents.small_classes()),
    **{name: (lambda link=link: link) for name, link in magnets.all_classes()},  # type: ignore[misc]
}
LARGE: dict[str, Content] = dict(torrents.large_classes())

REFUSED = {
    *("path_marker", "path_marker_in_capitals", "path_marker_in_wide_letters", "path_staging"),
    *("path_marker_by_removed_character", "v2_path_marker", "v2_path_staging"),
    *("name_state_directory", "name_state_directory_in_capitals", "folder_name_state_directory"),
    *("path_deep_recursion", "v2_path_deep_recursion", "path_path_longer_than_the_system_takes"),
    *("length_negative", "length_past_64_bits", "v2_length_negative", "piece_length_zero"),
    *("pieces_missing", "pieces_one_too_few", "sizes_that_wrap_to_small", "empty", "cut_off"),
    *("nested_lists", "nested_dictionaries", "nested_in_info", "nested_without_end"),
    *("string_longer_than_the_file", "string_of_negative_length", "string_length_past_64_bits"),
    *("v2_root_missing", "v2_root_that_its_layer_does_not_give", "v2_layer_unknown"),
    *("v2_layer_too_long", "v2_layer_oversized", "hybrid_of_other_size", "hybrid_of_other_name"),
    *("magnet_empty", "magnet_without_hash", "magnet_hash_of_39", "magnet_hash_of_41"),
    *("magnet_hash_of_zeros", "magnet_huge", "magnet_v2_short", "magnet_control_characters"),
    *("magnet_of_another_scheme", "magnet_surrogate"),
    *("three_million_pieces", "three_million_pieces_by_size", "metadata_past_the_limit"),
    *("a_million_files", "as_many_files_as_fit", "as_many_v2_files_as_fit", "distinct_folders"),
    *("as_many_tokens_as_fit", "as_many_lists_as_fit", "as_many_trackers_as_fit"),
    *("as_many_web_seeds_as_fit", "as_many_duplicates_as_fit", "one_path_of_a_million_elements"),
}
"""Where acceptance would be a fault of ours; of the others libtorrent may decide either way."""

WRITTEN = {
    *("path_parent", "path_hidden_parent", "path_absolute", "path_backslash", "v2_path_parent"),
    *("name_parents", "name_absolute", "name_of_a_category", "folder_name_parents"),
    *("symlink_outside", "symlink_absolute", "symlink_to_parent", "duplicate_files"),
    *("pad_file_outside", "other_path_in_utf8_key", "v2_symlinks", "v2_sound", "hybrid_sound"),
}
"""Accepted by libtorrent 2.1.1, which mends them: the test must have seen their files."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with Watched(tmp_path_factory.mktemp("small"), "session") as process:
        yield process


@pytest.mark.parametrize("name", SMALL)
def test_a_hostile_form_is_refused_in_our_words_or_harms_nobody(
    watched: Watched, name: str
) -> None:
    answer = watched.send(name, SMALL[name]())
    check(answer)


@pytest.mark.parametrize("name", LARGE)
def test_a_hostile_size_costs_neither_time_nor_memory(tmp_path: Path, name: str) -> None:
    # A process of its own for each: what one input took stays with the allocator.
    with Watched(tmp_path, "session") as process:
        check(process.send(name, LARGE[name]()))


def check(answer: Answer) -> None:
    assert answer.ours, f"{answer.error_type}: {answer.refusal}"
    assert answer.outside == []
    assert answer.cpu_s < LIMIT_S
    assert len(answer.refusal) < 1_000
    assert all(char.isprintable() for char in answer.refusal)
    assert bool(answer.refusal) == bool(answer.error_type)
    if answer.name in REFUSED:
        assert answer.refusal
    if answer.name in WRITTEN:
        assert answer.files_written
