"""A graph's steps as a functional model of Keras: layers with weights, and Keras's own operators between them.

Nothing in it is code of ours: Keras alone loads what is saved.
"""

import os

import keras
import numpy as np
from keras import layers, ops
from keras_layers import LAYERS, weighted
from keras_moves import MOVES
from keras_operators import OPERATORS
from keras_values import Unknown, Value

ALL = {**OPERATORS, **MOVES, **LAYERS}


class Builder:
    """plain: whether runtimes follow that have no error function. name, gives: of the step that is being built."""

    def __init__(self, constants, plain):
        self.values = {name: Value(array) for name, array in constants.items()}
        self.plain = plain
        self.name, self.gives = "", 1

    def add(self, step):
        if step["op"] not in ALL:
            raise Unknown(f"its model has the operator {step['op']}")
        self.name, self.gives = f"core_{step['gives'][0]}", len(step["gives"])
        takes = [self.values[name] if name else None for name in step["takes"]]
        made = ALL[step["op"]](self, step["said"], *takes)
        self.values.update(zip(step["gives"], made if isinstance(made, tuple) else (made,)))

    def filled(self, value, among, order, axis):
        """A constant that is joined with tensors has to have as many rows as they."""
        if not value.constant or all(other.constant for other in among):
            return value.ordered(order)
        other = next(v for v in among if not v.constant)
        rows = ops.multiply(ops.take(other.ordered(order), [0], axis=order[axis]), 0.0)
        return ops.add(rows, value.ordered(order))

    def looked_up(self, table, at, axis):
        """Rows of a table by their numbers: an embedding, whose weights are floats."""
        if axis or table.ndim > 2:
            raise Unknown("its graph looks up a table by its columns")
        if table.dtype.kind in "iu" and np.abs(table).max(initial=0) >= 2**24:
            raise Unknown("its trees have more nodes than a float counts")
        flat = table.reshape(len(table), -1)
        layer = layers.Embedding(len(flat), flat.shape[1], name=self.name)
        found = weighted(layer, ops.cast(at.plain, "int32"), flat)
        if table.ndim == 1:
            found = ops.squeeze(found, axis=-1)
        return Value(found if table.dtype.kind == "f" else ops.cast(found, "int32"))


def build(question, folder):
    """The model of a question, whose constants are in `c0.npy` and so on."""
    keras.utils.set_random_seed(0)
    read = lambda i: np.load(os.path.join(folder, f"c{i}.npy"), allow_pickle=False)  # noqa: E731
    constants = {name: read(i) for i, name in enumerate(question["constants"])}
    builder = Builder(constants, question.get("plain", False))
    encoded = keras.Input((question["width"],), name="encoded")
    builder.values["encoded"] = Value(encoded)
    for step in question["steps"]:
        builder.add(step)
    outputs = {name: builder.values[name].plain for name in question["outputs"]}
    return keras.Model(encoded, outputs, name=question["name"])
