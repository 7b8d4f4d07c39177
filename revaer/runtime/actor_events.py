"""Turns what the supervision kit reports into events that operators and clients see."""

from actors import ActorSystem, ChildFailed, ChildRestarted, KitEvent
from revaer.domain.events import ActorFailed, ActorRestarted, Event
from revaer.domain.ids import Revision
from revaer.runtime.event_hub import Publish

EVENTS_PATH = "events"


class ActorEvents:
    """The kit's observer; runs in supervisors' threads, so it only tells."""

    def __init__(self) -> None:
        """Until `attach` nothing can be told: the tree does not stand yet."""
        self._system: ActorSystem | None = None

    def attach(self, system: ActorSystem) -> None:
        """Tell the hub of this system from now on."""
        self._system = system

    def __call__(self, report: KitEvent) -> None:
        """Announce restarts and failures."""
        event = event_of(report)
        if event is not None and self._system is not None:
            hub = self._system.address(EVENTS_PATH)
            hub.tell_or_drop(Publish(((event, Revision(0)),)))


def event_of(report: KitEvent) -> Event | None:
    """The event that a report of the kit is worth, if any."""
    match report:
        case ChildRestarted():
            return ActorRestarted(
                path=report.path,
                generation=report.generation,
                cause=report.cause,
                message=report.message,
                backoff_s=report.backoff_s,
                mailbox_depth=report.mailbox_depth,
            )
        case ChildFailed():
            return ActorFailed(path=report.path, message=report.message)
        case _:
            return None
