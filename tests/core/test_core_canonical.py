"""Canonical JSON: equal values, equal bytes, in any process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bessemer.core.canonical import digest, dumps


def test_sets_and_mappings_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "from bessemer.core.canonical import digest;"
        "print(digest({'a': frozenset({'x', 'y', 'zz', 'w'}), 'b': {('p', 1), ('q', 2)}, 'c': {3: 1, 1: 2}}))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert len(seen) == 1


def test_kinds() -> None:
    import numpy as np

    assert dumps({"a": np.float64(1.5), "b": np.arange(2), "c": (1, None), "d": float("inf")}) == (
        '{"a":1.5,"b":[0,1],"c":[1,null],"d":null}'
    )
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    with pytest.raises(TypeError, match="object"):
        dumps({"a": object()})
