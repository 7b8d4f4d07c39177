"""What `revaer download` runs on: sources judged before anything is touched, and the engine."""

import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import Path

from revaer.adapters.filesystem.resume_store import FilesystemResumeStore
from revaer.adapters.libtorrent.metainfo import describe
from revaer.adapters.libtorrent.startup import check_libtorrent
from revaer.compose.embed import STATE_DIR, NetworkOptions, make_directory
from revaer.compose.engine import EnginePlan, EngineRun
from revaer.domain.errors import InvalidInputError, InvalidTorrentError
from revaer.domain.ids import UNLIMITED, BytesPerSecond, InfoHash
from revaer.domain.paths import PathPolicy
from revaer.domain.selection import SelectionRules, priorities_for
from revaer.domain.torrent import MagnetSource, TorrentDescription, TorrentSource
from revaer.ports.engine import EngineSettings
from revaer.ports.logs import logger
from revaer.ports.projection import Projection
from revaer.runtime.tree import EnginePolicies

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadOptions:
    """What the command line asked for, already parsed.

    Attributes:
        output: directory of the payload; the state lies in its `.revaer`.
        listen: `host:port` to accept peers on; empty for any address and a port of the system's.
        interface: device or address for all traffic; empty for any.
        enable_dht: find peers without a tracker.
        enable_utp: use uTP beside TCP; a peer that takes TCP alone is reached 3 s later then.
        download_limit: bytes per second, 0 unlimited.
        upload_limit: bytes per second, 0 unlimited.
        selection: which files; empty for all (or for what was chosen before).
        peers: `(IP address, port)` to connect to at once.
    """

    output: str
    listen: str = ""
    interface: str = ""
    enable_dht: bool = True
    enable_utp: bool = True
    download_limit: BytesPerSecond = UNLIMITED
    upload_limit: BytesPerSecond = UNLIMITED
    sequential: bool = False
    selection: SelectionRules = field(default_factory=SelectionRules)
    peers: tuple[tuple[str, int], ...] = ()
    policies: EnginePolicies = field(default_factory=EnginePolicies)


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A source and how the user named it, for messages."""

    label: str
    source: TorrentSource


@dataclass(frozen=True, slots=True)
class JudgedSource:
    """A source that can be used, and what it says of its torrent."""

    named: NamedSource
    description: TorrentDescription


@dataclass(frozen=True, slots=True)
class OpenedDownload:
    """An engine that is ready to start, and what it is for.

    Attributes:
        run: not started yet.
        wanted: in the order of the command line.
        resumed: those that the directory knew before.
    """

    run: EngineRun
    wanted: Mapping[InfoHash, JudgedSource]
    resumed: frozenset[InfoHash]


def open_download(
    options: DownloadOptions,
    sources: Sequence[NamedSource],
    projections: Sequence[Projection] = (),
) -> OpenedDownload:
    """Judge the sources, lock the output directory, and build the engine's tree.

    Everything that can be wrong with the input is found here, before the network is touched or a
    file is written outside the state directory.

    Raises:
        InvalidInputError: a source, path or selection that cannot be used, which is named.
        StoreLockedError: another process downloads into this directory.
        StoreDownError: the directory cannot be written.
        EngineUnsupportedError: the installed libtorrent lacks what is needed.
    """
    check_libtorrent()
    output = os.path.realpath(options.output)
    policy = PathPolicy(roots=(output,), default=output, knob="-o")
    policy.resolve(None)
    wanted = _judge(policy, options.selection, sources)
    make_directory(output, remedy="choose another with -o")
    plan = EnginePlan(
        resume_dir=Path(output) / STATE_DIR / "resume",
        policy=policy,
        settings=_settings(options),
        policies=options.policies,
        projections=projections,
        must_listen=options.listen or options.interface,
        listen_knob="--listen or --interface",
    )
    known: frozenset[InfoHash] = frozenset()

    def settle(store: FilesystemResumeStore) -> AbstractSet[InfoHash]:
        nonlocal known
        _settle_here(store, frozenset(wanted), output)
        known = frozenset(store.known()) & set(wanted)
        return frozenset(wanted)

    run = EngineRun(plan, restore_only=settle)
    return OpenedDownload(run, wanted, known)


def _judge(
    policy: PathPolicy, selection: SelectionRules, sources: Sequence[NamedSource]
) -> dict[InfoHash, JudgedSource]:
    judged: dict[InfoHash, JudgedSource] = {}
    for named in sources:
        try:
            description = describe(named.source)
            if description.metainfo is not None:
                files = description.metainfo.files
                policy.check_files(policy.default, files)
                if not selection.is_empty:
                    priorities_for(selection, files)
        except InvalidTorrentError as error:
            is_magnet = isinstance(named.source, MagnetSource)
            remedy = "copy the whole link" if is_magnet else "get the torrent file again"
            raise InvalidTorrentError(f"{named.label}: {error}; {remedy}") from error
        except InvalidInputError as error:
            raise type(error)(f"{named.label}: {error}") from error
        twin = _twin(judged, description)
        if twin is not None:
            raise InvalidInputError(
                f"{named.label} is the same torrent as {twin.label}; name it once"
            )
        judged[description.info_hash] = JudgedSource(named, description)
    return judged


def _twin(judged: Mapping[InfoHash, JudgedSource], new: TorrentDescription) -> NamedSource | None:
    hashes = {h for h in (new.infohash_v1, new.infohash_v2, new.infohash_v2[:40]) if h}
    for one in judged.values():
        known = one.description
        if hashes & {known.infohash_v1, known.infohash_v2, known.infohash_v2[:40]}:
            return one.named
    return None


def _settle_here(store: FilesystemResumeStore, wanted: AbstractSet[InfoHash], output: str) -> None:
    """Let torrents of a directory that was moved or copied go on where it is now."""
    restored = store.load(wanted)
    for problem in restored.problems:
        log.warning("resume_store_damage", problem=problem)
    for stored in restored.torrents:
        for problem in stored.problems:
            log.warning("resume_data_damage", info_hash=stored.spec.info_hash, problem=problem)
        if stored.spec.save_path != output:
            store.put(replace(stored.spec, save_path=output))


def _settings(options: DownloadOptions) -> EngineSettings:
    network = NetworkOptions(listen=options.listen, interface=options.interface)
    return EngineSettings(
        listen=network.listen_interfaces,
        outgoing_interface=options.interface,
        download_limit=options.download_limit,
        upload_limit=options.upload_limit,
        enable_dht=options.enable_dht,
        enable_lsd=options.enable_dht,
        enable_utp=options.enable_utp,
    )
