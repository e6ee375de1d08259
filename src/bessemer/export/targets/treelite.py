"""treelite: trees as they are, for its own inference, tl2cgen's C code and NVIDIA's Forest Inference Library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.export.outside import Outside
from bessemer.export.protocol import Answers, Source, UncarriedError
from bessemer.export.samples import Samples
from bessemer.export.sidecar import python_usage
from bessemer.package.model import Model
from bessemer.package.trees.codec import decode
from bessemer.package.trees.model import Tree, Trees

#: (task, what follows the sum) -> treelite's name for it. Where a sum is a probability already, nothing follows.
_AFTER = {
    ("binary", "identity"): "sigmoid",
    ("binary", "logit"): "identity",
    ("multiclass", "identity"): "softmax",
    ("multiclass", "log"): "identity_multiclass",
    ("regression", "identity"): "identity",
    ("regression", "exp"): "exponential",
}


class TreeliteSettings(Spec):
    """What runs it."""

    runtime: Literal["gtil", "tl2cgen"] = Field(
        "gtil",
        description="`gtil`: treelite's own inference; `tl2cgen`: the model compiled to C, which needs gcc and CMake",
    )


class Treelite(Outside):
    """`model.tl`, in float64, and `encoder.json`, whose `features` it takes."""

    takes: ClassVar[Literal["native"]] = "native"
    environment: ClassVar[str] = "compilers"
    worker: ClassVar[str] = "via_treelite.py"
    Settings: ClassVar[type[Any]] = TreeliteSettings

    def refuses(self, source: Source) -> str:
        _trees(source.model)
        return ""

    def asks(self, source: Source) -> Mapping[str, Any]:
        trees, after = _trees(source.model)
        return {
            "task": source.model.task,
            "after": after,
            "features": trees.features,
            "base": trees.base.tolist(),
            "runtime": self.settings.runtime,
        }

    def given(self, source: Source) -> dict[str, np.ndarray]:
        trees, _ = _trees(source.model)
        return _arrays(trees.trees)

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        done = self._run(source, out, samples)
        values = _floored(done.arrays["values"], _trees(source.model)[0])
        if source.model.task == "binary":
            values = np.concatenate([1 - values, values], axis=1)
        return Answers(values.astype(np.float32), done.said["runtime"])

    def encoded(self, source: Source, out: Path, samples: Samples) -> np.ndarray:
        if source.core.program is None:
            return samples.features
        from bessemer.export.readers.encoder import Encoder

        reader: Any = Encoder
        found: np.ndarray = reader.load(out / "encoder.json").features(samples.rows)
        return found

    def words(self, source: Source) -> str:
        return (
            "This model takes the encoder's `features` instead, with NaN for what is missing, and gives "
            + ("values." if source.model.task == "regression" else "probabilities.")
        )

    def example(self, source: Source) -> str:
        made = python_usage(source).replace(
            "encoded = encoder.encode(rows)", "features = encoder.features(rows)"
        )
        lines = [
            "import numpy as np\nimport treelite",
            f"{made}\n",
            'model = treelite.Model.deserialize("model.tl")',
            _RUN[self.settings.runtime],
            *_floor_lines(_trees(source.model)[0]),
            "print(answers)",
        ]
        return "```python\n" + "\n".join(lines) + "\n```"


_RUN = {
    "gtil": 'answers = treelite.gtil.predict(model, features.astype("float64"))',
    "tl2cgen": """import tl2cgen

tl2cgen.export_lib(model, "gcc", "model.so")
answers = tl2cgen.Predictor("model.so").predict(tl2cgen.DMatrix(features.astype("float64")))""",
}


def _floored(values: np.ndarray, trees: Trees) -> np.ndarray:
    """Probabilities that forests have as they are, (N, K), kept away from 0 and 1 as the package does."""
    if trees.link not in ("log", "logit"):
        return values
    kept = values.clip(trees.floor, 1 - trees.floor)
    return kept / kept.sum(axis=1, keepdims=True) if trees.link == "log" else kept


def _floor_lines(trees: Trees) -> list[str]:
    """The same in a README."""
    if trees.link not in ("log", "logit"):
        return []
    kept = [f"answers = np.clip(answers, {trees.floor!r}, {1 - trees.floor!r})"]
    return [*kept, "answers /= answers.sum(axis=-1, keepdims=True)"] if trees.link == "log" else kept


def _trees(model: Model) -> tuple[Trees, str]:
    """The trees with the calibration in them, and what follows their sum.

    Raises:
        UncarriedError: the model is not of trees alone, or something follows that treelite does not know.
    """
    native = model.info.get("native") or {}
    if native.get("kind") != "trees":
        raise UncarriedError(
            f"it takes trees alone, and this model is of the kind {native.get('kind') or 'none'}"
        )
    trees = decode(model.contents.bytes(native["file"]))
    told = model.info.get("calibration") or {}
    scale, offset = (
        np.asarray(told.get(name, default), np.float64) for name, default in (("scale", 1), ("offset", 0))
    )
    after = _AFTER.get((model.task, trees.link))
    if after is None or (trees.link != "identity" and (np.any(scale != 1) or np.any(offset != 0))):
        raise UncarriedError("what follows the sum of its trees is nothing that treelite knows")
    return (_calibrated(trees, scale, offset), after) if trees.link == "identity" else (trees, after)


def _calibrated(trees: Trees, scale: np.ndarray, offset: np.ndarray) -> Trees:
    from dataclasses import replace

    each = np.broadcast_to(scale, (trees.outputs,))
    scaled = tuple(
        replace(tree, value=tree.value * (each if tree.value.shape[1] > 1 else each[tree.target]))
        for tree in trees.trees
    )
    return replace(trees, trees=scaled, base=trees.base * each + offset)


def _arrays(trees: tuple[Tree, ...]) -> dict[str, np.ndarray]:
    """One after the other. start: (T + 1,) of the branches; a tree has a leaf more than branches."""
    joined = {
        name: np.concatenate([getattr(tree, name) for tree in trees])
        for name in ("feature", "threshold", "missing_left", "left", "right", "value")
    }
    sizes = np.cumsum([0, *(tree.branches for tree in trees)])
    return {**joined, "start": sizes, "target": np.array([tree.target for tree in trees])}
