"""How one simulated torrent runs, and whom it knows."""

from collections.abc import Sequence

from revaer.adapters.memory.controls import Controls
from revaer.adapters.memory.core import rate_limit
from revaer.domain import engine_input
from revaer.domain.details import PeerInfo, TrackerInfo
from revaer.domain.errors import InvalidInputError, SelectionError
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.reconciliation import LiveTorrent
from revaer.domain.torrent import Activity, QueueMove


class Tuning(Controls):
    """The settings of one torrent; see `TorrentEngine`."""

    def prioritize(self, info_hash: InfoHash, priorities: Sequence[int]) -> None:
        """Set one priority 0..7 per file."""
        with self._torrent("prioritize", info_hash) as one:
            if one.metainfo is None:
                raise SelectionError(f"the files of {info_hash} are not known yet")
            if len(priorities) != len(one.files):
                raise SelectionError(
                    f"{info_hash} has {len(one.files)} files, {len(priorities)} priorities given"
                )
            try:
                for priority in priorities:
                    engine_input.check_priority(priority)
            except InvalidInputError as error:
                raise SelectionError(str(error)) from error
            one.priorities = list(priorities)
            one.touch()
            self._is_line_stale = True
            self._tell(*one.say_finished())

    def set_first_last_pieces(self, info_hash: InfoHash, *, enabled: bool) -> None:
        """Remember it; files fill from their beginnings either way."""
        with self._torrent("set_first_last_pieces", info_hash) as one:
            one.has_first_last_pieces = enabled

    def set_sequential(self, info_hash: InfoHash, *, sequential: bool) -> None:
        """Remember the order; files fill in their own order either way."""
        with self._torrent("set_sequential", info_hash) as one:
            one.is_sequential = sequential
            one.touch()

    def set_limits(
        self, info_hash: InfoHash, *, download: BytesPerSecond, upload: BytesPerSecond
    ) -> None:
        """Limit one torrent; 0 means unlimited."""
        with self._torrent("set_limits", info_hash) as one:
            down, up = rate_limit("download_limit", download), rate_limit("upload_limit", upload)
            one.download_limit, one.upload_limit = down, up
            one.touch()

    def connect(self, info_hash: InfoHash, peers: Sequence[tuple[str, int]]) -> None:
        """Note which peers were asked for; they connect through `peer_joins`."""
        with self._torrent("connect", info_hash) as one:
            one.asked_peers += engine_input.check_peers(peers)

    def reannounce(self, info_hash: InfoHash) -> None:
        """Nobody is there to ask; trackers answer through `tracker_answers`."""
        with self._torrent("reannounce", info_hash):
            pass

    def move_in_queue(self, info_hash: InfoHash, move: QueueMove) -> None:
        """Change the order; a finished torrent stands in no line."""
        with self._torrent("move_in_queue", info_hash) as one:
            line = self._line()
            if one not in line:
                return
            at = line.index(one)
            line.remove(one)
            goal = {
                QueueMove.UP: max(at - 1, 0),
                QueueMove.DOWN: at + 1,
                QueueMove.TOP: 0,
                QueueMove.BOTTOM: len(line),
            }
            line.insert(goal[move], one)
            for position, each in enumerate(line, start=1):
                each.has_changed = each.has_changed or each.queue_position != position
                each.queue_position = position

    def live(self, info_hash: InfoHash) -> LiveTorrent:
        """What the torrent does now."""
        with self._torrent("live", info_hash) as one:
            is_checking = one.activity is Activity.CHECKING
            return LiveTorrent(
                save_path=one.save_path,
                priorities=tuple(one.priorities) if one.files else (),
                sequential=one.is_sequential,
                first_last_pieces=one.has_first_last_pieces,
                download_limit=one.download_limit,
                upload_limit=one.upload_limit,
                is_stopped=one.is_paused and not one.is_auto_managed,
                is_forced=not one.is_paused and not one.is_auto_managed,
                is_settled=not (is_checking or one.is_held or one.fault is not None),
            )

    def trackers(self, info_hash: InfoHash) -> tuple[TrackerInfo, ...]:
        """Announce addresses in tier order."""
        with self._torrent("trackers", info_hash) as one:
            return tuple(one.trackers.values())

    def set_trackers(self, info_hash: InfoHash, trackers: Sequence[tuple[str, int]]) -> None:
        """Replace the announce addresses."""
        with self._torrent("set_trackers", info_hash) as one:
            one.announce_to(engine_input.check_trackers(trackers))
            one.touch()

    def web_seeds(self, info_hash: InfoHash) -> tuple[str, ...]:
        """HTTP sources."""
        with self._torrent("web_seeds", info_hash) as one:
            return tuple(sorted(one.web_seeds))

    def set_web_seeds(self, info_hash: InfoHash, urls: Sequence[str]) -> None:
        """Replace the HTTP sources."""
        with self._torrent("set_web_seeds", info_hash) as one:
            one.web_seeds = engine_input.check_web_seeds(urls)
            one.touch()

    def peers(self, info_hash: InfoHash) -> tuple[PeerInfo, ...]:
        """Those that joined."""
        with self._torrent("peers", info_hash) as one:
            return tuple(one.peers.values())
