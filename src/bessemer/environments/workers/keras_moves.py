"""Operators of graphs that move numbers about."""

import numpy as np
from keras import ops
from keras_operators import each
from keras_values import Unknown, Value, closed


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
    return Value(made, closed(kept))


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
        return Value(found, closed([a for i, a in enumerate(x.order) if i != axis]))
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


MOVES = {
    "Concat": concat,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": gather_elements,
    "Reshape": reshape,
    "Shape": shape,
    "Slice": slice_,
    "Split": split,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
