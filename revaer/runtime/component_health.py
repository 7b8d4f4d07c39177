"""What keeps a component from being well; each change is announced once."""

from collections.abc import Callable, Mapping

from revaer.domain.events import HealthChanged
from revaer.ports.logs import logger

log = logger(__name__)


class ComponentHealth:
    """The session's causes by component: `engine`, `resume_store`, `network`, `limits`, ….

    A component without a cause is well. Nothing of it survives a session actor: whoever starts anew
    looks again.
    """

    def __init__(self, announce: Callable[[HealthChanged], None]) -> None:
        """Announce changes to `announce`; everything is well before the first cause."""
        self._announce = announce
        self._causes: dict[str, str] = {}

    @property
    def causes(self) -> Mapping[str, str]:
        """What is not well now, and why."""
        return {component: cause for component, cause in self._causes.items() if cause}

    def set(self, component: str, cause: str) -> None:
        """Say why a component is degraded; an empty cause says that it is well."""
        if self._causes.get(component, "") == cause:
            return
        self._causes[component] = cause
        status = "degraded" if cause else "ok"
        log.warning("health_changed", component=component, status=status, cause=cause)
        self._announce(HealthChanged(component, status, cause))
