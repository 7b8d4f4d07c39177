"""A directory that answers like a slow disk, for one child process at a time.

The delay is a small C library of our own, compiled when it is wanted and put in front of the C
library's calls (LD_PRELOAD). Without a C compiler there is no slow disk.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("slow_disk.c")
_COMPILERS: Final = ("cc", "gcc", "clang")


class NoCompilerError(RuntimeError):
    """This machine cannot build the slow disk."""


def build(scratch: Path) -> Path:
    """Compile the library into `scratch`.

    Raises:
        NoCompilerError: there is no C compiler.
    """
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise NoCompilerError(f"no C compiler: one of {', '.join(_COMPILERS)} is needed")
    library = scratch / "slow_disk.so"
    subprocess.run(
        [compiler, "-O2", "-Wall", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"],
        check=True,
    )
    return library


def environment(
    library: Path, directory: Path, *, seek_ms: float, bytes_per_s: int
) -> dict[str, str]:
    """What a child process is given so that files below `directory` are slow."""
    return {
        "LD_PRELOAD": str(library),
        "SLOW_DISK_DIR": str(directory.resolve()),
        "SLOW_DISK_SEEK_US": str(int(seek_ms * 1000)),
        "SLOW_DISK_BYTES_PER_S": str(bytes_per_s),
    }
