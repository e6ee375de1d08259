"""Performance by slices, calibration and fairness: honest over 200 quiet windows, and sure of what was planted."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from package_support import given, labels
from watcher_support import NAMES, logged, watch

from bessemer.core.errors import UsageError
from bessemer.monitor.watchers.calibration import Calibration, CalibrationSettings
from bessemer.monitor.watchers.fairness import Fairness, FairnessSettings
from bessemer.monitor.watchers.slices import Slices, SlicesSettings
from bessemer.monitor.watching.drawn import draw, draw_both
from bessemer.monitor.watching.groups import TOO_OLD
from bessemer.monitor.watching.logged import LoggedWindow
from bessemer.package.model import Model, load
from bessemer.package.write import write_package
from bessemer.testing.models import TASKS, tiny_members

Tests = Mapping[tuple[str, str], Any]


@pytest.fixture(scope="module")
def models(packages: dict[str, Path]) -> dict[str, Model]:
    return {task: load(path) for task, path in packages.items()}


def watchers() -> list[Any]:
    fairness = Fairness(FairnessSettings(groups=["contract", "tenure"]))
    return [Slices(SlicesSettings()), Calibration(CalibrationSettings()), fairness]


def said_of(model: Model, rows: pa.Table, folder: Path, *asked: Any) -> Tests:
    found = [test for watcher in asked or watchers() for test in watch(watcher, model, rows, folder).tests]
    return {(test.detector, test.column): test for test in found}


def window(model: Model, n: int, seed: int, flipped: Any = 0.0) -> pa.Table:
    """Rows with labels, of which some are another class than the model expects."""
    data = given(n, seed)
    truth = labels(data, model.task, seed + 5000).astype(float)
    if model.task != "regression":
        wrong = np.random.default_rng(seed).random(n) < flipped
        truth = np.where(wrong, (truth + 1) % len(model.classes), truth)
    return logged(model, data, truth)


@pytest.mark.slow
def test_quiet_windows_are_quiet(models: dict[str, Model], tmp_path: Path) -> None:
    """Of 200 windows of 500 rows each test is as rarely below a probability as it says, but for what the one draw of
    test rows that all are compared with adds."""
    model, found = models["binary"], defaultdict(list)
    for seed in range(200):
        for key, test in said_of(model, window(model, 500, 1000 + seed), tmp_path).items():
            found[key].append(test.p_value)
    assert len(found) == 5 + 5 + 1 + 2 * 5
    every = np.concatenate(list(found.values()))
    assert np.mean(every < 0.05) < 0.08
    assert np.mean(every < 0.01) < 0.02
    assert every.min() > 1e-5
    assert all(np.mean(np.array(p) < 0.01) <= 0.05 for p in found.values())


def test_a_slice_that_became_worse_is_named(models: dict[str, Model], tmp_path: Path) -> None:
    model = models["binary"]
    data = given(1500, 3)
    year = np.array(data.column("contract").to_pylist()) == "One year"
    flipped = np.where(year, 0.4, 0.0)
    slices = Slices(SlicesSettings(columns=["contract", "tenure"]))
    found = said_of(model, window(model, 1500, 3, flipped), tmp_path, slices)
    worst = found["measured_slice", "contract"]
    assert worst.p_value < 1e-6
    assert worst.text.startswith("where contract is One year, the loss is ")
    assert f"on {year.sum():,} labels" in worst.text
    assert found["estimated_slice", "contract"].p_value > 1e-3, "the model does not know"
    quiet = said_of(model, window(model, 1500, 3), tmp_path, slices)
    assert quiet["measured_slice", "contract"].p_value > 1e-3


def test_a_slice_that_became_harder_is_seen_without_labels(models: dict[str, Model], tmp_path: Path) -> None:
    """Customers of two years come only with charges for which the model is unsure."""
    model, data = models["multiclass"], given(1500, 4)
    probability = model.session.run(data, ["probability"])["probability"]
    hard = (probability.max(axis=1) < 0.55) | (np.array(data.column("contract").to_pylist()) != "Two year")
    rows = logged(model, data.filter(pa.array(hard)))
    found = said_of(model, rows, tmp_path, Slices(SlicesSettings(columns=["contract"])))
    assert set(found) == {("estimated_slice", "contract")}
    assert found["estimated_slice", "contract"].p_value < 1e-4
    assert "Two year" in found["estimated_slice", "contract"].text


@pytest.mark.parametrize("task", TASKS)
def test_calibration_that_moved_is_found(models: dict[str, Model], tmp_path: Path, task: str) -> None:
    model, data = models[task], given(1500, 5)
    calibration = Calibration(CalibrationSettings())
    (quiet,) = said_of(model, window(model, 1500, 5), tmp_path, calibration).values()
    assert quiet.p_value > 1e-3
    assert quiet.value < quiet.threshold(1e-3)
    truth = labels(data, task, 6, flipped=0.2)
    (found,) = said_of(model, logged(model, data, truth), tmp_path, calibration).values()
    assert found.p_value < 1e-6
    assert found.value > found.threshold(1e-6)
    assert found.column == ("prediction" if task == "regression" else "probability")


@pytest.mark.slow
def test_a_model_that_was_never_calibrated_does_not_alarm(packages: dict[str, Path], tmp_path: Path) -> None:
    """Its test rows said the same: 30 % of the labels are not what it thinks, then as now."""
    from bessemer.profile.groups import calibration
    from bessemer.stats.metrics.outcome import classified

    good = load(packages["binary"])
    data = given(5000, 1)
    probability = good.session.run(data, ["probability"])["probability"]
    outcome = classified("binary", labels(data, "binary", 2, flipped=0.3), probability)
    reference = good.contents.json("reference.json") | {"calibration": calibration(outcome)}
    path = tmp_path / "tiny.bsm"
    members = tiny_members("binary") | {"reference.json": json.dumps(reference).encode()}
    facts = {"name": "tiny", "version": "1.0.0", "created": "2026-01-01T00:00:00Z"}
    write_package(path, members, **facts, task="binary", target="churned")
    p = [
        said_of(load(path), window(good, 1000, seed, 0.3), tmp_path, Calibration(CalibrationSettings()))
        for seed in range(20)
    ]
    assert min(test.p_value for found in p for test in found.values()) > 1e-3
    (then,) = said_of(good, window(good, 1000, 1, 0.3), tmp_path, Calibration(CalibrationSettings())).values()
    assert then.p_value < 1e-6


def test_a_gap_that_opens_is_found_with_labels_and_without(models: dict[str, Model], tmp_path: Path) -> None:
    model, fairness = models["binary"], Fairness(FairnessSettings(groups=["contract"]))
    data = given(1500, 8)
    year = np.array(data.column("contract").to_pylist()) == "One year"
    truth = labels(data, "binary", 9).astype(float)
    missed = np.where(year & (np.random.default_rng(1).random(1500) < 0.5), 1.0, truth)
    found = said_of(model, logged(model, data, missed), tmp_path, fairness)
    sure = {criterion for (criterion, _), test in found.items() if test.p_value < 1e-4}
    assert "equal_opportunity" in sure
    assert "demographic_parity" not in sure
    said = np.array(["yes" if y else "no" for y in year], dtype=object)
    found = said_of(model, logged(model, data, **{"out.prediction": said}), tmp_path, fairness)
    assert set(found) == {("demographic_parity", "contract")}, "no labels, no other criterion"
    test = found["demographic_parity", "contract"]
    assert test.p_value < 1e-9
    assert "selection_rate of 'One year' less that of the others is +1" in test.text


def test_a_regression_has_gaps_of_its_own(models: dict[str, Model], tmp_path: Path) -> None:
    model, data = models["regression"], given(1500, 8)
    year = np.array(data.column("contract").to_pylist()) == "One year"
    truth = labels(data, "regression", 9) + 2.0 * year
    found = said_of(
        model, logged(model, data, truth), tmp_path, Fairness(FairnessSettings(groups=["contract"]))
    )
    assert {criterion for criterion, _ in found} == {"mean_prediction", "mean_error", "mae"}
    assert found["mean_error", "contract"].p_value < 1e-9
    assert found["mean_prediction", "contract"].p_value > 1e-3


def test_what_cannot_be_said_is_said(models: dict[str, Model], tmp_path: Path) -> None:
    model, rows = models["binary"], window(models["binary"], 100, 1)
    with pytest.raises(UsageError, match="no groups of 'contracts'"):
        watch(Slices(SlicesSettings(columns=["contracts"])), model, rows, tmp_path)
    hidden = watch(Slices(SlicesSettings(columns=["contract"])), model, rows, tmp_path, inputs=("tenure",))
    assert hidden.figures == {"why": "none of the columns is logged as it is"}
    assert watch(Fairness(FairnessSettings()), model, rows, tmp_path).figures["why"].startswith("no groups")
    several = watch(
        Fairness(FairnessSettings(groups=["contract"])),
        models["multiclass"],
        window(models["multiclass"], 100, 1),
        tmp_path,
    )
    assert "no class is favourable" in several.figures["why"]


def test_a_package_without_figures_by_group(packages: dict[str, Path], tmp_path: Path) -> None:
    reference = load(packages["binary"]).contents.json("reference.json")
    older = {key: value for key, value in reference.items() if key not in ("groups", "calibration")}
    path = tmp_path / "tiny.bsm"
    members = tiny_members("binary") | {"reference.json": json.dumps(older).encode()}
    facts = {"name": "tiny", "version": "1.0.0", "created": "2026-01-01T00:00:00Z"}
    write_package(path, members, **facts, task="binary", target="churned")
    model = load(path)
    said = [watch(watcher, model, window(model, 100, 1), tmp_path) for watcher in watchers()]
    assert not any(each.tests for each in said)
    assert [each.figures["why"] == TOO_OLD for each in said] == [True, False, True]


def test_a_draw_is_bounded_and_always_the_same(models: dict[str, Model], tmp_path: Path) -> None:
    import datetime as dt

    import pyarrow.parquet as pq

    model = models["binary"]
    truth = np.where(np.arange(5000) % 2, 1.0, np.nan)
    pq.write_table(logged(model, given(5000, 1), truth), tmp_path / "window.parquet")
    span = (dt.datetime(2026, 3, 1), dt.datetime(2026, 3, 2))
    logs = LoggedWindow(tmp_path / "window.parquet", 5000, NAMES, *span)
    first, second = (draw(logs, model.signature, ["tenure"], most=700) for _ in range(2))
    assert first.rows == 700
    assert first.inputs.equals(second.inputs)
    assert np.array_equal(first.labelled, second.labelled)
    assert 250 < first.labelled.sum() < 450
    assert draw(logs, model.signature, labelled=True).rows == 2500
    whole, labelled = draw_both(logs, model.signature, ["tenure"])
    assert (whole.rows, labelled.rows) == (5000, 2500)
    few, labelled = draw_both(logs, model.signature, ["tenure"], most=2000)
    assert (few.rows, labelled.rows) == (2000, 2000)
