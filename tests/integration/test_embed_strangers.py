"""Does a program that has Pykka actors, handlers and settings of its own keep them all?"""

import gc
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pykka
import pytest

from actors.testing import eventually
from revaer import (
    NetworkOptions,
    SessionErrorCode,
    SessionErrorEvent,
    SessionEvent,
    TorrentManager,
    UnavailableError,
)
from revaer.runtime.messages import EngineReported
from tests.support.children import run_python
from tests.support.swarm import Payload, Seeder, make_payload

LOCAL = NetworkOptions(
    listen="127.0.0.1:0", enable_dht=False, enable_lsd=False, enable_pex=False, enable_utp=False
)
WITHIN_S = 60.0


class Counter(pykka.ThreadingActor):
    """A stranger's actor: counts what it is asked."""

    use_daemon_thread = True

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def on_receive(self, message: Any) -> int:
        self.asked += 1
        return self.asked


class Fatal(BaseException):
    """What ends a process, unless somebody takes care of it: as SystemExit does."""


class Bomb:
    """Facts that raise when the session actor reads them."""

    def __iter__(self) -> Iterator[object]:
        raise Fatal("planted in the session actor")


@pytest.fixture
def strangers() -> Iterator[list["pykka.ActorRef[Counter]"]]:
    refs = [Counter.start() for _ in range(3)]
    yield refs
    for ref in refs:
        ref.stop()


@pytest.fixture
def payloads(tmp_path: Path) -> list[Payload]:
    return [
        make_payload(tmp_path / f"seed{n}", f"film{n}", 3_000_000, piece_length=65_536)
        for n in range(2)
    ]


def host_state() -> dict[str, object]:
    """Everything of the host's that a library has no business with."""
    numbers = [n for n in signal.valid_signals() if n not in {signal.SIGKILL, signal.SIGSTOP}]
    root = logging.getLogger()
    return {
        "signals": {number: signal.getsignal(number) for number in numbers},
        "wakeup": signal.set_wakeup_fd(-1),
        "handlers": list(root.handlers),
        "level": root.level,
        "loggers": {
            name: (logging.getLogger(name).handlers, logging.getLogger(name).level)
            for name in ("revaer", "actors", "pykka", "structlog")
        },
        "gc": (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
        "switch_interval": sys.getswitchinterval(),
        "excepthook": (sys.excepthook, threading.excepthook),
        "actors": {ref.actor_urn for ref in pykka.ActorRegistry.get_all()},
    }


def crash(manager: TorrentManager) -> None:
    """Kill the session actor with an error that no `except Exception` catches."""
    session = manager.resources.engine.run.system.address("engine.session")
    bomb = EngineReported(Bomb())  # type: ignore[arg-type]
    eventually(lambda: session.tell_or_drop(bomb), within_s=WITHIN_S)


def restarts(manager: TorrentManager) -> int:
    node: dict[str, Any] = manager.resources.engine.run.health()
    for name in ("engine", "session"):
        node = next(child for child in node["children"] if child["name"] == name)
    return int(node["generation"]) - 1


def test_two_managers_beside_strangers_and_a_crash_in_one_of_them(
    tmp_path: Path, payloads: list[Payload], strangers: list["pykka.ActorRef[Counter]"]
) -> None:
    before = host_state()
    assert [ref.ask("hello", timeout=10) for ref in strangers] == [1, 1, 1]
    with ExitStack() as stack:
        seeder = stack.enter_context(Seeder(*payloads, upload_limit=1_000_000))
        first = stack.enter_context(TorrentManager(tmp_path / "first", network=LOCAL))
        second = stack.enter_context(TorrentManager(tmp_path / "second", network=LOCAL))
        sessions = [
            manager.add(payload.torrent, peers=[seeder.peer], start=True)
            for manager, payload in zip((first, second), payloads, strict=True)
        ]
        eventually(lambda: all(one.progress > 0 for one in sessions), within_s=WITHIN_S)
        assert host_state() == before

        crash(first)
        eventually(lambda: restarts(first) == 1, within_s=WITHIN_S)

        assert [ref.ask("still there?", timeout=10) for ref in strangers] == [2, 2, 2]
        assert host_state() == before
        sessions[0].pause()  # the face goes on; a call meets the new actor
        assert sessions[0].state == "paused"
        sessions[0].resume()
        assert all(session.wait(WITHIN_S) for session in sessions)
        assert restarts(second) == 0

    assert host_state() == before
    assert [ref.ask("and after?", timeout=10) for ref in strangers] == [3, 3, 3]
    assert payloads[0].is_whole_in(tmp_path / "first")
    assert payloads[1].is_whole_in(tmp_path / "second")


def test_a_call_that_meets_a_crash_waits_for_the_new_actor(
    tmp_path: Path, payloads: list[Payload]
) -> None:
    with TorrentManager(tmp_path / "out", network=LOCAL) as manager:
        session = manager.add(payloads[0].torrent)
        crash(manager)

        session.start()
        other = manager.add(payloads[1].torrent)

        assert session.state != "stopped"
        assert other.state == "stopped"
        eventually(lambda: restarts(manager) == 1, within_s=WITHIN_S)


def test_an_engine_that_failed_for_good_says_so_and_refuses_calls(
    tmp_path: Path, payloads: list[Payload]
) -> None:
    heard: list[SessionEvent] = []
    with TorrentManager(tmp_path / "out", network=LOCAL) as manager:
        manager.subscribe_all("session.error", heard.append)
        session = manager.add(payloads[0].torrent, start=True)

        for round_ in range(4):
            eventually(lambda n=round_: restarts(manager) == n, within_s=WITHIN_S)  # type: ignore[misc]
            crash(manager)
        eventually(manager.resources.engine.run.has_failed, within_s=WITHIN_S)

        with pytest.raises(UnavailableError, match="the engine failed"):
            session.pause()
        with pytest.raises(UnavailableError, match="the engine failed"):
            session.wait(WITHIN_S)
        eventually(lambda: heard, within_s=20.0)

    told = heard[0]
    assert told.info_hash == payloads[0].info_hash
    assert isinstance(told.data, SessionErrorEvent)
    assert told.data.error_code == SessionErrorCode.UNAVAILABLE


def test_nothing_is_written_where_the_program_writes(
    tmp_path: Path, payloads: list[Payload]
) -> None:
    code, output = run_python(
        f"""
        import logging, signal
        from revaer import NetworkOptions, TorrentManager
        network = NetworkOptions(listen="127.0.0.1:0", enable_dht=False, enable_lsd=False)
        with TorrentManager({str(tmp_path / "out")!r}, network=network) as manager:
            session = manager.add({str(payloads[0].torrent_path)!r}, start=True)
            session.wait(0.5)
            session.pause()
            manager.remove(session)
        logging.getLogger("actors").warning("of the kit")
        logging.getLogger("revaer.runtime.session").warning("of Revaer")
        is_default = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        print(logging.getLogger().handlers, is_default)
        """
    )

    assert (code, output) == (0, "[] True\n")
