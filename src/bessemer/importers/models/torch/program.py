"""What torch.export writes (`.pt2`): a graph in JSON and weights as bytes, read by our own code.

`torch.export.load` is not used: it unpickles sample inputs and some weights, evaluates expressions of sizes, and loads
compiled libraries that an archive holds. Nothing of these is read here.
https://docs.pytorch.org/docs/stable/export/pt2_archive.html
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.importers.models.foreign import LARGEST, refused
from bessemer.importers.models.torch.convert import TensorInput
from bessemer.importers.models.torch.operators import check_allowed, unknown

#: Version of the graph's form that is known, bytes of it, and most of its nodes.
_SCHEMA, _GRAPH, _NODES = 8, 2**25, 100_000
_ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.\w+")
#: Arithmetic on sizes, by Python's own operators.
_ARITHMETIC = (
    "add",
    "eq",
    "floordiv",
    "ge",
    "getitem",
    "gt",
    "le",
    "lt",
    "mod",
    "mul",
    "ne",
    "neg",
    "sub",
    "truediv",
)
SIZES = frozenset(f"_operator.{name}" for name in _ARITHMETIC)
#: Checks of sizes, which give nothing: what was taken on is compared on other numbers of rows.
_CHECKS = re.compile(r"torch\.ops\.aten\.(_assert_\w+|sym_constrain_\w+|_assert_async)\.\w+")
#: Types of numbers by torch's number for them.
_DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    12: "bool",
}
#: What an input of the graph may be that is no input of the model, and where its name stands.
_KEPT = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}


@dataclass(frozen=True)
class Program:
    """graph: `nodes`, `outputs`, and `weights`, value -> the name of its array. arrays: by name."""

    graph: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    inputs: tuple[TensorInput, ...]


def program_of(files: Mapping[str, bytes]) -> Program:
    """The program in an archive of torch.export.

    Raises:
        FormatError: it has operators that are not on the list, needs pickles or compiled code, or says a fixed number
            of rows.
    """
    for name in files:
        if name.startswith(("data/aotinductor/", "executorch/", "mtia/")):
            raise refused("the archive of PyTorch holds a compiled library", "that is code")
    names = [name for name in files if name.startswith("models/") and name.endswith(".json")]
    if len(names) != 1:
        raise refused(f"the archive of PyTorch has {len(names)} programs", "one was wanted")
    told = _json(files[names[0]], names[0])
    version = told["schema_version"]
    if version["major"] != _SCHEMA:
        raise refused(
            f"the program is of version {version['major']!r} of its form, and {_SCHEMA} is known",
            fix="export it with PyTorch 2.8 or newer",
        )
    graph = told["graph_module"]["graph"]
    specs = told["graph_module"]["signature"]["input_specs"]
    given, weights = _inputs(graph, specs)
    name = names[0].removeprefix("models/").removesuffix(".json")
    arrays = {
        where: array
        for kind in ("weights", "constants")
        for where, array in _arrays(files, kind, name, weights)
    }
    if missing := set(weights.values()) - set(arrays):
        raise refused(f"the program has no weights '{min(missing)[:80]}'")
    shown = {
        "nodes": _nodes(graph["nodes"]),
        "weights": weights,
        "outputs": _outputs(graph, told),
        "inputs": list(given),
    }
    return Program(shown, arrays, tuple(given.values()) if isinstance(given, dict) else ())


def _json(content: bytes, name: str) -> Any:
    if len(content) > _GRAPH:
        raise refused(f"'{name}' of the archive has {len(content):,} bytes", f"up to {_GRAPH:,} are read")
    return json.loads(content.decode("utf-8"))


def _inputs(
    graph: Mapping[str, Any], specs: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, TensorInput], dict[str, str]]:
    """What the model takes, by value; and the names of its weights, by value."""
    given: dict[str, TensorInput] = {}
    weights: dict[str, str] = {}
    for spec in specs:
        ((kind, said),) = spec.items()
        if kind in _KEPT:
            weights[_identifier(said["arg"]["name"])] = str(said[_KEPT[kind]])
        elif kind == "user_input" and "as_tensor" in said["arg"]:
            name = _identifier(said["arg"]["as_tensor"]["name"])
            given[name] = _given(name, graph["tensor_values"][name])
        else:
            raise refused(
                f"the program takes a {kind}", "rows of numbers are taken", "export it with tensors alone"
            )
    return given, weights


def _given(name: str, meta: Mapping[str, Any]) -> TensorInput:
    """An input, of which the first axis are rows, as many as there are."""
    sizes = [size.get("as_int", 0) for size in meta["sizes"]]
    if sizes and sizes[0]:
        raise refused(
            f"the program takes {sizes[0]} rows of '{name}', and no other number of them",
            fix='export it for any: torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("rows")},))',
        )
    if not sizes or 0 in sizes[1:] or meta["dtype"] not in _DTYPES:
        raise refused(f"the input '{name}' of the program is no tensor of rows of one size")
    return TensorInput(name, tuple(map(int, sizes[1:])), _DTYPES[meta["dtype"]])


def _nodes(nodes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The nodes but for checks of sizes, each with an operator that may be."""
    if len(nodes) > _NODES:
        raise refused(f"the program has {len(nodes):,} nodes", f"up to {_NODES:,} are imported")
    kept = []
    for node in nodes:
        target = str(node["target"])
        if _CHECKS.fullmatch(target):
            continue
        if (found := _ATEN.fullmatch(target)) is not None:
            check_allowed(f"aten::{found[1]}")
        elif target not in SIZES:
            raise unknown(target)
        names = [_identifier(one["name"]) for one in node["inputs"]]
        if len(set(names)) != len(names):
            raise refused(f"the operator '{target[:80]}' of the program is given an argument twice")
        kept.append({"target": target, "inputs": node["inputs"], "outputs": node["outputs"]})
    return kept


def _identifier(name: Any) -> str:
    """A name of a value or an argument, as torch makes them: it may come to stand in a text of Python."""
    if not isinstance(name, str) or not name.isidentifier():
        raise refused(
            f"a name in the program is '{str(name)[:100]}'", "torch writes letters, digits and _ alone"
        )
    return name


def _outputs(graph: Mapping[str, Any], told: Mapping[str, Any]) -> list[str]:
    for spec in told["graph_module"]["signature"]["output_specs"]:
        if "user_output" not in spec:
            raise refused(
                f"the program has a {next(iter(spec), '')} among its outputs",
                "it changes itself when it is asked",
                "export it for evaluation: model.eval()",
            )
    return [_identifier(one["as_tensor"]["name"]) for one in graph["outputs"]]


def _arrays(
    files: Mapping[str, bytes], kind: str, model: str, weights: Mapping[str, str]
) -> list[tuple[str, np.ndarray]]:
    """The arrays of a kind (`weights`, `constants`) that are asked for, by name."""
    config = f"data/{kind}/{model}_{kind}_config.json"
    entries = _json(files[config], config)["config"] if config in files else {}
    wanted, found, total = set(weights.values()), [], 0
    for name, entry in entries.items():
        if name not in wanted:
            continue
        if entry["use_pickle"] or not entry.get("tensor_meta"):
            raise refused(
                f"the weights '{name[:80]}' of the program are kept as a pickle",
                "reading one runs whatever code its author put there",
                "export it with plain tensors as its weights",
            )
        array = _strided(files[f"data/{kind}/{entry['path_name']}"], entry["tensor_meta"], name)
        total += array.nbytes
        if total > LARGEST:
            raise refused("the weights of the program unfold to more than is read", f"{LARGEST:,} bytes are")
        found.append((name, array))
    return found


def _strided(content: bytes, meta: Mapping[str, Any], name: str) -> np.ndarray:
    """An array whose elements lie in `content` as its strides say."""
    sizes, strides = ([int(one["as_int"]) for one in meta[key]] for key in ("sizes", "strides"))
    first = int(meta["storage_offset"]["as_int"])
    if meta["dtype"] not in _DTYPES or meta["layout"] != 7 or len(sizes) != len(strides):
        raise refused(f"the weights '{name[:80]}' of the program are of a type that is not read")
    dtype = np.dtype(_DTYPES[meta["dtype"]])
    count = math.prod(sizes)
    if min([*sizes, *strides, first], default=0) < 0 or count * dtype.itemsize > LARGEST:
        raise refused(f"the weights '{name[:80]}' of the program have sizes {sizes[:8]}")
    last = first + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if not count:
        return np.zeros(sizes, dtype)
    if (last + 1) * dtype.itemsize > len(content):
        raise refused(f"the weights '{name[:80]}' of the program are cut")
    flat = np.frombuffer(content, dtype, last + 1 - first, first * dtype.itemsize)  # no copy of the content
    steps = [stride * dtype.itemsize for stride in strides]
    return np.ascontiguousarray(np.lib.stride_tricks.as_strided(flat, sizes, steps)).reshape(sizes)
