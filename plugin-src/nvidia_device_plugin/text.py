# SPDX-License-Identifier: MIT
"""How much of somebody else's text is repeated in a message: enough to recognise it, never all that came."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable

LONGEST = 100
_MOST_ITEMS = 8

_repr = reprlib.Repr()
_repr.maxlevel = 3
_repr.maxstring = _repr.maxother = _repr.maxlong = LONGEST
_repr.maxdict = _repr.maxlist = _repr.maxtuple = 6


def clip(text: str, longest: int = LONGEST) -> str:
    """The text on one line, with the middle left out where it is longer than `longest` characters."""
    text = "".join(character if character.isprintable() else "?" for character in text[:longest + 1])
    return text if len(text) <= longest else f"{text[:longest - 20]}...{text[-17:]}"


def shown(value: object) -> str:
    """A value as Python writes it, clipped at each level."""
    try:
        return clip(_repr.repr(value), 3 * LONGEST)
    except ValueError:  # an integer of more digits than Python prints
        return f"a very large {type(value).__name__}"


def listed(items: Iterable[str]) -> str:
    """The first items, and how many more there are."""
    every = list(items)
    more = len(every) - _MOST_ITEMS
    return ", ".join(clip(item) for item in every[:_MOST_ITEMS]) + (f" and {more} more" if more > 0 else "")
