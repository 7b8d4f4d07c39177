"""How do people write and read sizes, rates and durations?"""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revaer.domain.errors import InvalidInputError
from revaer.domain.rates import (
    FOREVER_S,
    MAX_RATE,
    MAX_SIZE_BYTES,
    format_duration,
    format_limit,
    format_rate,
    format_size,
    parse_rate,
    parse_size,
)

quick = settings(deadline=None, max_examples=300)


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        (None, 0),
        pytest.param(0, 0, id="zero"),
        ("0", 0),
        ("0 MB/s", 0),
        ("unlimited", 0),
        (" None ", 0),
        ("OFF", 0),
        pytest.param(5_000_000, 5_000_000, id="plain"),
        ("5000000", 5_000_000),
        ("5 MB/s", 5_000_000),
        ("5MB/s", 5_000_000),
        ("5mb/s", 5_000_000),
        ("  5  MB / s ", 5_000_000),
        ("5 MB/sec", 5_000_000),
        ("5 MB", 5_000_000),
        ("2M", 2_000_000),
        ("2m", 2_000_000),
        ("2M/s", 2_000_000),
        ("500 KiB/s", 512_000),
        ("500 kib/s", 512_000),
        ("500k", 500_000),
        ("500Ki", 512_000),
        ("1.5 MiB/s", 1_572_864),
        (".5M", 500_000),
        ("1.9 B/s", 1),
        ("100 B/s", 100),
        ("100 bytes/s", 100),
        ("100/s", 100),
        ("40 Mbit/s", 5_000_000),
        ("40 mbits/s", 5_000_000),
        ("40 Mbps", 5_000_000),
        ("800 bps", 100),
        ("8 Kibit/s", 1024),
        (MAX_RATE, MAX_RATE),
    ],
)
def test_a_rate_is_read(value: str | int | None, rate: int) -> None:
    assert parse_rate(value) == rate


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "fast",
        "-1",
        pytest.param(-1, id="below 0"),
        "5 MX/s",
        "5 MB/h",
        "5 MB/min",
        "1,5 MB/s",
        "1e6",
        "1_000",
        "5i",
        "\u0665 MB/s",
        "5 MB/s/s",
        "nan",
        "inf",
        "0x10",
        "MB/s",
        "0.5 B/s",
        "0.1",
        "7 bit/s",
        "3G",
        MAX_RATE + 1,
        pytest.param(10**5000, id="a number of 5,001 digits"),
        pytest.param("9" * 5000, id="a text of 5,000 digits"),
        True,
        1.5,
    ],
)
def test_any_other_rate_is_refused_with_the_forms_that_are_accepted(value: str | int) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_rate(value)
    message = str(caught.value)
    for form in ("5 MB/s", "2M", "500 KiB/s", "5000000", "0 for unlimited"):
        assert form in message
    if isinstance(value, str):
        assert repr(value)[:30].rstrip("'") in message
    assert len(message) < 400


@pytest.mark.parametrize("value", ["5 Mb/s", "5 Kb", "5Gb/s", "5 Mib/s"])
def test_what_may_be_bits_or_bytes_is_asked_back(value: str) -> None:
    with pytest.raises(InvalidInputError, match="bits or bytes"):
        parse_rate(value)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        pytest.param(0, 0, id="zero"),
        ("0", 0),
        ("700 MB", 700_000_000),
        ("4.7 GB", 4_700_000_000),
        ("1 KiB", 1024),
        ("1 TiB", 1 << 40),
        ("2 P", 2 * 10**15),
        (MAX_SIZE_BYTES, MAX_SIZE_BYTES),
    ],
)
def test_a_size_is_read(value: str | int, size: int) -> None:
    assert parse_size(value) == size


@pytest.mark.parametrize("value", ["5 MB/s", "unlimited", "10000 P", "", "-5", False])
def test_any_other_size_is_refused(value: str | int) -> None:
    with pytest.raises(InvalidInputError, match="5 MiB"):
        parse_size(value)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (1536, "1.50 KiB"),
        (10 * 1024, "10.0 KiB"),
        (10 * 1024 - 1, "10.0 KiB"),
        (1023 * 1024, "1023.0 KiB"),
        (1024 * 1024 - 1, "1.00 MiB"),
        (1024**3, "1.00 GiB"),
        (1024**6, "1.00 EiB"),
        (1024**7, "1024.0 EiB"),
        (-1536, "-1.50 KiB"),
    ],
)
def test_a_size_is_shown(size: int, text: str) -> None:
    assert format_size(size) == text


def test_rates_and_limits_are_shown() -> None:
    assert format_rate(0) == "0 B/s"
    assert format_rate(1_572_864) == "1.50 MiB/s"
    assert format_limit(0) == "unlimited"
    assert format_limit(-1) == "unlimited"
    assert format_limit(1024) == "1.00 KiB/s"


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (None, "∞"),
        (FOREVER_S, "∞"),
        (math.inf, "∞"),
        (math.nan, "∞"),
        (-3, "0s"),
        (0, "0s"),
        (0.9, "0s"),
        (59.9, "59s"),
        (60, "1m 00s"),
        (200, "3m 20s"),
        (3599, "59m 59s"),
        (3600, "1h 00m"),
        (7500, "2h 05m"),
        (86_400, "1d 00h"),
        (FOREVER_S - 1, "99d 23h"),
    ],
)
def test_a_duration_is_shown_by_its_two_largest_units(duration_s: float | None, text: str) -> None:
    assert format_duration(duration_s) == text


@quick
@given(st.integers(0, 2**60))
def test_a_shown_size_reads_back_to_within_one_in_a_hundred(size: int) -> None:
    text = format_size(size)
    assert len(text) <= len("1023.9 KiB")
    if "EiB" not in text:
        assert abs(parse_size(text) - size) <= size / 100


@quick
@given(st.integers(0, MAX_RATE))
def test_plain_bytes_are_read_exactly(rate: int) -> None:
    assert parse_rate(rate) == parse_rate(str(rate)) == parse_rate(f"{rate} B/s") == rate


@quick
@given(st.text(max_size=80))
def test_any_text_is_a_rate_or_refused_and_never_lifts_a_limit_by_accident(text: str) -> None:
    try:
        rate = parse_rate(text)
    except InvalidInputError:
        return
    assert 0 <= rate <= MAX_RATE
    if rate == 0:
        assert text.strip().lower() in {"unlimited", "none", "off"} or not (
            set(text) & set("123456789")
        )


@quick
@given(st.floats(0, FOREVER_S - 1))
def test_a_longer_duration_never_shows_a_smaller_leading_unit(duration_s: float) -> None:
    units = "smhd"
    shorter, longer = format_duration(duration_s / 2), format_duration(duration_s)
    assert units.index(shorter.split()[0][-1]) <= units.index(longer.split()[0][-1])
