"""Does each decision record carry the number that its file name promises, and is it listed?"""

import re
from pathlib import Path

import pytest

ADR = Path(__file__).parents[2] / "docs" / "adr"
RECORDS = sorted(path for path in ADR.glob("*.md") if path.stem not in {"index", "template"})
STATUS = re.compile(r"^- Status: (proposed|accepted|superseded by \d{4})$", re.MULTILINE)


def test_records_are_numbered_from_one_without_a_gap() -> None:
    numbers = [path.name[:4] for path in RECORDS]
    assert numbers == [f"{number:04}" for number in range(1, len(RECORDS) + 1)]
    assert numbers


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_s_heading_repeats_its_file_s_number(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert text.startswith(f"# {record.name[:4]}: ")


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_record_has_date_status_and_the_parts_of_the_template(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    template = (ADR / "template.md").read_text(encoding="utf-8")
    assert re.search(r"^- Date: \d{4}-\d{2}-\d{2}$", text, re.MULTILINE)
    assert STATUS.search(text)
    assert re.findall(r"^## .+$", text, re.MULTILINE) == re.findall(
        r"^## .+$", template, re.MULTILINE
    )


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_the_index_lists_a_record_with_its_title_and_status(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    number, title = text.splitlines()[0].removeprefix("# ").split(": ", 1)
    status = STATUS.search(text)
    assert status is not None
    index = (ADR / "index.md").read_text(encoding="utf-8")
    assert f"| [{number}]({record.name}) | {title} | {status[1]} |" in index
