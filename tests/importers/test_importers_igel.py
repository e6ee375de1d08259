"""igel's file: dataset, model and target become what they mean, or are listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from importers_support import imported

from bessemer.core.errors import ProjectError, UsageError

FOREST = """
dataset:
    type: csv
    split:
        test_size: 0.2
        shuffle: True
        stratify: default
    preprocess:
        missing_values: mean
        encoding:
            type: oneHotEncoding
        scale:
            method: standard
            target: inputs
model:
    type: classification
    algorithm: RandomForest
    arguments:
        n_estimators: 100
        max_depth: 30
target:
    - sick
"""


def model(algorithm: str, kind: str = "classification", **arguments: Any) -> str:
    value = {"model": {"type": kind, "algorithm": algorithm, "arguments": arguments}, "target": ["y"]}
    return json.dumps(value)


def test_the_forest_of_the_readme(tmp_path: Path) -> None:
    found = imported(tmp_path, FOREST)
    assert found.keys == {
        "data": "data.csv",
        "target": "sick",
        "prepare": {"split": {"test": "20%", "method": "random"}, "max_onehot": 1000, "target_mean": False},
        "train": {"learner": "random_forest", "params": {"n_estimators": 100, "max_depth": 30}},
    }
    assert not found.lost
    assert found.approximate["dataset.preprocess.missing_values"].line == 9


def test_json_with_tabs_is_the_same(tmp_path: Path) -> None:
    text = json.dumps(json.loads(model("Ridge", "regression", alpha=3)), indent="\t")
    found = imported(tmp_path, text, name="igel.json")
    assert found.keys["train"] == {"learner": "linear", "params": {"l2": 3.0}}
    assert found.keys["task"] == "regression"


@pytest.mark.parametrize(
    ("algorithm", "learner"),
    [
        ("RandomForest", "random_forest"), ("random forest", "random_forest"), ("forest", "random_forest"),
        ("RandomForestClassifier", "random_forest"), ("ExtraTrees", "extra_trees"), ("DecisionTree", "random_forest"),
        ("GradientBoosting", "hist_boosting"), ("Adaboost", "lightgbm"), ("LogisticRegression", "linear"),
        ("logistic regression", "linear"), ("Perceptron", "linear"), ("NeuralNetwork", "mlp"), ("SVM", None),
        ("NearestNeighbor", None), ("GaussianNaiveBayes", None), ("Magic", None),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("network")
def test_algorithms(algorithm: str, learner: str | None, tmp_path: Path) -> None:
    found = imported(tmp_path, model(algorithm))
    assert found.keys.get("train", {}).get("learner") == learner
    assert ("model.algorithm" in found.lost) == (learner is None)


@pytest.mark.parametrize(
    ("text", "params"),
    [
        (model("LogisticRegression", C=0.5, penalty="l1", solver="saga"), {"l2": 2.0, "l1_ratio": 1.0}),
        (model("LinearRegression", "regression"), {"l2": 1e-6}),
        (model("Lasso", "regression", alpha=0.1), {"l1_ratio": 1}),
        (model("ElasticNet", "regression", l1_ratio=0.3), {"l1_ratio": 0.3}),
        (model("RandomForest", criterion="log_loss", max_features="sqrt"), {"criterion": "entropy"}),
        (
            model("NeuralNetwork", hidden_layer_sizes=[50, 50], max_iter=9),
            {"hidden_layers": 2, "hidden_size": 50, "epochs": 9},
        ),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("network")
def test_arguments_become_parameters(text: str, params: dict[str, Any], tmp_path: Path) -> None:
    assert imported(tmp_path, text).keys["train"]["params"] == params


def test_arguments_of_boosting_that_are_settings_of_train(tmp_path: Path) -> None:
    text = model(
        "GradientBoosting", "regression", n_estimators=70, loss="quantile", alpha=0.9, n_iter_no_change=5
    )
    assert imported(tmp_path, text).keys["train"] == {
        "learner": "hist_boosting", "rounds": 70, "early_stopping": 5, "quantile": 0.9,
    }  # fmt: skip


def test_what_means_the_same_for_every_learner(tmp_path: Path) -> None:
    found = imported(
        tmp_path, model("RandomForest", random_state=5, n_jobs=2, class_weight="balanced", verbose=1)
    )
    assert (found.keys["seed"], found.keys["resources"]) == (5, {"threads": 2})
    assert found.keys["train"]["class_weight"] == "balanced"
    assert set(found.lost) == {"model.arguments.verbose"}


def test_arguments_that_the_learner_refuses_are_listed_with_the_reason(tmp_path: Path) -> None:
    found = imported(
        tmp_path, model("RandomForest", n_estimators=10**7, max_depth="deep", min_samples_split=4)
    )
    assert set(found.lost) == {
        f"model.arguments.{n}" for n in ("n_estimators", "max_depth", "min_samples_split")
    }
    assert "not between" in found.lost["model.arguments.n_estimators"].why


SEARCH = """
model:
    type: classification
    algorithm: RandomForest
    hyperparameter_search:
        method: {method}
        parameter_grid:
            max_depth: [6, 10]
            max_features: [auto, sqrt]
        arguments:
            cv: 4
            refit: true
            scoring: f1
            verbose: 0
target: [sick]
"""


@pytest.mark.parametrize(
    ("method", "more"),
    [("grid_search", {"search": "grid"}), ("random_search", {"search": "random", "trials": 10})],
)
def test_a_search_becomes_automl(method: str, more: dict[str, Any], tmp_path: Path) -> None:
    found = imported(tmp_path, SEARCH.format(method=method))
    assert found.keys["train"] == {
        "automl": {"budget": "2m", "learners": ["random_forest"], "members": 1, "folds": 4, **more},
        "metric": "f1",
    }
    assert found.keys["task"] == "binary"
    grid = "model.hyperparameter_search.parameter_grid"
    assert set(found.lost) == {f"{grid}.max_depth", f"{grid}.max_features"}


@pytest.mark.usefixtures("bare")
def test_without_its_libraries_the_file_still_runs(tmp_path: Path) -> None:
    found = imported(tmp_path, SEARCH.format(method="grid_search"))
    assert found.keys["train"]["automl"]["search"] == "none"
    found = imported(tmp_path, model("NeuralNetwork", max_iter=5))
    assert "train" not in found.keys
    assert "pip install 'bessemer[torch]'" in found.approximate["model.algorithm"].why
    assert "model.arguments.max_iter" in found.lost


def test_an_estimator_with_cross_validation(tmp_path: Path) -> None:
    text = (
        FOREST.replace("RandomForest", "Ridge").partition("    arguments")[0]
        + "    use_cv_estimator: true\ntarget: [sick]"
    )
    found = imported(tmp_path, text)
    assert found.keys["train"]["automl"]["learners"] == ["linear"]
    found = imported(tmp_path, model("RandomForest").replace('"type"', '"use_cv_estimator": true, "type"'))
    assert "model.use_cv_estimator" in found.lost


def test_cross_validation_is_listed(tmp_path: Path) -> None:
    text = FOREST.replace(
        "    arguments:", "    cross_validate: {cv: 5, n_jobs: 2, scoring: roc_auc}\n    arguments:"
    )
    found = imported(tmp_path, text)
    assert set(found.lost) == {"model.cross_validate.cv"}
    assert found.keys["train"]["metric"] == "roc_auc"


def test_how_the_data_is_read(tmp_path: Path) -> None:
    text = """
dataset:
    type: csv
    read_data_options:
        sep: ";"
        header: 0
        na_values: ["?"]
        keep_default_na: false
        dtype: {zip: str, odd: complex}
        parse_dates: [day]
        encoding: latin-1
        nrows: 500
        usecols: [zip, day, odd]
        index_col: id
        skiprows: 2
        low_memory: false
        prefix:
model: {type: regression, algorithm: Ridge}
target: [y]
"""
    found = imported(tmp_path, text, data="table.dat")
    assert found.keys["acquire"]["sources"]["data"] == {
        "csv": "table.dat",
        "delimiter": ";",
        "encoding": "latin-1",
        "null": ["?"],
        "types": {"zip": "string", "day": "timestamp"},
    }
    assert found.keys["acquire"]["sql"] == (
        'select\n  "zip",\n  "day",\n  "odd",\n  "id",\n  "y"\nfrom data\nlimit 500\n'
    )
    assert found.keys["prepare"]["exclude"] == ["id"]
    assert set(found.lost) == {f"dataset.read_data_options.{name}" for name in ("dtype.odd", "skiprows")}
    parquet = imported(tmp_path, text, data="table.parquet")
    assert "dataset.read_data_options" in parquet.lost
    assert parquet.keys["data"] == "table.parquet"


def test_several_targets(tmp_path: Path) -> None:
    found = imported(tmp_path, "model: {type: regression, algorithm: random forest}\ntarget: [y1, y2, y3]")
    assert (found.keys["target"], found.keys["prepare"]["exclude"]) == ("y1", ["y2", "y3"])
    assert found.lost["target"].why.endswith("'y1'")
    assert found.lost["target"].nearest.endswith(", and y3 out of prepare.exclude")


def test_the_split_and_the_seed(tmp_path: Path) -> None:
    start = "model: {type: classification, algorithm: Ridge}\ntarget: y\ndataset:\n  "
    found = imported(tmp_path, start + "split: {test_size: 0.9, shuffle: false, stratify: y}")
    assert found.keys["prepare"]["split"] == {"test": "90%", "valid": "2.5%", "method": "stratified"}
    assert set(found.lost) == {"dataset.split.shuffle"}
    found = imported(
        tmp_path, start + "split: {test_size: 50}\n  random_numbers: {generate_reproducible: true}"
    )
    assert found.keys["seed"] == 42
    assert set(found.lost) == {"dataset.split.test_size"}


def test_the_file_may_say_where_the_data_is(tmp_path: Path) -> None:
    text = (
        "input: data/a.csv\ntarget: label\nmodel: {type: classification, algorithm: RandomForestClassifier, "
    )
    text += "params: {max_depth: 5}}"
    found = imported(tmp_path, text, data="")
    assert found.keys["data"] == "data/a.csv"
    assert found.keys["train"]["params"] == {"max_depth": 5}
    with pytest.raises(UsageError, match="does not say where the data is"):
        imported(tmp_path, model("Ridge"), data="")


def test_automl_on_tables(tmp_path: Path) -> None:
    found = imported(
        tmp_path, "model: {type: StructuredDataClassification, arguments: {max_trials: 3}}\ntarget: [y]"
    )
    assert found.keys["train"]["automl"]["budget"] == "2m"
    assert "model.arguments.max_trials" in found.lost


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: {type: clustering, algorithm: KMeans}\ntarget:", "clustering has no target"),
        ("model: {type: ImageClassification}\ntarget: [label]", "pictures"),
        ("model: {type: few_shot_learning, algorithm: MAML}\ntarget: [t]", "few examples"),
        ("model: {type: clasification, algorithm: Ridge}\ntarget: [y]", "did you mean 'classification'"),
        ("model: {algorithm: Ridge}\ntarget: [y]", "no type"),
        ("model: {type: regression, algorithm: Ridge}\ntarget: []", "no target"),
        ("model: {type: regression, algorithm: Ridge}\ntarget: [[1]]", "a list of texts"),
        ("model: [1]\ntarget: y", "a mapping"),
        (SEARCH.format(method="grid_serch"), "did you mean 'grid_search'"),
    ],
)
def test_what_cannot_run_is_an_error_with_the_reason(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        imported(tmp_path, text)
    assert words in str(caught.value)
    assert not (tmp_path / "bessemer.yaml").exists()
