"""`bessemer monitor check` and `bessemer.Monitor`, on a signed package."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from package_support import given, labels

import bessemer
from bessemer.cli import group
from bessemer.core.errors import BessemerError, DataError, FormatError, UsageError
from bessemer.monitor.scored import truth_of
from bessemer.package.write import write_package
from bessemer.testing.models import CLASSES, TASKS, tiny_members, tiny_model, tiny_signature


def run(*words: Any) -> tuple[int, str]:
    done = CliRunner().invoke(group, ["monitor", "check", *map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_every_kind_of_file(ending: str, package: Path, tmp_path: Path) -> None:
    data = given(1000, 2).drop_columns(["désactivé"])
    path = tmp_path / f"window.{ending}"
    if ending == "parquet":
        pq.write_table(data, path)
    elif ending == "csv":
        pyarrow.csv.write_csv(data, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in data.to_pylist()))
    code, said = run(package, "--window", path, "--json", "--exit-code")
    found = json.loads(said)
    assert code == 3
    assert [(row["column"], row["statistic"]) for row in found["findings"]] == [("désactivé", "absent")]
    assert found["rows"] == 1000
    assert found["package"] == "tiny 1.0.0"
    assert set(found["columns"]["tenure"]) == {"range", "chi_square", "kolmogorov_smirnov"}


def test_rows_without_a_column_are_scored_as_without_its_values(package: Path) -> None:
    """Of the requests of a client that leaves out what every row must have, there is more to say than that."""
    data, monitor = given(1000, 2), bessemer.Monitor(package)
    left_out = monitor.check(data.drop_columns(["tenure"]), score=True)
    empty = monitor.check(data.set_column(0, "tenure", pa.nulls(1000, pa.int64())), score=True)
    assert ("tenure", "absent") in {(f.column, f.statistic) for f in left_out.findings}
    assert left_out.to_json()["outputs"] == empty.to_json()["outputs"]
    assert {f.column for f in left_out.findings if f.of == "output"} >= {"score"}


def test_what_a_person_reads(package: Path, tmp_path: Path) -> None:
    pq.write_table(given(1000, 2), tmp_path / "same.parquet")
    code, said = run(package, "--window", tmp_path / "same.parquet", "--exit-code")
    assert (code, "nothing out of the ordinary" in said) == (0, True)
    moved = given(1000, 2).to_pydict()
    moved["contract"] = ["One year" if i % 3 else c for i, c in enumerate(moved["contract"])]
    pq.write_table(pa.table(moved), tmp_path / "moved.parquet")
    code, said = run(package, "--window", tmp_path / "moved.parquet")
    assert code == 0
    assert "1 column out of the ordinary" in said
    assert "contract" in said


def test_python_takes_tables_and_detectors(package: Path) -> None:
    monitor = bessemer.Monitor(package, detectors=["wasserstein"], false_alarm=0.001)
    found = monitor.check(given(500, 3))
    assert {test.detector for test in found.tests} == {"wasserstein"}
    assert not found.alarm
    assert monitor.check([{"tenure": 70}] * 200).alarm


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_performance_with_labels_and_without(task: Any, packages: dict[str, Path]) -> None:
    monitor = bessemer.Monitor(packages[task])
    target = tiny_signature(task).target

    def labelled(seed: int, share: float, flipped: float) -> pa.Table:
        data = given(2000, seed)
        values = labels(data, task, seed, flipped=flipped)
        named = [CLASSES[task][int(v)] if task != "regression" else float(v) for v in values]
        return data.append_column(
            target, pa.array([v if i < 2000 * share else None for i, v in enumerate(named)])
        )

    found = monitor.check(labelled(11, 0.5, 0.0), score=True)
    assert found.performance is not None
    assert not found.alarm, found.findings
    assert (found.performance.labelled, found.performance.rows) == (1000, 2000)
    told = found.to_json()
    assert {"prediction"} <= set(told["outputs"])
    name = "rmse" if task == "regression" else "accuracy"
    both = [told["performance"][kind][name] for kind in ("measured", "estimated")]
    assert max(each["low"] for each in both) < min(each["high"] for each in both)

    wrong = monitor.check(labelled(11, 0.5, 0.3), score=True)
    assert {row.detector for row in wrong.findings} == {"measured_performance"}, (
        "inputs and outputs are as before"
    )
    assert wrong.findings[0].of == "output"

    unlabelled = monitor.check(labelled(11, 0.0, 0.3), score=True)
    assert unlabelled.performance is not None
    assert not unlabelled.performance.measured
    assert not unlabelled.alarm, "without labels a changed concept cannot be seen"


def test_few_labels_of_a_class_are_not_judged(package: Path) -> None:
    """Of three positives none may be found by chance: that is no loss of recall."""
    data = given(300, 21)
    said = tiny_model("binary").session.run(data, ["prediction"])["prediction"]
    negative = np.flatnonzero(said == CLASSES["binary"][0])[:103]
    names: list[Any] = [None] * 300
    for count, i in enumerate(negative):
        names[i] = CLASSES["binary"][int(count < 3)]
    monitor = bessemer.Monitor(package, false_alarm=0.2)
    found = monitor.check(data.append_column("churned", pa.array(names)), score=True)
    assert found.performance is not None
    assert found.performance.measured["recall"].value == 0.0
    assert not [test for test in found.tests if test.detector == "measured_performance"]


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        ((0, 1), [0.0, 1.0, None]),
        ((0, 1), ["0", "1.0", ""]),
        ((False, True), [0, 1, None]),
        ((False, True), ["False", "t", None]),
    ],
)
def test_labels_are_read_as_they_come(classes: Any, told: list[Any]) -> None:
    """A frame with gaps makes numbers of whole ones, and files have their own words for booleans."""
    signature = replace(tiny_signature("binary"), classes=classes)
    found = truth_of(pa.array(told), signature)
    assert found[:2].tolist() == [0.0, 1.0]
    assert np.isnan(found[2])


def test_harder_rows_are_expected_to_go_worse(package: Path) -> None:
    data = given(4000, 12)
    p = tiny_model("binary").session.run(data, ["probability"])["probability"][:, 1]
    hard = data.filter(pa.array(np.abs(p - 0.5) < 0.3))
    found = bessemer.Monitor(package).check(hard, score=True)
    assert "estimated_performance" in {row.detector for row in found.findings}
    assert ("probability", "output") in {(row.column, row.of) for row in found.findings}


def test_what_is_wrong_is_said(package: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'psi'"):
        bessemer.Monitor(package, detectors=["psy"])
    with pytest.raises(UsageError, match="between 0 and 1"):
        bessemer.Monitor(package, false_alarm=2.0)
    with pytest.raises(DataError, match="no rows"):
        bessemer.Monitor(package).check(given(0, 0))
    with pytest.raises(DataError, match="no file"):
        bessemer.Monitor(package).check(tmp_path / "nothing.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(BessemerError, match="cannot be read"):
        bessemer.Monitor(package).check(tmp_path / "broken.parquet")
    facts = {"name": "bare", "version": "1", "created": "2026-01-01T00:00:00Z"}
    write_package(tmp_path / "bare.bsm", tiny_members("binary"), **facts, task="binary", target="churned")
    with pytest.raises(FormatError, match=r"no reference\.json"):
        bessemer.Monitor(tmp_path / "bare.bsm")
    with pytest.raises(UsageError, match="--false-alarm"):
        run(package, "--window", "x", "--false-alarm", "often")
