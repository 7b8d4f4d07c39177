"""Do 10,000 busy torrents leave the process responsive, and what does each of them cost?

Everything is real: the system with its workers, one coalescer per torrent, the board that
applies every report, the hub with a listener to one torrent in ten. Meanwhile one thread asks a
bystander actor, and one reads torrents off the board as an HTTP request does.
"""

import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from actors import (
    ActorSystem,
    Address,
    ChildSpec,
    DynamicSupervisor,
    MailboxFull,
    PooledActor,
    Restart,
    StartChild,
    Strategy,
    Supervisor,
)
from revaer.adapters.environment.interpreter import tune_interpreter
from revaer.domain.events import PublishedEvent, TorrentProgress
from revaer.runtime.board import ApplyFacts, BoardActor
from revaer.runtime.board_table import BoardTable
from revaer.runtime.event_hub import EventHub, HubFeed
from revaer.runtime.event_ring import EventRing
from revaer.runtime.intake import FactIntake
from revaer.runtime.progress import ProgressCoalescer, TorrentFacts
from revaer.runtime.tree import POOL_WORKERS
from tests.bench.harness import Figure, at_least, at_most, percentile, rss_bytes
from tests.bench.world import JsonProjection, hash_of, known, progress

TORRENTS = 10_000
UPDATES_PER_TICK = 2_000
TICK_S = 0.1
TICKS = 40
STARTUP_S = 60.0


class Bystander(PooledActor):
    """Answers at once, when it gets its turn."""

    def on_receive(self, message: Any) -> Any:
        """Echo."""
        return message


@dataclass(frozen=True, slots=True)
class Load:
    """What a stretch of load did."""

    ticks: int
    applied: int
    current: float
    cpu_s: float
    asks_s: Sequence[float]
    reads_s: Sequence[float]


class Tree:
    """The part of Revaer that a status passes through."""

    def __init__(self) -> None:
        """Plan it."""
        self.table = BoardTable([JsonProjection()])
        self.feed = HubFeed(EventRing(wall_clock=time.time))
        intake = FactIntake()
        coalescer = Restart.TRANSIENT
        children = (
            ChildSpec(name="events", factory=lambda: EventHub(self.feed)),
            ChildSpec(name="board", factory=lambda: BoardActor(self.table, intake=intake)),
            ChildSpec(name="bystander", factory=Bystander),
            ChildSpec(
                name="coalescers",
                factory=lambda: DynamicSupervisor(
                    template=lambda key: ChildSpec(
                        name=key,
                        factory=lambda: ProgressCoalescer(intake=intake),
                        restart=coalescer,
                    )
                ),
            ),
        )
        self.system = ActorSystem(
            ChildSpec(
                name="root",
                factory=lambda: Supervisor(strategy=Strategy.ONE_FOR_ONE, children=children),
            ),
            workers=POOL_WORKERS,
        )

    def start(self) -> None:
        """Start it, with every torrent on the board."""
        self.system.start(timeout_s=STARTUP_S)
        board = self.system.address("board")
        for start in range(0, TORRENTS, 500):
            facts = [fact for number in range(start, start + 500) for fact in known(number)]
            board.ask(ApplyFacts(tuple(facts)), timeout_s=STARTUP_S)

    def coalescers(self, count: int) -> list[Address]:
        """Have a coalescer for each of the first `count` torrents; returns their addresses."""
        supervisor = self.system.address("coalescers")
        return [
            supervisor.ask(StartChild(hash_of(number)), timeout_s=STARTUP_S)
            for number in range(count)
        ]

    def settle(self, addresses: Sequence[Address]) -> None:
        """Wait until everything sent so far is on the board."""
        for address in addresses:
            address.ask(TorrentFacts(hash_of(0), ()), timeout_s=STARTUP_S)
        self.system.address("board").ask(ApplyFacts(()), timeout_s=STARTUP_S)


def run() -> dict[str, Figure]:
    """Measure the same load with the interpreter's defaults and with the service's settings."""
    tree = Tree()
    tree.start()
    try:
        gc.collect()
        memory, threads = rss_bytes(), threading.active_count()
        addresses = tree.coalescers(TORRENTS)
        for number, address in enumerate(addresses):
            address.tell(TorrentFacts(hash_of(number), (progress(number, 1),)))
        tree.settle(addresses)
        gc.collect()
        each_kib = (rss_bytes() - memory) / 1024 / TORRENTS
        more_threads = threading.active_count() - threads
        idle = under_load(tree, addresses, updates=0)
        usual = under_load(tree, addresses)
        with tuned():
            best = under_load(tree, addresses)
    finally:
        tree.feed.close()
        tree.system.stop()
    figures = {
        "threads for 10,000 coalescers": Figure(more_threads, "", at_most(0)),
        "memory of each": Figure(each_kib, "KiB", at_most(10)),
        "no load, ask p99": Figure(percentile(idle.asks_s, 99) * 1000, "ms"),
    }
    figures["load average of the machine, this bench included"] = Figure(os.getloadavg()[0], "")
    figures |= shown(usual, "defaults, ", judged=False) | shown(best, "tuned, ", judged=True)
    figures["ask p99, defaults / tuned"] = Figure(
        percentile(usual.asks_s, 99) / percentile(best.asks_s, 99), "x"
    )
    return figures


def shown(load: Load, label: str, *, judged: bool) -> dict[str, Figure]:
    """The figures of one stretch of load."""
    all_done = at_least(1) if judged else None
    quick = at_most(20) if judged else None
    sent = TICKS * UPDATES_PER_TICK
    return {
        f"{label}ticks done / ideal": Figure(load.ticks / TICKS, "x", all_done),
        f"{label}torrents that show their last report": Figure(load.current, "x", all_done),
        f"{label}reports announced / sent": Figure(load.applied * 10 / sent, "x"),
        f"{label}processor of each report": Figure(load.cpu_s / sent * 1e6, "us"),
        f"{label}ask p50": Figure(percentile(load.asks_s, 50) * 1000, "ms"),
        f"{label}ask p99": Figure(percentile(load.asks_s, 99) * 1000, "ms", quick),
        f"{label}board read p50": Figure(percentile(load.reads_s, 50) * 1000, "ms"),
        f"{label}board read p99": Figure(percentile(load.reads_s, 99) * 1000, "ms", quick),
    }


@contextmanager
def tuned() -> Iterator[None]:
    """The settings of a process of Revaer's own, for the length of a `with` block."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    tune_interpreter()
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


_step = 1


def under_load(tree: Tree, addresses: Sequence[Address], updates: int = UPDATES_PER_TICK) -> Load:
    """Send `updates` reports each tick, and see how the others fare."""
    stop = threading.Event()
    asks: list[float] = []
    reads: list[float] = []
    seen = [0]
    bystander = tree.system.address("bystander")
    onlookers = [
        onlooker(stop, asks, lambda n: bystander.ask(n, timeout_s=10)),
        onlooker(stop, reads, lambda n: tree.table.fragment("json", hash_of(n % TORRENTS))),
        threading.Thread(target=listen, args=(tree.feed, stop, seen)),
    ]
    for thread in onlookers:
        thread.start()
    cpu = time.process_time()
    ticks = drive(addresses, updates)
    tree.settle(addresses if updates else ())
    cpu_s = time.process_time() - cpu
    eventually_quiet(seen)
    stop.set()
    for thread in onlookers:
        thread.join(30)
    return Load(ticks, seen[0], up_to_date(tree, updates), cpu_s, asks, reads)


def drive(addresses: Sequence[Address], updates: int) -> int:
    """What the pump does, with prepared reports; returns the ticks that were done in time."""
    global _step  # noqa: PLW0603 - reports differ from all earlier ones of the run
    pause = threading.Event()
    prepared: list[list[tuple[Address, TorrentFacts]]] = []
    for tick in range(TICKS):
        _step += 1
        numbers = [(tick * updates + n) % TORRENTS for n in range(updates)]
        prepared.append(
            [(addresses[n], TorrentFacts(hash_of(n), (progress(n, _step),))) for n in numbers]
        )
    done = 0
    start = time.perf_counter()
    for tick, messages in enumerate(prepared):
        pause.wait(max(0.0, start + tick * TICK_S - time.perf_counter()))
        for address, message in messages:
            with suppress(MailboxFull):
                address.tell(message)
        done += time.perf_counter() <= start + (tick + 1) * TICK_S
    return done


def up_to_date(tree: Tree, updates: int) -> float:
    """The part of the torrents with a report in the last round that show it."""
    torrents_per_round = min(TORRENTS, updates * TICKS)
    ticks_per_round = torrents_per_round // max(1, updates)
    expected = {
        (tick * updates + n) % TORRENTS: _step - (TICKS - 1 - tick)
        for tick in range(TICKS - ticks_per_round, TICKS)
        for n in range(updates)
    }
    shown = (tree.table.get(hash_of(number)) for number in expected)
    current = sum(
        record is not None and record.status.sequence == step
        for record, step in zip(shown, expected.values(), strict=True)
    )
    return current / max(1, len(expected))


def onlooker(
    stop: threading.Event, taken_s: list[float], action: Callable[[int], object]
) -> threading.Thread:
    """A thread that does something every few milliseconds and notes how long it takes."""

    def look() -> None:
        number = 0
        while not stop.wait(0.003):
            number += 1
            began = time.perf_counter()
            action(number)
            taken_s.append(time.perf_counter() - began)

    return threading.Thread(target=look)


def listen(feed: HubFeed, stop: threading.Event, seen: list[int]) -> None:
    """Count the progress of one torrent in ten: nobody reads 20,000 events per second."""
    heard = [hash_of(number) for number in range(0, TORRENTS, 10)]
    subscription = feed.subscribe(["torrent.*"], torrents=heard, capacity=1_000_000)
    while not stop.is_set():
        delivery = subscription.next(0.2)
        if isinstance(delivery, PublishedEvent) and isinstance(delivery.event, TorrentProgress):
            seen[0] += 1
    subscription.close()


def eventually_quiet(seen: list[int]) -> None:
    """Wait until the listener has read everything."""
    pause = threading.Event()
    last = -1
    while seen[0] != last:
        last = seen[0]
        pause.wait(0.5)
