"""Checks on `requirements.lock` that need no network.

`fresh`: the lock belongs to this `pyproject.toml`. Every requirement, those of each dependency
group and of the build system included, has a pin that satisfies it on every Python we support; no
pin is there for a requirement that has gone; every pin has hashes; no line names an index or path.

`banned`: none of the packages below has come in, directly or through another.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).parent.parent
REMEDY = "run the `uv pip compile` line at the head of requirements.lock"
PYTHONS = tuple(f"3.{minor}" for minor in range(9, 20))  # narrowed by requires-python

BANNED = {
    "eventlet": "replaces threads and sockets of the whole process under the actors",
    "gevent": "replaces threads and sockets of the whole process under the actors",
    "pycrypto": "unmaintained since 2014, with open vulnerabilities",
    "python-libtorrent": "a stranger's build of libtorrent; ours is the project's own wheel",
}


@dataclass(frozen=True, slots=True)
class Pin:
    """One `name==version` of the lock.

    `direct` says that the lock names this project, not only another package, as what wants it.
    """

    requirement: Requirement
    hashes: int
    direct: bool

    @property
    def name(self) -> NormalizedName:
        """The name as the index compares names."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The one version that the pin allows; empty when it is no pin."""
        versions = [spec.version for spec in self.requirement.specifier if spec.operator == "=="]
        return versions[0] if len(versions) == 1 else ""


def pins_of(lock: str, project: str) -> tuple[Pin, ...]:
    """Read the lock: entries start in the first column, what belongs to them is indented."""
    entries: list[list[str]] = []
    for line in lock.splitlines():
        if line[:1] not in {"", " ", "#"}:
            entries.append([line])
        elif entries:
            entries[-1].append(line)
    return tuple(
        Pin(
            requirement=Requirement(lines[0].removesuffix("\\").strip()),
            hashes=sum("--hash=sha256:" in line for line in lines),
            direct=any(re.search(rf"#.*\b{project} \(pyproject", line) for line in lines[1:]),
        )
        for lines in entries
        if not lines[0].startswith("-")
    )


def expanded(groups: dict[str, list[Any]], name: str) -> Iterator[Requirement]:
    """The requirements of one dependency group, with the groups that it includes."""
    for entry in groups[name]:
        if isinstance(entry, str):
            yield Requirement(entry)
        else:
            yield from expanded(groups, entry["include-group"])


def wanted_of(pyproject: dict[str, Any]) -> tuple[Requirement, ...]:
    """Every requirement that `pyproject.toml` states, the build system's last."""
    groups = pyproject.get("dependency-groups", {})
    stated = [Requirement(text) for text in pyproject["project"]["dependencies"]]
    stated += [requirement for name in groups for requirement in expanded(groups, name)]
    return (*stated, *(Requirement(text) for text in pyproject["build-system"]["requires"]))


def unmet(wanted: tuple[Requirement, ...], pins: tuple[Pin, ...], python: str) -> Iterator[str]:
    """The requirements that no pin satisfies on one Python, such as `3.12`."""
    # The newest patch release: a marker may tell patch releases apart.
    here = {
        **{key: str(value) for key, value in default_environment().items()},
        "python_version": python,
        "python_full_version": f"{python}.99",
    }

    def applies(requirement: Requirement) -> bool:
        return requirement.marker is None or requirement.marker.evaluate(here)

    chosen = {pin.name: pin for pin in pins if applies(pin.requirement)}
    for requirement in filter(applies, wanted):
        pin = chosen.get(canonicalize_name(requirement.name))
        if pin is None:
            yield f"{requirement} has no pin for Python {python}"
        elif not requirement.specifier.contains(pin.version, prereleases=True):
            yield f"{requirement} is not satisfied by {pin.name}=={pin.version}"


def unfit(pin: Pin, project: str, names: set[NormalizedName]) -> Iterator[str]:
    """What is wrong with one pin, given the names that `pyproject.toml` asks for."""
    if not pin.version:
        yield f"{pin.requirement} is not pinned to one version"
    if not pin.hashes:
        yield f"{pin.name} has no hash"
    if pin.direct and pin.name not in names:
        yield f"{pin.name} is locked for {project}, which no longer asks for it"


def stale(pyproject: dict[str, Any], lock: str) -> Iterator[str]:
    """What makes the lock stale or unfit; nothing when it is fresh."""
    project: str = pyproject["project"]["name"]
    supported = SpecifierSet(pyproject["project"]["requires-python"])
    pins = pins_of(lock, project)
    wanted = wanted_of(pyproject)
    for python in PYTHONS:
        if f"{python}.99" in supported:
            yield from unmet(wanted, pins, python)
    names = {canonicalize_name(requirement.name) for requirement in wanted}
    for pin in pins:
        yield from unfit(pin, project, names)
    for line in lock.splitlines():
        if re.match(r"-|.*(://|--(extra-)?index-url|--find-links| /\w)", line):
            yield f"an index address or a path in the lock: {line.strip()}"


def banned(lock: str, project: str) -> Iterator[str]:
    """The banned packages that the lock pins, with why."""
    for pin in pins_of(lock, project):
        if pin.name in BANNED:
            yield f"{pin.name} is banned: {BANNED[pin.name]}"


def main(arguments: list[str]) -> int:
    """Print every complaint; 1 when there is one, 2 when asked for something else."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    match arguments:
        case ["fresh"]:
            found = list(dict.fromkeys(stale(pyproject, lock)))
            remedy = REMEDY
        case ["banned"]:
            found = list(banned(lock, pyproject["project"]["name"]))
            remedy = "drop what brings it in"
        case _:
            sys.stderr.write("usage: python .ci/lock.py fresh|banned\n")
            return 2
    for complaint in found:
        sys.stderr.write(f"requirements.lock: {complaint}\n")
    if found:
        sys.stderr.write(f"remedy: {remedy}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
