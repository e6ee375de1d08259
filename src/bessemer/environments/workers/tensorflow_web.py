"""A graph model for TensorFlow.js: the graph as JSON, and its constants in files of at most 4 MB.

It has the form that `tensorflowjs_converter` writes, whose own packages no longer go with today's TensorFlow.
"""

import json
import os

import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

#: Bytes of a file, which browsers keep in their cache.
SHARD = 4 * 1024 * 1024


def write(model, question, out):
    @tf.function(input_signature=[tf.TensorSpec((None, question["width"]), tf.float32, name="encoded")])
    def serve(encoded):
        return model(encoded, training=False)

    frozen = convert_variables_to_constants_v2(serve.get_concrete_function())
    graph = frozen.graph.as_graph_def()
    del graph.library.function[:]
    os.makedirs(out, exist_ok=True)
    outputs = dict(zip(sorted(question["outputs"]), frozen.outputs, strict=True))
    weights, content = _constants(graph)
    shards = [content[i : i + SHARD] for i in range(0, len(content), SHARD)] or [b""]
    names = [f"group1-shard{i + 1}of{len(shards)}.bin" for i in range(len(shards))]
    for name, shard in zip(names, shards, strict=True):
        with open(os.path.join(out, name), "wb") as file:
            file.write(shard)
    told = {
        "format": "graph-model",
        "generatedBy": tf.__version__,
        "convertedBy": "Bessemer",
        "signature": {
            "inputs": {"encoded": _tensor(frozen.inputs[0])},
            "outputs": {name: _tensor(tensor) for name, tensor in outputs.items()},
        },
        "userDefinedMetadata": {"structuredOutputKeys": list(outputs)},
        "modelTopology": MessageToDict(graph),
        "weightsManifest": [{"paths": names, "weights": weights}],
    }
    with open(os.path.join(out, "model.json"), "w", encoding="utf-8") as file:
        json.dump(told, file, separators=(",", ":"), sort_keys=True)


def _tensor(tensor):
    shape = [{"size": str(-1 if size is None else size)} for size in tensor.shape]
    return {"name": tensor.name, "dtype": "DT_FLOAT", "tensorShape": {"dim": shape}}


def _constants(graph):
    """What goes into the files, and its bytes; in the graph a constant is only its type from then on."""
    weights, content = [], b""
    for node in graph.node:
        if node.op != "Const":
            continue
        array = tf.make_ndarray(node.attr["value"].tensor)
        if array.dtype == np.int64:
            array = array.astype(np.int32)
            node.attr["dtype"].type = tf.int32.as_datatype_enum
        if array.dtype.name not in ("float32", "int32", "bool"):
            raise TypeError(f"a constant of {array.dtype}")
        weights.append({"name": node.name, "shape": list(array.shape), "dtype": array.dtype.name})
        content += array.astype(array.dtype.newbyteorder("<")).tobytes()
        del node.attr["value"]
    return weights, content
