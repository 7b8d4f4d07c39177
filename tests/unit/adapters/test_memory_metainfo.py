"""Does the reader of the simulated engine say the same of a source as libtorrent does?"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from revaer.adapters.libtorrent import metainfo as real
from revaer.adapters.memory import bencode
from revaer.adapters.memory import metainfo as double
from revaer.adapters.memory.bencode import Value
from revaer.domain.errors import InvalidTorrentError
from revaer.domain.torrent import (
    MagnetSource,
    MetainfoSource,
    TorrentDescription,
    TorrentSource,
)
from tests.support.swarm import Kind, make_payload

PIECE = 16_384
ROOT_HASH = b"\1" * 32

Info = dict[bytes, Value]


def answer_of(reader: object, source: TorrentSource) -> TorrentDescription | str:
    """A description, or `refused`; the wording and the link's form are each reader's own."""
    try:
        found: TorrentDescription = reader.describe(source)  # type: ignore[attr-defined]
    except InvalidTorrentError:
        return "refused"
    return replace(found, magnet_uri="")


def check_same(source: TorrentSource) -> TorrentDescription | str:
    expected = answer_of(real, source)
    assert answer_of(double, source) == expected
    return expected


def torrent(info: Info, **outer: Value) -> MetainfoSource:
    return MetainfoSource(
        bencode.write({b"info": info, **{k.encode(): v for k, v in outer.items()}})
    )


def v1(*files: tuple[Sequence[Value], int], name: bytes = b"root", piece: int = PIECE) -> Info:
    listed: list[Value] = [{b"path": [*path], b"length": size} for path, size in files]
    total = sum(size for _, size in files)
    return {
        b"name": name,
        b"piece length": piece,
        b"pieces": b"\0" * 20 * -(-total // piece),
        b"files": listed,
    }


def single(name: bytes, size: int = 5) -> Info:
    return {
        b"name": name,
        b"piece length": PIECE,
        b"pieces": b"\0" * 20 * -(-size // PIECE),
        b"length": size,
    }


def leaf(size: int, **more: Value) -> Value:
    node: dict[bytes, Value] = {b"length": size, **{k.encode(): v for k, v in more.items()}}
    if size:
        node[b"pieces root"] = ROOT_HASH
    return {b"": node}


def v2(tree: dict[bytes, Value], **changes: Value) -> Info:
    info: Info = {
        b"name": b"root",
        b"piece length": PIECE,
        b"meta version": 2,
        b"file tree": tree,
    }
    info.update({key.replace("_", " ").encode(): value for key, value in changes.items()})
    return info


@pytest.mark.parametrize("kind", ["v1", "v2", "hybrid"])
@pytest.mark.parametrize(
    "sizes",
    [{"b": 40_000, "a/c": 10, "empty": 0, "a/b/d": PIECE, "Z": PIECE * 2 + 1}, 70_000, 3],
    ids=["several files", "one file", "one small file"],
)
def test_torrents_made_by_libtorrent_read_the_same(
    tmp_path: Path, kind: Kind, sizes: dict[str, int] | int
) -> None:
    payload = make_payload(
        tmp_path / "seed",
        "some name",
        sizes,
        kind=kind,
        trackers=("http://one.test/announce", "udp://two.test:80"),
        comment="a comment",
        is_private=True,
    )
    found = check_same(MetainfoSource(payload.torrent))
    assert isinstance(found, TorrentDescription)
    assert found.info_hash == payload.info_hash


NAMES = [
    *(b"..", b".", b"", b"...", b"a/b", b"/etc/x", b"../../x", b"a\\b", b"a\0b", b"a\nb", b"\x7f"),
    *(b"tr.", b"tr ", b" lead", b"~", b"con", b"a:b*?", b"\xff\xfeabc", b"a\xc3", b"\x01\x02"),
    *("\u202e\u200b".encode(), "a\u202eb".encode(), "\ufeff".encode(), "\u2028".encode()),
    *("\x85".encode(), "日本".encode() * 90, "é".encode() * 200, b"a" * 239 + "é".encode() * 9),
    *(b"x" * 239, b"x" * 240, b"x" * 241, b"x" * 300, b"x" * 5_000),
    *(b"x" * 300 + b".mkv", b"x" * 300 + b".abcdefgh", b"x" * 300 + b".abcdefghi"),
    *(
        b"x" * 300 + b".tar.gz",
        b"x." + b"y" * 300,
        "é".encode() * 500 + b".mkv",
        b"x" * 236 + b".mkv",
    ),
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: f"{len(name)} {name[:6]!r}{name[-10:]!r}")
def test_unsafe_and_overlong_names_are_cleaned_the_same(name: bytes) -> None:
    check_same(torrent(single(name)))
    check_same(torrent(v1(([b"d", name], 5), ([name, b"f"], 6))))
    if name:
        check_same(torrent(v2({b"d": {name: leaf(5)}, b"e": leaf(7)})))


def without(info: Info, key: bytes) -> Info:
    return {name: value for name, value in info.items() if name != key}


STRANGE: dict[str, Info] = {
    **{
        f"{len(listed)} files in a folder called {name!r}": v1(*listed, name=name)
        for name in (b"", b".", b"..", b"\0", b"...")
        for listed in ([([b"a"], 5)], [([b"a"], 5), ([b"b"], 5)])
    },
    **{
        f"v2 in a folder called {name!r}": v2({b"d": {b"a": leaf(5)}}, name=name)
        for name in (b"", b".", b"..", b"\0", b"...")
    },
    "no files": {**v1(), b"pieces": b"\0" * 20},
    "only empty files": {**v1(([b"a"], 0)), b"pieces": b"\0" * 20},
    "one in a list": v1(([b"a"], 5)),
    "no path": v1(([], 5)),
    "number as a path": v1(([5], 5)),
    "duplicates": v1(([b"a"], 5), ([b"a"], 5), ([b"A"], 5)),
    "file and directory": v1(([b"a", b"b"], 5), ([b"a"], 5)),
    "too many hashes": {**single(b"r"), b"pieces": b"\0" * 40},
    "too few hashes": single(b"r", 5) | {b"length": 50_000},
    "broken hashes": {**single(b"r"), b"pieces": b"\0" * 3},
    "no hashes": without(single(b"r"), b"pieces"),
    "no name": without(single(b"r"), b"name"),
    "no length": without(single(b"r"), b"length"),
    "negative length": {**single(b"r"), b"length": -5},
    "zero piece length": {**single(b"r"), b"piece length": 0},
    "negative piece length": {**single(b"r"), b"piece length": -1},
    "huge piece length": {**single(b"r"), b"piece length": 1 << 30},
    "largest piece length": {**single(b"r"), b"piece length": 0x7FFF * PIECE},
    "too large a piece length": {**single(b"r"), b"piece length": 1 << 29},
    "odd piece length": v1(([b"a"], 50), piece=17),
    "both lists": {**v1(([b"z"], 5)), b"length": 5},
    "utf-8 keys": {**single(b"r"), b"name.utf-8": b"better"},
    "deep": v1(([b"d"] * 100, 5)),
    "too deep": v1(([b"d"] * 110, 5)),
    "v2 one file": v2({b"root": leaf(5)}),
    "v2 one file of another name": v2({b"other": leaf(5)}),
    "v2 one file in a folder": v2({b"root": {b"root": leaf(5)}}),
    "v2 aligned": v2({b"a": leaf(PIECE), b"b": leaf(PIECE * 3)}),
    "v2 with an empty file": v2({b"a": leaf(0), b"b": leaf(6)}),
    "v2 only an empty file": v2({b"a": leaf(0)}),
    "v2 empty": v2({}),
    "v2 pad": v2({b"a": leaf(5, attr=b"p")}),
    "v2 executable": v2({b"a": leaf(5, attr=b"x"), b"b": leaf(4)}),
    "v2 small pieces": v2({b"a": leaf(5)}, piece_length=8_192),
    "v2 odd pieces": v2({b"a": leaf(5)}, piece_length=PIECE * 3),
    "v2 no tree": without(v2({b"a": leaf(5)}), b"file tree"),
    "v2 no root": v2({b"a": {b"": {b"length": 5}}}),
    "v2 short root": v2({b"a": {b"": {b"length": 5, b"pieces root": b"1"}}}),
    "v2 file and directory": v2({b"a": {b"": {b"length": 5, b"pieces root": ROOT_HASH}, b"b": {}}}),
    "v3": v2({b"a": leaf(5)}, meta_version=3),
    "v1 that says so": {**single(b"r"), b"meta version": 1},
    "hybrid": {**single(b"root"), **v2({b"root": leaf(5)})},
    "hybrid that disagrees": {**single(b"root", 6), **v2({b"root": leaf(5)})},
}


@pytest.mark.parametrize("info", STRANGE.values(), ids=list(STRANGE))
def test_strange_metadata_is_read_or_refused_the_same(info: Info) -> None:
    check_same(torrent(info))


def test_padding_and_links_are_seen_the_same() -> None:
    info = v1(
        ([b"a"], 5), ([b".pad", b"16379"], 16_379), ([b"c"], 5), ([b"_____padding_file_0"], 9)
    )
    files = info[b"files"]
    assert isinstance(files, list)
    pad = files[1]
    assert isinstance(pad, dict)
    pad[b"attr"] = b"p"
    files.append({b"path": [b"l"], b"length": 0, b"attr": b"l", b"symlink path": [b"a"]})
    files.append({b"path": [b"m"], b"length": 7, b"attr": b"lx", b"symlink path": [b"..", b"x"]})
    found = check_same(torrent(info))
    assert isinstance(found, TorrentDescription)


@pytest.mark.parametrize(
    "outer",
    [
        {"announce": b"http://a.test/announce"},
        {
            "announce": b"http://a.test/x",
            "announce-list": [[b"http://b.test"], [b"udp://c.test:1"]],
        },
        {"announce-list": [[]], "announce": b"http://a.test/x"},
        {"url-list": b"http://w.test/"},
        {"url-list": [b"http://w.test/", b"http://v.test/"]},
        {
            "comment": "ein Kömmentar".encode(),
            "created by": b"tests",
            "creation date": 1_700_000_000,
        },
        {"comment": b"\xff", "creation date": -5},
        {"unknown": [1, {b"x": b"y"}]},
    ],
    ids=str,
)
def test_what_lies_around_the_metadata_is_read_the_same(outer: dict[str, Value]) -> None:
    check_same(torrent(single(b"name"), **outer))


SOUND = torrent(single(b"r")).data
RAW = [
    *(b"", b"x", b"le", b"de", b"i5e", b"d4:infodee", b"d4:infoi5ee", b"<html>", b"\x1f\x8b\0"),
    *(SOUND[:-1], SOUND[:-30], SOUND + b"junk", b"d4:info" + SOUND, b"magnet:?xt=urn:btih:x"),
    b"d4:info" + SOUND.removeprefix(b"d4:info")[:-1] + b"1:ai5ee",
    SOUND.replace(b"i5e", b"ie"),
    SOUND.replace(b"i5e", b"i99999999999999999999e"),
    SOUND.replace(b"1:r", b"9999:r"),
    b"d4:info" + b"l" * 2_000 + b"e" * 2_000 + b"e",
]


@pytest.mark.parametrize("data", RAW, ids=lambda data: f"{len(data)} {data[:12]!r}{data[-6:]!r}")
def test_raw_bytes_are_read_or_refused_the_same(data: bytes) -> None:
    check_same(MetainfoSource(data))


PATHS = st.lists(
    st.binary(min_size=1, max_size=12) | st.text(max_size=6).map(str.encode), min_size=1, max_size=4
)


@given(
    files=st.lists(st.tuples(PATHS, st.integers(0, 100_000)), min_size=1, max_size=6),
    name=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    piece=st.sampled_from([1, 17, 1_000, PIECE, 1 << 20]),
)
@settings(max_examples=150, deadline=None)
def test_any_v1_file_list_is_read_the_same(
    files: list[tuple[list[bytes], int]], name: str, piece: int
) -> None:
    check_same(torrent(v1(*files, name=name.encode(), piece=piece)))


HASH = "b" * 40
V2 = "c" * 64
MAGNETS = [
    *("", "http://x", "magnet:", "magnet:?dn=x", f"magnet:?xt=urn:btih:{HASH}"),
    *(f"MAGNET:?xt=urn:btih:{HASH.upper()}", f" magnet:?xt=urn:btih:{HASH}\n"),
    *(f"magnet:?xt=urn:btmh:1220{V2}", f"magnet:?xt=urn:btih:{HASH}&xt=urn:btmh:1220{V2}"),
    *("magnet:?xt=urn:btih:MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U", f"magnet:?xt=urn:btih:{HASH[:-1]}"),
    *(f"magnet:?xt=urn:btih:{'g' * 40}", f"magnet:?xt=urn:btmh:1120{V2}", "magnet:?xt=urn:btih:"),
    *(f"magnet:?xt=urn:btih:{'0' * 40}", f"magnet:?xt=urn:btih:{'A' * 32}"),
    *(f"magnet:?xt.1=urn:btih:{HASH}", f"magnet:?xt=urn%3Abtih%3A{HASH}"),
    f"magnet:?xt=urn:btih:{HASH}&dn=a+name%20with%C3%A9&tr=http%3A%2F%2Fa%2F&tr=udp://b:1",
    f"magnet:?xt=urn:btih:{HASH}&tr.1=http://x/announce&ws=http://w/&tr=&dn=",
    f"magnet:?xt=urn:btih:{HASH}&dn=%ff%fe",
    f"magnet:?xt=urn:btih:{HASH}&dn=../../etc",
    f"magnet:?xt=urn:btih:{HASH}&dn=with space&x.pe=1.2.3.4:5&so=0,2",
    f"magnet:?xt=urn:btih:{'a' * 40}&xt=urn:btih:{HASH}",
    f"magnet:?xt=urn:btih:{HASH}&dn=a\x01b",
    f"magnet:?dn=a&amp;xt=urn:btih:{HASH}",
    f"magnet:?xt=urn:btih:{HASH}&dn={'x' * 9_000}",
]


@pytest.mark.parametrize("uri", MAGNETS, ids=lambda uri: f"{uri[:30]}...{uri[-40:]}"[:90])
def test_magnet_links_are_read_or_refused_the_same(uri: str) -> None:
    check_same(MagnetSource(uri))


def test_a_torrent_s_link_names_the_same_torrent(tmp_path: Path) -> None:
    payload = make_payload(tmp_path, "some name", 100, kind="hybrid", trackers=("http://t.test/x",))
    described = double.describe(MetainfoSource(payload.torrent))
    for reader in (real, double):
        again = reader.describe(MagnetSource(described.magnet_uri))
        assert again.info_hash == payload.info_hash
        assert (again.name, again.trackers) == ("some name", ("http://t.test/x",))


@given(
    st.recursive(
        st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=5), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
def test_what_is_written_is_read(value: Value) -> None:
    data = bencode.write({b"value": value})
    document = bencode.read(data)
    assert document.values == {b"value": value}
    begin, end = document.spans[b"value"]
    assert data[begin:end] == bencode.write(value)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_in_another_way(data: bytes) -> None:
    with contextlib.suppress(bencode.BencodeError):
        bencode.read(b"d" + data)
