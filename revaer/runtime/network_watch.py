"""Sees whether peers can reach the engine where they were told to, and nowhere else."""

from collections.abc import Iterable
from typing import Final

from revaer.domain.facts import ListenFailed, ListenSucceeded, TorrentFact
from revaer.domain.listening import bound_to, host_of, is_link_local, listening_trouble
from revaer.ports.logs import logger
from revaer.runtime.session_parts import SessionParts

log = logger(__name__)

COMPONENT: Final = "network"
FIRST_RETRY_S: Final = 2.0
LONGEST_RETRY_S: Final = 60.0
ANSWER_S: Final = 1.5
"""Within which the engine says of each address whether it could be opened; milliseconds, mostly."""
MAX_FAILED: Final = 20
"""Addresses whose failure is remembered; a machine with more is told of these."""


class NetworkWatch:
    """Asks the engine each second: of a bound device that vanished, libtorrent says nothing.

    While the device that peers are called from is away, the engine is suspended: no connection is
    tried that would count against its peers, and those that died with the device are let go, which
    would otherwise take libtorrent two minutes.
    """

    def __init__(self, parts: SessionParts) -> None:
        """Share the session's parts."""
        self._parts = parts
        self._listen = parts.holder.memory.settings.listen
        self._failed: dict[str, str] = {}
        self._unsure: set[str] = set()
        self._sure_at: float | None = None
        self._is_suspended: bool | None = None
        self._was_deaf = False
        self._was_absent: tuple[str, ...] = ()
        self._retry_s = FIRST_RETRY_S
        self._retry_at: float | None = None

    def hear(self, fact: ListenSucceeded | ListenFailed) -> None:
        """Keep count of the addresses that could not be opened; says so at once."""
        self._follow_settings()
        if isinstance(fact, ListenSucceeded):
            for interface in tuple(self._failed):
                if host_of(interface) == fact.address:
                    del self._failed[interface]
        elif not is_link_local(fact.interface):
            self._unsure.discard(fact.interface)
            if len(self._failed) < MAX_FAILED or fact.interface in self._failed:
                self._failed[fact.interface] = fact.reason
        self._judge(self._absent())

    def tick(self) -> Iterable[TorrentFact]:
        """Look, and act: suspend, go on, or try to listen again."""
        self._follow_settings()
        absent = self._absent()
        if absent != self._was_absent:
            self._was_absent = absent
            self._begin_pace()
        self._suspend_or_go_on(absent)
        self._forget_what_is_over()
        self._was_deaf = self._judge(absent)
        self._try_again(absent)
        return ()

    def _absent(self) -> tuple[str, ...]:
        settings = self._parts.holder.memory.settings
        names = bound_to(settings.listen, settings.outgoing_interface)
        return self._parts.engine.absent_interfaces(names) if names else ()

    def _judge(self, absent: tuple[str, ...]) -> bool:
        """Set the health; answers whether the engine is deaf."""
        settings = self._parts.holder.memory.settings
        ports = self._parts.engine.listen_ports()
        is_deaf = not ports and bool(settings.listen)
        cause = listening_trouble(
            listen=settings.listen,
            outgoing=settings.outgoing_interface,
            ports=ports,
            absent=absent,
            failed=self._failed,
        )
        if is_deaf and not absent and not self._failed and not self._was_deaf:
            cause = ""  # it may be about to listen: believed at the second look
        self._parts.health.set(COMPONENT, cause)
        if not is_deaf and not self._failed:
            self._begin_pace()
        elif self._retry_at is None:
            self._retry_at = self._parts.clock() + self._retry_s
        return is_deaf

    def _suspend_or_go_on(self, absent: tuple[str, ...]) -> None:
        outgoing = self._parts.holder.memory.settings.outgoing_interface
        is_cut_off = bool(outgoing) and outgoing in absent
        if is_cut_off == self._is_suspended:
            return
        self._parts.engine.suspend(suspended=is_cut_off)
        if is_cut_off:
            log.warning("interface_lost", interface=outgoing)
        elif self._is_suspended:
            log.warning("interface_back", interface=outgoing)
        self._is_suspended = is_cut_off

    def _try_again(self, absent: tuple[str, ...]) -> None:
        """Open the sockets that are missing, at a bounded pace; those that work stay open.

        libtorrent hears of devices and addresses that come, but never tries a port again that
        another program had.
        """
        now = self._parts.clock()
        if self._retry_at is None or now < self._retry_at:
            return
        self._retry_s = min(self._retry_s * 2, LONGEST_RETRY_S)
        self._retry_at = now + self._retry_s
        if absent and not self._failed:
            return  # nothing to open a socket on
        self._unsure = set(self._failed)
        self._sure_at = now + ANSWER_S
        self._parts.engine.apply(self._parts.holder.memory.for_engine())

    def _forget_what_is_over(self) -> None:
        """Forget failures that the last try did not bring again: those addresses are gone."""
        if self._sure_at is None or self._parts.clock() < self._sure_at:
            return
        for interface in self._unsure:
            self._failed.pop(interface, None)
        self._sure_at = None

    def _follow_settings(self) -> None:
        listen = self._parts.holder.memory.settings.listen
        if listen != self._listen:
            self._listen = listen
            self._failed.clear()
            self._sure_at = None
            self._was_deaf = False
            self._begin_pace()

    def _begin_pace(self) -> None:
        self._retry_s = FIRST_RETRY_S
        self._retry_at = None
