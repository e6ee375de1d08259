"""Which raw columns each feature is computed from, as the graph has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.package.cut import node_inputs
from bessemer.package.head import FEATURES
from bessemer.package.onnx_format import parse

if TYPE_CHECKING:
    from bessemer.attack.protocol import Sample, Victim


def sources(victim: Victim, sample: Sample) -> list[frozenset[str]]:
    """Of each feature, in order, the raw columns it depends on. Where the graph does not put features side by side,
    each of them is said to depend on all that any does."""
    model = parse(victim.model.bytes("model.onnx"))
    producer = {name: node for node in model.graph.node for name in node.output if name}
    raw = {i.name for i in model.graph.input}
    parts = list(_parts(producer, FEATURES))
    computed = [name for name in dict.fromkeys(parts) if name not in raw]
    made = victim.session.run(sample.table.slice(0, 1), computed) if computed else {}
    widths = [1 if part in raw else int(np.atleast_2d(made[part]).shape[1]) for part in parts]
    found = [
        frozenset(_above(producer, part) & raw)
        for part, n in zip(parts, widths, strict=True)
        for _ in range(n)
    ]
    if len(found) == sample.X.shape[1]:
        return found
    return [frozenset(_above(producer, FEATURES) & raw)] * sample.X.shape[1]


def _parts(producer: Mapping[str, Any], name: str) -> Iterator[str]:
    """The values that stand side by side in a value of rows: past what treats each of their columns alike."""
    node = producer.get(name)
    if node is not None and node.op_type == "Identity":
        yield from _parts(producer, node.input[0])
    elif (
        node is not None
        and node.op_type == "Where"
        and _is_infinite(producer.get(node.input[0]), node.input[2])
    ):
        yield from _parts(producer, node.input[2])
    elif node is not None and node.op_type == "Concat" and [a.i for a in node.attribute] == [1]:
        for part in node.input:
            yield from _parts(producer, part)
    else:
        yield name


def _is_infinite(node: Any, x: str) -> bool:
    return node is not None and node.op_type == "IsInf" and list(node.input) == [x]


def _above(producer: Mapping[str, Any], name: str) -> set[str]:
    """All that a value is computed from, itself among it."""
    seen, todo = set[str](), [name]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            if one in producer:
                todo.extend(node_inputs(producer[one]))
    return seen
