"""The words of a text, for transforms that count them or put them in a row.

Words stand between spaces. In SQL a word is brought to lower case and its punctuation is cut off at both ends;
the graph has the table of the forms that became each word ('Good', 'good,' -> 'good'), so that it needs no
locale and no rules for letters: one implementation, in SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder
    from bessemer.prepare.transforms.base import TrainColumn

#: Added to every text, so that no batch is without words (an empty tensor); it is not counted.
END = "\x01"
#: Forms kept of one word, the most frequent first.
_FORMS = 50

_WORDS = r"""
SELECT word, form FROM (
    SELECT word, form, n, sum(n) OVER (PARTITION BY word) AS total,
           row_number() OVER (PARTITION BY word ORDER BY n DESC, form) AS place
    FROM (
        SELECT form, {case}(regexp_replace(form, '^[[:punct:]]+|[[:punct:]]+$', '', 'g')) AS word, count(*) AS n
        FROM (SELECT unnest(string_split({x}, ' ')) AS form FROM {table})
        WHERE form <> '' GROUP BY form
    ) WHERE word <> ''
) QUALIFY dense_rank() OVER (ORDER BY total DESC, word) <= ? AND place <= ?
ORDER BY total DESC, word, place
"""


def vocabulary(column: TrainColumn, limit: int, *, lower: bool = True) -> tuple[list[str], dict[str, int]]:
    """The most frequent words of the train part, and the place of each form of them.

    Args:
        lower: whether 'Good' and 'good' are one word.
    """
    case = "lower" if lower else ""
    found = column.query(_WORDS.format(x=column.x, table=column.table, case=case), limit, _FORMS)
    words = list(dict.fromkeys(word for word, _ in found))
    place = {word: i for i, word in enumerate(words)}
    forms = {form: place[word] for word, form in found}
    for word in words:  # seen forms come first: 'US' may be a word of its own
        for form in (word, word.upper(), word.title()) if lower else (word,):
            forms.setdefault(form, place[word])
    return words, forms


def add_split(builder: GraphBuilder, value: str) -> tuple[str, str]:
    """Nodes that split texts (N, 1): tokens (N, K), END and then '' behind the last of a row; and their number (N, 1)
    with END."""
    ended = builder.op("StringConcat", [value, builder.constant(np.array([[f" {END}"]], dtype=object))])
    split, number = builder.op_many("StringSplit", [ended], 2)
    return builder.op("Reshape", [split, builder.constant(np.array([0, -1], dtype=np.int64))]), number
