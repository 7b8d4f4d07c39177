"""Which pieces hold the ends of files, and what are they worth with and without that?"""

from hypothesis import given
from hypothesis import strategies as st

from revaer.adapters.libtorrent.piece_order import Extent, end_pieces, ordinary, raised

PIECE = 100

layouts = st.lists(
    st.tuples(st.integers(0, 5_000), st.sampled_from([0, 1, 4, 6, 7])), min_size=1, max_size=8
)


def extents_of(files: list[tuple[int, int]]) -> list[Extent]:
    extents: list[Extent] = []
    offset = 0
    for size, priority in files:
        extents.append(Extent(offset, size, priority))
        offset += size
    return extents


def pieces_of(extent: Extent) -> range:
    if not extent.size_bytes:
        return range(0)
    last = (extent.offset + extent.size_bytes - 1) // PIECE
    return range(extent.offset // PIECE, last + 1)


def test_a_small_file_has_its_first_and_its_last_piece() -> None:
    assert end_pieces(Extent(250, 400, 4), PIECE) == {2, 6}
    assert end_pieces(Extent(250, 20, 4), PIECE) == {2}
    assert end_pieces(Extent(250, 0, 4), PIECE) == set()


def test_a_large_file_has_a_hundredth_at_each_end() -> None:
    assert end_pieces(Extent(0, 50_000, 4), PIECE) == {*range(5), *range(495, 500)}


def test_files_that_nobody_wants_raise_nothing() -> None:
    assert raised(extents_of([(300, 0), (300, 1)]), PIECE) == [(3, 7), (5, 7)]


@given(layouts)
def test_only_ends_of_wanted_files_are_raised_and_all_of_them(
    files: list[tuple[int, int]],
) -> None:
    extents = extents_of(files)
    wanted = [extent for extent in extents if extent.priority and extent.size_bytes]
    pieces = dict(raised(extents, PIECE))
    assert set(pieces.values()) <= {7}
    for extent in wanted:
        spanned = pieces_of(extent)
        assert {spanned[0], spanned[-1]} <= pieces.keys()
    assert all(any(piece in pieces_of(extent) for extent in wanted) for piece in pieces)


@given(layouts)
def test_lowered_pieces_have_the_highest_priority_of_their_files(
    files: list[tuple[int, int]],
) -> None:
    extents = extents_of(files)
    for piece, priority in ordinary(extents, PIECE):
        assert priority == max(e.priority for e in extents if piece in pieces_of(e))


@given(layouts)
def test_whatever_was_raised_is_lowered_again(files: list[tuple[int, int]]) -> None:
    extents = extents_of(files)
    assert dict(raised(extents, PIECE)).keys() <= dict(ordinary(extents, PIECE)).keys()
