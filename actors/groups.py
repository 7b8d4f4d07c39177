"""Who else is concerned, and in which order: what a supervisor's strategy says. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.lifecycle import ChildState
from actors.spec import Strategy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Reversible

    from actors.child import Child


def siblings_of(dead: Child, children: Iterable[Child], strategy: Strategy) -> Iterator[Child]:
    """The siblings that are restarted along with a child that died.

    Args:
        dead: the child that died.
        children: all of them, in start order.
        strategy: of their supervisor.
    """
    if strategy is Strategy.ONE_FOR_ONE:
        return
    after = False
    for child in children:
        if child is dead:
            after = True
        elif after or strategy is Strategy.ONE_FOR_ALL:
            yield child


def to_stop(children: Reversible[Child], *, everything: bool) -> Iterator[Child]:
    """Children to be told to stop, last first.

    Args:
        children: in start order.
        everything: all that live, not only those that are marked.
    """
    for child in reversed(children):
        if child.must_stop or (everything and child.live):
            yield child


def to_start(children: Collection[Child], strategy: Strategy) -> Iterator[Child]:
    """Children that may start, in start order.

    Each waits for all earlier siblings to be ready; with one_for_one it waits only at boot, until
    each of them has started or failed to. Lazy: what became of one decides about the next.

    Args:
        children: in start order; none of them is to be stopped first.
        strategy: of their supervisor.
    """
    if strategy is Strategy.ONE_FOR_ALL and any(map(_holds_the_group, children)):
        return
    all_decided = True
    for child in children:
        if child.wants_start and (all_decided or child.decided):
            yield child
        if strategy is not Strategy.ONE_FOR_ONE and not child.ready:
            return
        all_decided = all_decided and child.decided


def _holds_the_group(child: Child) -> bool:
    """one_for_all: the group starts together, when the delay of whoever died is over."""
    return child.state is ChildState.FAILED or (
        child.state is ChildState.BACKING_OFF and not child.due
    )
