"""Scikit-learn's models through skops: pipelines, linear models, trees, perceptrons; nothing of them is constructed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from import_model_support import agree, answers, imported
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from bessemer.core.errors import BessemerError, FormatError

X, DIGIT = (part[:400] for part in load_digits(return_X_y=True))
X = X[:, 16:28]
HOLED = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
WORDS = np.array(["low", "mid", "top"])[DIGIT // 4]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads of OpenMP wait for each other where the machine is busy."""
    with threadpool_limits(1):
        yield


def table(rows: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[f"f{i}" for i in range(rows.shape[1])])


def kept(model: Any, folder: Path) -> Path:
    skops.io.dump(model, folder / "model.skops")
    return folder / "model.skops"


def imputed(last: Any, scaler: Any = None) -> Any:
    return make_pipeline(SimpleImputer(), scaler or StandardScaler(), last)


@pytest.mark.parametrize("y", [DIGIT % 2, WORDS], ids=["two", "three"])
@pytest.mark.parametrize(
    ("model", "rows"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), X),
        (imputed(LogisticRegression(), MinMaxScaler()), HOLED),
        (RandomForestClassifier(8, random_state=0), HOLED),
        (imputed(RandomForestClassifier(8, random_state=0)), HOLED),
        (ExtraTreesClassifier(8, random_state=0), X),
        (DecisionTreeClassifier(max_depth=5, random_state=0), X),
        (GradientBoostingClassifier(n_estimators=4, random_state=0), X),
        (HistGradientBoostingClassifier(max_iter=4), HOLED),
        (make_pipeline(StandardScaler(), MLPClassifier((8, 4), max_iter=20, tol=1, random_state=0)), X),
    ],
    ids=lambda value: type(value).__name__ + str(len(getattr(value, "steps", ""))),
)
def test_classes(model: Any, rows: np.ndarray, y: np.ndarray, tmp_path: Path) -> None:
    model.fit(rows, y)
    made = imported(kept(model, tmp_path))
    assert list(made.classes) == list(model.classes_)
    agree(made, table(rows), model.predict_proba(rows))
    assert answers(made, table(rows), "prediction").tolist() == model.predict(rows).tolist()


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        (LinearRegression(), X),
        (imputed(Ridge()), HOLED),
        (RandomForestRegressor(8, random_state=0), HOLED),
        (GradientBoostingRegressor(n_estimators=4, random_state=0), X),
        (HistGradientBoostingRegressor(max_iter=4, loss="poisson"), HOLED),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numbers(model: Any, rows: np.ndarray, tmp_path: Path) -> None:
    model.fit(rows, DIGIT + 0.5)
    agree(imported(kept(model, tmp_path)), table(rows), model.predict(rows))


@pytest.mark.parametrize(
    "last", [LogisticRegression(), RandomForestClassifier(8, random_state=0)], ids=["linear", "trees"]
)
def test_columns_of_several_kinds(last: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(
        {
            "a": X[:, 3],
            "town": rng.choice(["rye", "ely", "bath"], 400),
            "floor": rng.choice([1, 5], 400),
            "b": HOLED[:, 5],
        }
    ).astype({"town": object})
    y = (X[:, 3] > 5) ^ (rows["town"] == "rye").to_numpy()
    parts = [
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["a", "b"]),
        ("words", OneHotEncoder(handle_unknown="ignore"), ["town", "floor"]),
    ]
    model = make_pipeline(ColumnTransformer(parts), last).fit(rows, np.where(y, "yes", "no"))
    made = imported(kept(model, tmp_path))
    assert {f.name: f.dtype for f in made.signature.inputs} == {
        "a": "number", "b": "number", "town": "string", "floor": "integer",
    }  # fmt: skip
    agree(made, rows, model.predict_proba(rows))
    unknown = rows.assign(town="nowhere")
    agree(made, unknown, model.predict_proba(unknown))


def test_ordinal_codes_and_the_rest(tmp_path: Path) -> None:
    rows = pd.DataFrame({"town": WORDS.astype(object), "a": X[:, 3], "b": X[:, 4]})
    front = ColumnTransformer([("words", OrdinalEncoder(), ["town"])], remainder="passthrough")
    model = make_pipeline(front, HistGradientBoostingClassifier(max_iter=4)).fit(rows, DIGIT % 2)
    agree(imported(kept(model, tmp_path)), rows, model.predict_proba(rows))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (SVC(), "SVC cannot be taken over"),
        (make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()), "on the list of trusted ones"),
        (make_pipeline(SimpleImputer(add_indicator=True), LogisticRegression()), "adds indicators"),
    ],
    ids=["kind", "code", "indicator"],
)
def test_what_has_no_counterpart_is_refused_with_words(model: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=said):
        imported(kept(model.fit(HOLED if "indicator" in said else X, DIGIT % 2), tmp_path))


@pytest.mark.parametrize(
    ("last", "imputer"),
    [
        (LogisticRegression(), [SimpleImputer(strategy="most_frequent")]),  # it refuses missing values itself
        (RandomForestClassifier(8, random_state=0), [SimpleImputer(strategy="most_frequent")]),
        (RandomForestClassifier(8, random_state=0), []),
        (HistGradientBoostingClassifier(max_iter=4), [SimpleImputer(strategy="most_frequent")]),
        (HistGradientBoostingClassifier(max_iter=4), []),
    ],
    ids=["linear", "forest", "forest as it is", "boosting", "boosting as it is"],
)
def test_missing_codes_are_imputed_where_the_pipeline_does(last: Any, imputer: Any, tmp_path: Path) -> None:
    rows = pd.DataFrame({"town": WORDS.astype(object), "a": X[:, 3]})
    rows.loc[rows.index % 5 == 0, "town"] = None
    words = make_pipeline(OrdinalEncoder(), *imputer, StandardScaler())
    front = ColumnTransformer([("words", words, ["town"])], remainder="passthrough")
    model = make_pipeline(front, last).fit(rows, (WORDS == "top") ^ rows["town"].isna())
    agree(imported(kept(model, tmp_path)), rows, model.predict_proba(rows))


def test_an_empty_text_among_the_categories_is_told(tmp_path: Path) -> None:
    rows = pd.DataFrame({"town": np.where(WORDS == "low", "", WORDS).astype(object), "a": X[:, 3]})
    front = ColumnTransformer([("words", OrdinalEncoder(), ["town"])], remainder="passthrough")
    model = make_pipeline(front, DecisionTreeClassifier(max_depth=4)).fit(rows, WORDS == "low")
    made = imported(kept(model, tmp_path))
    agree(made, rows, model.predict_proba(rows))
    assert any("empty text" in note for note in made.provenance["imported"]["notes"])


@pytest.mark.parametrize(
    "last", [LogisticRegression(), DecisionTreeClassifier(max_depth=4)], ids=["linear", "tree"]
)
def test_weights_of_transformers_are_taken_over(last: Any, tmp_path: Path) -> None:
    rows = pd.DataFrame({"town": WORDS.astype(object), "a": X[:, 3], "b": HOLED[:, 4]})
    parts = [
        ("words", OneHotEncoder(), ["town"]),
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["a", "b"]),
    ]
    front = ColumnTransformer(parts, transformer_weights={"words": 0.25, "numbers": 3})
    model = make_pipeline(front, last).fit(rows, DIGIT % 2)
    agree(imported(kept(model, tmp_path)), rows, model.predict_proba(rows))


def test_a_weight_of_nothing_is_refused(tmp_path: Path) -> None:
    front = ColumnTransformer([("all", StandardScaler(), [0, 1])], transformer_weights={"all": 0})
    model = make_pipeline(front, LogisticRegression()).fit(X, DIGIT % 2)
    with pytest.raises(FormatError, match="has the weight 0"):
        imported(kept(model, tmp_path))


OFFSET = np.stack([1.7e9 + 128.0 * np.arange(400), X[:, 3]], axis=1)  # values of float32, whose mean is none


@pytest.mark.parametrize(
    "last",
    [LogisticRegression(C=100), MLPClassifier((4,), max_iter=20, tol=1, random_state=0)],
    ids=["linear", "perceptron"],
)
def test_large_offsets_are_exact(last: Any, tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), last).fit(OFFSET, OFFSET[:, 0] > OFFSET[:, 0].mean())
    agree(imported(kept(model, tmp_path)), table(OFFSET), model.predict_proba(OFFSET))


def test_a_perceptron_of_numbers(tmp_path: Path) -> None:
    model = make_pipeline(
        StandardScaler(), MLPRegressor(hidden_layer_sizes=(8,), max_iter=20, tol=1, random_state=0)
    )
    model.fit(X, DIGIT + 0.5)
    agree(imported(kept(model, tmp_path)), table(X), model.predict(X))


@pytest.mark.parametrize(
    ("model", "y", "said"),
    [
        (
            MLPRegressor(loss="poisson", hidden_layer_sizes=(4,), max_iter=5, tol=1),
            DIGIT + 0.5,
            "ends with 'exp'",
        ),
        (
            MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, tol=1),
            np.stack([DIGIT, -DIGIT], axis=1),
            "2 scores a row",
        ),
        (MLPClassifier((4,), max_iter=5, tol=1), np.stack([DIGIT % 2, DIGIT > 4], axis=1), "2 scores a row"),
        (
            MLPClassifier((4,), max_iter=5, tol=1),
            np.stack([DIGIT % 2, DIGIT > 4, DIGIT > 6], axis=1),
            "ends with 'logistic'",
        ),
    ],
    ids=["poisson", "targets", "two labels", "labels"],
)
def test_perceptrons_of_other_outputs_are_refused(model: Any, y: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=said):
        imported(kept(model.fit(X, y), tmp_path))


def older(file: Path, multi_class: str, solver: str) -> Path:
    """The archive as scikit-learn before 1.8 wrote it, with `multi_class`."""

    def change(schema: Any, files: Any) -> None:
        state = schema["content"]["content"]
        word = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "is_json": True}
        state["multi_class"] = {**word, "content": json.dumps(multi_class)}
        state["solver"] = {**word, "content": json.dumps(solver)}

    return rewritten(file, change)


@pytest.mark.parametrize(
    ("multi_class", "solver"), [("auto", "liblinear"), ("deprecated", "liblinear"), ("ovr", "lbfgs")]
)
def test_one_class_against_the_rest_is_refused(multi_class: str, solver: str, tmp_path: Path) -> None:
    file = kept(make_logistic(WORDS), tmp_path)
    imported(older(file, "auto", "lbfgs"))
    with pytest.raises(FormatError, match="one class against the rest"):
        imported(older(file, multi_class, solver))


def make_logistic(y: np.ndarray) -> LogisticRegression:
    return LogisticRegression(max_iter=500).fit(X / 16, y)


def test_two_classes_of_an_older_multinomial_model(tmp_path: Path) -> None:
    model = make_logistic(DIGIT % 2)
    p = 1 / (1 + np.exp(-2 * model.decision_function(X / 16)))
    made = imported(older(kept(model, tmp_path), "multinomial", "lbfgs"))
    agree(made, table(X / 16), np.stack([1 - p, p], axis=1))


def rewritten(file: Path, change: Any) -> Path:
    """The archive with another tree of types."""
    with zipfile.ZipFile(file) as old:
        files = {name: old.read(name) for name in old.namelist()}
    schema = json.loads(files.pop("schema.json"))
    change(schema, files)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in files.items():
            new.writestr(name, content)
        new.writestr("schema.json", json.dumps(schema))
    file.write_bytes(made.getvalue())
    return file


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s, f: s.update({"__module__": "os", "__class__": "system"}), "'os.system'"),
        (lambda s, f: f.update({"9.npy": bytes(2**20)}), "unfolds to"),
        (lambda s, f: f.update({n: c.replace(b"(1, 12)", b"(9, 99)") for n, c in f.items()}), "values of"),
        (lambda s, f: s.update(protocol=99), "protocol 99"),
        (lambda s, f: f.clear(), "has no"),
    ],
    ids=["code", "bomb", "shape", "protocol", "lost"],
)
def test_hostile_archives_are_refused(
    change: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bessemer.importers.models.sklearn.archive.LARGEST", 2**20)
    file = kept(LogisticRegression().fit(X, DIGIT % 2), tmp_path)
    with pytest.raises(BessemerError, match=said):
        imported(rewritten(file, change))


def test_a_tree_of_types_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m", "w") as archive:
        archive.writestr("1.npy", b"")
        archive.writestr("schema.json", '{"content": ' + "[" * 100_000)
    with pytest.raises(FormatError, match="skops is damaged"):
        imported(tmp_path / "m")


def test_arrays_that_are_named_often_are_counted_as_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = io.BytesIO()
    np.save(array, np.zeros(2**10))

    def change(schema: Any, files: Any) -> None:
        state = schema["content"]["content"]
        files["9.npy"] = array.getvalue()
        state.update({f"again{i}": {**state["coef_"], "file": "9.npy"} for i in range(40)})

    file = rewritten(kept(LogisticRegression().fit(X, DIGIT % 2), tmp_path), change)
    monkeypatch.setattr("bessemer.importers.models.sklearn.archive.LARGEST", 2**18)
    with pytest.raises(FormatError, match="some of them often"):
        imported(file)


def test_a_damaged_archive_of_lzma_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("schema.json", '{"protocol":1}' * 100)
    content = bytearray((tmp_path / "m").read_bytes())
    at = content.find(b"schema.json") + 20
    content[at : at + 8] = b"\xff" * 8
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(FormatError, match="skops is damaged"):
        imported(tmp_path / "m")
