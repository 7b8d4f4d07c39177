"""A supervisor with a fixed list of children."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from actors.actor import ThreadActor
from actors.lifecycle import (
    Boot,
    Cause,
    Exited,
    Fired,
    RestartChild,
    Started,
    Stop,
)
from actors.policy import SupervisorCore
from actors.shell import Shell
from actors.spec import Restart, RestartLimit, Strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.hooks import StopOrder
    from actors.lifecycle import Became
    from actors.spec import ChildSpec


STOP_SLACK_S = 1.0
"""What a supervisor gets beyond its children's limits: it has to see the last of them expire."""


class SupervisorActor(ThreadActor):
    """What both kinds of supervisors share: a core that decides and a shell that acts.

    It never waits for a child. It ends when its last child has, or when it has given up the last
    one that did not.
    """

    shell: Shell

    def on_signal(self, signal: object) -> None:
        """A child's report, a timer, an operator's wish."""
        if isinstance(signal, Started | Exited | Fired | RestartChild):
            self.shell.feed(signal)
        elif not self.shell.signal(signal):
            self.unknown(signal)

    def on_stop_order(self, order: StopOrder) -> None:
        """Stop the children, then end."""
        self.shell.hurry(order.deadline)
        self.shell.feed(Stop())

    def on_crash(self, reason: str, error: BaseException) -> None:  # noqa: ARG002 - same for all
        """Leave no child behind."""
        if self.has_shell:
            self.shell.tear_down()

    def on_given_up(self) -> None:
        """Take the children along."""
        if self.has_shell:
            self.shell.give_up_all()

    # --- told by the shell -----------------------------------------------------------------------

    def all_ready(self) -> None:
        """Boot is over: report a successful start."""
        self._life.ready()

    def all_done(self, cause: Cause, error: BaseException | None) -> None:
        """No child is left: end."""
        self._life.end(cause, error)

    def child_became(self, became: Became) -> None:
        """Learn of a child's new state."""

    def child_launched(self, name: str) -> None:
        """Learn that a child has begun to start."""

    def child_removed(self, name: str) -> None:
        """Learn that a dynamic child is forgotten."""

    @property
    def has_shell(self) -> bool:
        """Whether it has come far enough in its start to have children."""
        return hasattr(self, "shell")

    def open_shell(self, core: SupervisorCore) -> None:
        """Get hands."""
        self.shell = Shell(core, self.context.kit, self._life, self)


class Supervisor(SupervisorActor):
    """Starts its children in order, restarts those that die, stops them in reverse.

    Its own start is over when every child's first start was decided; the strategy says what
    happens to siblings when one dies. A child that dies more often than `limit` allows makes the
    supervisor stop its children and crash, which is then its own supervisor's to deal with.
    """

    ready_after_start: ClassVar[bool] = False

    def __init__(
        self,
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        children: Sequence[ChildSpec] = (),
        limit: RestartLimit | None = None,
    ) -> None:
        """Take the plan; nothing starts yet.

        Args:
            strategy: who is restarted along with a child that died.
            children: in start order; names differ.
            limit: on the deaths of all children together; 5 in 60 s if None.
        """
        super().__init__()
        self.strategy = strategy
        self.children = tuple(children)
        self.limit = limit or RestartLimit()

    def on_start(self) -> None:
        """Name the children, then start them."""
        kit = self.context.kit
        prefix = "" if self._life.slot.parent is None else f"{self.context.path}."
        known = [kit.directory.find(prefix + spec.name) for spec in self.children]
        # Counting on from the last supervisor's children keeps their late reports recognisable.
        last = max((slot.generation for slot in known if slot is not None), default=0)
        self.open_shell(
            SupervisorCore(self.strategy, self.children, self.limit, last_generation=last)
        )
        slots = [self.shell.enter(spec.name) for spec in self.children]
        for spec, slot in zip(self.children, slots, strict=True):
            slot.permanent = spec.restart is Restart.PERMANENT
        self._life.slot.children = tuple(slots)
        self.shell.feed(Boot())

    def longest_stop_s(self) -> float:
        """One after the other, each with its own limit."""
        stops_s = (
            max(spec.shutdown_timeout_s, self._nested_stop_s(spec.name)) for spec in self.children
        )
        return sum(stops_s) + STOP_SLACK_S

    def _nested_stop_s(self, name: str) -> float:
        life = self.shell.lives.get(name) if self.has_shell else None
        return (life.hooks.longest_stop_s() or 0.0) if life is not None else 0.0
