"""Makes any actor fail at the messages that a seed has chosen."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

    from actors import Actor


class Fault(StrEnum):
    RAISE = "raise"
    HANG = "hang"
    SLOW = "slow"
    EXIT = "exit"


@dataclass
class FaultPlan:
    """What goes wrong at which message of one name, counted over all of its generations."""

    faults: dict[int, Fault]
    hang_s: float
    entered: list[object] = field(default_factory=list)
    struck: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, dice: random.Random, *, messages: int, faults: int, hang_s: float) -> FaultPlan:
        """Choose `faults` of the first `messages` messages and a fault for each."""
        chosen = dice.sample(range(messages), faults)
        return cls({at: dice.choice(list(Fault)) for at in chosen}, hang_s)

    def strike(self, message: object) -> None:
        """Do what is planned for this message, if anything is."""
        with self._lock:
            fault = self.faults.get(len(self.entered))
            self.entered.append(message)
            if fault is not None:
                self.struck.append(fault)
        match fault:
            case Fault.RAISE:
                raise ValueError("planned")
            case Fault.EXIT:
                raise SystemExit(1)
            case Fault.SLOW:
                threading.Event().wait(0.005)
            case Fault.HANG:
                threading.Event().wait(self.hang_s)

    def around(self, kind: type[Actor]) -> type[Actor]:
        """The same kind of actor, with the faults of this plan before its own handler."""
        plan = self

        class Faulty(kind):  # type: ignore[misc, valid-type] # a class made for each kind
            def on_receive(self, message: Any) -> Any:
                plan.strike(message)
                return super().on_receive(message)

        return Faulty
