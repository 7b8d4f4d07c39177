"""The tree as a report. Only copies what the actors' threads have noted; never asks anybody.

One node is a plain dict, ready for JSON. Its `status` rolls up: `failing` when it or anything
below it has failed or holds an abandoned thread, `degraded` when something is on its way back,
`ok` otherwise. Dynamic children appear as counts by state and the worst few.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from actors.dynamic import DynamicSupervisor
from actors.life import Life
from actors.lifecycle import ChildState
from actors.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.directory import Slot
    from actors.kit import Kit

Node: TypeAlias = dict[str, Any]

MOST_DYNAMIC_CHILDREN_SHOWN = 20

_ORDER = ("ok", "degraded", "failing")
_STATUS = {
    ChildState.ABSENT: "degraded",
    ChildState.STARTING: "degraded",
    ChildState.RUNNING: "ok",
    ChildState.STOPPING: "degraded",
    ChildState.BACKING_OFF: "degraded",
    ChildState.STOPPED: "ok",
    ChildState.FAILED: "failing",
}


def report(slot: Slot, kit: Kit) -> Node:
    """The node of a name, and all nodes below it."""
    return _Reporter(kit).node(slot)


def worst(statuses: Iterable[str]) -> str:
    """The worst of some statuses; `ok` for none."""
    return max(statuses, key=_ORDER.index, default="ok")


def first_not_running(slot: Slot) -> tuple[str, str] | None:
    """The first permanent actor at or below a name that does not run, and why; None: all run."""
    for child in slot.children:
        found = first_not_running(child) if child.permanent else None
        if found is not None:
            return found
    if slot.state is ChildState.RUNNING:
        return None
    last = slot.last_error
    if last is None:
        return slot.path, f"it is {slot.state}"
    return slot.path, ": ".join(part for part in (last.type_name, last.message) if part)


def first_held(slot: Slot) -> Slot | None:
    """The first permanent actor at or below a name that failed and waits for another try."""
    if slot.state is ChildState.FAILED:
        # Without a time it is about to take its supervisor along, which then tells.
        return None if slot.retry_at is None else slot
    if slot.state not in {ChildState.STARTING, ChildState.RUNNING}:
        return None  # what stands below is of an instance that is gone
    below = (first_held(child) for child in slot.children if child.permanent)
    return next((found for found in below if found is not None), None)


class _Reporter:
    """Reads one moment of a system: all nodes of a report share the two clock readings."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._now = kit.clock()
        self._wall = kit.wall_clock()

    def node(self, slot: Slot) -> Node:
        life = slot.current if isinstance(slot.current, Life) else None
        node: Node = {
            "name": slot.name,
            "path": slot.path,
            "kind": life.kind if life is not None else None,
            "state": slot.state.value,
            "since": self._at(slot.since),
            "generation": slot.generation,
            "restarts": slot.restarts,
            "attempt": slot.attempt,
            "retry_in_s": None if slot.retry_at is None else max(0.0, slot.retry_at - self._now),
            "last_error": self._last_error(slot),
            "mailbox": _mailbox(life),
            "messages": self._messages(life),
            "dead_letters": slot.lost,
            "abandoned": slot.abandoned,
            "abandoned_total": slot.abandoned_total,
            "children": [],
        }
        statuses = [_STATUS[slot.state]]
        if slot.abandoned:
            statuses.append("failing")
        if slot.children:
            node["children"] = [self.node(child) for child in slot.children]
            statuses += [child["status"] for child in node["children"]]
        actor = life.hooks if life is not None else None
        if isinstance(actor, Supervisor) and actor.has_shell:
            node["kind"] = "supervisor"
            node["strategy"] = actor.strategy.value
            node["limit"] = _limit(actor)
            node["restarts_in_window"] = actor.shell.core.restarts_in_window(self._now)
        elif isinstance(actor, DynamicSupervisor) and actor.has_shell:
            statuses.append(self._add_dynamic(node, actor))
        node["status"] = worst(statuses)
        return node

    def _add_dynamic(self, node: Node, actor: DynamicSupervisor) -> str:
        counts: Mapping[ChildState, int] = actor.counts
        by_state = {state: counts.get(state, 0) for state in ChildState}
        stuck = actor.abandoned
        node["kind"] = "dynamic_supervisor"
        node["limit_per_child"] = _limit(actor)
        node["children_by_state"] = {state.value: n for state, n in by_state.items() if n}
        node["children_abandoned"] = stuck
        node["children"] = [self.node(slot) for slot in actor.worst(MOST_DYNAMIC_CHILDREN_SHOWN)]
        statuses = [
            _STATUS[state]
            for state in (ChildState.BACKING_OFF, ChildState.FAILED)
            if by_state[state]
        ]
        return worst([*statuses, "failing"] if stuck else statuses)

    def _at(self, moment: float) -> str:
        """A moment on the system's clock as wall clock time, UTC."""
        at: datetime = self._wall - timedelta(seconds=self._now - moment)
        return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _last_error(self, slot: Slot) -> Node | None:
        last = slot.last_error
        if last is None:
            return None
        return {
            "type": last.type_name,
            "message": last.message,
            "cause": last.cause.value,
            "at": self._at(last.at),
            "count": last.count,
        }

    def _messages(self, life: Life | None) -> Node | None:
        if life is None:
            return None
        busy_since = life.busy_since
        latency_s = life.last_latency_s
        return {
            "handled": life.handled,
            "failed": life.failed,
            "last_latency_ms": None if latency_s is None else round(latency_s * 1000, 3),
            "busy_for_s": None if busy_since is None else round(self._now - busy_since, 3),
            "last_activity_age_s": round(max(0.0, self._now - life.last_activity), 3),
        }


def _mailbox(life: Life | None) -> Node | None:
    if life is None:
        return None
    stats = life.mailbox_stats
    return {
        "depth": stats.depth,
        "high_water": stats.high_water,
        "capacity": stats.capacity,
        "dropped": stats.dropped,
        "rejected": stats.rejected,
        "coalesced": stats.coalesced,
    }


def _limit(actor: Supervisor | DynamicSupervisor) -> Node:
    return {"max_restarts": actor.limit.max_restarts, "window_s": actor.limit.window_s}
