"""A report without samples: no value that few rows have is anywhere in the page, and of doubted rows no value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessemer.api import Project
from bessemer.report.limits import bounded

RARE = "SECRET_ALICE"


def page_of(folder: Path, samples: int) -> str:
    """600 people of four towns, one of which has four of them; the target can be doubted in some rows."""
    rng = np.random.default_rng(4)
    lines = ["tenure,town,leaves"]
    for i in range(600):
        tenure = int(rng.integers(0, 70))
        town = RARE if i % 150 == 7 else rng.choice(["Lima", "Oslo", "Rome"])
        lines.append(
            f"{tenure},{town},{'yes' if tenure + rng.normal() * 20 + 10 * (town == 'Lima') < 45 else 'no'}"
        )
    (folder / "data.csv").write_text("\n".join(lines) + "\n", "utf-8")
    spec = {
        "name": "leave",
        "data": "data.csv",
        "target": "leaves",
        "train": {"learner": "lightgbm", "rounds": 3},
        "evaluate": {"replicates": 20, "slices": ["town"]},
        "explain": {"rows": 400, "samples": 0, "explainers": ["contributions", "ale"]},
        "report": {"samples": samples, "whatif": 0},
    }
    (folder / "bessemer.yaml").write_text(json.dumps(spec), "utf-8")
    Project(folder).run(upto="report", track=False)
    return (folder / "build" / "report.html").read_text("utf-8")


def data_of(page: str) -> Any:
    start = page.index('id="bessemer-data">') + len('id="bessemer-data">')
    return json.loads(page[start : page.index("</script>", start)])


@pytest.mark.slow
def test_without_samples_rare_values_are_nowhere(tmp_path: Path) -> None:
    shown = page_of(tmp_path, 20)
    hidden = page_of(tmp_path, 0)
    assert RARE in shown
    assert RARE not in hidden
    data = data_of(hidden)
    names = [feature["name"] for feature in data["features"]]
    assert {"town = Lima", "town = Oslo", "town = Rome", "town = a rare value"} <= set(names)
    town = next(field for field in data["whatif"]["fields"] if field["name"] == "town")
    assert sorted(town["domain"]["categories"]) == ["Lima", "Oslo", "Rome"]
    assert town["domain"]["more"] == 1
    assert data_of(shown)["evaluation"]["duplicates"]["samples"]
    assert data["evaluation"]["duplicates"]["samples"] == []


def test_without_samples_doubted_labels_are_numbers_only() -> None:
    row = {"row": 3, "given": 98765.0, "likely": 12.0, "deviations": 9.0}
    evaluation = {
        "slices": {},
        "label_errors": {"suspicious": 1, "rows": [row]},
        "duplicates": {"exact": {"rows": 1}, "samples": [{"row": 1, "differs": {"a": ["x", "y"]}}]},
    }
    assert bounded(evaluation, 1)["label_errors"]["rows"] == [row]
    hidden = bounded(evaluation, 0)
    assert hidden["label_errors"] == {"suspicious": 1, "rows": [{"row": 3, "deviations": 9.0}]}
    assert hidden["duplicates"] == {"exact": {"rows": 1}, "samples": []}


@pytest.mark.parametrize("evaluation", [{}, {"label_errors": None, "duplicates": None}])
def test_without_samples_little_is_enough(evaluation: dict[str, Any]) -> None:
    assert bounded(evaluation, 0) == {**evaluation, "slices": {}, "slices_left_out": 0}
