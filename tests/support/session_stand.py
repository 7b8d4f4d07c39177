"""What the session's desks and watches stand on, without the actor around them."""

from typing import TYPE_CHECKING, cast

from actors.testing import ManualClock
from revaer.adapters.memory.engine import MemoryEngine
from revaer.domain.events import Event, HealthChanged
from revaer.ports.engine import EngineSettings
from revaer.runtime.board_table import BoardTable
from revaer.runtime.component_health import ComponentHealth
from revaer.runtime.engine_holder import EngineHolder

if TYPE_CHECKING:
    from revaer.runtime.session_parts import SessionParts


class _Parts:
    """The parts that concern the engine as a whole."""

    def __init__(self, stand: "SessionStand") -> None:
        self.engine = stand.engine
        self.holder = stand.holder
        self.board = BoardTable(())
        self.clock = stand.clock
        self.health = ComponentHealth(stand.told.append)
        self.publish = stand.told.append


class SessionStand:
    """A memory engine, its holder, a clock moved by hand, and all that was published."""

    def __init__(self, settings: EngineSettings | None = None) -> None:
        self.holder = EngineHolder(MemoryEngine, settings or EngineSettings(listen=("lo:6881",)))
        self.engine = cast("MemoryEngine", self.holder.acquire().engine)
        self.holder.confirm()
        self.clock = ManualClock()
        self.told: list[Event] = []
        self.parts = cast("SessionParts", _Parts(self))

    def take(self) -> list[Event]:
        """What was published since the last time."""
        told = list(self.told)
        self.told.clear()
        return told

    def health(self) -> list[tuple[str, str]]:
        """Component and status of the health changes among those."""
        return [
            (event.component, event.status)
            for event in self.take()
            if isinstance(event, HealthChanged)
        ]

    def calls(self, name: str) -> int:
        """How often the engine was called by this name."""
        return sum(1 for call, _ in self.engine.calls if call == name)
