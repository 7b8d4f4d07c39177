"""Names and units that must not mix."""

from typing import NewType

InfoHash = NewType("InfoHash", str)
"""A torrent's stable id: 40 lower-case hex digits, fixed when the torrent is added.

The v1 hash where it is known, else the first 20 bytes of the v2 hash. libtorrent's own "best" hash
changes when a magnet's metadata arrives; this one never does.
"""

BytesPerSecond = NewType("BytesPerSecond", int)
"""A rate or a rate limit; as a limit, 0 means unlimited."""

EpochSeconds = NewType("EpochSeconds", int)
"""A moment in whole seconds since 1970-01-01 UTC; 0 means never.

An integer rather than a `datetime` because 10,000 records are compared and encoded with every
update, and every client of the HTTP APIs reads seconds.
"""

Revision = NewType("Revision", int)
"""The board's counter: grows by one with every applied batch of facts, never decreases."""

EventId = NewType("EventId", int)
"""`milliseconds since epoch << 20 | counter`: grows for ever, also across restarts."""

NEVER = EpochSeconds(0)
UNLIMITED = BytesPerSecond(0)
