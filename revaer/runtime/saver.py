"""When the engine is asked for resume data, and what becomes of the answers."""

from collections.abc import Callable, Iterable

from revaer.domain.errors import StoreDownError, TorrentNotFoundError
from revaer.domain.facts import ResumeDataFailed, ResumeDataReady
from revaer.domain.ids import InfoHash
from revaer.ports.engine import TorrentEngine
from revaer.ports.resume_store import ResumeStore

ANSWER_TIMEOUT_S = 30.0
"""A save that was not answered for this long is asked for again."""

SAVES_PER_TICK = 100
"""A save costs the engine a disk flush; 10,000 at once would stall every transfer."""


class Saver:
    """Asks, counts what is outstanding, stores the answers, and tries again what failed.

    `trouble` says why the store cannot be written now, or is empty.
    """

    def __init__(
        self, engine: TorrentEngine, store: ResumeStore, clock: Callable[[], float]
    ) -> None:
        """Nothing is asked yet; `clock` counts seconds and never goes back."""
        self._clock = clock
        self._engine = engine
        self._store = store
        self._outstanding: dict[InfoHash, float] = {}
        self._waiting: dict[InfoHash, None] = {}
        self.trouble = ""
        self.saved = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to be expected any more: all answered, or the store takes nothing."""
        return not self._outstanding and (not self._waiting or bool(self.trouble))

    @property
    def unsaved(self) -> int:
        """How many torrents wait for a save."""
        return len(self._waiting) + len(self._outstanding)

    def request(self, info_hash: InfoHash) -> None:
        """Save this torrent now."""
        try:
            self._engine.save(info_hash)
        except TorrentNotFoundError:
            return
        self._outstanding[info_hash] = self._clock()

    def queue(self, torrents: Iterable[InfoHash]) -> None:
        """Save these in slices, oldest request first."""
        for info_hash in torrents:
            self._waiting.setdefault(info_hash)

    def tick(self) -> None:
        """Ask for the next slice; a single one while the store is away, to see if it still is."""
        too_old = self._clock() - ANSWER_TIMEOUT_S
        self.queue([one for one, asked_at in self._outstanding.items() if asked_at < too_old])
        for info_hash in list(self._waiting)[: 1 if self.trouble else SAVES_PER_TICK]:
            del self._waiting[info_hash]
            self.request(info_hash)

    def request_all_waiting(self) -> None:
        """Shutdown has no time for slices."""
        waiting = list(self._waiting)
        self._waiting.clear()
        for info_hash in waiting:
            self.request(info_hash)

    def store(self, answer: ResumeDataReady) -> None:
        """Put an answer into the store; a store that is away is tried again with a later save."""
        self._outstanding.pop(answer.info_hash, None)
        try:
            self._store.put_blob(answer.info_hash, answer.blob)
        except StoreDownError as error:
            self.trouble = str(error)
            self._waiting.setdefault(answer.info_hash)
        else:
            self.trouble = ""
            self.saved += 1

    def postpone(self, info_hash: InfoHash, cause: str) -> None:
        """The store took nothing of the answer: ask again when it may."""
        self.trouble = cause
        self._outstanding.pop(info_hash, None)
        self._waiting.setdefault(info_hash)

    def give_up(self, answer: ResumeDataFailed) -> None:
        """The engine has nothing to store."""
        self._outstanding.pop(answer.info_hash, None)

    def forget(self, info_hash: InfoHash) -> None:
        """The torrent is going: no answer is expected or wanted."""
        self._outstanding.pop(info_hash, None)
        self._waiting.pop(info_hash, None)

    def ask_again(self) -> None:
        """Alerts were dropped: answers may be among them."""
        for info_hash in tuple(self._outstanding):
            del self._outstanding[info_hash]
            self.request(info_hash)
