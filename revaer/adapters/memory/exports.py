"""A torrent file with other announce addresses and web seeds, its metadata as it was."""

from collections.abc import Sequence

from revaer.adapters.memory import bencode

_INFO = b"info"
_REPLACED = (b"announce", b"announce-list", b"url-list", b"httpseeds")


def with_sources(
    metainfo_data: bytes, trackers: Sequence[tuple[str, int]], web_seeds: Sequence[str]
) -> bytes:
    """Write a torrent file anew.

    Args:
        metainfo_data: a torrent file.
        trackers: URL and tier, in tier order.
        web_seeds: HTTP sources.

    Raises:
        BencodeError: the torrent file cannot be read.
    """
    document = bencode.read(metainfo_data)
    begin, end = document.spans[_INFO]
    raw = {
        key: bencode.write(value)
        for key, value in document.values.items()
        if key not in _REPLACED and key != _INFO
    }
    raw[_INFO] = metainfo_data[begin:end]
    tiers: dict[int, list[bencode.Value]] = {}
    for url, tier in trackers:
        tiers.setdefault(tier, []).append(url.encode())
    if trackers:
        raw[b"announce"] = bencode.write(trackers[0][0].encode())
        raw[b"announce-list"] = bencode.write([tiers[tier] for tier in sorted(tiers)])
    if web_seeds:
        raw[b"url-list"] = bencode.write([url.encode() for url in web_seeds])
    return b"d%be" % b"".join(bencode.write(key) + raw[key] for key in sorted(raw))
