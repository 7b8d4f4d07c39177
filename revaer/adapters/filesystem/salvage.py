"""Reads one torrent's files, and makes the best of those that are damaged."""

from dataclasses import replace

from revaer.adapters.filesystem.atomic import AtomicDirectory, UnreadableFileError
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
    previous,
    spec_name,
    tombstone_name,
)
from revaer.adapters.filesystem.sealed import DamagedError, Unsealed, unseal
from revaer.domain.ids import NEVER, InfoHash
from revaer.domain.torrent import StopReason, TorrentSpec
from revaer.ports.resume_store import StoredTorrent, Tombstone

Loaded = tuple[TorrentDocument, StoredTorrent | Tombstone]


class Salvage:
    """Reading with repair: what is damaged is set aside, what is left is used."""

    def __init__(self, files: AtomicDirectory, default_save_path: str) -> None:
        self._files = files
        self._default_save_path = default_save_path

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
            problems: gets what cannot be said with a torrent, because none is left to say it with.

        Returns:
            What was found, or None when nothing usable was.
        """
        name = tombstone_name(info_hash)
        data, trouble = self._read(name)
        if data == b"":
            # Never written like this: libtorrent makes a torrent's empty files before anybody has
            # judged its list, and a stranger's list must not be able to bury a torrent.
            problems.append(f"{name} is empty; it was moved to {self._files.set_aside(name)}")
        elif data is not None or trouble:
            return self._buried(info_hash, data, problems)
        return self._stored(info_hash, problems)

    def _buried(
        self, info_hash: InfoHash, data: bytes | None, problems: list[str]
    ) -> Loaded | None:
        name = tombstone_name(info_hash)
        own: list[str] = []
        try:
            document = decode(data or b"", TOMBSTONE, info_hash)
        except NewerVersionError as error:
            problems.append(f"{name}: {error}; it was left alone, upgrade to finish the removal")
            return None
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

    def _stored(self, info_hash: InfoHash, problems: list[str]) -> Loaded | None:
        own: list[str] = []
        damaged: bytes | None = None
        current = spec_name(info_hash)
        for name in (current, previous(current)):
            data, trouble = self._read(name)
            if data is None and not trouble:
                continue
            try:
                if trouble:
                    raise DamagedError(trouble)  # noqa: TRY301 one handler for both kinds of damage
                document = decode(data or b"", TORRENT, info_hash)
            except NewerVersionError as error:
                problems.append(f"{name}: {error}; it was left alone, upgrade to use the torrent")
                return None
            except DamagedError as error:
                own.append(f"{name} is damaged ({error})")
                damaged = (data or b"") if damaged is None else damaged
                continue
            if damaged is not None:
                place = self._files.set_aside(current)
                own.append(f"what was asked for before the last change is used; see {place}")
            return self._complete(document, own, is_guess=damaged is not None)
        return self._rescue(info_hash, damaged, own, problems)

    def _complete(self, document: TorrentDocument, own: list[str], *, is_guess: bool) -> Loaded:
        metainfo_data = self._metainfo(document, own, is_guess=is_guess)
        stored = StoredTorrent(
            spec=document.spec,
            metainfo_data=metainfo_data,
            blob=self._blob(document.spec.info_hash, document.life, own),
            problems=tuple(own),
        )
        return replace(document, has_metainfo=metainfo_data is not None), stored

    def _rescue(
        self, info_hash: InfoHash, damaged: bytes | None, own: list[str], problems: list[str]
    ) -> Loaded | None:
        """Without a sound JSON file: defaults, if its metadata or its blob names the torrent."""
        names = (metainfo_name(info_hash), blob_name(info_hash), previous(blob_name(info_hash)))
        if damaged is None:
            for name in names:
                if self._read(name) != (None, ""):
                    place = self._files.set_aside(name)
                    problems.append(
                        f"{name} belongs to no stored torrent (an add that did not end); "
                        f"it was moved to {place}"
                    )
            return None
        metainfo = self._sound(metainfo_name(info_hash), info_hash, own)
        blob = self._newest_blob(info_hash, own)
        if metainfo is None and blob is None:
            for name in (previous(spec_name(info_hash)), spec_name(info_hash)):
                if self._read(name) != (None, ""):
                    self._files.set_aside(name)
            problems.extend(own)
            problems.append(
                f"torrent {info_hash} is lost: nothing sound of it is left; its files lie in "
                "damaged/, add it again"
            )
            return None
        document = replace(
            self._by_default(info_hash),
            life=1 if blob is None else blob.life,
            has_metainfo=metainfo is not None,
        )
        data, _ = self._read(spec_name(info_hash))
        self._rewrite(spec_name(info_hash), data, encode(document, TORRENT))
        if self._read(previous(spec_name(info_hash))) != (None, ""):
            self._files.set_aside(previous(spec_name(info_hash)))
        own.append(
            "only the torrent itself could be saved: it is stopped, with its directory "
            f"({self._default_save_path}), files, category and limits by default; "
            "set them, then resume it"
        )
        return document, StoredTorrent(
            spec=document.spec,
            metainfo_data=None if metainfo is None else metainfo.content,
            blob=None if blob is None else blob.content,
            problems=tuple(own),
        )

    def _metainfo(
        self, document: TorrentDocument, own: list[str], *, is_guess: bool
    ) -> bytes | None:
        """The torrent file's bytes, where the JSON file says that they belong to it.

        A guess (an older JSON file, in the place of a damaged one) takes what is there.
        """
        if not (document.has_metainfo or is_guess):
            return None  # left by a put that never ended
        name = metainfo_name(document.spec.info_hash)
        before = len(own)
        sound = self._sound(name, document.spec.info_hash, own)
        if sound is None:
            if document.has_metainfo and len(own) == before:
                own.append(f"{name} is missing: the metadata is fetched again")
            return None
        return sound.content

    def _blob(self, info_hash: InfoHash, life: int, own: list[str]) -> bytes | None:
        found = self._newest_blob(info_hash, own)
        return found.content if found is not None and found.life == life else None

    def _newest_blob(self, info_hash: InfoHash, own: list[str]) -> Unsealed | None:
        current = blob_name(info_hash)
        before = len(own)
        found = self._sound(current, info_hash, own)
        if found is not None:
            return found
        found = self._sound(previous(current), info_hash, own)
        if len(own) > before:
            own.append(
                "the resume data before it is used"
                if found is not None
                else "there is no resume data: every file is checked"
            )
        return found

    def _sound(self, name: str, info_hash: InfoHash, own: list[str]) -> Unsealed | None:
        data, trouble = self._read(name)
        if data is None and not trouble:
            return None
        try:
            if trouble:
                raise DamagedError(trouble)  # noqa: TRY301 one handler for both kinds of damage
            return unseal(data or b"", info_hash)
        except DamagedError as error:
            own.append(
                f"{name} is damaged ({error}); it was moved to {self._files.set_aside(name)}"
            )
            return None

    def _read(self, name: str) -> tuple[bytes | None, str]:
        """Content, or what is wrong with this one file."""
        try:
            return self._files.read(name), ""
        except UnreadableFileError as error:
            return None, str(error)

    def _rewrite(self, name: str, damaged: bytes | None, sound: bytes) -> None:
        """Put a sound file into a damaged one's place, which is never empty in between.

        Args:
            name: of the file.
            damaged: its content, of which a copy is kept; None for what is no readable file (a
                directory, say): that is moved away itself.
            sound: what to write.
        """
        if damaged is not None:
            self._files.copy_aside(name, damaged)
        self._files.stage(name, sound, "damaged")
        if damaged is None and self._read(name) != (None, ""):
            self._files.set_aside(name)
        self._files.commit(name, "damaged")

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
