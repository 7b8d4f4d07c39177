"""In which order waiting torrents get their turn, across restarts. Pure.

The engine keeps its queue in memory only and lines torrents up as they are added, so the order is
kept as a rank in each spec, and torrents are added in the order of their ranks.
"""

from collections.abc import Iterable
from dataclasses import replace

from revaer.domain.ids import InfoHash
from revaer.domain.torrent import QueueMove, TorrentSpec


def queue_key(spec: TorrentSpec) -> tuple[int, int, str]:
    """What torrents are sorted by: rank, then age."""
    return spec.queue_rank, spec.added_at, spec.info_hash


def reranked(
    line: Iterable[TorrentSpec], info_hash: InfoHash, move: QueueMove
) -> tuple[TorrentSpec, ...]:
    """Move one torrent in the line, and say whose ranks change: most often one, or two.

    Args:
        line: every torrent that waits for its turn, or has it and is not finished.
        info_hash: who moves; one that stands in no line stays where it is.
        move: where to.
    """
    order = sorted(line, key=queue_key)
    at = next((place for place, spec in enumerate(order) if spec.info_hash == info_hash), None)
    if at is None:
        return ()
    last = len(order) - 1
    goal = {
        QueueMove.UP: max(at - 1, 0),
        QueueMove.DOWN: min(at + 1, last),
        QueueMove.TOP: 0,
        QueueMove.BOTTOM: last,
    }[move]
    if goal == at:
        return ()
    moved = order.pop(at)
    order.insert(goal, moved)
    if move is QueueMove.TOP:
        return (replace(moved, queue_rank=order[1].queue_rank - 1),)
    if move is QueueMove.BOTTOM:
        return (replace(moved, queue_rank=order[-2].queue_rank + 1),)
    passed = order[at]
    ranks = [spec.queue_rank for spec in order]
    if ranks.count(passed.queue_rank) == ranks.count(moved.queue_rank) == 1:
        return (
            replace(moved, queue_rank=passed.queue_rank),
            replace(passed, queue_rank=moved.queue_rank),
        )
    return tuple(
        replace(spec, queue_rank=rank)
        for rank, spec in enumerate(order, start=order[0].queue_rank)
        if spec.queue_rank != rank
    )
