"""Models of Keras and TensorFlow, made by both as their users make them, become packages that say the same."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from import_model_support import agree, answers, imported
from sklearn.datasets import load_digits

from bessemer.api import Project, explain, import_model, load
from bessemer.core.errors import FormatError
from bessemer.environments import work
from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.environments.tools import run_tool
from bessemer.export.keras_core import write_core
from bessemer.export.protocol import Source
from bessemer.export.samples import samples_of
from bessemer.export.sidecar import encoded, write_encoder
from bessemer.package.read import read_package
from bessemer.package.records import rows_to_feeds
from bessemer.serve.server import make_app
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Request

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))
from packages_support import SHARED, png
from packages_support import model as packaged

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "keras_files"
WORKERS = Path(work.__file__).parent / "workers"
X, DIGIT = load_digits(return_X_y=True)
X, DIGIT = np.float32(X[:400] / 16), DIGIT[:400]
NUMBERS = ["SeniorCitizen", "tenure", "MonthlyCharges", "TotalCharges"]
PIXELS = [f"f{i}" for i in range(16)]
SIX = PIXELS[:6]


def script(name: str, folder: Path) -> None:
    """Run a script in the environment, as the worker runs there."""
    place = ENVIRONMENTS["tensorflow"]
    place.ensure(print)
    cached = {"PYTHONPYCACHEPREFIX": str(place.folder / "pycache"), "OMP_NUM_THREADS": "1"}
    run_tool([str(place.program), str(HERE / name), str(folder), str(WORKERS)], environ=cached)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("keras")
    np.save(at / "X.npy", X)
    np.save(at / "digit.npy", DIGIT)
    known = customers()[:2000]
    np.save(at / "customers.npy", known[NUMBERS].to_numpy(np.float32))
    np.save(at / "churned.npy", np.float32(known["Churn"] == "Yes"))
    script("write.py", at)
    return at


def customers() -> pd.DataFrame:
    return pd.read_csv(SHARED / "telco" / "train.csv").dropna(subset=NUMBERS)[:4000]


def table(columns: list[str] = PIXELS) -> pd.DataFrame:
    return pd.DataFrame(X[:, 16 : 16 + len(columns)], columns=columns)


def wanted(models: Path, name: str) -> np.ndarray:
    """What the library itself answers; of one probability both."""
    said = np.load(models / f"{name}.npy")
    return np.concatenate([1 - said, said], axis=1) if name in ("binary", "churn") else said


def test_a_whole_model_in_hdf5_of_ten_classes(models: Path) -> None:
    model = imported(models / "many.h5")
    assert model.classes == tuple(range(10))
    agree(model, table(), wanted(models, "many"), 1e-5)


def test_a_saved_model_as_keras_exports_it(models: Path) -> None:
    columns = [f"pixel{i}" for i in range(16)]
    model = imported(models / "served", columns=columns, classes=["even", "odd"])
    assert model.classes == ("even", "odd")
    agree(model, table(columns), wanted(models, "binary"), 1e-5)


def test_a_saved_model_of_a_plain_function(models: Path) -> None:
    model = imported(models / "plain")
    assert model.task == "regression"
    agree(model, table(), wanted(models, "plain"), 1e-5)


def test_two_inputs_with_an_embedding_in_a_folder_of_two_files(models: Path) -> None:
    model = imported(models / "number")
    columns = ["town", "size_0", "size_1", "size_2"]
    assert sorted(field.name for field in model.signature.inputs) == sorted(columns)
    rows = pd.DataFrame(np.column_stack([DIGIT, X[:, 16:19]]), columns=columns)
    agree(model, rows, wanted(models, "number"), 1e-5)
    beyond = model.predict_rows([{**rows.iloc[0].to_dict(), "town": town} for town in (9, 10, 10**9)])
    assert len({row["prediction"] for row in beyond}) == 1
    assert any("counts as the nearest one" in note for note in model.provenance["imported"]["notes"])


def test_a_convnet_takes_images_as_its_signature_says(models: Path, tmp_path: Path) -> None:
    signature = (
        "inputs: {photo: {image: {size: [8, 8], channels: 1}}}\nclasses: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
    )
    (tmp_path / "signature.yaml").write_text(signature)
    model = imported(models / "convnet.keras", signature=tmp_path / "signature.yaml")
    rows = [{"photo": png(one)} for one in X[:40].reshape(-1, 8, 8)]
    agree(model, pd.DataFrame(rows), wanted(models, "convnet")[:40], 2e-3)  # 16 greys are bytes here, rounded


@pytest.mark.parametrize("name", ["older.h5", "older.keras", "older"])
def test_what_keras_2_saved(name: str, tmp_path: Path) -> None:
    kept = np.load(HERE / "older.npz")
    done = import_model(HERE / name, output=tmp_path / "m.bsm", name="m")
    if name == "older.h5":
        again = import_model(HERE / name, output=tmp_path / "n.bsm", name="m")
        first, second = (dict(read_package(one.path).members) for one in (done, again))
        assert {n: bytes(c) for n, c in first.items()} == {n: bytes(c) for n, c in second.items()}
    rows = pd.DataFrame(kept["rows"], columns=[f"f{i}" for i in range(6)])
    said = kept["answers"]
    agree(load(done.path), rows, np.concatenate([1 - said, said], axis=1), 1e-5)


def test_with_data_it_is_judged_explained_and_watched_as_any_other(models: Path, tmp_path: Path) -> None:
    customers()[2000:].to_parquet(tmp_path / "rows.parquet")
    asked = f"--data rows.parquet --target Churn --columns {','.join(NUMBERS)} --classes No,Yes -o churn.bsm --json"
    done = subprocess.run(
        [sys.executable, "-m", "bessemer", "import", str(models / "churn.keras"), *asked.split()],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert ("import", "stage_end") in {(one["stage"], one["event"]) for one in events}
    told = json.loads(done.stdout)
    assert told["lacks"] == {}
    assert told["metrics"]["roc_auc"]["value"] > 0.75
    model, known = load(tmp_path / "churn.bsm"), customers()[:2000]
    agree(model, known[NUMBERS], wanted(models, "churn"), 1e-5)
    for member in ("evaluation.json", "explanations.json", "reference.json", "contract.yaml", "report.html"):
        assert member in model.contents
    told = explain(model, known[NUMBERS][:2].to_dict("records")).explanation.content["rows"]
    assert {len(row["contributions"]) for row in told} == {len(NUMBERS)}
    body = json.dumps({"rows": known[NUMBERS][:2].to_dict("records")}).encode()
    answer = make_app(model, ServeSpec()).handle(
        Request("POST", "/predict", {}, {"content-type": "application/json"}, body)
    )
    assert answer.status == 200, answer.body
    likely = [model.classes[i] for i in wanted(models, "churn")[:2].argmax(axis=1)]
    assert [row["prediction"] for row in json.loads(answer.body)["predictions"]] == likely
    assert {stage.status for stage in Project(tmp_path / "churn").run().stages} == {"cached"}


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("logistic", {"savedmodel": "logistic/1"}),
        ("table_net", {"keras_json": "architecture.json", "keras_weights": "model.weights.h5"}),
        ("lightgbm", {"keras": "model.keras"}),
    ],
)
def test_what_was_exported_comes_back(kind: str, files: dict[str, str], tmp_path: Path) -> None:
    source = Source(packaged(kind))
    write_core(source, {form: tmp_path / file for form, file in files.items()})
    write_encoder(source, tmp_path)
    rows = encoded(source, tmp_path, samples_of(source.model))
    said = json.loads((tmp_path / "encoder.json").read_text()) | {"threshold": 0.25}
    (tmp_path / "encoder.json").write_text(json.dumps(said))
    done = import_model(tmp_path, output=tmp_path / "back.bsm")
    back = load(done.path)
    columns = [field.name for field in back.signature.inputs]
    names = [feature["name"] for feature in source.model.info["features"]]
    assert columns[: len(names)] == names
    assert back.classes == source.model.classes
    assert any("encoder.json" in note for note in done.notes)
    feeds = rows_to_feeds(samples_of(source.model).rows, source.model.signature.inputs)
    own = np.asarray(source.model.session.run_feeds(feeds, ["probability"])["probability"])
    agree(back, pd.DataFrame(rows, columns=columns), own, 1e-5)
    decided = answers(back, pd.DataFrame(rows, columns=columns), "prediction")
    clear = np.abs(own[:, 1] - 0.25) > 1e-4
    assert decided[clear].tolist() == [back.classes[int(p >= 0.25)] for p in own[clear, 1]]


def test_many_kinds_of_layers(tmp_path: Path) -> None:
    script("zoo.py", tmp_path)
    said = json.loads((tmp_path / "said.json").read_text())
    assert len(said) == 8
    for name, one in said.items():
        assert isinstance(one, dict), f"{name}: {one}"
        assert one["rows"] >= 80
    assert {name: one["tables"] for name, one in said.items() if one["tables"]} == {"bins": 1, "exact": 1}
    assert {name for name, one in said.items() if not one["missing"]} == {"exact", "pooled"}
    model = imported(tmp_path / "bins.keras")
    assert all(field.nullable for field in model.signature.inputs)
    row = dict(zip(SIX, [None, 0.2, 0.7, 2, -1, None], strict=True))
    assert model.predict_rows([row])[0]["prediction"] == pytest.approx(np.load("bins.npy").item(), abs=1e-5)
    model = imported(tmp_path / "exact.keras")
    assert not any(field.nullable for field in model.signature.inputs)
    rows = [dict(zip(SIX, row, strict=True)) for row in ([0, 1, 2, 3, -1, -4], [-9, 1, 2, 99, 3, 0])]
    wanted = np.load("exact.npy").item()
    assert [row["prediction"] for row in model.predict_rows(rows)] == pytest.approx([wanted] * 2, abs=1e-5)


def test_what_takes_all_memory_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(HERE / "newer.keras") as kept, zipfile.ZipFile(tmp_path / "m.keras", "w") as made:
        for name in kept.namelist():
            content = kept.read(name).replace(b'"units": 4', b'"units": 1000000000')
            made.writestr(name, content if name == "config.json" else kept.read(name))
    with pytest.raises(FormatError, match=r"OOM|too much memory"):
        imported(tmp_path / "m.keras")


def test_hdf5_leads_nowhere_else(tmp_path: Path) -> None:
    script("hdf5.py", tmp_path)
    said = json.loads((tmp_path / "said.json").read_text())
    assert said.pop("real") == ""
    assert {name: word for name, word in said.items() if not word} == {}
    assert "another file" in said["external"]
    assert "unfolds" in said["swollen"]
    assert "is a link" in said["linked"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lambda.keras", "has a Lambda"),
        ("lambda.h5", "has a Lambda"),
        ("worded", "reads files beside it"),
        ("reads", "operator ReadFile"),
    ],
)
def test_code_and_files_are_refused(name: str, said: str, models: Path) -> None:
    with pytest.raises(FormatError, match=said):
        imported(models / name)
