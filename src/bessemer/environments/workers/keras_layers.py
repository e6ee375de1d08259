"""Operators of graphs that have weights, as layers of Keras."""

import numpy as np
from keras import layers, ops
from keras_values import Unknown, Value

_LETTERS = "abcdefgh"


def weighted(layer, tensor, *weights):
    """What a layer makes of a tensor, with weights of its own."""
    made = layer(tensor)
    layer.set_weights([np.asarray(weight, dtype=np.float32) for weight in weights])
    return made


def constant(value, what):
    if value is not None and not value.constant:
        raise Unknown(f"its graph computes the {what}")
    return None if value is None else value.tensor


def gemm(build, said, x, weight, bias=None):
    kernel, shift = constant(weight, "weights"), constant(bias, "bias")
    if said.get("transA"):
        raise Unknown("its graph multiplies rows turned over")
    kernel = (kernel.T if said.get("transB") else kernel) * np.float32(said.get("alpha", 1.0))
    if shift is None:
        return _dense(build, x, kernel)
    shift = np.broadcast_to(shift.reshape(-1), kernel.shape[1:]) * np.float32(said.get("beta", 1.0))
    return _dense(build, x, kernel, shift)


def _dense(build, x, kernel, *bias):
    layer = layers.Dense(kernel.shape[1], use_bias=bool(bias), name=build.name)
    return Value(weighted(layer, x.plain, kernel, *bias))


def mat_mul(build, said, a, b):
    """By weights of two axes a dense layer; by weights that also say which matrix each group has, a sum of
    Einstein's; else a product of two tensors."""
    if not b.constant:
        if a.constant and a.rank > b.rank:
            raise Unknown("its graph multiplies weights by rows")
        left = np.asarray(a.tensor) if a.constant else a.plain
        return Value(ops.matmul(left, b.plain))
    if a.constant:
        return Value(a.tensor @ b.tensor)
    if b.rank == 2 and a.order[-1] == a.rank - 1:
        layer = layers.Dense(b.tensor.shape[1], use_bias=False, name=build.name)
        return Value(weighted(layer, a.tensor, b.tensor), a.order)
    return _grouped(build, a, b.tensor)


def _grouped(build, a, kernel):
    groups = kernel.ndim - 2
    if (
        groups < 0
        or kernel.ndim > a.rank
        or any(k not in (1, n) for k, n in zip(kernel.shape[-3::-1], a.shape[-3::-1]))
    ):
        raise Unknown("its graph multiplies by weights of another shape")
    letters = _LETTERS[: a.rank]
    own = [letters[a.rank - kernel.ndim + i] for i in range(groups)]
    kept = [i for i in range(groups) if kernel.shape[i] != 1 or a.shape[a.rank - kernel.ndim + i] == 1]
    kernel = kernel.reshape([kernel.shape[i] for i in kept] + list(kernel.shape[-2:]))
    inner, outer = letters[-1], "z"
    stored = "".join(letters[axis] for axis in np.argsort(a.order))
    result = stored.replace(inner, outer)
    equation = f"{stored},{''.join(own[i] for i in kept)}{inner}{outer}->{result}"
    sizes = dict(zip(letters, a.shape)) | {outer: kernel.shape[-1]}
    layer = layers.EinsumDense(equation, tuple(sizes[c] for c in result[1:]), name=build.name)
    return Value(weighted(layer, a.tensor, kernel), a.order)


def _channels_last(x):
    """(N, C, ...) with its channels last, and the order that this is."""
    order = (0, x.rank - 1, *range(1, x.rank - 1))
    return x.ordered(order), order


def _window(said, rank, sizes):
    """Strides, dilations, and the padding before and after of each axis; None for the same size as before."""
    strides, dilations = said.get("strides", [1] * rank), said.get("dilations", [1] * rank)
    if said.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise Unknown("its graph pads by itself")
    pads = said.get("pads", [0] * 2 * rank)
    around = [(pads[i], pads[i + rank]) for i in range(rank)]
    reach = [(size - 1) * dilation for size, dilation in zip(sizes, dilations)]
    same = all(s == 1 for s in strides) and all(a == b and 2 * a == r for (a, b), r in zip(around, reach))
    return strides, dilations, None if same and any(pads) else around


def conv(build, said, x, weight, bias=None):
    kernel, shift = constant(weight, "weights"), constant(bias, "bias")
    rank = kernel.ndim - 2
    if rank not in (1, 2):
        raise Unknown(f"its graph has a convolution over {rank} dimensions")
    strides, dilations, around = _window(said, rank, kernel.shape[2:])
    tensor, order = _channels_last(x)
    if around is not None and any(map(any, around)):
        tensor = ops.pad(tensor, [(0, 0), *around, (0, 0)])
    kind = layers.Conv1D if rank == 1 else layers.Conv2D
    layer = kind(
        kernel.shape[0],
        kernel.shape[2:],
        strides=tuple(strides),
        dilation_rate=tuple(dilations),
        groups=said.get("group", 1),
        padding="same" if around is None else "valid",
        use_bias=shift is not None,
        name=build.name,
    )
    moved = np.transpose(kernel, (*range(2, rank + 2), 1, 0))
    return Value(weighted(layer, tensor, moved, *([] if shift is None else [shift])), order)


def pool(kind, empty):
    """kind: of layers, by how many dimensions. empty: what padding has."""

    def operator(build, said, x):
        sizes = said["kernel_shape"]
        strides, dilations, around = _window(said, len(sizes), sizes)
        pads = said.get("pads", [])
        if (
            said.get("ceil_mode")
            or any(d != 1 for d in dilations)
            or len(sizes) not in kind
            or build.gives > 1
        ):
            raise Unknown("its graph has a pooling that is dilated, rounds up or gives indices")
        if any(pads) and empty is None:
            raise Unknown("its graph has an average over padding")
        tensor, order = _channels_last(x)
        if any(pads):
            around = around or [(pads[i], pads[i + len(sizes)]) for i in range(len(sizes))]
            tensor = ops.pad(tensor, [(0, 0), *around, (0, 0)], constant_values=empty)
        if max(sizes) == max(strides) == 1:
            return Value(tensor, order)
        layer = kind[len(sizes)](tuple(sizes), strides=tuple(strides), name=build.name)
        return Value(layer(tensor), order)

    return operator


def layer_norm(build, said, x, scale, bias=None):
    axis = said.get("axis", -1) % x.rank
    size, shift = constant(scale, "scale"), constant(bias, "bias")
    axes = list(range(axis, x.rank))
    shape = x.shape[axis:]
    if size.size == 1 and not size.ndim:
        size = np.full(shape, size)
    layer = layers.LayerNormalization(
        axes, epsilon=said.get("epsilon", 1e-5), center=shift is not None, name=build.name
    )
    weights = [np.broadcast_to(w, shape) for w in (size, shift) if w is not None]
    return Value(weighted(layer, x.plain, *weights))


def group_norm(build, said, x, scale, bias):
    groups, tensor_order = said["num_groups"], _channels_last(x)
    size, shift = constant(scale, "scale"), constant(bias, "bias")
    tensor, order = tensor_order
    channels = x.shape[1]
    if len(size) == groups != channels:
        size, shift = (np.repeat(w, channels // groups) for w in (size, shift))
    layer = layers.GroupNormalization(groups, axis=-1, epsilon=said.get("epsilon", 1e-5), name=build.name)
    return Value(weighted(layer, tensor, size, shift), order)


def instance_norm(build, said, x, scale, bias):
    return group_norm(build, {**said, "num_groups": x.shape[1]}, x, scale, bias)


def batch_norm(build, said, x, *weights):
    scale, shift, mean, variance = (constant(w, "weights") for w in weights)
    tensor, order = _channels_last(x) if x.rank > 2 else (x.plain, (0, 1))
    layer = layers.BatchNormalization(axis=-1, epsilon=said.get("epsilon", 1e-5), name=build.name)
    return Value(weighted(layer, tensor, scale, shift, mean, variance), order)


LAYERS = {
    "AveragePool": pool({1: layers.AveragePooling1D, 2: layers.AveragePooling2D}, None),
    "BatchNormalization": batch_norm,
    "Conv": conv,
    "Gemm": gemm,
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "MatMul": mat_mul,
    "MaxPool": pool({1: layers.MaxPooling1D, 2: layers.MaxPooling2D}, -np.inf),
}
