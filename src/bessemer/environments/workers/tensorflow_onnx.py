"""Turns a foreign model of TensorFlow or Keras into ONNX, and holds the graph against the model itself.

Its argument is a folder with the question: which of `tensorflow_read.READERS` reads what `paths` name.
"""

import json
import logging
import os
import sys

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0")

import limits
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import tensorflow_operators
import tensorflow_read
import tf2onnx
from keras_config import Refused
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

#: The newest set of operators that tf2onnx writes.
_OPSET = 18
_CPU = 300
_ENDS = "Exception encountered: "
#: Rows that both are asked, in how many places one number is missing, what their numbers are, in turn, and by how much
#: answers may differ. Tables know small whole numbers alone, or only 0.
_ROWS, _PLACES, _TOLERANCE = (1, 7, 32), 64, 1e-5
_NUMBERS = (lambda x: 3 * x, lambda x: abs(3 * x), lambda x: abs(x / 2), lambda x: 0 * x)


def taken(shape, dtype):
    """The type in which a graph of ours takes what a model takes; bytes are pixels, where there are images of them."""
    if dtype in (tf.float32, tf.float64, tf.bool) or (dtype == tf.uint8 and len(shape) == 4):
        return dtype
    if dtype.is_integer:
        return tf.int64
    if dtype.is_floating:
        return tf.float32
    raise Refused(
        "the model takes texts" if dtype == tf.string else f"the model takes {dtype.name}",
        "which texts it knows is not said, so that what they do could not be explained",
        "encode them before the model, and save what follows",
    )


def function_of(read):
    """The model as one function, of tensors of the types that are taken, to a dictionary of its outputs."""
    specs = [
        tf.TensorSpec([None, *shape[1:]], taken(shape, dtype), name=f"x{i}")
        for i, (_, shape, dtype) in enumerate(read.inputs)
    ]

    @tf.function(input_signature=specs, autograph=False)
    def call(*tensors):
        cast = [tf.cast(x, dtype) for x, (_, _, dtype) in zip(tensors, read.inputs)]
        return {name: tf.identity(tf.convert_to_tensor(y)) for name, y in read.call(*cast).items()}

    return call.get_concrete_function()


def converted(function, read):
    """The graph, with the model's own names of inputs and outputs, and how many tables it has."""
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
    model, _ = tf2onnx.convert.from_graph_def(
        frozen.graph.as_graph_def(),
        name="imported",
        input_names=[tensor.name for tensor in frozen.inputs],
        output_names=[tensor.name for tensor in frozen.outputs],
        opset=_OPSET,
        custom_op_handlers=tensorflow_operators.HANDLERS,
    )
    for node in model.graph.node:
        _check(node)
    tables = tensorflow_operators.bounded(model.graph)
    _named(model.graph, [name for name, _, _ in read.inputs], sorted(function.structured_outputs))
    return model, tables


def _check(node):
    if node.op_type in ("Loop", "Scan"):
        raise Refused(
            "the model has a loop",
            "a recurrent layer, as a rule; it may never end",
            "import the .keras file, whose steps are written one by one; or train it with unroll=True",
        )
    if node.domain in ("", "ai.onnx") and not onnx.defs.has(node.op_type, _OPSET, ""):
        raise Refused(f"the model has the operator {node.op_type} of TensorFlow", "ONNX has nothing for it")


def _named(graph, inputs, outputs):
    """By operators at the ends: other names in the graph stay as they are."""
    taken_names = {name for node in graph.node for name in (*node.input, *node.output)}
    for values, wanted, ahead in ((graph.input, inputs, True), (graph.output, outputs, False)):
        for value, name in zip(values, wanted):
            old, value.name = value.name, name if name not in taken_names else f"{name}_"
            taken_names.add(value.name)
            ends = (value.name, old) if ahead else (old, value.name)
            node = onnx.helper.make_node("Identity", [ends[0]], [ends[1]])
            graph.node.insert(0, node) if ahead else graph.node.append(node)


def compared(model, function, read):
    """How many rows both were asked, and whether they say the same as well where numbers are missing.

    Raises:
        Refused: they do not say the same, or one of them cannot be asked.
    """
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = [value.name for value in session.get_inputs()]

    def held(rows):
        """Whether the model has an answer, which the graph gives too; it has none to what a table does not have."""
        try:
            wanted = [y.numpy() for _, y in sorted(function(*map(tf.constant, rows)).items())]
        except tf.errors.InvalidArgumentError:
            return False
        _hold(session.run(None, dict(zip(given, rows))), wanted)
        return True

    asked = 0
    missing = not any(_is_whole(shape, dtype) for _, shape, dtype in read.inputs)
    for made in _NUMBERS:
        for count in _ROWS:
            rows = _rows(read, count, made)
            if held(rows):
                asked += count
                missing = missing and _held_without(held, _without(rows, asked))
    if not asked:
        raise Refused("the model answers no row of random numbers", "it could not be held against its graph")
    return asked, missing


def _is_whole(shape, dtype):
    """Whether it takes columns of whole numbers, of which none is missing; pixels are no columns."""
    return len(shape) != 4 and not taken(shape, dtype).is_floating


def _held_without(held, rows):
    try:
        return held(rows)
    except Exception:  # noqa: BLE001 - they differ, or onnxruntime's own, which have no common class
        return False


def _without(rows, seed):
    """Some of the rows with one column missing in each, one with half of them, and one with none left."""
    columns = [x.ndim != 4 and x.dtype.kind == "f" for x in rows]
    width = sum(x[0].size for x, are in zip(rows, columns) if are)
    rng = np.random.default_rng(seed)
    places = rng.permutation(width)[:_PLACES]
    gone = np.zeros((len(places) + 2, width), bool)
    gone[np.arange(len(places)), places] = True
    gone[-2], gone[-1] = rng.random(width) < 0.5, True
    found, first = [], 0
    for x, are in zip(rows, columns):
        x = np.array(x[np.arange(len(gone)) % len(x)])
        if are:
            x[gone[:, first : first + x[0].size].reshape(x.shape)] = np.nan
            first += x[0].size
        found.append(x)
    return found


def _rows(read, count, made):
    rng = np.random.default_rng(count)
    found = []
    for name, shape, dtype in read.inputs:
        sizes = list(shape[1:])
        if None in sizes:
            raise Refused(
                f"the model's input '{name}' has axes of any length: {[None, *sizes]}",
                "a row of a table has a fixed number of columns",
                "save it with a fixed shape",
            )
        numbers = made(rng.normal(size=(count, *sizes)))
        found.append(np.asarray(numbers).astype(taken(shape, dtype).as_numpy_dtype))
    return found


def _hold(found, wanted):
    for mine, theirs in zip(found, wanted):
        if mine.shape != theirs.shape:
            raise Refused(f"its graph answers with shape {mine.shape}, the model with {theirs.shape}")
        mine, theirs = mine.astype(np.float64), theirs.astype(np.float64)
        size = max(1.0, float(np.nanmax(np.abs(theirs), initial=0.0)))
        off = float(
            np.max(np.where(np.isnan(mine) & np.isnan(theirs), 0.0, np.abs(mine - theirs)), initial=0.0)
        )
        if not off <= _TOLERANCE * size:
            raise Refused(
                f"its graph differs from the model by {off:.2g}",
                f"of answers of up to {size:.3g}; {_TOLERANCE:g} of their size is allowed",
                "export it as ONNX where it was trained, and look at what differs",
            )


def answered(question, folder):
    print("progress: loading the model", flush=True)
    read = tensorflow_read.READERS[question["read"]](*question["paths"])
    print("progress: turning it into ONNX", flush=True)
    function = function_of(read)
    model, tables = converted(function, read)
    print("progress: holding it against the model", flush=True)
    rows, missing = compared(model, function, read)
    graph = np.frombuffer(model.SerializeToString(deterministic=True), dtype=np.uint8)
    np.save(os.path.join(folder, "out_graph.npy"), graph, allow_pickle=False)
    said = {"rows": rows, "missing": missing, "tables": tables}
    return {"read": read.version, "wrote": f"tf2onnx {tf2onnx.__version__}", **said}


def _shown(error):
    """The line that says what was wrong; Keras puts it behind the whole architecture."""
    lines = str(error).rpartition(_ENDS)[2].strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def main(folder):
    with open(os.path.join(folder, "question.json"), encoding="utf-8") as file:
        question = json.load(file)
    logging.disable(logging.CRITICAL)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    limits.hold(cpu=_CPU)
    try:
        said = answered(question, folder)
    except Refused as error:
        said = {"refused": [error.what, error.why, error.fix]}
    except Exception as error:  # noqa: BLE001 - libraries' errors have no common class, and it is somebody's file
        said = {"refused": ["the model cannot be read and converted", _shown(error), ""]}
    with open(os.path.join(folder, "answer.json"), "w", encoding="utf-8") as file:
        json.dump(said, file)


if __name__ == "__main__":
    main(sys.argv[1])
