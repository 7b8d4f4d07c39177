"""Which files does a selection leave, and which rules are refused before they do harm?"""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revaer.domain.errors import SelectionError
from revaer.domain.globs import MAX_PATTERN_LENGTH, Glob, fold
from revaer.domain.selection import (
    FLUFF_FRACTION,
    MAX_RULES,
    PRESETS,
    SKIP_FLUFF,
    SKIPPED,
    WANTED,
    RuleKind,
    SelectionRule,
    SelectionRules,
    check,
    priorities_for,
    wanted_count,
)
from revaer.domain.torrent import LIBTORRENT_DEFAULT_PRIORITY, FileEntry

MIB = 1 << 20
quick = settings(deadline=None, max_examples=200)

names = st.text(st.sampled_from("aAbB.-_ éß[]*?"), min_size=1, max_size=12)
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
patterns = st.text(st.sampled_from("aAb.*?/[]!-"), min_size=1, max_size=12)


def files(*named: str | tuple[str, int]) -> tuple[FileEntry, ...]:
    pairs = [(entry, MIB) if isinstance(entry, str) else entry for entry in named]
    return tuple(FileEntry(index, path, size) for index, (path, size) in enumerate(pairs))


def is_valid(pattern: str) -> bool:
    try:
        Glob(pattern)
    except SelectionError:
        return False
    return True


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("film.mkv", "film.mkv", True),
        ("film.mkv", "film.mkvx", False),
        ("film.mkv", "filmxmkv", False),
        ("*.mkv", "film.mkv", True),
        ("*.mkv", ".mkv", True),
        ("*", "a/b", False),
        ("?", "/", False),
        ("f?lm", "film", True),
        ("f?lm", "flm", False),
        ("a/*/c", "a/b/c", True),
        ("a/*/c", "a/b/b/c", False),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/b/c", True),
        ("a/**/c", "a/bc", False),
        ("**/c", "c", True),
        ("**/c", "a/b/c", True),
        ("**/c", "a/xc", False),
        ("a/**", "a/b/c", True),
        ("a/**", "a", False),
        ("a/**", "a/", False),
        ("a/", "a/b/c", True),
        ("a/", "ab/c", False),
        ("a**c", "a/b/c", True),
        ("a**/c", "ax/b/c", True),
        ("**", "a/b", True),
        ("***", "a/b", True),
        ("**a*b", "a/ab", True),
        ("[ab].mkv", "b.mkv", True),
        ("[ab].mkv", "c.mkv", False),
        ("[a-c]x", "bx", True),
        ("[!a-c]x", "bx", False),
        ("[^a-c]x", "dx", True),
        ("a[!b]c", "a/c", False),
        ("[]]", "]", True),
        ("[!]]", "a", True),
        ("[[]1]", "[1]", True),
        ("[*]", "*", True),
        ("[*]", "a", False),
        ("[a-]", "-", True),
        ("{a,b}", "{a,b}", True),
        ("FILM.Mkv", "film.mKV", True),
        ("[A-C]", "b", True),
        ("ÉTÉ*", "été.mkv", True),
        ("e\u0301t\u0301", "ét\u0301", True),
        ("stra?e", "straße", True),
        ("a.b", "a\nb", False),
        ("a?b", "a\nb", True),
    ],
    ids=lambda value: repr(value) if isinstance(value, str) else str(value),
)
def test_a_glob_matches_whole_names(pattern: str, name: str, fits: bool) -> None:  # noqa: FBT001 a table's column
    assert Glob(pattern).matches(fold(name)) is fits


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("/etc/*", "absolute"),
        ("../x", "'..'"),
        ("a/../b", "'..'"),
        ("./a", "'.'"),
        ("a//b", "''"),
        ("a\\b", "backslash"),
        ("[ab", "never closed"),
        ("[]", "never closed"),
        ("[z-a]", "`a-z`"),
        ("[a/b]", "outside of the brackets"),
        ("x" * (MAX_PATTERN_LENGTH + 1), str(MAX_PATTERN_LENGTH)),
        ("@no_such", SKIP_FLUFF),
        ("@", SKIP_FLUFF),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_with_its_remedy(pattern: str, why: str) -> None:
    with pytest.raises(SelectionError) as caught:
        SelectionRules.parse([("exclude", pattern)])
    assert why in str(caught.value)
    assert repr(pattern)[:40].rstrip("'") in str(caught.value)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(SelectionError, match=r"'maybe'.*`include` or `exclude`"):
        SelectionRules.parse([("maybe", "*.mkv")])


def test_a_preset_cannot_be_included() -> None:
    with pytest.raises(SelectionError, match="as an exclude"):
        SelectionRules.parse([("include", SKIP_FLUFF)])


def test_too_many_rules_are_refused() -> None:
    with pytest.raises(SelectionError, match=str(MAX_RULES)):
        SelectionRules.of(exclude=["*.txt"] * (MAX_RULES + 1))


def test_rules_that_came_from_a_store_are_checked_where_they_are_applied() -> None:
    damaged = SelectionRules((SelectionRule(RuleKind.EXCLUDE, "[a"),))
    with pytest.raises(SelectionError, match="never closed"):
        priorities_for(damaged, files("a.mkv"))


def test_rules_keep_the_order_and_the_words_they_were_given_in() -> None:
    given_rules = [("include", "*.mkv"), ("exclude", SKIP_FLUFF), ("exclude", "Extras/*")]
    parsed = SelectionRules.parse(given_rules)
    assert [(rule.kind.value, rule.pattern) for rule in parsed.rules] == given_rules
    assert not parsed.is_empty
    assert SelectionRules.parse([]).is_empty


@pytest.mark.parametrize(
    ("rules", "chosen"),
    [
        ([], "abcd"),
        ([("exclude", "*.txt")], "acd"),
        ([("include", "*.mkv")], "ac"),
        ([("include", "extras/*")], "cd"),
        ([("include", "root/EXTRAS/*")], "cd"),
        ([("include", "root/*")], "ab"),
        ([("include", "*/*")], "abcd"),
        ([("include", "extras/")], "cd"),
        ([("exclude", "extras/*"), ("include", "*.mkv")], "a"),
        ([("include", "*.mkv"), ("exclude", "extras/*")], "ac"),
        ([("include", "extras/c.mkv"), ("exclude", "extras/**"), ("include", "*")], "abc"),
        ([("include", "**/b.*"), ("include", "d.*")], "bd"),
    ],
    ids=[
        "no rules: everything",
        "an exclude leaves the rest",
        "an include leaves out the rest",
        "below the root folder",
        "with the root folder",
        "a star stays in its folder",
        "any folder",
        "a folder stands for its content",
        "exclude first",
        "include first",
        "three deep",
        "two includes",
    ],
)
def test_the_first_rule_that_matches_decides(rules: list[tuple[str, str]], chosen: str) -> None:
    entries = files("root/a.mkv", "root/b.txt", "root/extras/c.mkv", "root/extras/d.srt")
    priorities = priorities_for(SelectionRules.parse(rules), entries)
    assert priorities == tuple(WANTED if letter in chosen else SKIPPED for letter in "abcd")


def test_wanted_is_what_libtorrent_gives_by_itself() -> None:
    assert WANTED == LIBTORRENT_DEFAULT_PRIORITY


def test_lists_put_excludes_before_the_preset_and_the_preset_before_includes() -> None:
    rules = SelectionRules.of(include=["*.mkv"], exclude=["*bonus*"], skip_fluff=True)
    entries = files(
        ("film.mkv", 900 * MIB), ("film-sample.mkv", 20 * MIB), ("bonus.mkv", 90 * MIB), "a.srt"
    )
    assert priorities_for(rules, entries) == (WANTED, SKIPPED, SKIPPED, SKIPPED)


def test_a_torrent_without_a_folder_of_its_own_is_matched_by_whole_paths_only() -> None:
    entries = files("a/x.mkv", "b/x.mkv")
    assert priorities_for(SelectionRules.of(include=["a/x.mkv"]), entries) == (WANTED, SKIPPED)
    with pytest.raises(SelectionError):
        priorities_for(SelectionRules.of(include=["sub/x.mkv"]), entries)


def test_padding_keeps_its_priority_and_does_not_count_as_something_to_download() -> None:
    entries = (FileEntry(0, "r/a.mkv", 5), FileEntry(1, ".pad/3", 3, is_pad=True))
    assert priorities_for(SelectionRules.of(include=["a.mkv"]), entries) == (WANTED, WANTED)
    with pytest.raises(SelectionError, match="nothing to download"):
        priorities_for(SelectionRules.of(exclude=["*"]), entries)


def test_rules_that_skip_every_file_are_refused_by_name() -> None:
    with pytest.raises(SelectionError, match=r"nothing to download.*'\*\.iso'"):
        priorities_for(SelectionRules.of(include=["*.iso"]), files("a.mkv", "b.mkv"))


def test_a_torrent_without_files_is_left_alone() -> None:
    assert priorities_for(SelectionRules.of(include=["*.iso"]), ()) == ()


def test_wanted_files_are_counted_without_padding() -> None:
    entries = (FileEntry(0, "a", 5), FileEntry(1, "b", 5), FileEntry(2, "p", 5, is_pad=True))
    assert wanted_count((4, 0, 4), entries) == 1


FILM = ("Film.2026/Film.2026.mkv", 4000 * MIB)


@pytest.mark.parametrize(
    "path",
    [
        "Film.2026/film.nfo",
        "Film.2026/Visit us.URL",
        "Film.2026/film.sfv",
        "Film.2026/Sample/whatever.mkv",
        "Film.2026/sample.mkv",
        "Film.2026/film-sample.mkv",
        "Film.2026/film.sample.mp4",
        "Film.2026/Sample-film.avi",
        "Film.2026/Proof/x.jpg",
        "Film.2026/film-proof.jpg",
        "Film.2026/Screens/1.png",
        "Film.2026/Screenshots/1.png",
        "Film.2026/RARBG.txt",
        "Film.2026/Torrent downloaded from somewhere.txt",
        "Film.2026/Thumbs.db",
        "Film.2026/__MACOSX/x",
        "Film.2026/._film.mkv",
    ],
)
def test_fluff_is_skipped(path: str) -> None:
    rules = SelectionRules.of(skip_fluff=True)
    assert priorities_for(rules, files(FILM, path)) == (WANTED, SKIPPED)


@pytest.mark.parametrize(
    "path",
    [
        *(f"Film.2026/Subs/film.en.{kind}" for kind in ("srt", "sub", "idx", "ass", "vtt", "sup")),
        "Film.2026/film-sample.srt",
        "Film.2026/Sample/film.srt",
        "Film.2026/cover.jpg",
        "Film.2026/resampled.mkv",
        "Film.2026/The Samples - Live.mkv",
        "Film.2026/bulletproof.mkv",
        "Film.2026/readme.txt",
        "Film.2026/sample.wav",
        "Film.2026/Extras/making of.mkv",
    ],
)
def test_subtitles_and_payload_are_not_fluff(path: str) -> None:
    rules = SelectionRules.of(skip_fluff=True)
    assert priorities_for(rules, files(FILM, path)) == (WANTED, WANTED)


def test_no_preset_names_a_subtitle() -> None:
    for kind in ("srt", "sub", "idx", "ass", "ssa", "vtt", "sup", "smi", "mks"):
        for folder in ("", "Subs/", "sample/", "proof/"):
            for name in ("sample", "film-sample", "proof", "2_English"):
                path = fold(f"{folder}{name}.{kind}")
                for pattern in PRESETS[SKIP_FLUFF]:
                    name_only = path if "/" in pattern else path.rpartition("/")[2]
                    assert not Glob(pattern).matches(name_only), (pattern, path)


def test_what_looks_like_fluff_but_is_the_torrent_itself_is_kept() -> None:
    rules = SelectionRules.of(skip_fluff=True)
    entries = files(*((f"Screens/{index}.png", MIB) for index in range(5)))
    assert priorities_for(rules, entries) == (WANTED,) * 5
    assert priorities_for(rules, files("sample.mkv")) == (WANTED,)


def test_an_own_exclude_does_not_spare_the_biggest_file() -> None:
    entries = files(("sample.mkv", 900), ("a.srt", 1))
    assert priorities_for(SelectionRules.of(exclude=["sample.*"]), entries) == (SKIPPED, WANTED)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_applied(name: str) -> None:
    check(SelectionRules.parse([("exclude", name)]))


fluffy = st.sampled_from(["._", "a.nfo", "r/sample.mkv", "r/Proof/a.jpg", "r/a.url", "thumbs.db"])


@quick
@given(st.lists(st.tuples(paths | fluffy, st.integers(0, 10**9)), min_size=1, max_size=20))
def test_the_preset_never_skips_a_main_file(named: list[tuple[str, int]]) -> None:
    entries = files(*named)
    biggest = max(entry.size_bytes for entry in entries)
    priorities = priorities_for(SelectionRules.of(skip_fluff=True), entries)
    for entry, priority in zip(entries, priorities, strict=True):
        if entry.size_bytes == biggest or entry.size_bytes * FLUFF_FRACTION > biggest:
            assert priority == WANTED


@quick
@given(
    st.lists(st.tuples(st.sampled_from(RuleKind), patterns.filter(is_valid)), max_size=5),
    st.lists(paths, min_size=1, max_size=8),
)
def test_the_same_rules_always_choose_the_same_files(
    rules: list[tuple[RuleKind, str]], named: list[str]
) -> None:
    parsed = SelectionRules.parse(rules)
    outcomes: list[object] = []
    for _ in range(2):
        try:
            outcomes.append(priorities_for(parsed, files(*named)))
        except SelectionError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    if isinstance(outcomes[0], tuple):
        assert len(outcomes[0]) == len(named)
        assert set(outcomes[0]) <= {WANTED, SKIPPED}


def reference_match(pattern: str, name: str) -> bool:
    """The glob language told once more, by plain recursion; without classes and whole `**`."""
    if not pattern:
        return not name
    stars = len(pattern) - len(pattern.lstrip("*"))
    if stars:
        reach = len(name) if stars > 1 or "/" not in name else name.index("/")
        return any(reference_match(pattern[stars:], name[at:]) for at in range(reach + 1))
    if not name or name[0] not in ("ab" if pattern[0] == "?" else pattern[0]):
        return False
    return reference_match(pattern[1:], name[1:])


@settings(deadline=None, max_examples=500)
@given(
    st.text(st.sampled_from("ab*?"), min_size=1, max_size=8).filter(lambda text: "**" not in text),
    st.text(st.sampled_from("ab/"), max_size=10),
)
def test_a_glob_means_what_plain_recursion_says(pattern: str, name: str) -> None:
    assert Glob(pattern).matches(name) == reference_match(pattern, name)


@settings(deadline=None, max_examples=500)
@given(
    st.text(st.sampled_from("ab"), min_size=1, max_size=3),
    st.text(st.sampled_from("ab*"), min_size=1, max_size=4).filter(lambda text: text[-1] != "*"),
    st.text(st.sampled_from("ab/"), max_size=10),
)
def test_two_stars_cross_folders_as_plain_recursion_says(head: str, tail: str, name: str) -> None:
    pattern = f"{head}**{tail}"
    assert Glob(pattern).matches(name) == reference_match(pattern, name)


@quick
@given(st.text(st.characters(blacklist_characters="\\/*?[]", min_codepoint=32), min_size=1))
def test_a_name_without_wildcards_matches_itself_in_any_letter_case(name: str) -> None:
    if is_valid(name):
        assert Glob(name).matches(fold(name))
        assert fold(fold(name)) == fold(name)


@quick
@given(patterns)
def test_any_text_is_compiled_or_refused_by_name(pattern: str) -> None:
    refusal = ""
    try:
        Glob(pattern).matches("a/b.c")
    except SelectionError as error:
        refusal = str(error)
    assert not refusal or repr(pattern) in refusal


@pytest.mark.parametrize(
    "letters",
    ["sampleproof-_. /mkvjpgnfo", "".join(map(chr, range(0x4E00, 0x9E00)))],
    ids=["those of the preset", "20,000 others"],
)
def test_thousands_of_hostile_names_are_judged_in_passing(letters: str) -> None:
    chance = random.Random(7)
    named = [(f"r/{index}{''.join(chance.choices(letters, k=80))}", 1) for index in range(2000)]
    entries = files(("r/film.mkv", 1000), *named)
    started = time.process_time()
    priorities_for(SelectionRules.of(skip_fluff=True), entries)
    assert time.process_time() - started < 5.0  # 0.2 s on a small machine


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*a" * 100 + "b", "a" * 4000),
        ("**a" * 100 + "b", "a/" * 2000),
        ("**/*a*" * 60 + "/b", "a/" * 2000),
        ("?*" * 200 + "b", "ab" * 2000 + "a"),
        ("[a-z]*" * 100 + "1", "abcdefgh" * 500),
    ],
    ids=["stars", "double stars", "folders", "question marks", "classes"],
)
def test_no_pattern_makes_a_long_name_slow(pattern: str, name: str) -> None:
    started = time.process_time()
    assert not Glob(pattern).matches(name)
    assert time.process_time() - started < 5.0  # a backtracking matcher needs years


def test_hostile_names_do_not_fill_the_memory() -> None:
    glob = Glob("*a*b*c*")
    for at in range(0, 0x20000, 64):
        glob.matches("".join(map(chr, range(0x20000 + at, 0x20000 + at + 64))))
    assert len(glob._steps) <= 16_384


@quick
@given(st.lists(patterns.filter(is_valid), max_size=5), paths)
def test_patterns_compiled_together_fit_what_any_of_them_fits(
    several: list[str], name: str
) -> None:
    together = Glob(*several).matches(fold(name))
    assert together == any(Glob(pattern).matches(fold(name)) for pattern in several)
