"""Model folders of MLflow: the file that MLmodel names is read, with what the folder says beside it."""

from __future__ import annotations

import json
import pickle
import shutil
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
from import_model_support import agree, answers, imported
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from bessemer.core.errors import BessemerError, FormatError, UsageError
from bessemer.export.protocol import NoSettings, Source
from bessemer.export.targets.mlflow import MLflow
from bessemer.importers.models.foreign import Asked
from bessemer.importers.models.formats import FOLDERS, format_of
from bessemer.importers.models.mlflow import _yaml
from bessemer.importers.models.mlflow_exported import threshold_of
from bessemer.importers.models.tensorflow.messages import message

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
    place = folder(tmp_path / "n", {"onnx": {"data": "model.onnx"}}, {"model.onnx": GRAPH}, signature=None)
    assert format_of(place) == "mlflow"
    assert imported(place, scores="probabilities").task == "binary"


def test_values_stay_texts_however_long() -> None:
    """YAML's numbers of base 60 take minutes to become one."""
    said = _yaml(
        b"flavors: {a: {b: 1:1:1, c: 0x10, d: 2020-01-01, e: 1e3, f: true}}\nmany: 1" + b":1" * 20_000
    )
    assert said["flavors"]["a"] == {"b": "1:1:1", "c": "0x10", "d": "2020-01-01", "e": "1e3", "f": "true"}


def test_a_large_mlmodel_is_refused(tmp_path: Path) -> None:
    place = folder(tmp_path / "m", {"lightgbm": {"data": "m"}}, {"m": booster()}, note="x" * 2**18)
    with pytest.raises(FormatError, match="up to 262,144 are read"):
        imported(place)


GRAPH = (Path(__file__).parent / "onnx" / "logistic_zipmap.onnx").read_bytes()
OWN = {"python_function": {"loader_module": "bessemer_m_0123456789ab"}}


def own(place: Path, **said: Any) -> Path:
    """A folder as `bessemer export` writes it."""
    inputs = [{"name": f"f{i}", "dtype": "number", "tensor": "float32"} for i in range(8)]
    told = {"inputs": inputs, "task": "binary", "classes": [0, 1], **said}
    files = {"data/model.onnx": GRAPH, "data/columns.json": json.dumps(told).encode()}
    return folder(place, OWN, files, model_uuid="0123456789ab")


@pytest.mark.slow
@pytest.mark.parametrize("decision", [None, {"threshold": 0.65, "groups": []}], ids=["none", "one"])
def test_what_we_exported_keeps_its_threshold(decision: Any, tmp_path: Path) -> None:
    kept = np.load(Path(__file__).parent / "onnx" / "logistic_zipmap.npz")
    model = imported(own(tmp_path / "m", decision=decision))
    rows = pd.DataFrame(kept["rows"], columns=[f"f{i}" for i in range(8)])
    likely, threshold = kept["answers"][:, 1], decision["threshold"] if decision else 0.5
    assert ((likely > 0.5) & (likely < 0.65)).any()
    assert answers(model, rows, "prediction").tolist() == [int(p >= threshold) for p in likely]


@pytest.mark.parametrize(
    ("said", "threshold", "noted"),
    [
        ({"decision": {"threshold": 0.65, "groups": []}}, 0.65, ""),
        ({"decision": None}, 0.5, ""),
        ({}, 0.5, "does not say from which probability on 'yes' is said: 0.5 is taken"),
        ({"task": "multiclass"}, 0.5, ""),
    ],
)
def test_thresholds_of_exported_folders(said: dict[str, Any], threshold: float, noted: str) -> None:
    found, notes = threshold_of({"task": "binary", "classes": ["no", "yes"], **said})
    assert found == threshold
    assert noted in " ".join(notes)
    assert bool(noted) == bool(notes)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"decision": {"threshold": 0.5, "groups": [{}]}}, "another threshold for each group"),
        ({"decision": {"threshold": 1.5, "groups": []}}, "no probability"),
        ({"decision": [1]}, "can be read"),
        ({"decision": None, "note": "x" * 2**20}, "up to 1,048,576 are read"),
        ({"decision": None, "inputs": [{"tensor": "string"}]}, "takes texts"),
    ],
)
def test_what_an_exported_folder_may_not_say(said: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError) as error:
        imported(own(tmp_path / "m", **said))
    assert words in f"{error.value} {error.value.why}"


KERAS = Path(__file__).parent / "keras_files"
NEWER = (KERAS / "newer.keras").read_bytes()


def graph_that_reads() -> bytes:
    """A SavedModel with a function that reads files."""
    model = message("SavedModel")()
    graph = model.meta_graphs.add()
    graph.objects.functions.add(name=b"f")
    function = graph.graph.library.functions.add()
    function.signature.name = b"f"
    function.nodes.add(name=b"n", op=b"ReadFile")
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("flavour", "part", "file", "content", "words"),
    [
        ("keras", {"data": "data"}, "data/model.keras", NEWER[:3000], "file of Keras is damaged"),
        ("tensorflow", {"data": "data"}, "data/model.h5", b"\x89HDF\r\n\x1a\n" * 9, "HDF5 file holds no whole"),
        ("keras", {"data": "data"}, "data/model/saved_model.pb", graph_that_reads(), "operator ReadFile"),
        ("tensorflow", {"saved_model_dir": "tf2model"}, "tf2model/saved_model.pb", graph_that_reads(), "ReadFile"),
        ("tensorflow", {"saved_model_dir": "tf2model"}, "tf2model/x", b"", "with any of model.keras, model.h5"),
        ("tensorflow", {}, "x", b"", "has no 'data' and no 'saved_model_dir' of it"),
        ("pytorch", {"model_data": "data"}, "data/model.pth", pickle.dumps([1]), "torch.jit.save"),
    ],
)  # fmt: skip
def test_keras_tensorflow_and_torch_are_given_to_their_readers(
    flavour: str, part: dict[str, str], file: str, content: bytes, words: str, tmp_path: Path
) -> None:
    """Which refuse here what they refuse anywhere, before a library sees it."""
    place = folder(tmp_path / "m", {flavour: part}, {file: content, "other/saved_model.pb": b""})
    with pytest.raises(FormatError) as error:
        imported(place)
    assert words in f"{error.value} {error.value.why} {error.value.fix}"


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


@pytest.mark.slow
def test_a_package_goes_out_as_a_folder_and_comes_back(tmp_path: Path) -> None:
    """One that says the second class from another probability on."""
    first = imported(own(tmp_path / "own", decision={"threshold": 0.65, "groups": []}))
    (tmp_path / "out").mkdir()
    MLflow(NoSettings()).export(Source(first), tmp_path / "out")
    back = imported(tmp_path / "out")
    assert back.info["decision"]["threshold"] == 0.65
    rows = pd.DataFrame(
        np.random.default_rng(0).uniform(0, 16, (300, 8)), columns=[f"f{i}" for i in range(8)]
    )
    agree(back, rows, answers(first, rows))
    said = answers(back, rows, "prediction")
    assert said.tolist() == answers(first, rows, "prediction").tolist()
    assert set(said.tolist()) == {0, 1}


@pytest.mark.slow
def test_networks_of_torch_that_mlflow_writes(tmp_path: Path) -> None:
    import mlflow
    import torch

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).eval()
    rows = X.to_numpy(np.float32)
    wanted = net(torch.from_numpy(rows)).detach().numpy()
    needs: dict[str, Any] = {"pip_requirements": ["none"]}
    save, scripted = mlflow.pytorch.save_model, torch.jit.script(net)
    save(net, tmp_path / "program", input_example=rows[:4], serialization_format="pt2", **needs)
    save(scripted, tmp_path / "script", serialization_format="pickle", **needs)
    save(net, tmp_path / "pickle", serialization_format="pickle", **needs)
    for name in ("program", "script"):
        agree(imported(tmp_path / name, columns=list("abcdef")), X, wanted, 1e-5)
    with pytest.raises(FormatError, match="refused unopened"):
        imported(tmp_path / "pickle")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flavour", "part", "files"),
    [
        (
            "keras",
            {"data": "data"},
            {"data/model.keras": "older.keras", "data/keras_module.txt": "older.keras"},
        ),
        ("tensorflow", {"saved_model_dir": "tf2model"}, {"tf2model": "older"}),
    ],
)
def test_networks_of_keras_in_folders(
    flavour: str, part: dict[str, str], files: dict[str, str], tmp_path: Path
) -> None:
    place = folder(tmp_path / "m", {flavour: part}, {}, signature=None)
    for name, kept in files.items():
        (place / name).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (KERAS / kept).is_dir() else shutil.copy
        copy(KERAS / kept, place / name)
    said = np.load(KERAS / "older.npz")
    rows = pd.DataFrame(said["rows"], columns=list("abcdef"))
    wanted = np.concatenate([1 - said["answers"], said["answers"]], axis=1)
    agree(imported(place, columns=list("abcdef")), rows, wanted, 1e-5)
