"""Operators of graphs that look at one number at a time, that move numbers about, and that reduce."""

from functools import reduce

import numpy as np
from keras import ops
from keras_values import Unknown, Value, alike

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
    return Value(made, x.order if keep else _closed([a for i, a in enumerate(x.order) if i not in axes]))


def _closed(order):
    """The same order without gaps."""
    return tuple(int(place) for place in np.argsort(np.argsort(order)))


def best(f):
    def operator(build, said, x):
        return _over(x, f, [said.get("axis", 0)], said.get("keepdims", 1))

    return operator


def over_space(f):
    return lambda build, said, x: _over(x, f, list(range(2, x.rank)), 1)


def numbers(value):
    if value is None or not value.constant:
        raise Unknown("its graph computes a shape")
    return [int(n) for n in value.tensor.reshape(-1)]


def reshape(build, said, x, shape):
    wanted = numbers(shape)
    wanted = [
        x.shape[i] if size == 0 and not said.get("allowzero") else size for i, size in enumerate(wanted)
    ]
    if x.constant:
        return Value(x.tensor.reshape(wanted))
    return _reshaped(x, wanted)


def _reshaped(x, wanted):
    """Rows are any number, and stay first."""
    if x.shape[0] is not None or wanted[0] not in (None, -1):
        raise Unknown("its graph reshapes rows")
    own, known = int(np.prod(x.shape[1:])), int(np.prod([size for size in wanted[1:] if size != -1]))
    sizes = [own // known if size == -1 else size for size in wanted[1:]]
    if int(np.prod(sizes)) != own:
        raise Unknown("its graph reshapes rows")
    return Value(ops.reshape(x.plain, (-1, *sizes)))


def flatten(build, said, x):
    axis = said.get("axis", 1)
    if axis % (x.rank + 1) != 1:
        raise Unknown("its graph flattens rows")
    return _reshaped(x, [-1, int(np.prod(x.shape[1:]))])


def transpose(build, said, x):
    perm = said.get("perm") or list(reversed(range(x.rank)))
    if x.constant:
        return Value(np.transpose(x.tensor, perm))
    return Value(x.tensor, [x.order[axis] for axis in perm])


def unsqueeze(build, said, x, axes):
    rank = x.rank + len(numbers(axes))
    for axis in sorted(a % rank for a in numbers(axes)):
        if x.constant:
            x = Value(np.expand_dims(x.tensor, axis))
        else:
            order = [*x.order[:axis], x.rank, *x.order[axis:]]
            x = Value(ops.expand_dims(x.tensor, -1), order)
    return x


def squeeze(build, said, x, axes=None):
    gone = (
        [i for i, n in enumerate(x.shape) if n == 1] if axes is None else [a % x.rank for a in numbers(axes)]
    )
    if x.constant:
        return Value(np.squeeze(x.tensor, tuple(gone)))
    kept = [place for i, place in enumerate(x.order) if i not in gone]
    made = ops.squeeze(x.tensor, axis=tuple(sorted(x.order[i] for i in gone)))
    return Value(made, _closed(kept))


def slice_(build, said, x, starts, ends, axes=None, steps=None):
    begin, end = numbers(starts), numbers(ends)
    where = numbers(axes) if axes is not None else range(len(begin))
    by = numbers(steps) if steps is not None else [1] * len(begin)
    cut = [slice(None)] * x.rank
    for start, stop, axis, step in zip(begin, end, where, by, strict=True):
        size = x.shape[axis % x.rank]
        if size is None:
            raise Unknown("its graph takes some of the rows")
        first, last, step = slice(start, stop, step).indices(size)
        if (first, last, step) != (0, size, 1):
            cut[x.axis(axis)] = slice(first, None if last < 0 else last, step)
    return x if all(part == slice(None) for part in cut) else Value(x.tensor[tuple(cut)], x.order)


def concat(build, said, *values):
    rank = values[0].rank
    order = next((v.order for v in values if not v.constant), tuple(range(rank)))
    tensors = [build.filled(value, values, order, said["axis"] % rank) for value in values]
    if all(isinstance(t, np.ndarray) for t in tensors):
        return Value(np.concatenate(tensors, axis=said["axis"]))
    return Value(ops.concatenate(tensors, axis=order[said["axis"] % rank]), order)


def split(build, said, x, sizes=None):
    axis, count = said.get("axis", 0), said.get("num_outputs", build.gives)
    size = x.shape[axis % x.rank]
    each_size = numbers(sizes) if sizes is not None else [-(-size // count)] * count
    places = np.cumsum(each_size)[:-1].tolist()
    return tuple(Value(part, x.order) for part in ops.split(x.tensor, places, axis=x.axis(axis)))


def gather(build, said, x, at):
    axis = said.get("axis", 0) % x.rank
    if x.constant and not at.constant:
        return build.looked_up(x.tensor, at, axis)
    if not at.constant or x.shape[axis] is None:
        raise Unknown("its graph looks up rows")
    places = at.tensor.astype(np.int32) % x.shape[axis]
    if x.constant:
        return Value(np.take(x.tensor, places, axis=axis))
    if places.ndim > 1:
        raise Unknown("its graph takes columns by a table")
    if not places.ndim:
        found = ops.take(x.tensor, int(places), axis=x.order[axis])
        return Value(found, _closed([a for i, a in enumerate(x.order) if i != axis]))
    return Value(ops.take(x.tensor, places, axis=x.order[axis]), x.order)


def gather_elements(build, said, x, at):
    axis = said.get("axis", 0) % x.rank
    return Value(ops.take_along_axis(x.plain, ops.cast(at.plain, "int32"), axis=axis))


def shape(build, said, x):
    found = x.shape[said.get("start", 0) : said.get("end")]
    if None in found:
        raise Unknown("its graph asks for the number of rows")
    return Value(np.array(found, dtype=np.int64))


def expand(build, said, x, wanted):
    sizes = numbers(wanted)
    if x.constant:
        return Value(x.tensor * np.ones(sizes, dtype=x.tensor.dtype))
    return each(ops.multiply)(build, said, x, Value(np.ones(sizes, dtype=np.float32)))


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
    "Concat": concat,
    "Cos": each(ops.cos),
    "Div": each(divide),
    "Dropout": lambda build, said, x, *_: x,
    "Elu": with_said(lambda said, x: ops.elu(x, alpha=said.get("alpha", 1.0))),
    "Equal": each(ops.equal),
    "Erf": erf,
    "Exp": each(ops.exp),
    "Expand": expand,
    "Flatten": flatten,
    "Floor": each(ops.floor),
    "Gather": gather,
    "GatherElements": gather_elements,
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
    "Reshape": reshape,
    "Round": each(ops.round),
    "Selu": each(ops.selu),
    "Shape": shape,
    "Sigmoid": each(ops.sigmoid),
    "Sign": each(ops.sign),
    "Sin": each(ops.sin),
    "Slice": slice_,
    "Softmax": softmax,
    "Softplus": each(ops.softplus),
    "Softsign": each(ops.softsign),
    "Split": split,
    "Sqrt": each(ops.sqrt),
    "Squeeze": squeeze,
    "Sub": each(ops.subtract),
    "Sum": folded(ops.add),
    "Tanh": each(ops.tanh),
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
    "Where": each(ops.where),
}
