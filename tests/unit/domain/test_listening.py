"""What is said when peers cannot reach Revaer?"""

import pytest

from revaer.domain.listening import bound_to, is_link_local, listening_trouble

EVERYWHERE = ("0.0.0.0:6881", "[::]:6881")


def trouble(
    listen: tuple[str, ...] = EVERYWHERE,
    *,
    outgoing: str = "",
    ports: tuple[int, ...] = (6881,),
    absent: tuple[str, ...] = (),
    failed: dict[str, str] | None = None,
) -> str:
    return listening_trouble(
        listen=listen, outgoing=outgoing, ports=ports, absent=absent, failed=failed or {}
    )


@pytest.mark.parametrize(
    ("listen", "ports"),
    [(EVERYWHERE, (6881,)), (("tun0:0",), (51234,)), ((), ())],
    ids=["as asked", "a port that the system chose", "nowhere, as asked"],
)
def test_all_well_is_not_worth_a_word(listen: tuple[str, ...], ports: tuple[int, ...]) -> None:
    assert trouble(listen, ports=ports) == ""


def test_a_lost_way_out_is_named_with_what_brings_it_back() -> None:
    cause = trouble(("tun0:6881",), outgoing="tun0", ports=(), absent=("tun0",))

    assert cause.startswith("tun0 is not there")
    assert "Bring tun0 up" in cause


def test_a_lost_address_of_several_is_named_beside_those_that_work() -> None:
    cause = trouble(("eth0:6881", "tun0:6881"), absent=("tun0",))

    assert "tun0:6881" in cause
    assert "eth0" not in cause
    assert "other addresses still do" in cause


def test_with_no_address_left_no_peer_can_connect() -> None:
    cause = trouble(("tun0:6881",), ports=(), absent=("tun0",))
    assert "no peer can connect" in cause


def test_a_failed_address_is_named_with_its_reason_and_the_remedy() -> None:
    cause = trouble(ports=(), failed={"0.0.0.0:6881": "Address already in use"})

    assert "0.0.0.0:6881 (Address already in use)" in cause
    assert "Free the port" in cause


def test_deafness_without_a_word_from_the_engine_is_named() -> None:
    assert "0.0.0.0:6881, [::]:6881" in trouble(ports=())


def test_another_port_than_was_asked_for_is_named() -> None:
    assert "6882" in trouble(ports=(6882,))


@pytest.mark.parametrize(
    ("listen", "outgoing", "names"),
    [
        (EVERYWHERE, "", ()),
        (("tun0:6881",), "tun0", ("tun0",)),
        (("10.0.0.7:6881", "[fd00::7]:6881"), "tun0", ("10.0.0.7", "fd00::7", "tun0")),
    ],
    ids=["any", "a device", "addresses"],
)
def test_what_has_to_be_there_is_what_was_bound(
    listen: tuple[str, ...], outgoing: str, names: tuple[str, ...]
) -> None:
    assert bound_to(listen, outgoing) == names


@pytest.mark.parametrize(
    ("interface", "is_local"),
    [
        ("[fe80::1%eth0]:6881", True),
        ("fe80::1", True),
        ("169.254.3.4:6881", True),
        ("10.0.0.7:6881", False),
        ("[2001:db8::1]:6881", False),
        ("tun0:6881", False),
        ("", False),
    ],
)
def test_addresses_of_one_cable_are_told_apart(interface: str, is_local: bool) -> None:  # noqa: FBT001 -- a parameter of pytest's
    assert is_link_local(interface) is is_local
