"""When is a living engine handed over, and when is it replaced?"""

from dataclasses import replace
from typing import cast

import pytest

from revaer.domain.errors import EngineDownError
from revaer.domain.ids import BytesPerSecond
from revaer.domain.limits import SessionLimits
from revaer.ports.engine import EngineSettings, TorrentEngine
from revaer.runtime.engine_holder import EngineHolder


class Opened:
    """Stands for an engine of which only opening and closing matter here."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.is_closed = False
        self.interest: frozenset[str] = frozenset()

    def set_interest(self, topics: frozenset[str]) -> None:
        self.interest = topics

    def close(self) -> None:
        self.is_closed = True


class Opener:
    """Counts what was opened."""

    def __init__(self) -> None:
        self.opened: list[Opened] = []

    def __call__(self, settings: EngineSettings) -> TorrentEngine:
        assert all(engine.is_closed for engine in self.opened), "two engines at once"
        self.opened.append(Opened(settings))
        return cast("TorrentEngine", self.opened[-1])


def test_nothing_is_opened_before_somebody_needs_it() -> None:
    opener = Opener()
    holder = EngineHolder(opener, EngineSettings())

    assert not opener.opened
    with pytest.raises(EngineDownError):
        holder.current()


def test_a_successor_adopts_the_living_engine() -> None:
    opener = Opener()
    holder = EngineHolder(opener, EngineSettings())
    first = holder.acquire()
    holder.confirm()

    second = holder.acquire()

    assert not first.is_adopted
    assert second.is_adopted
    assert second.engine is first.engine


def test_a_second_failed_adoption_rebuilds_the_engine() -> None:
    opener = Opener()
    holder = EngineHolder(opener, EngineSettings())
    holder.acquire()
    holder.confirm()

    failed = [holder.acquire(), holder.acquire()]
    rebuilt = holder.acquire()

    assert all(lease.is_adopted for lease in failed)
    assert not rebuilt.is_adopted
    assert [engine.is_closed for engine in opener.opened] == [True, False]


def test_a_confirmed_adoption_starts_the_count_anew() -> None:
    opener = Opener()
    holder = EngineHolder(opener, EngineSettings())
    holder.acquire()
    for _ in range(5):
        assert holder.acquire() is not None
        holder.confirm()

    assert len(opener.opened) == 1


def test_a_condemned_engine_is_never_adopted() -> None:
    opener = Opener()
    holder = EngineHolder(opener, EngineSettings())
    holder.acquire()
    holder.confirm()

    holder.condemn()

    assert not holder.acquire().is_adopted
    assert opener.opened[0].is_closed


def test_limits_changed_while_running_hold_for_a_rebuilt_engine() -> None:
    opener = Opener()
    holder = EngineHolder(opener, EngineSettings())
    holder.acquire()
    limits = SessionLimits(download=BytesPerSecond(7), upload=BytesPerSecond(3))
    holder.remember(holder.memory.with_limits(limits))

    holder.condemn()
    holder.acquire()

    assert opener.opened[-1].settings.download_limit == 7
    assert opener.opened[-1].settings.upload_limit == 3


def test_a_rebuilt_engine_starts_with_the_limits_that_hold_not_with_the_usual_ones() -> None:
    opener = Opener()
    holder = EngineHolder(opener, EngineSettings(download_limit=BytesPerSecond(9)))
    holder.acquire()
    limits = holder.memory.limits
    alternative = replace(limits, alternative_download=BytesPerSecond(5), use_alternative=True)
    holder.remember(holder.memory.with_limits(alternative))

    holder.condemn()
    holder.acquire()

    assert opener.opened[-1].settings.download_limit == 5
    assert holder.memory.settings.download_limit == 9


def test_a_failed_open_leaves_nothing_behind_and_can_be_tried_again() -> None:
    attempts: list[int] = []
    opener = Opener()

    def open_second_time(settings: EngineSettings) -> TorrentEngine:
        attempts.append(1)
        if len(attempts) == 1:
            raise EngineDownError("port in use")
        return opener(settings)

    holder = EngineHolder(open_second_time, EngineSettings())
    with pytest.raises(EngineDownError):
        holder.acquire()

    assert not holder.acquire().is_adopted


def test_interest_reaches_the_engine_and_its_successors() -> None:
    opener = Opener()
    holder = EngineHolder(opener, EngineSettings())
    holder.set_interest(frozenset({"piece"}))
    holder.acquire()
    holder.set_interest(frozenset({"peer"}))

    holder.condemn()
    holder.acquire()

    assert [engine.interest for engine in opener.opened] == [{"peer"}, {"peer"}]
