"""Which files of a torrent are wanted: ordered include and exclude rules over file names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final, Protocol

from revaer.domain.errors import SelectionError
from revaer.domain.globs import Glob, compiled, fold

WANTED: Final = 4
"""libtorrent's default file priority (`lt::default_priority`)."""

SKIPPED: Final = 0
"""libtorrent's `lt::dont_download`."""

MAX_RULES: Final = 500

_SHOWN_RULES: Final = 5

SKIP_FLUFF: Final = "@skip_fluff"

_VIDEO: Final = ("avi", "m2ts", "m4v", "mkv", "mov", "mp4", "mpg", "ts", "vob", "webm", "wmv")
_IMAGE: Final = ("gif", "jpeg", "jpg", "png", "webp")

PRESETS: Final[dict[str, tuple[str, ...]]] = {
    SKIP_FLUFF: (
        *("*.nfo", "*.diz", "*.url", "*.webloc", "*.lnk", "*.sfv", "*.srr", "*.srs"),
        *("thumbs.db", ".ds_store", "desktop.ini", "**/__macosx/", "._*"),
        *(f"**/sample/*.{kind}" for kind in _VIDEO),
        *(f"sample.{kind}" for kind in _VIDEO),
        *(f"sample[-_. ]*.{kind}" for kind in _VIDEO),
        *(f"*[-_. ]sample.{kind}" for kind in _VIDEO),
        *(f"**/{folder}/*.{kind}" for folder in ("proof", "proofs") for kind in _IMAGE),
        *(f"proof.{kind}" for kind in _IMAGE),
        *(f"*[-_. ]proof.{kind}" for kind in _IMAGE),
        *(
            f"**/{folder}/*.{kind}"
            for folder in ("screens", "screenshots", "screencaps")
            for kind in _IMAGE
        ),
        *("rarbg.txt", "rarbg_do_not_mirror.exe", "*torrent*downloaded*from*.txt"),
    ),
}
"""Names for ordered lists of excludes, each usable wherever an exclude pattern is.

Never a subtitle. Of a file that is more than a fifth of the torrent's biggest file a preset knows
nothing (see `FLUFF_FRACTION`), so a torrent of screenshots or samples keeps them.
"""

FLUFF_FRACTION: Final = 5
"""A preset only skips files of at most this part (1/5) of the biggest file's size.

What is larger is the payload itself, whatever its name: samples are a minute of an hour's film.
"""


class SelectableFile(Protocol):
    """What a choice looks at: the part of `FileEntry` that matters here.

    A Protocol because the module of `FileEntry` imports this one.
    """

    @property
    def path(self) -> str:
        """Relative, `/` between parts, root folder included."""
        ...

    @property
    def size_bytes(self) -> int:
        """Exact size once complete."""
        ...

    @property
    def is_pad(self) -> bool:
        """Whether it is alignment padding that never reaches the disk."""
        ...


class RuleKind(StrEnum):
    """What a matching rule does with a file."""

    INCLUDE = "include"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True)
class SelectionRule:
    """One rule.

    Attributes:
        kind: what happens to a file that matches.
        pattern: a glob, or the name of a preset. A glob without `/` is held against the file's own
            name, one with `/` against its path, with and without the torrent's root folder.
    """

    kind: RuleKind
    pattern: str


@dataclass(frozen=True, slots=True)
class SelectionRules:
    """Rules in order: the first one that matches a file decides.

    A file that none matches is wanted, unless there is an include among the rules.
    """

    rules: tuple[SelectionRule, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether every file is wanted because nothing was asked."""
        return not self.rules

    @classmethod
    def parse(cls, rules: Iterable[tuple[str, str]]) -> "SelectionRules":
        """Build rules from what somebody wrote.

        Args:
            rules: pairs of kind (`include` or `exclude`) and pattern, in order.

        Raises:
            SelectionError: a rule that can never be applied; names the pattern and the remedy.
        """
        parsed = cls(tuple(SelectionRule(_kind(kind), pattern) for kind, pattern in rules))
        check(parsed)
        return parsed

    @classmethod
    def of(
        cls, *, include: Iterable[str] = (), exclude: Iterable[str] = (), skip_fluff: bool = False
    ) -> "SelectionRules":
        """Build rules from two lists: an exclude wins over a preset, a preset over an include.

        Raises:
            SelectionError: as `parse`.
        """
        excludes = [*exclude, SKIP_FLUFF] if skip_fluff else [*exclude]
        return cls.parse(
            [(RuleKind.EXCLUDE, pattern) for pattern in excludes]
            + [(RuleKind.INCLUDE, pattern) for pattern in include]
        )


def check(rules: SelectionRules) -> None:
    """Make sure that every rule can be applied.

    Raises:
        SelectionError: one cannot; names the pattern and the remedy.
    """
    if len(rules.rules) > MAX_RULES:
        raise SelectionError(
            f"{len(rules.rules)} selection rules are more than {MAX_RULES}. "
            "Choose single files by index instead, or use wider patterns."
        )
    for rule in rules.rules:
        compiled(*_globs(rule))


def priorities_for(rules: SelectionRules, files: Sequence[SelectableFile]) -> tuple[int, ...]:
    """Give each file libtorrent's default priority (4) or 0, in file order.

    Padding files keep the default: they are never written, and libtorrent ignores their priority.

    Raises:
        SelectionError: a rule cannot be applied, or no file would be left to download.
    """
    if rules.is_empty or not files:
        return (WANTED,) * len(files)
    wanted = _Selector(rules, files)
    priorities = tuple(WANTED if entry.is_pad or wanted.has(entry) else SKIPPED for entry in files)
    if wanted_count(priorities, files) == 0 and any(not entry.is_pad for entry in files):
        patterns = ", ".join(f"{rule.kind} {rule.pattern!r}" for rule in rules.rules[:_SHOWN_RULES])
        raise SelectionError(
            f"The selection leaves nothing to download: all {len(files)} files are skipped by "
            f"{patterns}{', ...' if len(rules.rules) > _SHOWN_RULES else ''}. "
            "Add an include for what is wanted, or drop a rule."
        )
    return priorities


def wanted_count(priorities: Sequence[int], files: Sequence[SelectableFile]) -> int:
    """Count the files, padding apart, that these priorities download."""
    return sum(
        1
        for priority, entry in zip(priorities, files, strict=True)
        if priority != SKIPPED and not entry.is_pad
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """Neighbouring rules that decide the same way, asked as one."""

    kind: RuleKind
    is_preset: bool
    by_name: Glob
    by_path: Glob


class _Selector:
    """Rules made ready for one torrent."""

    def __init__(self, rules: SelectionRules, files: Sequence[SelectableFile]) -> None:
        check(rules)
        self._steps = tuple(
            _Step(
                kind, is_preset, *_compiled(tuple(pattern for r in same for pattern in _globs(r)))
            )
            for (kind, is_preset), same in groupby(
                rules.rules, key=lambda rule: (rule.kind, rule.pattern in PRESETS)
            )
        )
        self._by_default = all(rule.kind is RuleKind.EXCLUDE for rule in rules.rules)
        real = [entry for entry in files if not entry.is_pad]
        self._biggest = max((entry.size_bytes for entry in real), default=0)
        roots = {entry.path.split("/", 1)[0] for entry in real}
        self._has_root = len(roots) == 1 and all("/" in entry.path for entry in real)

    def has(self, entry: SelectableFile) -> bool:
        """Say whether a file is wanted."""
        path = fold(entry.path)
        name = path.rpartition("/")[2]
        inside = path.partition("/")[2] if self._has_root else None
        size = entry.size_bytes
        is_payload = size * FLUFF_FRACTION > self._biggest or size == self._biggest  # all may be 0
        for step in self._steps:
            if step.is_preset and is_payload:
                continue
            if (
                step.by_name.matches(name)
                or step.by_path.matches(path)
                or (inside is not None and step.by_path.matches(inside))
            ):
                return step.kind is RuleKind.INCLUDE
        return self._by_default


def _compiled(patterns: tuple[str, ...]) -> tuple[Glob, Glob]:
    """What is held against a file's own name, and what against its path."""
    return (
        compiled(*(pattern for pattern in patterns if "/" not in pattern)),
        compiled(*(pattern for pattern in patterns if "/" in pattern)),
    )


def _kind(text: str) -> RuleKind:
    try:
        return RuleKind(text)
    except ValueError:
        raise SelectionError(
            f"Selection rule kind {text!r} is unknown. Write `include` or `exclude`."
        ) from None


def _globs(rule: SelectionRule) -> tuple[str, ...]:
    if not rule.pattern.startswith("@"):
        return (rule.pattern,)
    if rule.pattern not in PRESETS:
        raise SelectionError(
            f"Preset {rule.pattern!r} is unknown. Known presets: {', '.join(PRESETS)}; "
            "for a name that starts with `@` write `[@]`."
        )
    if rule.kind is not RuleKind.EXCLUDE:
        raise SelectionError(
            f"Preset {rule.pattern!r} names files to leave out. Use it as an exclude."
        )
    return PRESETS[rule.pattern]
