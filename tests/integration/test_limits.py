"""Do limits hold on a real transfer, for a peer next door too, and do they change while it runs?"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from actors.testing import eventually
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.adapters.memory.engine import MemoryEngine
from revaer.domain import commands as cmd
from revaer.domain.events import Event, GuardRailRaised, HealthChanged, PublishedEvent
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.torrent import MetainfoSource
from revaer.ports.engine import EngineSettings
from revaer.ports.event_feed import Subscription
from tests.support.rig import LOOPBACK, EngineRig
from tests.support.soak import scaled
from tests.support.swarm import Payload, Seeder, make_payload

MB = 1_000_000
SOON_S = 20.0
SETTLED_WITHIN_S = 20.0
GLANCE_S = 2.0
MEAN_OVER_S = 5.0
TOLERANCE = 0.3
UNLIMITED = BytesPerSecond(0)


@pytest.fixture(scope="module")
def payloads(tmp_path_factory: pytest.TempPathFactory) -> tuple[Payload, ...]:
    where = tmp_path_factory.mktemp("seed")
    size = scaled(110, 220) * MB
    return tuple(
        make_payload(where / name, name, size, piece_length=1 << 18) for name in ("one", "two")
    )


@pytest.fixture(scope="module")
def seeder(payloads: tuple[Payload, ...]) -> Iterator[Seeder]:
    with Seeder(*payloads) as running:
        yield running


def opened(tmp_path: Path, settings: EngineSettings) -> EngineRig:
    return EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine, settings=settings)


def add(rig: EngineRig, payload: Payload, seeder: Seeder, download: int = 0) -> InfoHash:
    command = cmd.AddTorrent(
        source=MetainfoSource(payload.torrent),
        peers=(seeder.peer,),
        download_limit=BytesPerSecond(download),
    )
    return rig.gateway.execute(command, timeout_s=SOON_S).info_hash


def received(rig: EngineRig, *torrents: InfoHash) -> Callable[[], int]:
    """Payload bytes so far, as the engine counts them now."""
    engine = rig.holder.current()
    return lambda: sum(engine.status(one).downloaded_bytes for one in torrents)


def mean_rates(counts: Sequence[Callable[[], int]], over_s: float) -> list[float]:
    """Bytes per second of each, over the same stretch of time."""
    began, before = time.monotonic(), [count() for count in counts]
    eventually(lambda: time.monotonic() - began >= over_s, within_s=over_s + 5.0)
    took_s = time.monotonic() - began
    return [(count() - at) / took_s for count, at in zip(counts, before, strict=True)]


def assert_settles_at(*limits: tuple[int, Callable[[], int]]) -> None:
    """The rates come near their limits in time, and in the five seconds after that stay there.

    libtorrent hands out a limit in bursts: second by second it swings between nothing and twice
    the limit.
    """
    counts = [count for _, count in limits]
    wanted = pytest.approx([limit for limit, _ in limits], rel=TOLERANCE)
    began = time.monotonic()
    while mean_rates(counts, GLANCE_S) != wanted:
        assert time.monotonic() - began < SETTLED_WITHIN_S, "the rates never came near the limits"
    assert mean_rates(counts, MEAN_OVER_S) == wanted


def assert_read_back(rig: EngineRig, download: int, upload: int) -> None:
    engine = rig.holder.current()
    eventually(lambda: engine.global_limits() == (download, upload), within_s=2.0)


def hear(heard: Subscription, wanted: type[Event], within_s: float = SOON_S) -> Any:
    """The next event of a kind."""
    until = time.monotonic() + within_s
    while True:
        delivery = heard.next(until - time.monotonic())
        assert isinstance(delivery, PublishedEvent), f"no {wanted.__name__} within {within_s} s"
        if isinstance(delivery.event, wanted):
            return delivery.event


def test_stale_limits_are_a_health_cause_within_two_seconds_until_they_are_right(
    tmp_path: Path,
) -> None:
    rig = EngineRig(root=tmp_path / "out", open_engine=MemoryEngine)
    with rig:
        engine = cast("MemoryEngine", rig.holder.current())
        heard = rig.feed.subscribe(("health.changed", "limits.guard_rail"))
        engine.freeze_limits()

        rig.gateway.apply(cmd.SetGlobalLimits(BytesPerSecond(700 * MB), BytesPerSecond(MB)))

        assert hear(heard, GuardRailRaised) == GuardRailRaised("download", "high", 700 * MB)
        told = hear(heard, HealthChanged, within_s=2.0)
        assert (told.component, told.status) == ("limits", "degraded")
        assert "700000000 bytes/s" in told.cause
        engine.thaw_limits()
        assert hear(heard, HealthChanged) == HealthChanged("limits", "ok", "")
        assert engine.global_limits() == (700 * MB, MB)


@pytest.mark.soak
def test_the_sessions_limit_holds_on_loopback_and_follows_each_change_in_mid_transfer(
    tmp_path: Path, payloads: tuple[Payload, ...], seeder: Seeder
) -> None:
    first, *changes = (2 * MB, 4 * MB, 2 * MB)[: scaled(2, 3)]
    with opened(tmp_path, replace(LOOPBACK, download_limit=BytesPerSecond(first))) as rig:
        count = received(rig, add(rig, payloads[0], seeder))
        assert_read_back(rig, first, 0)
        assert_settles_at((first, count))

        for limit in changes:
            rig.gateway.apply(cmd.SetGlobalLimits(BytesPerSecond(limit), UNLIMITED))

            assert_read_back(rig, limit, 0)
            assert_settles_at((limit, count))


def test_alternative_limits_hold_while_they_are_on_and_a_torrents_own_within_them(
    tmp_path: Path, payloads: tuple[Payload, ...], seeder: Seeder
) -> None:
    with opened(tmp_path, replace(LOOPBACK, download_limit=BytesPerSecond(MB // 2))) as rig:
        limited = add(rig, payloads[0], seeder, download=MB)
        both = received(rig, limited, add(rig, payloads[1], seeder))

        rig.gateway.apply(cmd.SetAlternativeLimits(BytesPerSecond(3 * MB), BytesPerSecond(MB)))
        assert_read_back(rig, MB // 2, 0)
        rig.gateway.apply(cmd.UseAlternativeLimits(enabled=True))

        assert_read_back(rig, 3 * MB, MB)
        assert_settles_at((3 * MB, both), (MB, received(rig, limited)))
        rig.gateway.apply(cmd.UseAlternativeLimits(enabled=False))
        assert_read_back(rig, MB // 2, 0)


def test_a_low_upload_limit_does_not_slow_the_download(
    tmp_path: Path, payloads: tuple[Payload, ...], seeder: Seeder
) -> None:
    """With acknowledgements charged to it, as is libtorrent's default, it takes 50 s."""
    with opened(tmp_path, replace(LOOPBACK, upload_limit=BytesPerSecond(20_000))) as rig:
        count = received(rig, add(rig, payloads[0], seeder))

        eventually(lambda: count() > 40 * MB, within_s=15.0)
