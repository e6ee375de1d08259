"""treelite: builds a model of arrays of trees, and runs it."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from asked import main

_TASKS = {"binary": "kBinaryClf", "multiclass": "kMultiClf", "regression": "kRegressor"}
_ARRAYS = ("feature", "threshold", "missing_left", "left", "right", "value", "start", "target")


def write(graph, out, asked, folder):
    from treelite.model_builder import Metadata, ModelBuilder, PostProcessorFunc, TreeAnnotation

    trees = {name: np.load(folder / f"{name}.npy") for name in _ARRAYS}
    count, outputs, width = len(trees["target"]), len(asked["base"]), trees["value"].shape[1]
    builder = ModelBuilder(
        threshold_type="float64",
        leaf_output_type="float64",
        metadata=Metadata(
            num_feature=asked["features"],
            task_type=_TASKS[asked["task"]],
            average_tree_output=False,
            num_target=1,
            num_class=[outputs],
            leaf_vector_shape=(1, width),
        ),
        tree_annotation=TreeAnnotation(
            num_tree=count,
            target_id=[0] * count,
            class_id=[-1] * count if width > 1 else trees["target"].tolist(),
        ),
        postprocessor=PostProcessorFunc(name=asked["after"]),
        base_scores=asked["base"],
    )
    for tree in range(count):
        _build(builder, trees, tree)
    builder.commit().serialize(str(out / "model.tl"))


def _build(builder, trees, tree):
    start, stop = trees["start"][tree : tree + 2].tolist()
    first_leaf, branches = start + tree, stop - start

    def key(child):
        return int(child) if child >= 0 else branches - 1 - int(child)

    builder.start_tree()
    for branch in range(branches):
        at = start + branch
        builder.start_node(branch)
        builder.numerical_test(
            int(trees["feature"][at]),
            float(trees["threshold"][at]),
            default_left=bool(trees["missing_left"][at]),
            opname="<=",
            left_child_key=key(trees["left"][at]),
            right_child_key=key(trees["right"][at]),
        )
        builder.end_node()
    for leaf in range(branches + 1):
        value = trees["value"][first_leaf + leaf].tolist()
        builder.start_node(branches + leaf)
        builder.leaf(value if len(value) > 1 else value[0])
        builder.end_node()
    builder.end_tree()


def load(out, asked):
    import treelite

    model = treelite.Model.deserialize(str(out / "model.tl"))
    if asked["runtime"] == "gtil":

        def predict(x):
            return treelite.gtil.predict(model, x.astype(np.float64), nthread=1)

        return f"treelite {treelite.__version__} (GTIL)", lambda x: [_flat(predict(x))]
    return _compiled(model)


def _compiled(model):
    import tl2cgen

    if not shutil.which("gcc") or not shutil.which("cmake"):
        raise SystemExit("tl2cgen needs gcc and CMake: `apt-get install gcc cmake`")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "model.so")
        tl2cgen.export_lib(model, "gcc", str(library))
        predictor = tl2cgen.Predictor(str(library), nthread=1)

    def predict(x):
        return predictor.predict(tl2cgen.DMatrix(x.astype(np.float64)))

    return f"tl2cgen {tl2cgen.__version__}", lambda x: [_flat(predict(x))]


def _flat(found):
    return found.reshape(len(found), -1)


if __name__ == "__main__":
    main(write, load)
