"""Which events a listener hears: dotted names, `group.*` and `*`. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, get_args

from revaer.domain.errors import InvalidInputError
from revaer.domain.events import Event


def group_of(topic: str) -> str:
    """The part before the first dot."""
    return topic.partition(".")[0]


TOPICS: Final[frozenset[str]] = frozenset(kind.topic for kind in get_args(Event))
"""Every topic that is ever published."""

ON_DEMAND_GROUPS: Final[frozenset[str]] = frozenset({"piece", "peer"})
"""Groups that cost the engine work per piece and peer, so `*` leaves them out."""

_BY_WILDCARD: Final[dict[str, frozenset[str]]] = {
    "*": frozenset(topic for topic in TOPICS if group_of(topic) not in ON_DEMAND_GROUPS),
    **{
        f"{group}.*": frozenset(topic for topic in TOPICS if group_of(topic) == group)
        for group in map(group_of, TOPICS)
    },
}


@dataclass(frozen=True, slots=True)
class TopicSet:
    """What one listener hears.

    Attributes:
        topics: full names, wildcards already spelled out.
        on_demand: which of `ON_DEMAND_GROUPS` have to be switched on for it.
    """

    topics: frozenset[str]
    on_demand: frozenset[str]

    def __contains__(self, topic: str) -> bool:
        """Whether an event with this topic is heard."""
        return topic in self.topics


def parse_topics(names: Iterable[str]) -> TopicSet:
    """Spell out what a listener asked for.

    Args:
        names: full topics, `group.*` or `*`; case matters, as in the names of the events.

    Raises:
        InvalidInputError: no name at all, or one that no event can ever match.
    """
    heard: set[str] = set()
    for name in names:
        if name in TOPICS:
            heard.add(name)
        elif name in _BY_WILDCARD:
            heard |= _BY_WILDCARD[name]
        else:
            raise InvalidInputError(
                f"no event has the topic {name!r}; use *, {', '.join(sorted(_BY_WILDCARD)[1:])} "
                f"or a full name such as torrent.completed"
            )
    if not heard:
        raise InvalidInputError("no topic was named; use * for everything but piece and peer")
    return TopicSet(frozenset(heard), ON_DEMAND_GROUPS & {group_of(topic) for topic in heard})
