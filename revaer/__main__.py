"""`python -m revaer`, and what the `revaer` command runs."""

import os
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        _open_what_is_closed()
        from revaer.cli.main import run  # noqa: PLC0415 an interrupt may come during the imports

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 3
    sys.exit(code)


def _open_what_is_closed() -> None:
    """A stream that the caller closed (`>&-`) is None: write into nothing instead."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


if __name__ == "__main__":
    main()
