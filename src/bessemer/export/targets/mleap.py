"""An MLeap bundle, for Scala and Java: a zip of JSON, one folder a step of the pipeline.

The form is that of MLeap's own Python package. Its trees know no missing values: `NaN <= threshold` is false, which
goes right. So the model takes each feature twice, the second time with minus infinity for what is missing, and a branch
that sends missing values left looks at that one.
"""

from __future__ import annotations

import hashlib
import io
import json
import uuid
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from bessemer.export.base import Base
from bessemer.export.protocol import Answers, NotRunError, Source
from bessemer.export.samples import Samples
from bessemer.export.sidecar import example_rows, python_usage, write_encoder
from bessemer.package.trees.codec import decode
from bessemer.package.trees.model import Tree, Trees, single_target

FILE = "model.zip"
#: The version of MLeap whose form it is.
VERSION = "0.25.0"

_LARGEST = float(np.finfo(np.float64).max)

Json = dict[str, Any]


class MLeap(Base):
    """`model.zip`: doubles in, probabilities or a value out."""

    takes: ClassVar[Literal["native"]] = "native"

    def refuses(self, source: Source) -> str:
        native = source.model.info.get("native") or {}
        if native.get("kind") not in ("trees", "linear"):
            return "only one model of trees, or a linear one, has a counterpart in MLeap"
        if native["kind"] == "trees" and _trees(source).link != "identity":
            return "what follows the sum of its trees is no step of MLeap"
        return ""

    def export(self, source: Source, out: Path) -> str:
        (out / FILE).write_bytes(_zipped(files_of(source)))
        beside = write_encoder(source, out)
        answer = "prediction" if source.model.task == "regression" else "probability"
        name, width = input_of(source)
        return _USAGE.format(
            beside=beside, made=_made(source), name=name, width=width, answer=answer, version=VERSION
        )

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        raise NotRunError(
            "MLeap runs on the JVM, from a library that is not installed here; "
            "what was written has been answered by nobody yet"
        )


_USAGE = """{beside}
MLeap has no readers of the encoder: encode before, or take the target `pmml`, which takes raw rows on the JVM.

```python
{made}
```

```scala
import ml.combust.bundle.BundleFile
import ml.combust.mleap.core.types._
import ml.combust.mleap.runtime.MleapSupport._
import ml.combust.mleap.runtime.frame.{{DefaultLeapFrame, Row}}
import ml.combust.mleap.tensor.DenseTensor
import resource._

val loaded = for (file <- managed(BundleFile("jar:file:/path/to/model.zip"))) yield file.loadMleapBundle().get
val model = loaded.opt.get.root
val schema = StructType(StructField("{name}", TensorType(BasicType.Double, Seq({width})))).get
val rows = Seq(Row(DenseTensor(values, Seq({width}))))
val answers = model.transform(DefaultLeapFrame(schema, rows)).get.select("{answer}").get.dataset
```

The form is that of MLeap {version}. It was written and not run: hold it against the package before you rely on it.
"""


def input_of(source: Source) -> tuple[str, int]:
    """The name of what the bundle takes, and how many doubles it is."""
    if source.model.info["native"]["kind"] == "linear":
        return "encoded", source.core.width
    return "features", 2 * _trees(source).features


def doubled(features: np.ndarray) -> np.ndarray:
    """(N, F) features, NaN where missing -> (N, 2F) as the bundle's trees take them.

    >>> doubled(np.array([[1.0, np.nan]])).tolist()
    [[1.0, nan, 1.0, -inf]]
    """
    return np.concatenate([features, np.where(np.isnan(features), -np.inf, features)], axis=1)


def _made(source: Source) -> str:
    if source.model.info["native"]["kind"] == "linear":
        return f"{python_usage(source)}\nvalues = encoded.astype('float64')"
    if source.core.program is None:
        return f"{python_usage(source)}\n{_DOUBLED}"
    return (
        f"from encoder import Encoder\n\nrows = {example_rows(source)!r}\n"
        f'features = Encoder.load("encoder.json").features(rows)\n{_DOUBLED}'
    )


_DOUBLED = """import numpy as np

values = np.concatenate([features, np.where(np.isnan(features), -np.inf, features)], axis=1, dtype="float64")"""


def files_of(source: Source) -> dict[str, bytes]:
    """The files of the bundle, by name."""
    model = source.model
    steps = dict(_steps(source))
    named = f"{source.slug}-{model.version}"
    told = {
        "name": named,
        "format": "json",
        "version": VERSION,
        "timestamp": model.manifest.created,
        "uid": str(uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(source.graph).hexdigest())),
    }
    pipeline = {"op": "pipeline", "attributes": {"nodes": {"type": "list", "string": list(steps)}}}
    files = {
        "bundle.json": told,
        "root/model.json": pipeline,
        "root/node.json": {"name": "root", "shape": {"inputs": [], "outputs": []}},
    }
    found = {name: _dumped(value) for name, value in files.items()}
    for step, own in steps.items():
        found |= {f"root/{step}.node/{name}": content for name, content in own.items()}
    return found


def _dumped(value: Any) -> bytes:
    return json.dumps(value, indent=1, allow_nan=False).encode()


def _zipped(files: Mapping[str, bytes]) -> bytes:
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return kept.getvalue()


def _steps(source: Source) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Each step of the pipeline with its files, in order."""
    task = source.model.task
    told = source.model.info.get("calibration") or {"method": "none"}
    scale, offset = (1.0, 0.0) if told["method"] == "none" else (told["scale"], told["offset"])
    content = source.model.contents.bytes(source.model.info["native"]["file"])
    if source.model.info["native"]["kind"] == "linear":
        kept = {name: np.asarray(value, dtype=np.float64) for name, value in json.loads(content).items()}
        weights = kept["coef"] / kept["scale"] * np.reshape(scale, (-1, 1))
        start = (kept["intercept"] - (kept["coef"] / kept["scale"]) @ kept["mean"]) * scale + offset
        yield _last(task, "encoded", weights, start)
        return
    trees = decode(content)
    outputs = trees.outputs
    sums = ["prediction"] if task == "regression" else [f"sum_{k}" for k in range(outputs)]
    factors, offsets = (np.broadcast_to(np.asarray(one, np.float64), (outputs,)) for one in (scale, offset))
    for k, grown in single_target(trees).items():
        first = trees.base[k] * factors[k] + offsets[k]
        yield f"trees_{k}", dict(_forest(grown, trees.features, first, factors[k], sums[k]))
    if task != "regression":
        yield "sums", _assembler(sums)
        yield _last(task, "sums", np.eye(outputs), np.zeros(outputs))


def _node(name: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> bytes:
    """inputs, outputs: port -> column."""
    shape = {
        side: [{"name": column, "port": port} for port, column in ports.items()]
        for side, ports in (("inputs", inputs), ("outputs", outputs))
    }
    return _dumped({"name": name, "shape": shape})


def _tensor(values: np.ndarray) -> Json:
    dimensions = [{"size": size, "name": ""} for size in values.shape]
    return {"double": values.ravel().tolist(), "shape": {"dimensions": dimensions}, "type": "tensor"}


def _last(task: str, given: str, weights: np.ndarray, start: np.ndarray) -> tuple[str, dict[str, bytes]]:
    """(K, F) weights and (K,) starts: a number as it is, else its probabilities."""
    if task == "regression":
        op, outputs = "linear_regression", {"prediction": "prediction"}
    else:
        op = "logistic_regression"
        outputs = {name: name for name in ("raw_prediction", "probability", "prediction")}
    if task == "multiclass":
        attributes = {"coefficient_matrix": _tensor(weights), "intercept_vector": _tensor(start)}
    else:
        attributes = {"coefficients": _tensor(weights[0]), "intercept": {"double": float(start[0])}}
    if task != "regression":
        attributes["num_classes"] = {"long": max(2, len(start))}
    model = _dumped({"op": op, "attributes": attributes})
    return op, {"model.json": model, "node.json": _node(op, {"features": given}, outputs)}


def _assembler(columns: Sequence[str]) -> dict[str, bytes]:
    """Numbers side by side."""
    shapes = [{"base": "scalar", "isNullable": False} for _ in columns]
    model = {
        "op": "vector_assembler",
        "attributes": {"input_shapes": {"type": "list", "data_shape": shapes}},
    }
    ports = {f"input{i}": column for i, column in enumerate(columns)}
    return {"model.json": _dumped(model), "node.json": _node("sums", ports, {"output": "sums"})}


def _forest(
    trees: Sequence[Tree], features: int, start: float, factor: float, column: str
) -> Iterator[tuple[str, bytes]]:
    """The sum of trees as the mean of a forest: leaves are their values times the number of trees."""
    count = len(trees) + 1
    names = [f"tree{i}" for i in range(count)]
    attributes = {
        "num_features": {"long": 2 * features},
        "tree_weights": {"type": "list", "double": [1.0] * count},
        "trees": {"type": "list", "string": names},
    }
    yield "model.json", _dumped({"op": "random_forest_regression", "attributes": attributes})
    yield "node.json", _node(column, {"features": "features"}, {"prediction": column})
    own = _dumped({"op": "decision_tree_regression", "attributes": {"num_features": {"long": 2 * features}}})
    leaf = [{"type": "leaf", "values": [float(start) * count]}]
    grown = [leaf, *(list(nodes_of(tree, features, factor * count)) for tree in trees)]
    for name, nodes in zip(names, grown, strict=True):
        yield f"{name}/model.json", own
        yield (
            f"{name}/tree.json",
            "".join(f"{json.dumps(node, allow_nan=False)}\n" for node in nodes).encode(),
        )


def nodes_of(tree: Tree, features: int, factor: float) -> Iterator[Json]:
    """The nodes of a tree, each before those below it, left before right."""
    todo = [0 if tree.branches else -1]
    while todo:
        at = todo.pop()
        if at < 0:
            yield {"type": "leaf", "values": [float(tree.value[-1 - at, 0]) * factor]}
            continue
        index = int(tree.feature[at]) + features * bool(tree.missing_left[at])
        limit = float(np.clip(float(tree.threshold[at]), -_LARGEST, _LARGEST))  # JSON has no infinity
        split = {"type": "continuous", "featureIndex": index, "threshold": limit}
        yield {"type": "internal", "split": split}
        todo += [int(tree.right[at]), int(tree.left[at])]


def _trees(source: Source) -> Trees:
    return decode(source.model.contents.bytes(source.model.info["native"]["file"]))
