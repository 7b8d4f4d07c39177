"""Text from strangers made harmless for terminals and logs: names come from torrents and peers."""

import re
from typing import Final

_UNSAFE: Final = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: ANSI escapes, line ends
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidi controls: reorder what is shown
    "\u2028\u2029"  # line and paragraph separators: some viewers break lines there
    "\ud800-\udfff"  # lone surrogates: cannot be written as UTF-8
    "]"
)
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def stripped(text: str) -> str:
    """Drop control, bidi and line-breaking characters: for names on a screen."""
    return _UNSAFE.sub("", text)


def escaped(text: str) -> str:
    r"""Show control, bidi and line-breaking characters as `\x1b` or `\u202e`: for messages."""
    return _UNSAFE.sub(_escape, text)


def encodable(text: str) -> str:
    """Replace what UTF-8 cannot carry (lone surrogates) by U+FFFD, and leave the rest alone."""
    return _SURROGATES.sub("\ufffd", text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"  # noqa: PLR2004 one byte
