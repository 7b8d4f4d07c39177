"""Does any mutation of a hostile torrent or magnet crash, hang, bloat or escape?

`tox -e soak` runs ten thousand of them; the number in a failure's name builds the same input again.
"""

from pathlib import Path

import pytest

from tests.hostile.mutation import Mutations
from tests.hostile.watched import Watched
from tests.support.soak import scaled

COUNT = scaled(400, 10_000)
LIMIT_S = 2.0
"""Of work, for one input. What else the machine does is not counted; a hang ends the process."""


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_mutations_are_refused_in_our_words_or_harm_nobody(tmp_path: Path) -> None:
    mutations = Mutations()
    accepted = written = 0
    with Watched(tmp_path / "first", "engine") as process:
        for number in range(COUNT):
            answer = process.send(f"mutation {number}", mutations.torrent_or_magnet(number))
            assert answer.ours, f"{answer.name}: {answer.error_type}: {answer.refusal}"
            assert answer.outside == [], answer.name
            accepted += not answer.refusal
            written += answer.files_written > 0
            assert answer.cpu_s < LIMIT_S, answer.name
    # Neither all refused nor all accepted: the mutations reach what lies behind the parser.
    assert COUNT * 0.1 < accepted < COUNT * 0.9
    assert written > COUNT * 0.05


def test_a_mutation_s_number_always_builds_the_same_input() -> None:
    first, second = Mutations(), Mutations()
    assert [first.torrent_or_magnet(n) for n in range(50)] == [
        second.torrent_or_magnet(n) for n in range(50)
    ]
