"""When the engine is asked for resume data, and what becomes of the answers."""

from collections.abc import Iterable

from revaer.domain.errors import StoreDownError, TorrentNotFoundError
from revaer.domain.facts import ResumeDataFailed, ResumeDataReady
from revaer.domain.ids import InfoHash
from revaer.ports.engine import TorrentEngine
from revaer.ports.resume_store import ResumeStore

SAVES_PER_TICK = 100
"""A save costs the engine a disk flush; 10,000 at once would stall every transfer."""


class Saver:
    """Asks, counts what is outstanding, stores the answers, and tries again what failed.

    `trouble` says why the store cannot be written now, or is empty.
    """

    def __init__(self, engine: TorrentEngine, store: ResumeStore) -> None:
        """Nothing is asked yet."""
        self._engine = engine
        self._store = store
        self._outstanding: set[InfoHash] = set()
        self._waiting: dict[InfoHash, None] = {}
        self.trouble = ""
        self.saved = 0
        self.failed = 0

    @property
    def is_idle(self) -> bool:
        """Whether every save that was asked for has been answered."""
        return not self._outstanding and not self._waiting

    def request(self, info_hash: InfoHash) -> None:
        """Save this torrent now."""
        try:
            self._engine.save(info_hash)
        except TorrentNotFoundError:
            return
        self._outstanding.add(info_hash)

    def queue(self, torrents: Iterable[InfoHash]) -> None:
        """Save these in slices, oldest request first."""
        for info_hash in torrents:
            if info_hash not in self._outstanding:
                self._waiting.setdefault(info_hash)

    def tick(self) -> None:
        """Ask for the next slice."""
        for info_hash in list(self._waiting)[:SAVES_PER_TICK]:
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
        self._outstanding.discard(answer.info_hash)
        try:
            self._store.put_blob(answer.info_hash, answer.blob)
        except StoreDownError as error:
            self.trouble = str(error)
            self.failed += 1
            self._waiting.setdefault(answer.info_hash)
        else:
            self.trouble = ""
            self.saved += 1

    def give_up(self, answer: ResumeDataFailed) -> None:
        """The engine has nothing to store."""
        self._outstanding.discard(answer.info_hash)
        self.failed += 1

    def forget(self, info_hash: InfoHash) -> None:
        """The torrent is going: no answer is expected or wanted."""
        self._outstanding.discard(info_hash)
        self._waiting.pop(info_hash, None)

    def ask_again(self) -> None:
        """Alerts were dropped: answers may be among them."""
        for info_hash in tuple(self._outstanding):
            self._outstanding.discard(info_hash)
            self.request(info_hash)
