"""What to say of a function that is not in the language: why, and what to do instead."""

from __future__ import annotations

from collections.abc import Collection

from bessemer.core.errors import did_you_mean
from bessemer.prepare.expressions.tree import Refusal

VOLATILE = """
    random uuid gen_random_uuid now today current_date current_time current_timestamp get_current_timestamp
    localtimestamp nextval
"""
AGGREGATE = """
    sum avg mean min max count median stddev variance mode first last any_value string_agg quantile row_number rank
    lag lead
"""
TEXT = """
    length len strlen substr substring left right replace regexp_replace regexp_extract trim ltrim rtrim lpad rpad
    reverse split_part string_split instr position strpos md5 hash levenshtein jaccard format printf strftime
"""

_LAND = "compute it in acquire.sql: it is then a raw column, which whoever asks for a prediction gives"


def unsupported(name: str, known: Collection[str]) -> Refusal:
    """The refusal of a function that is not known, with the reason or the nearest known name.

    >>> str(unsupported("flor", ["ceil", "floor"])), unsupported("flor", ["ceil", "floor"]).fix
    ("there is no function 'flor'", "did you mean 'floor'?")
    """
    word = name.lower()
    if word in VOLATILE.split():
        why = "a feature must be the same for the same row, in training and in serving"
        return Refusal(
            f"{word} gives another value each time: {why}", "give the moment as a column of the data"
        )
    if word in AGGREGATE.split():
        return Refusal(f"{word} looks at many rows; a prediction is made from one", _LAND)
    if word in TEXT.split():
        return Refusal(f"{word} has no counterpart in a model's graph (ONNX)", _LAND)
    return Refusal(f"there is no function '{name}'", did_you_mean(word, known, limit=len(known)))
