"""What does no engine ever hear of, whoever asks?"""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revaer.domain import engine_input
from revaer.domain.errors import InvalidInputError, PathRefusedError

parts = st.sampled_from(["", ".", "..", "a", "b c", "…", "a\0b", "\ud800"])


@given(st.lists(parts, min_size=1, max_size=5))
def test_a_file_s_path_that_is_accepted_stays_below_its_directory(names: list[str]) -> None:
    path = "/".join(names)
    try:
        engine_input.check_file_path(path)
    except PathRefusedError:
        assert {"", ".", "..", "a\0b", "\ud800"} & set(names)
    else:
        whole = PurePosixPath("/data") / path
        assert whole.is_relative_to("/data")
        assert whole != PurePosixPath("/data")
        assert ".." not in whole.parts


@pytest.mark.parametrize("path", ["/a/b", "/", "/a b/…"])
def test_an_absolute_directory_is_accepted(path: str) -> None:
    engine_input.check_save_path(path)


def test_trackers_are_sorted_by_tier_and_told_once_with_the_lowest() -> None:
    given_ones = [("http://b/", 3), ("http://a/", 1), ("http://b/", 0)]
    assert engine_input.check_trackers(given_ones) == [("http://b/", 0), ("http://a/", 1)]


@pytest.mark.parametrize(
    "url", ["http://h/announce", "https://h:443/a?k=1", "udp://[::1]:80", "wss://h/a"]
)
def test_a_tracker_s_url_is_accepted(url: str) -> None:
    assert engine_input.check_trackers([(url, 255)]) == [(url, 255)]


def test_a_refusal_does_not_repeat_what_may_be_secret() -> None:
    with pytest.raises(InvalidInputError, match="must be a URL") as refused:
        engine_input.check_trackers([("https://t.example/c0ffee01/ announce", 0)])
    assert "c0ffee01" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["udp://h:1/", "h/announce", "http://", "http://h h/", "http://[::"]
)
def test_what_is_no_web_seed_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError):
        engine_input.check_web_seeds([url])


def test_more_web_seeds_than_anybody_needs_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="1001"):
        engine_input.check_web_seeds([f"http://h/{index}" for index in range(1_001)])


@given(st.ip_addresses())
def test_an_address_reads_back_as_itself(address: object) -> None:
    assert engine_input.check_address("a peer", str(address)) == str(address)


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0.1/8", "10.0.0.1-2", "fe80::1%eth0"])
def test_what_is_no_single_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="a peer"):
        engine_input.check_address("a peer", text)


@pytest.mark.parametrize("value", [-2, 2**31, 2**40])
def test_a_number_that_would_wrap_is_refused_by_name(value: int) -> None:
    with pytest.raises(InvalidInputError, match="max_uploads"):
        engine_input.check_number("max_uploads", value, -1)
