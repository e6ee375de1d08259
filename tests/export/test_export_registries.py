"""Where models are kept and served from: MLflow, Triton, KServe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from packages_support import model

from bessemer.export.plugins import TARGETS
from bessemer.export.proof import Proof
from bessemer.export.protocol import Source
from bessemer.export.targets.triton import _quoted
from bessemer.testing.models import TASKS, tiny_model
from bessemer.testing.targets import check_target
from environments import environment, run

pytestmark = pytest.mark.slow


def made(name: str, loaded: Any, out: Path, **settings: Any) -> Any:
    kind: Any = TARGETS.load(name)
    out.mkdir(parents=True, exist_ok=True)
    kind(kind.Settings.model_validate(settings)).export(Source(loaded), out)
    return out


@pytest.mark.parametrize("kind", ["lightgbm", "regression", "forest"])
def test_mlflow_answers_as_the_package_does(kind: str, tmp_path: Path) -> None:
    proof = check_target("mlflow", TARGETS.load("mlflow"), model(kind), tmp_path)
    assert isinstance(proof, Proof)
    assert proof.difference < 1e-6
    assert proof.flips == 0


@pytest.mark.parametrize("task", TASKS)
def test_mlflow_takes_moments_booleans_and_names_of_all_kinds(task: Any, tmp_path: Path) -> None:
    proof = check_target("mlflow", TARGETS.load("mlflow"), tiny_model(task), tmp_path)
    assert isinstance(proof, Proof)
    assert proof.flips == 0


def test_mlflow_loads_it_where_bessemer_cannot_be_imported(tmp_path: Path) -> None:
    """What MLflow runs is in the folder: no import of ours, no pickle."""
    out = made("mlflow", model("lightgbm"), tmp_path / "m")
    assert not [path for path in out.rglob("*") if path.suffix in (".pkl", ".joblib", ".cloudpickle")]
    row = json.dumps(model("lightgbm").sample[0], default=str)
    script = (
        "import sys, json; sys.modules['bessemer'] = None\n"
        "import mlflow.pyfunc, pandas as pd\n"
        f"frame = pd.DataFrame([json.loads({row!r})])\n"
        "for name in ('age', 'education_num', 'capital_gain', 'capital_loss', 'hours_per_week', 'fnlwgt'):\n"
        "    frame[name] = frame[name].astype(float)\n"
        f"model = mlflow.pyfunc.load_model({str(out)!r})\n"
        "frame = frame.astype({c['name']: 'int64' for c in model.metadata.signature.inputs.to_dict()"
        " if c['type'] == 'long'})\n"
        "print(json.dumps(model.predict(frame).to_dict('records')[0]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout.strip().splitlines()[-1])
    (expected,) = model("lightgbm").predict_rows(model("lightgbm").sample[:1])
    assert said["prediction"] == expected["prediction"]


@pytest.fixture(scope="module")
def triton() -> Path:
    return environment("tritonclient", "tritonclient[http,grpc]==2.73.0")


@pytest.mark.parametrize("task", TASKS)
def test_tritons_own_message_reads_the_config(task: Any, triton: Path, tmp_path: Path) -> None:
    loaded = tiny_model(task)
    out = made("triton", loaded, tmp_path / "repository", batch=64)
    (folder,) = out.iterdir()
    assert (folder / "1" / "model.onnx").read_bytes() == loaded.contents.bytes("model.onnx")
    script = (
        "import sys, json\n"
        "from google.protobuf import text_format, json_format\n"
        "from tritonclient.grpc import model_config_pb2\n"
        "text = open(sys.argv[1], encoding='utf-8').read()\n"
        "config = text_format.Parse(text, model_config_pb2.ModelConfig())\n"
        "print(json.dumps(json_format.MessageToDict(config)))\n"
        "try:\n"
        "    text_format.Parse(text + 'wings: 2', model_config_pb2.ModelConfig())\n"
        "except text_format.ParseError:\n"
        "    print('refused')\n"
    )
    told, refused = run(triton, script, str(folder / "config.pbtxt")).strip().splitlines()
    assert refused == "refused"
    config = json.loads(told)
    assert config["maxBatchSize"] == 64
    assert [i["name"] for i in config["input"]] == [f.name for f in loaded.signature.inputs]
    assert [o["name"] for o in config["output"]] == [f.name for f in loaded.signature.outputs]
    assert "reshape" in config["output"][0]


def test_names_are_quoted() -> None:
    assert _quoted('é "x"\\') == '"\\303\\251 \\042x\\042\\134"'


def test_kserves_own_models_take_the_service(tmp_path: Path) -> None:
    out = made("kserve", model("logistic"), tmp_path / "k", storage="s3://models/churn", replicas=0)
    told = yaml.safe_load((out / "inference-service.yaml").read_text())
    assert told["spec"]["predictor"]["model"]["storageUri"] == "s3://models/churn"
    python = environment("kserve", "kserve==0.21.0")
    script = (
        "import sys, json\n"
        "from kserve import models as m\n"
        "told = json.loads(sys.argv[1])\n"
        "def built(kind, value):\n"
        "    known = {json_name: name for name, json_name in kind.attribute_map.items()}\n"
        "    unknown = set(value) - set(known)\n"
        "    assert not unknown, f'{kind.__name__} has no {unknown}'\n"
        "    found = {}\n"
        "    for key, given in value.items():\n"
        "        inner = getattr(m, kind.openapi_types[known[key]], None)\n"
        "        found[known[key]] = built(inner, given) if inner and isinstance(given, dict) else given\n"
        "    return kind(**found)\n"
        "built(m.V1beta1InferenceService, told)\n"
        "told['spec']['predictor']['model']['wings'] = 2\n"
        "try:\n"
        "    built(m.V1beta1InferenceService, told)\n"
        "except AssertionError as error:\n"
        "    print(error)\n"
    )
    assert "wings" in run(python, script, json.dumps(told))


@pytest.mark.parametrize("name", ["triton", "kserve"])
def test_what_was_not_run_says_so(name: str, tmp_path: Path) -> None:
    proof = check_target(name, TARGETS.load(name), model("logistic"), tmp_path)
    assert isinstance(proof, Proof)
    assert proof.not_run
