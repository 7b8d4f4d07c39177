"""Whether peers can reach the engine where they were told to, and what to say when not."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence


def host_of(interface: str) -> str:
    """The device or address of `host:port`, without brackets."""
    return interface.rpartition(":")[0].strip("[]")


def port_of(interface: str) -> int:
    """The port of `host:port`; 0 lets the system choose, and stands for an unreadable one, too."""
    text = interface.rpartition(":")[2]
    return int(text) if text.isdecimal() else 0


def bound_to(listen: Iterable[str], outgoing: str) -> tuple[str, ...]:
    """The devices and addresses that have to be there; `0.0.0.0` and `::` stand for any."""
    names = (*(host_of(interface) for interface in listen), outgoing)
    return tuple(dict.fromkeys(name for name in names if name and not _is_any(name)))


def is_link_local(interface: str) -> bool:
    """Whether an address (with or without a port) is good for one cable only.

    Each network device has an IPv6 one, which cannot be bound for a second or two after the device
    came up, and by which hardly any peer is found.
    """
    for text in (host_of(interface), interface.strip("[]")):
        try:
            return ipaddress.ip_address(text).is_link_local
        except ValueError:
            continue
    return False


def listening_trouble(
    *,
    listen: Sequence[str],
    outgoing: str,
    ports: Sequence[int],
    absent: Sequence[str],
    failed: Mapping[str, str],
) -> str:
    """Name what keeps peers away, and the remedy; empty when all is as it was asked for.

    Args:
        listen: `host:port` or `device:port` list that was asked for; empty for nowhere.
        outgoing: device or address that peers are called from; empty for any.
        ports: where peers are accepted now.
        absent: devices and addresses of the two above that this machine does not have now.
        failed: reason per address that could not be opened.
    """
    if outgoing and outgoing in absent:
        return (
            f"{outgoing} is not there: no peer is called from anywhere else, and transfers stand "
            f"still. Bring {outgoing} up; they go on by themselves"
        )
    if not listen:
        return ""
    return (
        _said_of_gone([each for each in listen if host_of(each) in absent], is_deaf=not ports)
        or _said_of_failed(failed, is_deaf=not ports)
        or _said_of_ports(listen, ports)
    )


def _said_of_gone(gone: Sequence[str], *, is_deaf: bool) -> str:
    if not gone:
        return ""
    names = ", ".join(dict.fromkeys(host_of(interface) for interface in gone))
    rest = "no peer can connect" if is_deaf else "other addresses still do"
    return (
        f"peers are not accepted on {', '.join(gone)}, for {names} is not there; {rest}. Bring "
        f"{names} up; listening goes on by itself"
    )


def _said_of_failed(failed: Mapping[str, str], *, is_deaf: bool) -> str:
    if not failed:
        return ""
    places = ", ".join(f"{address} ({reason})" for address, reason in sorted(failed.items()))
    rest = "" if is_deaf else "; other addresses still do"
    return (
        f"cannot accept peers on {places}{rest}. Free the port or set another one; it is tried "
        "again by itself"
    )


def _said_of_ports(listen: Sequence[str], ports: Sequence[int]) -> str:
    where = ", ".join(listen)
    if not ports:
        return (
            f"cannot accept peers on {where}: the engine has no listening socket there. Check the "
            "address and the device; it is tried again by itself"
        )
    fixed = {port_of(interface) for interface in listen}
    stray = sorted(set(ports) - fixed)
    if stray and 0 not in fixed:
        found = ", ".join(map(str, stray))
        return f"peers are accepted on port {found}, but {where} was asked for. Restart Revaer"
    return ""


def _is_any(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return name == "*"
