"""Which directories and which file names may a torrent use?"""

import os
import posixpath
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revaer.domain.errors import PathRefusedError
from revaer.domain.paths import PathPolicy, is_reserved
from revaer.domain.torrent import FileEntry

quick = settings(deadline=None, max_examples=300)
parts = st.text(st.sampled_from("ab.~ -é\\\n\0R") | st.sampled_from("reva"), max_size=8)
paths = st.lists(parts | st.sampled_from(["..", ".", ".revaer", "state", "x"]), max_size=6).map(
    "/".join
)

POLICY = PathPolicy(
    roots=("/data", "/mnt/big"),
    default="/data/downloads",
    refused=("/data/private",),
    state_dirs=("/data/state", "/srv/db"),
)


def lexical(path: str) -> str:
    """A file system without links."""
    return posixpath.normpath(path)


def entry(path: str) -> FileEntry:
    return FileEntry(0, path, 1)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (None, "/data/downloads"),
        ("films", "/data/downloads/films"),
        ("./films/", "/data/downloads/films"),
        ("../films", "/data/films"),
        ("/data", "/data"),
        ("/data/", "/data"),
        ("//data//films", "/data/films"),
        ("/data/films/../tv", "/data/tv"),
        ("/mnt/big/a b/é", "/mnt/big/a b/é"),
        ("/data/statement", "/data/statement"),
        ("/data/...", "/data/..."),
        ("a~b", "/data/downloads/a~b"),
        ("revaer", "/data/downloads/revaer"),
    ],
)
def test_a_save_path_below_a_root_is_resolved(asked: str | None, answer: str) -> None:
    assert POLICY.resolve(asked, realpath=lexical) == answer


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("a\x9bb", "control character"),
        ("a\udcffb", "Unicode"),
        ("~/films", "home directory"),
        ("~", "home directory"),
        ("/", "operating system"),
        ("/etc", "operating system"),
        ("/etc/cron.d", "operating system"),
        ("/usr/local/films", "operating system"),
        ("/proc/self/cwd", "operating system"),
        ("/home", "operating system"),
        ("/data/../etc", "operating system"),
        ("../../../..", "operating system"),
        ("/dev/shm", "operating system"),
        ("/database", "paths.roots"),
        ("/srv/films", "paths.roots"),
        ("../../srv", "paths.roots"),
        ("/data/state", "Revaer's own state"),
        ("/data/state/x", "Revaer's own state"),
        ("../state/x", "Revaer's own state"),
        ("/data/private/x", "is refused"),
        ("/data/.revaer", "reserved"),
        ("/data/.REVAER.meta/x", "reserved"),
        (".revaer-staging", "reserved"),
        ("/data/" + "x" * 256, "255 bytes"),
        ("/data/" + "é" * 128, "255 bytes"),
        ("/data" + "/x" * 2050, "4095 bytes"),
    ],
)
def test_any_other_save_path_is_refused_by_name(asked: str, why: str) -> None:
    with pytest.raises(PathRefusedError) as caught:
        POLICY.resolve(asked, realpath=lexical)
    assert why in str(caught.value)
    if asked.strip():
        assert repr(asked)[1:30].rstrip("'") in str(caught.value)


def test_a_refusal_names_what_to_change() -> None:
    policy = PathPolicy(roots=("/data",), default="/data", knob="the option -o")
    with pytest.raises(PathRefusedError, match=r"below '/data', or add it to the option -o"):
        policy.resolve("/srv", realpath=lexical)


@pytest.mark.parametrize("allowed", ["/dev/shm/t", "/run/media/me/disk", "/run/user/1000/t"])
def test_memory_and_removable_disks_below_system_trees_may_be_roots(allowed: str) -> None:
    assert PathPolicy(roots=(allowed,), default=allowed).resolve("x", realpath=lexical)


def test_a_root_may_itself_lie_below_a_reserved_name() -> None:
    policy = PathPolicy(roots=("/home/me/.revaer/dl",), default="/home/me/.revaer/dl")
    assert policy.resolve("tv", realpath=lexical) == "/home/me/.revaer/dl/tv"


def test_even_the_root_of_all_does_not_open_the_system() -> None:
    policy = PathPolicy(roots=("/",), default="/data")
    assert policy.resolve("/srv/tv", realpath=lexical) == "/srv/tv"
    for asked in ("/", "/etc"):
        with pytest.raises(PathRefusedError, match="operating system"):
            policy.resolve(asked, realpath=lexical)


@pytest.mark.parametrize(
    ("roots", "default"),
    [
        ((), "/data"),
        (("data",), "/data"),
        (("/data",), "data"),
        (("/data",), ""),
        (("/a\0",), "/a"),
    ],
    ids=["no root", "relative root", "relative default", "empty default", "NUL"],
)
def test_a_policy_that_cannot_work_is_refused(roots: tuple[str, ...], default: str) -> None:
    with pytest.raises(PathRefusedError):
        PathPolicy(roots=roots, default=default)


def test_a_default_outside_of_the_roots_is_refused_when_it_is_used() -> None:
    policy = PathPolicy(roots=("/data",), default="/elsewhere")
    with pytest.raises(PathRefusedError, match=r"'/elsewhere' lies outside"):
        policy.resolve(None, realpath=lexical)


@pytest.mark.parametrize("answer", ["relative", "/data/../etc", "/data/a\nb"])
def test_an_answer_of_the_file_system_is_judged_like_a_question(answer: str) -> None:
    with pytest.raises(PathRefusedError):
        POLICY.resolve("x", realpath=lambda path: answer if path.endswith("/x") else path)


def test_a_path_that_cannot_be_followed_is_refused() -> None:
    def broken(path: str) -> str:
        raise OSError(40, "Too many levels of symbolic links", path)

    with pytest.raises(PathRefusedError, match="Too many levels"):
        POLICY.resolve("x", realpath=broken)


class TestRealLinks:
    """On a real file system."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        real = Path(os.path.realpath(tmp_path)) / "root"
        real.mkdir()
        return real

    def policy(self, root: Path) -> PathPolicy:
        return PathPolicy(roots=(str(root),), default=str(root), state_dirs=(str(root / "db"),))

    def test_a_link_out_of_the_root_is_refused(self, root: Path) -> None:
        (root.parent / "outside").mkdir()
        (root / "link").symlink_to(root.parent / "outside")
        with pytest.raises(PathRefusedError, match=r"in full .*outside"):
            self.policy(root).resolve("link/new")

    def test_dots_after_a_link_are_taken_from_where_the_link_leads(self, root: Path) -> None:
        (root.parent / "outside" / "deep").mkdir(parents=True)
        (root / "link").symlink_to(root.parent / "outside" / "deep")
        with pytest.raises(PathRefusedError, match="outside"):
            self.policy(root).resolve("link/../x")

    def test_a_link_into_the_state_directory_is_refused(self, root: Path) -> None:
        (root / "db").mkdir()
        (root / "link").symlink_to("db")
        with pytest.raises(PathRefusedError, match="own state"):
            self.policy(root).resolve("link/x")

    def test_a_link_within_the_root_is_followed(self, root: Path) -> None:
        (root / "a").mkdir()
        (root / "link").symlink_to("a")
        assert self.policy(root).resolve("link/new") == str(root / "a" / "new")

    def test_a_root_that_is_a_link_holds_what_it_leads_to(self, root: Path) -> None:
        link = root.parent / "alias"
        link.symlink_to(root)
        policy = PathPolicy(roots=(str(link),), default=str(link))
        assert policy.resolve(None) == str(root)
        assert policy.resolve(str(link / "x")) == str(root / "x")
        assert policy.resolve(str(root / "x")) == str(root / "x")

    def test_a_state_directory_that_is_a_link_guards_what_it_leads_to(self, root: Path) -> None:
        (root / "real").mkdir()
        (root / "db").symlink_to("real")
        with pytest.raises(PathRefusedError, match="own state"):
            self.policy(root).resolve("real/x")
        with pytest.raises(PathRefusedError, match="not for payload"):
            self.policy(root).check_files(str(root), [entry("real/x")])

    def test_a_circle_of_links_leads_nowhere_else(self, root: Path) -> None:
        (root / "a").symlink_to("b")
        (root / "b").symlink_to("a")
        assert self.policy(root).resolve("a/x").startswith(f"{root}/")


@quick
@given(paths)
def test_what_is_resolved_is_below_a_root_and_resolves_to_itself(asked: str) -> None:
    try:
        resolved = POLICY.resolve(asked, realpath=lexical)
    except PathRefusedError:
        return
    assert resolved in POLICY.roots or resolved.startswith(tuple(f"{r}/" for r in POLICY.roots))
    assert not resolved.startswith(("/data/state/", "/data/private/"))
    assert ".." not in resolved.split("/")
    assert not any(part.lower().startswith(".revaer") for part in resolved.split("/"))
    assert POLICY.resolve(resolved, realpath=lexical) == resolved


@pytest.mark.parametrize(
    "path",
    [
        "a.mkv",
        "root/a.mkv",
        "root/..a",
        "root/a..",
        "root/...",
        "root/.hidden",
        "root/.revae",
        "root/revaer.meta",
        "root/ ",
        "é" * 127,
        "a:b",
        "CON",
        "a\nb",
    ],
)
def test_an_ordinary_file_name_is_accepted(path: str) -> None:
    POLICY.check_files("/data/tv", [entry(path)])


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "empty name"),
        ("/etc/passwd", "absolute"),
        ("..", "'..'"),
        ("../x", "'..'"),
        ("a/../../x", "'..'"),
        ("a/./x", "'.'"),
        ("a//x", "empty name"),
        ("a/", "empty name"),
        ("a\0b", "NUL"),
        ("..\\x", "backslash"),
        ("a\\..\\..\\x", "backslash"),
        ("a\udc80", "Unicode"),
        (".revaer.meta", "reserved"),
        ("a/.Revaer.META", "reserved"),
        ("a/.revaer-staging/x", "reserved"),
        ("a/.\uff32\uff25\uff36\uff21\uff25\uff32", "reserved"),
        ("x" * 256, "255 bytes"),
        ("a/" + "é" * 128, "255 bytes"),
        ("/".join(["x" * 200] * 21), "4095 bytes"),
    ],
)
def test_a_file_name_that_could_leave_or_deceive_is_refused(path: str, why: str) -> None:
    with pytest.raises(PathRefusedError) as caught:
        POLICY.check_files("/data/tv", [entry("fine.mkv"), entry(path)])
    assert why in str(caught.value)


def test_a_torrent_cannot_reach_into_a_refused_directory_below_its_save_path() -> None:
    for path in ("state/PG_VERSION", "state", "private/x"):
        with pytest.raises(PathRefusedError, match="not for payload"):
            POLICY.check_files("/data", [entry(path)], realpath=lexical)
    POLICY.check_files("/data", [entry("statement/x")], realpath=lexical)
    POLICY.check_files("/data/tv", [entry("state/x")], realpath=lexical)


def test_padding_is_not_judged_because_it_never_reaches_the_disk() -> None:
    POLICY.check_files("/data/tv", [FileEntry(0, ".pad/\\", 3, is_pad=True)])


def test_names_that_differ_only_in_letter_case_are_accepted() -> None:
    POLICY.check_files("/data/tv", [entry("A.mkv"), entry("a.mkv"), entry("a.mkv")])


@quick
@given(paths)
def test_an_accepted_file_name_stays_below_the_save_path(path: str) -> None:
    try:
        POLICY.check_files("/data/tv", [entry(path)], realpath=lexical)
    except PathRefusedError:
        return
    assert posixpath.normpath(f"/data/tv/{path}") == f"/data/tv/{path}"


@pytest.mark.parametrize("name", [".revaer", ".revaer.meta", ".REVAER-x", ".Revaer", ".revaerx"])
def test_revaers_own_names_are_reserved_in_any_letter_case(name: str) -> None:
    assert is_reserved(name)


@pytest.mark.parametrize("name", ["", ".", "revaer", "x.revaer", ". revaer", ".reva"])
def test_other_names_are_free(name: str) -> None:
    assert not is_reserved(name)
