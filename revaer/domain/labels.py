"""What people may call torrents: display names, categories, tags."""

from collections.abc import Iterable
from typing import Final

from revaer.domain.errors import InvalidInputError
from revaer.domain.plain_text import escaped, stripped

MAX_NAME_CHARACTERS: Final = 1_000
MAX_LABEL_CHARACTERS: Final = 255
MAX_TAGS: Final = 200


def check_name(name: str) -> str:
    """Judge a display name; the answer is it without the space around it.

    Raises:
        InvalidInputError: empty, too long, or with characters that are not for a screen.
    """
    name = _checked(name, "name", MAX_NAME_CHARACTERS)
    if not name:
        raise InvalidInputError("the name of the torrent is empty; write one")
    return name


def check_category(category: str) -> str:
    r"""Judge a category; empty means none, `/` parts a subcategory from its parent.

    Raises:
        InvalidInputError: too long, with characters that are not for a screen, with `\`, or with a
            part that is empty.
    """
    category = _checked(category, "category", MAX_LABEL_CHARACTERS)
    if category and ("\\" in category or not all(category.split("/"))):
        raise InvalidInputError(
            f"category {escaped(category)!r} holds a backslash or an empty part; write `parent` or "
            "`parent/child`"
        )
    return category


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Judge tags; the answer is them in order, each once.

    Raises:
        InvalidInputError: too many, too long, empty, with a comma (which parts tags in lists), or
            with characters that are not for a screen.
    """
    checked = {_checked(tag, "tag", MAX_LABEL_CHARACTERS) for tag in tags}
    for tag in checked:
        if not tag or "," in tag:
            raise InvalidInputError(
                f"tag {tag!r} is empty or holds a comma; write each tag by itself"
            )
    if len(checked) > MAX_TAGS:
        raise InvalidInputError(f"{len(checked)} tags were given, {MAX_TAGS} are allowed")
    return tuple(sorted(checked))


def _checked(text: str, what: str, longest: int) -> str:
    text = text.strip()
    if len(text) > longest:
        raise InvalidInputError(f"the {what} has {len(text)} characters, {longest} are allowed")
    if stripped(text) != text:
        raise InvalidInputError(
            f"{what} '{escaped(text)}' holds a control character, a line break or a character that "
            "turns the reading direction; write it without"
        )
    return text
