"""What does a log record look like, and can anything in it break out of its line?"""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from revaer.adapters.telemetry.logs import (
    MAX_VALUE_LENGTH,
    LogLevels,
    configure_logs,
    line_of,
    parse_levels,
)
from revaer.domain.errors import InvalidInputError
from revaer.domain.plain_text import encodable, escaped, stripped

KEY = "c0ffee0123456789"


@pytest.fixture
def logging_kept() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("revaer.test.loud").setLevel(logging.NOTSET)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", LogLevels(logging.WARNING)),
        ("info", LogLevels(logging.INFO)),
        ("DEBUG", LogLevels(logging.DEBUG)),
        (
            "revaer.runtime=debug",
            LogLevels(logging.WARNING, {"revaer.runtime": logging.DEBUG}),
        ),
        (
            "error, actors=info ,revaer = debug,",
            LogLevels(logging.ERROR, {"actors": logging.INFO, "revaer": logging.DEBUG}),
        ),
    ],
)
def test_levels_are_read(text: str, expected: LogLevels) -> None:
    assert parse_levels(text) == expected


@pytest.mark.parametrize("text", ["loud", "revaer=", "=debug", "revaer=loud", "info;debug"])
def test_a_level_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"REVAER_LOG: .* is not a log level\. Write"):
        parse_levels(text)


def test_a_line_has_time_level_logger_event_and_fields_in_order() -> None:
    event = {
        "timestamp": "2026-11-20T12:00:00.000000Z",
        "level": "warning",
        "logger": "revaer.runtime.session",
        "event": "resume_data_rejected",
        "info_hash": "ab",
        "reason": "file is shorter",
        "count": 3,
        "empty": "",
    }
    assert line_of(event) == (
        "2026-11-20T12:00:00.000000Z warning revaer.runtime.session resume_data_rejected "
        'info_hash=ab reason="file is shorter" count=3 empty=""'
    )


@given(st.text(st.characters(), max_size=80), st.text(st.characters(), max_size=80))
def test_no_value_breaks_out_of_its_line(event: str, value: str) -> None:
    line = line_of({"event": event, "value": value})
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in line)
    assert not any(char in line for char in "\u202e\u2066\u2028\u2029\u200f\u061c")
    assert line == line.encode().decode()


def test_a_long_value_is_cut() -> None:
    assert len(line_of({"event": "x", "value": "y" * 100_000})) < MAX_VALUE_LENGTH + 100


@pytest.mark.usefixtures("logging_kept")
def test_records_of_both_libraries_come_as_lines_of_one_form() -> None:
    out = io.StringIO()
    configure_logs(LogLevels(logging.WARNING), out)
    structlog.get_logger("revaer.test").warning("torrent_lost", name="a\nb\x1b[2J")
    logging.getLogger("actors.test").warning("took %s s", 3)
    structlog.get_logger("revaer.test").info("not_shown")
    first, second = out.getvalue().splitlines()
    assert first.endswith('warning revaer.test torrent_lost name="a\\x0ab\\x1b[2J"')
    assert second.endswith("warning actors.test took 3 s")


@pytest.mark.usefixtures("logging_kept")
def test_one_logger_can_say_more_than_the_others() -> None:
    out = io.StringIO()
    configure_logs(parse_levels("revaer.test.loud=debug"), out)
    structlog.get_logger("revaer.test.loud").debug("heard")
    structlog.get_logger("revaer.test").info("not_heard")
    assert [line.split()[-1] for line in out.getvalue().splitlines()] == ["heard"]


@pytest.mark.usefixtures("logging_kept")
def test_a_traceback_stays_on_the_line_of_its_record() -> None:
    out = io.StringIO()
    configure_logs(LogLevels(), out)
    try:
        int("of two\nlines")
    except ValueError:
        structlog.get_logger("revaer.test").exception("it_broke")
    (line,) = out.getvalue().splitlines()
    assert "it_broke" in line
    assert "of two" in line
    assert "ValueError" in line


@pytest.mark.usefixtures("logging_kept")
def test_without_a_stream_lines_go_to_whatever_standard_error_is_now(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(LogLevels())
    logging.getLogger("actors.test").error("late")
    assert capsys.readouterr().err.endswith("error   actors.test late\n")


@pytest.mark.usefixtures("logging_kept")
def test_configuring_twice_does_not_say_everything_twice() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logs(LogLevels(), first)
    configure_logs(LogLevels(), second)
    logging.getLogger("actors.test").error("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_text_is_stripped_or_escaped() -> None:
    assert stripped("a\x1b[1m\u202eb\x9bc\ud800") == "a[1mbc"
    assert escaped("a\x1b\n\u202e\x9b\ud800é") == "a\\x1b\\x0a\\u202e\\x9b\\ud800é"
    assert encodable("a\ud800b") == "a\ufffdb"


@pytest.mark.parametrize(
    "event",
    [
        {"event": "torrent_not_restored", "cause": f"tracker https://t.example/{KEY}/announce: no"},
        {"event": "added", "uri": f"magnet:?tr=https%3A%2F%2Ft.example%2F{KEY}&xt=urn:btih:abc"},
        {"event": "told", "specs": [f"udp://t.example:80/{KEY}", f"https://{KEY}@t.example"]},
        {"event": f"https://t.example/announce?passkey={KEY}"},
        {"event": "crashed", "exception": f"Trouble\nno URL: 'http://t.example/{KEY}'\n"},
    ],
)
def test_no_passkey_of_a_tracker_reaches_a_line(event: dict[str, object]) -> None:
    line = line_of(event)

    assert KEY not in line
    assert "t.example" in line or "xt=urn:btih:abc" in line
