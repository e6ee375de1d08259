"""The features of a document's model: raw columns as they are, or computed from them by the package's own graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bessemer.core.signature import DType
from bessemer.core.sql import quote
from bessemer.importers.models.foreign import Input
from bessemer.importers.models.pmml.columns import Raw
from bessemer.importers.models.pmml.emit import Emitter
from bessemer.importers.models.pmml.terms import Node
from bessemer.prepare.transforms.base import Block, Column, CrossFit, Feature, FeatureKind, Plain

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder

_SHOWN = 5


@dataclass(frozen=True)
class Computed:
    """Features that are computed from raw columns: a node of the document each."""

    nodes: tuple[Node, ...]
    features: tuple[Feature, ...]
    columns: tuple[str, ...]
    crossfit: CrossFit | None = None

    def add(self, builder: GraphBuilder, value: str) -> Block:
        def leaf(node: Node) -> str | None:
            if node.op != "column":
                return None
            name, kind = node.value
            return str(name) if kind == "string" else builder.cast(name, "float64")

        found = Emitter(builder, leaf, self.columns[0]).wide(self.nodes)
        return Block(builder.cast(found, "float32"))


@dataclass(frozen=True)
class Taken:
    """inputs: what the model takes. columns: the raw columns. order: the new place of each node's feature."""

    inputs: tuple[Input, ...]
    columns: dict[str, DType]
    order: np.ndarray


def taken(nodes: Sequence[Node], used: dict[str, Raw]) -> Taken:
    """The inputs whose features are the nodes; those of one column, or of the same columns, stand side by side."""
    groups: dict[tuple[str, ...], list[int]] = {}
    places = {name: i for i, name in enumerate(used)}
    fallback = next(iter(used), "")
    for i, node in enumerate(nodes):
        names = tuple(sorted(node.columns, key=places.__getitem__)) or (fallback,)
        groups.setdefault(names, []).append(i)
    needed = {name for names in groups for name in names}
    columns = {name: raw.dtype for name, raw in used.items() if name in needed}
    inputs, order = [], []
    for names in sorted(groups, key=lambda one: (len(one) > 1, [places[name] for name in one])):
        own = groups[names]
        inputs.append(_input(names, [nodes[i] for i in own], columns))
        order += own
    found = np.zeros(len(nodes), dtype=np.int32)
    found[order] = np.arange(len(order))
    return Taken(tuple(inputs), columns, found)


def _input(names: tuple[str, ...], nodes: Sequence[Node], columns: dict[str, DType]) -> Input:
    group = names[0] if len(names) == 1 else " and ".join(names)
    while len(names) > 1 and group in columns:
        group += " "
    column = Column(group, columns[names[0]] if len(names) == 1 else "number", quote(group), names)
    if len(nodes) == 1 and _plain(nodes[0]):
        return Input(column, Plain(Feature(group, group, "number", f"the value of {group}")))
    features = tuple(_feature(group, node) for node in nodes)
    return Input(column, Computed(tuple(nodes), features, names))


def _plain(node: Node) -> bool:
    """Whether a feature is its raw column as it is, which is float32 anyway."""
    return node.op == "column" or (node.op == "float" and node.args[0].op == "column")


def _feature(group: str, node: Node) -> Feature:
    kind: FeatureKind = "indicator" if node.dtype == "truth" else "number"
    if _plain(node):
        return Feature(group, group, "number", f"the value of {group}")
    if node.op in ("lookup", "member") and node.args[0].op == "codes" and node.dtype == "truth":
        keys = node.args[0].value
        true = node.value[0] if node.op == "member" else np.flatnonzero(node.value == 1)
        inside = [str(keys[i]) for i in true if i < len(keys)]
        shown = ", ".join(inside[:_SHOWN]) + (
            f" and {len(inside) - _SHOWN} more" if len(inside) > _SHOWN else ""
        )
        return Feature(f"{group}: {shown}", group, kind, f"whether {group} is one of {shown}")
    return Feature(f"{group}, computed", group, kind, f"what the document computes from {group}")
