"""A model folder of MLflow: loaded, served and registered without Bessemer, and without pickle."""

from __future__ import annotations

import datetime as dt
import json
import platform
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from bessemer.core.signature import Field
from bessemer.export.base import Base
from bessemer.export.protocol import Answers, Source
from bessemer.export.samples import Samples
from bessemer.package.onnx_format import EXTENSIONS

#: Of what a signature of MLflow says, by our types.
_TYPES = {
    "number": "double",
    "integer": "long",
    "boolean": "boolean",
    "string": "string",
    "timestamp": "datetime",
}
#: The same of columns that may be missing: pandas has no whole number and no truth that is missing.
_NULLABLE = {"integer": "double", "boolean": "any"}


class MLflow(Base):
    """`MLmodel`, `code/` with the few lines that load and ask it, `data/` with the graph."""

    takes: ClassVar[Literal["graph"]] = "graph"
    limit: float = 1e-6  # it uses all cores, which add trees in another order

    def refuses(self, source: Source) -> str:
        return ""

    def export(self, source: Source, out: Path) -> str:
        import yaml

        loader = _loader(source)
        for folder in ("code", "data"):
            (out / folder).mkdir()
        script = files("bessemer.export.readers").joinpath("mlflow_loader.py").read_bytes()
        (out / "code" / f"{loader}.py").write_bytes(script)
        (out / "data" / "model.onnx").write_bytes(source.graph)
        (out / "data" / "columns.json").write_text(
            json.dumps(_columns(source), ensure_ascii=False) + "\n", "utf-8"
        )
        (out / "MLmodel").write_text(
            yaml.safe_dump(_mlmodel(source, loader), sort_keys=True), encoding="utf-8"
        )
        (out / "requirements.txt").write_text("\n".join(_requirements(source)) + "\n", encoding="utf-8")
        (out / "python_env.yaml").write_text(
            yaml.safe_dump({"python": _python(), "dependencies": ["-r requirements.txt"]}), encoding="utf-8"
        )
        return f"""```python
import mlflow.pyfunc

answers = mlflow.pyfunc.load_model(".").predict(frame)   # a pandas frame of raw columns
```

    mlflow models serve -m . --env-manager local

`mlflow.register_model` takes the folder as it is. The answers are `prediction`{_said(source)}.
"""

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        import mlflow
        import mlflow.pyfunc
        import pandas as pd

        loaded: Any = mlflow.pyfunc.load_model(str(out))
        found = loaded.predict(_frame(pd, samples, source.model.signature.inputs))
        if source.model.task == "regression":
            values = found[["prediction"]].to_numpy(dtype=np.float32)
        else:
            names = [f"probability_{name}" for name in source.model.classes]
            values = found[names].to_numpy(dtype=np.float32)
        return Answers(values, f"mlflow {mlflow.__version__}", found["prediction"].tolist())


def _loader(source: Source) -> str:
    """The name of the module that MLflow imports: no other model's, for two may be loaded in one process."""
    return f"bessemer_{source.slug}_{source.model.manifest.digest[:12]}"


def _columns(source: Source) -> dict[str, Any]:
    model = source.model
    return {
        "inputs": [{"name": f.name, "dtype": f.dtype, "tensor": f.tensor} for f in model.signature.inputs],
        "task": model.task,
        "classes": list(model.classes),
        "decision": model.info.get("decision"),
    }


def _mlmodel(source: Source, loader: str) -> dict[str, Any]:
    model = source.model
    inputs = [{"name": f.name, "type": _type(f), "required": not f.nullable} for f in model.signature.inputs]
    outputs = [{"name": name, "type": kind, "required": True} for name, kind in _outputs(source)]
    return {
        "flavors": {
            "python_function": {
                "code": "code",
                "data": "data",
                "env": {"virtualenv": "python_env.yaml"},
                "loader_module": loader,
                "python_version": _python(),
            }
        },
        "model_uuid": model.manifest.digest[:32],
        "signature": {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None},
    }


def _type(field: Field) -> str:
    return _NULLABLE.get(field.dtype, _TYPES[field.dtype]) if field.nullable else _TYPES[field.dtype]


def _outputs(source: Source) -> list[tuple[str, str]]:
    model = source.model
    (said,) = (field for field in model.signature.outputs if field.name == "prediction")
    return [
        ("prediction", _TYPES[said.dtype]),
        *((f"probability_{name}", "double") for name in model.classes),
    ]


def _said(source: Source) -> str:
    return "" if source.model.task == "regression" else " and `probability_CLASS` for each class"


def _python() -> str:
    """The Python that has the versions that are pinned, which need not exist for another."""
    return ".".join(platform.python_version_tuple()[:2])


def _requirements(source: Source) -> list[str]:
    """What is imported, at the versions here, by the names that PyPI has for any machine."""
    from importlib.metadata import version

    import mlflow
    import onnxruntime

    own = {"onnxruntime": onnxruntime.__version__, "mlflow": mlflow.__version__}
    names = ["numpy", "onnxruntime", "pandas", "mlflow"]
    if any(domain.encode() in source.graph for domain in EXTENSIONS):
        names.append("onnxruntime-extensions")
    return [f"{name}=={own.get(name) or version(name)}" for name in names]


def _moment(value: Any) -> Any:
    """A moment as pandas has it: in UTC, without saying so."""
    if not isinstance(value, str):
        return value
    found = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
    return found if found.tzinfo is None else found.astimezone(dt.UTC).replace(tzinfo=None)


def _frame(pd: Any, samples: Samples, inputs: Any) -> Any:
    """The rows with pandas's own types, as somebody has them who read a file."""
    kinds = {
        "number": "float64",
        "integer": "float64",
        "timestamp": "datetime64[us]",
        "string": object,
        "boolean": object,
    }
    columns = {}
    for field in inputs:
        values = pd.Series([row[field.name] for row in samples.rows], dtype=object)
        if field.dtype == "timestamp":
            columns[field.name] = pd.Series([_moment(v) for v in values], dtype="datetime64[us]")
        elif field.dtype in ("integer", "boolean") and not field.nullable:
            columns[field.name] = values.astype("int64" if field.dtype == "integer" else bool)
        else:
            columns[field.name] = values.astype(kinds[field.dtype])
    return pd.DataFrame(columns)
