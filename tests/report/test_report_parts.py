"""The parts of the page's data: what is off where, which rows are doubted, what is cut, and the scripts themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer import report
from bessemer.report.doubtful import COLUMNS, doubtful_rows
from bessemer.report.html import SCRIPTS, STYLES, asset
from bessemer.report.residuals import PARTS, residuals_of


class Files:
    """An artifact of files in a folder."""

    def __init__(self, folder: Path, **tables: pa.Table) -> None:
        self.folder = folder
        for name, table in tables.items():
            pq.write_table(table, self.path(f"{name}.parquet"))

    def path(self, name: str) -> Path:
        return self.folder / name


def judged(folder: Path, columns: dict[str, Any], error: Any, *, binary: bool = False) -> tuple[Files, Files]:
    """Predictions whose error on each row is as given, and the test rows."""
    rows = len(error)
    if binary:
        truth = np.arange(rows) % 2 == 0
        made = pa.table(
            {"target": truth, "prediction": truth, "probability": (truth - error).astype("float32")}
        )
    else:
        made = pa.table(
            {"target": np.asarray(error, dtype=float), "prediction": np.zeros(rows, dtype="float32")}
        )
    return Files(folder, predictions=made), Files(folder, test=pa.table(columns))


def residuals(given: tuple[Files, Files], columns: list[str], classes: list[Any], made: Any) -> Any:
    evaluation, splits = given
    return residuals_of(evaluation, splits, classes, columns, made("binary").context("report"))  # type: ignore[arg-type]


def test_the_column_that_the_error_depends_on_comes_first(made: Callable[[str], Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b"], 1000)
    x = rng.normal(size=1000)
    error = np.where(group == "a", 2.0, 0.0) + rng.normal(size=1000) * 0.1
    found = residuals(judged(tmp_path, {"x": x, "group": group}, error), ["x", "group"], [], made)
    assert found["columns"][0]["name"] == "group"
    assert found["columns"][0]["share"] > 0.95
    for value, mean, low, high, rows in found["columns"][0]["points"]:
        own = error[group == value]
        assert rows == len(own)
        assert mean == pytest.approx(own.mean())
        assert (high - low) / 2 == pytest.approx(1.96 * own.std(ddof=1) / len(own) ** 0.5, rel=1e-3)


def test_the_mean_errors_are_those_of_the_rows(made: Callable[[str], Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x, error = rng.normal(size=600), rng.normal(size=600)
    given = judged(tmp_path, {"x": np.where(np.arange(600) < 60, np.nan, x)}, error, binary=True)
    points = residuals(given, ["x"], [False, True], made)["columns"][0]["points"]
    assert len(points) == PARTS + 1
    assert sum(point[4] for point in points) == 600
    value, mean, *_ = points[-1]
    assert value is None
    assert mean == pytest.approx(error[:60].mean(), abs=1e-6)


@pytest.mark.parametrize(
    "column",
    [
        pa.nulls(40, pa.string()),
        pa.nulls(40, pa.float64()),
        pa.array([1.0] * 40),
        pa.array([True, None] * 20),
        pa.array([np.datetime64("2020-01-01T00:00:00", "us")] * 40),
        pa.array([float("inf"), 1e300, -1e300, float("nan")] * 10),
    ],
)
def test_columns_without_anything_to_say(made: Callable[[str], Any], tmp_path: Path, column: Any) -> None:
    found = residuals(judged(tmp_path, {"c": column}, np.arange(40.0)), ["c", "not there"], [], made)
    assert all(np.isfinite(point[1:4]).all() for one in found["columns"] for point in one["points"])


def test_one_row_and_three_classes(made: Callable[[str], Any], tmp_path: Path) -> None:
    one = judged(tmp_path, {"c": [1.0]}, np.array([0.5]))
    assert residuals(one, ["c"], [], made) == {"rows": 1, "prediction": [], "columns": []}
    assert residuals(one, ["c"], ["a", "b", "c"], made) is None


def test_doubted_rows_are_those_of_the_test_part(tmp_path: Path) -> None:
    table = pa.table(
        {"a": np.arange(30), "t": pa.array([None] * 30, pa.timestamp("us")), "n": [float("nan")] * 30}
    )
    splits = Files(tmp_path, test=table)
    evaluation = {"label_errors": {"rows": [{"row": 7}, {"row": 3}]}, "duplicates": {"samples": [{"row": 7}]}}
    found = doubtful_rows(evaluation, splits, ["n", "a", "t", "gone"], 20)  # type: ignore[arg-type]
    assert found == {"7": {"n": None, "a": 7, "t": None}, "3": {"n": None, "a": 3, "t": None}}
    assert doubtful_rows(evaluation, splits, ["a"], 0) == {}  # type: ignore[arg-type]
    assert doubtful_rows({}, splits, ["a"], 20) == {}  # type: ignore[arg-type]
    assert COLUMNS >= 5


def test_the_scripts_are_well_formed_and_share_no_name(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node, "the scripts of the page are checked with node"
    whole = tmp_path / "page.js"
    whole.write_text("\n".join(asset(name) for name in SCRIPTS), "utf-8")
    done = subprocess.run([node, "--check", str(whole)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    declared = re.compile(r"^(?:async )?(?:const|let|function|class)\*? (\w+)", re.MULTILINE)
    names = Counter(found for name in SCRIPTS for found in declared.findall(asset(name)))
    assert [name for name, times in names.items() if times > 1] == []


def test_every_file_of_the_page_is_used() -> None:
    folder = Path(report.__file__).parent
    pages = [*folder.glob("*.py"), folder.parent / "contracts" / "page.py"]
    code = "".join(path.read_text("utf-8") for path in pages)
    assert [path.name for path in (folder / "assets").iterdir() if f'"{path.name}"' not in code] == []
    assert set(STYLES) | set(SCRIPTS) <= {path.name for path in (folder / "assets").iterdir()}


def test_the_scripts_never_read_text_as_code_or_markup() -> None:
    whole = "\n".join(asset(name) for name in SCRIPTS)
    assert not re.search(
        r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function)\b", whole
    )
