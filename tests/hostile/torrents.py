"""Every kind of hostile torrent file we know of, by name."""

from collections.abc import Callable, Iterator
from typing import Final

from tests.hostile.bencode import Pairs, Raw, Value, encode
from tests.hostile.layouts import (
    CATEGORY,
    PIECE,
    file,
    hybrid,
    layer_of,
    leaf,
    multi,
    root_of,
    single,
    torrent,
    v1_pieces,
    v2,
)

Build = Callable[[], bytes]

HUGE: Final = 1 << 62
MANY_FILES: Final = 1_000_000
MOST_FILES: Final = 400_000
"""As many as fit into a torrent file of ten million bytes."""

_PATHS: Final[dict[str, tuple[Value, ...]]] = {
    "parent": (b"..", b"..", b"outside", b"canary"),
    "hidden_parent": (b"a", b"..", b"..", b"..", b"outside", b"canary"),
    "parent_in_one_element": (b"../../outside/canary",),
    "parent_behind_spaces": (b".. ", b".. ", b"canary"),
    "parent_of_wide_dots": ("\uff0e\uff0e".encode(), "\u2025".encode(), b"canary"),
    "parent_of_overlong_utf8": (b"\xc0\xae\xc0\xae", b"canary"),
    "parent_by_removed_character": (".\u202e.".encode(), b".\0.", b"canary"),
    "absolute": (b"/outside/canary",),
    "absolute_root_element": (b"/", b"outside", b"canary"),
    "backslash": (b"..\\..\\outside\\canary",),
    "drive_letter": (b"C:\\canary", b"D:", b"canary"),
    "slash_only": (b"/", b"//"),
    "slash_at_the_end": (b"folder/", b"canary/"),
    "dot": (b".", b".", b"canary"),
    "empty_element": (b"", b"canary"),
    "only_empty_elements": (b"", b""),
    "no_elements": (),
    "number_as_element": (7, b"canary"),
    "list_as_element": ([b"canary"],),
    "nul": (b"canary\0.txt",),
    "nul_only": (b"\0",),
    "invalid_utf8": (b"\xff\xfe\xfd",),
    "surrogate_utf8": (b"\xed\xa0\x80\xed\xb0\x80",),
    "control_characters": (b"line\r\nSet-Cookie: a=b\x1b[2J",),
    "right_to_left": ("\u202egpj.exe".encode(),),
    "shell": (b"$(touch X);`id`|x",),
    "markup": (b"<img src=x onerror=alert(1)>",),
    "name_of_256_bytes": (b"n" * 256,),
    "name_of_256_bytes_in_unicode": ("\N{LATIN SMALL LETTER E WITH ACUTE}".encode() * 128,),
    "name_of_5000_bytes": (b"n" * 5000,),
    "name_of_a_megabyte": (b"n" * 1_000_000,),
    "ninety_folders": (*(b"d",) * 90, b"canary"),
    "deep_recursion": (*(b"d",) * 5_000, b"canary"),
    "path_longer_than_the_system_takes": (*(b"d" * 200,) * 60, b"canary"),
    "marker": (b".revaer.meta",),
    "marker_in_capitals": (b".REVAER.META",),
    "marker_in_wide_letters": ("\uff0erevaer.meta".encode(),),
    "marker_by_removed_character": (".rev\u202eaer.meta".encode(), b".rev\0aer.meta"),
    "staging": (b".revaer-staging", b"canary"),
    "part_file": (b".0123456789012345678901234567890123456789.parts",),
}

_NAMES: Final[dict[str, Value | None]] = {
    "parent": b"..",
    "parents": b"../../outside/canary",
    "dot": b".",
    "absolute": b"/outside/canary",
    "slash": b"/",
    "backslash": b"..\\..\\canary",
    "empty": b"",
    "missing": None,
    "number": 5,
    "list": [b"canary"],
    "nul": b"canary\0.txt",
    "invalid_utf8": b"\xff\xfe",
    "of_256_bytes": b"n" * 256,
    "of_a_megabyte": b"n" * 1_000_000,
    "state_directory": b".revaer",
    "state_directory_in_capitals": b".Revaer",
    "of_a_category": CATEGORY.encode(),
    "of_a_sibling": b"victim",
    "newlines": b"a\nb\r\nc\x1b[2Jd",
    "shell": b"$(touch X);`id`|x",
}

_LENGTHS: Final[dict[str, Value]] = {
    "negative": -1,
    "minimum": -(1 << 63),
    "zero": 0,
    "huge": HUGE,
    "maximum": (1 << 63) - 1,
    "past_64_bits": 1 << 64,
    "of_a_thousand_digits": Raw(b"i" + b"9" * 1000 + b"e"),
    "overlong": Raw(b"i00000020000e"),
    "minus_zero": Raw(b"i-0e"),
    "with_a_plus": Raw(b"i+20000e"),
    "empty": Raw(b"ie"),
    "hexadecimal": Raw(b"i0x20e"),
    "a_string": b"20000",
    "a_list": [20000],
    "a_dictionary": {b"a": 1},
}

_URLS: Final[dict[str, bytes]] = {
    "loopback": b"http://127.0.0.1:1/admin?delete=all",
    "loopback_name": b"http://localhost:1/admin",
    "loopback_decimal": b"http://2130706433:1/admin",
    "loopback_v6": b"http://[::1]:1/admin",
    "link_local": b"http://169.254.169.254/latest/meta-data/",
    "crlf": b"http://127.0.0.1:1/announce\r\nX-Injected: yes\r\n\r\n",
    "userinfo": b"http://user:secret@127.0.0.1:1/announce",
    "userinfo_in_disguise": b"http://tracker.invalid@127.0.0.1:1/announce",
    "file": b"file:///etc/passwd",
    "udp_without_port": b"udp://127.0.0.1/announce",
    "port_out_of_range": b"http://127.0.0.1:99999999999/announce",
    "nul": b"http://127.0.0.1:1/\0/announce",
    "invalid_utf8": b"http://127.0.0.1:1/\xff\xfe/announce",
    "of_a_megabyte": b"http://127.0.0.1:1/" + b"a" * 1_000_000,
    "unclosed_bracket": b"http://[::1/announce",
    "empty": b"",
}


def all_classes() -> Iterator[tuple[str, Build]]:
    """Every class, each built when called."""
    yield from small_classes()
    yield from large_classes()


def large_classes() -> Iterator[tuple[str, Build]]:
    """Those that are hostile in size: up to 60 MB."""
    yield from _LARGE.items()


def small_classes() -> Iterator[tuple[str, Build]]:
    """Those that are hostile in form, not in size."""
    for key, path in _PATHS.items():
        yield f"path_{key}", _of_path(path)
        if all(isinstance(part, bytes) for part in path):
            yield f"v2_path_{key}", _of_v2_path(path)
    for key, name in _NAMES.items():
        yield f"name_{key}", _of_name(name)
        yield f"folder_name_{key}", _of_folder_name(name)
    for key, number in _LENGTHS.items():
        yield f"length_{key}", _of_length(number)
        yield f"piece_length_{key}", _of_piece_length(number)
        yield f"v2_length_{key}", _of_v2_length(number)
    for key, url in _URLS.items():
        yield f"tracker_{key}", _of_tracker(url)
        yield f"web_seed_{key}", _of_web_seed(url)
    yield from _STRUCTURES.items()
    yield from _V2.items()


def _of_path(path: tuple[Value, ...]) -> Build:
    return lambda: multi(file(*path), file(b"beside", size=3))


def _of_v2_path(path: tuple[Value, ...]) -> Build:
    def build() -> bytes:
        # Written from the inside out: the deep ones are deeper than our encoder may recurse.
        inner = encode(leaf(20_000))
        for part in reversed(path):
            inner = b"d" + encode(part) + inner + b"e"
        return v2(Raw(inner), 20_000)

    return build


def _of_name(name: Value | None) -> Build:
    return lambda: single({b"name": name})


def _of_folder_name(name: Value | None) -> Build:
    return lambda: multi(file(b"canary"), file(b"b", b"c", size=3), changes={b"name": name})


def _of_length(number: Value) -> Build:
    return lambda: single({b"length": number})


def _of_piece_length(number: Value) -> Build:
    return lambda: single({b"piece length": number})


def _of_v2_length(number: Value) -> Build:
    return lambda: v2({b"canary": {b"": {b"length": number, b"pieces root": root_of(20_000)}}})


def _of_tracker(url: bytes) -> Build:
    return lambda: multi(
        file(b"canary"),
        outer={b"announce": url, b"announce-list": [[url, url], [b"udp://127.0.0.1:1"], []]},
    )


def _of_web_seed(url: bytes) -> Build:
    return lambda: multi(
        file(b"canary"), outer={b"url-list": [url, b""], b"httpseeds": [url], b"nodes": [[url, 1]]}
    )


def _link(*target: Value, size: int = 0) -> Value:
    return file(b"link", size=size, attr=b"l", symlink_path=list(target))


def _key(pair: tuple[bytes, Value]) -> bytes:
    return pair[0]


def _nested(opening: bytes, depth: int) -> bytes:
    return opening * depth + b"e" * (depth * opening.count(b"l") + depth * opening.count(b"d"))


_INFO: Final[dict[bytes, Value]] = {
    b"length": 20_000,
    b"name": b"film.mkv",
    b"piece length": PIECE,
    b"pieces": v1_pieces(20_000),
}

_STRUCTURES: Final[dict[str, Build]] = {
    "duplicate_files": lambda: multi(*(file(b"canary") for _ in range(3))),
    "a_hundred_duplicates": lambda: multi(*(file(b"canary", size=1) for _ in range(100))),
    "two_thousand_duplicates": lambda: multi(*(file(b"canary", size=1) for _ in range(2_000))),
    "duplicate_but_for_case": lambda: multi(file(b"canary"), file(b"CANARY"), file(b"Canary")),
    "file_that_is_also_a_folder": lambda: multi(
        file(b"a"), file(b"a", b"b"), file(b"a", b"b", b"c")
    ),
    "symlink_outside": lambda: multi(
        _link(b"..", b"..", b"outside", b"canary"), file(b"link", b"canary")
    ),
    "symlink_to_parent": lambda: multi(_link(b".."), file(b"link", b"canary")),
    "symlink_absolute": lambda: multi(_link(b"/", b"etc"), file(b"link", b"canary")),
    "symlink_absolute_in_one": lambda: multi(_link(b"/etc"), file(b"link", b"canary")),
    "symlink_to_itself": lambda: multi(_link(b"link"), file(b"canary")),
    "symlink_loop": lambda: multi(
        file(b"a", size=0, attr=b"l", symlink_path=[b"b"]),
        file(b"b", size=0, attr=b"l", symlink_path=[b"a"]),
        file(b"canary"),
    ),
    "symlink_through_a_symlink": lambda: multi(
        file(b"a", size=0, attr=b"l", symlink_path=[b"d"]),
        file(b"d", b"b", size=0, attr=b"l", symlink_path=[b"a", b"..", b"..", b"canary"]),
        file(b"a", b"b", b"canary"),
    ),
    "symlink_of_a_size": lambda: multi(_link(b"canary", size=30_000), file(b"canary")),
    "symlink_without_target": lambda: multi(
        file(b"link", size=0, attr=b"l"), file(b"link", b"canary")
    ),
    "symlink_to_nothing": lambda: multi(_link(), file(b"link", b"canary")),
    "symlink_to_a_number": lambda: multi(_link(3), file(b"link", b"canary")),
    "symlink_overlapping_a_file": lambda: multi(file(b"link"), _link(b"canary"), file(b"canary")),
    "symlink_overlapping_a_folder": lambda: multi(
        file(b"link", b"x"), _link(b"other"), file(b"link", b"y"), file(b"other", b"y")
    ),
    "only_symlinks": lambda: multi(_link(b".."), changes={b"pieces": b""}),
    "single_symlink": lambda: single({b"attr": b"l", b"symlink path": [b"..", b"canary"]}),
    "pieces_missing": lambda: single({b"pieces": None}),
    "pieces_empty": lambda: single({b"pieces": b""}),
    "pieces_a_number": lambda: single({b"pieces": 20}),
    "pieces_one_byte_short": lambda: single({b"pieces": v1_pieces(20_000)[:-1]}),
    "pieces_one_too_many": lambda: single({b"pieces": v1_pieces(20_000) + bytes(20)}),
    "pieces_one_too_few": lambda: single({b"pieces": v1_pieces(20_000)[:-20]}),
    "piece_length_missing": lambda: single({b"piece length": None}),
    "piece_length_of_one": lambda: single({b"piece length": 1, b"pieces": bytes(20 * 20_000)}),
    "piece_length_odd": lambda: single({b"piece length": 16_385}),
    "piece_length_of_a_gibibyte": lambda: single({b"piece length": 1 << 30, b"pieces": bytes(20)}),
    "sizes_that_overflow_together": lambda: multi(
        *(file(b"%d" % n, size=HUGE) for n in range(5)), changes={b"pieces": bytes(20)}
    ),
    "sizes_that_wrap_to_small": lambda: multi(
        file(b"a", size=(1 << 63) - 1), file(b"b", size=(1 << 63) - 1), file(b"c", size=2 + PIECE)
    ),
    "empty_files_only": lambda: multi(file(b"a", size=0), file(b"b", size=0)),
    "empty_files_only_without_pieces": lambda: multi(
        file(b"a", size=0), changes={b"pieces": None, b"piece length": None}
    ),
    "pad_files": lambda: multi(
        file(b"a", size=100),
        file(b".pad", b"16284", size=16_284, attr=b"p"),
        file(b"b", size=100),
    ),
    "pad_files_only": lambda: multi(file(b".pad", b"1", size=20_000, attr=b"p")),
    "pad_file_outside": lambda: multi(
        file(b"a", size=100), file(b"..", b"..", b"canary", size=16_284, attr=b"p"), file(b"b")
    ),
    "pad_file_named_as_a_file": lambda: multi(
        file(b"a", size=100), file(b"a", size=16_284, attr=b"p")
    ),
    "pad_file_of_a_tebibyte": lambda: multi(
        file(b"a", size=100),
        file(b".pad", b"0", size=1 << 40, attr=b"p"),
        changes={b"piece length": 1 << 28, b"pieces": bytes(20 * 4097)},
    ),
    "all_attributes": lambda: multi(file(b"a", attr=b"plxh" * 1000), file(b"b")),
    "attribute_a_number": lambda: multi(file(b"a", attr=5)),
    "files_a_string": lambda: multi(changes={b"files": b"canary"}),
    "files_a_dictionary": lambda: multi(changes={b"files": {b"canary": 1}}),
    "files_empty": multi,
    "file_a_number": lambda: multi(5, file(b"canary")),
    "file_without_length": lambda: multi({b"path": [b"canary"]}),
    "file_without_path": lambda: multi({b"length": 5}),
    "file_path_a_string": lambda: multi({b"length": 5, b"path": b"../canary"}),
    "other_path_in_utf8_key": lambda: multi(
        {b"length": 20_000, b"path": [b"a"], b"path.utf-8": [b"..", b"..", b"canary"]}
    ),
    "other_name_in_utf8_key": lambda: single({b"name.utf-8": b"../../canary"}),
    "length_and_files": lambda: multi(file(b"canary"), changes={b"length": 5}),
    "info_missing": lambda: encode({b"announce": b"udp://127.0.0.1:1"}),
    "info_a_list": lambda: torrent([1, 2]),
    "info_a_string": lambda: torrent(b"info"),
    "info_empty": lambda: torrent({}),
    "info_twice": lambda: encode(
        Pairs(((b"info", _INFO), (b"info", {**_INFO, b"name": b"../canary"})))
    ),
    "key_twice": lambda: torrent(
        Pairs((*sorted(_INFO.items(), key=_key), (b"name", b"../canary"), (b"length", -1)))
    ),
    "keys_out_of_order": lambda: torrent(
        Pairs(tuple(sorted(_INFO.items(), key=_key, reverse=True)))
    ),
    "no_torrent_but_a_list": lambda: encode([_INFO]),
    "no_torrent_but_a_number": lambda: b"i5e",
    "no_torrent_but_html": lambda: b"<html><body>404</body></html>",
    "no_torrent_but_gzip": lambda: b"\x1f\x8b\x08\0" + bytes(100),
    "empty": lambda: b"",
    "one_byte": lambda: b"d",
    "cut_off": lambda: single()[:-5],
    "trailing_garbage": lambda: single() + b"garbage" * 100,
    "leading_garbage": lambda: b"\xef\xbb\xbf" + single(),
    "two_torrents": lambda: single() + multi(file(b"canary")),
    "string_longer_than_the_file": lambda: b"d4:infod4:name99999999999:a",
    "string_of_negative_length": lambda: b"d4:infod4:name-5:abcdee",
    "string_length_past_64_bits": lambda: b"d4:infod4:name99999999999999999999999:aee",
    "string_length_with_zeros": lambda: b"d4:infod0000004:name1:aee",
    "number_without_end": lambda: b"d4:infoi5",
    "nested_lists": lambda: b"d1:a" + _nested(b"l", 100_000) + b"4:info" + encode(_INFO) + b"e",
    "nested_dictionaries": lambda: _nested(b"d1:a", 100_000),
    "nested_in_info": lambda: torrent({**_INFO, b"a": Raw(_nested(b"l", 100_000))}),
    "nested_without_end": lambda: b"l" * 1_000_000,
    "comment_not_text": lambda: torrent(
        _INFO, {b"comment": b"\xff\xfe\0", b"created by": 5, b"creation date": b"x"}
    ),
    "creation_date_huge": lambda: torrent(_INFO, {b"creation date": (1 << 63) - 1}),
    "creation_date_negative": lambda: torrent(_INFO, {b"creation date": -(1 << 62)}),
    "announce_list_of_junk": lambda: torrent(
        _INFO, {b"announce-list": [5, [6], {b"a": 1}, [[b""]]]}
    ),
    "url_list_of_junk": lambda: torrent(_INFO, {b"url-list": [5, [6], {b"a": 1}]}),
    "nodes_of_junk": lambda: torrent(
        _INFO,
        {b"nodes": [5, [b"127.0.0.1"], [b"127.0.0.1", -1], [b"127.0.0.1", 1 << 40], [1, b"a"]]},
    ),
    "collections_and_similar_of_junk": lambda: torrent(
        {**_INFO, b"collections": [5, b"\xff"], b"similar": [b"short", 7]},
        {b"collections": b"a", b"similar": {b"a": 1}},
    ),
    "ssl_certificate_of_junk": lambda: torrent({**_INFO, b"ssl-cert": b"not a certificate"}),
    "private_a_string": lambda: torrent({**_INFO, b"private": b"yes"}),
}

_V2: Final[dict[str, Build]] = {
    "v2_sound": lambda: v2({b"a": leaf(40_000), b"b": {b"c": leaf(5)}}, 40_000),
    "v2_root_missing": lambda: v2({b"a": {b"": {b"length": 20_000}}}),
    "v2_root_short": lambda: v2({b"a": leaf(20_000, pieces_root=b"short")}),
    "v2_root_of_zeros": lambda: v2({b"a": leaf(20_000, pieces_root=bytes(32))}),
    "v2_root_a_number": lambda: v2({b"a": leaf(20_000, pieces_root=5)}),
    "v2_root_that_its_layer_does_not_give": lambda: v2(
        {b"a": leaf(40_000)}, layers={root_of(40_000): bytes(96)}
    ),
    "v2_root_of_an_empty_file": lambda: v2({b"a": leaf(0, pieces_root=root_of(1))}),
    "v2_same_root_other_size": lambda: v2(
        {b"a": leaf(40_000), b"b": leaf(90_000, pieces_root=root_of(40_000))}, 40_000
    ),
    "v2_layers_missing": lambda: v2({b"a": leaf(40_000)}, layers={}),
    "v2_layers_a_list": lambda: v2({b"a": leaf(40_000)}, layers=[layer_of(40_000)]),
    "v2_layers_a_string": lambda: v2({b"a": leaf(40_000)}, layers=b"layers"),
    "v2_layer_unknown": lambda: v2(
        {b"a": leaf(40_000)},
        layers={root_of(40_000): layer_of(40_000), b"u" * 32: bytes(64)},
    ),
    "v2_layer_key_short": lambda: v2({b"a": leaf(40_000)}, layers={b"u": bytes(64)}),
    "v2_layer_too_long": lambda: v2(
        {b"a": leaf(40_000)}, layers={root_of(40_000): layer_of(40_000) + bytes(32)}
    ),
    "v2_layer_oversized": lambda: v2(
        {b"a": leaf(40_000)}, layers={root_of(40_000): bytes(32) * 200_000}
    ),
    "v2_layer_not_a_multiple": lambda: v2(
        {b"a": leaf(40_000)}, layers={root_of(40_000): layer_of(40_000)[:-1]}
    ),
    "v2_layer_empty": lambda: v2({b"a": leaf(40_000)}, layers={root_of(40_000): b""}),
    "v2_layer_a_number": lambda: v2({b"a": leaf(40_000)}, layers={root_of(40_000): 5}),
    "v2_layer_for_a_small_file": lambda: v2({b"a": leaf(5)}, layers={root_of(5): root_of(5)}),
    "v2_tree_missing": lambda: v2({}, changes={b"file tree": None}),
    "v2_tree_empty": lambda: v2({}),
    "v2_tree_a_list": lambda: v2([1]),
    "v2_tree_of_strings": lambda: v2({b"a": b"b"}),
    "v2_file_at_the_root": lambda: v2(leaf(5)),
    "v2_file_with_children": lambda: v2(
        {b"a": {b"": {b"length": 5, b"pieces root": root_of(5)}, b"b": leaf(5)}}
    ),
    "v2_folder_without_files": lambda: v2({b"a": {b"b": {b"c": {}}}}),
    "v2_duplicate_keys": lambda: v2(Pairs(((b"a", leaf(5)), (b"a", leaf(7)), (b"a", leaf(9))))),
    "v2_duplicate_but_for_case": lambda: v2({b"a": leaf(5), b"A": leaf(7)}),
    "v2_keys_out_of_order": lambda: v2(Pairs(((b"b", leaf(5)), (b"a", leaf(7))))),
    "v2_symlinks": lambda: v2(
        {
            b"link": {
                b"": {b"attr": b"l", b"length": 0, b"symlink path": [b"..", b"..", b"canary"]}
            },
            b"file": leaf(5),
        }
    ),
    "v2_pad_file": lambda: v2({b"a": leaf(5, attr=b"p"), b"b": leaf(7)}),
    "v2_meta_version_3": lambda: v2({b"a": leaf(5)}, changes={b"meta version": 3}),
    "v2_meta_version_negative": lambda: v2({b"a": leaf(5)}, changes={b"meta version": -1}),
    "v2_meta_version_a_string": lambda: v2({b"a": leaf(5)}, changes={b"meta version": b"2"}),
    "v2_meta_version_missing": lambda: v2({b"a": leaf(5)}, changes={b"meta version": None}),
    "v2_piece_length_odd": lambda: v2({b"a": leaf(40_000)}, changes={b"piece length": 20_000}),
    "v2_piece_length_small": lambda: v2({b"a": leaf(40_000)}, changes={b"piece length": 1024}),
    "v2_piece_length_huge": lambda: v2({b"a": leaf(40_000)}, changes={b"piece length": 1 << 40}),
    "v2_file_of_an_exbibyte": lambda: v2({b"a": leaf(1, pieces_root=bytes(32), length=1 << 60)}),
    "v2_files_that_overflow_together": lambda: v2(
        {b"%d" % n: {b"": {b"length": HUGE, b"pieces root": bytes(32)}} for n in range(5)}
    ),
    "hybrid_sound": hybrid,
    "hybrid_of_other_size": lambda: hybrid(v2_size=60_000),
    "hybrid_of_other_name": lambda: hybrid({b"name": b"other.mkv"}),
    "hybrid_of_another_list": lambda: hybrid(
        {b"length": None, b"files": [file(b"..", b"canary"), file(b"b")]}
    ),
    "hybrid_without_pieces": lambda: hybrid({b"pieces": None}),
    "hybrid_pieces_mismatch": lambda: hybrid({b"pieces": bytes(20)}),
}

_LARGE: Final[dict[str, Build]] = {
    "many_pieces": lambda: single({b"length": 480_000 * PIECE, b"pieces": bytes(20) * 480_000}),
    "three_million_pieces": lambda: single(
        {b"length": 3_000_000 * PIECE, b"pieces": bytes(20) * 3_000_000}
    ),
    "three_million_pieces_by_size": lambda: v2(
        {b"a": {b"": {b"length": 3_000_000 * PIECE, b"pieces root": b"r" * 32}}}
    ),
    "info_of_9_9_megabytes": lambda: torrent({**_INFO, b"filler": bytes(9_900_000)}),
    "metadata_past_the_limit": lambda: torrent({**_INFO, b"filler": bytes(10_000_000)}),
    "a_million_files": lambda: _files(MANY_FILES),
    "as_many_files_as_fit": lambda: _files(MOST_FILES),
    "just_allowed_files": lambda: _files(99_999),
    "just_allowed_files_deep": lambda: _deep_files(7_000),
    "just_allowed_files_v2": lambda: _v2_files(49_990),
    "distinct_folders": lambda: _deep_files(5_000, is_distinct=True),
    "as_many_deep_files_as_fit": lambda: _deep_files(33_000),
    "as_many_v2_files_as_fit": lambda: _v2_files(120_000),
    "as_many_tokens_as_fit": lambda: torrent({**_INFO, b"a": Raw(b"l" + b"0:" * 4_900_000 + b"e")}),
    "as_many_lists_as_fit": lambda: torrent({**_INFO, b"a": Raw(b"l" + b"le" * 4_900_000 + b"e")}),
    "as_many_trackers_as_fit": lambda: torrent(
        _INFO, {b"announce-list": [[b"udp://t%d:1" % n] for n in range(500_000)]}
    ),
    "as_many_web_seeds_as_fit": lambda: torrent(
        _INFO, {b"url-list": [b"http://127.0.0.1:1/%d" % n for n in range(300_000)]}
    ),
    "as_many_nodes_as_fit": lambda: torrent(
        _INFO,
        {
            b"nodes": [
                [b"10.%d.%d.%d" % (n >> 16, n >> 8 & 255, n & 255), 1] for n in range(400_000)
            ]
        },
    ),
    "as_many_duplicates_as_fit": lambda: torrent(
        Raw(
            b"d5:filesl"
            + encode(file(b"a", size=1)) * 380_000
            + b"e4:name1:a12:piece lengthi16777216e6:pieces20:"
            + bytes(20)
            + b"e"
        )
    ),
    "ten_thousand_empty_files": lambda: multi(
        file(b"canary"), *(file(b"%d" % n, size=0) for n in range(10_000))
    ),
    "comment_of_9_megabytes": lambda: torrent(_INFO, {b"comment": b"c" * 9_000_000}),
    "name_of_9_megabytes": lambda: single({b"name": b"n" * 9_000_000}),
    "file_name_of_9_megabytes": lambda: multi(file(b"n" * 9_000_000)),
    "one_path_of_a_million_elements": lambda: multi(file(*(b"a",) * 1_000_000)),
}


def _files(count: int) -> bytes:
    listed = b"".join(b"d6:lengthi1e4:pathl%see" % encode(b"%x" % n) for n in range(count))
    size = count
    return torrent(
        Raw(
            b"d5:filesl%se4:name1:a12:piece lengthi%de6:pieces%s"
            % (listed, 1 << 24, encode(bytes(20 * (-(-size >> 24)))))
            + b"e"
        )
    )


def _deep_files(count: int, *, is_distinct: bool = False) -> bytes:
    def folders(number: int) -> bytes:
        if not is_distinct:
            return b"1:d" * 90
        return b"".join(encode(b"%x" % (number * 90 + level)) for level in range(90))

    listed = b"".join(
        b"d6:lengthi1e4:pathl%s%see" % (folders(n), encode(b"%x" % n)) for n in range(count)
    )
    pieces = encode(bytes(20))
    return torrent(
        Raw(b"d5:filesl%se4:name1:a12:piece lengthi16777216e6:pieces%se" % (listed, pieces))
    )


def _v2_files(count: int) -> bytes:
    names = sorted(b"%x" % n for n in range(count))
    one = encode(leaf(1))
    tree = b"".join(encode(name) + one for name in names)
    return v2(Raw(b"d" + tree + b"e"))
