"""When does the check call `requirements.lock` stale?"""

import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HASH = "    --hash=sha256:" + "0" * 64
FRESH = f"""\
# uv pip compile pyproject.toml
click==8.3.0 \\
{HASH}
    # via
    #   rich
    #   toy (pyproject.toml)
hatchling==1.28.0 \\
{HASH}
    # via toy (pyproject.toml:dev)
rich==14.1.0 ; python_full_version < '3.12' \\
{HASH}
    # via toy (pyproject.toml:dev)
rich==15.0.0 ; python_full_version >= '3.12' \\
{HASH}
    # via toy (pyproject.toml:dev)
"""


def pyproject(*dependencies: str, group: str = "rich>=14") -> dict[str, Any]:
    return {
        "build-system": {"requires": ["hatchling>=1.27"]},
        "project": {
            "name": "toy",
            "requires-python": ">=3.11,<3.14",
            "dependencies": list(dependencies) or ["Click>=8.2"],
        },
        "dependency-groups": {"view": [group], "dev": [{"include-group": "view"}]},
    }


@pytest.fixture(scope="module")
def lock() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ci_lock", ROOT / ".ci" / "lock.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def test_the_committed_lock_is_fresh_and_clean(lock: ModuleType) -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert list(lock.stale(project, text)) == []
    assert list(lock.banned(text, "revaer")) == []


def test_a_lock_that_pins_what_is_asked_for_is_fresh(lock: ModuleType) -> None:
    assert list(lock.stale(pyproject(), FRESH)) == []


@pytest.mark.parametrize(
    ("asked", "text", "complaint"),
    [
        pytest.param(pyproject("click", "orjson"), FRESH, "orjson has no pin", id="added"),
        pytest.param(pyproject("click>=9"), FRESH, "click>=9 is not satisfied", id="raised"),
        pytest.param(
            pyproject(group="rich>=15"), FRESH, "not satisfied by rich==14.1.0", id="on one Python"
        ),
        pytest.param(
            pyproject(group="click"), FRESH, "rich is locked for toy, which no longer", id="dropped"
        ),
        pytest.param(pyproject(), FRESH.replace(HASH, "", 1), "click has no hash", id="no hash"),
        pytest.param(
            pyproject(), FRESH.replace("click==", "click>="), "not pinned to one", id="no pin"
        ),
        pytest.param(
            pyproject(), "--index-url https://mirror.test\n" + FRESH, "an index address", id="index"
        ),
        pytest.param(
            pyproject(), FRESH.replace(".toml\n", ".toml -o /home/me/x\n"), "a path", id="path"
        ),
    ],
)
def test_a_lock_is_stale_when(
    lock: ModuleType, asked: dict[str, Any], text: str, complaint: str
) -> None:
    found = "\n".join(lock.stale(asked, text))
    assert complaint in found


def test_a_marker_that_holds_nowhere_needs_no_pin(lock: ModuleType) -> None:
    asked = pyproject("click", "colorama; python_version < '3'")
    assert list(lock.stale(asked, FRESH)) == []


def test_a_banned_package_is_named_with_the_reason(lock: ModuleType) -> None:
    found = list(lock.banned(f"gevent==26.1 \\\n{HASH}\n    # via rich\n", "toy"))
    assert len(found) == 1
    assert "gevent is banned: " in found[0]
