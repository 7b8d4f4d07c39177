"""A supervision kit: actors that are watched, restarted and stopped in order. Built on Pykka."""

from __future__ import annotations

import logging

from actors.actor import Actor, ActorContext, LoopActor, PooledActor, ThreadActor
from actors.address import Address, Future, Question
from actors.backoff import DEFAULT_WAIT
from actors.dynamic import DynamicSupervisor, StartChild, StopChild
from actors.errors import (
    AskTimeout,
    ChildHung,
    DeadlockError,
    PooledActorMayNotAskError,
    RestartsExhausted,
    StartFailed,
    TooManyChildren,
    Unavailable,
    UnknownMessage,
    UnknownName,
)
from actors.kit import (
    ChildAbandoned,
    ChildFailed,
    ChildRestarted,
    ChildStarted,
    ChildStopped,
    KitEvent,
)
from actors.life import ActorTimer
from actors.lifecycle import Cause, ChildState
from actors.mailbox import MailboxFull, MailboxOptions, Overflow
from actors.reply import Reply
from actors.shutdown import PhaseReport, ShutdownPhase
from actors.spec import ChildSpec, OnHang, Restart, RestartLimit, Strategy
from actors.supervisor import Supervisor
from actors.system import ActorSystem, ExitReason, ShutdownReport
from actors.timers import Clock, TimerHandle, Timers

__all__ = [
    "DEFAULT_WAIT",
    "Actor",
    "ActorContext",
    "ActorSystem",
    "ActorTimer",
    "Address",
    "AskTimeout",
    "Cause",
    "ChildAbandoned",
    "ChildFailed",
    "ChildHung",
    "ChildRestarted",
    "ChildSpec",
    "ChildStarted",
    "ChildState",
    "ChildStopped",
    "Clock",
    "DeadlockError",
    "DynamicSupervisor",
    "ExitReason",
    "Future",
    "KitEvent",
    "LoopActor",
    "MailboxFull",
    "MailboxOptions",
    "OnHang",
    "Overflow",
    "PhaseReport",
    "PooledActor",
    "PooledActorMayNotAskError",
    "Question",
    "Reply",
    "Restart",
    "RestartLimit",
    "RestartsExhausted",
    "ShutdownPhase",
    "ShutdownReport",
    "StartChild",
    "StartFailed",
    "StopChild",
    "Strategy",
    "Supervisor",
    "ThreadActor",
    "TimerHandle",
    "Timers",
    "TooManyChildren",
    "Unavailable",
    "UnknownMessage",
    "UnknownName",
]

# A host that set no logging up gets no line on its standard error: that is the standard library's
# last resort, and not a library's to choose.
logging.getLogger("actors").addHandler(logging.NullHandler())
