"""A model repository of NVIDIA's Triton Inference Server: the whole graph and what Triton is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field as Setting

from bessemer.core.signature import Field
from bessemer.core.spec import Spec
from bessemer.export.base import Base
from bessemer.export.protocol import Answers, NotRunError, Source
from bessemer.export.samples import Samples
from bessemer.package.onnx_format import EXTENSIONS

_TYPES = {
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
    "int64": "TYPE_INT64",
    "string": "TYPE_STRING",
    "bool": "TYPE_BOOL",
}
#: Where onnxruntime's own operators for images are, in Triton's container.
_LIBRARY = "libortextensions.so"


class TritonSettings(Spec):
    batch: int = Setting(1024, ge=1, le=65536, description="the largest batch that Triton puts together")
    wait: int = Setting(
        500, ge=0, le=1_000_000, description="microseconds that a request may wait for others to go with"
    )


class Triton(Base):
    """`NAME/config.pbtxt` and `NAME/1/model.onnx`, for Triton's onnxruntime backend."""

    takes: ClassVar[Literal["graph"]] = "graph"
    limit: float = 0.0
    Settings: ClassVar[type[TritonSettings]] = TritonSettings

    def refuses(self, source: Source) -> str:
        return ""

    def export(self, source: Source, out: Path) -> str:
        write_repository(source, out, self.settings)
        library = ""
        if _needs_library(source):
            library = f"\nPut `{_LIBRARY}` of onnxruntime-extensions beside `config.pbtxt`: images are decoded by it.\n"
        return f"""Copy the folder `{source.slug}` into a model repository, or serve this one:

    tritonserver --model-repository=.
{library}
Each column is an input of shape (rows, 1): texts as bytes ('' is missing), numbers FP32 (NaN is missing), moments INT64
microseconds since 1970 (-2**63 is missing).
"""

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        raise NotRunError(
            "Triton comes as a container only; its onnxruntime backend is what `--to onnx` runs"
        )


def write_repository(source: Source, out: Path, settings: TritonSettings) -> Path:
    """Write the repository's folder of the model; its path."""
    folder = out / source.slug
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(source.graph)
    (folder / "config.pbtxt").write_text(_config(source, settings), encoding="utf-8")
    return folder


def _needs_library(source: Source) -> bool:
    return any(domain.encode() in source.graph for domain in EXTENSIONS)


def _config(source: Source, settings: TritonSettings) -> str:
    signature = source.model.signature
    inputs = [_tensor("input", field, (1,), ()) for field in signature.inputs]
    outputs = [_tensor("output", field, field.shape or (1,), field.shape) for field in signature.outputs]
    parts = [
        f'name: "{source.slug}"',
        'backend: "onnxruntime"',
        f"max_batch_size: {settings.batch}",
        *inputs,
        *outputs,
        f"dynamic_batching {{ max_queue_delay_microseconds: {settings.wait} }}",
    ]
    if _needs_library(source):
        parts.append(f'model_operations {{ op_library_filename: "{_LIBRARY}" }}')
    return "\n".join(parts) + "\n"


def _tensor(kind: str, field: Field, dims: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """A tensor without its rows. What the graph gives as (rows,) Triton says as (rows, 1)."""
    reshape = "" if kind == "input" or shape else "\n  reshape { shape: [ ] }"
    sizes = ", ".join(map(str, dims))
    lines = [
        f"  name: {_quoted(field.name)}",
        f"  data_type: {_TYPES[field.tensor]}",
        f"  dims: [ {sizes} ]{reshape}",
    ]
    return "\n".join([f"{kind} {{", *lines, "}"])


def _quoted(text: str) -> str:
    """A string of the text format: bytes that are not plain ASCII as octal escapes."""
    told = "".join(
        chr(b) if 32 <= b < 127 and b not in (34, 92) else f"\\{b:03o}" for b in text.encode("utf-8")
    )
    return f'"{told}"'
