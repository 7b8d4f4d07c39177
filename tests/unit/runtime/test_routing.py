"""Which receiver acts on which fact, and does anything overtake?"""

import typing

import pytest

from revaer.domain import facts as f
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import Activity, TorrentStatus
from revaer.runtime.routing import RECEIVERS, Receiver, is_active, route

ONE = InfoHash("1" * 40)
TWO = InfoHash("2" * 40)
MADE_BY_THE_SESSION = {f.TorrentKnown, f.SpecChanged, f.PayloadVerified, f.TorrentForgotten}


def report(info_hash: InfoHash, **fields: typing.Any) -> f.StatusReported:
    return f.StatusReported(info_hash, TorrentStatus(info_hash)._replace(**fields))


def test_every_fact_that_an_engine_reports_has_a_receiver() -> None:
    all_facts = set(typing.get_args(f.TorrentFact)) | set(typing.get_args(f.EngineFact))

    assert set(RECEIVERS) == all_facts - MADE_BY_THE_SESSION


def test_facts_about_the_engine_as_a_whole_go_to_the_session_only() -> None:
    assert {RECEIVERS[kind] for kind in typing.get_args(f.EngineFact)} == {Receiver.SESSION}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param({"download_rate": 1}, True, id="bytes arrive"),
        pytest.param({"upload_rate": 1}, True, id="bytes leave"),
        pytest.param({"activity": Activity.DOWNLOADING}, True, id="looking for peers"),
        pytest.param({"activity": Activity.CHECKING}, True, id="checking"),
        pytest.param({"activity": Activity.DOWNLOADING, "is_paused": True}, False, id="paused"),
        pytest.param({"activity": Activity.SEEDING}, False, id="idle seed"),
    ],
)
def test_a_torrent_is_active_when_bytes_move_or_may_soon(
    status: dict[str, typing.Any],
    *,
    expected: bool,
) -> None:
    assert is_active(TorrentStatus(ONE)._replace(**status)) is expected


def test_reports_of_idle_torrents_go_to_the_board_without_an_actor_of_their_own() -> None:
    idle = report(ONE, activity=Activity.SEEDING)

    routes = route([idle], active=frozenset())

    assert routes.board == [idle]
    assert not routes.coalescers


def test_everything_about_an_active_torrent_takes_one_way_in_order() -> None:
    first = report(ONE, activity=Activity.SEEDING)
    second = f.PieceFinished(ONE, 7)

    routes = route([first, second], active={ONE})

    assert routes.coalescers == {ONE: [first, second]}
    assert not routes.board


def test_a_torrent_that_becomes_active_takes_its_later_facts_along() -> None:
    moving = report(ONE, download_rate=9)
    later = f.TrackerAnswered(ONE, "http://tracker.example/announce", 3)
    other = report(TWO, activity=Activity.SEEDING)

    routes = route([moving, other, later], active=frozenset())

    assert routes.coalescers == {ONE: [moving, later]}
    assert routes.board == [other]
