"""What does a list of 10,000 torrents cost a reader, and what does a report cost the writer?"""

import itertools
import random
import time

from revaer.domain.ids import Revision
from revaer.domain.reducer import apply
from revaer.runtime.board import by_torrent
from revaer.runtime.board_table import BoardTable, RowChange
from tests.bench.harness import Figure, at_least, at_most, interleaved, percentile
from tests.bench.world import JsonProjection, hash_of, known, progress

TORRENTS = 10_000
CHANGED = 100


def run() -> dict[str, Figure]:
    """Measure the table alone, in one thread."""
    table = BoardTable([JsonProjection()])
    fill(table)
    projection = JsonProjection()
    steps = itertools.count(1)

    def report(count: int) -> None:
        step = next(steps)
        numbers = random.Random(step).sample(range(TORRENTS), count)
        commit(table, [progress(number, step) for number in numbers])

    def encode_all() -> bytes:
        return b",".join([projection.encode(record) for record in table.records()])

    size_bytes = len(table.joined("json"))
    unchanged = interleaved(lambda: table.joined("json"), encode_all)
    changed_s: list[float] = []
    delta_s: list[float] = []
    for _ in range(30):
        seen = table.revision
        report(CHANGED)
        began = time.perf_counter()
        delta(table, seen)
        delta_s.append(time.perf_counter() - began)
        report(CHANGED)  # others than the delta has just encoded
        began = time.perf_counter()
        table.joined("json")
        changed_s.append(time.perf_counter() - began)
    joined_ms = percentile(changed_s, 50) * 1000
    single_s = apply_cost_s(table, batch=1)
    batched_s = apply_cost_s(table, batch=100)
    return {
        "joined, size": Figure(size_bytes / 1e6, "MB"),
        "joined, nothing changed": Figure(unchanged.first_s * 1000, "ms", at_most(12)),
        f"joined, {CHANGED} to {2 * CHANGED} changed": Figure(joined_ms, "ms", at_most(15)),
        "encode all, no fragments": Figure(unchanged.second_s * 1000, "ms"),
        "encode all / joined": Figure(1 / unchanged.ratio, "x", at_least(5)),
        f"delta of {CHANGED} changed": Figure(percentile(delta_s, 50) * 1000, "ms", at_most(5)),
        "apply and commit a status alone": Figure(single_s * 1e6, "us", at_most(25)),
        "apply and commit a status of a batch": Figure(batched_s * 1e6, "us", at_most(20)),
        "reducer alone, a status": Figure(reducer_cost_s() * 1e6, "us", at_most(15)),
    }


def fill(table: BoardTable) -> None:
    """Make all torrents known."""
    commit(table, [fact for number in range(TORRENTS) for fact in known(number)])


def commit(table: BoardTable, facts: list) -> None:  # type: ignore[type-arg]
    """What the board's actor does with a message."""
    changes = []
    for info_hash, of_torrent in by_torrent(facts).items():
        applied = apply(table.get(info_hash), of_torrent)
        changes.append(RowChange(info_hash, applied.record, applied.mask))
    table.commit(changes)


def delta(table: BoardTable, seen: Revision) -> bytes:
    """What a polling client gets."""
    changes = table.changes_since(seen)
    if changes is None:
        raise RuntimeError("the journal is shorter than one poll")
    fragments = (table.fragment("json", info_hash) for info_hash in changes.changed)
    return b",".join([fragment for fragment in fragments if fragment is not None])


def apply_cost_s(table: BoardTable, *, batch: int) -> float:
    """Median seconds per status."""
    step = int(1e6) * batch
    costs: list[float] = []
    for start in range(0, 2_000, batch):
        facts = [progress(number, step + start) for number in range(start, start + batch)]
        began = time.perf_counter()
        commit(table, list(facts))
        costs.append((time.perf_counter() - began) / batch)
    return percentile(costs, 50)


def reducer_cost_s() -> float:
    """Median seconds per status."""
    record = apply(None, known(1)).record
    costs: list[float] = []
    for step in range(1, 20_000):
        fact = progress(1, step)
        began = time.perf_counter()
        record = apply(record, (fact,)).record
        costs.append(time.perf_counter() - began)
    if record is None or record.status.info_hash != hash_of(1):
        raise RuntimeError("the reducer lost the torrent")
    return percentile(costs, 50)
