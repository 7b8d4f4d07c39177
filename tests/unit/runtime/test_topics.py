"""Which events does a listener hear for the topics it names, and which names are refused?"""

import pytest

from revaer.domain.errors import InvalidInputError
from revaer.runtime.topics import ON_DEMAND_GROUPS, TOPICS, group_of, parse_topics


def test_everything_leaves_out_pieces_and_peers() -> None:
    everything = parse_topics(["*"])
    assert everything.topics == {t for t in TOPICS if group_of(t) not in {"piece", "peer"}}
    assert everything.on_demand == frozenset()


def test_a_group_is_every_topic_below_its_name() -> None:
    assert parse_topics(["tracker.*"]).topics == {"tracker.success", "tracker.failed"}


@pytest.mark.parametrize("group", sorted(ON_DEMAND_GROUPS))
def test_a_group_made_on_demand_is_heard_when_it_is_named(group: str) -> None:
    heard = parse_topics(["*", f"{group}.*"])
    assert heard.on_demand == {group}
    assert any(group_of(topic) == group for topic in heard.topics)


def test_one_topic_of_a_group_made_on_demand_switches_the_group_on() -> None:
    heard = parse_topics(["piece.completed"])
    assert heard.topics == {"piece.completed"}
    assert heard.on_demand == {"piece"}


def test_names_add_up() -> None:
    heard = parse_topics(["torrent.completed", "health.*"])
    assert "torrent.completed" in heard
    assert "health.changed" in heard
    assert "torrent.added" not in heard


@pytest.mark.parametrize(
    "name",
    [
        "",
        "torrent",
        "torrent.",
        "torrent.complete",
        "*.completed",
        "torrent.*.x",
        "Torrent.*",
        "**",
    ],
)
def test_a_name_that_can_never_match_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInputError, match="no event has the topic") as refused:
        parse_topics(["torrent.*", name])
    assert repr(name) in str(refused.value)


def test_naming_nothing_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no topic was named"):
        parse_topics([])
