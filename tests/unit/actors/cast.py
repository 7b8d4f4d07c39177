"""Actors that fail on demand, in every kind the kit has."""

from __future__ import annotations

import select
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from tenacity import wait_fixed

from actors import (
    Actor,
    ActorSystem,
    Address,
    ChildSpec,
    LoopActor,
    PooledActor,
    RestartLimit,
    Strategy,
    Supervisor,
    ThreadActor,
    Unavailable,
)
from actors.testing import eventually

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

AT_ONCE = wait_fixed(0.01)
GENEROUS = RestartLimit(max_restarts=1_000_000, window_s=60.0)


class DomainError(Exception):
    """Declared as expected by the cast."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise this in the handler."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Hold:
    """Stay in the handler until the gate opens; `entered` tells that it is in there."""

    gate: threading.Event
    entered: threading.Event | None = None
    answer: object = "held"


@dataclass(frozen=True, slots=True)
class AskFor:
    """Ask somebody else from inside of the handler."""

    address: Address
    message: object
    timeout_s: float = 5.0


class Generation:
    """Which generation answers?"""

    __answer__: int


class Leave:
    """End normally."""


class Script:
    """What an actor of the cast does outside of its handlers; shared by its generations."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.start: Callable[[], object] = lambda: None
        self.stop: Callable[[], object] = lambda: None
        self.crash: Callable[[], object] = lambda: None
        self.step: Callable[[], object] = lambda: None


class _Player(Actor):
    expected_errors: ClassVar[tuple[type[Exception], ...]] = (DomainError,)

    def __init__(self, script: Script | None = None) -> None:
        super().__init__()
        self.script = script or Script()

    def _note(self, what: str) -> None:
        self.script.log.append(f"{self.context.path}#{self.context.generation} {what}")

    def on_start(self) -> None:
        self._note("start")
        self.script.start()

    def on_stop(self) -> None:
        self._note("stop")
        self.script.stop()

    def on_crash(self, reason: str, error: BaseException) -> None:
        self._note(f"crash {reason} {type(error).__name__}")
        self.script.crash()

    def on_receive(self, message: Any) -> Any:
        match message:
            case Fail(error):
                raise error
            case Hold(gate, entered, answer):
                if entered is not None:
                    entered.set()
                gate.wait(30)
                return answer
            case AskFor(address, wanted, timeout_s):
                return address.ask(wanted, timeout_s=timeout_s)
            case Generation():
                return self.context.generation
            case Leave():
                self.stop()
                return None
            case str():
                return message
        return self.unknown(message)


class ThreadPlayer(_Player, ThreadActor):
    pass


class PooledPlayer(_Player, PooledActor):
    pass


class LoopPlayer(_Player, LoopActor):
    def step(self, wake: int, deadline: float) -> None:
        self.script.step()
        select.select([wake], [], [], max(0.0, deadline - self.context.clock()))


KINDS = [ThreadPlayer, PooledPlayer, LoopPlayer]


def spec(name: str, kind: type[_Player] = ThreadPlayer, **options: Any) -> ChildSpec:
    """A child of the cast that comes back at once. `script` is handed to the actor."""
    script = options.pop("script", None)
    return ChildSpec(name=name, factory=lambda: kind(script), **{"wait": AT_ONCE, **options})


def generation_of(address: Address) -> int:
    """Which generation answers there; 0 for none."""
    try:
        return address.ask(Generation(), timeout_s=10)
    except Unavailable:
        return 0


def node(system: ActorSystem, path: str) -> dict[str, Any]:
    """The health node of a path."""
    found: dict[str, Any] = system.health()
    for name in path.split("."):
        found = next(child for child in found["children"] if child["name"] == name)
    return found


def state(system: ActorSystem, path: str) -> str:
    return str(node(system, path)["state"])


def await_state(system: ActorSystem, path: str, wanted: str) -> None:
    eventually(lambda: state(system, path) == wanted, what=f"{path} {wanted}")


def nested(name: str, *children: ChildSpec, **options: Any) -> ChildSpec:
    strategy = options.pop("strategy", Strategy.ONE_FOR_ONE)
    limit = options.pop("limit", RestartLimit())

    def factory() -> Supervisor:
        return Supervisor(strategy=strategy, children=children, limit=limit)

    return ChildSpec(name=name, factory=factory, **{"wait": AT_ONCE, **options})
