"""`python -m revaer`, and what the `revaer` command runs."""

import sys

from revaer.cli.main import run


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
