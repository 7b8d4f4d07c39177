"""Carries out what concerns the engine as a whole: limits, settings, bans, policies."""

import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from revaer.domain import commands as cmd
from revaer.domain.errors import InvalidInputError
from revaer.domain.events import GuardRailRaised
from revaer.domain.limits import Rates, SessionLimits, guard_rails
from revaer.domain.share_limits import check_share_limits
from revaer.ports.engine import EngineSettings
from revaer.ports.logs import logger
from revaer.runtime.messages import ApplySettings
from revaer.runtime.session_parts import SessionParts

log = logger(__name__)


class SessionDesk:
    """The engine first, then the holder's memory: what the engine refuses is not remembered.

    None of it is in the resume store. The holder keeps it for the next session actor and the next
    engine; what shall outlive the process belongs to the settings that the process is started with.
    """

    def __init__(self, parts: SessionParts) -> None:
        """Share the session's parts."""
        self._parts = parts

    def apply(self, command: cmd.SessionCommand | ApplySettings) -> cmd.SettingsApplied:
        """Carry a command out.

        Raises:
            InvalidInputError: a value out of range; nothing changed.
        """
        parts = self._parts
        limits = parts.holder.memory.limits
        match command:
            case cmd.SetGlobalLimits(download, upload):
                self._limit(replace(limits, download=download, upload=upload), is_given=True)
            case cmd.SetAlternativeLimits(download, upload):
                changed = replace(limits, alternative_download=download, alternative_upload=upload)
                self._limit(changed, is_given=True)
            case cmd.UseAlternativeLimits(enabled):
                self._limit(replace(limits, use_alternative=enabled), is_given=False)
            case cmd.SetShareLimitPolicy(policy):
                check_share_limits(policy.everything, of="all torrents")
                for name, share_limits in policy.categories.items():
                    check_share_limits(share_limits, of=f"the category {name}")
                parts.holder.remember_share_policy(policy)  # read by the watch at its next tick
            case cmd.BanPeers(addresses):
                settings = parts.holder.memory.settings
                banned = settings.banned_peers | _ip_addresses(addresses)
                self._settle(replace(settings, banned_peers=banned))
            case ApplySettings(settings):
                self._settle(settings)
                log.info("engine_settings_applied")
            case _:
                assert_never(command)
        return cmd.SettingsApplied(parts.board.revision)

    def _limit(self, limits: SessionLimits, *, is_given: bool) -> None:
        """Let these limits hold from now on."""
        holder = self._parts.holder
        before, after = holder.memory.limits.effective, limits.effective
        if after != before:
            self._parts.engine.set_global_limits(download=after.download, upload=after.upload)
        holder.remember(holder.memory.with_limits(limits))
        self._warn(before, after, is_given=is_given)

    def _settle(self, settings: EngineSettings) -> None:
        """Let the engine run with these settings from now on; their limits are the usual ones."""
        holder = self._parts.holder
        before = holder.memory.limits.effective
        memory = replace(holder.memory, settings=settings)
        self._parts.engine.apply(memory.for_engine())
        holder.remember(memory)
        self._warn(before, memory.limits.effective, is_given=False)

    def _warn(self, before: Rates, after: Rates, *, is_given: bool) -> None:
        for warned in guard_rails(before, after, is_given=is_given):
            log.warning(
                "limits_guard_rail",
                direction=warned.direction,
                reason=warned.reason.value,
                limit=warned.limit,
            )
            self._parts.publish(
                GuardRailRaised(warned.direction, warned.reason.value, warned.limit)
            )


def _ip_addresses(texts: Iterable[str]) -> frozenset[str]:
    """The addresses in their shortest form, so that none is banned twice.

    Raises:
        InvalidInputError: one of them is no IP address.
    """
    addresses: set[str] = set()
    for text in texts:
        try:
            addresses.add(str(ipaddress.ip_address(text)))
        except ValueError as error:
            raise InvalidInputError(
                f"a peer is banned by its IP address, without a port: {text!r}"
            ) from error
    return frozenset(addresses)
