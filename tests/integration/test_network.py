"""Is Revaer reachable where it was told to listen, nowhere else, and does it say so when not?

What needs an interface to lose runs in a child process with a network of its own, in a user and
network namespace. Where a machine forbids those, the tests say so in pytest's summary.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import libtorrent as lt
import pytest

from actors.testing import eventually
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.commands import AddTorrent
from revaer.domain.events import HealthChanged, PublishedEvent
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import MetainfoSource
from revaer.ports.engine import EngineSettings
from revaer.ports.event_feed import Subscription
from revaer.runtime.messages import ApplySettings
from tests.support.children import ROOT
from tests.support.rig import LOOPBACK, EngineRig
from tests.support.soak import scaled
from tests.support.swarm import make_payload

SOON_S = 20.0
SCENE_S = 110.0
SCENE = ROOT / "tests" / "support" / "network_scene.py"
PRIVATE_NETWORK = ("unshare", "--user", "--map-root-user", "--net", "--mount")
TRIAL = "mount -t tmpfs none /run && ip netns add a && ip link add a0 type veth peer name a1"


class Scenes:
    """Child processes that play a scene each, side by side."""

    def __init__(self, where: Path) -> None:
        self._where = where
        self._running: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str) -> None:
        work = self._where / name
        work.mkdir()
        self._running[name] = subprocess.Popen(
            [*PRIVATE_NETWORK, sys.executable, str(SCENE), name, str(work)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def outcome(self, name: str) -> dict[str, Any]:
        output, _ = self._running[name].communicate(timeout=SCENE_S)
        assert self._running[name].returncode == 0, output
        facts: dict[str, Any] = json.loads(output.splitlines()[-1])
        return facts

    def stop(self) -> None:
        for process in self._running.values():
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenes]:
    try:
        trial = subprocess.run(
            [*PRIVATE_NETWORK, "sh", "-c", TRIAL], capture_output=True, text=True, check=False
        )
        refusal = trial.stderr.strip() if trial.returncode else ""
    except FileNotFoundError as error:
        refusal = str(error)
    if refusal:
        pytest.skip(f"NOT SHOWN: this machine forbids user and network namespaces: {refusal}")
    playing = Scenes(tmp_path_factory.mktemp("scenes"))
    for name in ("vanish", "one_of_two", "quiet", "loud", "down")[: scaled(4, 5)]:
        playing.start(name)
    yield playing
    playing.stop()


@pytest.mark.soak
def test_a_lost_interface_is_a_health_cause_and_nothing_leaves_by_another_way(
    scenes: Scenes,
) -> None:
    for name in ("vanish", "down")[: scaled(1, 2)]:
        facts = scenes.outcome(name)

        assert "vpn0" in facts["cause"]
        assert facts["noticed_s"] <= 2.0
        assert facts["control_bytes"] > 0, "bytes of other programs must be seen to be counted"
        assert facts["other_way_bytes"] > 0, "the peer must have been in reach by the other way"
        assert facts["leaked_bytes"] == 0
        assert facts["ports"] == [6881]
        assert facts["flowing_again_s"] > 0  # by itself: nobody did anything but bring it back


def test_one_lost_interface_of_two_is_a_health_cause_and_the_other_goes_on(scenes: Scenes) -> None:
    facts = scenes.outcome("one_of_two")

    assert "vpn0:6881" in facts["cause"]
    assert "other addresses still do" in facts["cause"]
    assert facts["noticed_s"] <= 2.0
    assert facts["ports"] == [6881]
    assert facts["other_answers"]


def test_with_all_discovery_off_not_one_datagram_is_sent(scenes: Scenes) -> None:
    assert scenes.outcome("quiet") == {"datagrams": 0, "ports": [6881]}
    assert scenes.outcome("loud")["datagrams"] > 0, "datagrams must be seen to be counted"


def engine_of(rig: EngineRig) -> LibtorrentEngine:
    return cast("LibtorrentEngine", rig.holder.current())


def apply(rig: EngineRig, settings: EngineSettings) -> None:
    rig.system.address("engine.session").ask(ApplySettings(settings), timeout_s=SOON_S)


def hear(heard: Subscription, wanted: Callable[[HealthChanged], bool]) -> HealthChanged:
    """The next word of the network's health that is wanted."""
    while True:
        delivery = heard.next(SOON_S)
        assert isinstance(delivery, PublishedEvent), delivery
        event = delivery.event
        if isinstance(event, HealthChanged) and event.component == "network" and wanted(event):
            return event


def taken_port(address: str) -> socket.socket:
    """A port that another program listens on."""
    other = socket.socket()
    other.bind((address, 0))
    other.listen()
    return other


def test_discovery_is_switched_on_and_off_while_running(tmp_path: Path) -> None:
    engines = EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine, settings=LOOPBACK)
    names = ("enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp")
    with engines as rig:
        session = engine_of(rig)._live()

        def found() -> list[Any]:
            settings = cast("dict[str, Any]", session.get_settings())
            return [settings[name] for name in names]

        assert found() == [False, False, False, False]
        apply(rig, replace(LOOPBACK, enable_lsd=True))
        assert found() == [False, True, False, False]
        apply(rig, replace(LOOPBACK, enable_port_mapping=True))
        assert found() == [False, False, True, True]
        apply(rig, LOOPBACK)
        assert found() == [False, False, False, False]


def tell_of_a_peer(peer: socket.socket, info_hash: InfoHash, other: tuple[str, int]) -> None:
    """Shake hands as a peer, then name another one by the extension `ut_pex`."""
    extensions = bytes((0, 0, 0, 0, 0, 0x10, 0, 0))
    identity = bytes.fromhex(info_hash) + b"-XX0000-abcdefghijkl"
    peer.sendall(b"\x13BitTorrent protocol" + extensions + identity)
    peer.sendall(extended(0, {b"m": {b"ut_pex": 1}}))
    stream = peer.makefile("rb")
    assert len(stream.read(68)) == 68
    message = b""
    while message[:2] != b"\x14\x00":  # the other side's extensions
        length = int.from_bytes(stream.read(4), "big")
        message = stream.read(length)
        assert len(message) == length
    number = cast("Any", lt.bdecode(message[2:]))[b"m"][b"ut_pex"]
    host, port = other
    compact = socket.inet_aton(host) + port.to_bytes(2, "big")
    peer.sendall(extended(number, {b"added": compact, b"added.f": b"\x00"}))


def extended(number: int, content: dict[bytes, Any]) -> bytes:
    message = b"\x14" + bytes((number,)) + lt.bencode(cast("Any", content))
    return len(message).to_bytes(4, "big") + message


@pytest.mark.parametrize("is_on", [True, False], ids=["on", "off"])
def test_a_peer_that_another_peer_names_is_called_only_where_exchange_is_on(
    tmp_path: Path,
    is_on: bool,  # noqa: FBT001 -- a parameter of pytest's
) -> None:
    payload = make_payload(tmp_path / "seed", "song", 100_000)
    settings = replace(LOOPBACK, enable_pex=is_on)
    engines = EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine, settings=settings)
    # Another address than the peer's that names it: libtorrent calls one peer per address.
    with engines as rig, taken_port("127.0.0.2") as other:
        done = rig.gateway.execute(
            AddTorrent(source=MetainfoSource(payload.torrent)), timeout_s=SOON_S
        )
        eventually(rig.holder.current().listen_ports, within_s=SOON_S)
        (port,) = rig.holder.current().listen_ports()
        other.settimeout(SOON_S if is_on else 3.0)

        with socket.create_connection(("127.0.0.1", port), timeout=SOON_S) as peer:
            tell_of_a_peer(peer, done.info_hash, other.getsockname())
            try:
                called, _ = other.accept()
            except TimeoutError:
                assert not is_on
            else:
                called.close()
                assert is_on


def test_a_port_in_use_is_a_health_cause_never_another_port_and_is_taken_once_free(
    tmp_path: Path,
) -> None:
    with taken_port("127.0.0.1") as other:
        port = other.getsockname()[1]
        settings = replace(LOOPBACK, listen=(f"127.0.0.1:{port}",))
        engines = EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine, settings=settings)
        heard = engines.feed.subscribe(("health.changed",))
        with engines as rig:
            cause = hear(heard, lambda event: event.status == "degraded").cause
            assert f"127.0.0.1:{port}" in cause
            assert "in use" in cause
            assert rig.holder.current().listen_ports() == ()
            other.close()
            hear(heard, lambda event: event.status == "ok")

            assert rig.holder.current().listen_ports() == (port,)


def test_one_deaf_address_of_several_is_a_health_cause_too(tmp_path: Path) -> None:
    with taken_port("127.0.0.2") as other:
        port = other.getsockname()[1]
        settings = replace(LOOPBACK, listen=(f"127.0.0.1:{port}", f"127.0.0.2:{port}"))
        engines = EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine, settings=settings)
        heard = engines.feed.subscribe(("health.changed",))
        with engines:
            cause = hear(heard, lambda event: event.status == "degraded").cause
            assert f"127.0.0.2:{port}" in cause
            assert "other addresses still do" in cause
            socket.create_connection(("127.0.0.1", port), timeout=SOON_S).close()
            other.close()
            hear(heard, lambda event: event.status == "ok")

            socket.create_connection(("127.0.0.2", port), timeout=SOON_S).close()


def test_a_device_that_is_not_there_is_a_health_cause_until_settings_name_another(
    tmp_path: Path,
) -> None:
    absent = replace(LOOPBACK, listen=("nosuchdev0:6881",), outgoing_interface="nosuchdev0")
    engines = EngineRig(root=tmp_path / "out", open_engine=LibtorrentEngine, settings=absent)
    heard = engines.feed.subscribe(("health.changed",))
    with engines as rig:
        assert "nosuchdev0" in hear(heard, lambda event: event.status == "degraded").cause
        assert rig.holder.current().listen_ports() == ()
        apply(rig, LOOPBACK)
        hear(heard, lambda event: event.status == "ok")

        assert rig.holder.current().listen_ports()
