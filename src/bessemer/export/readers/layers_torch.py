"""Makes a torch module of `architecture.json` and `weights.safetensors`: `torch.nn` layers with their weights, to run
or to train on.

    from layers_torch import load
    model = load(".")              # model.layers["gemm"] is a torch.nn.Linear
    score, probability = model(torch.from_numpy(encoded))
"""

import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional


class Network(nn.Module):
    """told: `architecture.json`. tensors: by name.

    layers: what has weights of its own, by the name of its layer (`.` and `/` are `_`). The other tensors are buffers.
    """

    def __init__(self, told, tensors):
        super().__init__()
        self.told = told
        self.layers = nn.ModuleDict()
        own = set()
        for layer in told["layers"]:
            made = MODULES.get(layer["op"], lambda said, *given: None)(
                layer.get("settings", {}), *_given(layer, tensors)
            )
            if made is not None:
                self.layers[_word(layer["name"])] = made
                own.update(layer["takes"][1:])
        for name, tensor in tensors.items():
            if name not in own:
                self.register_buffer(_word(name), tensor)
        self.kept = {name: _word(name) for name in tensors if name not in own}

    def forward(self, encoded):
        """(N, width) float32 -> the outputs, in their order."""
        values = {name: getattr(self, word) for name, word in self.kept.items()}
        values[self.told["input"]] = encoded
        for layer in self.told["layers"]:
            word = _word(layer["name"])
            if word in self.layers:
                values[layer["name"]] = self.layers[word](values[layer["takes"][0]])
            else:
                taken = [values[name] for name in layer["takes"]]
                values[layer["name"]] = FUNCTIONS[layer["op"]](layer.get("settings", {}), *taken)
        return tuple(values[name] for name in self.told["outputs"])


def load(folder):
    """The module, for evaluation."""
    from safetensors.torch import load_file

    folder = Path(folder)
    told = json.loads((folder / "architecture.json").read_text(encoding="utf-8"))
    if told["format"] != 1:
        raise ValueError(f"the format {told['format']} is another version")
    return Network(told, load_file(folder / "weights.safetensors")).eval()


def _word(name):
    return name.replace(".", "_").replace("/", "_")


def _given(layer, tensors):
    """The weights of a layer; none where it takes what other layers make."""
    found = [tensors.get(name) for name in layer["takes"][1:]]
    return [] if None in [None if one is None else 0 for one in found] else found


def _filled(module, **weights):
    with torch.no_grad():
        for name, value in weights.items():
            getattr(module, name).copy_(value)
    return module


def _linear(said, *given):
    if not given or len(given) != 2 or given[1].ndim != 1 or {"transA", "alpha", "beta"} & set(said):
        return None
    weight = given[0] if said.get("transB") else given[0].T
    return _filled(nn.Linear(weight.shape[1], weight.shape[0]), weight=weight, bias=given[1])


def _conv(said, *given):
    pads = said.get("pads", [0, 0, 0, 0])
    if not given or pads[:2] != pads[2:]:
        return None
    weight, groups = given[0], said.get("group", 1)
    made = nn.Conv2d(
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), tuple(said.get("strides", [1, 1])),
        tuple(pads[:2]), tuple(said.get("dilations", [1, 1])), groups, bias=len(given) > 1,
    )  # fmt: skip
    return _filled(made, weight=weight, **({"bias": given[1]} if len(given) > 1 else {}))


def _layer_norm(said, *given):
    if len(given) != 2 or said.get("axis", -1) != -1:
        return None
    return _filled(nn.LayerNorm(given[0].shape, said.get("epsilon", 1e-5)), weight=given[0], bias=given[1])


def _group_norm(said, *given):
    made = nn.GroupNorm(said["num_groups"], len(given[0]), said.get("epsilon", 1e-5))
    return _filled(made, weight=given[0], bias=given[1])


MODULES = {
    "Gemm": _linear,
    "Conv": _conv,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
}


def _gemm(said, a, b, c=0):
    a, b = (a.T if said.get("transA") else a), (b.T if said.get("transB") else b)
    return said.get("alpha", 1) * (a @ b) + said.get("beta", 1) * c


def _padded(said, x, fill):
    top, left, bottom, right = said.get("pads", [0, 0, 0, 0])
    return functional.pad(x, (left, right, top, bottom), value=fill)


def _convolved(said, x, weight, bias=None):
    x = _padded(said, x, 0.0)
    strides, dilations = said.get("strides", [1, 1]), said.get("dilations", [1, 1])
    return functional.conv2d(x, weight, bias, strides, 0, dilations, said.get("group", 1))


def _max_pool(said, x):
    x = _padded(said, x, float("-inf"))
    return functional.max_pool2d(
        x, said["kernel_shape"], said.get("strides", [1, 1]), 0, said.get("dilations", [1, 1])
    )


def _average_pool(said, x):
    strides = said.get("strides", [1, 1])
    total = functional.avg_pool2d(_padded(said, x, 0.0), said["kernel_shape"], strides)
    if said.get("count_include_pad"):
        return total
    return total / functional.avg_pool2d(
        _padded(said, torch.ones_like(x), 0.0), said["kernel_shape"], strides
    )


def _each(x, values):
    return values.reshape(1, -1, *[1] * (x.ndim - 2))


def _normalised(said, x, scale, bias, mean, variance):
    return functional.batch_norm(x, mean, variance, scale, bias, eps=said.get("epsilon", 1e-5))


def _layer_normalised(said, x, scale, bias=None):
    return functional.layer_norm(x, x.shape[said.get("axis", -1) :], scale, bias, said.get("epsilon", 1e-5))


def _slice(said, x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes.tolist()
    steps = [1] * len(starts) if steps is None else steps.tolist()
    for axis, start, end, step in zip(axes, starts.tolist(), ends.tolist(), steps, strict=True):
        size = x.shape[axis]
        places = range(size)[slice(start, end if end >= -size else None, step)]
        x = x.index_select(axis, torch.tensor(places, dtype=torch.int64, device=x.device))
    return x


def _reshape(said, x, shape):
    sizes = [
        x.shape[i] if size == 0 and not said.get("allowzero") else size
        for i, size in enumerate(shape.tolist())
    ]
    return x.reshape(sizes)


def _gather(said, x, places):
    axis = said.get("axis", 0) % x.ndim
    found = x.index_select(axis, places.reshape(-1) % x.shape[axis])
    return found.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


def _unsqueeze(said, x, axes):
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes.tolist()):
        x = x.unsqueeze(axis)
    return x


def _squeeze(said, x, axes=None):
    return x.squeeze() if axes is None else x.squeeze(tuple(axes.tolist()))


FUNCTIONS = {
    "Abs": lambda said, x: x.abs(),
    "Add": lambda said, a, b: a + b,
    "AveragePool": _average_pool,
    "BatchNormalization": _normalised,
    "Clip": lambda said, x, low=None, high=None: x.clamp(low, high),
    "Concat": lambda said, *parts: torch.cat(parts, said["axis"]),
    "Conv": _convolved,
    "Cos": lambda said, x: x.cos(),
    "Div": lambda said, a, b: a / b,
    "Elu": lambda said, x: functional.elu(x, said.get("alpha", 1.0)),
    "Erf": lambda said, x: x.erf(),
    "Exp": lambda said, x: x.exp(),
    "Flatten": lambda said, x: x.flatten(said.get("axis", 1)),
    "Gather": _gather,
    "Gelu": lambda said, x: functional.gelu(x, approximate=said.get("approximate", "none")),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda said, x: x.mean(dim=tuple(range(2, x.ndim)), keepdim=True),
    "Identity": lambda said, x: x,
    "LayerNormalization": _layer_normalised,
    "LeakyRelu": lambda said, x: functional.leaky_relu(x, said.get("alpha", 0.01)),
    "MatMul": lambda said, a, b: a @ b,
    "Max": lambda said, a, b: torch.maximum(a, b),
    "MaxPool": _max_pool,
    "Min": lambda said, a, b: torch.minimum(a, b),
    "Mul": lambda said, a, b: a * b,
    "Neg": lambda said, x: -x,
    "Pow": lambda said, a, b: a**b,
    "Relu": lambda said, x: x.relu(),
    "Reshape": _reshape,
    "Sigmoid": lambda said, x: x.sigmoid(),
    "Sin": lambda said, x: x.sin(),
    "Slice": _slice,
    "Softmax": lambda said, x: x.softmax(said.get("axis", -1)),
    "Softplus": lambda said, x: functional.softplus(x),
    "Sqrt": lambda said, x: x.sqrt(),
    "Squeeze": _squeeze,
    "Sub": lambda said, a, b: a - b,
    "Tanh": lambda said, x: x.tanh(),
    "Transpose": lambda said, x: x.permute(said.get("perm") or tuple(range(x.ndim))[::-1]),
    "Unsqueeze": _unsqueeze,
}
