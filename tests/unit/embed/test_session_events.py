"""What does a program that embeds Revaer hear, under which names, with which payloads?"""

import dataclasses
from dataclasses import replace

import pytest

from revaer.domain import events as ev
from revaer.domain import session_events as se
from revaer.domain.errors import InvalidInputError
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.session_events import Call, SessionState, Standing, Translator
from revaer.domain.torrent import (
    FaultCode,
    FileEntry,
    Metainfo,
    Phase,
    TorrentRecord,
    TorrentState,
)
from tests.unit.cli.records import HASH, record_of

OTHER = InfoHash("b" * 40)
PIECES = Metainfo(
    name="album",
    files=(FileEntry(0, "album", 100),),
    total_size_bytes=100,
    piece_length=16,
    piece_count=7,
    infohash_v1=HASH,
)


def album(pieces_have: int = 0, state: TorrentState = TorrentState.DOWNLOADING) -> TorrentRecord:
    record = record_of(state=state)
    status = record.status._replace(pieces_have=pieces_have)
    return replace(record, metainfo=PIECES, status=status)


def translator(*records: TorrentRecord) -> Translator:
    known = {record.info_hash: record for record in records}
    return Translator(known.get, lambda one: one == HASH, lambda: (HASH,))


def one(event: ev.Event, *records: TorrentRecord) -> se.SessionEvent:
    (told,) = translator(*(records or (album(),))).translate([event])
    return told


def test_there_are_thirteen_names() -> None:
    assert len(se.EVENT_NAMES) == len(set(se.EVENT_NAMES)) == 13


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        (se.SessionStateEvent, ["info_hash", "state", "message"]),
        (
            se.PieceCompletedEvent,
            ["piece_index", "piece_size", "pieces_complete", "total_pieces"],
        ),
        (se.PeerEvent, ["peer_addr", "peer_id"]),
        (se.TrackerEvent, ["tracker_url", "peer_count", "error_message"]),
        (
            se.StatsUpdateEvent,
            [
                "downloaded",
                "uploaded",
                "download_rate",
                "upload_rate",
                "connected_peers",
                "progress",
            ],
        ),
        (se.SessionErrorEvent, ["error_message", "error_code"]),
    ],
)
def test_payloads_have_these_fields_and_cannot_be_changed(payload: type, fields: list[str]) -> None:
    assert [field.name for field in dataclasses.fields(payload)] == fields
    assert payload.__dataclass_params__.frozen  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("pattern", "count"),
    [("*", 9), ("session.*", 6), ("piece.*", 2), ("peer.*", 2), ("tracker.*", 2), ("stats.*", 1)],
)
def test_wildcards_are_spelled_out(pattern: str, count: int) -> None:
    assert len(se.names_matching(pattern)) == count


def test_everything_leaves_out_what_costs_work_per_piece_and_peer() -> None:
    heard = se.names_matching("*")

    assert not {name for name in heard if name.startswith(("piece.", "peer."))}
    assert se.names_matching("piece.completed") == {"piece.completed"}


@pytest.mark.parametrize("pattern", ["", "session", "session.", "torrent.*", "**", ".*", "Stats.*"])
def test_a_pattern_that_can_never_match_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInputError, match="no event is named"):
        se.names_matching(pattern)


@pytest.mark.parametrize(
    ("standing", "call", "then", "event"),
    [
        (Standing.STOPPED, Call.START, Standing.RUNNING, se.SESSION_STARTED),
        (Standing.STOPPED, Call.RESUME, Standing.RUNNING, se.SESSION_STARTED),
        (Standing.STOPPED, Call.PAUSE, Standing.STOPPED, ""),
        (Standing.STOPPED, Call.STOP, Standing.STOPPED, ""),
        (Standing.RUNNING, Call.START, Standing.RUNNING, ""),
        (Standing.RUNNING, Call.RESUME, Standing.RUNNING, ""),
        (Standing.RUNNING, Call.PAUSE, Standing.PAUSED, se.SESSION_PAUSED),
        (Standing.RUNNING, Call.STOP, Standing.STOPPED, se.SESSION_STOPPED),
        (Standing.PAUSED, Call.START, Standing.RUNNING, se.SESSION_RESUMED),
        (Standing.PAUSED, Call.RESUME, Standing.RUNNING, se.SESSION_RESUMED),
        (Standing.PAUSED, Call.PAUSE, Standing.PAUSED, ""),
        (Standing.PAUSED, Call.STOP, Standing.STOPPED, se.SESSION_STOPPED),
    ],
)
def test_each_call_has_one_outcome(
    standing: Standing, call: Call, then: Standing, event: str
) -> None:
    assert se.after(standing, call) == se.Step(then, event)


def test_only_the_program_knows_whether_paused_means_stopped() -> None:
    paused = album(state=TorrentState.PAUSED)

    assert se.state_of(paused, Standing.STOPPED) is SessionState.STOPPED
    assert se.state_of(paused, Standing.PAUSED) is SessionState.PAUSED
    assert se.state_of(album(), Standing.STOPPED) is SessionState.DOWNLOADING


def test_every_state_of_a_torrent_is_one_of_a_session() -> None:
    assert {SessionState(state.value) for state in TorrentState} == {
        state for state in SessionState if state is not SessionState.STOPPED
    }


@pytest.mark.parametrize(
    ("event", "name", "data"),
    [
        (
            ev.TorrentCompleted(HASH, EpochSeconds(5)),
            "session.completed",
            se.SessionStateEvent(HASH, SessionState.DOWNLOADING, "every wanted file is there"),
        ),
        (
            ev.TorrentFailed(HASH, FaultCode.DISK_FULL, "no space"),
            "session.error",
            se.SessionErrorEvent("no space", se.SessionErrorCode.DISK_FULL),
        ),
        (
            ev.PeerConnected(HASH, "192.0.2.1:6881"),
            "peer.connected",
            se.PeerEvent("192.0.2.1:6881", ""),
        ),
        (
            ev.PeerDisconnected(HASH, "192.0.2.1:6881", "bored", "-LT2110-abcdefghijkl"),
            "peer.disconnected",
            se.PeerEvent("192.0.2.1:6881", "-LT2110-abcdefghijkl"),
        ),
        (
            ev.TrackerSucceeded(HASH, "http://t/a", 7),
            "tracker.success",
            se.TrackerEvent("http://t/a", 7, ""),
        ),
        (
            ev.TrackerFailed(HASH, "http://t/a", "refused"),
            "tracker.failed",
            se.TrackerEvent("http://t/a", 0, "refused"),
        ),
        (
            ev.StatsUpdated(HASH, 10, 20, 3, 4, 5, 0.5),
            "stats.update",
            se.StatsUpdateEvent(10, 20, 3, 4, 5, 0.5),
        ),
        (
            ev.PieceHashFailed(HASH, 6),
            "piece.hash_failed",
            se.PieceCompletedEvent(6, 4, 0, 7),
        ),
    ],
)
def test_the_service_s_events_become_the_session_s(
    event: ev.Event, name: str, data: se.Payload
) -> None:
    assert one(event) == se.SessionEvent(name, HASH, data)


def test_a_share_limit_stops_a_session() -> None:
    event = ev.TorrentStateChanged(HASH, TorrentState.COMPLETED, Phase.NONE, TorrentState.SEEDING)

    told = one(event, album(state=TorrentState.COMPLETED))

    assert told.name == "session.stopped"
    assert isinstance(told.data, se.SessionStateEvent)
    assert told.data.state is SessionState.COMPLETED


@pytest.mark.parametrize(
    "event",
    [
        ev.TorrentCompleted(OTHER, EpochSeconds(5)),
        ev.TorrentFailed(OTHER, FaultCode.ENGINE, "theirs"),
        ev.TorrentStateChanged(HASH, TorrentState.SEEDING, Phase.NONE, TorrentState.DOWNLOADING),
        ev.TorrentAdded(HASH, "album"),
        ev.ActorFailed("board", "not the engine"),
        ev.HealthChanged("storage", "ok", ""),
    ],
)
def test_what_is_not_the_session_s_business_is_left_out(event: ev.Event) -> None:
    assert translator(album()).translate([event]) == []


def test_a_failed_engine_is_an_error_of_every_torrent() -> None:
    told = one(ev.ActorFailed("engine", "it died four times"))

    assert told.name == "session.error"
    assert isinstance(told.data, se.SessionErrorEvent)
    assert told.data.error_code == se.SessionErrorCode.UNAVAILABLE
    assert "it died four times" in told.data.error_message


def test_every_fault_has_a_number_of_its_own() -> None:
    numbers = [se.error_code(code) for code in FaultCode]

    assert len(set(numbers)) == len(numbers)
    assert se.error_code("something new") is se.SessionErrorCode.ENGINE


def complete_counts(told: list[se.SessionEvent]) -> list[int]:
    return [
        event.data.pieces_complete
        for event in told
        if isinstance(event.data, se.PieceCompletedEvent)
    ]


def pieces(*indexes: int) -> list[ev.Event | se.SessionEvent]:
    return [ev.PieceCompleted(HASH, index) for index in indexes]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [(0, [1, 2, 3]), (3, [1, 2, 3]), (5, [3, 4, 5]), (7, [5, 6, 7])],
    ids=["totals-come-later", "totals-came-with-them", "some-were-there", "the-last-three"],
)
def test_pieces_are_counted_one_by_one(shown: int, expected: list[int]) -> None:
    assert complete_counts(translator(album(shown)).translate(pieces(1, 4, 2))) == expected


def test_counting_goes_on_in_the_next_batch_and_never_passes_the_total() -> None:
    subject = translator(album(0))

    subject.translate(pieces(0, 1, 2))

    assert complete_counts(subject.translate(pieces(3, 4))) == [4, 5]
    assert complete_counts(subject.translate(pieces(5, 6, 0, 1))) == [6, 7, 7, 7]


@pytest.mark.parametrize(
    "event",
    [
        ev.TorrentRemoved(HASH, with_data=True),
        ev.TorrentStateChanged(HASH, TorrentState.CHECKING, Phase.NONE, TorrentState.SEEDING),
    ],
    ids=["removed-and-added-again", "checked-again"],
)
def test_counting_begins_anew_with_the_pieces(event: ev.Event) -> None:
    subject = translator(album(0))

    subject.translate(pieces(0, 1, 2))

    assert complete_counts(subject.translate([event, *pieces(5)])) == [1]


def test_pieces_of_a_torrent_without_metadata_are_not_told() -> None:
    unknown = replace(album(), metainfo=None)

    assert translator(unknown).translate([*pieces(0), ev.PieceHashFailed(HASH, 1)]) == []


def test_the_last_piece_is_as_small_as_it_is() -> None:
    assert se.piece_size(PIECES, 0) == 16
    assert se.piece_size(PIECES, 6) == 4


def test_in_v2_each_file_ends_in_a_piece_of_its_own() -> None:
    v2 = Metainfo(
        name="album",
        files=(
            FileEntry(0, "a/x", 20, 0, 1),
            FileEntry(1, "a/e", 0),
            FileEntry(2, "a/y", 16, 2, 2),
        ),
        total_size_bytes=36,
        piece_length=16,
        piece_count=3,
        infohash_v2="c" * 64,
    )

    assert [se.piece_size(v2, index) for index in range(3)] == [16, 4, 16]


def test_events_of_the_session_itself_keep_their_place() -> None:
    own = se.SessionEvent(
        "session.paused", HASH, se.SessionStateEvent(HASH, SessionState.PAUSED, "")
    )

    told = translator(album()).translate([*pieces(0), own, *pieces(1)])

    names = [event.name for event in told]
    assert names == ["piece.completed", "session.paused", "piece.completed"]


def test_stats_are_those_of_the_last_report() -> None:
    stats = se.stats_of(album())

    assert stats.connected_peers == 3
    assert stats.progress == 0.25
