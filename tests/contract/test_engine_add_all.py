"""May the session add many torrents at once, and learn of each what came of it?"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from revaer.domain.errors import InvalidInputError, TorrentExistsError
from revaer.domain.ids import InfoHash
from revaer.domain.torrent import Activity, Metainfo
from revaer.ports.engine import EngineTorrent, TorrentEngine
from tests.contract.engines import Observer, Stage, from_file, open_stage, spec_of
from tests.support.swarm import Kind, Payload, make_payload


@pytest.fixture(params=["memory", "libtorrent"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    stage = open_stage(request.param)
    yield stage
    stage.close()


@pytest.fixture
def engine(stage: Stage) -> TorrentEngine:
    return stage.open()


def payload_of(tmp_path: Path, name: str, kind: Kind = "v1") -> Payload:
    return make_payload(tmp_path / f"seed-{name}", name, {"a.bin": 40_000, "b.bin": 10}, kind=kind)


def test_nothing_to_add_is_no_error(engine: TorrentEngine) -> None:
    assert engine.add_all(()) == ()
    assert engine.torrents() == ()


def test_each_is_answered_in_the_order_of_asking_and_one_refusal_keeps_no_other_back(
    engine: TorrentEngine, tmp_path: Path
) -> None:
    kinds: tuple[Kind, ...] = ("v1", "hybrid", "v2")
    sound = [payload_of(tmp_path, f"album-{kind}", kind) for kind in kinds]
    here = payload_of(tmp_path, "here")
    other = payload_of(tmp_path, "other")
    engine.add(from_file(here, tmp_path / "dl", stopped=True))
    mixed_up = replace(from_file(other, tmp_path / "dl"), metainfo_data=here.torrent)
    magnet = EngineTorrent(spec=spec_of(other, tmp_path / "dl"))
    asked = [
        from_file(sound[0], tmp_path / "dl", stopped=True),
        from_file(here, tmp_path / "dl"),
        from_file(sound[1], tmp_path / "dl", stopped=True),
        mixed_up,
        from_file(sound[2], tmp_path / "dl", stopped=True),
        from_file(sound[0], tmp_path / "elsewhere"),
        magnet,
    ]

    answers = engine.add_all(asked)

    assert [type(answer) for answer in answers[:5:2]] == [Metainfo] * 3
    found = [answer for answer in answers[:5:2] if isinstance(answer, Metainfo)]
    assert [(one.infohash_v1, one.infohash_v2) for one in found] == [
        (payload.infohash_v1, payload.infohash_v2) for payload in sound
    ]
    assert isinstance(answers[1], TorrentExistsError)
    assert isinstance(answers[3], InvalidInputError)
    assert isinstance(answers[5], TorrentExistsError)
    assert answers[6] is None
    added = {InfoHash(payload.info_hash) for payload in (*sound, here, other)}
    assert set(engine.torrents()) == added
    assert all(engine.knows(info_hash) for info_hash in added)


def test_what_was_added_with_others_runs_as_if_it_were_alone(
    stage: Stage, engine: TorrentEngine, tmp_path: Path
) -> None:
    payloads = [payload_of(tmp_path, f"album-{number}") for number in range(3)]
    for payload in payloads:
        peers = stage.offer(payload)
        engine.add_all([from_file(payload, tmp_path / "dl", peers=peers)])
    observer = Observer(engine)
    hashes = [InfoHash(payload.info_hash) for payload in payloads]

    observer.until(lambda _: all(engine.status(one).is_finished for one in hashes))

    assert {engine.status(one).activity for one in hashes} <= {
        Activity.SEEDING,
        Activity.FINISHED,
    }
