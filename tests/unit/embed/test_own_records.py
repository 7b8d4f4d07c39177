"""Where do Revaer's log records go in a program that has, or has not, set logging up?"""

import logging
from collections.abc import Iterator

import pytest
import structlog

from revaer.ports.logs import logger


@pytest.fixture
def unconfigured() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("unconfigured")
def test_without_structlog_they_are_the_standard_library_s_and_nothing_is_printed(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO, logger="revaer.test.embedded"):
        logger("revaer.test.embedded").info("torrent_lost", info_hash="abc", left=3)

    (record,) = caplog.records
    assert record.name == "revaer.test.embedded"
    assert record.getMessage() == "event='torrent_lost' info_hash='abc' left=3"
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("unconfigured")
def test_a_level_that_is_off_stays_off(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="revaer.test.embedded"):
        logger("revaer.test.embedded").info("not_heard")

    assert caplog.records == []


@pytest.mark.usefixtures("unconfigured")
def test_an_exception_comes_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    try:
        int("planted")
    except ValueError:
        logger("revaer.test.embedded").exception("it_broke")

    assert "ValueError: invalid literal" in caplog.text


@pytest.mark.usefixtures("unconfigured")
def test_a_program_that_configured_structlog_gets_them_whole() -> None:
    seen: list[structlog.typing.EventDict] = []

    def keep(
        _logger: object, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        seen.append(dict(event))
        raise structlog.DropEvent

    log = logger("revaer.test.embedded")
    structlog.configure(processors=[keep])
    log.warning("torrent_lost", left=3)

    assert seen == [{"event": "torrent_lost", "left": 3}]
