"""Which tracker and web seed addresses are taken, and what of them is shown?"""

import pytest

from revaer.domain.engine_input import MAX_TRACKERS, check_trackers
from revaer.domain.errors import ConflictError, InvalidInputError
from revaer.domain.redaction import redacted
from revaer.domain.source_urls import (
    check_tracker,
    check_web_seed,
    with_tracker_replaced,
    with_trackers,
    with_web_seeds,
    without_trackers,
    without_web_seeds,
)

PASSKEY = "c0ffee0123456789"
ONE = ("https://one.example/announce", 0)
TWO = ("udp://two.example:6969", 1)


@pytest.mark.parametrize(
    "url",
    [
        f"https://tracker.example/{PASSKEY}/announce",
        "http://192.0.2.1:6969/announce",
        "udp://tracker.example:80",
        "http://[2001:db8::1]:80/announce",
        "wss://tracker.example",
        "ws://tracker.example:8000/x?y=z",
    ],
)
def test_usual_trackers_are_taken_and_no_engine_refuses_them(url: str) -> None:
    assert check_tracker(f"  {url} ", 255) == (url, 255)
    assert check_trackers([check_tracker(url)]) == [(url, 0)]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "tracker.example/announce",
        "file:///etc/passwd",
        "ftp://tracker.example/announce",
        "https:///announce",
        "https://tracker.example:99999/announce",
        "https://tracker.example:0/announce",
        "https://tracker.example:port/announce",
        "udp://tracker.example",
        "https://me:secret@tracker.example/announce",
        "https://tracker.example/a b",
        "https://tracker.example/a\r\nHost: x",
        "https://tracker.example/\x00",
        "https://tracker.example/ümlaut",
        "https://[not-an-address/announce",
        "https://tracker.example/" + "x" * 5_000,
    ],
)
def test_what_is_no_tracker_is_refused_without_repeating_a_secret(url: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        check_tracker(url)

    assert "secret" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("tier", [-1, 256])
def test_a_tier_out_of_range_is_refused(tier: int) -> None:
    with pytest.raises(InvalidInputError, match=str(tier)):
        check_tracker(ONE[0], tier)


def test_only_http_serves_as_a_web_seed() -> None:
    assert check_web_seed("https://mirror.example/films/") == "https://mirror.example/films/"
    with pytest.raises(InvalidInputError, match="udp"):
        check_web_seed("udp://mirror.example:80")


def test_added_trackers_stand_by_tier_and_known_ones_stay_as_they_are() -> None:
    added = with_trackers([TWO], [(ONE[0], 0), (TWO[0], 7)])

    assert added == (ONE, TWO)


def test_one_bad_tracker_refuses_all() -> None:
    with pytest.raises(InvalidInputError):
        with_trackers([TWO], [ONE, ("nonsense", 0)])


def test_there_is_a_cap_and_whoever_is_past_it_already_may_stay() -> None:
    many = [(f"https://tracker{number}.example/", 0) for number in range(MAX_TRACKERS)]

    with pytest.raises(InvalidInputError, match=str(MAX_TRACKERS)):
        with_trackers(many, [ONE])

    assert len(with_trackers(many, many[:1])) == MAX_TRACKERS


def test_a_tracker_that_is_not_there_refuses_the_whole_removal() -> None:
    assert without_trackers([ONE, TWO], [ONE[0]]) == (TWO,)
    with pytest.raises(ConflictError, match="unknown"):
        without_trackers([ONE, TWO], [ONE[0], f"https://unknown.example/{PASSKEY}"])
    with pytest.raises(ConflictError) as refusal:
        without_trackers([ONE], [f"https://unknown.example/{PASSKEY}/announce"])
    assert PASSKEY not in str(refusal.value)


def test_an_edited_tracker_keeps_its_place_and_tier() -> None:
    new = "https://new.example/announce"

    assert with_tracker_replaced([ONE, TWO], TWO[0], new) == (ONE, (new, 1))
    assert with_tracker_replaced([ONE], ONE[0], ONE[0]) == (ONE,)
    with pytest.raises(ConflictError, match="already"):
        with_tracker_replaced([ONE, TWO], TWO[0], ONE[0])
    with pytest.raises(ConflictError, match="no tracker"):
        with_tracker_replaced([ONE], TWO[0], new)
    with pytest.raises(InvalidInputError):
        with_tracker_replaced([ONE], ONE[0], "gopher://x/")


def test_web_seeds_are_added_once_and_removed_wholly_or_not_at_all() -> None:
    seeds = with_web_seeds(["https://a.example/"], ["https://b.example/", "https://a.example/"])

    assert seeds == ("https://a.example/", "https://b.example/")
    assert without_web_seeds(seeds, ["https://a.example/"]) == ("https://b.example/",)
    with pytest.raises(ConflictError):
        without_web_seeds(seeds, ["https://a.example/", "https://c.example/"])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://t.example:443/{PASSKEY}/announce", "https://t.example:443/…"),
        (f"http://t.example?passkey={PASSKEY}", "http://t.example/…"),
        (f"https://me:{PASSKEY}@t.example/", "https://t.example"),
        ("udp://[2001:db8::1]:80/announce", "udp://[2001:db8::1]:80/…"),
        ("nonsense", "an address that cannot be read"),
        ("https://[broken", "an address that cannot be read"),
    ],
)
def test_what_may_be_secret_is_not_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_a_key_at_the_place_of_the_port_is_not_repeated() -> None:
    with pytest.raises(InvalidInputError, match="is not a usable URL") as refused:
        check_tracker(f"https://me:{PASSKEY}")
    assert PASSKEY not in str(refused.value)
