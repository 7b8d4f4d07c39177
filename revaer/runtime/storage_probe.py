"""Looks at disks for the session: a look may hang for as long as a dead network disk pleases."""

from typing import Any, ClassVar

from actors import MailboxOptions, ThreadActor
from revaer.domain.storage import FilesAsked, FilesSeen
from revaer.ports.logs import logger
from revaer.ports.payload import PayloadFiles
from revaer.runtime.messages import ProbeStorage, StorageSeen

log = logger(__name__)

SESSION_PATH = "engine.session"
FILES_PER_MESSAGE = 1000


def _latest(message: object) -> str | None:
    return "round" if isinstance(message, ProbeStorage) else None


class StorageProbe(ThreadActor):
    """One thread that may block; never replaced while it does, because nothing can end its wait.

    Every place is answered for at once, so that whoever asked knows which one is waited for.
    """

    mailbox: ClassVar[MailboxOptions] = MailboxOptions(capacity=4, key=_latest)

    def __init__(self, files: PayloadFiles) -> None:
        """Look through `files`, whose calls are thread-safe."""
        super().__init__()
        self._files = files

    def on_start(self) -> None:
        """Know whom to tell."""
        self._session = self.context.address_of(SESSION_PATH)

    def on_receive(self, message: Any) -> Any:
        """The only message is a round of questions; a newer one replaces one that waits."""
        match message:
            case ProbeStorage():
                self._probe(message)
            case _:
                self.unknown(message)

    def _probe(self, ask: ProbeStorage) -> None:
        for path in ask.places:
            self._tell(StorageSeen(ask.number, places=(self._files.place(path),)))
        seen: list[FilesSeen] = []
        looked_at = 0
        for asked in ask.files:
            seen.append(self._look(asked))
            looked_at += len(asked.files)
            if looked_at >= FILES_PER_MESSAGE:
                self._tell(StorageSeen(ask.number, files=tuple(seen)))
                seen.clear()
                looked_at = 0
        self._tell(StorageSeen(ask.number, files=tuple(seen), is_last=True))

    def _look(self, asked: FilesAsked) -> FilesSeen:
        files = self._files
        sizes = files.sizes(asked.save_path, asked.files)
        obstacle = files.obstacle(asked.save_path, asked.files) if asked.for_writing else ""
        return FilesSeen(asked, sizes, obstacle)

    def _tell(self, seen: StorageSeen) -> None:
        self._session.tell_or_drop(seen)
