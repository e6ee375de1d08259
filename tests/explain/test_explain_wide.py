"""Very wide tables: only the columns that matter most are shuffled."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from bessemer.explain.ask import COLUMNS, candidates


def test_the_strongest_columns_and_those_that_only_feed_derived_features() -> None:
    names = [f"c{i}" for i in range(COLUMNS + 50)]
    groups = [*names[1:], "derived"]
    contributions = np.zeros((3, len(groups), 1))
    contributions[:, 100:180, 0] = -2.0
    subject: Any = SimpleNamespace(columns=names, groups=groups)
    found = candidates(subject, SimpleNamespace(contributions=contributions))  # type: ignore[arg-type]
    assert len(found) == COLUMNS
    assert found[0] == "c0", "it has no group of its own"
    assert set(names[101:181]) <= set(found)
    subject.columns = names[:COLUMNS]
    assert candidates(subject, SimpleNamespace(contributions=contributions)) == names[:COLUMNS]  # type: ignore[arg-type]
