"""What BERT's tokeniser makes of each character before it looks for words, as a table.

Characters are brought to lower case, accents are taken off, controls are dropped, and punctuation and Chinese
characters stand by themselves (Devlin et al. 2019; the rules are those of the library `tokenizers`). All of this goes
character by character, so a table of the characters of Unicode says it all, and the graph needs no rules for letters.
"""

from __future__ import annotations

import string
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

#: Codes of no letter of the vocabulary: what words end at, and a letter that no word has.
BOUNDARY, UNKNOWN = 0, 1
#: Fills the places of a character that became fewer than others.
NOTHING = -1

_CHINESE = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B81F),
    (0x2B920, 0x2CEAF),  # the gap before it is that of `tokenizers`, whose ids the pretrained models know
    (0x2F800, 0x2FA1F),
)
#: Private planes are left out: nobody writes them, and a table of them would be larger than that of all letters.
_PRIVATE = 0xF0000


@dataclass(frozen=True)
class Rules:
    """lower: letters become small. bare: accents are taken off. chinese: such characters stand by themselves."""

    lower: bool = True
    bare: bool = True
    chinese: bool = True


@dataclass(frozen=True)
class Characters:
    """The table. Row 0 is that of every character which is not in `rows`.

    codes: the code of each letter of the vocabulary, from 2 on.
    rows: character -> row of `expansions`.
    expansions: (R, K) int64: codes that the character becomes, then `NOTHING`.
    """

    codes: dict[str, int]
    rows: dict[str, int]
    expansions: np.ndarray


def is_punctuation(character: str) -> bool:
    """Whether a character stands by itself, as punctuation does.

    >>> is_punctuation("$"), is_punctuation("¿"), is_punctuation("€")
    (True, True, False)
    """
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def normal(character: str, rules: Rules) -> str:
    """What one character becomes.

    >>> [normal(c, Rules()) for c in "É\\t中\\u200b"]
    ['e', ' ', ' 中 ', '']
    """
    if character in "\t\n\r":
        return " "
    category = unicodedata.category(character)
    if character in "\0\ufffd" or category in ("Cc", "Cf", "Co", "Cs"):
        return ""
    if category in ("Zs", "Zl", "Zp"):
        return " "
    text = f" {character} " if rules.chinese and _is_chinese(character) else character
    if rules.bare:
        apart = unicodedata.normalize("NFD", text)
        text = "".join(c for c in apart if unicodedata.category(c) != "Mn")
    return "".join(c.lower() for c in text) if rules.lower else text


def _is_chinese(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in _CHINESE)


def character_table(letters: Iterable[str], rules: Rules) -> Characters:
    """The table for a vocabulary of these letters."""
    codes = {letter: i for i, letter in enumerate(sorted(set(letters)), start=2)}
    places: dict[tuple[int, ...], int] = {(UNKNOWN,): 0}
    rows = {}
    for character in _assigned():
        expansion = tuple(_codes(normal(character, rules), codes))
        if expansion != (UNKNOWN,):
            rows[character] = places.setdefault(expansion, len(places))
    return Characters(codes, rows, _filled(list(places)))


def _assigned() -> Iterator[str]:
    for point in range(min(sys.maxunicode, _PRIVATE)):
        if unicodedata.category(character := chr(point)) not in ("Cn", "Cs"):
            yield character


def _codes(text: str, codes: dict[str, int]) -> Iterator[int]:
    for character in text:
        if character == " ":
            yield BOUNDARY
        elif is_punctuation(character):
            yield from (BOUNDARY, codes.get(character, UNKNOWN), BOUNDARY)
        else:
            yield codes.get(character, UNKNOWN)


def _filled(expansions: Sequence[tuple[int, ...]]) -> np.ndarray:
    found = np.full((len(expansions), max(map(len, expansions))), NOTHING, dtype=np.int64)
    for row, expansion in zip(found, expansions, strict=True):
        row[: len(expansion)] = expansion
    return found
