"""Extraction: a copy that learns from answers, and what it is held against."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from trees_support import sample_of, small

from bessemer.attack.attacks.extraction import Extraction, ExtractionSettings, mixed
from bessemer.core.errors import FormatError
from bessemer.testing.attacks import check_attack, context


@pytest.mark.slow
@pytest.mark.parametrize("told", ["scores", "answers"])
def test_more_questions_make_a_better_copy(told: str, tmp_path: Path) -> None:
    one = small(tmp_path, 5)
    sample = sample_of(one, 60, tmp_path / "drawn")
    with pytest.raises(FormatError, match="only 0 rows"):
        Extraction(ExtractionSettings()).attack(one, sample, context(tmp_path / "run"), lambda: None)
    asked = {"queries": [20, 600], "rows": "mixed", "told": told}
    found = check_attack(Extraction, asked, one, sample, tmp_path / "run")
    few, many = found.curve
    assert few.budget == 20
    assert 500 < many.budget < 600, "mixed rows that are one of those judged are not asked about"
    assert many.value >= 0.9
    assert many.value >= few.value
    assert "always says its most frequent answer" in found.notes[0]


@pytest.mark.slow
def test_no_more_than_there_is_is_asked(tmp_path: Path) -> None:
    one = small(tmp_path, 5, classes=3)
    sample = sample_of(one, 20, tmp_path / "drawn")
    found = Extraction(ExtractionSettings(queries=[30, 1000, 2000])).attack(
        one, sample, context(tmp_path / "run"), lambda: None
    )
    assert [point.budget for point in found.curve] == [30.0, 40.0], (
        "the 20 that are judged are not asked about"
    )
    assert any("no more than 40 rows" in note for note in found.notes)


def test_mixed_rows_hold_values_of_the_rows_and_no_row_of_them() -> None:
    table = pa.table({"a": list(range(50)), "b": [f"b{i}" for i in range(50)]})
    made = mixed(table, 500, np.random.default_rng(0))
    assert len(made) == 500
    assert set(made["b"].to_pylist()) <= set(table["b"].to_pylist())
    same = sum(f"b{a}" == b for a, b in zip(made["a"].to_pylist(), made["b"].to_pylist(), strict=True))
    assert same < 30


def test_a_number_is_not_copied(tmp_path: Path) -> None:
    one = small(tmp_path, 5)
    number = replace(one, facts={**one.facts, "task": "regression"})
    assert "target is a number" in Extraction(ExtractionSettings()).refuses(number)
    assert not Extraction(ExtractionSettings()).refuses(one)
