"""What is read from the machine and the process environment, once."""

import secrets
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_STAT: Final = Path("/proc/stat")


def read_boot_id(boot_id_file: Path = _BOOT_ID, stat_file: Path = _STAT) -> str:
    """Name this boot of the machine.

    The kernel's own boot id; where that cannot be read, the moment of booting out of `/proc/stat`;
    where that is missing too, a random name: every start then counts as a new boot, which costs
    rechecks and never trust in bytes that a power loss may have taken.

    Returns:
        A text that differs between two boots, and between this and any other fallback.
    """
    try:
        found = boot_id_file.read_text("ascii").strip()
        if found:
            return found
    except (OSError, UnicodeDecodeError):
        pass
    try:
        for line in stat_file.read_text("ascii").splitlines():
            if line.startswith("btime "):
                return f"btime-{line.split()[1]}"
    except (OSError, UnicodeDecodeError, IndexError):
        pass
    return f"unknown-{secrets.token_hex(8)}"
