"""Do the examples that the documentation shows run as they stand?"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.children import ROOT
from tests.support.swarm import Payload, Seeder, make_payload

EXAMPLES = ROOT / "docs" / "examples"
PAGE = ROOT / "docs" / "develop" / "library.md"


@pytest.fixture
def payloads(tmp_path: Path) -> list[Payload]:
    return [make_payload(tmp_path / f"seed{n}", f"album{n}", {"a.bin": 200_000}) for n in range(3)]


@pytest.fixture
def peer(payloads: list[Payload]) -> Iterator[str]:
    with Seeder(*payloads) as seeder:
        yield f"127.0.0.1:{seeder.port}"


def run(example: str, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / example), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_one_torrent(tmp_path: Path, payloads: list[Payload], peer: str) -> None:
    out = tmp_path / "out"

    shown = run("one_torrent.py", str(payloads[0].torrent_path), str(out), peer)

    assert "session.started" in shown
    assert "album0: 100%, seeding" in shown
    assert payloads[0].is_whole_in(out)


def test_many_torrents(tmp_path: Path, payloads: list[Payload], peer: str) -> None:
    out = tmp_path / "out"

    shown = run("many_torrents.py", str(out), peer, *(str(p.torrent_path) for p in payloads))

    assert "3 torrents are complete" in shown
    assert shown.count("session.completed") == 3
    assert all(payload.is_whole_in(out) for payload in payloads)


def test_one_session_for_several_users(tmp_path: Path, payloads: list[Payload], peer: str) -> None:
    out = tmp_path / "out"
    sources = [str(payload.torrent_path) for payload in payloads[:2]]

    shown = run("shared_session.py", str(out), peer, *sources)

    assert shown.splitlines() == [
        "3 references, 2 active torrents",
        "freed: False",
        "freed: True",
    ]
    assert payloads[1].is_whole_in(out / "managed")


def test_a_program_with_windows(tmp_path: Path, payloads: list[Payload], peer: str) -> None:
    out = tmp_path / "out"

    shown = run("window.py", str(out), peer, *(str(p.torrent_path) for p in payloads))

    assert "closed with 3 complete torrents" in shown
    assert all(payload.is_whole_in(out) for payload in payloads)


def test_the_page_shows_every_example_as_it_stands() -> None:
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    for example in sorted(EXAMPLES.glob("*.py")):
        assert example.read_text(encoding="utf-8") in blocks, f"{example.name} is not as it stands"


def test_the_page_names_only_what_can_be_imported() -> None:
    import revaer  # noqa: PLC0415 the page is the subject

    page = PAGE.read_text(encoding="utf-8")
    ends = "Error|Event|Code|Options|Rules|Manager|Session|Resources"
    names = set(re.findall(rf"`([A-Z][A-Za-z]+(?:{ends}))`", page))

    assert names
    assert names <= set(revaer.__all__)
