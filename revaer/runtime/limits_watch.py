"""Reads the session limits back and puts them right again."""

from collections.abc import Iterable
from typing import Final

from revaer.domain.facts import TorrentFact
from revaer.domain.limits import Rates
from revaer.ports.logs import logger
from revaer.runtime.session_parts import SessionParts

log = logger(__name__)

COMPONENT: Final = "limits"
FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 60.0


class LimitsWatch:
    """Compares what was asked for with what the engine says, each second.

    A change that did not take is seen within one tick, and so is a limit that changed on its own.
    It is asked for again after 1 s, then after twice as long each time, up to a minute: an engine
    that does not obey is not made to by asking more often.
    """

    def __init__(self, parts: SessionParts) -> None:
        """Share the session's parts."""
        self._parts = parts
        self._retry_s = FIRST_RETRY_S
        self._retry_at = 0.0
        self._wrong: tuple[Rates, Rates] | None = None

    def tick(self) -> Iterable[TorrentFact]:
        """Look, and ask again where the engine differs."""
        engine = self._parts.engine
        asked = self._parts.holder.memory.limits.effective
        found = Rates(*engine.global_limits())
        if found == asked:
            if self._wrong is not None:
                log.info("limits_in_force", download=found.download, upload=found.upload)
            self._wrong = None
            self._retry_s = FIRST_RETRY_S
            self._parts.health.set(COMPONENT, "")
            return ()
        now = self._parts.clock()
        if self._wrong is None:
            self._retry_at = now + self._retry_s
        if self._wrong != (asked, found):
            self._wrong = (asked, found)
            log.warning(
                "limits_not_in_force",
                asked_download=asked.download,
                asked_upload=asked.upload,
                found_download=found.download,
                found_upload=found.upload,
            )
            self._parts.health.set(COMPONENT, _cause(asked, found))
        elif now >= self._retry_at:
            self._retry_s = min(self._retry_s * 2, LONGEST_RETRY_S)
            self._retry_at = now + self._retry_s
            engine.set_global_limits(download=asked.download, upload=asked.upload)
        return ()


def _cause(asked: Rates, found: Rates) -> str:
    return (
        f"the engine limits download to {_said(found.download)} and upload to "
        f"{_said(found.upload)}, but {_said(asked.download)} and {_said(asked.upload)} were asked "
        "for; they are being set again. Restart Revaer's engine when this stays"
    )


def _said(limit: int) -> str:
    return f"{limit} bytes/s" if limit else "unlimited"
