"""Confident learning against cleanlab, in an environment of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bessemer.stats.confident import confident, modified_z
from environments import environment, run

SCRIPT = """
import json, sys
import numpy as np
from cleanlab.count import estimate_joint
from cleanlab.filter import find_label_issues
found = []
for case in json.load(open(sys.argv[1])):
    y, p = np.array(case["y"]), np.array(case["p"])
    mask = find_label_issues(y, p, filter_by="confident_learning", n_jobs=1)
    found.append({"mask": mask.tolist(), "joint": estimate_joint(y, p).tolist()})
print(json.dumps(found))
"""


def case(
    seed: int, classes: int, rows: int = 400, noise: float = 0.15
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Given classes with noise, probabilities of a fair model, and which rows have the wrong class."""
    rng = np.random.default_rng(seed)
    true = rng.choice(classes, rows, p=(shares := rng.dirichlet(np.full(classes, 5.0))))
    assert len(shares) == classes
    logits = rng.normal(size=(rows, classes)) + 3 * np.eye(classes)[true]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrong = rng.random(rows) < noise
    given = np.where(wrong, (true + rng.integers(1, classes, rows)) % classes, true)
    return given, p, wrong


@pytest.mark.slow
def test_suspicious_rows_and_noise_are_cleanlabs(tmp_path: Path) -> None:
    cases = [case(seed, classes) for seed in range(4) for classes in (2, 3, 7)]
    file = tmp_path / "cases.json"
    file.write_text(json.dumps([{"y": y.tolist(), "p": p.tolist()} for y, p, _ in cases]))
    theirs = json.loads(run(environment("cleanlab", "cleanlab==2.9.0"), SCRIPT, str(file), timeout=300))
    for (y, p, _), wanted in zip(cases, theirs, strict=True):
        ours = confident(y, p)
        assert ours.suspicious.tolist() == wanted["mask"]
        # theirs are rounded to whole rows
        np.testing.assert_allclose(ours.joint, wanted["joint"], atol=1.5 / len(y))


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_wrong_classes_are_found(classes: int) -> None:
    y, p, wrong = case(9, classes, rows=3000)
    found = confident(y, p)
    assert found.suspicious[wrong].mean() > 0.6
    assert wrong[found.suspicious].mean() > 0.7
    assert found.noise == pytest.approx(wrong.mean(), abs=0.06)


def test_right_classes_are_left_alone() -> None:
    y, p, _ = case(9, 3, rows=3000, noise=0)
    assert confident(y, p).noise < 0.05


def test_a_class_that_no_row_is_given_is_never_the_true_one() -> None:
    found = confident([0, 1, 1], [[0.2, 0.3, 0.5], [0.1, 0.4, 0.5], [0.1, 0.6, 0.3]])
    assert not found.suspicious.any()
    assert found.joint.sum() == pytest.approx(1)


def test_outliers_are_found_whatever_the_unit_and_the_group() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], 500)
    residual = rng.normal(size=1000) * np.where(group, 1000.0, 1.0)
    residual[3], residual[700] = 9.0, 9000.0
    z = modified_z(residual, group)
    assert set(np.flatnonzero(np.abs(z) > 5).tolist()) == {3, 700}
    assert np.isnan(modified_z([1.0, 1.0], [0, 0])).all()
    assert modified_z([0.0] * 9 + [1.0], [0] * 10)[9] > 3.5
