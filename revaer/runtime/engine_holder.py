"""Keeps the engine alive while the actor that runs it is replaced."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from revaer.domain.errors import EngineDownError
from revaer.domain.share_limits import ShareLimitPolicy
from revaer.ports.engine import EngineSettings, TorrentEngine
from revaer.runtime.engine_memory import EngineMemory

FAILED_ADOPTIONS_BEFORE_REBUILD = 2


@dataclass(frozen=True, slots=True)
class Lease:
    """What a new session actor gets: an engine, and whether it was running already."""

    engine: TorrentEngine
    is_adopted: bool


class EngineHolder:
    """Owned by the composition, so that a session actor's death does not end its transfers.

    An engine that two actors in a row failed to adopt, or that was condemned, is closed and a new
    one is opened: there are never two sessions on one port and one resume directory.
    """

    def __init__(
        self, open_engine: Callable[[EngineSettings], TorrentEngine], settings: EngineSettings
    ) -> None:
        """Nothing is opened before the first `acquire`."""
        self._open = open_engine
        self._memory = EngineMemory(settings=settings)
        self._engine: TorrentEngine | None = None
        self._unconfirmed = 0
        self._is_condemned = False
        self._interest: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def acquire(self) -> Lease:
        """Hand the living engine over for adoption, or open a new one."""
        with self._lock:
            engine = self._engine
            if engine is not None and (
                self._is_condemned or self._unconfirmed >= FAILED_ADOPTIONS_BEFORE_REBUILD
            ):
                self._engine = None
                engine.close()
                engine = None
            if engine is None:
                self._engine = engine = self._open(self._memory.for_engine())
                engine.set_interest(self._interest)
                self._is_condemned = False
                self._unconfirmed = 0
                return Lease(engine, is_adopted=False)
            self._unconfirmed += 1
            return Lease(engine, is_adopted=True)

    def confirm(self) -> None:
        """The engine is in good hands again."""
        with self._lock:
            self._unconfirmed = 0

    def condemn(self) -> None:
        """The session is beyond use: the next `acquire` opens another."""
        with self._lock:
            self._is_condemned = True

    def current(self) -> TorrentEngine:
        """The engine in use.

        Raises:
            EngineDownError: there is none now.
        """
        with self._lock:
            if self._engine is None:
                raise EngineDownError("no engine is open; it starts with its session actor")
            return self._engine

    @property
    def memory(self) -> EngineMemory:
        """What the engine in use was told, and what the next one will be told."""
        return self._memory

    def remember(self, memory: EngineMemory) -> None:
        """Let an engine that is opened later start with this; the one in use is not touched."""
        self._memory = memory

    @property
    def share_policy(self) -> ShareLimitPolicy:
        """The share limits of torrents without their own; another object with each change."""
        return self._memory.share_policy

    def remember_share_policy(self, policy: ShareLimitPolicy) -> None:
        """Let this session actor, and whichever comes after it, follow these share limits."""
        self._memory = replace(self._memory, share_policy=policy)

    def set_interest(self, topics: frozenset[str]) -> None:
        """Have pieces and peers reported while somebody listens, by this engine and the next.

        Takes no lock: opening and closing an engine may take seconds, and the caller may not wait.
        """
        self._interest = topics
        engine = self._engine
        if engine is not None:
            with suppress(EngineDownError):  # closed this moment; the next one is told
                engine.set_interest(topics)

    def close(self) -> None:
        """Close the engine, if one is open."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
