"""Where the coalescers' facts wait for the board: one wake-up for all that gather meanwhile."""

from collections import deque
from typing import Final

from revaer.domain.facts import TorrentFact

MAX_BATCHES: Final = 50_000


class FactIntake:
    """A bounded queue in front of the board that outlives the board's generations.

    A message to the board for each batch of each of 10,000 torrents costs as much as applying
    it; here a batch costs an append, and a crash of the board loses only what it had taken.
    Composition owns it. Any thread may offer; only the board takes.

    No lock: appending to a deque and taking from it are single steps. `offer` appends before it
    looks at the flag and `take` lowers the flag before it empties the queue, so that a batch is
    either seen by the coming `take` or has its own wake-up.
    """

    def __init__(self, max_batches: int = MAX_BATCHES) -> None:
        """Start empty.

        Args:
            max_batches: past this, offers are refused until the board has caught up.
        """
        self._batches: deque[tuple[TorrentFact, ...]] = deque()
        self._max_batches = max_batches
        self._is_awake = False

    def __len__(self) -> int:
        """How many batches wait."""
        return len(self._batches)

    def offer(self, facts: tuple[TorrentFact, ...]) -> bool:
        """Queue facts of one torrent; False when there is no room."""
        if len(self._batches) >= self._max_batches:
            return False
        self._batches.append(facts)
        return True

    def wants_wake_up(self) -> bool:
        """Whether the board has to be told; true for one offerer until the board looks."""
        if self._is_awake or not self._batches:
            return False
        self._is_awake = True
        return True

    def not_woken(self) -> None:
        """The board could not be told: whoever offers next tries again."""
        self._is_awake = False

    def take(self, most: int) -> list[TorrentFact]:
        """Take facts in the order of their offers.

        Args:
            most: whole batches are taken until there are at least this many facts.
        """
        self._is_awake = False
        facts: list[TorrentFact] = []
        while self._batches and len(facts) < most:
            facts += self._batches.popleft()
        return facts
