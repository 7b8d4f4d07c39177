"""How much of a long test to run."""

from __future__ import annotations

import os


def scaled(small: int, full: int) -> int:
    """`full` when the environment sets REVAER_SOAK=1, else `small`."""
    return full if os.environ.get("REVAER_SOAK") == "1" else small
