"""The engine as the library face runs it: in a directory of the program's choice."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from revaer.adapters.libtorrent.profile import settings_pack
from revaer.compose.engine import ANY_PORT, EnginePlan, EngineRun
from revaer.domain.errors import InvalidInputError, PathRefusedError, StoreDownError
from revaer.domain.ids import BytesPerSecond, InfoHash
from revaer.domain.paths import PathPolicy
from revaer.domain.session_events import SessionEvent, Translator, engine_failed
from revaer.ports.engine import EngineSettings
from revaer.runtime.callbacks import Dispatcher

STATE_DIR = ".revaer"
NO_QUEUE = -1

PathText = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """How the one session behind all torrents reaches its peers.

    Attributes:
        listen: `host:port` or `device:port`, several as a tuple; empty for any address and a port
            of the system's choice.
        interface: device or address for all traffic; empty for any.
        enable_dht: find peers without a tracker.
        enable_lsd: find peers on the local network.
        enable_pex: learn peers from peers.
        enable_utp: use uTP beside TCP.
        enable_port_mapping: ask the router for a port by UPnP and NAT-PMP.
        user_agent: how trackers and peers see the program.
    """

    listen: str | tuple[str, ...] = ()
    interface: str = ""
    enable_dht: bool = True
    enable_lsd: bool = True
    enable_pex: bool = True
    enable_utp: bool = True
    enable_port_mapping: bool = False
    user_agent: str = "Revaer/0.1"

    @property
    def listen_interfaces(self) -> tuple[str, ...]:
        """As the engine takes it."""
        if self.listen:
            return (self.listen,) if isinstance(self.listen, str) else self.listen
        return (f"{self.interface}:0",) if self.interface else ANY_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLimits:
    """What all torrents share.

    Attributes:
        max_connections: peers of all torrents together.
        max_active_downloads: torrents downloading at once, the others wait; None for any number.
        max_active_seeds: as above, for seeding.
        download: bytes per second; 0 unlimited.
        upload: as above.
    """

    max_connections: int = 200
    max_active_downloads: int | None = None
    max_active_seeds: int | None = None
    download: int = 0
    upload: int = 0


def settings_for(network: NetworkOptions, limits: ResourceLimits) -> EngineSettings:
    """Put a session's settings together.

    Raises:
        InvalidInputError: a number that no session takes.
    """
    downloads = _queue("max_active_downloads", limits.max_active_downloads)
    seeds = _queue("max_active_seeds", limits.max_active_seeds)
    return EngineSettings(
        listen=network.listen_interfaces,
        outgoing_interface=network.interface,
        download_limit=BytesPerSecond(limits.download),
        upload_limit=BytesPerSecond(limits.upload),
        enable_dht=network.enable_dht,
        enable_lsd=network.enable_lsd,
        enable_pex=network.enable_pex,
        enable_utp=network.enable_utp,
        enable_port_mapping=network.enable_port_mapping,
        max_connections=limits.max_connections,
        active_downloads=downloads,
        active_seeds=seeds,
        user_agent=network.user_agent,
    )


def open_run(
    download_dir: PathText,
    *,
    state_dir: PathText | None = None,
    save_roots: Sequence[PathText] = (),
    network: NetworkOptions | None = None,
    limits: ResourceLimits | None = None,
) -> EngineRun:
    """Lock the state directory and build the engine's tree; nothing runs yet.

    A state directory that cannot be used now is no error: the engine starts with its health
    degraded, and goes on with what is stored when it can.

    Args:
        download_dir: where payload goes unless a torrent says otherwise; made where missing.
        state_dir: what Revaer remembers; `.revaer` in the download directory when None.
        save_roots: directories beside the download directory that torrents may be saved in.
        network: how peers are reached.
        limits: what all torrents share.

    Raises:
        InvalidInputError: a path or a number that cannot be used.
        StoreLockedError: another manager has this state directory, in whatever process.
        StoreDownError: the download directory cannot be made.
        EngineUnsupportedError: the installed libtorrent lacks what is needed.
    """
    network = network if network is not None else NetworkOptions()
    settings = settings_for(network, limits if limits is not None else ResourceLimits())
    settings_pack(settings)  # refuses now what would keep the engine from starting
    payload = directory_at(download_dir)
    state = f"{payload}/{STATE_DIR}" if state_dir is None else directory_at(state_dir)
    policy = PathPolicy(
        roots=(payload, *(directory_at(root) for root in save_roots)),
        default=payload,
        state_dirs=(state,),
        knob="`save_roots`",
    )
    policy.resolve(None)
    make_directory(payload)
    plan = EnginePlan(
        resume_dir=Path(state) / "resume",
        policy=policy,
        settings=settings,
        waits_for_store=True,
        must_listen=", ".join(network.listen_interfaces)
        if network.listen or network.interface
        else "",
    )
    return EngineRun(plan)


def dispatcher_for(
    run: EngineRun,
    *,
    owns: Callable[[InfoHash], bool],
    torrents: Callable[[], Sequence[InfoHash]],
    capacity: int,
) -> Dispatcher:
    """Callbacks for the events of some of a run's torrents."""
    return Dispatcher(
        run.feed,
        Translator(run.board.get, owns, torrents),
        torrents,
        when_idle=_BrokenTree(run, torrents),
        capacity=capacity,
    )


class _BrokenTree:
    """Says once that the tree as a whole broke: then no actor is left to say it."""

    def __init__(self, run: EngineRun, torrents: Callable[[], Sequence[InfoHash]]) -> None:
        self._run = run
        self._torrents = torrents
        self._is_told = False

    def __call__(self) -> Sequence[SessionEvent]:
        reason = None if self._is_told else self._run.broken()
        if reason is None or reason.stopped:
            return ()
        self._is_told = True
        return tuple(engine_failed(self._torrents(), reason.message))


def make_directory(path: str, *, remedy: str = "choose another") -> None:
    """Make a directory for payload.

    Args:
        path: absolute.
        remedy: how another one is chosen, for messages.

    Raises:
        PathRefusedError: something else is there.
        StoreDownError: it cannot be made.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise PathRefusedError(f"{error.filename} is not a directory; {remedy}") from error
    except OSError as error:
        raise StoreDownError(
            f"cannot create {path}: {error.strerror}; make it writable or {remedy}"
        ) from error


def path_text(path: PathText) -> str:
    """A path as text.

    Raises:
        InvalidInputError: neither text nor a Path.
    """
    try:
        return os.fsdecode(path)
    except TypeError as error:
        raise InvalidInputError(f"{path!r} is no path; give a str or a Path") from error


def directory_at(path: PathText) -> str:
    """A directory's absolute path without links.

    Raises:
        InvalidInputError: no path at all.
    """
    text = path_text(path)
    if not text.strip() or "\0" in text:
        raise InvalidInputError(f"{path!r} is no path of a directory; name one")
    return os.path.realpath(text)


def _queue(name: str, value: int | None) -> int:
    if value is None:
        return NO_QUEUE
    if value < 1:
        raise InvalidInputError(f"{name} is {value}; give 1 or more, or None for any number")
    return value
