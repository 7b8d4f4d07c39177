"""`python -m tests.bench [NAME...]`: run benches, print their figures, keep them as JSON."""

import argparse
import importlib
import json
import os
import pkgutil
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.bench.harness import Figure

_NO_BENCH = frozenset({"__main__", "harness", "world"})
_LIMIT_S = 600.0


def names() -> list[str]:
    """All benches, by the names of their modules."""
    here = [str(Path(__file__).parent)]
    return sorted(m.name for m in pkgutil.iter_modules(here) if m.name not in _NO_BENCH)


def run_here(name: str) -> dict[str, Any]:
    """Run one bench in this process."""
    figures: dict[str, Figure] = importlib.import_module(f"tests.bench.{name}").run()
    return {
        label: {**asdict(figure), "target": str(figure.target or ""), "met": figure.is_met}
        for label, figure in figures.items()
    }


def run_apart(name: str) -> dict[str, Any]:
    """Run one bench in a fresh process: neither memory nor settings of another one show."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--here", name],
        stdout=subprocess.PIPE,
        check=False,
        timeout=_LIMIT_S,
        text=True,
    )
    if ran.returncode:
        return {"error": {"value": ran.returncode, "unit": "exit", "target": "<= 0", "met": False}}
    figures: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return figures


def table(results: dict[str, dict[str, Any]]) -> Iterable[str]:
    """The figures as lines of text."""
    width = max((len(label) for of in results.values() for label in of), default=0)
    for name, figures in results.items():
        yield f"\n{name}"
        for label, figure in figures.items():
            verdict = {True: "ok", False: "MISSED", None: ""}[figure["met"]]
            value = f"{figure['value']:12,.3f} {figure['unit']:<8}"
            yield f"  {label:<{width}} {value} {figure['target']:<10} {verdict}".rstrip()


def main() -> int:
    """Run what the command line names; the exit code says whether all targets are met."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}")
    parser.add_argument("--output", type=Path, default=Path("bench-results.json"))
    parser.add_argument("--here", metavar="NAME", help="run one bench in this process, print JSON")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(run_here(options.here)))
        return 0
    unknown = set(options.names) - set(names())
    if unknown:
        parser.error(f"no bench is named {', '.join(sorted(unknown))}; choose {', '.join(names())}")
    results = {name: run_apart(name) for name in options.names or names()}
    machine = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
    }
    options.output.write_text(
        json.dumps({"machine": machine, "benches": results}, indent=2) + "\n", encoding="utf-8"
    )
    print("\n".join(table(results)))
    missed = [figure for of in results.values() for figure in of.values() if figure["met"] is False]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
