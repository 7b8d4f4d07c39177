"""When everything crashes or stops under everybody's hands: is every asker answered, always?"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from actors import (
    AskTimeout,
    ChildSpec,
    MailboxFull,
    Restart,
    Unavailable,
)
from actors.testing import eventually, run_system
from tests.support.soak import scaled
from tests.unit.actors.cast import (
    GENEROUS,
    KINDS,
    Fail,
    Generation,
    PooledPlayer,
    ThreadPlayer,
    await_state,
    generation_of,
    node,
    spec,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors import ActorSystem, Future
    from tests.unit.actors.cast import _Player

TIMEOUT_S = 5.0
# Far more than any answer takes; an ask that outlives its timeout by this is one that hangs.
SLACK_S = 5.0


@pytest.fixture
def tiny_switch_interval() -> Iterator[None]:
    """Threads change places as often as Python can, so that races show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def run_all(*bodies: Callable[[], None]) -> None:
    """Run each in a thread of its own, to the end; the first error is raised here."""
    errors: list[BaseException] = []

    def guarded(body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the test's thread
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


@pytest.mark.soak
@pytest.mark.usefixtures("tiny_switch_interval")
def test_in_a_storm_of_crashes_no_ask_is_left_without_an_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """8 clients, 4 children that crash all the time. Some answers, some refusals, no timeouts."""
    caplog.set_level("CRITICAL", logger="actors")
    names = ["t1", "t2", "p1", "p2"]
    children = [
        spec(name, ThreadPlayer if name.startswith("t") else PooledPlayer, wait=lambda _s: 0.001)
        for name in names
    ]
    outcomes: Counter[str] = Counter()
    slowest: list[float] = []
    lock = threading.Lock()
    rounds = scaled(1_000, 12_000)

    def client(system: ActorSystem, seed: int) -> None:
        dice = random.Random(seed)
        mine: Counter[str] = Counter()
        worst = 0.0
        for _ in range(rounds):
            address = system.address(dice.choice(names))
            message = Fail(ValueError("storm")) if dice.random() < 0.05 else "hello"
            began = time.monotonic()
            try:
                address.ask(message, timeout_s=TIMEOUT_S)
                mine["answered"] += 1
            except Unavailable:
                mine["refused"] += 1
            except ValueError:
                mine["crashed"] += 1
            except AskTimeout:
                mine["timed out"] += 1
            worst = max(worst, time.monotonic() - began)
        with lock:
            outcomes.update(mine)
            slowest.append(worst)

    with run_system(*children, limit=GENEROUS) as system:
        run_all(*(lambda n=n: client(system, n) for n in range(8)))
        for name in names:
            eventually(lambda n=name: generation_of(system.address(n)) > 1)  # type: ignore[misc]
        restarts = sum(node(system, name)["restarts"] for name in names)
    assert outcomes.total() == 8 * rounds
    assert outcomes["timed out"] == 0
    assert outcomes["answered"] > 0
    assert outcomes["crashed"] >= restarts > 0
    assert max(slowest) < TIMEOUT_S + SLACK_S


@pytest.mark.soak
@pytest.mark.usefixtures("tiny_switch_interval")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_ask_is_lost_between_a_mailbox_and_its_closing(kind: type[_Player]) -> None:
    """Three askers against one stop, again and again: every future is resolved."""
    stops = scaled(30, 400)
    futures: list[Future] = []
    counts: Counter[str] = Counter()

    def asker(system: ActorSystem, over: threading.Event) -> None:
        mine = []
        while not over.is_set():
            try:
                mine.append(system.address("a").ask_later("hello"))
            except Unavailable:
                counts["refused"] += 1
                over.wait(0.0005)
            except MailboxFull:
                over.wait(0.0005)
        futures.extend(mine)

    def stopper(system: ActorSystem, over: threading.Event) -> None:
        try:
            for generation in range(1, stops + 1):
                eventually(
                    lambda g=generation: (  # type: ignore[misc]
                        node(system, "a")["generation"] == g
                        and node(system, "a")["state"] == "running"
                    ),
                    within_s=30,
                )
                system.restart("a")
        finally:
            over.set()

    over = threading.Event()
    child = spec("a", kind, shutdown_timeout_s=30.0)
    with run_system(child) as system:
        run_all(*[lambda: asker(system, over)] * 3, lambda: stopper(system, over))
        eventually(lambda: generation_of(system.address("a")) == stops + 1)
        for future in futures:
            try:
                assert future.get(timeout_s=30) == "hello"
                counts["answered"] += 1
            except Unavailable:
                counts["failed"] += 1
    assert counts["answered"] + counts["failed"] == len(futures)
    assert counts["answered"] > 0


@pytest.mark.soak
@pytest.mark.usefixtures("tiny_switch_interval")
@pytest.mark.parametrize("kind", [ThreadPlayer, PooledPlayer], ids=lambda kind: kind.__name__)
def test_every_message_of_many_senders_is_handled_once(kind: type[_Player]) -> None:
    """No wake-up is forgotten: what was sent is handled without anything else happening."""
    senders, each, receivers = 4, scaled(2_000, 10_000), 20
    lock = threading.Lock()
    seen: Counter[str] = Counter()

    class Counting(kind):  # type: ignore[misc, valid-type] # a class made for each kind
        def on_receive(self, message: object) -> object:
            if message == "tick":
                with lock:
                    seen[self.context.name] += 1
            return super().on_receive(message)

    children = [spec(f"r{n}", Counting) for n in range(receivers)]
    with run_system(*children) as system:
        addresses = [system.address(child.name) for child in children]

        def send(seed: int) -> None:
            pause = threading.Event()
            for n in range(each):
                address = addresses[(n + seed) % receivers]
                while True:
                    try:
                        address.tell("tick")
                        break
                    except MailboxFull:
                        pause.wait(0.001)

        run_all(*(lambda n=n: send(n) for n in range(senders)))
        eventually(lambda: seen.total() == senders * each, within_s=60)


def test_a_message_is_never_handled_by_two_generations(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", logger="actors")
    handled: list[tuple[int, object]] = []

    class Recording(ThreadPlayer):
        def on_receive(self, message: object) -> object:
            handled.append((self.context.generation, message))
            if isinstance(message, int) and message % 7 == 0:
                raise ValueError("every seventh")
            return super().on_receive("ok" if isinstance(message, int) else message)

    with run_system(spec("a", Recording), limit=GENEROUS) as system:
        address = system.address("a")
        for n in range(100):
            if not address.tell_or_drop(n):
                eventually(lambda: node(system, "a")["state"] == "running")
        await_state(system, "a", "running")
        eventually(lambda: generation_of(address) > 1)
    numbers = [message for _, message in handled if isinstance(message, int)]
    assert len(numbers) == len(set(numbers))
    assert numbers == sorted(numbers)


@pytest.mark.usefixtures("tiny_switch_interval")
def test_a_stop_of_the_whole_system_under_load_answers_everybody() -> None:
    outcomes: Counter[str] = Counter()
    children = [spec(kind.__name__, kind) for kind in KINDS]
    over = threading.Event()
    with run_system(*children) as system:

        def client(name: str) -> None:
            address = system.address(name)
            answered = 0
            while True:
                try:
                    address.ask(Generation(), timeout_s=30)
                    answered += 1
                except Unavailable:
                    if over.is_set():
                        break
            outcomes["answered"] += answered
            outcomes["clients"] += 1

        def stop() -> None:
            over.wait(0.3)
            over.set()
            system.stop()

        run_all(*(lambda n=child.name: client(n) for child in children * 2), stop)
    assert outcomes["clients"] == 6
    assert outcomes["answered"] > 0


@pytest.mark.soak
def test_a_restart_that_nobody_survives_is_still_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("CRITICAL", logger="actors")
    crashes = scaled(50, 1_000)
    child = ChildSpec(
        name="a", factory=PooledPlayer, wait=lambda _s: 0.0, restart=Restart.PERMANENT
    )
    with run_system(child, limit=GENEROUS) as system:
        for generation in range(1, crashes + 1):
            eventually(lambda g=generation: generation_of(system.address("a")) == g)  # type: ignore[misc]
            system.address("a").tell(Fail(ValueError("again")))
        eventually(lambda: generation_of(system.address("a")) == crashes + 1)
        last = node(system, "a")["last_error"]
    assert last["count"] == crashes
