"""Revaer's supervision tree; command line, tests, library and server differ in ports only."""

from dataclasses import dataclass, field, replace

from tenacity import wait_exponential, wait_random
from tenacity.wait import wait_base

from actors import (
    ChildSpec,
    DynamicSupervisor,
    OnHang,
    Restart,
    RestartLimit,
    Strategy,
    Supervisor,
)
from revaer.runtime.alert_pump import AlertPump
from revaer.runtime.board import BoardActor
from revaer.runtime.board_table import BoardTable
from revaer.runtime.details import Details
from revaer.runtime.event_hub import EventHub, HubFeed
from revaer.runtime.intake import FactIntake
from revaer.runtime.progress import ProgressCoalescer
from revaer.runtime.session import SessionActor, SessionPorts
from revaer.runtime.storage_probe import StorageProbe
from revaer.runtime.store_sync import StoreSync

MAX_COALESCERS = 100_000
POOL_WORKERS = 1
"""Pooled actors never wait, so a second worker would only fight the first for the interpreter's
lock: with 10,000 coalescers and 20,000 reports per second one worker keeps up at 60 us each, two
take 90 us and do not. One that is stuck is replaced (`hang_after_s`)."""
POOLED_HANG_S = 30.0
DETAILS_HANG_S = 30.0
"""A reader of the engine that is stuck is replaced; beside a second one it does no harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePolicies:
    """How the engine's part of the tree is restarted.

    Attributes:
        limit: deaths after which the engine is `failed`: the fourth within two minutes.
        wait: delay before each restart, as a tenacity wait strategy.
        retry_failed_s: a failed engine is tried again after this long.
        hang_after_s: a session busy for longer than this with one message is hung, which is fatal:
            two sessions on one resume directory are never allowed.
        coalescer_limit: deaths after which one torrent's coalescer stays down.
        coalescer_idle_s: a coalescer without facts for this long goes to sleep for good.
    """

    limit: RestartLimit = field(
        default_factory=lambda: RestartLimit(max_restarts=3, window_s=120.0)
    )
    wait: wait_base = field(
        default_factory=lambda: wait_exponential(multiplier=0.5, max=30) + wait_random(0, 2)
    )
    retry_failed_s: float = 300.0
    hang_after_s: float = 60.0
    coalescer_limit: RestartLimit = field(
        default_factory=lambda: RestartLimit(max_restarts=3, window_s=60.0)
    )
    coalescer_idle_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePorts:
    """Everything the engine's part of the tree needs from outside.

    Attributes:
        session: what the session actor is given.
        intake: where the coalescers' facts wait for the board.
        policies: how the actors are restarted.
    """

    session: SessionPorts
    intake: FactIntake = field(default_factory=FactIntake)
    policies: EnginePolicies = field(default_factory=EnginePolicies)


def engine_tree(ports: EnginePorts) -> ChildSpec:
    """Session, coalescers, alert pump, store sync, details: in the order of their dependence.

    The session's death stops what stands after it and starts it again in order (rest_for_one): the
    pump drains an engine only when there is somebody to act on what it finds.
    """
    policies = ports.policies
    session = ports.session

    def coalescer(key: str) -> ChildSpec:
        return ChildSpec(
            name=key,
            factory=lambda: ProgressCoalescer(
                intake=ports.intake, passivate_after_s=policies.coalescer_idle_s
            ),
            restart=Restart.TRANSIENT,
            wait=policies.wait,
        )

    children = (
        ChildSpec(
            name="session",
            factory=lambda: SessionActor(session),
            wait=policies.wait,
            start_timeout_s=120.0,
            hang_after_s=policies.hang_after_s,
            on_hang=OnHang.ESCALATE,
        ),
        ChildSpec(
            name="coalescers",
            factory=lambda: DynamicSupervisor(
                template=coalescer,
                limit_per_child=policies.coalescer_limit,
                max_children=MAX_COALESCERS,
            ),
            wait=policies.wait,
        ),
        ChildSpec(
            name="alert_pump",
            factory=lambda: AlertPump(session.holder),
            wait=policies.wait,
        ),
        ChildSpec(
            name="store_sync",
            factory=lambda: StoreSync(session.store),
            wait=policies.wait,
        ),
        ChildSpec(
            name="storage_probe",
            factory=lambda: StorageProbe(session.files),
            wait=policies.wait,
            # It may hang for as long as a disk does: nothing waits for it, not even a shutdown.
            shutdown_timeout_s=0.5,
            counts_against_limit=False,
        ),
        ChildSpec(
            name="details",
            factory=lambda: Details(session.holder),
            wait=policies.wait,
            hang_after_s=DETAILS_HANG_S,
            # As above: whoever waits for an answer is told that there is none.
            shutdown_timeout_s=0.5,
            counts_against_limit=False,
        ),
    )
    return ChildSpec(
        name="engine",
        factory=lambda: Supervisor(
            strategy=Strategy.REST_FOR_ONE, children=children, limit=policies.limit
        ),
        wait=policies.wait,
        start_timeout_s=150.0,
        retry_failed_s=policies.retry_failed_s,
    )


def root_tree(*, table: BoardTable, feed: HubFeed, engine: EnginePorts) -> ChildSpec:
    """The root with what the engine leans on: the board and the event hub start first."""
    holder = engine.session.holder
    session = replace(engine.session, stats_audience=lambda: feed.stats_audience)
    engine = replace(engine, session=session)
    children = (
        ChildSpec(name="events", factory=lambda: EventHub(feed, switch_on=holder.set_interest)),
        ChildSpec(
            name="board",
            factory=lambda: BoardActor(table, intake=engine.intake, source_path="engine.session"),
            hang_after_s=POOLED_HANG_S,
        ),
        engine_tree(engine),
    )
    return ChildSpec(
        name="root",
        factory=lambda: Supervisor(strategy=Strategy.ONE_FOR_ONE, children=children),
        start_timeout_s=180.0,
    )
