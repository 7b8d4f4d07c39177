"""Every kind of hostile magnet link we know of, by name."""

from collections.abc import Iterator
from typing import Final

_V1: Final = "xt=urn:btih:" + "0123456789abcdef" * 2 + "01234567"
_V2: Final = "xt=urn:btmh:1220" + "0123456789abcdef" * 4
_HIGH: Final = "%ff%fe"


def all_classes() -> Iterator[tuple[str, str]]:
    """Every class: its name and the link."""
    for name, link in _WHOLE.items():
        yield f"magnet_{name}", link
    for name, rest in _WITH_HASH.items():
        yield f"magnet_{name}", f"magnet:?{_V1}&{rest}"


_WHOLE: Final[dict[str, str]] = {
    "empty": "",
    "scheme_only": "magnet:",
    "scheme_and_question_mark": "magnet:?",
    "of_another_scheme": "http://127.0.0.1/?" + _V1,
    "file": "file:///etc/passwd",
    "in_capitals": f"MAGNET:?{_V1}",
    "without_hash": "magnet:?dn=canary",
    "hash_empty": "magnet:?xt=urn:btih:",
    "hash_of_39": f"magnet:?{_V1[:-1]}",
    "hash_of_41": f"magnet:?{_V1}0",
    "hash_not_hexadecimal": "magnet:?xt=urn:btih:" + "z" * 40,
    "hash_base32": "magnet:?xt=urn:btih:" + "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43U",
    "hash_base32_invalid": "magnet:?xt=urn:btih:" + "1" * 32,
    "hash_base32_of_zeros": "magnet:?xt=urn:btih:" + "A" * 32,
    "hash_of_zeros": "magnet:?xt=urn:btih:" + "0" * 40,
    "hash_not_ascii": "magnet:?xt=urn:btih:" + "\N{FULLWIDTH DIGIT ONE}" * 40,
    "hash_percent_encoded": "magnet:?xt=urn%3Abtih%3A" + "0123456789" * 4,
    "hash_twice": f"magnet:?{_V1}&xt=urn:btih:{'ab' * 20}",
    "hash_a_thousand_times": "magnet:?" + "&".join([_V1] * 150),
    "v2": f"magnet:?{_V2}",
    "v2_short": f"magnet:?{_V2[:-2]}",
    "v2_long": f"magnet:?{_V2}00",
    "v2_of_zeros": "magnet:?xt=urn:btmh:1220" + "0" * 64,
    "v2_other_hash_function": "magnet:?xt=urn:btmh:1114" + "01" * 20,
    "v2_and_bad_v1": f"magnet:?{_V2}&xt=urn:btih:123",
    "other_namespace": "magnet:?xt=urn:sha1:" + "A" * 32,
    "huge": f"magnet:?{_V1}&dn=" + "n" * 10_000_000,
    "just_allowed": f"magnet:?{_V1}&dn=" + "n" * 8_100,
    "surrogate": f"magnet:?{_V1}&dn=\ud800",
    "control_characters": f"magnet:?{_V1}&dn=a\r\nb\0c",
}

_WITH_HASH: Final[dict[str, str]] = {
    "name_traversal": "dn=../../outside/canary",
    "name_traversal_encoded": "dn=%2e%2e%2f%2e%2e%2foutside%2fcanary",
    "name_absolute": "dn=/outside/canary",
    "name_not_utf8": f"dn={_HIGH}",
    "name_of_nul": "dn=canary%00.txt",
    "name_of_line_breaks": "dn=a%0d%0aSet-Cookie:%20b%1b[2J",
    "name_reserved": "dn=.revaer",
    "name_twice": "dn=a&dn=..%2fb",
    "name_empty": "dn=",
    "name_half_encoded": "dn=%",
    "name_badly_encoded": "dn=%zz%1",
    "many_trackers": "&".join(f"tr=udp://t{n}:1" for n in range(400)),
    "as_many_trackers_as_fit": "&".join(["tr=a://b"] * 890),
    "tracker_crlf": "tr=http://127.0.0.1:1/announce%0d%0aX-Injected:%20yes",
    "tracker_not_utf8": f"tr=http://127.0.0.1:1/{_HIGH}/announce",
    "tracker_link_local": "tr=http://169.254.169.254/latest/meta-data/",
    "tracker_userinfo": "tr=http://user:secret@127.0.0.1:1/announce",
    "tracker_file": "tr=file:///etc/passwd",
    "tracker_numbered": "tr.1=udp://a:1&tr.x=udp://b:1&tr.99999999999999999999=udp://c:1",
    "web_seed_crlf": "ws=http://127.0.0.1:1/a%0d%0aX-Injected:%20yes%0d%0a",
    "web_seed_not_utf8": f"ws=http://127.0.0.1:1/{_HIGH}",
    "web_seed_file": "ws=file:///etc/passwd",
    "web_seed_link_local": "ws=http://169.254.169.254/latest/meta-data/",
    "many_web_seeds": "&".join(f"ws=http://a/{n}" for n in range(400)),
    "peer_junk": "x.pe=&x.pe=:&x.pe=a&x.pe=[::1&x.pe=1.2.3.4:99999&x.pe=1.2.3.4:-1&x.pe=%ff:1",
    "peer_name": "x.pe=localhost:1&x.pe=router.invalid:6881",
    "peer_many": "&".join(f"x.pe=127.0.0.1:{n}" for n in range(1, 400)),
    "selection": "so=0-3,7",
    "selection_huge": "so=0-2147483647",
    "selection_negative": "so=-5",
    "selection_reversed": "so=9-1",
    "selection_overflowing": "so=0-99999999999999999999",
    "selection_of_thousands": "so=" + ",".join(str(n) for n in range(0, 3_000, 2)),
    "selection_junk": "so=a,b-,,-",
    "dht_junk": "dht=&dht=a&dht=1.2.3.4:99999&dht=%ff:5&dht=127.0.0.1:1",
    "dht_many": "&".join(f"dht=127.0.0.1:{n}" for n in range(1, 500)),
    "source_and_others": "xs=http://127.0.0.1/a.torrent&as=file:///etc/passwd&mt=x&kt=y&xl=-1",
    "size_huge": "xl=99999999999999999999",
    "ampersands": "&" * 8_000,
    "equal_signs": "=" * 8_000,
    "percent_signs": "%" * 8_000,
    "ampersands_as_entities": f"amp;dn=a&amp;{_V2}",
}
