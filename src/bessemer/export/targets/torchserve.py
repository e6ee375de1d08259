"""TorchServe: a model archive with the core, its encoder, and a handler of rows in JSON."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.environments.work import work
from bessemer.export.base import Base
from bessemer.export.protocol import Answers, NotRunError, Source
from bessemer.export.samples import Samples
from bessemer.export.sidecar import example_rows
from bessemer.export.targets.torchscript import script
from bessemer.export.torch_core import module_of

_READERS = files("bessemer.export.readers")
_VERSION = "0.12.0"
#: The core there; its handler knows the name.
_CORE = "core.pt"
#: The earliest moment that an archive can say.
_MOMENT = (1980, 1, 1, 0, 0, 0)


class TorchServe(Base):
    """`NAME.mar`, and `example.json`, a request."""

    takes: ClassVar[Literal["network"]] = "network"
    environment: ClassVar[str] = "torchserve"
    limit: float = 1e-6

    def refuses(self, source: Source) -> str:
        module_of(source)
        return ""

    def export(self, source: Source, out: Path) -> str:
        (out / f"{source.slug}.mar").write_bytes(_archive(source))
        no_row = np.zeros((1, len(source.core.fill)), np.float32)
        (example,) = _bodies(source, example_rows(source), source.core.encoded(no_row))
        (out / "example.json").write_text(json.dumps(example, ensure_ascii=False) + "\n", encoding="utf-8")
        return f"""Needs Java 11 or later and, in Python, torch, NumPy, pyyaml and torchserve {_VERSION}. The option
`--disable-token-auth` is for this machine alone.

```sh
mkdir -p model_store && cp {source.slug}.mar model_store/
torchserve --start --model-store model_store --models {source.slug}={source.slug}.mar --disable-token-auth
curl -s http://127.0.0.1:8080/predictions/{source.slug} -H 'Content-Type: application/json' --data @example.json
```

{_said(source)}
"""

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        if not shutil.which("java"):
            raise NotRunError("TorchServe needs Java 11 or later, and there is no 'java' on the PATH")
        question = {
            "archive": str((out / f"{source.slug}.mar").resolve()),
            "name": source.slug,
            "bodies": _bodies(source, samples.rows, source.core.encoded(samples.features)),
        }
        done = work(ENVIRONMENTS[self.environment], "torchserve_ask.py", question, tell=source.tell)
        rows = [row for answer in done.said["answers"] for row in answer]
        labels = [row["prediction"] for row in rows] if "prediction" in rows[0] else None
        return Answers(_values(source, rows), f"torchserve {done.said['version']}", labels)


def _archive(source: Source) -> bytes:
    manifest = {
        "runtime": "python",
        "model": {
            "modelName": source.slug,
            "serializedFile": _CORE,
            "handler": "handler.py",
            "modelVersion": str(source.model.version),
        },
        "archiverVersion": _VERSION,
    }
    members = {
        "MAR-INF/MANIFEST.json": _json(manifest),
        "answers.json": _json(_told(source)),
        _CORE: script(source),
        "handler.py": _READERS.joinpath("torchserve_handler.py").read_bytes(),
    }
    if source.core.program is not None:
        members["encoder.json"] = source.core.encoder_json
        members["encoder.py"] = _READERS.joinpath("encoder.py").read_bytes()
    return _zipped(members)


def _told(source: Source) -> dict[str, Any]:
    """What the handler says of the core's numbers."""
    model = source.model
    decision = model.info.get("decision") or {}
    one = model.task == "binary" and not decision.get("groups")
    return {
        "task": model.task,
        "classes": list(model.classes),
        "threshold": float(np.float32(decision.get("threshold", 0.5))) if one else None,
        "width": source.core.width,
    }


def _json(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n"


def _zipped(members: Mapping[str, bytes]) -> bytes:
    """torch-model-archiver's format, with the same bytes each time."""
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _MOMENT), content)
    return kept.getvalue()


def _bodies(source: Source, rows: list[dict[str, Any]], encoded: np.ndarray) -> list[list[Any]]:
    """Requests: of the first row alone, and of all others."""
    given: list[Any] = rows if source.core.program is not None else encoded.tolist()
    return [part for part in (given[:1], given[1:]) if part]


def _values(source: Source, rows: list[dict[str, Any]]) -> np.ndarray:
    if source.model.task == "regression":
        return np.array([[row["prediction"]] for row in rows], dtype=np.float32)
    classes = [str(name) for name in source.model.classes]
    return np.array([[row["probability"][name] for name in classes] for row in rows], dtype=np.float32)


def _said(source: Source) -> str:
    core = source.core
    if core.program is not None:
        return "A row is an object of its columns; what is missing is null, or left out."
    return f"A row is a list of {core.width} numbers, since {core.why}: `bessemer.load(PACKAGE).features` makes them."
