"""A program of torch.export as a module, which is run node by node of operators that are on the list."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bessemer.importers.models.torch.operators import allowed
from bessemer.importers.models.torch.program import SIZES

#: torch's numbers for types, and for how a tensor lies in memory.
_DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32,
    8: torch.float64, 12: torch.bool,
}  # fmt: skip
_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
#: Values that stand as they are, and what they must be.
_PLAIN: Mapping[str, type] = {"as_int": int, "as_bool": bool, "as_string": str}


@dataclass(frozen=True)
class _Step:
    """A call of a function; its arguments as the file says them. outputs: a name, or one for each part."""

    function: Callable[..., Any]
    positional: Sequence[Mapping[str, Any]]
    keywords: Mapping[str, Mapping[str, Any]]
    outputs: str | Sequence[str]

    def run(self, values: dict[str, Any]) -> None:
        positional = [_argument(one, values) for one in self.positional]
        made = self.function(
            *positional, **{name: _argument(one, values) for name, one in self.keywords.items()}
        )
        if isinstance(self.outputs, str):
            values[self.outputs] = made
        else:
            values.update(zip(self.outputs, made, strict=False))


class Rebuilt(torch.nn.Module):  # type: ignore[misc]
    """A program that is run node by node. torch.fx would write its names into a text of Python, and run that."""

    def __init__(self, told: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        places = {name: f"w{i}" for i, name in enumerate(arrays)}
        for name, place in places.items():
            self.register_buffer(place, torch.from_numpy(arrays[name].copy()))
        self._weights = {value: places[name] for value, name in told["weights"].items()}
        self._inputs, self._outputs = told["inputs"], told["outputs"]
        self._steps = [_step(node) for node in told["nodes"]]

    def forward(self, *given: torch.Tensor) -> tuple[Any, ...]:
        values: dict[str, Any] = dict(zip(self._inputs, given, strict=True))
        values |= {value: getattr(self, place) for value, place in self._weights.items()}
        for step in self._steps:
            step.run(values)
        return tuple(values[name] for name in self._outputs)


def module_of(folder: Path) -> Rebuilt:
    """The module of `program.json` and `weights.npz`.

    Raises:
        ValueError: a node calls what is not on the list, or with what its operator does not take.
    """
    told = json.loads((folder / "program.json").read_text(encoding="utf-8"))
    with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
        module = Rebuilt(told, {name: arrays[name] for name in arrays.files})
    module.eval()
    return module


def _step(node: Mapping[str, Any]) -> _Step:
    target, outputs = node["target"], _outputs(node["outputs"])
    given = {one["name"]: one["arg"] for one in node["inputs"]}
    if len(given) != len(node["inputs"]):
        raise ValueError(f"'{target}' is given an argument twice")
    if target in SIZES:
        return _Step(getattr(operator, target.partition(".")[2]), list(given.values()), {}, outputs)
    name, overload = target.removeprefix("torch.ops.aten.").split(".")
    if not allowed(f"aten::{name}"):
        raise ValueError(f"it has the operator '{name}'")
    function = getattr(getattr(torch.ops.aten, name), overload)
    taken = {argument.name: argument.kwarg_only for argument in function._schema.arguments}
    if unknown := set(given) - set(taken):
        raise ValueError(f"the operator '{name}' takes no '{min(unknown)[:80]}'")
    positional = []
    for argument, keyword in taken.items():
        if keyword or argument not in given:
            break
        positional.append(given.pop(argument))
    return _Step(function, positional, given, outputs)


def _outputs(said: Sequence[Mapping[str, Any]]) -> str | list[str]:
    if len(said) == 1 and "as_tensors" not in said[0]:
        return _name(said[0])
    names = said[0]["as_tensors"] if len(said) == 1 else [_plain(one) for one in said]
    return [str(one["name"]) for one in names]


def _plain(output: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the name of an output stands; one that nobody takes has none."""
    found: Mapping[str, Any] = output.get("as_tensor") or {"name": ""}
    return found


def _name(output: Mapping[str, Any]) -> str:
    ((kind, said),) = output.items()
    if kind == "as_tensor":
        return str(said["name"])
    if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
        return str(said["as_name"])
    raise ValueError(f"an operator gives something that is no tensor ({kind})")


def _argument(said: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    ((kind, value),) = said.items()
    if kind in _PLAIN:
        return _checked(kind, value)
    if kind == "as_none":
        return None
    if kind in _READ:
        return _READ[kind](value, values)
    raise ValueError(f"an operator takes something that is no tensor and no number ({kind})")


def _checked(kind: str, value: Any) -> Any:
    if type(value) is not _PLAIN[kind]:
        raise ValueError(f"an argument of an operator is no {_PLAIN[kind].__name__}")
    return value


def _each(kind: str) -> Any:
    return lambda value, values: [_READ[kind](one, values) for one in value]


def _symbol(value: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """A size by its name, or a number."""
    return values[value["as_name"]] if "as_name" in value else _argument(value, values)


def _optional(value: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    return values[value["as_tensor"]["name"]] if "as_tensor" in value else None


_READ: Mapping[str, Any] = {
    "as_float": lambda value, values: float(value),  # "Infinity" is a text
    "as_tensor": lambda value, values: values[value["name"]],
    "as_ints": lambda value, values: [_checked("as_int", one) for one in value],
    "as_bools": lambda value, values: [_checked("as_bool", one) for one in value],
    "as_floats": _each("as_float"),
    "as_tensors": _each("as_tensor"),
    "as_optional_tensor": _optional,
    "as_optional_tensors": _each("as_optional_tensor"),
    **{f"as_sym_{kind}": _symbol for kind in ("int", "bool", "float")},
    **{f"as_sym_{kind}s": _each(f"as_sym_{kind}") for kind in ("int", "bool", "float")},
    "as_scalar_type": lambda value, values: _DTYPES[value],
    "as_memory_format": lambda value, values: _FORMATS[value],
    "as_layout": lambda value, values: torch.strided,
    "as_device": lambda value, values: torch.device("cpu"),
}
