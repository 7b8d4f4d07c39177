"""A supervisor for many children of one kind that come and go."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from actors.directory import Letter
from actors.errors import StartFailed, TooManyChildren, Unavailable, text_of
from actors.lifecycle import AddChild, Boot, Cause, ChildState, RemoveChild
from actors.mailbox import MailboxClosed, MailboxFull, MailboxOptions
from actors.policy import SupervisorCore
from actors.spec import RestartLimit
from actors.supervisor import STOP_SLACK_S, SupervisorActor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actors.address import Address
    from actors.directory import Slot
    from actors.lifecycle import Became
    from actors.reply import Reply
    from actors.spec import ChildSpec

log = logging.getLogger("actors")

_NEVER_RAN = frozenset({Cause.START_FAILED, Cause.START_TIMEOUT})


@dataclass(frozen=True, slots=True)
class StartChild:
    """Have a child of this key, starting it if there is none.

    Asked, it answers with the child's `Address` once the child runs. Told with a `first_message`,
    it routes: the message reaches the running child, or a new one as its first.

    Attributes:
        key: the child's name; no dots.
        args: for the template, if the child has to be made.
        first_message: handed to the child before anything else if it is new; None: nothing.
    """

    key: str
    args: tuple[object, ...] = ()
    first_message: object = None


@dataclass(frozen=True, slots=True)
class StopChild:
    """Stop a child and forget it. Asked, it answers when that is done; False: there was none."""

    key: str


class _Wish:
    """A `StartChild` that is not fulfilled yet."""

    __slots__ = ("delivered", "order", "reply")

    def __init__(self, order: StartChild, reply: Reply) -> None:
        self.order = order
        self.reply = reply
        self.delivered = order.first_message is None


class DynamicSupervisor(SupervisorActor):
    """Each child has a restart budget of its own; one that spends it is failed, alone.

    A child that ends by design is forgotten, and its key starts a new one. Starting, stopping and
    losing a child costs the same with ten as with ten thousand.
    """

    # Room for a whole crowd that arrives at once, as after a start.
    mailbox: ClassVar[MailboxOptions] = MailboxOptions(capacity=100_000)

    def __init__(
        self,
        *,
        template: Callable[..., ChildSpec],
        limit_per_child: RestartLimit | None = None,
        max_children: int = 100_000,
    ) -> None:
        """Start without children.

        Args:
            template: called with the key and the `args` of `StartChild`; runs in this actor's
                thread, so it must not block.
            limit_per_child: deaths of one child; 5 in 60 s if None.
            max_children: children at one time, failed ones included.
        """
        super().__init__()
        self._template = template
        self._max_children = max_children
        self.limit = limit_per_child or RestartLimit()
        self._wishes: dict[str, list[_Wish]] = {}
        self._removals: dict[str, list[Reply]] = {}
        self._unwell: dict[ChildState, dict[str, None]] = {
            ChildState.FAILED: {},
            ChildState.BACKING_OFF: {},
            ChildState.STARTING: {},
            ChildState.STOPPING: {},
        }
        self._longest_stop_s = 0.0

    def on_start(self) -> None:
        """Be ready for children."""
        self.open_shell(SupervisorCore(limit=self.limit, dynamic=True))
        self.shell.feed(Boot())

    def on_receive(self, message: object) -> object:
        """Start or stop a child."""
        match message:
            case StartChild():
                self._grant(_Wish(message, self.defer_reply()))
            case StopChild(key):
                reply = self.defer_reply()
                if key in self.shell.core:
                    self._removals.setdefault(key, []).append(reply)
                    self.shell.feed(RemoveChild(key))
                else:
                    reply.set(False)
            case _:
                self.unknown(message)
        return None

    def longest_stop_s(self) -> float:
        """All at once, so as long as the slowest may take."""
        return self._longest_stop_s + STOP_SLACK_S

    def all_ready(self) -> None:
        """Nothing to report: there are no children to wait for."""

    # --- for health ------------------------------------------------------------------------------

    @property
    def counts(self) -> Mapping[ChildState, int]:
        """How many children are in each state."""
        return self.shell.core.counts

    def worst(self, most: int) -> list[Slot]:
        """At most `most` children that do not simply run, the worst first."""
        found: list[Slot] = []
        for names in self._unwell.values():
            # One call each into C code, so that no child can come or go in the middle of it.
            some = list(islice(tuple(names), most - len(found)))
            slots = (self.shell.slot(name) for name in some)
            found += [slot for slot in slots if slot is not None]
        return found

    @property
    def abandoned(self) -> int:
        """Given-up instances that are still stuck."""
        return sum(not life.over for life in tuple(self.shell.given_up))

    # --- told by the shell -----------------------------------------------------------------------

    def child_became(self, became: Became) -> None:
        """Answer those who wait for it."""
        name, state = became.name, became.state
        for unwell, names in self._unwell.items():
            if unwell is state:
                names[name] = None
            else:
                names.pop(name, None)
        if state is ChildState.RUNNING:
            self._fulfil(name)
        elif state in {ChildState.BACKING_OFF, ChildState.FAILED}:
            for wish in self._wishes.pop(name, ()):
                self._refuse(wish, self._unavailable(name))
        elif state is ChildState.STOPPED and became.cause in _NEVER_RAN:
            # A temporary one: started again at once for whoever waits, it would fail for ever.
            failed = StartFailed(self._path(name), text_of(became.error) or "it took too long")
            for wish in self._wishes.pop(name, ()):
                self._refuse(wish, failed)

    def child_removed(self, name: str) -> None:
        """Answer those who wanted it gone; start it again for those who came too late."""
        for names in self._unwell.values():
            names.pop(name, None)
        for reply in self._removals.pop(name, ()):
            reply.set(True)
        for wish in self._wishes.pop(name, ()):
            if wish.delivered and wish.order.first_message is not None:
                wish.reply.set_error(Unavailable(self._path(name), "stopped"))
            else:
                self._grant(wish)

    def child_launched(self, name: str) -> None:
        """Hand over what it was started for, before anybody else can reach it."""
        self._deliver(name)

    def all_done(self, cause: Cause, error: BaseException | None) -> None:
        """End, and free the names of failed children."""
        self._leave()
        super().all_done(cause, error)

    def on_crash(self, reason: str, error: BaseException) -> None:
        """Leave no child behind, and no name."""
        super().on_crash(reason, error)
        if self.has_shell and not self._life.given_up:
            self._leave()

    # --- steps -----------------------------------------------------------------------------------

    def _leave(self) -> None:
        for wish in [wish for wishes in self._wishes.values() for wish in wishes]:
            self._refuse(wish, Unavailable(self._path(wish.order.key), "stopped"))
        self._wishes.clear()
        self.shell.forget_all()

    def _grant(self, wish: _Wish) -> None:
        name = wish.order.key
        slot = self.shell.slot(name)
        if slot is None:
            self._make(wish)
        elif slot.state in {ChildState.BACKING_OFF, ChildState.FAILED}:
            self._refuse(wish, self._unavailable(name))
        else:
            # One that is just ending, or being stopped, is waited for and then started again; one
            # that is just being made for somebody else is waited for as well.
            self._wishes.setdefault(name, []).append(wish)
            if slot.state in {ChildState.STARTING, ChildState.RUNNING}:
                self._deliver(name)
            if slot.state is ChildState.RUNNING and wish.delivered:
                self._fulfil(name)

    def _make(self, wish: _Wish) -> None:
        order = wish.order
        if self.shell.core.ending:
            self._refuse(wish, Unavailable(self.context.path, "stopping"))
            return
        if len(self.shell.core) >= self._max_children:
            full = f"{self.context.path} has its {self._max_children} children; stop one first"
            self._refuse(wish, TooManyChildren(full))
            return
        try:
            spec = replace(self._template(order.key, *order.args), name=order.key)
        except Exception as error:
            log.warning("template_failed", extra={"path": self._path(order.key)}, exc_info=error)
            failed = StartFailed(self._path(order.key), f"{type(error).__name__}: {error}")
            self._refuse(wish, failed)
            return
        self._longest_stop_s = max(self._longest_stop_s, spec.shutdown_timeout_s)
        self.shell.enter(order.key)
        self._wishes.setdefault(order.key, []).append(wish)
        self.shell.feed(AddChild(spec))

    def _deliver(self, name: str) -> None:
        life = self.shell.lives.get(name)
        if life is None:
            return
        for wish in tuple(self._wishes.get(name, ())):
            if wish.delivered:
                continue
            try:
                life.post(Letter(wish.order.first_message))
            except MailboxClosed:
                return  # it has ended; what follows from that decides
            except MailboxFull as full:
                self._wishes[name].remove(wish)
                self._refuse(wish, full)
            else:
                wish.delivered = True

    def _fulfil(self, name: str) -> None:
        wishes = self._wishes.pop(name, [])
        for wish in wishes:
            if wish.delivered:
                wish.reply.set(self._address(name))
        # It may have ended already, before the rest was handed over; that waits for its end.
        if waiting := [wish for wish in wishes if not wish.delivered]:
            self._wishes[name] = waiting

    def _refuse(self, wish: _Wish, error: Exception) -> None:
        if wish.reply.wanted:
            wish.reply.set_error(error)
        elif not wish.delivered:
            state = error.state if isinstance(error, Unavailable) else type(error).__name__
            self.context.kit.directory.lost(
                self._path(wish.order.key), wish.order.first_message, state
            )

    def _unavailable(self, name: str) -> Unavailable:
        slot = self.shell.slot(name)
        if slot is None:
            return Unavailable(self._path(name), "unknown")
        left_s = None if slot.retry_at is None else max(0.0, slot.retry_at - self.context.clock())
        return Unavailable(slot.path, slot.shown_state, left_s)

    def _path(self, name: str) -> str:
        return self.shell.path(name)

    def _address(self, name: str) -> Address:
        return self.context.address_of(self._path(name))
