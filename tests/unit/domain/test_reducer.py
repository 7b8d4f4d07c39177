"""What becomes of a torrent's record, and what is announced, when facts arrive?"""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revaer.domain import events as ev
from revaer.domain import facts as f
from revaer.domain.ids import NEVER, BytesPerSecond, EpochSeconds, InfoHash
from revaer.domain.reducer import (
    EVERYTHING,
    FIELD_BITS,
    RECORD_FIELDS,
    SPEC_FIELDS,
    STATUS_FIELDS,
    Applied,
    apply,
    fields_of,
)
from revaer.domain.states import derive_state
from revaer.domain.torrent import (
    Activity,
    Fault,
    FaultCode,
    FileEntry,
    Metainfo,
    Phase,
    StopReason,
    TorrentRecord,
    TorrentSpec,
    TorrentState,
    TorrentStatus,
)

ID = InfoHash("a" * 40)
SPEC = TorrentSpec(
    info_hash=ID, name="film", save_path="/data", added_at=EpochSeconds(1_700_000_000)
)
METAINFO = Metainfo(
    name="film",
    files=(FileEntry(0, "film/a.mkv", 90), FileEntry(1, "film/a.srt", 10)),
    total_size_bytes=100,
    piece_length=16,
    piece_count=7,
)
LOADING = TorrentStatus(ID)
RUNNING = TorrentStatus(
    ID,
    sequence=1,
    activity=Activity.DOWNLOADING,
    has_metadata=True,
    progress=0.5,
    wanted_bytes=100,
    wanted_done_bytes=50,
    done_bytes=50,
    download_rate=1000,
    seeds=2,
    leechers=3,
)
DONE = RUNNING._replace(
    sequence=2,
    activity=Activity.SEEDING,
    is_finished=True,
    progress=1.0,
    wanted_done_bytes=100,
    done_bytes=100,
    download_rate=0,
)
AT = EpochSeconds(1_800_000_000)
MISSING = Fault(FaultCode.MISSING_FILES, "a.mkv not found below /data; put it back and recheck")
FULL = Fault(FaultCode.DISK_FULL, "no space left below /data; free some and resume")

KNOWN = f.TorrentKnown(ID, SPEC, METAINFO, f.Origin.ADDED)
VERIFIED = f.PayloadVerified(ID, AT)

thorough = settings(deadline=None, max_examples=300)


def report(status: TorrentStatus) -> f.StatusReported:
    return f.StatusReported(ID, status)


def record_after(*facts: f.TorrentFact) -> TorrentRecord:
    record = apply(None, [KNOWN, *facts]).record
    assert record is not None
    return record


def of_kind(applied: Applied, *kinds: type[ev.Event]) -> list[ev.Event]:
    return [event for event in applied.events if isinstance(event, kinds)]


# What is arbitrary: reports and specs that differ in a few fields, so that repeats do occur.
statuses = st.builds(
    RUNNING._replace,
    sequence=st.integers(0, 6),
    activity=st.sampled_from(Activity),
    is_paused=st.booleans(),
    is_finished=st.booleans(),
    is_moving=st.booleans(),
    error=st.sampled_from(["", "disk on fire"]),
    done_bytes=st.sampled_from([0, 50, 100]),
    download_rate=st.sampled_from([0, 1000]),
    seeds=st.integers(0, 2),
)
specs = st.builds(
    lambda **changes: replace(SPEC, **changes),
    name=st.sampled_from(["film", "Film"]),
    stop_reason=st.sampled_from(StopReason),
    sequential=st.booleans(),
    download_limit=st.sampled_from([BytesPerSecond(0), BytesPerSecond(1000)]),
    completed_at=st.sampled_from([NEVER, NEVER, EpochSeconds(1_750_000_000)]),
)
faults = st.sampled_from([MISSING, FULL])
lasting_facts: st.SearchStrategy[f.TorrentFact] = st.one_of(
    statuses.map(report),
    specs.map(lambda spec: f.SpecChanged(ID, spec)),
    st.just(f.MetadataReceived(ID, METAINFO)),
    st.sampled_from([(0, 0), (50, 0), (90, 10)]).map(lambda done: f.FilesProgressed(ID, done)),
    st.sampled_from([AT, EpochSeconds(AT + 5)]).map(lambda at: f.PayloadVerified(ID, at)),
    faults.map(lambda fault: f.FaultRaised(ID, fault)),
    st.just(f.FaultCleared(ID)),
    st.just(f.AddFailed(ID, "refused by the engine")),
    st.sampled_from(["timed out", ""]).map(lambda text: f.TrackerRefused(ID, "udp://t/", text)),
    st.just(f.TrackerAnswered(ID, "udp://t/", 7)),
    st.builds(
        f.TorrentKnown,
        st.just(ID),
        specs,
        st.sampled_from([None, METAINFO]),
        st.sampled_from(f.Origin),
    ),
    st.sampled_from(
        [
            f.DownloadFinished(ID),
            f.CacheFlushed(ID),
            f.TorrentChecked(ID),
            f.ResumeRejected(ID, "mismatching file size"),
            f.ResumeDataReady(ID, b"blob"),
            f.ResumeDataFailed(ID, "not modified"),
            f.TorrentGone(ID),
        ]
    ),
    st.sampled_from(
        [
            f.PieceFinished(ID, 3),
            f.PieceFailed(ID, 3),
            f.PeerJoined(ID, "192.0.2.1:6881"),
            f.PeerLeft(ID, "192.0.2.1:6881", "reset"),
        ]
    ),
)
any_fact = lasting_facts | st.booleans().map(lambda data: f.TorrentForgotten(ID, data))
magnets = st.just(f.TorrentKnown(ID, SPEC, None, f.Origin.ADDED))
records = st.lists(lasting_facts, max_size=6).flatmap(
    lambda facts: (magnets | st.just(KNOWN)).map(lambda known: apply(None, [known, *facts]).record)
)


def value_of(record: TorrentRecord, field: str) -> object:
    holder, _, name = field.rpartition(".")
    return getattr(getattr(record, holder), name) if holder else getattr(record, name)


class TestUnknownTorrents:
    """Late reports of a removed torrent are normal."""

    @thorough
    @given(st.lists(lasting_facts.filter(lambda fact: not isinstance(fact, f.TorrentKnown))))
    def test_facts_about_them_leave_no_trace(self, facts: list[f.TorrentFact]) -> None:
        assert apply(None, facts) == Applied(None, 0, ())

    def test_forgetting_them_is_no_news(self) -> None:
        assert apply(None, [f.TorrentForgotten(ID, with_data=True)]) == Applied(None, 0, ())

    def test_what_came_before_they_were_known_is_not_made_up_for(self) -> None:
        assert apply(None, [report(DONE), KNOWN]).record == apply(None, [KNOWN]).record


class TestBecomingKnown:
    """The one fact that makes a record."""

    def test_a_new_torrent_is_announced_with_its_files(self) -> None:
        applied = apply(None, [KNOWN])
        assert applied.mask == EVERYTHING
        assert applied.events == (
            ev.TorrentAdded(ID, "film"),
            ev.FilesDiscovered(ID, METAINFO.files),
        )
        assert applied.record is not None
        assert applied.record.state is TorrentState.CHECKING
        assert applied.record.spec == SPEC

    def test_a_magnet_is_announced_without_files(self) -> None:
        applied = apply(None, [f.TorrentKnown(ID, SPEC, None, f.Origin.ADDED)])
        assert applied.events == (ev.TorrentAdded(ID, "film"),)

    @pytest.mark.parametrize("origin", [f.Origin.RESTORED, f.Origin.ADOPTED])
    def test_a_torrent_that_comes_back_is_not_announced_as_added(self, origin: f.Origin) -> None:
        applied = apply(None, [f.TorrentKnown(ID, SPEC, METAINFO, origin)])
        assert applied.mask == EVERYTHING
        assert applied.events == ()

    def test_adoption_keeps_what_is_known(self) -> None:
        before = record_after(report(DONE), VERIFIED)
        applied = apply(before, [f.TorrentKnown(ID, before.spec, METAINFO, f.Origin.ADOPTED)])
        assert applied == Applied(before, 0, ())

    def test_adoption_takes_over_what_changed_meanwhile(self) -> None:
        before = record_after(report(RUNNING))
        spec = replace(SPEC, sequential=True)
        applied = apply(before, [f.TorrentKnown(ID, spec, METAINFO, f.Origin.ADOPTED)])
        assert fields_of(applied.mask) == ("spec.sequential",)
        assert applied.events == (ev.TorrentUpdated(ID, ("sequential",)),)

    def test_metadata_that_arrived_unseen_is_announced_by_the_adoption(self) -> None:
        before = apply(None, [f.TorrentKnown(ID, SPEC, None, f.Origin.ADDED)]).record
        known = f.TorrentKnown(ID, SPEC, METAINFO, f.Origin.ADOPTED)
        applied = apply(before, [known, f.MetadataReceived(ID, METAINFO)])
        assert fields_of(applied.mask) == ("metainfo",)
        assert applied.events == (ev.FilesDiscovered(ID, METAINFO.files),)

    def test_its_first_state_is_announced_with_the_one_it_had(self) -> None:
        applied = apply(None, [KNOWN, report(RUNNING)])
        assert of_kind(applied, ev.TorrentStateChanged) == [
            ev.TorrentStateChanged(ID, TorrentState.DOWNLOADING, Phase.NONE, TorrentState.CHECKING)
        ]


class TestReports:
    """The engine's own words."""

    def test_progress_is_announced_once_for_a_batch_and_with_the_last_figures(self) -> None:
        last = RUNNING._replace(sequence=3, done_bytes=60, wanted_done_bytes=58, progress=0.58)
        facts = [report(RUNNING._replace(sequence=2, done_bytes=55)), report(last)]
        applied = apply(record_after(report(RUNNING)), facts)
        assert applied.events == (ev.TorrentProgress(ID, 0.58, 58, 100, 1000, 0, 5),)
        assert set(fields_of(applied.mask)) == {
            "status.done_bytes",
            "status.wanted_done_bytes",
            "status.progress",
        }

    def test_an_older_report_never_replaces_a_newer_one(self) -> None:
        before = record_after(report(RUNNING._replace(sequence=9)))
        late = report(RUNNING._replace(sequence=8, download_rate=5, is_paused=True))
        assert apply(before, [late]) == Applied(before, 0, ())

    def test_a_report_without_news_still_outdates_the_ones_before_it(self) -> None:
        same = apply(record_after(report(RUNNING)), [report(RUNNING._replace(sequence=9))])
        assert same.mask == 0
        assert same.events == ()
        late = report(RUNNING._replace(sequence=8, is_paused=True))
        assert apply(same.record, [late]).record == same.record

    def test_what_changes_and_changes_back_within_a_batch_did_not_change(self) -> None:
        before = record_after(report(RUNNING))
        there = report(RUNNING._replace(sequence=2, is_paused=True, seeds=9))
        back = report(RUNNING._replace(sequence=3))
        applied = apply(before, [there, back])
        assert applied.mask == 0
        assert applied.events == ()

    def test_a_new_engine_error_is_announced_once(self) -> None:
        broken = RUNNING._replace(sequence=2, error="disk on fire")
        first = apply(record_after(report(RUNNING)), [report(broken)])
        assert of_kind(first, ev.TorrentFailed) == [
            ev.TorrentFailed(ID, FaultCode.ENGINE, "disk on fire")
        ]
        assert first.record is not None
        assert first.record.state is TorrentState.ERROR
        again = apply(first.record, [report(broken._replace(sequence=3, seeds=1))])
        assert of_kind(again, ev.TorrentFailed) == []
        other = apply(first.record, [report(broken._replace(sequence=3, error="disk drowned"))])
        assert of_kind(other, ev.TorrentFailed) == [
            ev.TorrentFailed(ID, FaultCode.ENGINE, "disk drowned")
        ]

    def test_a_torrent_that_is_no_longer_finished_is_no_longer_verified(self) -> None:
        before = record_after(report(DONE), VERIFIED)
        more = DONE._replace(sequence=3, is_finished=False, activity=Activity.DOWNLOADING)
        applied = apply(before, [report(more)])
        assert applied.record is not None
        assert not applied.record.is_verified
        assert applied.record.state is TorrentState.STALLED
        assert "is_verified" in fields_of(applied.mask)

    def test_bytes_per_file_are_shown_without_an_event(self) -> None:
        applied = apply(record_after(report(RUNNING)), [f.FilesProgressed(ID, (50, 0))])
        assert fields_of(applied.mask) == ("files_done",)
        assert applied.events == ()


class TestCompletion:
    """Said once, and only when the bytes are in their files."""

    def test_a_finished_torrent_completes_when_its_payload_was_seen(self) -> None:
        finished = apply(record_after(report(RUNNING)), [report(DONE)])
        assert of_kind(finished, ev.TorrentCompleted) == []
        assert finished.record is not None
        assert finished.record.state is TorrentState.DOWNLOADING
        applied = apply(finished.record, [VERIFIED])
        assert applied.events == (
            ev.TorrentCompleted(ID, AT),
            ev.TorrentStateChanged(ID, TorrentState.SEEDING, Phase.NONE, TorrentState.DOWNLOADING),
        )
        assert set(fields_of(applied.mask)) == {"is_verified", "spec.completed_at", "state"}
        assert applied.record is not None
        assert applied.record.spec.completed_at == AT
        assert applied.record.is_complete

    def test_a_second_completion_keeps_the_first_moment_and_is_not_announced(self) -> None:
        before = record_after(
            report(DONE), VERIFIED, report(DONE._replace(sequence=3, is_finished=False))
        )
        later = f.PayloadVerified(ID, EpochSeconds(AT + 60))
        applied = apply(before, [report(DONE._replace(sequence=4)), later])
        assert of_kind(applied, ev.TorrentCompleted) == []
        assert applied.record is not None
        assert applied.record.is_verified
        assert applied.record.spec.completed_at == AT

    def test_a_restored_completion_is_not_announced_again(self) -> None:
        spec = replace(SPEC, completed_at=EpochSeconds(5))
        restored = f.TorrentKnown(ID, spec, METAINFO, f.Origin.RESTORED)
        applied = apply(None, [restored, report(DONE), VERIFIED])
        assert of_kind(applied, ev.TorrentCompleted) == []
        assert applied.record is not None
        assert applied.record.spec.completed_at == EpochSeconds(5)

    def test_a_change_that_was_prepared_before_the_completion_does_not_undo_it(self) -> None:
        before = record_after(report(DONE), VERIFIED)
        applied = apply(before, [f.SpecChanged(ID, replace(SPEC, sequential=True))])
        assert fields_of(applied.mask) == ("spec.sequential",)
        assert applied.record is not None
        assert applied.record.spec.completed_at == AT

    def test_a_completion_that_was_stored_but_not_reported_is_announced_by_the_adoption(
        self,
    ) -> None:
        spec = replace(SPEC, completed_at=AT)
        adopted = f.TorrentKnown(ID, spec, METAINFO, f.Origin.ADOPTED)
        applied = apply(record_after(report(DONE)), [adopted, VERIFIED])
        assert of_kind(applied, ev.TorrentCompleted) == [ev.TorrentCompleted(ID, AT)]

    def test_files_that_are_back_end_the_fault_of_missing_ones(self) -> None:
        before = record_after(report(DONE), f.FaultRaised(ID, MISSING))
        assert before.state is TorrentState.ERROR
        after = apply(before, [VERIFIED]).record
        assert after is not None
        assert after.fault is None
        assert after.state is TorrentState.SEEDING

    def test_other_faults_outlast_a_verification(self) -> None:
        after = record_after(report(DONE), f.FaultRaised(ID, FULL), VERIFIED)
        assert after.fault == FULL
        assert after.is_verified

    @thorough
    @given(st.lists(st.lists(lasting_facts, max_size=4), max_size=8))
    def test_it_is_announced_exactly_when_its_moment_is_set_and_never_twice(
        self, batches: list[list[f.TorrentFact]]
    ) -> None:
        record: TorrentRecord | None = record_after()
        announced: list[ev.Event] = []
        for batch in batches:
            before = record
            applied = apply(before, batch)
            record = applied.record
            assert record is not None
            assert before is not None
            if before.spec.completed_at != NEVER:
                assert record.spec.completed_at != NEVER
            announced += of_kind(applied, ev.TorrentCompleted)
        assert record is not None
        assert len(announced) == (record.spec.completed_at != NEVER)


class TestFaults:
    """A torrent that cannot go on."""

    def test_a_fault_is_announced_and_shown(self) -> None:
        applied = apply(record_after(report(RUNNING)), [f.FaultRaised(ID, FULL)])
        assert applied.events == (
            ev.TorrentFailed(ID, "disk_full", FULL.message),
            ev.TorrentStateChanged(ID, TorrentState.ERROR, Phase.NONE, TorrentState.DOWNLOADING),
        )
        assert set(fields_of(applied.mask)) == {"fault", "state"}

    def test_a_fault_that_is_over_gives_the_state_back(self) -> None:
        before = record_after(report(RUNNING), f.FaultRaised(ID, FULL))
        applied = apply(before, [f.FaultCleared(ID)])
        assert applied.events == (
            ev.TorrentStateChanged(ID, TorrentState.DOWNLOADING, Phase.NONE, TorrentState.ERROR),
        )

    def test_an_engine_that_refuses_a_torrent_late_is_a_fault(self) -> None:
        applied = apply(record_after(), [f.AddFailed(ID, "out of memory")])
        assert applied.record is not None
        assert applied.record.fault == Fault(FaultCode.ENGINE, "out of memory")
        assert of_kind(applied, ev.TorrentFailed) == [
            ev.TorrentFailed(ID, "engine", "out of memory")
        ]

    def test_clearing_what_is_not_there_is_no_news(self) -> None:
        before = record_after(report(RUNNING))
        assert apply(before, [f.FaultCleared(ID)]) == Applied(before, 0, ())


class TestRemoval:
    """The end of a record."""

    def test_it_is_announced_and_nothing_is_left(self) -> None:
        applied = apply(record_after(report(DONE)), [f.TorrentForgotten(ID, with_data=True)])
        assert applied == Applied(None, EVERYTHING, (ev.TorrentRemoved(ID, with_data=True),))

    def test_reports_that_come_after_it_do_not_bring_the_torrent_back(self) -> None:
        facts = (f.TorrentForgotten(ID, with_data=False), report(DONE), VERIFIED)
        assert apply(record_after(), facts).record is None

    def test_a_torrent_that_comes_and_goes_within_a_batch_was_never_shown(self) -> None:
        applied = apply(None, [KNOWN, report(RUNNING), f.TorrentForgotten(ID, with_data=False)])
        assert applied.record is None
        assert applied.mask == 0
        assert [event.topic for event in applied.events] == [
            "torrent.added",
            "torrent.files_discovered",
            "torrent.removed",
        ]

    def test_a_torrent_that_is_added_again_in_the_same_batch_is_a_new_one(self) -> None:
        before = record_after(report(DONE), VERIFIED)
        applied = apply(before, [f.TorrentForgotten(ID, with_data=False), KNOWN])
        assert applied.record == record_after()
        assert applied.mask == EVERYTHING
        assert [event.topic for event in applied.events] == [
            "torrent.removed",
            "torrent.added",
            "torrent.files_discovered",
        ]


class TestAnnouncements:
    """What is passed on."""

    @pytest.mark.parametrize(
        ("fact", "event"),
        [
            (f.PieceFinished(ID, 3), ev.PieceCompleted(ID, 3)),
            (f.PieceFailed(ID, 3), ev.PieceHashFailed(ID, 3)),
            (f.PeerJoined(ID, "h:1"), ev.PeerConnected(ID, "h:1")),
            (f.PeerLeft(ID, "h:1", "reset"), ev.PeerDisconnected(ID, "h:1", "reset")),
            (f.TrackerAnswered(ID, "u", 7), ev.TrackerSucceeded(ID, "u", 7)),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_passing_facts_are_announced_and_change_nothing(
        self, fact: f.TorrentFact, event: ev.Event
    ) -> None:
        before = record_after(report(RUNNING))
        assert apply(before, [fact]) == Applied(before, 0, (event,))

    def test_a_trackers_last_word_is_shown_until_it_answers(self) -> None:
        refused = apply(record_after(), [f.TrackerRefused(ID, "u", "timed out")])
        assert refused.record is not None
        assert refused.record.tracker_message == "timed out"
        assert refused.events == (ev.TrackerFailed(ID, "u", "timed out"),)
        assert fields_of(refused.mask) == ("tracker_message",)
        answered = apply(refused.record, [f.TrackerAnswered(ID, "u", 7)])
        assert answered.record is not None
        assert answered.record.tracker_message == ""

    def test_metadata_is_announced_once(self) -> None:
        magnet = apply(None, [f.TorrentKnown(ID, SPEC, None, f.Origin.ADDED)]).record
        received = f.MetadataReceived(ID, METAINFO)
        applied = apply(magnet, [received, received])
        assert applied.events == (ev.FilesDiscovered(ID, METAINFO.files),)
        assert apply(applied.record, [received]) == Applied(applied.record, 0, ())

    def test_a_changed_wish_names_what_changed(self) -> None:
        spec = replace(SPEC, stop_reason=StopReason.USER, sequential=True)
        applied = apply(record_after(report(RUNNING)), [f.SpecChanged(ID, spec)])
        assert applied.events == (
            ev.TorrentUpdated(ID, ("stop_reason", "sequential")),
            ev.TorrentStateChanged(ID, TorrentState.PAUSED, Phase.NONE, TorrentState.DOWNLOADING),
        )
        assert set(fields_of(applied.mask)) == {"spec.stop_reason", "spec.sequential", "state"}

    def test_a_new_phase_is_a_change_of_state_too(self) -> None:
        moving = RUNNING._replace(sequence=2, is_moving=True)
        applied = apply(record_after(report(RUNNING)), [report(moving)])
        assert of_kind(applied, ev.TorrentStateChanged) == [
            ev.TorrentStateChanged(
                ID, TorrentState.DOWNLOADING, Phase.MOVING, TorrentState.DOWNLOADING
            )
        ]
        assert set(fields_of(applied.mask)) == {"phase", "status.is_moving"}


class TestWhatAlwaysHolds:
    """Whatever arrives, in whatever order."""

    @thorough
    @given(records, st.lists(lasting_facts, max_size=6))
    def test_the_mask_is_exactly_what_differs(
        self, before: TorrentRecord, facts: list[f.TorrentFact]
    ) -> None:
        applied = apply(before, facts)
        assert applied.record is not None
        differing = {
            name for name in FIELD_BITS if value_of(before, name) != value_of(applied.record, name)
        }
        assert set(fields_of(applied.mask)) == differing

    @thorough
    @given(st.lists(any_fact, max_size=8), st.booleans())
    def test_a_batch_makes_the_same_record_as_its_facts_one_by_one(
        self,
        facts: list[f.TorrentFact],
        is_known: bool,  # noqa: FBT001 hypothesis passes by position
    ) -> None:
        start = record_after() if is_known else None
        record = start
        for fact in facts:
            record = apply(record, [fact]).record
        assert apply(start, facts).record == record

    @thorough
    @given(records, lasting_facts)
    def test_a_fact_that_is_repeated_changes_nothing_more(
        self, before: TorrentRecord, fact: f.TorrentFact
    ) -> None:
        once = apply(before, [fact])
        again = apply(once.record, [fact])
        assert again.record == once.record
        assert again.mask == 0
        passed_on = (
            *(ev.TrackerSucceeded, ev.TrackerFailed, ev.PieceCompleted, ev.PieceHashFailed),
            *(ev.PeerConnected, ev.PeerDisconnected),
        )
        assert all(isinstance(event, passed_on) for event in again.events)

    @thorough
    @given(records, st.lists(lasting_facts, max_size=6))
    def test_the_state_is_always_the_one_that_follows(
        self, before: TorrentRecord, facts: list[f.TorrentFact]
    ) -> None:
        record = apply(before, facts).record
        assert record is not None
        derived = derive_state(
            stop_reason=record.spec.stop_reason,
            status=record.status,
            is_verified=record.is_verified,
            fault=record.fault,
        )
        assert (record.state, record.phase) == (derived.state, derived.phase)

    @thorough
    @given(records, st.lists(st.lists(lasting_facts, max_size=3), max_size=6))
    def test_changes_of_state_form_an_unbroken_chain(
        self, record: TorrentRecord, batches: list[list[f.TorrentFact]]
    ) -> None:
        for batch in batches:
            applied = apply(record, batch)
            assert applied.record is not None
            changes = of_kind(applied, ev.TorrentStateChanged)
            is_changed = (record.state, record.phase) != (
                applied.record.state,
                applied.record.phase,
            )
            assert changes == (
                [
                    ev.TorrentStateChanged(
                        ID, applied.record.state, applied.record.phase, record.state
                    )
                ]
                if is_changed
                else []
            )
            record = applied.record

    @thorough
    @given(records, st.permutations([RUNNING._replace(sequence=n, seeds=n) for n in range(10, 15)]))
    def test_reports_in_any_order_end_with_the_newest(
        self, before: TorrentRecord, statuses_shuffled: Sequence[TorrentStatus]
    ) -> None:
        after = apply(before, [report(status) for status in statuses_shuffled]).record
        assert after is not None
        assert after.status == RUNNING._replace(sequence=14, seeds=14)

    @thorough
    @given(records, st.lists(any_fact, max_size=6))
    def test_the_record_before_is_left_as_it_was(
        self, before: TorrentRecord, facts: list[f.TorrentFact]
    ) -> None:
        copy = replace(before)
        apply(before, facts)
        assert before == copy


def test_every_field_has_a_bit_of_its_own() -> None:
    assert len(set(FIELD_BITS.values())) == len(FIELD_BITS)
    assert sum(FIELD_BITS.values()) == EVERYTHING
    assert len(FIELD_BITS) == len(RECORD_FIELDS) + len(STATUS_FIELDS) + len(SPEC_FIELDS)
    assert set(fields_of(EVERYTHING)) == set(FIELD_BITS)
    assert fields_of(0) == ()
    assert {"info_hash", "sequence"}.isdisjoint(STATUS_FIELDS)
