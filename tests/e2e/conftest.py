"""Directories and payloads of the end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import Download, Processes


@pytest.fixture
def download(tmp_path: Path) -> Iterator[Download]:
    """`revaer download` into `out`; whatever still runs when the test ends is killed."""
    with Processes() as processes:
        yield Download(tmp_path / "out", processes)
