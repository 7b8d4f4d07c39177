"""Does the session find a torrent by whatever hash somebody has of it?"""

import pytest

from revaer.domain.errors import ConflictError, TorrentNotFoundError
from revaer.domain.ids import EpochSeconds, InfoHash
from revaer.domain.torrent import TorrentSpec
from revaer.runtime.roster import Roster

V1 = "a" * 40
V2 = "b" * 64
HYBRID = TorrentSpec(
    info_hash=InfoHash(V1),
    infohash_v1=V1,
    infohash_v2=V2,
    name="hybrid",
    save_path="/data",
    added_at=EpochSeconds(1),
)


@pytest.mark.parametrize("any_hash", [V1, V2, V2[:40], V1.upper(), V2.upper()])
def test_a_torrent_is_found_by_each_of_its_hashes(any_hash: str) -> None:
    roster = Roster()
    roster.put(HYBRID)

    assert roster.get(any_hash) is HYBRID


def test_an_unknown_hash_is_named_in_the_error() -> None:
    with pytest.raises(TorrentNotFoundError, match="cafe"):
        Roster().get("cafe")


def test_a_torrent_under_removal_is_a_conflict_rather_than_unknown() -> None:
    roster = Roster()
    roster.put(HYBRID)

    roster.drop(HYBRID.info_hash, with_data=True)

    assert roster.find(V2) is None
    assert len(roster) == 0
    with pytest.raises(ConflictError, match="being removed"):
        roster.get(V1)
