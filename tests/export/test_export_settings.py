"""What is written into the files of registries and servers, from what is set and what is installed."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bessemer.cli.export import _settings
from bessemer.export.protocol import Source
from bessemer.export.targets.kserve import KServe
from bessemer.export.targets.mlflow import MLflow
from bessemer.testing.models import tiny_model


@pytest.mark.parametrize(("given", "cores"), [("cpu=2", "2"), ("cpu=500m", "500m")])
def test_cores_of_kserve_as_they_are_typed(given: str, cores: str, tmp_path: Path) -> None:
    settings = KServe.Settings.model_validate(_settings((given,)))
    KServe(settings).export(Source(tiny_model("binary")), tmp_path)
    told = yaml.safe_load((tmp_path / "inference-service.yaml").read_text())
    assert told["spec"]["predictor"]["model"]["resources"]["limits"]["cpu"] == cores


@pytest.mark.parametrize("given", ["cpu=yes", "cpu=-2", "cpu=1.5", "cpu=many"])
def test_what_are_no_cores(given: str) -> None:
    with pytest.raises(ValueError, match="cpu"):
        KServe.Settings.model_validate(_settings((given,)))


@pytest.mark.slow
def test_mlflow_pins_what_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the installed distributions are called: onnxruntime-gpu and mlflow-skinny give the same modules."""
    import mlflow
    import onnxruntime

    real = importlib.metadata.version

    def version(name: str) -> str:
        if name in ("onnxruntime", "mlflow"):
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    MLflow(MLflow.Settings()).export(Source(tiny_model("binary")), tmp_path)
    pinned = (tmp_path / "requirements.txt").read_text().splitlines()
    assert f"onnxruntime=={onnxruntime.__version__}" in pinned
    assert f"mlflow=={mlflow.__version__}" in pinned


@pytest.mark.slow
def test_mlflow_names_the_python_of_its_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = "{}.{}".format(*sys.version_info)
    for version, expected in ((None, here), (("3", "13", "1"), "3.13")):
        if version:
            monkeypatch.setattr(platform, "python_version_tuple", lambda v=version: v)
        out = tmp_path / expected / str(bool(version))
        out.mkdir(parents=True)
        MLflow(MLflow.Settings()).export(Source(tiny_model("binary")), out)
        read: Any = yaml.safe_load((out / "MLmodel").read_text())
        assert read["flavors"]["python_function"]["python_version"] == expected
        assert yaml.safe_load((out / "python_env.yaml").read_text())["python"] == expected
