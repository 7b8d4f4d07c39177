"""What does a resume store make of files that are damaged, exchanged, strange or too new?"""

import contextlib
import os
import resource
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revaer.adapters.filesystem import FilesystemResumeStore
from revaer.adapters.filesystem.atomic import MAX_DAMAGED_FILES, AtomicDirectory
from revaer.adapters.filesystem.documents import TORRENT, TorrentDocument, encode, unwrap, wrap
from revaer.adapters.filesystem.salvage import Salvage
from revaer.domain.errors import StoreDownError, StoreLockedError
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import StopReason
from revaer.ports.resume_store import Restored
from tests.contract.stores import A, B, FilesystemShelf, spec_of

DEFAULT = "/data/default"
METAINFO = b"d4:infod4:name4:nameee" * 40

Damage = Callable[[Path], object]


def _flip(path: Path, index: int) -> None:
    data = bytearray(path.read_bytes())
    data[index] ^= 1
    path.write_bytes(bytes(data))


def _replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _replace_by_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


DAMAGES: dict[str, Damage] = {
    "emptied": lambda p: p.write_bytes(b""),
    "cut short": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "one byte short": lambda p: p.write_bytes(p.read_bytes()[:-1]),
    "one byte long": lambda p: p.write_bytes(p.read_bytes() + b"\0"),
    "a bit flipped at the start": lambda p: _flip(p, 0),
    "a bit flipped inside": lambda p: _flip(p, p.stat().st_size // 2),
    "a bit flipped at the end": lambda p: _flip(p, p.stat().st_size - 1),
    "zeros": lambda p: p.write_bytes(bytes(p.stat().st_size)),
    "something else": lambda p: p.write_bytes(b'{"name": "another program"}'),
    "a directory": _replace_by_directory,
    "a link": _replace_by_link,
    "another torrent's": lambda p: p.write_bytes(p.with_name(p.name.replace(A, B)).read_bytes()),
}


@pytest.fixture(params=list(DAMAGES.values()), ids=list(DAMAGES))
def damage(request: pytest.FixtureRequest) -> Damage:
    chosen: Damage = request.param
    return chosen


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two torrents, each with two synced generations of everything; closed."""
    path = tmp_path / "resume"
    with opened(path) as store:
        for info_hash in (A, B):
            store.put(spec_of(info_hash, category="before"), METAINFO + info_hash.encode())
            store.put_blob(info_hash, b"blob before")
            store.sync()
            store.put(spec_of(info_hash, category="now"))
            store.put_blob(info_hash, b"blob now")
    return path


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[FilesystemResumeStore]:
    store = FilesystemShelf(directory).open()
    assert isinstance(store, FilesystemResumeStore)
    try:
        yield store
    finally:
        store.close(clean=True)


def load(directory: Path) -> Restored:
    with opened(directory) as store:
        return store.load()


def of(restored: Restored, info_hash: InfoHash) -> Any:
    return next((s for s in restored.torrents if s.spec.info_hash == info_hash), None)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_a_damaged_spec_costs_the_last_change(directory: Path, damage: Damage) -> None:
    damage(directory / f"{A}.json")
    restored = load(directory)
    stored = of(restored, A)
    assert stored.spec.category == "before"
    assert (stored.metainfo_data, stored.blob) == (METAINFO + A.encode(), b"blob now")
    assert f"{A}.json is damaged" in stored.problems[0]
    assert of(restored, B).problems == ()
    assert any(name.endswith(f"{A}.json") for name in names(directory / "damaged"))
    again = of(load(directory), A)
    assert (again.spec.category, again.problems) == ("before", ())


def test_a_damaged_older_spec_costs_nothing(directory: Path, damage: Damage) -> None:
    damage(directory / f"{A}.json.1")
    stored = of(load(directory), A)
    assert (stored.spec.category, stored.problems) == ("now", ())


def test_a_torrent_without_a_sound_spec_comes_back_stopped_with_defaults(
    directory: Path, damage: Damage
) -> None:
    damage(directory / f"{A}.json")
    damage(directory / f"{A}.json.1")
    stored = of(load(directory), A)
    assert stored.spec.save_path == DEFAULT
    assert stored.spec.stop_reason is StopReason.USER
    assert (stored.metainfo_data, stored.blob) == (METAINFO + A.encode(), b"blob now")
    assert DEFAULT in stored.problems[-1]
    assert stored.is_by_default
    again = of(load(directory), A)
    assert again == replace(stored, problems=(), is_by_default=False)
    with opened(directory) as store:
        store.put(replace(stored.spec, category="set anew"))
        assert store.load({A}).torrents[0].spec.category == "set anew"


def test_a_magnet_without_a_sound_spec_lives_on_by_its_blob(tmp_path: Path, damage: Damage) -> None:
    with opened(tmp_path) as store:
        for info_hash in (A, B):
            store.put(spec_of(info_hash))
            store.put_blob(info_hash, b"blob")
    damage(tmp_path / f"{A}.json")
    stored = of(load(tmp_path), A)
    assert (stored.blob, stored.metainfo_data) == (b"blob", None)
    assert stored.spec.magnet_uri == f"magnet:?xt=urn:btih:{A}"


def test_a_torrent_of_which_nothing_is_sound_lives_on_by_its_id(
    tmp_path: Path, damage: Damage
) -> None:
    with opened(tmp_path) as store:
        for info_hash in (A, B):
            store.put(spec_of(info_hash))
    damage(tmp_path / f"{A}.json")
    with opened(tmp_path) as store:
        restored = store.load()
        assert store.known() == {A, B}
    stored = of(restored, A)
    assert stored.spec.magnet_uri == f"magnet:?xt=urn:btih:{A}"
    assert stored.spec.stop_reason is StopReason.USER
    assert "only its id could be saved" in stored.problems[-1]
    assert any(name.endswith(f"{A}.json.copy") for name in names(tmp_path / "damaged")) or any(
        name.endswith(f"{A}.json") for name in names(tmp_path / "damaged")
    )
    assert of(load(tmp_path), A).problems == ()


def test_a_damaged_blob_is_replaced_by_the_one_before(directory: Path, damage: Damage) -> None:
    damage(directory / f"{A}.fastresume")
    stored = of(load(directory), A)
    assert (stored.spec.category, stored.blob) == ("now", b"blob before")
    assert "damaged" in stored.problems[0]


def test_a_torrent_without_a_sound_blob_costs_a_check(directory: Path, damage: Damage) -> None:
    damage(directory / f"{A}.fastresume")
    damage(directory / f"{A}.fastresume.1")
    stored = of(load(directory), A)
    assert (stored.spec.category, stored.blob) == ("now", None)
    assert "every file is checked" in stored.problems[-1]
    with opened(directory) as store:
        store.put_blob(A, b"after the check")
    assert of(load(directory), A).blob == b"after the check"


def test_damaged_metainfo_is_named_and_written_again_when_it_is_known(
    directory: Path, damage: Damage
) -> None:
    damage(directory / f"{A}.torrent")
    with opened(directory) as store:
        stored = of(store.load(), A)
        assert (stored.metainfo_data, stored.blob) == (None, b"blob now")
        assert f"{A}.torrent is damaged" in stored.problems[0]
        store.put(stored.spec, METAINFO)
    assert of(load(directory), A).metainfo_data == METAINFO


def test_missing_metainfo_is_named(directory: Path) -> None:
    (directory / f"{A}.torrent").unlink()
    stored = of(load(directory), A)
    assert stored.metainfo_data is None
    assert f"{A}.torrent is missing" in stored.problems[0]


def test_a_damaged_tombstone_still_buries_and_never_deletes_data(
    directory: Path, damage: Damage
) -> None:
    with opened(directory) as store:
        for info_hash in (A, B):
            store.bury(info_hash, with_data=True)
    damage(directory / f"{A}.tombstone")
    if damage is DAMAGES["emptied"]:
        return  # an empty one is nobody's order: see below
    for _ in range(2):
        restored = load(directory)
        assert restored.torrents == ()
        found = {each.stored.spec.info_hash: each for each in restored.tombstones}
        assert found.keys() == {A, B}
        assert not found[A].with_data
        assert found[A].stored.spec.category == "now"
        assert found[B].with_data
    with opened(directory) as store:
        store.forget(A)
    assert not any(name.startswith(A) for name in names(directory))


def test_an_empty_tombstone_buries_nobody(directory: Path) -> None:
    (directory / f"{A}.tombstone").touch()  # as libtorrent makes the empty files of any torrent

    restored = load(directory)

    assert of(restored, A).spec.category == "now"
    assert restored.tombstones == ()
    assert f"{A}.tombstone is empty" in of(restored, A).problems[0]
    assert of(load(directory), A).problems == ()


def test_a_damaged_state_counts_as_a_power_loss(directory: Path, damage: Damage) -> None:
    if damage is DAMAGES["another torrent's"]:
        (directory / "state.json").write_bytes((directory / f"{A}.json").read_bytes())
    else:
        damage(directory / "state.json")
    restored = load(directory)
    assert restored.must_recheck_incomplete
    assert "state.json is damaged" in restored.problems[0]
    assert load(directory).problems == ()


def test_a_lost_state_counts_as_a_power_loss(directory: Path) -> None:
    (directory / "state.json").unlink()
    assert load(directory).must_recheck_incomplete


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_damage_to_any_file_yields_anything_that_was_never_stored(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("resume")
    with opened(directory) as store:
        for info_hash in (A, B):
            store.put(spec_of(info_hash, category="before"), METAINFO)
            store.put_blob(info_hash, b"blob before")
            store.sync()
            store.put(spec_of(info_hash, category="now"))
            store.put_blob(info_hash, b"blob now")
    for name in data.draw(st.sets(st.sampled_from(sorted(names(directory) - {"lock"})))):
        path = directory / name
        content = bytearray(path.read_bytes())
        for index in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
            content[index] = data.draw(st.integers(0, 255))
        path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    for stored in load(directory).torrents:
        assert stored.spec.category in {"now", "before", ""}
        assert stored.blob in {b"blob now", b"blob before", None}
        assert stored.metainfo_data in {METAINFO, None}


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a document as another version of Revaer would."""
    document = unwrap(path.read_bytes(), "revaer.torrent")
    change(document)
    path.write_bytes(wrap(document))


def test_fields_of_a_newer_revaer_are_kept_on_rewrite(directory: Path) -> None:
    path = directory / f"{A}.json"

    def extend(document: dict[str, Any]) -> None:
        document["version"] = 7
        document["more"] = {"deep": [1, 2]}
        document["spec"]["colour"] = "blue"
        document["spec"]["selection"]["case"] = "exact"

    rewrite(path, extend)
    with opened(directory) as store:
        stored = of(store.load(), A)
        assert (stored.spec.category, stored.problems) == ("now", ())
        store.put(replace(stored.spec, category="changed here"))
        store.bury(B, with_data=False)
    document = unwrap(path.read_bytes(), "revaer.torrent")
    assert (document["version"], document["more"]) == (7, {"deep": [1, 2]})
    assert document["spec"]["colour"] == "blue"
    assert document["spec"]["selection"]["case"] == "exact"
    assert document["spec"]["category"] == "changed here"


def test_fields_of_a_newer_revaer_are_kept_without_a_load_before(directory: Path) -> None:
    path = directory / f"{A}.json"
    rewrite(path, lambda document: document["spec"].update(colour="blue"))
    with opened(directory) as store:
        store.put(spec_of(A, category="changed"))
        store.bury(A, with_data=True)
        store.put(spec_of(A, category="back"))
    assert unwrap(path.read_bytes(), "revaer.torrent")["spec"]["colour"] == "blue"


def test_a_version_that_cannot_be_read_is_left_alone_and_named(directory: Path) -> None:
    path = directory / f"{A}.json"
    rewrite(path, lambda d: d.update(version=9, spec={"reshaped": True}))
    before = path.read_bytes()
    with opened(directory) as store:
        restored = store.load()
        assert store.known() == {B}
    assert of(restored, A) is None
    assert "upgrade" in restored.problems[0]
    assert path.read_bytes() == before


def test_a_spec_with_fields_missing_that_have_defaults_is_read(directory: Path) -> None:
    """An older Revaer knew fewer fields."""
    rewrite(directory / f"{A}.json", lambda document: document["spec"].pop("share_limit_action"))
    assert of(load(directory), A).problems == ()


def test_files_of_strangers_are_left_alone(directory: Path) -> None:
    strangers = {
        "README": b"hands off",
        "notes.json": b"{}",
        "x.tmp": b"theirs",
        f"{A.upper()}.json": b"upper case is not ours",
        f"{'c' * 39}.json": b"one digit short",
    }
    for name, content in strangers.items():
        (directory / name).write_bytes(content)
    restored = load(directory)
    assert restored.problems == ()
    assert len(restored.torrents) == 2
    assert {name: (directory / name).read_bytes() for name in strangers} == strangers


def test_what_a_dead_process_was_still_writing_is_removed(directory: Path) -> None:
    for name in (f"{A}.json.tmp", f"{A}.fastresume.tmp", f"{B}.torrent.tmp"):
        (directory / name).write_bytes(b"half")
    assert load(directory).problems == ()
    assert not any(name.endswith(".tmp") for name in names(directory))


def test_a_write_that_a_kill_cut_off_is_no_damage_now_or_later(directory: Path) -> None:
    """Between its two renames: the next start has to find both generations in their places."""
    spec = directory / f"{A}.json"
    spec.rename(directory / f"{A}.json.1")
    (directory / f"{A}.json.tmp").write_bytes(b"cut off")
    for _ in range(2):
        stored = of(load(directory), A)
        assert (stored.problems, stored.spec.category) == ((), "now")
        assert spec.exists()


def test_what_an_add_left_that_did_not_end_is_set_aside(directory: Path) -> None:
    for path in directory.glob(f"{A}*"):
        path.rename(f"{path}.new") if path.suffix == ".torrent" else path.unlink()
    restored = load(directory)
    assert of(restored, A) is None
    assert all("damaged/" in problem for problem in restored.problems)
    assert not any(name.startswith(A) for name in names(directory))
    assert load(directory).problems == ()


@pytest.mark.parametrize(
    ("left", "has_metainfo", "blob"),
    [
        ({".torrent"}, True, None),
        ({".fastresume"}, False, b"blob now"),
        ({".1"}, False, b"blob before"),
        ({".torrent", ".fastresume"}, True, b"blob now"),
    ],
    ids=["torrent file", "blob", "blob before", "both"],
)
def test_a_torrent_whose_spec_is_lost_lives_on_by_what_is_left(
    directory: Path, left: set[str], *, has_metainfo: bool, blob: bytes | None
) -> None:
    for path in directory.glob(f"{A}*"):
        if ".json" in path.name or path.suffix not in left:
            path.unlink()
    stored = of(load(directory), A)
    assert f"{A}.json is missing" in stored.problems[0]
    assert stored.is_by_default
    assert (stored.metainfo_data is not None, stored.blob) == (has_metainfo, blob)
    assert stored.spec.stop_reason is StopReason.USER
    again = of(load(directory), A)
    assert (again.problems, again.blob) == ((), blob)


@pytest.mark.parametrize("kind", ["json", "fastresume"])
def test_a_generation_that_is_missing_is_replaced_by_the_one_before(
    directory: Path, kind: str
) -> None:
    (directory / f"{A}.{kind}").unlink()
    stored = of(load(directory), A)
    assert f"{A}.{kind} is missing" in stored.problems[0]
    assert stored.spec.category == ("before" if kind == "json" else "now")
    assert stored.blob == (b"blob before" if kind == "fastresume" else b"blob now")
    assert of(load(directory), A).problems == ()


def test_what_is_no_file_is_moved_out_of_the_way_of_a_write(directory: Path) -> None:
    for name in (f"{A}.json.1", f"{A}.json.tmp", f"{A}.fastresume.1", f"{A}.tombstone.tmp"):
        (directory / name).unlink(missing_ok=True)
        (directory / name).mkdir()
        (directory / name / "something").touch()
    with opened(directory) as store:
        store.put(spec_of(A, category="changed"))
        store.put_blob(A, b"saved")
        assert of(store.load(), A).problems == ()
        store.bury(A, with_data=False)
        store.forget(A)
    assert not any(name.startswith(A) for name in names(directory))


def test_a_folder_of_damaged_files_that_is_a_file_is_no_hindrance(directory: Path) -> None:
    (directory / "damaged").write_bytes(b"a stranger's")
    (directory / f"{A}.fastresume").write_bytes(b"")
    assert "damaged/" in of(load(directory), A).problems[0]
    assert (directory / "damaged.stray").read_bytes() == b"a stranger's"


def test_a_lock_that_is_no_file_is_no_hindrance(directory: Path) -> None:
    (directory / "lock").unlink()
    (directory / "lock").mkdir()
    with opened(directory), pytest.raises(StoreLockedError):
        FilesystemShelf(directory).open()


def test_files_that_lost_their_permissions_get_them_back(directory: Path) -> None:
    for path in directory.iterdir():
        path.chmod(0)
    restored = load(directory)
    assert [each.problems for each in restored.torrents] == [(), ()]
    assert of(restored, A).blob == b"blob now"


def test_the_folder_of_damaged_files_stays_bounded(directory: Path) -> None:
    for index in range(3):
        (directory / "damaged").mkdir(exist_ok=True)
        for number in range(MAX_DAMAGED_FILES if index == 0 else 0):
            (directory / "damaged" / f"{number + 1:06d}.old").write_bytes(b"")
        (directory / f"{A}.fastresume").write_bytes(b"damaged")
        load(directory)
        with opened(directory) as store:
            store.put_blob(A, b"again")
    assert len(names(directory / "damaged")) == MAX_DAMAGED_FILES
    assert f"{1:06d}.old" not in names(directory / "damaged")


def test_damaged_files_are_kept_until_there_are_too_many(directory: Path) -> None:
    (directory / "damaged").mkdir()
    for number in range(MAX_DAMAGED_FILES - 50):
        (directory / "damaged" / f"{number + 1:06d}.old").write_bytes(b"")
    (directory / f"{A}.fastresume").write_bytes(b"damaged")

    load(directory)

    assert len(names(directory / "damaged")) == MAX_DAMAGED_FILES - 49


def test_a_directory_among_the_damaged_files_hinders_nobody(directory: Path) -> None:
    (directory / "damaged" / "000001.old").mkdir(parents=True)
    for number in range(1, MAX_DAMAGED_FILES):
        (directory / "damaged" / f"{number + 1:06d}.old").write_bytes(b"")
    (directory / f"{A}.fastresume").write_bytes(b"damaged")

    problems = of(load(directory), A).problems

    assert any("it was moved to damaged/" in problem for problem in problems), problems


def test_only_the_owner_of_the_process_may_look_inside(directory: Path) -> None:
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_directory_open_to_others_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    load(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_the_holder_of_a_locked_store_is_named(directory: Path) -> None:
    with opened(directory), pytest.raises(StoreLockedError, match=f"process {os.getpid()}"):
        FilesystemShelf(directory).open()


def test_a_file_in_the_place_of_the_directory_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "resume"
    path.write_bytes(b"")
    with pytest.raises(StoreDownError, match=r"/resume: .*move the file away"):
        FilesystemShelf(path).open()


@contextlib.contextmanager
def no_file_larger_than(size_bytes: int) -> Iterator[None]:
    """Writes end with an error in their middle, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.put(spec_of(A, category="x" * 5_000)),
        lambda s: s.put(spec_of(InfoHash("c" * 40)), b"m" * 5_000),
        lambda s: s.put_blob(A, b"b" * 5_000),
        lambda s: s.bury(A, with_data=True),
    ],
    ids=["put", "put with metainfo", "put_blob", "bury"],
)
def test_a_write_that_fails_midway_changes_nothing(
    directory: Path, call: Callable[[FilesystemResumeStore], None]
) -> None:
    with opened(directory) as store:
        before = (store.load(), names(directory), store.known())
        with no_file_larger_than(700), pytest.raises(StoreDownError) as refused:
            call(store)
        assert (store.load(), names(directory), store.known()) == before
        assert str(directory) in str(refused.value)
        assert "cannot write" in str(refused.value)
        call(store)
        assert (store.load(), store.known()) != before[::2]


def test_a_directory_that_vanished_is_down_and_works_again_when_it_is_back(directory: Path) -> None:
    with opened(directory) as store:
        elsewhere = directory.with_name("unplugged")
        directory.rename(elsewhere)
        with pytest.raises(StoreDownError, match="mount or restore"):
            store.put(spec_of(A, category="lost"))
        with pytest.raises(StoreDownError):
            store.load()
        assert store.known() == {A, B}
        elsewhere.rename(directory)
        assert not store.reopen()
        with pytest.raises(StoreDownError):
            store.put(spec_of(A, category="by somebody who could not read it"))
        store.load()
        store.put(spec_of(A, category="back"))
        assert of(store.load(), A).spec.category == "back"


def test_another_directory_in_its_place_is_not_written_to(directory: Path) -> None:
    with opened(directory) as store:
        directory.rename(directory.with_name("unplugged"))
        load(directory)
        before = names(directory)
        with pytest.raises(StoreDownError, match="another directory lies at"):
            store.put(spec_of(A))
        with pytest.raises(StoreDownError, match="not the resume directory that was opened"):
            store.reopen()
        assert names(directory) == before
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()
        directory.with_name("unplugged").rename(directory)


def test_a_directory_that_came_back_as_a_copy_is_owned_anew(directory: Path) -> None:
    """A disk that is mounted again has other device and file numbers."""
    with opened(directory) as store:
        other = directory.with_name("original")
        directory.rename(other)
        directory.mkdir()
        for path in other.iterdir():
            (directory / path.name).write_bytes(path.read_bytes())
        with pytest.raises(StoreDownError, match="another directory lies at"):
            store.put(spec_of(A))
        assert store.reopen()
        store.put(spec_of(A, category="on the copy"))
        with pytest.raises(StoreLockedError):
            FilesystemShelf(directory).open()
    assert of(load(directory), A).spec.category == "on the copy"


def test_an_older_copy_of_the_directory_brings_no_removed_torrent_back(directory: Path) -> None:
    """Neither one whose removal has ended, nor one whose files the engine is deleting."""
    copy = directory.with_name("copy")
    shutil.copytree(directory, copy)
    with opened(directory) as store:
        store.bury(A, with_data=False)
        store.forget(A)
        store.bury(B, with_data=True)
        directory.rename(directory.with_name("unplugged"))
        shutil.copytree(copy, directory)
        state = directory.with_name("unplugged") / "state.json"
        (directory / "state.json").write_bytes(state.read_bytes())

        assert store.reopen()

        assert store.known() == frozenset()
        restored = store.load()
        assert restored.torrents == ()
        assert [each.stored.spec.info_hash for each in restored.tombstones] == [B]
        store.forget(B)
    assert load(directory) == Restored()


def test_a_directory_made_anew_on_a_full_disk_is_still_to_be_written_when_that_has_room(
    tmp_path: Path,
) -> None:
    """Else everything that was stored would count as stored, and be gone at the next start."""
    is_full = False

    def fill(point: str) -> None:
        if is_full and point == "state.written":
            raise StoreDownError("no space left")

    path = tmp_path / "resume"
    store = FilesystemResumeStore(path, boot_id="x", default_save_path="/", crash_point=fill)
    store.put(spec_of(A), METAINFO)
    shutil.rmtree(path)
    is_full = True
    for _ in range(2):
        with pytest.raises(StoreDownError):
            store.reopen()
    is_full = False
    with pytest.raises(StoreDownError, match="was replaced"):
        store.put(spec_of(A))

    assert store.reopen()

    assert store.known() == frozenset()
    store.put(spec_of(A), METAINFO)
    store.close(clean=True)
    assert of(load(path), A).metainfo_data == METAINFO


def test_a_file_that_is_written_while_others_are_read_is_seen(tmp_path: Path) -> None:
    files = AtomicDirectory(str(tmp_path))
    salvage = Salvage(files, DEFAULT)
    document = TorrentDocument(spec=spec_of(A))
    salvage.expect(frozenset())
    assert salvage.load(A, []) is None

    files.stage(f"{A}.json", encode(document, TORRENT), "spec")
    files.commit(f"{A}.json", "spec")

    found = salvage.load(A, [])
    assert found is not None
    assert found[0] == document


def test_a_generation_on_the_disk_is_not_pushed_out_by_one_that_is_not(tmp_path: Path) -> None:
    """After a power loss the last synced generation must still be there."""
    with opened(tmp_path) as store:
        store.put(spec_of(A, category="synced"), METAINFO)
        store.sync()
        for index in range(3):
            store.put(spec_of(A, category=f"unsynced {index}"))
    document = unwrap((tmp_path / f"{A}.json.1").read_bytes(), "revaer.torrent")
    assert document["spec"]["category"] == "synced"


def test_the_documents_are_plain_json(directory: Path) -> None:
    found = orjson.loads((directory / f"{A}.json").read_bytes())
    assert found["document"]["spec"]["category"] == "now"
    assert (found["document"]["format"], found["document"]["version"]) == ("revaer.torrent", 1)


def test_other_tools_still_read_the_torrent_file(directory: Path) -> None:
    """What is appended comes after the end of the bencoded dictionary."""
    assert (directory / f"{A}.torrent").read_bytes().startswith(METAINFO)


def test_a_sync_that_fails_is_done_again_by_the_next_one(directory: Path) -> None:
    with opened(directory) as store:
        for index in range(20):
            store.put_blob(A, b"%d" % index)
            store.put(spec_of(InfoHash(f"{index:040x}")), METAINFO)
        blob = directory / f"{A}.fastresume"
        blob.rename(blob.with_suffix(".aside"))
        _link_in_a_circle(blob)
        with pytest.raises(StoreDownError, match="cannot sync"):
            store.sync()
        blob.unlink()
        blob.with_suffix(".aside").rename(blob)
        assert store.sync() > 40
        assert store.sync() == 0


def _link_in_a_circle(path: Path) -> None:
    path.symlink_to(path.name)
