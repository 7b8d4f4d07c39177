"""Which names, categories and tags may people give?"""

import pytest

from revaer.domain.errors import InvalidInputError
from revaer.domain.labels import MAX_TAGS, check_category, check_name, check_tags


@pytest.mark.parametrize(
    "name", ["Film (2026)", "日本語 ümlaut", "<img src=x>", "$(touch X);`id`|x"]
)
def test_a_name_may_be_any_line_of_text(name: str) -> None:
    assert check_name(f" {name}\n") == name


@pytest.mark.parametrize(
    "name", ["", "  ", "a\nb", "a\x1b[31mb", "a\u202eb", "x" * 1_001, "a\ud800b", "a\0b"]
)
def test_a_name_that_could_not_be_shown_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError):
        check_name(name)


@pytest.mark.parametrize("category", ["", "tv", "tv/anime", "Filme & Serien"])
def test_categories_may_have_parents_and_may_be_none(category: str) -> None:
    assert check_category(category) == category


@pytest.mark.parametrize("category", ["/tv", "tv/", "a//b", "a\\b", "a\tb", "x" * 256])
def test_a_category_that_no_client_could_write_is_refused(category: str) -> None:
    with pytest.raises(InvalidInputError):
        check_category(category)


def test_tags_are_sorted_and_each_stands_once() -> None:
    assert check_tags(("b", "a ", "b")) == ("a", "b")


@pytest.mark.parametrize(
    "tags",
    [("a,b",), ("",), ("a\nb",), tuple(f"tag-{number}" for number in range(MAX_TAGS + 1))],
    ids=["comma", "empty", "line break", "too many"],
)
def test_tags_that_lists_could_not_carry_are_refused(tags: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError):
        check_tags(tags)
