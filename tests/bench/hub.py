"""How long is a fact on its way from the pump's hand to a listener of the hub?"""

import threading
import time

from revaer.domain.events import PublishedEvent, TorrentProgress
from revaer.runtime.progress import PERIOD_S, TorrentFacts
from tests.bench.coalescers import STARTUP_S, Tree
from tests.bench.harness import Figure, at_most, percentile
from tests.bench.world import hash_of, progress

ROUNDS = 300
LISTENERS = 50


def run() -> dict[str, Figure]:
    """Measure one report at a time, with one listener and with many that never read."""
    tree = Tree()
    tree.start()
    try:
        alone = latencies_s(tree, first_step=10)
        stuck = [tree.feed.subscribe(capacity=10) for _ in range(LISTENERS)]
        crowded = latencies_s(tree, first_step=10_000)
        for listener in stuck:
            listener.close()
    finally:
        tree.feed.close()
        tree.system.stop()
    return {
        "fact to listener, p50": Figure(percentile(alone, 50) * 1000, "ms", at_most(5)),
        "fact to listener, p95": Figure(percentile(alone, 95) * 1000, "ms", at_most(50)),
        f"beside {LISTENERS} that never read, p50": Figure(
            percentile(crowded, 50) * 1000, "ms", at_most(5)
        ),
        f"beside {LISTENERS} that never read, p95": Figure(
            percentile(crowded, 95) * 1000, "ms", at_most(50)
        ),
        "crowded / alone, p50": Figure(percentile(crowded, 50) / percentile(alone, 50), "x"),
    }


def latencies_s(tree: Tree, *, first_step: int) -> list[float]:
    """Seconds from telling a coalescer to having the event, each for another torrent.

    A torrent's reports come apart by more than the coalescing period, so that what is measured
    is the way and not the wait.
    """
    coalescers = tree.coalescers(20)
    pause = threading.Event()
    taken_s: list[float] = []
    listener = tree.feed.subscribe(["torrent.progress"])
    for number in range(ROUNDS):
        torrent = number % len(coalescers)
        if torrent == 0:
            pause.wait(PERIOD_S * 1.2)
        fact = progress(torrent, first_step + number)
        began = time.perf_counter()
        coalescers[torrent].tell(TorrentFacts(hash_of(torrent), (fact,)))
        delivery = listener.next(STARTUP_S)
        taken_s.append(time.perf_counter() - began)
        if not isinstance(delivery, PublishedEvent) or not isinstance(
            delivery.event, TorrentProgress
        ):
            raise TypeError(f"the listener got {delivery!r} instead of the progress")
    listener.close()
    return taken_s
