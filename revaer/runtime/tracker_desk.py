"""Carries out what concerns a torrent's sources: trackers, web seeds, peers named by hand."""

from dataclasses import replace
from typing import assert_never

from revaer.domain import commands as cmd
from revaer.domain import source_urls
from revaer.domain.errors import InvalidInputError
from revaer.domain.facts import SpecChanged
from revaer.domain.torrent import TorrentSpec
from revaer.runtime.session_parts import Outcome, SessionParts

_TrackerChange = cmd.AddTrackers | cmd.RemoveTrackers | cmd.EditTracker
_WebSeedChange = cmd.AddWebSeeds | cmd.RemoveWebSeeds

TrackerCommand = _TrackerChange | _WebSeedChange | cmd.ReannounceTorrent | cmd.ConnectPeers


class TrackerDesk:
    """A list that somebody changed is stored whole; until then the source's own holds."""

    def __init__(self, parts: SessionParts) -> None:
        """Share the session's parts."""
        self._parts = parts

    def execute(self, command: TrackerCommand) -> Outcome:
        """Carry a command out up to the engine.

        Raises:
            RevaerError: refused, nothing changed.
        """
        parts = self._parts
        spec = parts.running(command.info_hash)
        match command:
            case cmd.ReannounceTorrent():
                parts.engine.reannounce(spec.info_hash)
            case cmd.ConnectPeers(_, peers):
                parts.engine.connect(spec.info_hash, peers)
            case cmd.AddWebSeeds() | cmd.RemoveWebSeeds():
                return self._fetch_from(spec, _web_seeds_after(self._web_seeds(spec), command))
            case _:
                return self._announce_to(spec, _trackers_after(self._trackers(spec), command))
        return Outcome(spec.info_hash, ())

    def _trackers(self, spec: TorrentSpec) -> tuple[source_urls.Tracker, ...]:
        if spec.trackers is not None:
            return spec.trackers
        known = self._parts.engine.trackers(spec.info_hash)
        # A torrent file may name what is no tracker at all; nothing is lost without it.
        return tuple(
            (tracker.url, tracker.tier)
            for tracker in known
            if source_urls.is_tracker(tracker.url, tracker.tier)
        )

    def _web_seeds(self, spec: TorrentSpec) -> tuple[str, ...]:
        if spec.web_seeds is not None:
            return spec.web_seeds
        known = self._parts.engine.web_seeds(spec.info_hash)
        return tuple(url for url in known if source_urls.is_web_seed(url))

    def _announce_to(self, spec: TorrentSpec, trackers: tuple[source_urls.Tracker, ...]) -> Outcome:
        parts = self._parts
        changed = replace(spec, trackers=trackers)
        parts.keep(changed)
        try:
            parts.engine.set_trackers(spec.info_hash, trackers)
        except InvalidInputError:
            parts.keep(spec)
            raise
        return self._done(changed)

    def _fetch_from(self, spec: TorrentSpec, urls: tuple[str, ...]) -> Outcome:
        parts = self._parts
        changed = replace(spec, web_seeds=urls)
        parts.keep(changed)
        try:
            parts.engine.set_web_seeds(spec.info_hash, urls)
        except InvalidInputError:
            parts.keep(spec)
            raise
        return self._done(changed)

    def _done(self, spec: TorrentSpec) -> Outcome:
        self._parts.saver.request(spec.info_hash)
        return Outcome(spec.info_hash, (SpecChanged(spec.info_hash, spec),))


def _trackers_after(
    known: tuple[source_urls.Tracker, ...], command: _TrackerChange
) -> tuple[source_urls.Tracker, ...]:
    match command:
        case cmd.AddTrackers(_, trackers):
            return source_urls.with_trackers(known, trackers)
        case cmd.RemoveTrackers(_, urls):
            return source_urls.without_trackers(known, urls)
        case cmd.EditTracker(_, url, new_url):
            return source_urls.with_tracker_replaced(known, url, new_url)
        case _:
            assert_never(command)


def _web_seeds_after(known: tuple[str, ...], command: _WebSeedChange) -> tuple[str, ...]:
    match command:
        case cmd.AddWebSeeds(_, urls):
            return source_urls.with_web_seeds(known, urls)
        case cmd.RemoveWebSeeds(_, urls):
            return source_urls.without_web_seeds(known, urls)
        case _:
            assert_never(command)
