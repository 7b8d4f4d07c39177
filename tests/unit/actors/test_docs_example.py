"""Does the example that newcomers copy from the page on actors do what the page says?"""

from __future__ import annotations

import re

import actors
import actors.testing
from tests.support.children import ROOT, run_python

PAGE = (ROOT / "docs" / "develop" / "actors.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"the page has {len(found)} blocks of {language}"
    return str(found[0])


def test_the_example_prints_what_the_page_says() -> None:
    code, output = run_python(
        "import logging\nlogging.getLogger('actors').addHandler(logging.NullHandler())\n"
        + block("python")
    )
    assert output == block("text")
    assert code == 0


def test_the_page_names_only_what_the_kit_exports() -> None:
    words = set(re.findall(r"`([A-Z][A-Za-z]+)(?:\(|`)", PAGE))
    words = {word for word in words if not word.isupper()}  # members of enumerations
    known = {*dir(actors), *dir(actors.testing), "NotFound"}
    assert sorted(words - known) == []
