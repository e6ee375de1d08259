"""Operators of graphs that look at one number at a time, and that reduce."""

from functools import reduce

import numpy as np
from keras import ops
from keras_values import Unknown, Value, alike, closed

_ROOT_HALF = 0.5**0.5
#: Element types of ONNX.
ELEMENTS = {1: "float32", 6: "int32", 7: "int32", 9: "bool", 11: "float32"}


def whole(array):
    """A constant as the runtimes behind TensorFlow like it: whole numbers of 32 bits, single numbers plain."""
    array = np.asarray(array)
    if array.dtype == np.int64:
        if array.size and np.abs(array).max() >= 2**31:
            raise Unknown("its graph has a whole number beyond 32 bits")
        array = array.astype(np.int32)
    return array.item() if array.ndim == 0 else array


def each(f):
    """An operator that looks at one number of each of its inputs."""

    def operator(build, said, *values):
        tensors, order = alike(values)
        if all(value.constant for value in values):
            return Value(np.asarray(f(*tensors)))
        return Value(f(*[whole(t) if isinstance(t, np.ndarray) else t for t in tensors]), order)

    return operator


def folded(f):
    return lambda build, said, *values: reduce(lambda a, b: each(f)(build, said, a, b), values)


def with_said(f):
    """An operator of one value and its attributes."""

    def operator(build, said, x):
        return Value(f(said, x.tensor), x.order)

    return operator


def clip(build, said, x, low=None, high=None):
    if low is not None:
        x = each(ops.maximum)(build, said, x, low)
    return x if high is None else each(ops.minimum)(build, said, x, high)


def cast(build, said, x):
    if said["to"] not in ELEMENTS:
        raise Unknown(f"its graph casts to the element type {said['to']}")
    return Value(ops.cast(x.tensor, ELEMENTS[said["to"]]), x.order)


def divide(a, b):
    kinds = {str(getattr(v, "dtype", "float32")) for v in (a, b)}
    if any("int" in kind for kind in kinds):
        raise Unknown("its graph divides whole numbers")
    return ops.true_divide(a, b)


def gelu(build, said, x):
    if said.get("approximate", "none") == "tanh":
        return Value(ops.gelu(x.tensor, approximate=True), x.order)
    tensor = x.tensor
    if not build.plain:
        grown = ops.add(ops.erf(ops.multiply(tensor, _ROOT_HALF)), 1.0)
        return Value(ops.multiply(ops.multiply(tensor, grown), 0.5), x.order)
    size = ops.absolute(tensor)
    rest = ops.multiply(ops.multiply(size, 0.5), _erf_tail(ops.multiply(size, _ROOT_HALF)))
    return Value(ops.subtract(ops.relu(tensor), rest), x.order)


def erf(build, said, x):
    if not build.plain:
        return Value(ops.erf(x.tensor), x.order)
    return Value(
        ops.multiply(ops.sign(x.tensor), ops.subtract(1.0, _erf_tail(ops.absolute(x.tensor)))), x.order
    )


def _erf_tail(size):
    """1 - erf of what is not negative, within 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26): for runtimes that have no
    operator for it."""
    t = ops.true_divide(1.0, ops.add(ops.multiply(size, 0.3275911), 1.0))
    found = 1.061405429
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        found = ops.add(ops.multiply(t, found), factor)
    return ops.multiply(ops.multiply(t, found), ops.exp(ops.negative(ops.multiply(size, size))))


def softmax(build, said, x):
    return Value(ops.softmax(x.tensor, axis=x.axis(said.get("axis", -1))), x.order)


def log_softmax(build, said, x):
    return Value(ops.log_softmax(x.tensor, axis=x.axis(said.get("axis", -1))), x.order)


def reduced(f):
    """A reduction over `axes`, an input since opset 18, an attribute before."""

    def operator(build, said, x, axes=None):
        given = axes.tensor.reshape(-1).tolist() if axes is not None else said.get("axes", [])
        if not given and said.get("noop_with_empty_axes"):
            return x
        return _over(x, f, given or list(range(x.rank)), said.get("keepdims", 1))

    return operator


def _over(x, f, axes, keep):
    axes = [axis % x.rank for axis in axes]
    where = tuple(sorted(x.order[axis] for axis in axes))
    made = f(x.tensor, axis=where if len(where) > 1 else where[0], keepdims=bool(keep))
    return Value(made, x.order if keep else closed([a for i, a in enumerate(x.order) if i not in axes]))


def best(f):
    def operator(build, said, x):
        return _over(x, f, [said.get("axis", 0)], said.get("keepdims", 1))

    return operator


def over_space(f):
    return lambda build, said, x: _over(x, f, list(range(2, x.rank)), 1)


def hard_sigmoid(said, x):
    moved = ops.add(ops.multiply(x, said.get("alpha", 0.2)), said.get("beta", 0.5))
    return ops.minimum(ops.maximum(moved, 0.0), 1.0)


OPERATORS = {
    "Abs": each(ops.absolute),
    "Add": each(ops.add),
    "And": each(ops.logical_and),
    "ArgMax": best(ops.argmax),
    "Cast": cast,
    "Ceil": each(ops.ceil),
    "Clip": clip,
    "Cos": each(ops.cos),
    "Div": each(divide),
    "Dropout": lambda build, said, x, *_: x,
    "Elu": with_said(lambda said, x: ops.elu(x, alpha=said.get("alpha", 1.0))),
    "Equal": each(ops.equal),
    "Erf": erf,
    "Exp": each(ops.exp),
    "Floor": each(ops.floor),
    "Gelu": gelu,
    "GlobalAveragePool": over_space(ops.mean),
    "GlobalMaxPool": over_space(ops.max),
    "Greater": each(ops.greater),
    "GreaterOrEqual": each(ops.greater_equal),
    "HardSigmoid": with_said(hard_sigmoid),
    "HardSwish": each(ops.hard_silu),
    "Identity": lambda build, said, x: x,
    "LeakyRelu": with_said(lambda said, x: ops.leaky_relu(x, negative_slope=said.get("alpha", 0.01))),
    "Less": each(ops.less),
    "LessOrEqual": each(ops.less_equal),
    "Log": each(ops.log),
    "LogSoftmax": log_softmax,
    "Max": folded(ops.maximum),
    "Min": folded(ops.minimum),
    "Mul": each(ops.multiply),
    "Neg": each(ops.negative),
    "Not": each(ops.logical_not),
    "Or": each(ops.logical_or),
    "Pow": each(ops.power),
    "Reciprocal": each(ops.reciprocal),
    "ReduceMax": reduced(ops.max),
    "ReduceMean": reduced(ops.mean),
    "ReduceMin": reduced(ops.min),
    "ReduceSum": reduced(ops.sum),
    "Relu": each(ops.relu),
    "Round": each(ops.round),
    "Selu": each(ops.selu),
    "Sigmoid": each(ops.sigmoid),
    "Sign": each(ops.sign),
    "Sin": each(ops.sin),
    "Softmax": softmax,
    "Softplus": each(ops.softplus),
    "Softsign": each(ops.softsign),
    "Sqrt": each(ops.sqrt),
    "Sub": each(ops.subtract),
    "Sum": folded(ops.add),
    "Tanh": each(ops.tanh),
    "Where": each(ops.where),
}
