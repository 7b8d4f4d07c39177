"""What becomes of a torrent's files when it is moved or renamed, and when that is interrupted?"""

import contextlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from actors.testing import eventually
from revaer.adapters.environment import read_boot_id
from revaer.adapters.filesystem.resume_store import FilesystemResumeStore
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain import commands as cmd
from revaer.domain.errors import ConflictError, InvalidInputError, PathRefusedError
from revaer.domain.events import PublishedEvent, TorrentFailed
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import FaultCode, MetainfoSource, TorrentSpec
from tests.support.rig import EngineRig
from tests.support.soak import scaled
from tests.support.swarm import Payload, Seeder, make_payload

SOON_S = 30.0
FILES = {"film.mkv": 300_000, "subs/en.srt": 4_000, "subs/empty.srt": 0}


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    return make_payload(tmp_path / "source", "show", FILES)


def rig_in(tmp_path: Path) -> EngineRig:
    return EngineRig(root=tmp_path / "root", open_engine=LibtorrentEngine)


def add_whole(rig: EngineRig, payload: Payload) -> InfoHash:
    """A torrent whose files are there already."""
    shutil.copytree(payload.directory, rig.root, dirs_exist_ok=True)
    info_hash = rig.gateway.execute(
        cmd.AddTorrent(source=MetainfoSource(payload.torrent)), timeout_s=SOON_S
    ).info_hash
    rig.wait_complete(info_hash)
    return info_hash


def settled(rig: EngineRig, info_hash: InfoHash) -> TorrentSpec:
    """What is asked of it once nothing is under way any more."""

    def is_settled() -> bool:
        spec = rig.record(info_hash).spec
        return not (spec.moving_to or spec.renaming)

    eventually(is_settled, within_s=SOON_S)
    return rig.record(info_hash).spec


def contents(directory: Path) -> dict[str, bytes]:
    """Every file of the payload; folders may go away meanwhile."""
    paths = [Path(folder, name) for folder, _, names in os.walk(directory) for name in names]
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in paths
        if ".revaer" not in path.parts
    }


def test_a_moved_torrent_lies_in_the_new_place_only_and_is_still_whole_after_a_restart(
    tmp_path: Path, payload: Payload
) -> None:
    with rig_in(tmp_path) as rig:
        info_hash = add_whole(rig, payload)
        new = rig.root / "library"

        rig.gateway.execute(cmd.MoveTorrent(info_hash, str(new)), timeout_s=SOON_S)
        spec = settled(rig, info_hash)

        assert spec.save_path == str(new)
        assert payload.is_whole_in(new)
        assert not (rig.root / "show").exists()
        assert rig.record(info_hash).content_path == str(new / "show")
    with rig_in(tmp_path) as rig:
        rig.wait_complete(info_hash)
        assert rig.record(info_hash).spec.save_path == str(new)
        assert rig.record(info_hash).fault is None


def test_a_torrent_that_is_moved_while_it_downloads_goes_on_there(
    tmp_path: Path, payload: Payload
) -> None:
    with Seeder(payload) as seeder, rig_in(tmp_path) as rig:
        info_hash = rig.gateway.execute(
            cmd.AddTorrent(source=MetainfoSource(payload.torrent), paused=True), timeout_s=SOON_S
        ).info_hash
        new = rig.root / "library"
        rig.gateway.execute(cmd.MoveTorrent(info_hash, str(new)), timeout_s=SOON_S)

        rig.gateway.execute(cmd.ResumeTorrent(info_hash), timeout_s=SOON_S)
        rig.gateway.execute(cmd.ConnectPeers(info_hash, (seeder.peer,)), timeout_s=SOON_S)

        rig.wait_complete(info_hash)
        assert payload.is_whole_in(new)
        assert set(contents(rig.root)) == {f"library/{path}" for path in payload.files}


def test_a_move_that_would_replace_a_file_is_refused_and_nothing_changes(
    tmp_path: Path, payload: Payload
) -> None:
    with rig_in(tmp_path) as rig:
        info_hash = add_whole(rig, payload)
        foreign = rig.root / "library/show/subs/en.srt"
        foreign.parent.mkdir(parents=True)
        foreign.write_text("somebody else's")

        with pytest.raises(ConflictError, match=r"subs/en\.srt.*already lies"):
            rig.gateway.execute(
                cmd.MoveTorrent(info_hash, str(rig.root / "library")), timeout_s=SOON_S
            )

        assert rig.record(info_hash).spec.save_path == str(rig.root)
        assert not rig.record(info_hash).spec.moving_to
        assert foreign.read_text() == "somebody else's"
        assert payload.is_whole_in(rig.root)


def test_a_place_that_is_taken_after_the_look_fails_the_move_with_a_warning(
    tmp_path: Path, payload: Payload
) -> None:
    class Late(LibtorrentEngine):
        """Somebody puts a file there at the last moment."""

        def move(self, info_hash: InfoHash, save_path: str) -> None:
            taken = Path(save_path) / "show/film.mkv"
            taken.parent.mkdir(parents=True)
            taken.write_text("somebody else's")
            super().move(info_hash, save_path)

    with EngineRig(root=tmp_path / "root", open_engine=Late) as rig:
        info_hash = add_whole(rig, payload)
        heard = rig.feed.subscribe(("torrent.error",))
        new = rig.root / "library"

        rig.gateway.execute(cmd.MoveTorrent(info_hash, str(new)), timeout_s=SOON_S)

        told = heard.next(SOON_S)
        assert isinstance(told, PublishedEvent)
        assert isinstance(told.event, TorrentFailed)
        assert told.event.code == "move_failed"
        assert settled(rig, info_hash).save_path == str(rig.root)
        assert (new / "show/film.mkv").read_text() == "somebody else's"
        assert payload.is_whole_in(rig.root)
        assert rig.record(info_hash).fault is None


@pytest.mark.parametrize(
    ("place", "refusal"),
    [
        ("{root}", ConflictError),
        ("{root}/.revaer/resume", PathRefusedError),
        ("{root}/../elsewhere", PathRefusedError),
        ("/etc", PathRefusedError),
        ("", PathRefusedError),
        ("{root}/a\nb", PathRefusedError),
    ],
    ids=["the same", "state", "outside", "system", "empty", "control character"],
)
def test_a_place_that_is_not_for_payload_is_refused(
    tmp_path: Path, payload: Payload, place: str, refusal: type[Exception]
) -> None:
    with rig_in(tmp_path) as rig:
        info_hash = add_whole(rig, payload)

        with pytest.raises(refusal):
            rig.gateway.execute(
                cmd.MoveTorrent(info_hash, place.format(root=rig.root)), timeout_s=SOON_S
            )

        assert not rig.record(info_hash).spec.moving_to


def test_a_folder_that_is_a_link_out_of_the_roots_is_no_way_out(
    tmp_path: Path, payload: Payload
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with rig_in(tmp_path) as rig:
        info_hash = add_whole(rig, payload)
        (rig.root / "link").symlink_to(outside)
        (rig.root / "library").mkdir()
        (rig.root / "library/show").symlink_to(outside)

        with pytest.raises(PathRefusedError, match="outside"):
            rig.gateway.execute(cmd.RenameFile(info_hash, 0, "link/film.mkv"), timeout_s=SOON_S)
        with pytest.raises(PathRefusedError, match="outside"):
            rig.gateway.execute(
                cmd.MoveTorrent(info_hash, str(rig.root / "library")), timeout_s=SOON_S
            )

        assert not list(outside.iterdir())
        assert payload.is_whole_in(rig.root)


def test_renamed_files_are_whole_under_their_new_names_also_after_a_restart(
    tmp_path: Path, payload: Payload
) -> None:
    film, subtitles = payload.files["show/film.mkv"], payload.files["show/subs/en.srt"]
    renamed = {"show/Film (2026).mkv": film, "show/text/en.srt": subtitles}
    with rig_in(tmp_path) as rig:
        info_hash = add_whole(rig, payload)
        index = next(e.index for e in rig.record(info_hash).files if e.path == "show/film.mkv")

        rig.gateway.execute(
            cmd.RenameFile(info_hash, index, "show/Film (2026).mkv"), timeout_s=SOON_S
        )
        settled(rig, info_hash)
        rig.gateway.execute(cmd.RenameFolder(info_hash, "show/subs", "show/text"), timeout_s=SOON_S)
        settled(rig, info_hash)

        assert contents(rig.root) == {**renamed, "show/text/empty.srt": b""}
        paths = {entry.path for entry in rig.record(info_hash).files}
        assert paths == {"show/Film (2026).mkv", "show/text/en.srt", "show/text/empty.srt"}
    with rig_in(tmp_path) as rig:
        rig.wait_complete(info_hash)
        assert contents(rig.root) == {**renamed, "show/text/empty.srt": b""}
        assert {entry.path for entry in rig.record(info_hash).files} == paths


def test_the_root_folder_of_a_torrent_can_be_renamed_and_then_moved(
    tmp_path: Path, payload: Payload
) -> None:
    with rig_in(tmp_path) as rig:
        info_hash = add_whole(rig, payload)

        rig.gateway.execute(cmd.RenameFolder(info_hash, "show", "The Show"), timeout_s=SOON_S)
        settled(rig, info_hash)
        new = rig.root / "library"
        rig.gateway.execute(cmd.MoveTorrent(info_hash, str(new)), timeout_s=SOON_S)
        settled(rig, info_hash)

        assert rig.record(info_hash).content_path == str(new / "The Show")
        assert (new / "The Show/film.mkv").read_bytes() == payload.files["show/film.mkv"]
        rig.gateway.execute(cmd.RecheckTorrent(info_hash), timeout_s=SOON_S)
        rig.wait_complete(info_hash)
        rig.gateway.execute(cmd.RemoveTorrent(info_hash, with_data=True), timeout_s=SOON_S)
        eventually(lambda: not (new / "The Show").exists(), within_s=SOON_S)
        assert not contents(rig.root)


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("../x", PathRefusedError),
        ("/etc/x", PathRefusedError),
        ("show/../../x", PathRefusedError),
        ("", PathRefusedError),
        (".revaer/resume/x", PathRefusedError),
        ("show/.Revaer.meta", PathRefusedError),
        ("a\0b", InvalidInputError),
        ("a\nb", InvalidInputError),
        ("show/subs/en.srt", ConflictError),
        ("show/subs", ConflictError),
        ("show/subs/en.srt/x", ConflictError),
        ("show/foreign.txt", ConflictError),
        ("x" * 300, PathRefusedError),
    ],
)
def test_a_name_that_is_dangerous_or_taken_is_refused(
    tmp_path: Path, payload: Payload, path: str, refusal: type[Exception]
) -> None:
    with rig_in(tmp_path) as rig:
        info_hash = add_whole(rig, payload)
        (rig.root / "show/foreign.txt").write_text("somebody else's")
        index = next(e.index for e in rig.record(info_hash).files if e.path == "show/film.mkv")

        with pytest.raises(refusal):
            rig.gateway.execute(cmd.RenameFile(info_hash, index, path), timeout_s=SOON_S)

        assert rig.record(info_hash).spec.renames == ()
        assert payload.is_whole_in(rig.root)
        assert (rig.root / "show/foreign.txt").read_text() == "somebody else's"


@pytest.mark.parametrize("index", [-1, 3, 2**40])
def test_an_index_that_no_file_has_is_refused(tmp_path: Path, payload: Payload, index: int) -> None:
    with rig_in(tmp_path) as rig:
        info_hash = add_whole(rig, payload)

        with pytest.raises(InvalidInputError, match=str(index)):
            rig.gateway.execute(cmd.RenameFile(info_hash, index, "x"), timeout_s=SOON_S)


Leave = Callable[[Path, Path], None]


def _not_begun(_old: Path, _new: Path) -> None:
    pass


def _done(old: Path, new: Path) -> None:
    shutil.move(old / "show", new / "show")


def _copied_in_part(old: Path, new: Path) -> None:
    (new / "show").mkdir()
    (new / "show/film.mkv").write_bytes((old / "show/film.mkv").read_bytes()[:1000])


def _deleted_in_part(old: Path, new: Path) -> None:
    shutil.copytree(old / "show", new / "show")
    (old / "show/film.mkv").unlink()


def _split(old: Path, new: Path) -> None:
    (new / "show").mkdir()
    shutil.move(old / "show/film.mkv", new / "show/film.mkv")


def _gone(old: Path, _new: Path) -> None:
    shutil.rmtree(old / "show")


@pytest.mark.parametrize(
    ("leave", "place", "is_whole"),
    [
        (_not_begun, "new", True),
        (_done, "new", True),
        (_copied_in_part, "old", True),
        (_deleted_in_part, "new", True),
        (_split, "old", False),
        (_gone, "old", False),
    ],
    ids=["not begun", "done", "copied in part", "deleted in part", "split", "gone"],
)
def test_an_interrupted_move_settles_where_the_files_are_and_nothing_is_lost(
    tmp_path: Path, payload: Payload, leave: Leave, place: str, *, is_whole: bool
) -> None:
    with rig_in(tmp_path) as rig:
        info_hash = add_whole(rig, payload)
        spec = rig.record(info_hash).spec
    old, new = rig.root, rig.root / "library"
    new.mkdir()
    journal(rig, replace(spec, moving_to=str(new)))
    leave(old, new)
    before = sorted(contents(rig.root).values())

    with rig_in(tmp_path) as rig:
        held = settled(rig, info_hash)

        assert held.save_path == str(new if place == "new" else old)
        if is_whole:
            rig.wait_complete(info_hash)
            assert rig.record(info_hash).fault is None
        else:
            eventually(lambda: not rig.record(info_hash).is_verified, within_s=SOON_S)
    assert sorted(contents(rig.root).values()) == before, "bytes were lost or replaced"


def test_a_split_torrent_waits_until_its_files_are_together_again(
    tmp_path: Path, payload: Payload
) -> None:
    with rig_in(tmp_path) as rig:
        info_hash = add_whole(rig, payload)
        spec = rig.record(info_hash).spec
    new = rig.root / "library"
    new.mkdir()
    journal(rig, replace(spec, moving_to=str(new)))
    _split(rig.root, new)

    with rig_in(tmp_path) as rig:
        fault = rig.record(info_hash).fault
        assert fault is not None
        assert fault.code is FaultCode.MISSING_FILES
        assert not (rig.root / "show/film.mkv").exists()
        shutil.move(new / "show/film.mkv", rig.root / "show/film.mkv")

        rig.wait_complete(info_hash)
        assert rig.record(info_hash).fault is None
        assert payload.is_whole_in(rig.root)


@pytest.mark.parametrize("is_renamed", [False, True], ids=["not begun", "done"])
def test_an_interrupted_rename_is_carried_out(
    tmp_path: Path, payload: Payload, *, is_renamed: bool
) -> None:
    with rig_in(tmp_path) as rig:
        info_hash = add_whole(rig, payload)
        spec = rig.record(info_hash).spec
        index = next(e.index for e in rig.record(info_hash).files if e.path == "show/film.mkv")
    journal(
        rig,
        replace(spec, renames=((index, "show/new.mkv"),), renaming=((index, "show/film.mkv"),)),
    )
    if is_renamed:
        (rig.root / "show/film.mkv").rename(rig.root / "show/new.mkv")

    with rig_in(tmp_path) as rig:
        assert settled(rig, info_hash).renames == ((index, "show/new.mkv"),)
        rig.wait_complete(info_hash)
        assert (rig.root / "show/new.mkv").read_bytes() == payload.files["show/film.mkv"]
        assert not (rig.root / "show/film.mkv").exists()


def test_an_interrupted_rename_whose_name_was_taken_since_is_called_off(
    tmp_path: Path, payload: Payload
) -> None:
    with rig_in(tmp_path) as rig:
        info_hash = add_whole(rig, payload)
        spec = rig.record(info_hash).spec
        index = next(e.index for e in rig.record(info_hash).files if e.path == "show/film.mkv")
    journal(
        rig,
        replace(spec, renames=((index, "show/new.mkv"),), renaming=((index, "show/film.mkv"),)),
    )
    (rig.root / "show/new.mkv").write_text("somebody else's")

    with rig_in(tmp_path) as rig:
        assert settled(rig, info_hash).renames == ((index, "show/film.mkv"),)
        rig.wait_complete(info_hash)
        assert (rig.root / "show/new.mkv").read_text() == "somebody else's"
        assert payload.is_whole_in(rig.root)


@pytest.mark.soak
def test_a_move_that_is_killed_at_any_moment_loses_no_byte(tmp_path: Path) -> None:
    files = {f"{number % 20}/{number}.bin": 50 + number for number in range(1_500)}
    payload = make_payload(tmp_path / "source", "show", files)
    chance = random.Random(20261120)
    with rig_in(tmp_path) as rig:
        info_hash = add_whole(rig, payload)
    place = rig.root
    for number in range(scaled(3, 25)):
        target = rig.root / f"library-{number}"

        _kill_while_moving(rig.root, info_hash, target, chance.uniform(0.0, 0.15))

        with rig_in(tmp_path) as rig:
            save_path = Path(settled(rig, info_hash).save_path)
            assert save_path in {place, target}
            moved = contents(rig.root)
            assert sorted(moved.values()) == sorted(payload.files.values()), "a byte is lost"
            if rig.record(info_hash).fault is None:
                rig.wait_complete(info_hash)
                assert payload.is_whole_in(save_path)
            else:  # caught in the middle: it waits for whoever puts the files together
                for path in payload.files:
                    if (target / path).exists():
                        (save_path / path).parent.mkdir(parents=True, exist_ok=True)
                        shutil.move(target / path, save_path / path)
                rig.wait_complete(info_hash)
        place = save_path


def _kill_while_moving(root: Path, info_hash: InfoHash, target: Path, after_s: float) -> None:
    victim = subprocess.Popen(
        [sys.executable, "-m", "tests.support.move_victim", root, info_hash, target],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with victim:
        assert victim.stdout is not None
        while victim.stdout.readline().strip() not in {"answered", ""}:
            pass
        with contextlib.suppress(subprocess.TimeoutExpired):
            victim.wait(after_s)
        victim.kill()
    assert victim.returncode == -9


def journal(rig: EngineRig, spec: TorrentSpec) -> None:
    """Store what a killed process would have left in the store."""
    store = FilesystemResumeStore(
        rig.root / ".revaer" / "resume", boot_id=read_boot_id(), default_save_path=str(rig.root)
    )
    store.load()
    store.put(spec)
    store.close(clean=True)
