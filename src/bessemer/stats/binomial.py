"""How likely so many hits are by chance, exactly: in whole numbers, however small it is."""

from __future__ import annotations

import math
from itertools import count


def log2_upper_tail(hits: int, tries: int, choices: int) -> float:
    """log2 of the chance of `hits` or more among `tries` when each is right once in `choices` times.

    The sum is of whole numbers: nothing is rounded and nothing underflows before the logarithm.

    Args:
        hits: from 0 to tries. tries: 0 or more. choices: 2 or more.

    Raises:
        ValueError: the numbers are not of that kind.

    >>> log2_upper_tail(64, 64, 2), log2_upper_tail(0, 64, 2), round(2 ** log2_upper_tail(6, 10, 2), 6)
    (-64.0, 0.0, 0.376953)
    """
    if not 0 <= hits <= tries or choices < 2:
        raise ValueError(f"{hits} hits of {tries} with {choices} choices")
    term = total = math.comb(tries, hits) * (choices - 1) ** (tries - hits)
    for k in range(hits, tries):  # of k + 1 hits, from those of k
        term = term * (tries - k) // ((k + 1) * (choices - 1))
        total += term
    return math.log2(total) - math.log2(choices**tries)


def tries_to_claim(choices: int, kept: float, bits: float) -> int:
    """The fewest tries that prove a claim when only a share of what was embedded is left.

    Args:
        choices: how many answers there are. kept: the share of the tries that still answers as it was taught; the rest
            answers by chance. bits: the claim is 2^-bits or less.

    >>> tries_to_claim(2, 1.0, 64), tries_to_claim(10, 1.0, 64), tries_to_claim(2, 0.6, 64)
    (64, 20, 220)
    """
    share = kept + (1 - kept) / choices
    for tries in count(max(1, math.ceil(bits / math.log2(choices)))):
        if log2_upper_tail(math.floor(tries * share + 1e-9), tries, choices) <= -bits:
            return tries
    raise AssertionError
