"""Building and joining the one ONNX graph.

A `GraphBuilder` collects nodes and constants and gives each value a readable, unique name. All graphs of
Bessemer have the same operator sets, so joining two is a matter of names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from bessemer.package.onnx_format import (
    DOMAINS,
    FOREIGN_OPSET,
    IR_VERSION,
    ML_OPSET,
    OPSET,
    TENSORS,
    inner_graphs,
    serialize,
)

__all__ = ["DOMAINS", "IR_VERSION", "ML_OPSET", "OPSET", "TENSORS", "GraphBuilder", "serialize"]


def _add_attribute(node: Any, name: str, value: Any) -> None:
    """Add an attribute to a node; arrays go in whole, where onnx's own helper looks at every element."""
    made = node.attribute.add()
    if not isinstance(value, np.ndarray):
        made.CopyFrom(helper.make_attribute(name, value))
        return
    made.name = name
    if value.dtype.kind == "f":
        made.type = onnx.AttributeProto.FLOATS
        made.floats.extend(value.tolist())
    elif value.dtype.kind == "S":
        made.type = onnx.AttributeProto.STRINGS
        made.strings.extend(value.tolist())
    else:
        made.type = onnx.AttributeProto.INTS
        made.ints.extend(value.tolist())


class GraphBuilder:
    """A graph under construction. Values are named by strings; every method gives the name of its result.

    >>> g = GraphBuilder("double")
    >>> x = g.input("x", "float32", ("N", 1))
    >>> g.output(g.op("Mul", [x, g.constant(np.float32(2))], name="y"), "float32", ("N", 1))
    >>> [n.op_type for n in g.model().graph.node]
    ['Mul']
    """

    def __init__(self, name: str) -> None:
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        empty = helper.make_graph([], name, [], [])
        # Nodes are made where they stay: those of large models take tens of megabytes, and each copy its time.
        self._model = helper.make_model(
            empty, opset_imports=opsets, ir_version=IR_VERSION, producer_name="bessemer"
        )
        self.inputs: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}
        self.initializers: dict[str, Any] = {}
        self._names: set[str] = set()
        self._last: dict[str, int] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def fresh(self, hint: str) -> str:
        """A name no value of this graph has yet, starting with `hint`."""
        name, n = hint, self._last.get(hint, 1)
        while name in self._names:
            n += 1
            name = f"{hint}_{n}"
        self._last[hint] = n  # the names up to here are taken: a graph of 10,000 columns asks 10,000 times
        self._names.add(name)
        return name

    def input(self, name: str, tensor: str, shape: Sequence[int | str]) -> str:
        """Declare an input of the graph; its name is taken as it is."""
        self._names.add(name)
        self.inputs[name] = helper.make_tensor_value_info(name, TENSORS[tensor], list(shape))
        return name

    def output(self, value: str, tensor: str, shape: Sequence[int | str]) -> None:
        """Declare a value to be an output of the graph."""
        self.outputs[value] = helper.make_tensor_value_info(value, TENSORS[tensor], list(shape))

    def constant(self, value: Any, hint: str = "const") -> str:
        """A constant tensor (a numpy array or scalar, of its own dtype; text as an object array)."""
        array = np.asarray(value)
        if array.dtype.kind in "US":
            array = array.astype(object)
        content = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
        key = (str(array.dtype), array.shape, content)
        if key not in self._constants:
            name = self.fresh(hint)
            self.initializers[name] = numpy_helper.from_array(array, name)
            self._constants[key] = name
        return self._constants[key]

    def op(
        self, op_type: str, inputs: Sequence[str], *, name: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Add a node with one output and give that output's name."""
        return self.op_many(op_type, inputs, 1, name=name, domain=domain, **attributes)[0]

    def op_many(
        self,
        op_type: str,
        inputs: Sequence[str],
        outputs: int,
        *,
        name: str = "",
        domain: str = "",
        **attributes: Any,
    ) -> list[str]:
        """Add a node with several outputs and give their names."""
        names = [self.fresh(name or op_type.lower()) for _ in range(outputs)]
        self._use(domain)
        node = self._model.graph.node.add()
        node.CopyFrom(helper.make_node(op_type, list(inputs), names, domain=domain))
        for key, value in sorted(attributes.items()):
            _add_attribute(node, key, value)
        node.name = f"{op_type}:{names[0]}"
        return names

    def cast(self, value: str, tensor: str, *, name: str = "") -> str:
        return self.op("Cast", [value], to=TENSORS[tensor], name=name)

    def embed(self, model: Any, bindings: Mapping[str, str], prefix: str) -> dict[str, str]:
        """Copy another graph's nodes into this one.

        Args:
            model: an ONNX model with the operator sets of this module.
            bindings: its input names -> values of this graph.
            prefix: put before every name of the copied graph.

        Returns:
            its output names -> values of this graph.
        """
        renamed = dict(bindings)
        for opset in model.opset_import:
            self._use(opset.domain)
        for tensor in model.graph.initializer:
            copy = onnx.TensorProto()
            copy.CopyFrom(tensor)
            copy.name = renamed[tensor.name] = self.fresh(f"{prefix}{tensor.name}")
            self.initializers[copy.name] = copy
        for node in model.graph.node:
            copy = self._model.graph.node.add()
            copy.CopyFrom(node)
            self._rename(copy, renamed, prefix)
        return {o.name: renamed[o.name] for o in model.graph.output}

    def _rename(self, node: Any, renamed: dict[str, str], prefix: str) -> None:
        """Give a copied node the names of this graph, and add those of its outputs to `renamed`."""
        for graph in inner_graphs(node):
            self._rename_inner(graph, dict(renamed), prefix)
        renamed.update({output: self.fresh(f"{prefix}{output}") for output in node.output if output})
        node.input[:] = [renamed[i] if i else "" for i in node.input]
        node.output[:] = [renamed[o] if o else "" for o in node.output]
        node.name = f"{node.op_type}:{node.output[0]}"

    def _rename_inner(self, graph: Any, renamed: dict[str, str], prefix: str) -> None:
        """The same for a graph inside a node: its values may not have the names of others around it."""
        for value in [*graph.input, *graph.initializer]:
            renamed[value.name] = self.fresh(f"{prefix}{value.name}")
            value.name = renamed[value.name]
        for node in graph.node:
            self._rename(node, renamed, prefix)
        for value in graph.output:
            value.name = renamed[value.name]

    def _use(self, domain: str) -> None:
        """Declare the operator set of a domain beside the standard's."""
        if domain not in (*DOMAINS, *(known.domain for known in self._model.opset_import)):
            self._model.opset_import.append(helper.make_opsetid(domain, FOREIGN_OPSET))

    def inner(self, name: str) -> InnerGraph:
        """A graph for a node of this one (the body of a Loop, a branch of an If), which sees this one's values."""
        return InnerGraph(self, name)

    def model(self) -> Any:
        """The finished ONNX model; the same calls give the same bytes. It is the builder's own: build no further."""
        graph = self._model.graph
        for field, values in (
            (graph.input, self.inputs),
            (graph.output, self.outputs),
            (graph.initializer, self.initializers),
        ):
            del field[:]
            field.extend(values.values())
        return self._model


class InnerGraph(GraphBuilder):
    """A graph inside a node. Constants, names and operator sets are those of the graph around it.

    >>> g = GraphBuilder("if")
    >>> said = g.input("said", "bool", ())
    >>> branches = {name: g.inner(name) for name in ("then_branch", "else_branch")}
    >>> for name, branch in branches.items():
    ...     branch.output(branch.op("Identity", [g.constant(np.float32(name == "then_branch"))]), "float32", ())
    >>> answer = g.op("If", [said], **{name: branch.graph() for name, branch in branches.items()})
    """

    def __init__(self, outer: GraphBuilder, name: str) -> None:
        super().__init__(name)
        self._outer = outer

    def fresh(self, hint: str) -> str:
        return self._outer.fresh(hint)

    def input(self, name: str, tensor: str, shape: Sequence[int | str]) -> str:
        return super().input(self.fresh(name), tensor, shape)

    def constant(self, value: Any, hint: str = "const") -> str:
        return self._outer.constant(value, hint)

    def _use(self, domain: str) -> None:
        self._outer._use(domain)

    def graph(self) -> Any:
        """The finished graph, as the attribute of a node; build no further."""
        return self.model().graph
