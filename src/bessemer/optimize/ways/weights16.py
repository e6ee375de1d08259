"""A network's weights kept as 16-bit floats, half the size; it computes with 32 bits."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from bessemer.optimize.spec import NoSettings
from bessemer.optimize.variant import Native, Parent, UnsuitedError, Variant, with_head

#: Smaller constants are not worth a node.
_LEAST = 256


class Weights16:
    """Each weight rounded to float16 and made float32 again where the graph is loaded, so that it takes no longer."""

    needs_rows: ClassVar[bool] = False
    Settings: ClassVar[type[NoSettings]] = NoSettings

    def __init__(self, settings: NoSettings) -> None:
        self.settings = settings

    def variants(self, parent: Parent) -> list[Variant]:
        native = parent.native
        if native.kind != "head":
            raise UnsuitedError("only networks have weights; half floats would break thresholds of trees")
        line, _, head = native.content.partition(b"\n")
        made = halved(head)
        content = line + b"\n" + made.SerializeToString(deterministic=True)
        return [Variant("weights of 16 bits", with_head(parent.graph, made), Native("head", content))]


def halved(head: bytes) -> Any:
    """The graph with its large float32 constants as float16, each with a Cast behind it.

    Raises:
        UnsuitedError: there are none, or one does not fit.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(head)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims, dtype=np.int64) < _LEAST:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max(initial=0.0) > np.finfo(np.float16).max:
            raise UnsuitedError("a weight is too large for 16 bits")
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_16"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_16"], [name], to=onnx.TensorProto.FLOAT))
    if not casts:
        raise UnsuitedError("it has no weights worth the while")
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
