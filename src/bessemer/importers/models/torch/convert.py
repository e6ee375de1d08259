"""A model of torch as ONNX: done by torch itself, in a process with limits, and compared there with the model."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bessemer.core.errors import MissingExtra
from bessemer.importers.models.foreign import LARGEST, Asked, Foreign, refused
from bessemer.importers.models.limited import run_limited
from bessemer.importers.models.onnx import graph_read

_CHILD = "bessemer.importers.models.torch.child"


@dataclass(frozen=True)
class TensorInput:
    """What a model takes: a name, the dimensions of a row, and the type of its numbers as torch calls it.

    flat: whether it may take the numbers of a row side by side instead, which nobody has said.
    """

    name: str
    dims: tuple[int, ...]
    dtype: str = "float32"
    flat: bool = False


def converted(
    kind: str,
    files: Mapping[str, bytes],
    inputs: Sequence[TensorInput],
    asked: Asked,
    outputs: Sequence[str] = (),
) -> Foreign:
    """The model in an archive that was looked at.

    Args:
        kind: `torchscript` or `program`. files: what the process is given.
        outputs: names of its outputs, where it has as many.

    Raises:
        FormatError: torch cannot read it or write it as ONNX, or the two differ.
        UsageError: what was asked for does not fit.
    """
    for needed in ("torch", "onnxscript"):
        if find_spec(needed) is None:
            raise MissingExtra("models of PyTorch", needed, "convert")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        told = {"kind": kind, "inputs": [vars(one) for one in inputs], "outputs": list(outputs)}
        (folder / "question.json").write_text(json.dumps(told), encoding="utf-8")
        run_limited(_CHILD, folder, "the model of PyTorch", "PyTorch cannot write the model as ONNX")
        made = folder / "model.onnx"
        if made.stat().st_size > LARGEST:
            raise refused(
                f"the model as ONNX has {made.stat().st_size:,} bytes", f"up to {LARGEST:,} are read"
            )
        data = made.read_bytes()
    return graph_read(data, asked)
