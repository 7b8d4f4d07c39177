"""Moves and renames: what became of them, also when nobody was there to hear of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from revaer.domain import facts as f
from revaer.domain.errors import ConflictError, InvalidInputError, StoreDownError
from revaer.domain.events import TorrentFailed
from revaer.domain.relocation import Whereabouts, paths_of, whereabouts, with_renames
from revaer.domain.torrent import (
    Fault,
    FaultCode,
    Metainfo,
    TorrentSpec,
    files_of,
)
from revaer.ports.logs import logger
from revaer.runtime.session_parts import SessionParts

if TYPE_CHECKING:
    from revaer.domain.ids import InfoHash

log = logger(__name__)

MOVE_FAILED: Final = "move_failed"
RENAME_FAILED: Final = "rename_failed"

LOOK_PERIOD_S: Final = 2.0
"""What is under way in two looks that follow each other is asked about."""

RelocationFact = f.StorageMoved | f.StorageMoveFailed | f.FileRenamed | f.FileRenameFailed


@dataclass(slots=True)
class _Answers:
    """What the engine said so far about the renames under way of one torrent.

    Attributes:
        about: the spec's `renaming` that is answered; another one begins anew.
        targets: the new path of each file.
        waiting: those without an answer.
    """

    about: tuple[tuple[int, str], ...]
    targets: dict[int, str]
    waiting: set[int]
    done: set[int] = field(default_factory=set)
    failed: dict[int, str] = field(default_factory=dict)
    is_undo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Where the files of an interrupted move or rename were found.

    Attributes:
        spec: what holds from now on; a move or a rename that it still names is begun again once
            the engine has the torrent (`Relocation.go_on`).
        lying: the renames as they are on the disk now, for the engine.
        trouble: what to tell people, or empty.
        fault: why the torrent has to wait for its files, or None.
    """

    spec: TorrentSpec
    lying: tuple[tuple[int, str], ...]
    trouble: str = ""
    fault: Fault | None = None

    def left_alone(self, spec: TorrentSpec) -> TorrentSpec:
        """The torrent with nothing to be begun again: its files stay where they are."""
        return replace(spec, moving_to="", renames=self.lying, renaming=())


class Relocation:
    """Ends what `RelocationDesk` began. Never deletes, never replaces a file."""

    def __init__(self, parts: SessionParts) -> None:
        """Share the session's parts."""
        self._parts = parts
        self._answers: dict[InfoHash, _Answers] = {}
        self._seen: dict[InfoHash, TorrentSpec] = {}
        self._looked_at = parts.clock()

    def take(self, fact: RelocationFact) -> tuple[f.TorrentFact, ...]:
        """Act on one report; one about nothing that is under way is out of date.

        Raises:
            StoreDownError: give it again later.
        """
        spec = self._parts.roster.find(fact.info_hash)
        if spec is None:
            self._answers.pop(fact.info_hash, None)
            return ()
        match fact:
            case f.StorageMoved(_, save_path) if spec.moving_to:
                return self._moved(spec, save_path)
            case f.StorageMoveFailed(_, reason) if spec.moving_to:
                return self._not_moved(spec, reason)
            case f.FileRenamed(_, index, path) if spec.renaming:
                is_it = path == self._answers_to(spec).targets.get(index)
                return self._answered(spec, index, "") if is_it else ()
            case f.FileRenameFailed(_, index, reason) if spec.renaming:
                return self._answered(spec, index, reason)
            case _:
                return ()

    def catch_up(self, spec: TorrentSpec) -> tuple[f.TorrentFact, ...]:
        """The engine runs the torrent, but its reports may be lost: look, or ask it again."""
        parts = self._parts
        if spec.moving_to:
            if parts.engine.status(spec.info_hash).is_moving:
                return ()
            found = self._found(spec, parts.engine.metainfo(spec.info_hash))
            if found is Whereabouts.NEW:
                return self._moved(spec, spec.moving_to)
            if found is Whereabouts.SPLIT:
                return self._not_moved(spec, "it was interrupted, some files are here, some there")
            parts.engine.move(spec.info_hash, spec.moving_to)
        elif spec.renaming:
            return self._ask_again(spec)
        return ()

    def tick(self) -> tuple[f.TorrentFact, ...]:
        """Catch up with what is under way for long: whatever report was lost, nothing waits on."""
        now = self._parts.clock()
        if now - self._looked_at < LOOK_PERIOD_S:
            return ()
        self._looked_at = now
        shown: list[f.TorrentFact] = []
        under_way = {
            spec.info_hash: spec for spec in self._parts.roster if spec.moving_to or spec.renaming
        }
        for info_hash, spec in under_way.items():
            is_held = info_hash in self._parts.holds
            if spec is self._seen.get(info_hash) and not is_held:
                shown += self._looked_after(spec)
        self._seen = under_way
        return tuple(shown)

    def _looked_after(self, spec: TorrentSpec) -> tuple[f.TorrentFact, ...]:
        if not self._parts.engine.knows(spec.info_hash):
            return ()  # it could not be loaded
        try:
            return self.catch_up(spec)
        except StoreDownError as error:
            self._parts.saver.trouble = str(error)
            return ()

    def settle(self, spec: TorrentSpec, metainfo: Metainfo | None) -> Settled:
        """Look where the files are before an engine is given the torrent; changes nothing."""
        if spec.moving_to:
            return self._settled_move(spec, metainfo)
        if spec.renaming:
            return self._settled_renames(spec)
        return Settled(spec=spec, lying=spec.renames)

    def go_on(self, spec: TorrentSpec) -> tuple[f.TorrentFact, ...]:
        """Begin again what was under way: what was promised holds after a crash, too."""
        if spec.moving_to:
            self._parts.engine.move(spec.info_hash, spec.moving_to)
        shown: list[f.TorrentFact] = []
        for index, _ in spec.renaming:
            shown += self._rename_again(spec, index)
        return tuple(shown)

    def tell(self, spec: TorrentSpec, code: str, message: str) -> None:
        """Tell people of what did not work; the torrent itself goes on."""
        log.warning("relocation_failed", info_hash=spec.info_hash, kind=code, cause=message)
        self._parts.publish(TorrentFailed(spec.info_hash, code, message))

    def _moved(self, spec: TorrentSpec, save_path: str) -> tuple[f.TorrentFact, ...]:
        log.info("torrent_moved", info_hash=spec.info_hash, save_path=save_path)
        return self._keep(replace(spec, save_path=save_path, moving_to=""))

    def _not_moved(self, spec: TorrentSpec, reason: str) -> tuple[f.TorrentFact, ...]:
        shown = self._keep(replace(spec, moving_to=""))
        self.tell(spec, MOVE_FAILED, _move_trouble(spec, reason))
        return shown

    def _keep(self, spec: TorrentSpec) -> tuple[f.TorrentFact, ...]:
        """Store what is so now, and have the engine's own data follow."""
        parts = self._parts
        parts.keep(spec)
        parts.saver.request(spec.info_hash)
        return (f.SpecChanged(spec.info_hash, spec), parts.fresh(spec.info_hash))

    def _found(self, spec: TorrentSpec, metainfo: Metainfo | None) -> Whereabouts:
        if metainfo is None:
            return Whereabouts.NOWHERE
        paths = paths_of(files_of(spec, metainfo))
        look = self._parts.files.occupied
        return whereabouts(set(look(spec.save_path, paths)), set(look(spec.moving_to, paths)))

    def _settled_move(self, spec: TorrentSpec, metainfo: Metainfo | None) -> Settled:
        files = () if metainfo is None else files_of(spec, metainfo)
        paths = paths_of(files)
        look = self._parts.files.occupied
        at_new = set(look(spec.moving_to, paths))
        found = whereabouts(set(look(spec.save_path, paths)), at_new)
        stays = replace(spec, moving_to="")
        trouble = ""
        fault: Fault | None = None
        if found is Whereabouts.NEW:
            stays = replace(stays, save_path=spec.moving_to)
        elif metainfo is None or (found is Whereabouts.OLD and not at_new):
            stays = spec  # nothing was moved yet
        elif found is Whereabouts.OLD:
            trouble = _move_trouble(spec, "it was interrupted, and copies are left there")
        elif found is Whereabouts.NOWHERE:
            trouble = _move_trouble(spec, "none of its files is found here or there")
        else:
            trouble = (
                f"moving {spec.name} was interrupted: some of its files lie in {spec.save_path}, "
                f"some in {spec.moving_to}; put them together in {spec.save_path}, and they are "
                "checked by themselves"
            )
            fault = Fault(FaultCode.MISSING_FILES, trouble)
        return Settled(spec=stays, lying=spec.renames, trouble=trouble, fault=fault)

    def _settled_renames(self, spec: TorrentSpec) -> Settled:
        look = self._parts.files.occupied
        targets = dict(spec.renames)
        open_ones: dict[int, str] = {}
        back: dict[int, str] = {}
        for index, before in spec.renaming:
            at_target = look(spec.save_path, (targets[index],))
            at_before = look(spec.save_path, (before,))
            if at_before and at_target:
                back[index] = before
            elif not at_target:  # it may be away with its storage, or not be downloaded yet
                open_ones[index] = before
        trouble = ""
        if back:
            trouble = (
                f"files of {spec.name} keep their names {', '.join(sorted(back.values()))}: "
                "something else lies at the new ones; move it away and rename again"
            )
        settled = replace(
            spec, renames=with_renames(spec, back), renaming=tuple(sorted(open_ones.items()))
        )
        return Settled(spec=settled, lying=with_renames(settled, open_ones), trouble=trouble)

    def _ask_again(self, spec: TorrentSpec) -> tuple[f.TorrentFact, ...]:
        look = self._parts.files.occupied
        targets = self._answers_to(spec).targets
        shown: list[f.TorrentFact] = []
        for index, before in spec.renaming:
            at_target = look(spec.save_path, (targets[index],))
            at_before = look(spec.save_path, (before,))
            if at_target:
                reason = "something lies at the new name" if at_before else ""
                shown += self._answered(spec, index, reason)
            else:
                shown += self._rename_again(spec, index)
        return tuple(shown)

    def _rename_again(self, spec: TorrentSpec, index: int) -> tuple[f.TorrentFact, ...]:
        path = self._answers_to(spec).targets[index]
        try:
            self._parts.engine.rename_file(spec.info_hash, index, path)
        except (ConflictError, InvalidInputError) as error:
            return self._answered(spec, index, str(error))
        return ()

    def _answered(self, spec: TorrentSpec, index: int, reason: str) -> tuple[f.TorrentFact, ...]:
        answers = self._answers_to(spec)
        if index not in answers.targets:
            return ()
        answers.waiting.discard(index)
        if reason:
            answers.failed[index] = reason
        else:
            answers.done.add(index)
        if answers.waiting:
            return ()
        if answers.failed:
            return self._not_renamed(spec, answers)
        shown = self._keep(replace(spec, renaming=()))
        self._answers.pop(spec.info_hash, None)
        return shown

    def _answers_to(self, spec: TorrentSpec, *, is_undo: bool = False) -> _Answers:
        """What was answered of the renames that the spec names now."""
        answers = self._answers.get(spec.info_hash)
        if answers is None or answers.about is not spec.renaming:
            paths = dict(spec.renames)
            targets = {index: paths[index] for index, _ in spec.renaming}
            answers = _Answers(spec.renaming, targets, set(targets), is_undo=is_undo)
            self._answers[spec.info_hash] = answers
        return answers

    def _not_renamed(self, spec: TorrentSpec, answers: _Answers) -> tuple[f.TorrentFact, ...]:
        """Take back what worked, because a rename holds for all of its files or for none."""
        parts = self._parts
        before = dict(spec.renaming)
        targets = answers.targets
        undone = {} if answers.is_undo else self._undoable(spec, answers.done)
        kept = {index: before[index] for index in answers.failed}
        renaming = tuple(sorted((index, targets[index]) for index in undone))
        shown = self._keep(
            replace(spec, renames=with_renames(spec, {**kept, **undone}), renaming=renaming)
        )
        if undone:
            self._answers_to(parts.roster.get(spec.info_hash), is_undo=True)
        else:
            self._answers.pop(spec.info_hash, None)
        self.tell(spec, RENAME_FAILED, _rename_trouble(spec, targets, answers.failed))
        for index, path in undone.items():
            try:
                parts.engine.rename_file(spec.info_hash, index, path)
            except (ConflictError, InvalidInputError) as error:
                current = parts.roster.get(spec.info_hash)
                shown += self._answered(current, index, str(error))
        return shown

    def _undoable(self, spec: TorrentSpec, done: Iterable[int]) -> dict[int, str]:
        """Those whose former path is still free."""
        before = dict(spec.renaming)
        look = self._parts.files.occupied
        return {
            index: before[index]
            for index in sorted(done)
            if not look(spec.save_path, (before[index],))
        }


def remember(parts: SessionParts, spec: TorrentSpec, metainfo_data: bytes | None = None) -> None:
    """Store what was found at a start; a store that is away keeps no torrent from running."""
    try:
        parts.keep(spec, metainfo_data)
    except StoreDownError as error:
        parts.saver.trouble = str(error)
        parts.roster.put(spec)


def _move_trouble(spec: TorrentSpec, reason: str) -> str:
    return (
        f"{spec.name} was not moved to {spec.moving_to}: {reason}; it goes on in {spec.save_path}, "
        "mend the cause and move it again"
    )


def _rename_trouble(
    spec: TorrentSpec, targets: Mapping[int, str], failed: Mapping[int, str]
) -> str:
    index, reason = next(iter(failed.items()))
    return (
        f"a file of {spec.name} was not renamed to {targets[index]}: {reason}; mend the cause and "
        "rename again"
    )
