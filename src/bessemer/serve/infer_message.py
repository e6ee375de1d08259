"""Inference requests and answers of the Open Inference Protocol as messages of gRPC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bessemer.serve.dialect import Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.infer_request import (
    InferRequest,
    Wanted,
    read_parameters,
    read_wanted,
    refuse_memory,
)
from bessemer.serve.protos import message
from bessemer.serve.tensor_output import described, to_raw
from bessemer.serve.tensor_values import DATATYPES, Tensor, text_of
from bessemer.serve.tensors import shape_of
from bessemer.serve.wire import Array

#: Which field of InferTensorContents has the values of a datatype; FP16 and BF16 travel raw only.
_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def parameters_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as plain values; one without a value is left out."""
    found = {}
    for name, parameter in given.items():
        choice = parameter.WhichOneof("parameter_choice")
        if choice is not None:
            found[name] = getattr(parameter, choice)
    return found


def read_infer_message(asked: Any) -> InferRequest:
    """The inference request in a ModelInferRequest.

    Raises:
        RequestError: 400 when tensors and their contents do not belong together, 501 for what is not spoken.
    """
    binary, explain, timeout = read_parameters(parameters_of(asked.parameters) if asked.parameters else {})
    raw = asked.raw_input_contents
    if raw and len(raw) != len(asked.inputs):
        raise RequestError(
            400,
            f"there are {len(raw)} raw contents for {len(asked.inputs)} inputs",
            fix="send raw_input_contents for all inputs, or for none",
        )
    binary = binary or bool(raw)
    return InferRequest(
        id=asked.id or None,
        tensors=tuple(_tensor(each, raw[i] if raw else None) for i, each in enumerate(_once(asked.inputs))),
        outputs=tuple(
            read_wanted(each.name, parameters_of(each.parameters), binary) for each in asked.outputs
        ),
        binary=binary,
        explain=explain,
        timeout=timeout,
    )


def _once(inputs: Sequence[Any]) -> Sequence[Any]:
    names = [each.name for each in inputs]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestError(400, f"input '{twice}' is given twice")
    return inputs


def _tensor(given: Any, raw: bytes | None) -> Tensor:
    name, datatype, shape = given.name, given.datatype, shape_of(given.name, list(given.shape))
    if given.parameters:
        refuse_memory(parameters_of(given.parameters))
    if raw is not None:
        if given.HasField("contents"):
            raise RequestError(400, f"input '{name}' has both contents and raw contents")
        return Tensor(name, datatype, shape, raw=memoryview(raw))
    if datatype not in _CONTENTS:
        if datatype in DATATYPES:
            what = f"input '{name}' is {datatype}, which has no typed contents"
            raise RequestError(400, what, fix="send raw_input_contents")
        return Tensor(name, datatype, shape, data=[])  # refused by name where it is read
    values: list[Any] = list(getattr(given.contents, _CONTENTS[datatype]))
    if datatype == "BYTES":
        values = [text_of(name, row, value) for row, value in enumerate(values)]
    return Tensor(name, datatype, shape, data=values)


def write_infer_message(
    subject: Subject, identity: str | None, outputs: Sequence[tuple[Wanted, Array]]
) -> Any:
    """A ModelInferResponse. Its outputs are all raw, or none: raw where one of them shall be."""
    made = message("inference.ModelInferResponse")(
        model_name=subject.name, model_version=subject.version, id=identity or ""
    )
    raw = any(wanted.binary for wanted, _ in outputs)
    for wanted, array in outputs:
        told = described(wanted.name, array)
        tensor = made.outputs.add(**told)
        if raw:
            made.raw_output_contents.append(to_raw(array))
            continue
        values = array.reshape(-1).tolist()
        if told["datatype"] == "BYTES":
            values = [str(value).encode() for value in values]
        getattr(tensor.contents, _CONTENTS[told["datatype"]]).extend(values)
    return made
