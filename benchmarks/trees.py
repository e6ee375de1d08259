"""Trees: our own walk against onnxruntime, the libraries that grew them, and compilers of trees.

    .venv/bin/python benchmarks/trees.py [--install] [--seconds S] [--only WORD]

Microseconds a row on one thread, the least of many calls, for 1 to 1,000 rows of 20 float32 features, 2 % missing.
`kernel` is the walk alone, `session` and `matrix` the whole package graph (20 columns, or one matrix, to prediction,
probability and score) and `graph in onnxruntime` the same graph without our walk. Sums are compared bit for bit with
onnxruntime's before anything is timed. lleaves, treelite and tl2cgen live in an environment of their own, which
`--install` makes; without it the benchmark says that they are absent.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from peers.walkers import best

from bessemer.core.signature import Field
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.runtime import open_session
from bessemer.package.session import GraphSession
from bessemer.package.trees.kernel import arrays_of, score, walker_of
from bessemer.package.trees.model import Trees
from bessemer.package.trees.onnx import to_onnx
from bessemer.train.assemble import assemble
from bessemer.train.calibrate import Calibration

PEERS = Path.home() / ".cache" / "bessemer-bench" / "trees"
SIZES = (1, 16, 64, 1000)
FEATURES = 20
ROWS = 20_000
OUTPUTS = ["prediction", "probability", "score"]


def data(classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
    wave = x[:, 0] + x[:, 1] * x[:, 2] - x[:, 4] ** 2 + np.sin(3 * x[:, 5]) + rng.normal(size=ROWS)
    y = np.digitize(wave, np.quantile(wave, np.arange(1, classes) / classes))
    x[rng.random(x.shape) < 0.02] = np.nan
    return x, y


def lightgbm(folder: Path, trees: int, classes: int) -> tuple[Trees, Callable[..., object], tuple[str, Path]]:
    import lightgbm as library

    from bessemer.train.learners.lightgbm_text import parse
    from bessemer.train.learners.lightgbm_trees import to_trees

    x, y = data(classes)
    kind = {"objective": "binary"} if classes == 2 else {"objective": "multiclass", "num_class": classes}
    params = {**kind, "num_leaves": 31, "verbosity": -1, "num_threads": 2}
    booster = library.train(params, library.Dataset(x, y), trees)
    path = folder / f"lightgbm-{classes}.txt"
    booster.save_model(path)
    found = to_trees(parse(booster.model_to_string()), FEATURES)
    return found, lambda x: booster.predict(x, num_threads=1), ("lightgbm", path)


def xgboost(folder: Path, trees: int, _classes: int) -> tuple[Trees, Callable[..., object], tuple[str, Path]]:
    import xgboost as library

    from bessemer.train.learners.xgboost_engine import _tree

    x, y = data(2)
    params = {"objective": "binary:logistic", "max_depth": 6, "base_score": 0.5, "nthread": 2, "verbosity": 0}
    booster = library.train(params, library.DMatrix(x, y), trees)
    path = folder / "xgboost.json"
    booster.save_model(path)
    booster.set_param({"nthread": 1})
    saved = json.loads(path.read_text())["learner"]["gradient_booster"]["model"]["trees"]
    found = Trees(tuple(_tree(tree, 0) for tree in saved), np.zeros(1), FEATURES)
    return found, booster.inplace_predict, ("xgboost", path)


def catboost(_folder: Path, trees: int, _classes: int) -> tuple[Trees, Callable[..., object], None]:
    import catboost as library

    from bessemer.train.learners.catboost_trees import to_trees

    x, y = data(2)
    model = library.CatBoostClassifier(
        iterations=trees, depth=6, thread_count=2, verbose=0, allow_writing_files=False
    )
    model.fit(x, y)
    with tempfile.TemporaryDirectory() as folder:
        model.save_model(f"{folder}/model.json", format="json")
        saved = json.loads(Path(folder, "model.json").read_text())
    run = lambda x: model.predict(x, prediction_type="Probability", thread_count=1)  # noqa: E731
    return to_trees(saved, FEATURES, 1), run, None


CASES: dict[str, tuple[Callable[..., Any], int, int]] = {
    "LightGBM, 200 trees of 31 leaves": (lightgbm, 200, 2),
    "LightGBM, 5 classes, 5 x 100 trees of 31 leaves": (lightgbm, 100, 5),
    "XGBoost, 200 trees of depth 6": (xgboost, 200, 2),
    "CatBoost, 200 symmetric trees of depth 6": (catboost, 200, 2),
}


def package_graph(head: Any, classes: int) -> tuple[bytes, list[Field]]:
    """Twenty numbers, as preparation joins them, and the head with the outputs of its task."""
    g = GraphBuilder("prepare")
    fields = [Field(f"x{i}", "number", "float32") for i in range(FEATURES)]
    for field in fields:
        g.input(field.name, "float32", ("N", 1))
    x = g.op("Concat", [field.name for field in fields], axis=1)
    x = g.op("Where", [g.op("IsInf", [x]), g.constant(np.float32("nan")), x], name="features")
    g.output(x, "float32", ("N", FEATURES))
    task = "binary" if classes == 2 else "multiclass"
    return serialize(assemble(g.model(), head, Calibration("none"), task, list(range(classes)))), fields


def session(model: bytes, fields: list[Field], walker: str) -> GraphSession:
    """A session that has been told who walks the trees, and has loaded."""
    os.environ["BESSEMER_TREES"] = walker
    made = GraphSession(model, fields)
    made.run_matrix(np.zeros((1, FEATURES), dtype=np.float32), OUTPUTS)
    del os.environ["BESSEMER_TREES"]
    return made


def ours(trees: Trees, classes: int, x: np.ndarray, seconds: float) -> dict[str, dict[str, float]]:
    head = to_onnx(trees)
    node = next(n for n in head.graph.node if n.op_type == "TreeEnsembleRegressor")
    walker, node_only = walker_of(arrays_of(node)), open_session(serialize(head), 1)
    model, fields = package_graph(head, classes)
    walked, plain = session(model, fields, "auto"), session(model, fields, "onnxruntime")

    def feeds(x: np.ndarray) -> dict[str, np.ndarray]:
        return {field.name: np.ascontiguousarray(x[:, i : i + 1]) for i, field in enumerate(fields)}

    for n in SIZES:
        a, b = walked.run_feeds(feeds(x[:n]), OUTPUTS), plain.run_feeds(feeds(x[:n]), OUTPUTS)
        assert all(a[name].tobytes() == b[name].tobytes() for name in OUTPUTS), "the two differ"
    runs: dict[str, Callable[[Any], object]] = {
        "kernel": lambda x: score(walker, x),
        "trees in onnxruntime": lambda x: node_only.run(None, {"features": x}),
        "matrix": lambda x: walked.run_matrix(x, OUTPUTS),
    }
    found = {name: {str(n): best(run, x[:n], seconds) for n in SIZES} for name, run in runs.items()}
    for name, used in (("session", walked), ("graph in onnxruntime", plain)):
        found[name] = {}
        for n in SIZES:
            given = feeds(x[:n])
            found[name][str(n)] = best(
                lambda _, given=given, used=used: used.run_feeds(given, OUTPUTS), x[:n], seconds
            )
    return found


def peers(model: tuple[str, Path] | None, x: np.ndarray, folder: Path) -> dict[str, Any]:
    if model is None:
        return {}
    python = PEERS / "bin" / "python"
    if not python.exists():
        return {"lleaves, treelite, tl2cgen": "not installed (--install)"}
    np.save(folder / "x.npy", x[: max(SIZES)])
    script = Path(__file__).parent / "peers" / "walkers.py"
    command = [python, script, model[0], model[1], folder / "x.npy", *map(str, SIZES)]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def show(name: str, found: dict[str, Any]) -> None:
    print(f"\n### {name}\n\n| | " + " | ".join(f"{n:,} row{'s' * (n > 1)}" for n in SIZES) + " |")
    print("| --- |" + " --- |" * len(SIZES))
    for tool, times in found.items():
        if isinstance(times, str):
            print(f"| {tool} | {times} |" + " |" * (len(SIZES) - 1))
            continue
        base = found["session" if tool == "graph in onnxruntime" else "kernel"]
        whole = tool in ("kernel", "session", "matrix")
        cells = [
            f"{times[str(n)]:.2f}" + ("" if whole else f" ({times[str(n)] / base[str(n)]:.1f}x)")
            for n in SIZES
        ]
        print(f"| {tool} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--install", action="store_true", help="make the peers' environment first")
    parser.add_argument("--seconds", type=float, default=0.4, help="how long each figure is looked for")
    parser.add_argument("--only", default="", help="only the cases whose names have this in them")
    asked = parser.parse_args()
    if asked.install:
        venv.create(PEERS, with_pip=True)
        tools = ["numpy", "lightgbm", "lleaves", "llvmlite<0.45", "treelite", "tl2cgen", "xgboost-cpu"]
        subprocess.run([PEERS / "bin" / "python", "-m", "pip", "install", "--quiet", *tools], check=True)
    with tempfile.TemporaryDirectory() as place:
        for name, (train, trees, classes) in CASES.items():
            if asked.only not in name:
                continue
            grown, native, model = train(Path(place), trees, classes)
            x = data(classes)[0]
            found: dict[str, Any] = ours(grown, classes, x, asked.seconds)
            library = name.partition(",")[0]
            found[f"{library} itself"] = {str(n): best(native, x[:n], asked.seconds) for n in SIZES}
            show(name, found | peers(model, x, Path(place)))


if __name__ == "__main__":
    sys.exit(main())
