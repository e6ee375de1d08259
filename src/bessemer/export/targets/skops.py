"""A scikit-learn estimator in a file of skops, which loads without pickle.

Every sum of trees is a `RandomForestRegressor`: its prediction is the mean of its trees, so leaves are the tree's
values times the number of trees. scikit-learn's trees compare float32 values with float64 thresholds and know missing
values, so each row takes the very leaf that it takes in the package. Linear models are a pipeline of imputer, scaler
and `LinearRegression`. The estimator says the raw score; the encoder beside it makes probabilities of that.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from bessemer.environments.errors import ToolError
from bessemer.export.base import Base
from bessemer.export.protocol import Answers, Source
from bessemer.export.samples import Samples
from bessemer.export.sidecar import encoded, write_encoder
from bessemer.export.sidecar import features as features_of
from bessemer.package.trees.codec import decode
from bessemer.package.trees.model import Tree, Trees, branch_covers

FILE = "model.skops"
#: What skops loads only for those who trust the file: the arrays of trees, and the bounds of forests' shares.
TRUSTED = ("sklearn.tree._tree.Tree", "numpy.clip")


class Skops(Base):
    """`model.skops`: features in, raw scores out."""

    takes: ClassVar[Literal["native"]] = "native"

    def refuses(self, source: Source) -> str:
        native = source.model.info.get("native") or {}
        if native.get("kind") not in ("trees", "linear"):
            return "only one model of trees, or a linear one, has a counterpart in scikit-learn"
        return ""

    def export(self, source: Source, out: Path) -> str:
        from skops.io import dumps, get_untrusted_types

        trees, data = _trees(source), _named(dumps(estimator(source)))
        (out / FILE).write_bytes(data)
        given, asked = "features" if trees else "encode", get_untrusted_types(data=data)
        trusted = f", trusted={asked}" if asked else ""
        why = (
            " skops asks to trust these by name, because a forged file could read beyond its memory."
            if asked
            else ""
        )
        what = (
            "It takes the features themselves, NaN where they are missing."
            if trees
            else "It takes `encoded`."
        )
        return f"""{write_encoder(source, out)}

```python
from encoder import Encoder
from skops.io import load

encoder = Encoder.load("encoder.json")
model = load("{FILE}"{trusted})
score = model.predict(encoder.{given}(rows)).reshape(len(rows), -1)
print(encoder.decide(score))
```

{what} A calibration is in the score already.{why}
"""

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        import sklearn
        from skops.io import get_untrusted_types, load

        asked = get_untrusted_types(file=str(out / FILE))
        if set(asked) - set(TRUSTED):
            raise ToolError(f"skops would not load {', '.join(asked)} unasked")
        model: Any = load(str(out / FILE), trusted=asked)
        score = model.predict(_given(source, out, samples)).reshape(len(samples), -1)
        return Answers(_values(source, score), f"scikit-learn {sklearn.__version__}")


def _trees(source: Source) -> bool:
    kind: str = source.model.info["native"]["kind"]
    return kind == "trees"


def _given(source: Source, out: Path, samples: Samples) -> np.ndarray:
    """Trees are given the features, NaN where they are missing; linear models what is filled in."""
    return features_of(source, out, samples) if _trees(source) else encoded(source, out, samples)


def _named(data: bytes) -> bytes:
    """The same file with objects named by their order: skops names them by where they lay in memory."""
    with zipfile.ZipFile(io.BytesIO(data)) as given:
        schema = json.loads(given.read("schema.json"))
        names: dict[str, str] = {}
        _rename(schema, names)
        kept = io.BytesIO()
        with zipfile.ZipFile(kept, "w", zipfile.ZIP_STORED) as made:
            for old, new in names.items():
                if old in given.namelist():
                    made.writestr(zipfile.ZipInfo(new), given.read(old))
            made.writestr(zipfile.ZipInfo("schema.json"), json.dumps(schema, indent=1))
    return kept.getvalue()


def _rename(value: Any, names: dict[str, str]) -> None:
    """Give each `__id__`, and each file, a number in the order in which they come."""
    if isinstance(value, list):
        for one in value:
            _rename(one, names)
    if not isinstance(value, dict):
        return
    if "__id__" in value:
        value["__id__"] = int(names.setdefault(str(value["__id__"]), str(len(names) + 1)))
    if isinstance(value.get("file"), str):
        name = value["file"]
        value["file"] = names.setdefault(name, f"{len(names) + 1}{Path(name).suffix}")
    for one in value.values():
        _rename(one, names)


def _values(source: Source, score: np.ndarray) -> np.ndarray:
    task = source.model.task
    if task == "regression":
        return score.astype(np.float32)
    wide = np.concatenate([np.zeros_like(score), score], axis=1) if task == "binary" else score
    grown = np.exp(wide - wide.max(axis=1, keepdims=True))
    found: np.ndarray = (grown / grown.sum(axis=1, keepdims=True)).astype(np.float32)
    return found


def estimator(source: Source) -> Any:
    """The package's model as scikit-learn has it; its predictions are raw scores (N,) or (N, K), calibrated."""
    model = source.model
    native = model.info["native"]
    content = model.contents.bytes(native["file"])
    told = model.info.get("calibration") or {"method": "none"}
    scale, offset = (1.0, 0.0) if told["method"] == "none" else (told["scale"], told["offset"])
    if native["kind"] == "linear":
        return _linear(content, scale, offset)
    trees = decode(content)
    if trees.link == "identity":
        return _forest(trees, scale, np.asarray(trees.base, dtype=np.float64) * scale + offset)
    forest = _forest(trees, 1.0, np.asarray(trees.base, dtype=np.float64))
    return _linked(forest, trees, scale, offset)


def _linked(forest: Any, trees: Trees, scale: float, offset: float) -> Any:
    """What is behind the sum as transformers of a target, whose way back is taken: the bounds of a share, the link,
    then the calibration."""
    import scipy.special
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    linked = forest
    if trees.link != "exp":
        bounds = {"a_min": trees.floor, "a_max": 1 - trees.floor}
        linked = _transformed(
            linked, FunctionTransformer(inverse_func=np.clip, inv_kw_args=bounds), trees.outputs
        )
    link = {"logit": scipy.special.logit, "log": np.log, "exp": np.exp}[trees.link]
    linked = _transformed(linked, FunctionTransformer(inverse_func=link), trees.outputs)
    if (scale, offset) == (1.0, 0.0):
        return linked
    scaler = StandardScaler().fit(np.zeros((2, trees.outputs)))
    scaler.scale_, scaler.mean_ = np.full(trees.outputs, scale), np.full(trees.outputs, offset)
    return _transformed(linked, scaler, trees.outputs)


def _transformed(inner: Any, transformer: Any, outputs: int) -> Any:
    from sklearn.compose import TransformedTargetRegressor

    made = TransformedTargetRegressor(regressor=inner, transformer=transformer, check_inverse=False)
    made.regressor_, made.transformer_, made._training_dim = inner, transformer, 1 if outputs == 1 else 2
    return made


def _linear(content: bytes, scale: float, offset: float) -> Any:
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    told = {name: np.asarray(value, dtype=np.float64) for name, value in json.loads(content).items()}
    width = len(told["mean"])
    scaler = StandardScaler().fit(np.zeros((2, width)))
    scaler.mean_, scaler.scale_, scaler.var_ = told["mean"], told["scale"], told["scale"] ** 2
    linear = LinearRegression().fit(np.zeros((2, width)), np.zeros((2, len(told["intercept"]))))
    linear.coef_, linear.intercept_ = told["coef"] * scale, told["intercept"] * scale + offset
    return Pipeline([("scaler", scaler), ("linear", linear)])


def _forest(trees: Trees, scale: float, base: np.ndarray) -> Any:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.tree import DecisionTreeRegressor

    outputs, count = trees.outputs, len(trees.trees) + 1
    grown = [
        _leaf(trees.features, base * count),
        *(_grown(tree, trees.features, outputs, scale * count) for tree in trees.trees),
    ]
    forest = RandomForestRegressor(n_estimators=count)
    forest.estimator_ = DecisionTreeRegressor()
    forest.estimators_ = [_regressor(tree, trees.features, outputs) for tree in grown]
    forest.n_outputs_, forest.n_features_in_ = outputs, trees.features
    return forest


def _regressor(tree: Any, features: int, outputs: int) -> Any:
    from sklearn.tree import DecisionTreeRegressor

    one = DecisionTreeRegressor()
    one.tree_, one.n_outputs_, one.n_features_in_, one.max_features_ = tree, outputs, features, features
    return one


def _leaf(features: int, value: np.ndarray) -> Any:
    """A tree of one leaf."""
    none = np.zeros(0, dtype=np.int64)
    return _built(features, none, none, none, none, none, np.zeros(1), value.reshape(1, -1))


def _grown(tree: Tree, features: int, outputs: int, factor: float) -> Any:
    """A tree with branches first, then leaves, as scikit-learn keeps them: the root is node 0."""
    value = np.zeros((len(tree.value), outputs))
    if tree.value.shape[1] == 1:
        value[:, tree.target] = tree.value[:, 0]
    else:
        value[:] = tree.value
    value = value * factor
    if not tree.branches:
        return _leaf(features, value[0])
    left, right = (np.where(side >= 0, side, tree.branches - 1 - side) for side in (tree.left, tree.right))
    covers = np.concatenate([branch_covers(tree), tree.cover])
    return _built(features, tree.feature, tree.threshold, left, right, tree.missing_left, covers, value)


def _built(
    features: int,
    feature: np.ndarray,
    threshold: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    missing_left: np.ndarray,
    covers: np.ndarray,
    value: np.ndarray,
) -> Any:
    from sklearn.tree._tree import NODE_DTYPE
    from sklearn.tree._tree import Tree as Grown

    branches, outputs = len(feature), value.shape[1]
    nodes = np.zeros(branches + len(value), dtype=NODE_DTYPE)
    nodes["left_child"], nodes["right_child"], nodes["feature"], nodes["threshold"] = -1, -1, -2, -2.0
    nodes["left_child"][:branches], nodes["right_child"][:branches] = left, right
    nodes["feature"][:branches], nodes["threshold"][:branches] = feature, threshold.astype(np.float64)
    nodes["missing_go_to_left"][:branches] = missing_left
    nodes["n_node_samples"] = np.maximum(1, np.rint(covers)).astype(np.int64)
    nodes["weighted_n_node_samples"] = covers
    values = np.zeros((len(nodes), outputs, 1))
    values[branches:, :, 0] = value
    made = Grown(features, np.ones(outputs, dtype=np.intp), outputs)
    deepest = _depth(left, right, branches)
    made.__setstate__({"max_depth": deepest, "node_count": len(nodes), "nodes": nodes, "values": values})
    return made


def _depth(left: np.ndarray, right: np.ndarray, branches: int) -> int:
    deepest, todo = 0, [(0, 0)]
    while todo:
        at, level = todo.pop()
        deepest = max(deepest, level)
        if at < branches:
            todo += [(int(left[at]), level + 1), (int(right[at]), level + 1)]
    return deepest
