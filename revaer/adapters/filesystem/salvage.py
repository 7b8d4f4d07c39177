"""Reads one torrent's files, and makes the best of those that are damaged.

What is stored under its final name is a torrent, whatever became of its other files: one whose JSON
file is lost lives on by its torrent file or its blob, and at the least by its name.
"""

from collections.abc import Set as AbstractSet
from dataclasses import replace

from revaer.adapters.filesystem.atomic import (
    AtomicDirectory,
    ForbiddenFileError,
    UnreadableFileError,
)
from revaer.adapters.filesystem.documents import (
    TOMBSTONE,
    TORRENT,
    NewerVersionError,
    TorrentDocument,
    decode,
    encode,
)
from revaer.adapters.filesystem.names import (
    blob_name,
    metainfo_name,
    pending_name,
    previous,
    spec_name,
    tombstone_name,
)
from revaer.adapters.filesystem.sealed import DamagedError, Unsealed, seal, unseal
from revaer.domain.errors import StoreDownError
from revaer.domain.ids import NEVER, InfoHash
from revaer.domain.torrent import StopReason, TorrentSpec
from revaer.ports.resume_store import StoredTorrent, Tombstone

Loaded = tuple[TorrentDocument, StoredTorrent | Tombstone]


class WithheldError(Exception):
    """A newer Revaer wrote this: it is left alone, and the torrent waits for that Revaer."""


class Salvage:
    """Reading with repair: what is damaged is set aside, what is left is used.

    Where nothing can be moved or written, because the directory is full or read-only, damage is
    read past and stays where it is.

    Attributes:
        torn: files that a dead process was about to replace: that one is missing is no damage.
    """

    def __init__(self, files: AtomicDirectory, default_save_path: str) -> None:
        self._files = files
        self._default_save_path = default_save_path
        self.torn: set[str] = set()
        self._listed: AbstractSet[str] | None = None
        self._listed_at = 0

    def expect(self, names: AbstractSet[str] | None) -> None:
        """Look for no other files than these while nothing in the directory is changed.

        Most of what a torrent may have it has not, and each look for it costs as much as a read.

        Args:
            names: what was listed; None to look for all again.
        """
        self._listed, self._listed_at = names, self._files.changes

    def present(self, info_hash: InfoHash, *, is_buried: bool) -> TorrentDocument:
        """What is stored of a torrent now, for a write that carries it over; changes nothing."""
        names = [(spec_name(info_hash), TORRENT), (previous(spec_name(info_hash)), TORRENT)]
        if is_buried:
            names.insert(0, (tombstone_name(info_hash), TOMBSTONE))
        for name, kind in names:
            try:
                data = self._files.read(name)
                if data is not None:
                    return decode(data, kind, info_hash)
            except (DamagedError, NewerVersionError, UnreadableFileError):
                continue
        return self._by_default(info_hash)

    def load(self, info_hash: InfoHash, problems: list[str]) -> Loaded | None:
        """Read one torrent.

        Args:
            info_hash: which one.
            problems: gets what cannot be said with a torrent, because there is none.

        Returns:
            What was found, or None when there is only what an add left that did not end.

        Raises:
            WithheldError: it is for a newer Revaer to read.
        """
        name = tombstone_name(info_hash)
        data, trouble = self._read(name)
        own: list[str] = []
        if data == b"":
            # Never written like this: libtorrent makes a torrent's empty files before anybody has
            # judged its list, and a stranger's list must not be able to bury a torrent.
            own.append(f"{name} is empty{self._aside(name)}")
        elif data is not None or trouble:
            return self._buried(info_hash, data)
        found = self._stored(info_hash, own)
        if found is None:
            problems.extend(own)
        return found

    def _buried(self, info_hash: InfoHash, data: bytes | None) -> Loaded:
        name = tombstone_name(info_hash)
        own: list[str] = []
        try:
            document = decode(data or b"", TOMBSTONE, info_hash)
        except NewerVersionError as error:
            raise WithheldError(
                f"{name}: {error}; it was left alone, upgrade to finish the removal"
            ) from error
        except DamagedError as error:
            # That the file exists says that the torrent was removed; whether its data was to go too
            # is lost, and data is never deleted on a guess.
            document = replace(self.present(info_hash, is_buried=False), with_data=False)
            self._rewrite(name, data, encode(document, TOMBSTONE))
            own.append(f"{name} is damaged ({error}): the removal goes on, the data is kept")
        stored = StoredTorrent(
            spec=document.spec,
            metainfo_data=self._metainfo(document, own, is_guess=True),
            blob=self._blob(info_hash, document.life, own),
            problems=tuple(own),
        )
        return document, Tombstone(stored, document.with_data)

    def _stored(self, info_hash: InfoHash, own: list[str]) -> Loaded | None:
        damaged: bytes | None = None
        current = spec_name(info_hash)
        for name in (current, previous(current)):
            data, trouble = self._read(name)
            if data is None and not trouble:
                if name == current and current not in self.torn:
                    own.append(f"{name} is missing")
                continue
            try:
                if trouble:
                    raise DamagedError(trouble)  # noqa: TRY301 one handler for both kinds of damage
                document = decode(data or b"", TORRENT, info_hash)
            except NewerVersionError as error:
                raise WithheldError(
                    f"{name}: {error}; it was left alone, upgrade to use the torrent"
                ) from error
            except DamagedError as error:
                own.append(f"{name} is damaged ({error})")
                damaged = (data or b"") if damaged is None else damaged
                continue
            if name != current:
                if own:
                    place = "" if damaged is None else self._aside(current)
                    own.append(f"what was asked for before the last change is used{place}")
                self._put_back(current, data or b"")
            return self._complete(document, own, is_guess=name != current)
        return self._rescue(info_hash, damaged, own)

    def _complete(self, document: TorrentDocument, own: list[str], *, is_guess: bool) -> Loaded:
        metainfo_data = self._metainfo(document, own, is_guess=is_guess)
        blob = self._blob(document.spec.info_hash, document.life, own)
        if blob is None and not own and document.spec.completed_at != NEVER:
            own.append(f"{blob_name(document.spec.info_hash)} is missing: every file is checked")
        stored = StoredTorrent(
            spec=document.spec, metainfo_data=metainfo_data, blob=blob, problems=tuple(own)
        )
        return replace(document, has_metainfo=metainfo_data is not None), stored

    def _rescue(self, info_hash: InfoHash, damaged: bytes | None, own: list[str]) -> Loaded | None:
        """Without a sound JSON file: defaults, and whatever else is left of the torrent."""
        blobs = (blob_name(info_hash), previous(blob_name(info_hash)))
        if damaged is None and not any(
            self.is_there(name) for name in (metainfo_name(info_hash), *blobs)
        ):
            self._drop_unclaimed(info_hash, own)
            return None
        metainfo = self._sound(metainfo_name(info_hash), info_hash, own)
        blob = self._newest_blob(info_hash, own)
        life = max(1, *(each.life for each in (metainfo, blob) if each is not None), 1)
        if blob is not None and blob.life != life:
            blob = None
        document = replace(
            self._by_default(info_hash), life=life, has_metainfo=metainfo is not None
        )
        data, _ = self._read(spec_name(info_hash))
        self._rewrite(spec_name(info_hash), data, encode(document, TORRENT))
        if self.is_there(previous(spec_name(info_hash))):
            self._aside(previous(spec_name(info_hash)))
        saved = "its files" if metainfo is not None or blob is not None else "its id"
        own.append(
            f"only {saved} could be saved: the torrent is stopped, with its directory "
            f"({self._default_save_path}), files, category and limits by default; set them, then "
            "resume it"
        )
        return document, StoredTorrent(
            spec=document.spec,
            metainfo_data=None if metainfo is None else metainfo.content,
            blob=None if blob is None else blob.content,
            problems=tuple(own),
            is_by_default=True,
        )

    def _drop_unclaimed(self, info_hash: InfoHash, own: list[str]) -> None:
        name = pending_name(info_hash)
        own.clear()
        if self.is_there(name):
            own.append(f"{name} is left of an add that did not end{self._aside(name)}")

    def _metainfo(
        self, document: TorrentDocument, own: list[str], *, is_guess: bool
    ) -> bytes | None:
        """The torrent file's bytes, where the JSON file says that they belong to it.

        A guess (an older JSON file, in the place of a damaged one) takes what is there.
        """
        if not (document.has_metainfo or is_guess):
            return None  # left by a put that never ended
        info_hash = document.spec.info_hash
        pending = self._claimed(document)
        if pending is not None:
            return pending
        name = metainfo_name(info_hash)
        before = len(own)
        sound = self._sound(name, info_hash, own)
        if sound is None:
            if document.has_metainfo and len(own) == before:
                own.append(f"{name} is missing: the metadata is fetched again")
            return None
        return sound.content

    def _claimed(self, document: TorrentDocument) -> bytes | None:
        """Bytes whose claim was written, and whose final name was not."""
        if not document.has_metainfo:
            return None
        data, _ = self._read(pending_name(document.spec.info_hash))
        if data is None:
            return None
        try:
            found = unseal(data, document.spec.info_hash)
        except DamagedError:
            return None
        return found.content if found.life == document.life else None

    def _blob(self, info_hash: InfoHash, life: int, own: list[str]) -> bytes | None:
        found = self._newest_blob(info_hash, own)
        return found.content if found is not None and found.life == life else None

    def _newest_blob(self, info_hash: InfoHash, own: list[str]) -> Unsealed | None:
        current = blob_name(info_hash)
        before = len(own)
        found = self._sound(current, info_hash, own)
        if found is not None:
            return found
        is_missing = len(own) == before
        found = self._sound(previous(current), info_hash, own)
        if found is not None:
            self._put_back(current, seal(found.content, info_hash, found.life))
        if is_missing and found is not None and current not in self.torn:
            own.append(f"{current} is missing")
        if len(own) > before:
            own.append(
                "the resume data before it is used"
                if found is not None
                else "there is no resume data: every file is checked"
            )
        return found

    def _sound(self, name: str, info_hash: InfoHash, own: list[str]) -> Unsealed | None:
        try:
            data, trouble = self._read(name)
        except ForbiddenFileError as error:
            data, trouble = None, str(error)
        if data is None and not trouble:
            return None
        try:
            if trouble:
                raise DamagedError(trouble)  # noqa: TRY301 one handler for both kinds of damage
            return unseal(data or b"", info_hash)
        except DamagedError as error:
            own.append(f"{name} is damaged ({error}){self._aside(name)}")
            return None

    def is_there(self, name: str) -> bool:
        """Whether anything has this name."""
        try:
            return self._read(name) != (None, "")
        except ForbiddenFileError:
            return True

    def _read(self, name: str) -> tuple[bytes | None, str]:
        """Content, or what is wrong with this one file."""
        is_listed = self._listed is None or name in self._listed
        if not is_listed and self._listed_at == self._files.changes:
            return None, ""
        try:
            return self._files.read(name), ""
        except UnreadableFileError as error:
            return None, str(error)

    def _aside(self, name: str) -> str:
        """Move a damaged file away, and say where to."""
        try:
            return f"; it was moved to {self._files.set_aside(name)}"
        except StoreDownError:
            self._files.leave(name)
            return "; it could not be moved away"

    def _put_back(self, name: str, sound: bytes) -> None:
        """Let the generation before be the present one, too."""
        try:
            self._files.stage(name, sound, "damaged")
            self._files.commit(name, "damaged")
        except StoreDownError:
            self._files.leave(name)  # the next write of this torrent replaces it

    def _rewrite(self, name: str, damaged: bytes | None, sound: bytes) -> None:
        """Put a sound file into a damaged one's place, which is never empty in between.

        Args:
            name: of the file.
            damaged: its content, of which a copy is kept; None for what is no readable file (a
                directory, say): that is moved away itself.
            sound: what to write.
        """
        try:
            if damaged is not None:
                self._files.copy_aside(name, damaged)
            self._files.stage(name, sound, "damaged")
            if damaged is None and self.is_there(name):
                self._files.set_aside(name)
            self._files.commit(name, "damaged")
        except StoreDownError:
            self._files.leave(name)  # the next write of this torrent replaces it

    def _by_default(self, info_hash: InfoHash) -> TorrentDocument:
        return TorrentDocument(
            spec=TorrentSpec(
                info_hash=info_hash,
                name=info_hash,
                magnet_uri=f"magnet:?xt=urn:btih:{info_hash}",
                save_path=self._default_save_path,
                added_at=NEVER,
                stop_reason=StopReason.USER,
            )
        )
