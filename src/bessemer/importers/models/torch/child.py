"""Where a model of torch becomes ONNX: `python -m bessemer.importers.models.torch.child FOLDER`.

It reads `question.json` and what stands beside it, and writes `model.onnx`, which has answered some rows as the model
itself has.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bessemer.importers.models.limited import hold, main
from bessemer.importers.models.torch.interpret import Interpreted, check_operators
from bessemer.importers.models.torch.rebuild import module_of
from bessemer.package.onnx_format import OPSET

#: Numbers of rows that both are asked, none of them that which it was written with; and how far apart they may be.
_ROWS, _ASKED, _APART = 2, (1, 3, 33), 1e-5


def _convert(folder: Path) -> None:
    import onnxruntime  # noqa: F401 - before the limit
    import onnxscript  # noqa: F401

    torch.set_num_threads(1)
    asked = json.loads((folder / "question.json").read_text(encoding="utf-8"))
    inputs, outputs = asked["inputs"], asked["outputs"]
    hold()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if asked["kind"] == "torchscript":
            module, recorded = _script(folder / "model.pt")
        else:
            module = recorded = module_of(folder)
        inputs, count = _taken(module, inputs)
        names = outputs if len(outputs) == count else [f"output_{i}" for i in range(count)]
        graph = _exported(recorded, inputs, names)
        _compare(module, graph, inputs)
    (folder / "model.onnx").write_bytes(graph)


def _script(file: Path) -> tuple[Any, Any]:
    """The model, whose operators have been looked at before one of them is run, and the same as a module of Python.

    What is made of it is held against the model as it was loaded: freezing may leave something out.
    """
    module = torch.jit.load(file, map_location="cpu").eval()
    if any(one._c._get_forward_hooks() or one._c._get_forward_pre_hooks() for one in module.modules()):
        raise ValueError("it has hooks, whose operators stand beside those of its layers")
    check_operators(module.inlined_graph)
    frozen = torch.jit.freeze(module).inlined_graph
    check_operators(frozen)
    return module, Interpreted(frozen)


def _taken(module: Callable[..., Any], inputs: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """What the model takes, of what it may take, and how many tensors it gives."""
    try:
        said = module(*_rows(inputs, _ROWS))
    except RuntimeError:
        if not all(one["flat"] for one in inputs):
            raise
        inputs = [{**one, "dims": [math.prod(one["dims"])], "flat": False} for one in inputs]
        return _taken(module, inputs)
    return inputs, len(_tensors(said))


def _tensors(said: Any) -> list[torch.Tensor]:
    """What a model gives, as tensors.

    Raises:
        ValueError: it gives something else.
    """
    found = [said] if isinstance(said, torch.Tensor) else list(said) if isinstance(said, tuple | list) else []
    if not found or not all(isinstance(one, torch.Tensor) for one in found):
        raise ValueError(f"it gives a {type(said).__name__}, and tensors were wanted")
    return found


def _rows(inputs: Sequence[dict[str, Any]], count: int) -> tuple[torch.Tensor, ...]:
    """Numbers of both signs; whole ones are 0 and 1, which any table of embeddings has."""
    draw = np.random.default_rng(count)
    made = []
    for one in inputs:
        dtype, shape = getattr(torch, one["dtype"]), (count, *one["dims"])
        values = draw.normal(size=shape) if dtype.is_floating_point else draw.integers(0, 2, shape)
        made.append(torch.from_numpy(values).to(dtype))
    return tuple(made)


def _exported(module: Any, inputs: Sequence[dict[str, Any]], outputs: Sequence[str]) -> bytes:
    """What a module does, as ONNX.

    Raises:
        ValueError: torch cannot write it; with what was at the bottom of its errors.
    """
    rows = tuple({0: torch.export.Dim("N")} for _ in inputs)
    try:
        program = torch.export.export(module, _rows(inputs, _ROWS), dynamic_shapes=(rows,), strict=False)
        made = torch.onnx.export(
            program, input_names=[one["name"] for one in inputs], output_names=list(outputs),
            opset_version=OPSET, dynamo=True, verbose=False,
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001 - both raise what they like
        first: BaseException = error
        while first.__cause__ is not None:
            first = first.__cause__
        raise ValueError(str(first).strip()) from None
    return bytes(made.model_proto.SerializeToString())


def _compare(module: Callable[..., Any], graph: bytes, inputs: Sequence[dict[str, Any]]) -> None:
    """Hold the graph against the model.

    Raises:
        ValueError: they differ.
    """
    from bessemer.package.runtime import open_session

    session = open_session(graph, 1)
    known = {one.name for one in session.get_inputs()}
    for count in _ASKED:
        rows = _rows(inputs, count)
        feeds = {
            one["name"]: row.numpy() for one, row in zip(inputs, rows, strict=True) if one["name"] in known
        }
        found = session.run(None, feeds)
        for one, other in zip(_tensors(module(*rows)), found, strict=True):
            if not (apart := _apart(one.numpy().astype(np.float64), np.asarray(other))) <= _APART:
                raise ValueError(
                    f"for {count} rows the graph says another thing than the model: {apart:.3g} apart"
                )


def _apart(wanted: np.ndarray, found: np.ndarray) -> float:
    """The greatest difference, in parts of the greatest number; infinite where one has a number and the other none."""
    known = np.isfinite(wanted)
    if wanted.shape != found.shape or not np.array_equal(known, np.isfinite(found)):
        return float("inf")
    size = max(1.0, float(np.abs(wanted[known]).max(initial=0.0)))
    return float(np.abs(wanted[known] - found[known]).max(initial=0.0)) / size


if __name__ == "__main__":
    main(_convert)
