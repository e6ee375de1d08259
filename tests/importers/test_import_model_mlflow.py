"""Model folders of MLflow: the file that MLmodel names is read, with what the folder says beside it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_model_support import agree, imported
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from bessemer.core.errors import BessemerError, FormatError, UsageError
from bessemer.importers.models.foreign import Asked
from bessemer.importers.models.formats import FOLDERS, format_of

X, DIGIT = (part[:300] for part in load_digits(return_X_y=True))
X = pd.DataFrame(X[:, 16:22], columns=list("abcdef"))
ODD = np.where(DIGIT % 2, "odd", "even")


def inputs(names: str = "abcdef", kind: str = "double") -> str:
    return json.dumps([{"type": kind, "name": name, "required": True} for name in names])


def folder(place: Path, flavors: dict[str, Any], files: dict[str, bytes], **said: Any) -> Path:
    """A model folder."""
    place.mkdir(parents=True)
    text = {
        "flavors": flavors,
        "mlflow_version": "3.17.2",
        "signature": {"inputs": inputs(), "outputs": None},
        **said,
    }
    (place / "MLmodel").write_text(yaml.safe_dump(text), "utf-8")
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return place


def boosted(table: Any = X) -> lightgbm.LGBMClassifier:
    return lightgbm.LGBMClassifier(n_estimators=3, num_leaves=5, verbose=-1, n_jobs=1).fit(table, ODD)


def booster() -> bytes:
    return boosted().booster_.model_to_string().encode()


def test_the_signature_names_the_columns_where_the_file_does_not(tmp_path: Path) -> None:
    grown = xgboost.XGBClassifier(n_estimators=3, max_depth=3, n_jobs=1).fit(X.to_numpy(), DIGIT % 2)
    saved = bytes(grown.get_booster().save_raw("ubj"))
    place = folder(tmp_path / "m", {"xgboost": {"data": "model.ubj"}}, {"model.ubj": saved})
    model = imported(place)
    assert [field.name for field in model.signature.inputs] == list("abcdef")
    agree(model, X, grown.predict_proba(X.to_numpy()))
    numbered = boosted(X.to_numpy()).booster_.model_to_string().encode()
    place = folder(tmp_path / "n", {"lightgbm": {"data": "model.lgb"}}, {"model.lgb": numbered})
    assert [field.name for field in imported(place).signature.inputs] == list("abcdef")


@pytest.mark.parametrize(
    "signature",
    [
        None,
        {"inputs": inputs("abc")},
        {"inputs": '[{"type": "tensor"}]'},
        {"inputs": inputs(kind="object")},
        {"inputs": 3},
    ],
)
def test_a_signature_that_does_not_fit_names_nothing(signature: Any, tmp_path: Path) -> None:
    grown = xgboost.XGBClassifier(n_estimators=1, max_depth=1, n_jobs=1).fit(X.to_numpy(), DIGIT % 2)
    saved = bytes(grown.get_booster().save_raw("json"))
    place = folder(tmp_path / "m", {"xgboost": {"data": "m"}}, {"m": saved}, signature=signature)
    assert [field.name for field in imported(place).signature.inputs] == [f"f{i}" for i in range(6)]


def test_an_estimator_of_lightgbm_in_skops_has_its_classes(tmp_path: Path) -> None:
    grown = boosted()
    place = folder(tmp_path / "m", {"lightgbm": {"data": "m.skops"}}, {"m.skops": skops.io.dumps(grown)})
    model = imported(place)
    assert model.classes == ("even", "odd")
    agree(model, X, grown.predict_proba(X))
    assert imported(place / "MLmodel").classes == ("even", "odd")


def test_scikit_learn_kept_by_skops(tmp_path: Path) -> None:
    fitted = LogisticRegression(max_iter=2000).fit(X, ODD)
    kept = {"pickled_model": "model.skops", "serialization_format": "skops"}
    place = folder(tmp_path / "m", {"sklearn": kept}, {"model.skops": skops.io.dumps(fitted)})
    agree(imported(place), X, fitted.predict_proba(X))


@pytest.mark.parametrize(
    ("flavour", "line"),
    [
        ("sklearn", 'serialization_format="skops"'),
        ("lightgbm", 'save_model("model.txt")'),
        ("xgboost", 'save_model("model.json")'),
        ("catboost", 'format="json"'),
    ],
)
def test_a_pickle_in_a_folder_is_refused_with_the_lines_that_convert_it(
    flavour: str, line: str, tmp_path: Path
) -> None:
    key = "pickled_model" if flavour == "sklearn" else "data"
    place = folder(tmp_path / "m", {flavour: {key: "model.pkl"}}, {"model.pkl": pickle.dumps([1])})
    with pytest.raises(FormatError, match=r"'model.pkl'.*pickle.*refused unopened") as error:
        imported(place)
    assert line in error.value.fix
    assert f"mlflow.{flavour}.load_model" in error.value.fix


@pytest.mark.parametrize(
    ("flavors", "words"),
    [
        ({"lightgbm": {"data": "../secret"}}, "not in the folder"),
        ({"lightgbm": {"data": "/etc/passwd"}}, "not in the folder"),
        ({"lightgbm": {"data": "model.lgb/../model.lgb"}}, "not in the folder"),
        ({"lightgbm": {}}, "names no file"),
        ({"lightgbm": {"data": ["model.lgb"]}}, "names no file"),
        ({"lightgbm": {"data": "note.txt"}}, "no form of a model"),
        ({"prophet": {"data": "model.lgb"}}, "flavour prophet of MLflow is not read"),
        ({"python_function": {"loader_module": "os"}}, "function of Python alone, which 'os' loads"),
        ({}, "function of Python alone"),
        ([], "names no flavors"),
    ],
)
def test_what_a_folder_may_not_say(flavors: Any, words: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(booster())
    place = folder(tmp_path / "m", flavors, {"model.lgb": booster(), "note.txt": b"hello"})
    with pytest.raises(FormatError) as error:
        imported(place)
    assert words in f"{error.value} {error.value.why}"


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(booster())
    place = folder(tmp_path / "m", {"lightgbm": {"data": "model.lgb"}}, {})
    (place / "model.lgb").symlink_to(tmp_path / "secret")
    with pytest.raises(FormatError, match="no plain file"):
        imported(place)


@pytest.mark.parametrize(
    "text",
    [
        "flavors: &a {x: [1]}\nmore: *a",
        "flavors: !!python/object/apply:os.system ['touch ran']",
        "flavors: {a: [",
        "\x00",
        "[" * 5000,
        "flavors: 1",
        "",
    ],
)
def test_an_mlmodel_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    place = folder(tmp_path / "m", {}, {})
    (place / "MLmodel").write_text(text, "utf-8")
    with pytest.raises(FormatError):
        imported(place)
    assert not Path("ran").exists()


def test_scores_are_for_onnx(tmp_path: Path) -> None:
    place = folder(tmp_path / "m", {"lightgbm": {"data": "model.lgb"}}, {"model.lgb": booster()})
    with pytest.raises(UsageError, match="--scores"):
        imported(place, scores="logits")
    graph = (Path(__file__).parent / "onnx" / "logistic_zipmap.onnx").read_bytes()
    place = folder(tmp_path / "n", {"onnx": {"data": "model.onnx"}}, {"model.onnx": graph}, signature=None)
    assert format_of(place) == "mlflow"
    assert imported(place, scores="probabilities").task == "binary"


ODDITIES = ["", "null", "[]", "{}", "9" * 30, "../x", "\\x00", "*a", "&a ", "!!x ", ": ", "- ", '"']


@settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_damaged_folders_are_models_or_are_refused(data: st.DataObject) -> None:
    text = yaml.safe_dump(
        {"flavors": {"lightgbm": {"data": "m"}}, "signature": {"inputs": inputs()}, "model_uuid": "1"}
    )
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        end = at + data.draw(st.sampled_from([0, 1, 5, 1000]))
        text = text[:at] + data.draw(st.sampled_from(ODDITIES)) + text[end:] or "x"
    try:
        found = FOLDERS.load("mlflow")().read({"MLmodel": text.encode(), "m": booster()}, Asked())
    except BessemerError:
        return
    assert found.inputs


@pytest.mark.slow
def test_what_mlflow_itself_writes(tmp_path: Path) -> None:
    import catboost
    import mlflow
    import onnx

    needs: dict[str, Any] = {
        "pip_requirements": ["none"]
    }  # MLflow would load each model in a process to find them
    signature = mlflow.models.infer_signature(X, ODD)
    grown, fitted = boosted(), LogisticRegression(max_iter=2000).fit(X, ODD)
    trees = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X.to_numpy(), DIGIT % 2)
    oblivious = catboost.CatBoostClassifier(
        iterations=3, verbose=0, allow_writing_files=False, thread_count=1
    )
    oblivious.fit(X, ODD)
    graph = onnx.load(Path(__file__).parent / "onnx" / "logistic_zipmap.onnx")
    save = {
        "lightgbm": lambda at: mlflow.lightgbm.save_model(grown, at, signature=signature, **needs),
        "booster": lambda at: mlflow.lightgbm.save_model(grown.booster_, at, signature=signature, **needs),
        "xgboost": lambda at: mlflow.xgboost.save_model(trees, at, signature=signature, **needs),
        "catboost": lambda at: mlflow.catboost.save_model(
            oblivious, at, signature=signature, format="json", **needs
        ),
        "skops": lambda at: mlflow.sklearn.save_model(
            fitted, at, signature=signature, serialization_format="skops", **needs
        ),
        "onnx": lambda at: mlflow.onnx.save_model(graph, at, save_as_external_data=False, **needs),
    }
    wanted = {
        "lightgbm": grown.predict_proba(X), "booster": grown.predict_proba(X),
        "xgboost": trees.predict_proba(X.to_numpy()), "catboost": oblivious.predict_proba(X),
        "skops": fitted.predict_proba(X),
    }  # fmt: skip
    for name, write in save.items():
        write(tmp_path / name)
        model = imported(tmp_path / name)
        if name in wanted:
            assert [field.name for field in model.signature.inputs] == list("abcdef")
            agree(model, X, wanted[name])
    mlflow.catboost.save_model(oblivious, tmp_path / "cbm", **needs)
    mlflow.sklearn.save_model(fitted, tmp_path / "pickle", serialization_format="pickle", **needs)
    for name in ("cbm", "pickle"):
        with pytest.raises(FormatError, match="refused unopened"):
            imported(tmp_path / name)
