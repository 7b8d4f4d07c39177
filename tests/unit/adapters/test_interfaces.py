"""Which devices and addresses are there?"""

import pytest

from revaer.adapters.libtorrent.interfaces import Interfaces


@pytest.mark.parametrize("name", ["127.0.0.1", "lo", "0.0.0.0", "::"])  # noqa: S104 -- not bound
def test_what_every_machine_has_is_there(name: str) -> None:
    assert Interfaces().absent((name,)) == ()


@pytest.mark.parametrize(
    "name",
    [
        "nosuchdev0",
        "203.0.113.77",
        "2001:db8::77",
        "fe80::1%nosuchdev0",
        "a-name-too-long-for-linux",
        "",
    ],
)
def test_what_this_machine_does_not_have_is_absent(name: str) -> None:
    assert Interfaces().absent((name,)) == (name,)


def test_the_absent_are_told_in_the_order_in_which_they_were_asked_for() -> None:
    assert Interfaces().absent(("nosuch1", "lo", "nosuch0")) == ("nosuch1", "nosuch0")


def test_a_device_that_was_replaced_by_its_namesake_is_absent_once() -> None:
    index = 7
    interfaces = Interfaces(lambda _name: index)
    assert interfaces.absent(("lo",)) == ()

    index = 8

    assert interfaces.absent(("lo",)) == ("lo",)
    assert interfaces.absent(("lo",)) == ()
