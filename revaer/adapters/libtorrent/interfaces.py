"""Which network devices and addresses this machine has now.

libtorrent knows, but neither says which one it misses nor that it misses one.
"""

import fcntl
import ipaddress
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFADDR: Final = 0x8915
_IFF_UP: Final = 1
_NAME_BYTES: Final = 15
_REQUEST: Final = "16sH22x"
_LINK_LOCAL_SCOPE: Final = "20"


class Interfaces:
    """Looks at devices and addresses, and remembers which device had a name the last time."""

    def __init__(self, index_of: Callable[[str], int] = socket.if_nametoindex) -> None:
        """Ask `index_of` for a device's number, which a device that comes anew does not inherit."""
        self._index_of = index_of
        self._indices: dict[str, int] = {}

    def absent(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of these devices and IP addresses that nothing can be sent from now.

        On Linux a device that is down, or that has no address but a link-local one, is absent, too;
        elsewhere its name has to be known. A device that was replaced by one of the same name since
        the last call is absent once: whatever was connected through the old one is dead.
        """
        return tuple(name for name in names if not self._is_present(name))

    def _is_present(self, name: str) -> bool:
        if _is_address(name):
            return _is_own_address(name)
        try:
            index = self._index_of(name)
        except OSError:
            self._indices.pop(name, None)
            return False
        is_same = self._indices.setdefault(name, index) == index
        self._indices[name] = index
        return is_same and _is_device_ready(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_own_address(name: str) -> bool:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            name, 0, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True


def _is_device_ready(name: str) -> bool:
    if sys.platform != "linux" or len(name.encode()) > _NAME_BYTES:
        return True
    request = struct.pack(_REQUEST, name.encode(), 0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            _, flags = struct.unpack(_REQUEST, fcntl.ioctl(probe, _SIOCGIFFLAGS, request))
            if not flags & _IFF_UP:
                return False
            try:
                fcntl.ioctl(probe, _SIOCGIFADDR, request)
            except OSError:
                return _has_ipv6(name)
    except OSError:
        return False  # it vanished in between
    return True


def _has_ipv6(name: str) -> bool:
    """Whether the device has an IPv6 address that reaches past its own cable."""
    try:
        lines = Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    fields = (line.split() for line in lines)
    return any(field[-1] == name and field[3] != _LINK_LOCAL_SCOPE for field in fields)
