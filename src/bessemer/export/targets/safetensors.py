"""safetensors: the core's weights as plain arrays, and its layers by name in JSON, in the order that they run."""

from __future__ import annotations

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import did_you_mean
from bessemer.core.spec import Spec
from bessemer.environments.workers.timing import microseconds_a_row
from bessemer.export.numeric.core import ENCODED
from bessemer.export.numeric.steps import Steps, steps_of
from bessemer.export.protocol import Answers, NoSettings, Source, UncarriedError
from bessemer.export.readers.layers_numpy import OPERATORS, Layers
from bessemer.export.samples import Samples
from bessemer.export.sidecar import encoded, python_usage, write_encoder

WEIGHTS, ARCHITECTURE = "weights.safetensors", "architecture.json"
_READERS = ("layers_numpy.py", "layers_torch.py")
#: Trees are tensors in a core, which nobody would call layers.
_TREES = "it has trees, and no layers"
#: What the tensors of a layer with weights are called.
_ROLES = ("weight", "bias", "running_mean", "running_var")
_WITH_WEIGHTS = ("Gemm", "MatMul", "Conv", "LayerNormalization", "GroupNormalization", "BatchNormalization")
#: By how much what numpy and torch say may differ, of probabilities or of the size of values.
_APART = 1e-5


class Safetensors:
    """`weights.safetensors`, `architecture.json`, readers for NumPy and torch, and `encoder.json`."""

    takes: ClassVar[Literal["core"]] = "core"
    environment: ClassVar[str] = ""
    limit: ClassVar[float] = 1e-6
    Settings: ClassVar[type[Spec]] = NoSettings

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def refuses(self, source: Source) -> str:
        if source.has_trees:
            return _TREES
        _check(steps_of(source.core.graph))
        return ""

    def export(self, source: Source, out: Path) -> str:
        from safetensors.numpy import save_file

        steps = steps_of(source.core.graph)
        _check(steps)
        names = _names(steps)
        told = {
            "format": 1,
            "task": source.model.task,
            "target": source.model.signature.target,
            "classes": list(source.model.classes),
            "input": ENCODED,
            "width": source.core.width,
            "outputs": list(source.core.outputs),
            "layers": [_layer(step, names) for step in steps.steps],
        }
        (out / ARCHITECTURE).write_bytes(canonical.dump_bytes(told, indent=1))
        arrays = {names[name]: np.ascontiguousarray(array) for name, array in steps.constants.items()}
        save_file(dict(sorted(arrays.items())), out / WEIGHTS)
        for reader in _READERS:
            (out / reader).write_bytes(files("bessemer.export.readers").joinpath(reader).read_bytes())
        return f"{write_encoder(source, out)}\n{_usage(source)}"

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        rows = encoded(source, out, samples)
        reader: Any = Layers
        parts = [part for part in np.split(rows, (1, 8)) if len(part)]
        network = reader.load(out)
        values = np.concatenate([network(part)[-1] for part in parts])
        runtime = f"NumPy {np.__version__}"
        if find_spec("torch") is not None:
            import torch

            from bessemer.export.readers.layers_torch import load
            from bessemer.export.torch_core import answers_of

            module: Any = load
            other = answers_of(module(out), rows)
            apart = float(np.abs(other - values).max() / max(1.0, float(np.abs(values).max())))
            if not apart <= _APART:
                raise UncarriedError(f"NumPy and torch differ by {apart:.3g} on it")
            runtime += f", torch {torch.__version__}"
        return Answers(values, runtime)

    def latency(self, source: Source, out: Path, samples: Samples) -> dict[str, float]:
        reader: Any = Layers
        return microseconds_a_row(reader.load(out), encoded(source, out, samples))


def _check(steps: Steps) -> None:
    """Raises: UncarriedError: there is an operator that the readers do not know."""
    unknown = sorted({step["op"] for step in steps.steps} - set(OPERATORS))
    if unknown:
        raise UncarriedError(
            f"its graph has {', '.join(unknown)}, which is no layer ({did_you_mean(unknown[0], OPERATORS)})"
        )


def _names(steps: Steps) -> dict[str, str]:
    """What each constant is called in the file: by the layer that takes it first, and what it is to it."""
    found: dict[str, str] = {}
    for step in steps.steps:
        mine = [name for name in step["takes"] if name in steps.constants]
        for i, name in enumerate(mine):
            role = _ROLES[i] if step["op"] in _WITH_WEIGHTS else str(i)
            found.setdefault(name, f"{step['gives'][0]}.{role}")
    return found


def _layer(step: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    if len(step["gives"]) != 1:
        raise UncarriedError(f"a {step['op']} of its graph gives several values")
    told = {
        "name": step["gives"][0],
        "op": step["op"],
        "takes": [names.get(name, name) for name in step["takes"]],
    }
    return {**told, **({"settings": step["said"]} if step["said"] else {})}


def _usage(source: Source) -> str:
    outputs = ", ".join(source.core.outputs)
    decided = "print(encoder.decide(score.numpy()))" if source.core.program else f"print({outputs})"
    return f"""
It gives `({outputs},)`. With NumPy alone: `Layers.load(".")(encoded)` of `layers_numpy`.

```python
import torch
{python_usage(source)}

from layers_torch import load

model = load(".")  # model.layers has torch.nn.Linear, Conv2d and so on, with their weights
with torch.no_grad():
    {outputs}{"," if len(source.core.outputs) == 1 else ""} = model(torch.from_numpy(encoded))
{decided}
```
"""
