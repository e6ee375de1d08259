"""WordPiece, BERT's tokeniser, in nodes of the ONNX standard: a text -> the ids of its pieces.

A word is cut into the longest pieces of the vocabulary from its start on (Devlin et al. 2019; Wu et al. 2016). The
graph finds the longest piece at every place of a text at once: each letter of each place in a piece has a random
number, and the sum of a piece's numbers is looked up among those of the vocabulary. Places then point at the place
behind their piece, and what a word's first place reaches by these pointers are its pieces; with pointers of pointers
that takes seven steps for a word of the hundred letters it may have.

onnxruntime-extensions has such an operator, but knows the accents and capital letters of western Europe only, and keeps
half of a word whose other half is in no vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bessemer.prepare.transforms.embedding_characters import (
    BOUNDARY,
    Characters,
    Rules,
    character_table,
    is_punctuation,
)

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder

#: Pieces that continue a word are written so in a vocabulary.
_GOING_ON = "##"
#: A word of more letters is one unknown piece; 2 ** 7 pointers reach beyond it.
_LONGEST_WORD, _DOUBLINGS = 100, 7
#: Characters of a text that are looked at: many more than the pieces that a model takes.
MOST_CHARACTERS = 16_384
#: Two ids in one number, and a length above them.
_BASE = 2**20


@dataclass(frozen=True)
class WordPieces:
    """A vocabulary, each piece's id being its place, and what is done to characters first."""

    vocabulary: tuple[str, ...]
    rules: Rules

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {piece: i for i, piece in enumerate(self.vocabulary)}

    @cached_property
    def _pieces(self) -> dict[str, tuple[int, int]]:
        """A piece without its mark -> one more than its id where a word begins, and where one goes on; 0 for none."""
        found: dict[str, tuple[int, int]] = {}
        for piece, i in self._ids.items():
            bare = piece.removeprefix(_GOING_ON)
            # Punctuation stands by itself: a piece with more, as [CLS], is in no text.
            if not bare or (len(bare) > 1 and any(map(is_punctuation, bare))):
                continue
            begun, going_on = found.get(bare, (0, 0))
            found[bare] = (begun, i + 1) if piece != bare else (i + 1, going_on)
        return found

    @cached_property
    def _characters(self) -> Characters:
        return character_table((letter for piece in self._pieces for letter in piece), self.rules)

    def add(self, g: GraphBuilder, text: str, most: int) -> str:
        """Add the nodes: text (1,) string -> ids (T,) int64, [CLS] first and [SEP] last, T at most `most`."""
        codes = self._add_codes(g, text)
        places = g.op("Range", [_whole(g, 0), g.op("Squeeze", [g.op("Shape", [codes])]), _whole(g, 1)])
        letter = g.op("Greater", [codes, _whole(g, BOUNDARY)])
        before = g.op("Concat", [_whole(g, [BOUNDARY]), _slice(g, codes, 0, -1)], axis=0)
        first = g.op("And", [letter, g.op("Equal", [before, _whole(g, BOUNDARY)])])
        length, piece = self._add_longest(g, codes, places, first)
        kept, unknown = _add_chains(g, codes, places, letter, first, length)
        ids = g.op("Where", [unknown, _whole(g, self._ids["[UNK]"]), piece])
        chosen = _slice(g, g.op("Compress", [ids, kept]), 0, most - 2)
        ends = [_whole(g, [self._ids[word]]) for word in ("[CLS]", "[SEP]")]
        return g.op("Concat", [ends[0], chosen, ends[1]], axis=0)

    def _add_codes(self, g: GraphBuilder, text: str) -> str:
        """Text -> codes (P,) of its letters, a boundary before and two behind: the last one is where no word ends."""
        ended = g.op("StringConcat", [text, g.constant(np.array([" "], dtype=object))])
        split = g.op(
            "Tokenizer",
            [ended],
            domain="com.microsoft",
            mark=0,
            mincharnum=1,
            pad_value="",
            separators=[""],
        )
        characters = _slice(g, g.op("Reshape", [split, _whole(g, [-1])]), 0, MOST_CHARACTERS)
        rows = g.op(
            "LabelEncoder",
            [characters],
            domain="ai.onnx.ml",
            keys_strings=list(self._characters.rows),
            values_int64s=np.array(list(self._characters.rows.values()), dtype=np.int64),
            default_int64=0,
        )
        spread = g.op(
            "Reshape", [g.op("Gather", [_whole(g, self._characters.expansions), rows]), _whole(g, [-1])]
        )
        codes = g.op("Compress", [spread, g.op("GreaterOrEqual", [spread, _whole(g, BOUNDARY)])])
        return g.op("Concat", [_whole(g, [BOUNDARY]), codes, _whole(g, [BOUNDARY, BOUNDARY])], axis=0)

    def _add_longest(self, g: GraphBuilder, codes: str, places: str, first: str) -> tuple[str, str]:
        """Length (P,) and id (P,) of the longest piece from each place on; a length of 0 where there is none."""
        letters = len(self._characters.codes) + 2
        longest = max(map(len, self._pieces))
        table = _random_numbers(longest * letters)
        keys = _sums(self._pieces, self._characters.codes, table.reshape(longest, letters))
        steps = np.arange(longest, dtype=np.int64)
        around = g.op("Add", [g.op("Unsqueeze", [places, _whole(g, [1])]), _whole(g, steps)])
        padded = g.op("Concat", [codes, _whole(g, np.zeros(longest, dtype=np.int64))], axis=0)
        numbered = g.op("Add", [g.op("Gather", [padded, around]), _whole(g, steps * letters)])
        sums = g.op("CumSum", [g.op("Gather", [_whole(g, table), numbered]), _whole(g, 1)])
        found = g.op(
            "LabelEncoder",
            [sums],
            domain="ai.onnx.ml",
            keys_int64s=np.array(keys, dtype=np.int64),
            values_int64s=np.array([a * _BASE + b for a, b in self._pieces.values()], dtype=np.int64),
            default_int64=0,
        )
        base, ranks = _whole(g, _BASE), _whole(g, (steps + 1) * _BASE)
        begun, going_on = (_longest(g, g.op(split, [found, base]), ranks) for split in ("Div", "Mod"))
        best = g.op("Where", [first, begun, going_on])
        return g.op("Div", [best, base]), g.op("Sub", [g.op("Mod", [best, base]), _whole(g, 1)])


def _longest(g: GraphBuilder, ids: str, ranks: str) -> str:
    """Of the ids (P, L) that are not 0, the last one with its length above it: (P,)."""
    there = g.op("Greater", [ids, _whole(g, 0)])
    ranked = g.op("Where", [there, g.op("Add", [ids, ranks]), _whole(g, 0)])
    return g.op("ReduceMax", [ranked, _whole(g, [1])], keepdims=0)


def _add_chains(
    g: GraphBuilder, codes: str, places: str, letter: str, first: str, length: str
) -> tuple[str, str]:
    """Which places (P,) begin a piece of the answer, and which of them are words that no pieces make."""
    lost = _slice(g, places, -1, None)
    behind = g.op("Where", [g.op("Greater", [length, _whole(g, 0)]), g.op("Add", [places, length]), lost])
    jumps = [g.op("Where", [letter, behind, places])]
    for _ in range(_DOUBLINGS):
        jumps.append(g.op("Gather", [jumps[-1], jumps[-1]]))
    end = jumps[-1]
    ends = g.op("Equal", [g.op("Gather", [codes, end]), _whole(g, BOUNDARY)])
    found = g.op("And", [ends, g.op("Not", [g.op("Equal", [end, lost])])])
    short = g.op("LessOrEqual", [g.op("Sub", [end, places]), _whole(g, _LONGEST_WORD)])
    made = g.op("And", [first, g.op("And", [found, short])])
    every = g.op("GreaterOrEqual", [places, _whole(g, 0)])
    reached = made
    for jump in jumps[:-1]:
        target = g.op("Where", [reached, jump, lost])
        reached = g.op("ScatterElements", [reached, target, every], axis=0)
    unknown = g.op("And", [first, g.op("Not", [made])])
    return g.op("Or", [g.op("And", [reached, letter]), unknown]), unknown


def _whole(g: GraphBuilder, numbers: int | Sequence[int] | np.ndarray) -> str:
    return g.constant(np.asarray(numbers, dtype=np.int64))


def _slice(g: GraphBuilder, value: str, start: int, stop: int | None) -> str:
    end = np.iinfo(np.int64).max if stop is None else stop
    return g.op("Slice", [value, _whole(g, [start]), _whole(g, [end])])


def _random_numbers(size: int) -> np.ndarray:
    """(size,) int64 below 2 ** 56: no sum of a piece's runs over. The same in every version of every library."""
    raw = np.frombuffer(hashlib.shake_256(b"word pieces").digest(8 * size), dtype="<u8")
    return (raw >> np.uint64(8)).astype(np.int64)


def _sums(pieces: Mapping[str, object], codes: Mapping[str, int], table: np.ndarray) -> list[int]:
    """The sum of each piece's numbers. Two that are equal would be one piece in 10 ** 8 vocabularies."""
    found = [sum(int(table[i, codes[letter]]) for i, letter in enumerate(piece)) for piece in pieces]
    assert len(set(found)) == len(found), "two pieces have one sum"
    return found
