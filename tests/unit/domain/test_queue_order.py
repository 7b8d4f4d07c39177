"""Whose ranks change when a torrent moves in the queue, and what order comes of it?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.queue_order import queue_key, reranked
from revaer.domain.torrent import QueueMove, TorrentSpec


def line_of(*ranks: int) -> list[TorrentSpec]:
    return [
        TorrentSpec(
            info_hash=InfoHash(f"{number:040x}"),
            name=str(number),
            save_path="/data",
            added_at=EpochSeconds(1),
            queue_rank=rank,
        )
        for number, rank in enumerate(ranks)
    ]


def names(line: list[TorrentSpec]) -> str:
    return "".join(spec.name for spec in sorted(line, key=queue_key))


def moved(line: list[TorrentSpec], number: int, move: QueueMove) -> list[TorrentSpec]:
    changed = {spec.info_hash: spec for spec in reranked(line, line[number].info_hash, move)}
    return [changed.get(spec.info_hash, spec) for spec in line]


@pytest.mark.parametrize(
    ("number", "move", "order", "changed"),
    [
        (2, QueueMove.UP, "0213", 2),
        (2, QueueMove.DOWN, "0132", 2),
        (2, QueueMove.TOP, "2013", 1),
        (1, QueueMove.BOTTOM, "0231", 1),
        (0, QueueMove.UP, "0123", 0),
        (3, QueueMove.DOWN, "0123", 0),
        (0, QueueMove.TOP, "0123", 0),
        (3, QueueMove.BOTTOM, "0123", 0),
    ],
)
def test_a_move_changes_few_ranks(number: int, move: QueueMove, order: str, changed: int) -> None:
    line = line_of(1, 2, 5, 9)

    assert names(moved(line, number, move)) == order
    assert len(reranked(line, line[number].info_hash, move)) == changed


def test_torrents_of_the_same_rank_can_pass_each_other() -> None:
    assert names(moved(line_of(0, 0, 0, 0), 2, QueueMove.UP)) == "0213"


def test_one_that_stands_in_no_line_moves_nobody() -> None:
    assert reranked(line_of(1, 2), InfoHash("f" * 40), QueueMove.TOP) == ()


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(QueueMove)), max_size=12),
)
def test_any_moves_end_in_the_order_that_a_list_would_have(
    ranks: list[int], moves: list[tuple[int, QueueMove]]
) -> None:
    line = line_of(*ranks)
    expected = list(names(line))
    for pick, move in moves:
        number = pick % len(line)
        line = moved(line, number, move)
        at = expected.index(str(number))
        goal = {
            QueueMove.UP: max(at - 1, 0),
            QueueMove.DOWN: at + 1,
            QueueMove.TOP: 0,
            QueueMove.BOTTOM: len(expected),
        }[move]
        expected.remove(str(number))
        expected.insert(goal, str(number))

    assert names(line) == "".join(expected)
