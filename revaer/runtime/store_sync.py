"""Makes the resume store's changes survive a power loss, in groups, off the session's thread."""

from dataclasses import dataclass
from typing import Any

from actors import ThreadActor
from revaer.domain.errors import StoreDownError
from revaer.domain.events import HealthChanged
from revaer.domain.ids import Revision
from revaer.ports.logs import logger
from revaer.ports.resume_store import ResumeStore
from revaer.runtime.event_hub import Publish
from revaer.runtime.messages import StoreSeen

log = logger(__name__)

SYNC_PERIOD_S = 0.5
"""Twice within the promised second; a sleeping disk delays this actor and nobody else."""

COMPONENT = "resume_store_sync"


@dataclass(frozen=True, slots=True)
class Sync:
    """Force to the disk what was renamed since the last time."""


class StoreSync(ThreadActor):
    """Calls `sync` twice a second; a disk that fails is a health cause and is tried again.

    It also looks whether the directory is there and could be written: the session, which would only
    notice with its next write, is told when it is not.
    """

    def __init__(self, store: ResumeStore) -> None:
        """Share the session's store; its calls are thread-safe."""
        super().__init__()
        self._store = store
        self._trouble = ""

    def on_start(self) -> None:
        """Arm the timer; what a predecessor said of the disk is said anew."""
        if self.context.generation > 1:
            self._trouble = "not tried yet"
        self._events = self.context.address_of("events")
        self._session = self.context.address_of("engine.session")
        self.every(SYNC_PERIOD_S, Sync())

    def on_receive(self, message: Any) -> Any:
        """The only message is the timer's."""
        match message:
            case Sync():
                return self._sync()
            case _:
                return super().on_receive(message)

    def _sync(self) -> None:
        seen_at = self.context.clock()
        trouble = ""
        try:
            self._store.sync()
        except StoreDownError as error:
            trouble = str(error)
        try:
            self._store.check()
        except StoreDownError as error:
            self._session.tell_or_drop(StoreSeen(str(error), seen_at))
        if trouble != self._trouble:
            self._trouble = trouble
            status = "degraded" if trouble else "ok"
            log.warning("resume_store_sync_health", status=status, cause=trouble)
            event = HealthChanged(COMPONENT, status, trouble)
            self._events.tell_or_drop(Publish(((event, Revision(0)),)))
