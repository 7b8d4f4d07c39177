"""What does each libtorrent alert mean, and what when its text cannot be read?"""

import errno
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import libtorrent as lt
import pytest

from revaer.adapters.libtorrent import alerts, status
from revaer.adapters.libtorrent.outcomes import Outcomes
from revaer.adapters.libtorrent.registry import Ask, Entry, Registry, Removal
from revaer.adapters.libtorrent.reports import Report
from revaer.domain import facts as f
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import Activity, FaultCode, TorrentStatus

ID = InfoHash("a" * 40)
STRANGER = object()


class Handle:
    """A torrent handle, as far as routing looks at it."""


class ErrorCode:
    """An error code with a message that may not be text."""

    def __init__(self, value: int, category: str = "system", message: str = "boom") -> None:
        self._value, self._category, self._message = value, category, message

    def value(self) -> int:
        return self._value

    def category(self) -> Any:
        return SimpleNamespace(name=lambda: self._category)

    def message(self) -> str:
        return self._message


def unreadable(*_: object) -> str:
    return b"\xff".decode()


class World:
    """One known torrent and what comes out for it."""

    def __init__(self) -> None:
        self.handle = Handle()
        self.registry = Registry()
        self.entry = Entry(ID, cast("lt.torrent_handle", self.handle))
        self.registry.register(self.entry, {str(ID)})
        self.outcomes = Outcomes(self.registry)

    def hear(self, kind: type, **fields: object) -> list[f.Fact]:
        """Convert an alert of this kind with these attributes, then settle it."""
        alert = SimpleNamespace(**({"handle": self.handle} | fields))
        reports = alerts._CONVERTERS[kind](alert, self.registry.of_handle)
        return [fact for report in reports for fact in self.outcomes.settle(report)]


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("kind", "fields", "fact"),
    [
        (lt.torrent_finished_alert, {}, f.DownloadFinished(ID)),
        (lt.torrent_checked_alert, {}, f.TorrentChecked(ID)),
        (lt.cache_flushed_alert, {}, f.CacheFlushed(ID)),
        (lt.piece_finished_alert, {"piece_index": 3}, f.PieceFinished(ID, 3)),
        (lt.hash_failed_alert, {"piece_index": 4}, f.PieceFailed(ID, 4)),
        (lt.peer_connect_alert, {"ep": ("10.0.0.1", 5)}, f.PeerJoined(ID, "10.0.0.1:5")),
        (
            lt.peer_disconnected_alert,
            {"ep": ("::1", 5), "error": ErrorCode(1), "pid": lt.sha1_hash(bytes(20))},
            f.PeerLeft(ID, "[::1]:5", "boom"),
        ),
        (
            lt.peer_disconnected_alert,
            {
                "ep": ("::1", 5),
                "error": ErrorCode(1),
                "pid": lt.sha1_hash(b"-LT2110-a~.\x00\xff%bcdefg"),
            },
            f.PeerLeft(ID, "[::1]:5", "boom", "-LT2110-a~.%00%FF%25bcdefg"),
        ),
        (
            lt.save_resume_data_failed_alert,
            {"error": ErrorCode(1)},
            f.ResumeDataFailed(ID, "boom"),
        ),
        (
            lt.fastresume_rejected_alert,
            {"error": ErrorCode(1), "file_path": lambda: "/x"},
            f.ResumeRejected(ID, "/x: boom"),
        ),
        (
            lt.tracker_reply_alert,
            {"url": "http://t/announce", "num_peers": 9},
            f.TrackerAnswered(ID, "http://t/announce", 9),
        ),
        (
            lt.tracker_error_alert,
            {"url": "http://t", "error": ErrorCode(1), "failure_reason": lambda: "go away"},
            f.TrackerRefused(ID, "http://t", "go away"),
        ),
        (
            lt.tracker_error_alert,
            {"url": "http://t", "error": ErrorCode(1), "failure_reason": lambda: ""},
            f.TrackerRefused(ID, "http://t", "boom"),
        ),
        (lt.add_torrent_alert, {"error": ErrorCode(5)}, f.AddFailed(ID, "boom")),
        (lt.storage_moved_alert, {"storage_path": lambda: "/new"}, f.StorageMoved(ID, "/new")),
        (
            lt.file_rename_failed_alert,
            {"index": 3, "error": ErrorCode(1)},
            f.FileRenameFailed(ID, 3, "boom"),
        ),
    ],
    ids=[
        *(
            "finished",
            "checked",
            "flushed",
            "piece",
            "bad piece",
            "peer",
            "peer left",
            "a named one left",
        ),
        *("save failed", "blob rejected", "tracker", "tracker refuses", "tracker fails"),
        *("add failed", "moved", "rename failed"),
    ],
)
def test_an_alert_is_one_fact_about_its_torrent(
    world: World, kind: type, fields: dict[str, object], fact: f.Fact
) -> None:
    assert world.hear(kind, **fields) == [fact]
    assert world.hear(kind, **(fields | {"handle": STRANGER})) == []


def test_a_file_priority_alert_is_no_news_and_orders_the_pieces_anew_where_asked(
    world: World,
) -> None:
    ordered: list[list[tuple[int, int]]] = []
    layout = SimpleNamespace(
        file_flags=lambda _: 0, file_offset=lambda _: 0, file_size=lambda _: 300
    )
    info = SimpleNamespace(layout=lambda: layout, num_files=lambda: 1, piece_length=lambda: 100)
    handle = cast("Any", world.handle)
    handle.torrent_file = lambda: info
    handle.prioritize_pieces = ordered.append
    assert world.hear(lt.file_prio_alert) == []
    assert ordered == []
    world.entry.has_first_last_pieces = True
    assert world.hear(lt.file_prio_alert) == []
    assert world.hear(lt.torrent_checked_alert) == [f.TorrentChecked(ID)]
    assert ordered == [[(0, 7), (2, 7)]] * 2


def test_a_renamed_file_is_remembered(world: World) -> None:
    renamed = world.hear(lt.file_renamed_alert, index=2, new_name=lambda: "album/x")
    assert renamed == [f.FileRenamed(ID, 2, "album/x")]
    assert world.entry.renames == {2: "album/x"}


def test_a_move_that_failed_says_where_and_why(world: World) -> None:
    fields: dict[str, object] = {"error": ErrorCode(28), "file_path": lambda: "/new/a"}
    assert world.hear(lt.storage_moved_failed_alert, **fields) == [
        f.StorageMoveFailed(ID, "/new/a: boom")
    ]
    fields["error"] = ErrorCode(0, message="Success")
    (failed,) = world.hear(lt.storage_moved_failed_alert, **fields)
    assert isinstance(failed, f.StorageMoveFailed)
    assert "in the way" in failed.reason


def test_answers_that_were_lost_end_every_export_that_waits_for_one(world: World) -> None:
    world.entry.asks += [Ask.SAVE, Ask.EXPORT]
    dropped, failed = world.hear(lt.alerts_dropped_alert)
    assert dropped == f.AlertsDropped()
    assert isinstance(failed, f.ResumeDataFailed)
    assert not world.entry.asks
    world.entry.asks += [Ask.SAVE]
    assert world.hear(lt.alerts_dropped_alert) == [f.AlertsDropped()]


def test_an_export_that_fails_leaves_the_next_answer_to_the_save(world: World) -> None:
    world.entry.asks += [Ask.EXPORT, Ask.SAVE]
    failed = world.hear(lt.save_resume_data_failed_alert, error=ErrorCode(1))
    assert failed == [f.ResumeDataFailed(ID, "boom")]
    assert [*world.entry.asks] == [Ask.SAVE]
    empty = world.hear(lt.save_resume_data_alert, params=lt.add_torrent_params())
    assert isinstance(empty[0], f.ResumeDataReady)


def test_an_export_of_what_has_no_metadata_fails_alone(world: World) -> None:
    world.entry.asks += [Ask.EXPORT]
    (failed,) = world.hear(lt.save_resume_data_alert, params=lt.add_torrent_params())
    assert isinstance(failed, f.ResumeDataFailed)
    assert world.entry.is_save_owed


def test_an_alert_of_a_kind_that_nobody_uses_is_passed_over(world: World) -> None:
    assert alerts.reports_of(cast("lt.alert", object()), world.registry.of_handle) == ()


def test_a_torrent_that_was_added_well_is_no_news(world: World) -> None:
    assert world.hear(lt.add_torrent_alert, error=ErrorCode(0)) == []


def test_text_that_is_not_utf8_costs_only_itself(world: World) -> None:
    class Alert:
        handle = world.handle
        num_peers = 2
        url = property(unreadable)

    reports = alerts._CONVERTERS[lt.tracker_reply_alert](Alert(), world.registry.of_handle)
    assert reports == (f.TrackerAnswered(ID, alerts.UNREADABLE, 2),)


@pytest.mark.parametrize("error", [UnicodeDecodeError("utf-8", b"", 0, 1, ""), TypeError()])
def test_an_alert_that_cannot_be_read_at_all_costs_only_itself(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> tuple[Report, ...]:
        raise error

    monkeypatch.setitem(alerts._CONVERTERS, SimpleNamespace, fail)
    alert = cast("lt.alert", SimpleNamespace())
    assert alerts.reports_of(alert, world.registry.of_handle) == ()


@pytest.mark.parametrize(
    ("number", "category", "code"),
    [
        (errno.ENOSPC, "system", FaultCode.DISK_FULL),
        (errno.EDQUOT, "generic", FaultCode.DISK_FULL),
        (errno.ENOENT, "system", FaultCode.MISSING_FILES),
        (errno.EACCES, "system", FaultCode.UNWRITABLE),
        (errno.EROFS, "system", FaultCode.UNWRITABLE),
        (errno.ENOTDIR, "system", FaultCode.UNWRITABLE),
        (errno.ENAMETOOLONG, "system", FaultCode.UNWRITABLE),
        (errno.EIO, "system", FaultCode.ENGINE),
        (errno.ENOSPC, "libtorrent", FaultCode.ENGINE),
    ],
)
def test_a_disk_error_has_a_name_and_a_remedy(
    world: World, number: int, category: str, code: FaultCode
) -> None:
    (raised,) = world.hear(
        lt.file_error_alert, error=ErrorCode(number, category), filename=lambda: "/d/x"
    )
    assert isinstance(raised, f.FaultRaised)
    assert raised.fault.code is code
    assert raised.fault.message.startswith("/d/x: boom; ")


def test_one_cause_is_one_fault_however_many_blocks_fail(world: World) -> None:
    def fail(number: int) -> list[f.Fact]:
        return world.hear(lt.file_error_alert, error=ErrorCode(number), filename=unreadable)

    assert len(fail(errno.ENOSPC)) == 1
    assert fail(errno.ENOSPC) == []
    assert world.hear(lt.torrent_error_alert, error=ErrorCode(errno.ENOSPC)) == []
    assert len(fail(errno.EACCES)) == 1


def test_both_torrents_of_a_conflict_are_told(world: World) -> None:
    other = Entry(InfoHash("b" * 40), cast("lt.torrent_handle", Handle()))
    world.registry.register(other, {str(other.info_hash)})
    raised = world.hear(lt.torrent_conflict_alert, conflicting_torrent=other.handle)
    assert [fact.info_hash for fact in raised if isinstance(fact, f.FaultRaised)] == [
        ID,
        other.info_hash,
    ]
    assert all(
        isinstance(fact, f.FaultRaised) and fact.fault.code is FaultCode.TORRENT_CONFLICT
        for fact in raised
    )


DELETED: tuple[type, dict[str, object]] = (lt.torrent_deleted_alert, {})
FAILED: tuple[type, dict[str, object]] = (lt.torrent_delete_failed_alert, {"error": ErrorCode(13)})
NOTHING: tuple[type, dict[str, object]] = (lt.torrent_delete_failed_alert, {"error": ErrorCode(0)})
REMOVED: tuple[type, dict[str, object]] = (lt.torrent_removed_alert, {})


@pytest.mark.parametrize("removed_first", [False, True])
@pytest.mark.parametrize(
    ("answer", "gone"),
    [
        (DELETED, f.TorrentGone(ID, data_deleted=True)),
        (NOTHING, f.TorrentGone(ID, data_deleted=True)),
        (FAILED, f.TorrentGone(ID, data_deleted=False, reason="boom")),
    ],
    ids=["deleted", "never had files", "failed"],
)
def test_a_torrent_removed_with_its_data_is_gone_when_both_are(
    world: World,
    answer: tuple[type, dict[str, object]],
    gone: f.TorrentGone,
    *,
    removed_first: bool,
) -> None:
    world.entry.removal = Removal.WITH_DATA
    first, second = (REMOVED, answer) if removed_first else (answer, REMOVED)
    assert world.hear(first[0], **first[1]) == []
    assert world.hear(second[0], **second[1]) == [gone]
    assert world.registry.by_handle == {}


def test_a_torrent_removed_without_its_data_does_not_wait_for_its_part_file(world: World) -> None:
    world.entry.removal = Removal.KEEP_DATA
    assert world.hear(lt.torrent_removed_alert) == [f.TorrentGone(ID)]
    assert world.hear(lt.torrent_deleted_alert) == []


def test_a_torrent_added_again_is_not_taken_for_its_removed_self(world: World) -> None:
    world.entry.removal = Removal.KEEP_DATA
    world.registry.retire(world.entry)
    again = Entry(ID, cast("lt.torrent_handle", Handle()))
    world.registry.register(again, {str(ID)})
    assert world.hear(lt.torrent_removed_alert) == [f.TorrentGone(ID)]
    assert world.registry.find(ID) is again


def test_engine_wide_alerts_name_no_torrent(world: World) -> None:
    assert world.hear(lt.alerts_dropped_alert) == [f.AlertsDropped()]
    assert world.hear(
        lt.listen_succeeded_alert, socket_type=lt.socket_type_t.tcp, address="::1", port=6881
    ) == [f.ListenSucceeded("::1", 6881)]
    assert world.hear(lt.listen_succeeded_alert, socket_type=lt.socket_type_t.utp) == []
    assert world.hear(
        lt.listen_failed_alert, address="10.0.0.9", port=6881, error=ErrorCode(98)
    ) == [f.ListenFailed("10.0.0.9:6881", "boom")]
    assert world.hear(
        lt.listen_failed_alert, port=0, listen_interface=lambda: "tun0", error=ErrorCode(1)
    ) == [f.ListenFailed("tun0", "boom")]


PLAIN: dict[str, object] = {
    "state": lt.torrent_status.states.downloading,
    "flags": lt.torrent_flags.auto_managed | lt.torrent_flags.upload_mode,
    "moving_storage": True,
    "has_metadata": True,
    "error": "",
    "progress": 0.5,
    "total": 101,
    "total_wanted": 102,
    "total_wanted_done": 103,
    "total_done": 104,
    "num_pieces": 105,
    "all_time_download": 106,
    "all_time_upload": 107,
    "total_payload_download": 108,
    "total_payload_upload": 109,
    "total_failed_bytes": 100,
    "total_redundant_bytes": 10,
    "download_payload_rate": 111,
    "upload_payload_rate": 112,
    "num_seeds": 113,
    "num_peers": 213,
    "num_complete": 115,
    "num_incomplete": 116,
    "list_seeds": 1,
    "list_peers": 4,
    "connections_limit": 117,
    "distributed_copies": 1.25,
    "queue_position": 118,
    "active_time": 120,
    "finished_time": 121,
    "seeding_time": 122,
    "time_since_upload": 10,
    "time_since_download": 20,
    "last_seen_complete": 125,
    "next_announce": timedelta(seconds=126),
    "current_tracker": "http://t",
    "need_save_resume": True,
}


def report(world: World, now: int = 1_000_000, **changes: object) -> TorrentStatus:
    update = SimpleNamespace(**(PLAIN | {"handle": world.handle} | changes))
    (fact,) = status.reports(
        [cast("lt.torrent_status", update)], world.registry, sequence=7, now=now
    )
    assert isinstance(fact, f.StatusReported)
    return fact.status


def test_every_value_of_a_status_lands_in_its_field(world: World) -> None:
    world.entry.tracker_count = 127
    assert report(world) == TorrentStatus(
        info_hash=ID,
        sequence=7,
        activity=Activity.DOWNLOADING,
        is_paused=False,
        is_auto_managed=True,
        is_finished=False,
        in_upload_mode=True,
        is_moving=True,
        has_metadata=True,
        error="",
        progress=0.5,
        size_bytes=101,
        wanted_bytes=102,
        wanted_done_bytes=103,
        done_bytes=104,
        pieces_have=105,
        downloaded_bytes=106,
        uploaded_bytes=107,
        downloaded_session_bytes=108,
        uploaded_session_bytes=109,
        wasted_bytes=110,
        download_rate=111,
        upload_rate=112,
        seeds=113,
        leechers=100,
        swarm_seeds=115,
        swarm_leechers=116,
        connections_limit=117,
        availability=1.25,
        queue_position=119,
        active_s=120,
        finished_s=121,
        seeding_s=122,
        last_upload_at=EpochSeconds(999_990),
        last_download_at=EpochSeconds(999_980),
        last_seen_complete_at=EpochSeconds(125),
        next_announce_s=126,
        current_tracker="http://t",
        tracker_count=127,
        needs_save=True,
    )
    assert len(report(world)) == len(TorrentStatus._fields)


def test_a_tracker_that_counts_no_peers_leaves_it_to_what_is_known(world: World) -> None:
    seen = report(world, num_complete=-1, num_incomplete=-1)
    assert (seen.swarm_seeds, seen.swarm_leechers) == (1, 3)


def test_a_torrent_outside_the_queue_has_no_place_in_it(world: World) -> None:
    assert report(world, queue_position=-1).queue_position == 0


def test_progress_ends_at_one_though_a_shared_piece_counts_for_more(world: World) -> None:
    assert report(world, progress=2.02).progress == 1.0


def test_a_paused_torrent_announces_nothing(world: World) -> None:
    assert report(world, flags=lt.torrent_flags.paused).next_announce_s == 0


@pytest.mark.parametrize(
    ("state", "is_finished"),
    [
        ("checking_files", False),
        ("downloading_metadata", False),
        ("downloading", False),
        ("finished", True),
        ("seeding", True),
        ("checking_resume_data", False),
    ],
)
def test_finished_is_what_needs_no_more_bytes(
    world: World, state: str, *, is_finished: bool
) -> None:
    seen = report(world, state=getattr(lt.torrent_status.states, state))
    assert seen.is_finished is is_finished


def test_a_moment_does_not_dance_with_the_rounding_of_an_age(world: World) -> None:
    assert report(world, now=1_000, time_since_upload=10).last_upload_at == 990
    assert report(world, now=1_001, time_since_upload=10).last_upload_at == 990
    assert report(world, now=1_100, time_since_upload=10).last_upload_at == 1_090
    assert report(world, now=1_200, time_since_upload=-1).last_upload_at == 1_090


def test_a_tracker_s_name_that_is_not_text_costs_only_itself(world: World) -> None:
    class Update:
        handle = world.handle
        current_tracker = property(unreadable)

        def __getattr__(self, name: str) -> object:
            return PLAIN[name]

    (fact,) = status.reports(
        [cast("lt.torrent_status", Update())], world.registry, sequence=1, now=1
    )
    assert isinstance(fact, f.StatusReported)
    assert (fact.status.current_tracker, fact.status.done_bytes) == ("(unreadable)", 104)


def test_a_fault_is_over_when_the_status_shows_nothing_of_it(world: World) -> None:
    update = SimpleNamespace(**(PLAIN | {"handle": world.handle, "flags": 0}))

    def settle() -> list[f.Fact]:
        updates = [cast("lt.torrent_status", update)]
        return status.reports(updates, world.registry, sequence=1, now=1)[1:]

    assert settle() == []
    world.hear(lt.file_error_alert, error=ErrorCode(errno.ENOSPC), filename=lambda: "x")
    update.flags = lt.torrent_flags.upload_mode
    assert settle() == []
    update.flags = 0
    assert settle() == [f.FaultCleared(ID)]
    assert settle() == []
    assert len(world.hear(lt.torrent_error_alert, error=ErrorCode(errno.ENOSPC))) == 1


def test_missing_files_stay_a_fault_though_the_status_shows_nothing_of_them(world: World) -> None:
    world.hear(lt.file_error_alert, error=ErrorCode(errno.ENOENT), filename=lambda: "x")
    report(world, flags=0)
    assert world.entry.faults


def test_a_tracker_s_words_do_not_repeat_the_key_that_it_was_asked_with(world: World) -> None:
    (fact,) = world.hear(
        lt.tracker_error_alert,
        url="http://t.example/c0ffee0123456789/announce",
        error=ErrorCode(1),
        failure_reason=lambda: "c0ffee0123456789 is banned, see http://t.example/c0ffee0123456789",
    )
    assert isinstance(fact, f.TrackerRefused)
    assert fact.message == "… is banned, see http://t.example/…"
