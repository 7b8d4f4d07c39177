"""A small network of our own to take interfaces away from; a script for a process of its own.

Runs as root of a new user, network and mount namespace (`unshare -Urnm`): nothing that happens here
reaches the machine's network. Two links lead to another network namespace, in which a seeder runs:

    vpn0 10.66.0.1 ---- 10.66.0.2 vpn1      the one that Revaer is bound to
    lan0 10.77.0.1 ---- 10.77.0.2 lan1      the other way; without vpn0 it leads to 10.66.0.2, too

On lan0 nothing is sent on its own (no IPv6, a fixed ARP entry): each byte counted there leaked.

Usage: network_scene.py (vanish|down|one_of_two|quiet|loud) DIRECTORY. Prints JSON.
"""

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from actors.testing import eventually
from revaer.adapters.libtorrent.engine import LibtorrentEngine
from revaer.domain.commands import AddTorrent, ConnectPeers, ReannounceTorrent
from revaer.domain.events import HealthChanged, PublishedEvent
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import MetainfoSource
from revaer.ports.engine import EngineSettings
from revaer.ports.event_feed import Subscription
from tests.support import seeder
from tests.support.rig import EngineRig
from tests.support.swarm import Payload, make_payload

PEER_NS: Final = "peer"
NEAR: Final = "10.66.0.2"
FAR: Final = "10.77.0.2"
PORT: Final = 7000
AWAY_S: Final = 5.0
LISTEN_S: Final = 5.0
UPLOAD_LIMIT: Final = 2_000_000
SIZE_BYTES: Final = 80_000_000
SOON_S: Final = 20.0
BACK_S: Final = 45.0
SEEDER_TIMEOUT_S: Final = 5
"""After which the seeder gives up its end of a connection whose link was taken away."""

BOUND: Final = EngineSettings(
    listen=("vpn0:6881",), outgoing_interface="vpn0", enable_dht=False, enable_lsd=False
)
EVERYTHING_OFF: Final = replace(BOUND, enable_pex=False, enable_port_mapping=False)
EVERYTHING_ON: Final = replace(
    BOUND, enable_dht=True, enable_lsd=True, enable_pex=True, enable_port_mapping=True
)


def sh(command: str) -> str:
    """Run a command line, which has to succeed."""
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr.strip()}")
    return done.stdout


def there(command: str) -> str:
    """Run a command line in the peer's namespace."""
    return sh(f"ip netns exec {PEER_NS} {command}")


def lay_vpn() -> None:
    """Make vpn0 and its other end."""
    sh("ip link add vpn0 type veth peer name vpn1")
    sh(f"ip link set vpn1 netns {PEER_NS}")
    sh("ip addr add 10.66.0.1/24 dev vpn0")
    there(f"ip addr add {NEAR}/24 dev vpn1")
    there("ip link set vpn1 up")
    sh("ip link set vpn0 up")


def lay_network() -> None:
    """Make the other namespace and both links."""
    sh("mount -t tmpfs none /run")
    sh("ip link set lo up")
    sh(f"ip netns add {PEER_NS}")
    there("ip link set lo up")
    sh("ip link add lan0 type veth peer name lan1")
    sh(f"ip link set lan1 netns {PEER_NS}")
    sh("ip link set lan0 addrgenmode none")
    sh("ip addr add 10.77.0.1/24 dev lan0")
    there(f"ip addr add {FAR}/24 dev lan1")
    there("ip link set lan1 up")
    sh("ip link set lan0 up")
    mac = there("ip -o link show lan1").split("link/ether ")[1].split()[0]
    sh(f"ip neigh replace {FAR} lladdr {mac} dev lan0 nud permanent")
    lay_vpn()
    sh(f"ip route add 10.66.0.0/24 via {FAR} dev lan0 metric 1000")


def sent_bytes(device: str) -> int:
    """What left through a device, frame headers included."""
    for line in Path("/proc/net/dev").read_text(encoding="ascii").splitlines():
        name, _, counters = line.partition(":")
        if name.strip() == device:
            return int(counters.split()[8])
    raise RuntimeError(f"no device {device}")


def sent_datagrams() -> int:
    """UDP datagrams that this namespace sent, by any device, IPv4 and IPv6."""
    lines = Path("/proc/net/snmp").read_text(encoding="ascii").splitlines()
    names, values = (line.split()[1:] for line in lines if line.startswith("Udp:"))
    count = int(values[names.index("OutDatagrams")])
    with contextlib.suppress(FileNotFoundError):  # a machine without IPv6
        for line in Path("/proc/net/snmp6").read_text(encoding="ascii").splitlines():
            if line.startswith("Udp6OutDatagrams"):
                count += int(line.split()[1])
    return count


@contextlib.contextmanager
def seeding(payload: Payload) -> Iterator[None]:
    """A seeder in the other namespace that answers on each of its addresses."""
    command = ["ip", "netns", "exec", PEER_NS, sys.executable, __file__, "seed"]
    process = subprocess.Popen(
        [*command, str(payload.torrent_path), str(payload.directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if line.strip() != str(PORT):
            raise RuntimeError(f"the seeder did not start: {line!r}")
        yield
    finally:
        process.kill()
        process.communicate()


def seed(torrent: str, directory: str) -> None:
    """Be that seeder."""
    session = seeder.seed(
        UPLOAD_LIMIT,
        [(torrent, directory)],
        {
            "listen_interfaces": f"0.0.0.0:{PORT}",
            "peer_timeout": SEEDER_TIMEOUT_S,
            "inactivity_timeout": SEEDER_TIMEOUT_S,
        },
    )
    print(session.listen_port(), flush=True)  # noqa: T201 -- the answer to the parent process
    sys.stdin.read()


def reach(host: str) -> int:
    """Connect to the seeder as any other program would; answers the bytes that left by lan0."""
    before = sent_bytes("lan0")
    with socket.create_connection((host, PORT), timeout=5.0) as connection:
        # Reset in place of a goodbye: nothing is sent for this connection later on.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return sent_bytes("lan0") - before


def hear_health(heard: Subscription, status: str) -> tuple[HealthChanged, float]:
    """The next change of the network's health to this status, and the seconds it took."""
    began = time.monotonic()
    while time.monotonic() - began < BACK_S:
        delivery = heard.next(1.0)
        event = delivery.event if isinstance(delivery, PublishedEvent) else None
        if isinstance(event, HealthChanged) and (event.component, event.status) == (
            "network",
            status,
        ):
            return event, time.monotonic() - began
    raise AssertionError(f"the network's health did not become {status}")


def without_vpn(work: Path, take: Callable[[], object], give: Callable[[], object]) -> Any:
    """Take the bound interface away in mid transfer, and bring it back."""
    payload = make_payload(
        work / "seed",
        "film",
        SIZE_BYTES,
        piece_length=1 << 18,
        trackers=(f"http://{FAR}:8000/announce", f"udp://{FAR}:8000"),
    )
    facts: dict[str, Any] = {}
    with (
        seeding(payload),
        EngineRig(root=work / "out", open_engine=LibtorrentEngine, settings=BOUND) as rig,
    ):
        facts["control_bytes"] = reach(FAR)
        heard = rig.feed.subscribe(("health.changed",))
        peers = ((NEAR, PORT), (FAR, PORT))
        info_hash = rig.gateway.execute(
            AddTorrent(source=MetainfoSource(payload.torrent), peers=peers), timeout_s=SOON_S
        ).info_hash
        eventually(lambda: done_bytes(rig, info_hash) > UPLOAD_LIMIT, within_s=BACK_S)
        began = time.monotonic()
        before = sent_bytes("lan0")
        take()
        event, _ = hear_health(heard, "degraded")
        facts["cause"], facts["noticed_s"] = event.cause, time.monotonic() - began
        while time.monotonic() - began < AWAY_S:
            rig.gateway.execute(ConnectPeers(info_hash, peers), timeout_s=SOON_S)
            rig.gateway.execute(ReannounceTorrent(info_hash), timeout_s=SOON_S)
            settle(1.0)
        facts["leaked_bytes"] = sent_bytes("lan0") - before
        facts["other_way_bytes"] = reach(FAR)
        stood_at = done_bytes(rig, info_hash)

        before = sent_bytes("lan0")
        began = time.monotonic()
        give()
        hear_health(heard, "ok")
        facts["well_again_s"] = time.monotonic() - began
        eventually(lambda: done_bytes(rig, info_hash) > stood_at + UPLOAD_LIMIT, within_s=BACK_S)
        facts["flowing_again_s"] = time.monotonic() - began
        facts["leaked_bytes"] += sent_bytes("lan0") - before
        facts["ports"] = rig.holder.current().listen_ports()
    return facts


def one_of_two(work: Path) -> Any:
    """Listen on both links, and lose one of them."""
    both = replace(BOUND, listen=("vpn0:6881", "lan0:6881"), outgoing_interface="")
    with EngineRig(root=work / "out", open_engine=LibtorrentEngine, settings=both) as rig:
        heard = rig.feed.subscribe(("health.changed",))
        eventually(lambda: answers("10.66.0.1") and answers("10.77.0.1"), within_s=SOON_S)
        began = time.monotonic()
        sh("ip link del vpn0")
        event, _ = hear_health(heard, "degraded")
        facts = {
            "cause": event.cause,
            "noticed_s": time.monotonic() - began,
            "ports": rig.holder.current().listen_ports(),
            "other_answers": answers("10.77.0.1"),
        }
        lay_vpn()
        hear_health(heard, "ok")
        eventually(lambda: answers("10.66.0.1"), within_s=SOON_S)
    return facts


def answers(host: str) -> bool:
    """Whether a peer on the other side of the link can connect to Revaer."""
    call = f"import socket; socket.create_connection(('{host}', 6881), timeout=3.0)"
    command = ["ip", "netns", "exec", PEER_NS, sys.executable, "-c", call]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def discovery(work: Path, settings: EngineSettings) -> Any:
    """Count the datagrams of a torrent that is left to find its peers by itself."""
    payload = make_payload(work / "seed", "film", 100_000)
    before = sent_datagrams()
    with EngineRig(root=work / "out", open_engine=LibtorrentEngine, settings=settings) as rig:
        rig.gateway.execute(AddTorrent(source=MetainfoSource(payload.torrent)), timeout_s=SOON_S)
        settle(LISTEN_S)
        return {
            "datagrams": sent_datagrams() - before,
            "ports": rig.holder.current().listen_ports(),
        }


def done_bytes(rig: EngineRig, info_hash: InfoHash) -> int:
    return rig.record(info_hash).status.done_bytes


def settle(seconds: float) -> None:
    """Let real time pass: what is counted here is what happens in it."""
    threading.Event().wait(seconds)


def main() -> None:
    """Play one scene."""
    scene, *rest = sys.argv[1:]
    if scene == "seed":
        seed(*rest)
        return
    work = Path(rest[0])
    lay_network()
    scenes: dict[str, Callable[[], Any]] = {
        "vanish": lambda: without_vpn(work, lambda: sh("ip link del vpn0"), lay_vpn),
        "down": lambda: without_vpn(
            work, lambda: sh("ip link set vpn0 down"), lambda: sh("ip link set vpn0 up")
        ),
        "one_of_two": lambda: one_of_two(work),
        "quiet": lambda: discovery(work, EVERYTHING_OFF),
        "loud": lambda: discovery(work, EVERYTHING_ON),
    }
    print(json.dumps(scenes[scene]()))  # noqa: T201 -- the answer to the parent process


if __name__ == "__main__":
    main()
