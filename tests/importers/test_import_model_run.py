"""`bessemer import MODEL` as a user calls it: a package at once, and with data the whole flow."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from import_model_support import agree, answers
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from bessemer.api import Project, import_model, load, verify
from bessemer.core.errors import BessemerError, ProjectError, UsageError

NAMES = [f"pixel{i}" for i in range(10)]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    X, digit = load_digits(return_X_y=True)
    return pd.DataFrame(X[:600, 18:28], columns=NAMES).assign(
        odd=np.where(digit[:600] % 2, "yes", "no"), note="x"
    )


@pytest.fixture(scope="module")
def folder(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of half of the rows as LightGBM and as skops keep them, and the other half as data."""
    import lightgbm
    import skops.io

    at = tmp_path_factory.mktemp("models")
    learn, rest = rows[:300], rows[300:]
    boosted = lightgbm.LGBMClassifier(n_estimators=10, num_leaves=7, verbose=-1, n_jobs=1)
    boosted.fit(learn[NAMES], learn["odd"]).booster_.save_model(at / "boosted.txt")
    skops.io.dump(LogisticRegression(max_iter=500).fit(learn[NAMES], learn["odd"]), at / "linear.skops")
    rest.to_parquet(at / "rows.parquet")
    return at


def call(*args: object, cwd: Path) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "bessemer", "import", *map(str, args)], cwd=cwd,
        env={**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_a_package_at_once(folder: Path, tmp_path: Path) -> None:
    done = call(folder / "boosted.txt", "--target", "odd", "--classes", "no,yes", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "wrote boosted.bsm, from LightGBM text\n  binary of odd: no, yes; 10 columns"
    )
    assert "what monitoring compares with" in done.stdout
    assert verify(tmp_path / "boosted.bsm")["task"] == "binary"
    model = load(tmp_path / "boosted.bsm")
    assert "evaluation.json" in model.provenance["imported"]["lacks"]
    assert "has not seen its data" in model.card
    again = call(folder / "boosted.txt", cwd=tmp_path)
    assert again.returncode == 2
    assert "boosted.bsm is there already" in again.stderr


@pytest.mark.slow
def test_a_pickle_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"a": 1}))
    done = call("model.pkl", cwd=tmp_path)
    assert done.returncode == 5
    assert "refused unopened" in done.stderr
    assert 'skops.io.dump(joblib.load("model.pkl"), "model.skops")' in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.glob("*.bsm")) == []


@pytest.mark.slow
def test_options_of_models_are_refused_for_projects(tmp_path: Path) -> None:
    (tmp_path / "ludwig.yaml").write_text("input_features: []\noutput_features: []\n")
    done = call("ludwig.yaml", "--target", "y", cwd=tmp_path)
    assert done.returncode == 2
    assert "--target is for models" in done.stderr


def test_the_same_file_makes_the_same_members(folder: Path, tmp_path: Path) -> None:
    from bessemer.package.read import read_package

    made = [import_model(folder / "boosted.txt", output=tmp_path / f"{i}.bsm", name="m").path for i in (1, 2)]
    first, second = (read_package(path).members for path in made)
    assert {n: bytes(c) for n, c in first.items()} == {n: bytes(c) for n, c in second.items()}


def test_data_needs_a_target(folder: Path) -> None:
    with pytest.raises(UsageError, match="--data needs --target"):
        import_model(folder / "boosted.txt", data="rows.parquet")


@pytest.mark.slow
def test_with_data_the_whole_flow_judges_the_model_as_it_is(
    folder: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    done = call(
        folder / "boosted.txt", "--data", folder / "rows.parquet", "--target", "odd", "--classes", "no,yes",
        "-o", "odd.bsm", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["lacks"] == {}
    assert told["metrics"]["roc_auc"]["value"] > 0.65
    alone = import_model(folder / "boosted.txt", output=tmp_path / "alone.bsm", classes=["no", "yes"])
    model = load(tmp_path / "odd.bsm")
    agree(model, rows[NAMES], answers(load(alone.path), rows[NAMES]), 1e-7)
    for member in ("evaluation.json", "explanations.json", "reference.json", "contract.yaml", "report.html"):
        assert member in model.contents
    assert {row["learner"] for row in _leaderboard(tmp_path / "odd")} == {"given", "constant", "linear"}
    again = Project(tmp_path / "odd").run()
    assert {stage.status for stage in again.stages} == {"cached"}
    import_model(
        folder / "linear.skops", output=tmp_path / "odd" / "given.bsm", target="odd", force=True, name="odd"
    )
    changed = {one.stage: one.status for one in Project(tmp_path / "odd").run(upto="train").stages}
    assert (changed["acquire"], changed["prepare"], changed["train"]) == ("cached", "ran", "ran")


def _leaderboard(project: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((project / "build" / "leaderboard.json").read_text())["rows"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "settings", "said"),
    [
        ("linear.skops", {"columns": [*NAMES[:9], "elsewhere"]}, "elsewhere"),
        ("boosted.txt", {}, "the classes of given.bsm are 0, 1, and those of 'odd' are no, yes"),
    ],
)
def test_data_of_another_model_is_refused_in_words(
    folder: Path, file: str, settings: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises(BessemerError) as error:
        import_model(
            folder / file,
            data=str(folder / "rows.parquet"),
            target="odd",
            output=tmp_path / "m.bsm",
            **settings,
        )
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"prepare": {"given": "m.bsm", "derive": {"a": "1"}}}, "derive would make others"),
        ({"train": {"given": "m.bsm", "learner": "linear"}}, "learner would train another"),
    ],
)
def test_settings_that_a_given_model_cannot_have(section: Any, said: str, tmp_path: Path) -> None:
    (tmp_path / "bessemer.yaml").write_text(yaml.safe_dump({"data": "a.csv", "target": "y", **section}))
    with pytest.raises(ProjectError) as error:
        Project(tmp_path)
    assert said in str(error.value)


def test_what_is_in_the_way_is_told_before_anything_is_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.bsm").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        import_model(folder / "boosted.txt", output=tmp_path / "a.bsm", force=True)
    (tmp_path / "b").write_text("a file")
    judged: dict[str, Any] = {"data": str(folder / "rows.parquet"), "target": "odd", "force": True}
    with pytest.raises(UsageError, match="is a file"):
        import_model(folder / "boosted.txt", output=tmp_path / "b.bsm", **judged)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "bessemer.yaml").write_text("data: mine.csv\ntarget: y\n")
    with pytest.raises(UsageError, match="not the project of an imported model"):
        import_model(folder / "boosted.txt", output=tmp_path / "c.bsm", **judged)
    assert (tmp_path / "c" / "bessemer.yaml").read_text() == "data: mine.csv\ntarget: y\n"


def test_a_model_that_is_refused_leaves_no_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.txt").write_text((folder / "boosted.txt").read_text()[:2000])
    with pytest.raises(BessemerError):
        import_model(
            tmp_path / "cut.txt", data=str(folder / "rows.parquet"), target="odd", output=tmp_path / "m.bsm"
        )
    assert not (tmp_path / "m").exists()


def test_scores_are_for_onnx(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--scores is for graphs"):
        import_model(folder / "boosted.txt", scores="logits", output=tmp_path / "m.bsm")
