"""What may the session rely on of any resume store?"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from revaer.domain.errors import InvalidInputError, StoreDownError, StoreLockedError
from revaer.domain.ids import BytesPerSecond, EpochSeconds, InfoHash
from revaer.domain.selection import RuleKind, SelectionRule, SelectionRules
from revaer.domain.torrent import ShareLimitAction, StopReason, TorrentSpec
from revaer.ports.resume_store import Restored, ResumeStore, StoredTorrent
from tests.contract.stores import A, B, C, FilesystemShelf, MemoryShelf, Shelf, spec_of

BYTES = bytes(range(256)) * 20

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
RATES = st.integers(0, 2**31).map(BytesPerSecond)
SPECS = st.builds(
    TorrentSpec,
    info_hash=st.just(A),
    infohash_v1=TEXT,
    infohash_v2=TEXT,
    name=TEXT,
    magnet_uri=TEXT,
    save_path=TEXT,
    added_at=st.integers(0, 2**40).map(EpochSeconds),
    completed_at=st.integers(0, 2**40).map(EpochSeconds),
    stop_reason=st.sampled_from(StopReason),
    selection=st.builds(
        SelectionRules,
        st.lists(st.builds(SelectionRule, st.sampled_from(RuleKind), TEXT), max_size=3).map(tuple),
    ),
    priorities=st.lists(st.integers(0, 7), max_size=5).map(tuple),
    sequential=st.booleans(),
    first_last_pieces=st.booleans(),
    super_seeding=st.booleans(),
    force_start=st.booleans(),
    auto_managed_path=st.booleans(),
    category=TEXT,
    tags=st.lists(TEXT, max_size=3).map(tuple),
    download_limit=RATES,
    upload_limit=RATES,
    ratio_limit=st.floats(allow_nan=False, allow_infinity=False),
    seeding_time_limit_s=st.integers(-2, 2**40),
    inactive_seeding_time_limit_s=st.integers(-2, 2**40),
    share_limit_action=st.sampled_from(ShareLimitAction),
)


@pytest.fixture(params=["memory", "filesystem"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    return MemoryShelf() if request.param == "memory" else FilesystemShelf(tmp_path / "resume")


@pytest.fixture
def store(shelf: Shelf) -> Iterator[ResumeStore]:
    store = shelf.open()
    yield store
    store.close(clean=True)


def only(restored: Restored) -> StoredTorrent:
    assert len(restored.torrents) == 1
    assert restored.problems == ()
    assert restored.torrents[0].problems == ()
    return restored.torrents[0]


def test_a_new_store_is_empty_and_nothing_went_wrong_before(store: ResumeStore) -> None:
    assert store.load() == Restored()
    assert store.known() == frozenset()
    assert not store.load().must_recheck_incomplete


def test_what_was_put_is_found_as_it_was(store: ResumeStore) -> None:
    spec = spec_of(A, category="tv")
    store.put(spec, BYTES)
    store.put_blob(A, BYTES[::-1])
    stored = only(store.load())
    assert (stored.spec, stored.metainfo_data, stored.blob) == (spec, BYTES, BYTES[::-1])
    assert store.known() == {A}


@given(spec=SPECS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_field_of_what_was_asked_for_survives(store: ResumeStore, spec: TorrentSpec) -> None:
    store.put(spec)
    assert store.load().torrents[0].spec == spec


@pytest.mark.parametrize("blob", [b"", b"d4:infodee", b"\0" * 100_000, BYTES], ids=len)
def test_a_blob_comes_back_byte_for_byte(store: ResumeStore, blob: bytes) -> None:
    store.put(spec_of(A))
    store.put_blob(A, blob)
    assert only(store.load()).blob == blob


def test_the_newest_of_many_writes_is_found(store: ResumeStore) -> None:
    for index in range(5):
        store.put(spec_of(A, category=f"c{index}"))
        store.put_blob(A, b"%d" % index)
        store.sync()
    stored = only(store.load())
    assert (stored.spec.category, stored.blob) == ("c4", b"4")


def test_a_change_of_what_was_asked_for_leaves_metainfo_and_blob(store: ResumeStore) -> None:
    store.put(spec_of(A), BYTES)
    store.put_blob(A, b"blob")
    store.put(spec_of(A, category="films"))
    stored = only(store.load())
    assert (stored.metainfo_data, stored.blob) == (BYTES, b"blob")


def test_a_magnet_gets_its_metainfo_later_and_once(store: ResumeStore) -> None:
    store.put(spec_of(A))
    assert only(store.load()).metainfo_data is None
    store.put(spec_of(A), b"first")
    store.put(spec_of(A), b"second")
    assert only(store.load()).metainfo_data == b"first"


def test_torrents_come_oldest_first(store: ResumeStore) -> None:
    for info_hash, added_at in ((A, 30), (B, 10), (C, 20)):
        store.put(spec_of(info_hash, added_at=added_at))
    assert [each.spec.info_hash for each in store.load().torrents] == [B, C, A]


def test_only_those_that_are_named_are_loaded(store: ResumeStore) -> None:
    for info_hash in (A, B):
        store.put(spec_of(info_hash))
    store.bury(B, with_data=False)
    assert [each.spec.info_hash for each in store.load({A, C}).torrents] == [A]
    assert store.load({A}).tombstones == ()
    assert store.load({B}).tombstones != ()


def test_a_blob_of_a_torrent_that_is_not_stored_is_ignored(store: ResumeStore) -> None:
    store.put_blob(A, b"blob")
    assert store.load() == Restored()
    store.put(spec_of(A))
    assert only(store.load()).blob is None


@pytest.mark.parametrize("with_data", [False, True])
def test_a_buried_torrent_is_only_a_tombstone_with_all_it_takes_to_finish(
    store: ResumeStore, *, with_data: bool
) -> None:
    store.put(spec_of(A), BYTES)
    store.put_blob(A, b"blob")
    store.bury(A, with_data=with_data)
    restored = store.load()
    assert restored.torrents == ()
    assert store.known() == frozenset()
    (tombstone,) = restored.tombstones
    assert tombstone.with_data is with_data
    assert tombstone.stored.spec == spec_of(A)
    assert (tombstone.stored.metainfo_data, tombstone.stored.blob) == (BYTES, b"blob")


def test_burying_again_changes_what_happens_to_the_data(store: ResumeStore) -> None:
    store.put(spec_of(A))
    store.bury(A, with_data=False)
    store.bury(A, with_data=True)
    assert [each.with_data for each in store.load().tombstones] == [True]


def test_a_torrent_that_was_never_stored_needs_no_tombstone(store: ResumeStore) -> None:
    store.bury(A, with_data=True)
    store.forget(A)
    assert store.load() == Restored()


def test_resume_data_of_a_buried_torrent_is_ignored(store: ResumeStore) -> None:
    store.put(spec_of(A))
    store.bury(A, with_data=False)
    store.put_blob(A, b"late")
    assert store.load().tombstones[0].stored.blob is None


def test_a_forgotten_torrent_leaves_nothing(store: ResumeStore) -> None:
    store.put(spec_of(A), BYTES)
    store.put_blob(A, b"blob")
    store.put(spec_of(B))
    store.bury(A, with_data=False)
    store.forget(A)
    store.forget(A)
    assert only(store.load()).spec.info_hash == B
    store.put(spec_of(A))
    stored = store.load({A}).torrents[0]
    assert (stored.metainfo_data, stored.blob) == (None, None)


def test_a_torrent_that_was_not_buried_cannot_be_forgotten(store: ResumeStore) -> None:
    store.put(spec_of(A))
    store.forget(A)
    assert store.known() == {A}


def test_a_torrent_put_again_lives_without_the_blob_of_its_life_before(store: ResumeStore) -> None:
    store.put(spec_of(A), b"old metainfo")
    store.put_blob(A, b"old blob")
    store.bury(A, with_data=True)
    store.put(spec_of(A, category="again"), b"new metainfo")
    store.forget(A)  # the answer to the removal, arriving late
    stored = only(store.load())
    assert (stored.spec.category, stored.metainfo_data) == ("again", b"new metainfo")
    assert stored.blob is None
    store.put_blob(A, b"new blob")
    assert only(store.load()).blob == b"new blob"


@pytest.mark.parametrize("clean", [True, False])
def test_the_next_owner_finds_the_same(shelf: Shelf, *, clean: bool) -> None:
    first = shelf.open()
    first.put(spec_of(A, category="tv"), BYTES)
    first.put_blob(A, b"blob")
    first.put(spec_of(B))
    first.bury(B, with_data=True)
    before = first.load()
    first.close(clean=clean)
    second = shelf.open()
    after = second.load()
    assert (after.torrents, after.tombstones) == (before.torrents, before.tombstones)
    assert second.known() == {A}
    second.put(spec_of(A, category="films"))
    assert only(second.load({A})).metainfo_data == BYTES
    second.close(clean=True)


@pytest.mark.parametrize(
    ("clean", "boot_id", "expected"),
    [
        (True, "first boot", (True, True, False)),
        (True, "second boot", (True, False, False)),
        (False, "first boot", (False, True, False)),
        (False, "second boot", (False, False, True)),
    ],
    ids=["closed", "closed, then rebooted", "killed", "power loss"],
)
def test_only_a_power_loss_makes_blobs_doubtful(
    shelf: Shelf, *, clean: bool, boot_id: str, expected: tuple[bool, bool, bool]
) -> None:
    first = shelf.open("first boot")
    first.put(spec_of(A))
    first.close(clean=clean)
    second = shelf.open(boot_id)
    found = second.load()
    second.close(clean=True)
    assert (found.ended_cleanly, found.same_boot, found.must_recheck_incomplete) == expected


def test_doubt_lasts_until_a_clean_end(shelf: Shelf) -> None:
    """Else a start that dies early would make the next one trust what nobody has rechecked."""
    for boot_id in ("first", "second"):
        shelf.open(boot_id).close(clean=False)
    store = shelf.open("second")
    assert store.load().must_recheck_incomplete
    store.close(clean=True)
    store = shelf.open("second")
    assert not store.load().must_recheck_incomplete
    store.close(clean=True)


def test_a_second_owner_is_refused_until_the_first_one_ends(shelf: Shelf) -> None:
    first = shelf.open()
    with pytest.raises(StoreLockedError, match="in use"):
        shelf.open()
    first.put(spec_of(A))
    first.close(clean=True)
    second = shelf.open()
    assert second.known() == {A}
    second.close(clean=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.load(),
        lambda s: s.put(spec_of(A)),
        lambda s: s.put_blob(A, b""),
        lambda s: s.bury(A, with_data=False),
        lambda s: s.forget(A),
        lambda s: s.sync(),
        lambda s: s.check(),
        lambda s: s.reopen(),
    ],
    ids=["load", "put", "put_blob", "bury", "forget", "sync", "check", "reopen"],
)
def test_a_closed_store_is_down(shelf: Shelf, call: Callable[[ResumeStore], object]) -> None:
    store = shelf.open()
    store.put(spec_of(A))
    store.close(clean=True)
    store.close(clean=True)
    with pytest.raises(StoreDownError, match="closed"):
        call(store)


def test_a_store_that_works_has_nothing_to_reopen(store: ResumeStore) -> None:
    store.put(spec_of(A), BYTES)
    store.check()
    assert not store.reopen()
    assert only(store.load()).metainfo_data == BYTES


def test_a_store_that_vanished_takes_nothing_until_it_was_read(shelf: Shelf) -> None:
    """Else whoever could not read it would write over what it holds."""
    store = shelf.open()
    store.put(spec_of(A, category="stored"))
    shelf.hide(store)
    for call in (store.load, store.sync, store.check, store.reopen):
        with pytest.raises(StoreDownError):
            call()
    shelf.show(store)
    with pytest.raises(StoreDownError):
        store.put(spec_of(A, category="by somebody who never read it"))
    assert not store.reopen()
    assert only(store.load()).spec.category == "stored"
    store.put(spec_of(A, category="changed"))
    assert only(store.load()).spec.category == "changed"
    store.close(clean=True)


def test_a_store_that_was_deleted_is_made_anew_and_takes_everything_again(shelf: Shelf) -> None:
    store = shelf.open()
    for info_hash in (A, B):
        store.put(spec_of(info_hash, category="before"), BYTES)
        store.put_blob(info_hash, b"blob")
    store.bury(B, with_data=False)
    shelf.delete(store)
    for call in (lambda: store.put(spec_of(A)), store.check, store.sync):
        with pytest.raises(StoreDownError):
            call()
    assert store.reopen()
    assert store.load() == Restored()
    store.put(spec_of(A, category="again"), BYTES)
    store.put_blob(A, b"new blob")
    store.bury(B, with_data=False)  # of which nothing is left: there is nothing to bury
    with pytest.raises(StoreLockedError):
        shelf.open()
    store.close(clean=True)
    second = shelf.open()
    stored = only(second.load())
    second.close(clean=True)
    assert (stored.spec.category, stored.metainfo_data, stored.blob) == (
        "again",
        BYTES,
        b"new blob",
    )


def test_a_sync_says_how_many_files_it_made_safe(store: ResumeStore) -> None:
    store.put(spec_of(A), BYTES)
    store.put_blob(A, b"blob")
    assert store.sync() == 3
    assert store.sync() == 0
    store.put(spec_of(A, category="tv"))
    assert store.sync() == 1


@pytest.mark.parametrize(
    "spoilt",
    [{"save_path": "/data/\udcff"}, {"ratio_limit": float("nan")}, {"tags": ("\ud800",)}],
    ids=["path", "ratio", "tag"],
)
def test_what_cannot_be_stored_is_refused_and_changes_nothing(
    store: ResumeStore, spoilt: dict[str, object]
) -> None:
    store.put(spec_of(A))
    with pytest.raises(InvalidInputError):
        store.put(replace(spec_of(A, category="tv"), **spoilt))  # type: ignore[arg-type]
    assert only(store.load()).spec == spec_of(A)


def test_many_threads_may_use_a_store_at_once(store: ResumeStore) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        info_hash = InfoHash(f"{number:040x}")
        try:
            for index in range(20):
                store.put(spec_of(info_hash, category=f"{index}"), BYTES)
                store.put_blob(info_hash, b"%d" % index)
                if index % 7 == number:
                    store.sync()
                if index % 5 == number:
                    store.load({info_hash})
        except BaseException as error:  # noqa: BLE001 any failure of a thread fails the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = store.load()
    assert [(each.spec.category, each.blob, each.problems) for each in found.torrents] == [
        ("19", b"19", ())
    ] * 4
