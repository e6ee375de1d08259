"""What the variables of SageMaker and Vertex AI become, and the containers as those platforms start them."""

from __future__ import annotations

from pathlib import Path

import boto3
import orjson
import pytest
from botocore.config import Config
from serve_packages import write_public
from started import Started

import patience
from bessemer.core.errors import BessemerError, EnvironmentFault, UsageError
from bessemer.serve.containers import Container, from_environment, package_at
from bessemer.serve.spec import ServeSpec
from patience import PATIENCE


@pytest.fixture
def base(tmp_path: Path, packages: dict[str, Path]) -> Path:
    """What SageMaker unpacks into /opt/ml."""
    (tmp_path / "ml" / "model").mkdir(parents=True)
    (tmp_path / "ml" / "model" / "tiny.bsm").write_bytes(packages["binary"].read_bytes())
    return tmp_path / "ml"


def test_elsewhere_nothing_is_said(tmp_path: Path) -> None:
    assert from_environment({}) is None
    assert from_environment({"HOME": str(tmp_path), "AIPORT": "1"}) is None


def test_sagemaker(base: Path) -> None:
    env = {"SAGEMAKER_BASE_DIR": str(base)}
    source = str(base / "model" / "tiny.bsm")
    found = from_environment(env)
    assert found == Container(
        "sagemaker", (source,), {"host": "0.0.0.0", "port": 8080, "timeout": 60, "max_body": "6MB"}
    )
    more = {
        "SAGEMAKER_BIND_TO_PORT": "8081",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": "20",
        "SAGEMAKER_MODEL_SERVER_WORKERS": "3",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "100",
    }
    found = from_environment({**env, **more})
    assert found is not None
    spec = ServeSpec.model_validate_json(orjson.dumps(found.settings))
    assert (spec.port, spec.timeout, spec.workers, spec.max_body) == (8081, 20.0, 3, 100 * 2**20)


def test_sagemaker_with_several_models(base: Path) -> None:
    env = {"SAGEMAKER_BASE_DIR": str(base), "SAGEMAKER_MULTI_MODEL": "true"}
    found = from_environment(env)
    assert found is not None
    assert found.sources == ()
    spec = ServeSpec.model_validate_json(orjson.dumps(found.settings))
    assert spec.access is not None
    assert spec.access.anonymous == ["predict", "admin"]


def test_vertex(base: Path) -> None:
    env = {"AIP_MODE": "PREDICTION", "AIP_HTTP_PORT": "7080", "AIP_STORAGE_URI": (base / "model").as_uri()}
    found = from_environment(env)
    assert found == Container(
        "vertex", (str(base / "model" / "tiny.bsm"),), {"host": "0.0.0.0", "port": 7080}
    )


def test_packages_in_a_bucket(base: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/model/tiny.bsm", b"x")
    memory.pipe("/bucket/model/readme.txt", b"x")
    found = from_environment({"AIP_MODE": "PREDICTION", "AIP_STORAGE_URI": "memory://bucket/model"})
    assert found is not None
    assert found.sources == ("memory:///bucket/model/tiny.bsm",)


@pytest.mark.parametrize(
    ("env", "error", "text"),
    [
        (
            {"SAGEMAKER_REGION": "x", "SAGEMAKER_BASE_DIR": "/nowhere"},
            EnvironmentFault,
            "there is no package in",
        ),
        ({"SAGEMAKER_BIND_TO_PORT": "http"}, UsageError, "SAGEMAKER_BIND_TO_PORT is 'http'"),
        ({"AIP_HTTP_PORT": "-1"}, UsageError, "AIP_HTTP_PORT is '-1'"),
        ({"AIP_MODE": "PREDICTION", "AIP_STORAGE_URI": ""}, EnvironmentFault, "AIP_STORAGE_URI is empty"),
        ({"AIP_MODE": "PREDICTION", "AIP_STORAGE_URI": "file:///nowhere"}, EnvironmentFault, "no package in"),
        ({"AIP_MODE": "PREDICTION", "AIP_STORAGE_URI": "gss://x"}, EnvironmentFault, "cannot read 'gss://x'"),
    ],
)
def test_what_is_wrong_is_said(env: dict[str, str], error: type[BessemerError], text: str) -> None:
    with pytest.raises(error, match=text):
        from_environment(env)


def test_the_package_of_a_place(base: Path) -> None:
    wanted = str(base / "model" / "tiny.bsm")
    assert package_at(str(base / "model")) == package_at(wanted) == wanted
    assert package_at("s3://bucket/x.bsm") == "s3://bucket/x.bsm"
    (base / "model" / "other.bsm").write_bytes(b"")
    with pytest.raises(EnvironmentFault, match=r"several packages: other\.bsm, tiny\.bsm"):
        package_at(str(base / "model"))


@pytest.mark.slow
def test_docker_run_image_serve(base: Path, tmp_path: Path) -> None:
    """SageMaker runs `bessemer serve` in an image; its runtime, here boto3, comes from outside."""
    key = write_public(tmp_path / "key.pub")
    variables = {
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": "1",
        "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv",
    }
    with Started(variables, "--key", str(key), "--port", "0") as url:
        assert not url.endswith(":1"), "the command line stands above the environment"
        assert patience.get(f"{url}/ping").status_code == 200
        answer = patience.post(f"{url}/invocations", content="8,,,,", headers={"content-type": "text/csv"})
        assert answer.text == "no,0.5\n"
        runtime = boto3.client(
            "sagemaker-runtime",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="y",
            config=Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE),
        )
        answer = runtime.invoke_endpoint(EndpointName="churn", ContentType="text/csv", Body="8,,,,")
        assert answer["Body"].read() == b"no,0.5\n"


@pytest.mark.slow
def test_a_multi_model_endpoint(tmp_path: Path, packages: dict[str, Path]) -> None:
    """SageMaker starts the container empty and loads models under names of its own, into every worker."""
    key = write_public(tmp_path / "key.pub")
    places = {}
    for name, task in (("0a1b", "binary"), ("2c3d", "regression")):
        places[name] = tmp_path / name / "model"
        places[name].mkdir(parents=True)
        (places[name] / "tiny-1.0.0.bsm").write_bytes(packages[task].read_bytes())
    variables = {
        "SAGEMAKER_MULTI_MODEL": "true",
        "SAGEMAKER_BIND_TO_PORT": "0",
        "SAGEMAKER_MODEL_SERVER_WORKERS": "2",
    }
    with Started(variables, "--key", str(key)) as url, patience.Client(base_url=url) as client:
        assert client.get("/ping").status_code == 200
        assert client.post("/models/0a1b/invoke", json=[{"tenure": 8}]).status_code == 404
        for name, place in places.items():
            body = {"model_name": name, "url": str(place)}
            assert client.post("/models", json=body).status_code == 200
            assert client.post("/models", json=body).status_code == 409
        assert [model["modelName"] for model in client.get("/models").json()["models"]] == list(places)
        answers = {
            name: [patience.post(f"{url}/models/{name}/invoke", json=[{"tenure": 8}]).text for _ in range(8)]
            for name in places
        }
        assert set(answers["0a1b"]) == {'{"predictions":[{"prediction":"no","probability":0.5}]}'}
        assert set(answers["2c3d"]) == {'{"predictions":[{"prediction":0.0}]}'}
        assert client.delete("/models/0a1b").status_code == 200
        assert client.get("/models/0a1b").status_code == 404
        assert client.delete("/models/0a1b").status_code == 404


@pytest.mark.slow
def test_what_is_missing_is_said_by_the_command(tmp_path: Path) -> None:
    started = Started({"SAGEMAKER_BASE_DIR": str(tmp_path), "SAGEMAKER_REGION": "eu-central-1"})
    _, errors = started.process.communicate(timeout=PATIENCE)
    assert started.process.returncode != 0
    assert "there is no package in" in errors
