"""Our own walk over trees gives the bits of onnxruntime's, refuses what is no tree, and steps aside when in doubt."""

from __future__ import annotations

import dataclasses
import logging
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bessemer.core.errors import UsageError
from bessemer.core.signature import Field
from bessemer.package import head as head_module
from bessemer.package.feeds import to_feeds
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.runtime import open_session
from bessemer.package.session import GraphSession
from bessemer.package.trees import _walker
from bessemer.package.trees.kernel import UnsuitedError, arrays_of, score, walker_of
from bessemer.package.trees.model import Tree, Trees
from bessemer.package.trees.onnx import to_onnx
from bessemer.train.assemble import assemble
from bessemer.train.calibrate import Calibration

ODD = np.array(
    [
        np.nan,
        np.inf,
        -np.inf,
        0.0,
        -0.0,
        1e-45,
        -1e-45,
        1.1754942e-38,
        3.4028235e38,
        -3.4028235e38,
        1.0,
        -1.5,
    ],
    dtype=np.float32,
)


def random_tree(
    rng: np.random.Generator, leaves: int, features: int, width: int, target: int, deep: bool
) -> Tree:
    """A tree that is grown at random places, or at its last leaf alone (a chain)."""
    left, right, open_leaves = [], [], [(-1, False)]
    for branch in range(leaves - 1):
        at = len(open_leaves) - 1 if deep else int(rng.integers(len(open_leaves)))
        parent, is_left = open_leaves.pop(at)
        if parent >= 0:
            (left if is_left else right)[parent] = branch
        left.append(0)
        right.append(0)
        open_leaves += [(branch, True), (branch, False)]
    for number, (parent, is_left) in enumerate(open_leaves):
        if parent >= 0:
            (left if is_left else right)[parent] = -1 - number
    count = len(left)
    threshold = np.where(rng.random(count) < 0.3, rng.choice(ODD[1:], count), rng.normal(size=count))
    return Tree(
        feature=rng.integers(0, features, count).astype(np.int32),
        threshold=threshold.astype(np.float32),
        missing_left=rng.random(count) < 0.5,
        left=np.array(left, dtype=np.int32),
        right=np.array(right, dtype=np.int32),
        value=rng.normal(size=(leaves, width)) * 10.0 ** rng.integers(-3, 4, (leaves, width)),
        cover=np.ones(leaves),
        target=target,
    )


def random_trees(seed: int, count: int, features: int, outputs: int, whole: bool, most: int = 40) -> Trees:
    rng = np.random.default_rng(seed)
    width = outputs if whole else 1

    def grown() -> Tree:
        target = 0 if whole else int(rng.integers(outputs))
        return random_tree(rng, int(rng.integers(2, most)), features, width, target, rng.random() < 0.2)

    trees = tuple(grown() for _ in range(count))
    return Trees(trees=trees, features=features, base=np.zeros(outputs), link="identity")


def node_of(model: Any) -> Any:
    return next(node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor")


def alone(node: Any, features: int) -> Any:
    """The node as a graph of its own."""
    g = GraphBuilder("alone")
    x = g.input("features", "float32", ("N", features))
    model = g.model()
    copy = model.graph.node.add()
    copy.CopyFrom(node)
    copy.input[0], copy.output[0] = x, "sums"
    model.graph.output.append(onnx.ValueInfoProto(name="sums"))
    return open_session(serialize(model), 1)


def rows_for(arrays: dict[str, Any], rng: np.random.Generator, count: int, features: int) -> np.ndarray:
    x = rng.normal(size=(count, features)).astype(np.float32)
    with np.errstate(over="ignore"):
        after = np.nextafter(arrays["threshold"], np.float32(np.inf))
    near = np.concatenate([arrays["threshold"], after, ODD])
    found: np.ndarray = np.where(rng.random(x.shape) < 0.5, rng.choice(near, x.shape), x)
    return found


def same_bits(a: np.ndarray, b: np.ndarray) -> None:
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 30),
    features=st.integers(1, 12),
    outputs=st.integers(1, 4),
    whole=st.booleans(),
    rows=st.sampled_from([1, 2, 3, 4, 5, 8, 9, 17, 130]),
)
def test_any_trees_and_rows_give_the_same_bits(
    seed: int, count: int, features: int, outputs: int, whole: bool, rows: int
) -> None:
    node = node_of(to_onnx(random_trees(seed, count, features, outputs, whole)))
    arrays = arrays_of(node)
    x = rows_for(arrays, np.random.default_rng(seed), rows, features)
    same_bits(score(walker_of(arrays), x), alone(node, features).run(["sums"], {"features": x})[0])


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.float32, (7, 3), elements=st.floats(width=32, allow_nan=True, allow_infinity=True)))
def test_any_floats_take_the_same_leaf(x: np.ndarray) -> None:
    same_bits(score(WALKER, x), SESSION.run(["sums"], {"features": x})[0])


_NODE = node_of(to_onnx(random_trees(5, 20, 3, 1, False)))
WALKER, SESSION = walker_of(arrays_of(_NODE)), alone(_NODE, 3)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("rows", [1, 5, 8, 700])
def test_even_trees_give_the_same_bits(rows: int, outputs: int) -> None:
    """Trees that ask the same all over a level, among others that nearly do."""
    rng = np.random.default_rng(rows)
    grown = [even_tree(rng, depth, 5, outputs) for depth in (1, 2, 6, 3, 8, 1, 5)]
    nearly = even_tree(rng, 4, 5, outputs)
    nearly.threshold[-1] = np.nextafter(nearly.threshold[-1], np.float32(np.inf))
    node = node_of(to_onnx(Trees(trees=(*grown, nearly), features=5, base=np.zeros(outputs))))
    arrays = arrays_of(node)
    x = rows_for(arrays, rng, rows, 5)
    same_bits(score(walker_of(arrays), x), alone(node, 5).run(["sums"], {"features": x})[0])


def even_tree(rng: np.random.Generator, depth: int, features: int, width: int) -> Tree:
    """A complete tree with one question a level, as CatBoost grows it."""
    count = 2**depth - 1
    level = np.log2(np.arange(1, count + 1)).astype(int)
    child = 2 * np.arange(count) + 1
    return Tree(
        feature=rng.integers(0, features, depth).astype(np.int32)[level],
        threshold=rng.normal(size=depth).astype(np.float32)[level],
        missing_left=(rng.random(depth) < 0.5)[level],
        left=np.where(child < count, child, count - 1 - child).astype(np.int32),
        right=np.where(child < count, child + 1, count - 2 - child).astype(np.int32),
        value=rng.normal(size=(count + 1, width)),
        cover=np.ones(count + 1),
    )


def test_more_rows_than_a_block_and_more_features_than_are_asked() -> None:
    node = node_of(to_onnx(random_trees(1, 60, 300, 3, False)))
    arrays = arrays_of(node)
    x = rows_for(arrays, np.random.default_rng(1), 3001, 320)
    same_bits(score(walker_of(arrays), x), alone(node, 320).run(["sums"], {"features": x})[0])


def test_many_features_take_the_wide_words() -> None:
    node = node_of(to_onnx(random_trees(2, 400, 3000, 1, False)))
    arrays = arrays_of(node)
    assert len(np.unique(arrays["feature"])) > 1024, "fewer slots would take the narrow words"
    x = rows_for(arrays, np.random.default_rng(2), 21, 3000)
    same_bits(score(walker_of(arrays), x), alone(node, 3000).run(["sums"], {"features": x})[0])


def test_a_chain_of_thousands_ends() -> None:
    tree = random_tree(np.random.default_rng(3), 5000, 2, 1, 0, True)
    node = node_of(to_onnx(Trees(trees=(tree,), features=2, base=np.zeros(1), link="identity")))
    arrays = arrays_of(node)
    x = rows_for(arrays, np.random.default_rng(4), 40, 2)
    same_bits(score(walker_of(arrays), x), alone(node, 2).run(["sums"], {"features": x})[0])


def _attribute(node: Any, name: str) -> Any:
    return next(a for a in node.attribute if a.name == name)


def test_single_leaves_nan_thresholds_and_base_values() -> None:
    node = onnx.helper.make_node(
        "TreeEnsembleRegressor", ["features"], ["sums"], domain="ai.onnx.ml", n_targets=2,
        nodes_treeids=[0, 1, 1, 1], nodes_nodeids=[0, 0, 1, 2], nodes_featureids=[0, 1, 0, 0],
        nodes_values=[0.0, float("nan"), 0.0, 0.0], nodes_modes=["LEAF", "BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_truenodeids=[0, 1, 0, 0], nodes_falsenodeids=[0, 2, 0, 0],
        nodes_missing_value_tracks_true=[0, 1, 0, 0],
        target_treeids=[0, 1, 1], target_nodeids=[0, 1, 2], target_ids=[1, 0, 0],
        target_weights=[0.1, 0.3, 0.7], base_values=[0.2, -0.6],
    )  # fmt: skip
    x = np.array([[0, 1], [0, np.nan], [0, -np.inf], [np.nan, np.inf]], dtype=np.float32)
    found = score(walker_of(arrays_of(node)), x)
    same_bits(found, alone(node, 2).run(["sums"], {"features": x})[0])
    assert found[0, 0] != found[1, 0], "a missing value goes left where it is told to, whatever the threshold"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda n: setattr(_attribute(n, "aggregate_function"), "s", b"MAX"), "aggregate_function is MAX"),
        (lambda n: setattr(_attribute(n, "post_transform"), "s", b"PROBIT"), "post_transform"),
        (lambda n: _attribute(n, "nodes_modes").strings.__setitem__(0, b"BRANCH_LT"), "compares otherwise"),
        (lambda n: _attribute(n, "nodes_values").floats.pop(), "different lengths"),
        (lambda n: _attribute(n, "nodes_truenodeids").ints.__setitem__(0, 10**6), "not there"),
        (lambda n: _attribute(n, "nodes_truenodeids").ints.__setitem__(0, -1), "out of range"),
        (lambda n: _attribute(n, "nodes_falsenodeids").ints.__setitem__(0, 0), "more than one place"),
        (lambda n: _attribute(n, "nodes_nodeids").ints.__setitem__(1, 0), "twice"),
        (lambda n: _attribute(n, "nodes_featureids").ints.__setitem__(0, -1), "asks feature"),
        (lambda n: _attribute(n, "target_ids").ints.__setitem__(0, 9), "target 9"),
        (lambda n: _attribute(n, "target_nodeids").ints.__setitem__(0, 0), "one value each"),
        (lambda n: n.attribute.append(onnx.helper.make_attribute("nodes_new", 1)), "attribute 'nodes_new'"),
    ],
)
def test_what_no_walker_does_is_left_to_onnxruntime(change: Callable[[Any], Any], why: str) -> None:
    node = node_of(to_onnx(random_trees(8, 3, 4, 3, False)))
    walker_of(arrays_of(node))
    change(node)
    with pytest.raises(UnsuitedError, match=why):
        walker_of(arrays_of(node))


ARRAYS = arrays_of(node_of(to_onnx(random_trees(9, 4, 3, 2, False, most=8))))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_altered_arrays_are_refused_or_walk_to_an_end(data: st.DataObject) -> None:
    """Whatever the arrays say, nothing is read outside of them: at worst the sums are those of other trees."""
    arrays = {
        name: value.copy() if isinstance(value, np.ndarray) else value for name, value in ARRAYS.items()
    }
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(
            st.sampled_from(["root", "feature", "left", "right", "target", "value", "threshold", "base"])
        )
        if data.draw(st.booleans()):
            arrays[name] = arrays[name][: data.draw(st.integers(0, len(arrays[name])))]
        elif len(arrays[name]):
            at = data.draw(st.integers(0, len(arrays[name]) - 1))
            numbers = [-(2**31), -100, -2, -1, 0, 1, 2, 5, 1000, 2**31 - 1]
            arrays[name][at] = data.draw(st.sampled_from(numbers))
    for name in ("targets", "width"):
        arrays[name] = data.draw(st.sampled_from([arrays[name]] * 6 + [-1, 0, 1, 2, 3, 2**40]))
    features = data.draw(st.sampled_from([3, 3, 3, 1, 0, -1, 2**40]))
    try:
        walker = _walker.Walker(features=features, **arrays)
    except (ValueError, OverflowError, MemoryError):
        return
    for rows in (1, 9):
        score(walker, np.full((rows, 3), np.nan, dtype=np.float32))


def test_a_cycle_is_refused() -> None:
    arrays = {**ARRAYS, "left": ARRAYS["left"].copy()}
    branch = int(np.flatnonzero(arrays["left"] > 0)[-1])
    arrays["left"][branch] = ARRAYS["root"][0]
    with pytest.raises(ValueError, match=r"more than one place"):
        _walker.Walker(features=3, **arrays)


@pytest.mark.parametrize(
    ("x", "out"),
    [
        (np.zeros((2, 2), np.float32), np.zeros((2, 1), np.float32)),  # too few features
        (np.zeros((2, 3), np.float64), np.zeros((2, 1), np.float32)),
        (np.zeros(3, np.float32), np.zeros((1, 1), np.float32)),
        (np.zeros((2, 3), np.float32), np.zeros((1, 1), np.float32)),
        (np.zeros((2, 3), np.float32), np.zeros((2, 2), np.float32)),
        (np.zeros((2, 3), np.float32), np.zeros((2, 1), np.int32)),
        (np.zeros((2, 6), np.float32)[:, ::2], np.zeros((2, 1), np.float32)),
        (b"123", np.zeros((2, 1), np.float32)),
        (np.zeros((2, 3), np.float32), bytes(8)),
    ],
)
def test_wrong_matrices_are_refused(x: Any, out: Any) -> None:
    with pytest.raises((ValueError, BufferError)):
        WALKER.score(x, out)


def test_other_threads_run_meanwhile_and_all_agree() -> None:
    node = node_of(to_onnx(random_trees(6, 300, 20, 1, False)))
    walker = walker_of(arrays_of(node))
    x = np.random.default_rng(0).normal(size=(20_000, 20)).astype(np.float32)
    expected, ticks, done = score(walker, x), [], threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(1)
            time.sleep(0)

    found: list[np.ndarray] = []
    counter, during, end = threading.Thread(target=tick), 0, time.monotonic() + 60
    counter.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # another thread runs where the interpreter is given away, and only there
    try:
        while not during and time.monotonic() < end:  # it may not get a processor at once
            before = len(ticks)
            score(walker, x)
            during = len(ticks) - before
    finally:
        sys.setswitchinterval(interval)
        done.set()
    counter.join()
    found.append(score(walker, x))
    workers = [threading.Thread(target=lambda: found.append(score(walker, x))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert during > 0, "the interpreter was held while trees were walked"
    assert len(found) == 5
    for one in found:
        same_bits(one, expected)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("wrong", ["value", "threshold", "missing_left"])
def test_a_walker_that_differs_is_not_used(
    make_trained: Any,
    task: str,
    wrong: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = make_trained(task, "lightgbm")
    feeds = to_feeds(made.table, made.signature.inputs)
    outputs = ["features", "score", "prediction"]
    expected = GraphSession(made.model, made.signature.inputs).run_feeds(feeds, outputs)

    def altered(node: Any) -> dict[str, Any]:
        arrays = arrays_of(node)
        branch = np.flatnonzero(arrays["left"] >= 0)[0]
        if wrong == "value":
            arrays["value"][0] = np.nextafter(arrays["value"][0], np.float32(np.inf)) * 2
        elif wrong == "threshold":
            arrays["threshold"][branch] = np.nextafter(arrays["threshold"][branch], np.float32(np.inf))
        else:
            arrays["missing_left"][branch] ^= True
        return arrays

    monkeypatch.setattr(head_module, "arrays_of", altered)
    session = GraphSession(made.model, made.signature.inputs, sample=feeds)
    with caplog.at_level(logging.WARNING, logger="bessemer.package"):
        found = session.run_feeds(feeds, outputs)
    assert "left to onnxruntime" in caplog.text
    for name in outputs:
        np.testing.assert_array_equal(found[name], expected[name], strict=True)


@pytest.mark.parametrize("labels", [[False, True], [3, 7], ["nein", "jå"]])
@pytest.mark.parametrize("method", ["none", "sigmoid"])
def test_two_classes_need_no_onnxruntime_and_are_the_same(labels: list[Any], method: str) -> None:
    model, fields = classifier(labels, method)
    session = GraphSession(model, fields)
    rng = np.random.default_rng(0)
    x = np.where(rng.random((3000, 3)) < 0.2, rng.choice(ODD, (3000, 3)), rng.normal(size=(3000, 3)) * 3)
    x = x.astype(np.float32)
    plain, outputs = open_session(model, 1), ["prediction", "probability", "score"]
    for rows in (1, 2, 3, 4, 7, 16, 3000):
        feeds = {f.name: x[:rows, i : i + 1] for i, f in enumerate(fields)}
        expected = plain.run(outputs, feeds)
        found = session.run_feeds(feeds, outputs)
        for name, array in zip(outputs, expected, strict=True):
            assert found[name].dtype == array.dtype
            assert found[name].shape == array.shape
            assert found[name].tolist() == array.tolist(), name
    tail = session._two._head._tail
    assert tail is not None, "the steps after the sums were not found"
    assert len(tail.steps) == (1 if method == "none" else 3)


def test_a_tail_that_differs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    model, fields = classifier([False, True], "none")
    expected = GraphSession(model, fields).run_matrix(np.ones((5, 3)), ["probability"])["probability"]
    find = head_module.find_tail

    def shifted(*given: Any) -> Any:
        tail = find(*given)
        assert tail is not None
        return dataclasses.replace(tail, steps=np.nextafter(tail.steps, np.float32(np.inf)))

    monkeypatch.setattr(head_module, "find_tail", shifted)
    session = GraphSession(model, fields)
    same_bits(session.run_matrix(np.ones((5, 3)), ["probability"])["probability"], expected)
    assert session._two._head._tail is None


def classifier(labels: list[Any], method: str) -> tuple[bytes, list[Field]]:
    """A whole model as training writes it, of three numbers."""
    prepare = GraphBuilder("prepare")
    fields = [Field(name, "number", "float32") for name in ("a", "b", "c")]
    for field in fields:
        prepare.input(field.name, "float32", ("N", 1))
    joined = prepare.op("Concat", ["a", "b", "c"], axis=1)
    nan = prepare.constant(np.float32("nan"))
    prepare.output(
        prepare.op("Where", [prepare.op("IsInf", [joined]), nan, joined], name="features"),
        "float32",
        ("N", 3),
    )
    calibration = Calibration(method, scale=1.3, offset=-0.2) if method != "none" else Calibration("none")
    trees = random_trees(12, 50, 3, 1, False)
    head = to_onnx(dataclasses.replace(trees, base=np.array([0.25])))
    return serialize(assemble(prepare.model(), head, calibration, "binary", labels)), fields


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((np.zeros((2, 1), np.float32), np.zeros((2, 2), np.float32), np.zeros(2, np.int64), 9), TypeError),
        ((np.zeros((2, 1), np.float32), np.zeros((1, 2), np.float32), np.zeros(2, np.int64), 0), ValueError),
        ((np.zeros((2, 1), np.float32), np.zeros((2, 2), np.float32), np.zeros(2, np.int32), 0), ValueError),
        ((np.zeros((2, 1), np.float32), np.zeros((2, 2), np.float32), np.zeros(3, np.int64), 0), ValueError),
        ((np.zeros((2, 2), np.float32), np.zeros((2, 2), np.float32), np.zeros(2, np.int64), 0), ValueError),
        ((np.zeros((2, 1), np.float32), np.zeros((2, 2), np.float32)), TypeError),
    ],
)
def test_wrong_arrays_are_not_classified(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        _walker.classify(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros((2, 2), np.float32),),
        (np.zeros((2, 2), np.float32), True, np.zeros((2, 1), np.float32)),
        (np.zeros((2, 2), np.float32), True, np.zeros((3, 2), np.float32)),
        (np.zeros((2, 2), np.float32), True, np.zeros((2, 3), np.float32)),
        (np.zeros((2, 2), np.float32), True, np.zeros((2, 2), np.float64)),
        (np.zeros((2, 2), np.float64), True, np.zeros((2, 2), np.float32)),
        (np.zeros((2, 2), np.float32), True, "text"),
    ],
)
def test_wrong_parts_are_not_joined(arguments: tuple[Any, ...]) -> None:
    with pytest.raises((TypeError, ValueError)):
        _walker.join(*arguments)


def test_the_environment_says_who_walks(make_trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_trained("binary", "lightgbm")
    found = []
    for said, ours in (("", True), ("auto", True), ("onnxruntime", False)):
        monkeypatch.setenv("BESSEMER_TREES", said)
        session = GraphSession(made.model, made.signature.inputs)
        found.append(session.run(made.table, ["score"])["score"])
        assert (session._two is not None) == ours
    for one in found:
        same_bits(one, found[0])
    monkeypatch.setenv("BESSEMER_TREES", "onnx")
    with pytest.raises(UsageError, match="BESSEMER_TREES is 'onnx'"):
        GraphSession(made.model, made.signature.inputs).run(made.table, ["score"])


def test_without_the_extension_onnxruntime_does_it_all(
    make_trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_trained("binary", "lightgbm")
    expected = GraphSession(made.model, made.signature.inputs).run(made.table, ["score", "prediction"])
    monkeypatch.setitem(sys.modules, "bessemer.package.trees._walker", None)
    monkeypatch.delattr("bessemer.package.trees._walker")
    session = GraphSession(made.model, made.signature.inputs)
    found = session.run(made.table, ["score", "prediction"])
    assert session._two is None
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


@pytest.mark.slow
@pytest.mark.parametrize(("compiler", "tag"), [("", "cp311-abi3-"), ("/bin/false", "py3-none-any")])
def test_a_wheel_is_built_with_and_without_a_compiler(compiler: str, tag: str, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, **({"CC": compiler} if compiler else {})}
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        root,
    ]
    subprocess.run(build, env=environment, check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    assert tag in wheel.name
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
        files.extractall(tmp_path / "site")
    assert "bessemer/package/trees/kernel.py" in names
    assert "bessemer/environments/tensorflow.txt" in names
    assert "bessemer/export/readers/c/startup.c" in names  # beside exported models: no part of ours
    sources = list((root / "src").rglob("_*.c"))
    assert len([name for name in names if Path(name).suffix in (".so", ".pyd")]) == len(sources) * (
        not compiler
    )
    script = "import bessemer.package.trees._walker as w; print(w.__file__, w.Walker)"
    run = [sys.executable, "-c", script]
    alone = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(run, env=alone, capture_output=True, text=True, cwd=tmp_path)
    assert (str(tmp_path) in done.stdout) == (not compiler), done.stderr


def test_what_the_compiler_refuses_is_raised(tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    try:
        from hatch_build import compiled
    finally:
        sys.path.pop(0)
    root = tmp_path / "root"
    (root / "src/bessemer/package/trees").mkdir(parents=True)
    (root / "src/bessemer/package/trees/_walker.c").write_text("this is no C")
    with pytest.raises(Exception, match=r"exit status|failed"):
        compiled(root, tmp_path / "place")


def numeric_model(front: str) -> tuple[bytes, list[Field]]:
    """Three numbers, trees, a sigmoid; the features are joined in several ways."""
    g = GraphBuilder("numbers")
    fields = [Field(name, "number", "float32") for name in ("a", "b", "c")]
    for field in fields:
        g.input(field.name, "float32", ("N", 1))
    parts = ["c", "a", "b"] if front == "other order" else ["a", "b", "c"]
    if front == "computed":
        parts = ["a", g.op("Mul", ["b", "c"]), "c", g.op("Concat", ["a", "b"], axis=1)]
    x = g.op("Concat", parts, axis=1)
    if front != "plain":
        x = g.op("Where", [g.op("IsInf", [x]), g.constant(np.float32("nan")), x])
    if front == "unlike":
        x = g.op("Add", [x, x])
    width = 5 if front == "computed" else 3
    g.op("Identity", [x], name="features")
    head = to_onnx(random_trees(11, 30, width, 1, False))
    score_ = g.op("Identity", [g.embed(head, {"features": "features"}, "head/")["score"]], name="score")
    g.output(score_, "float32", ("N", 1))
    g.output(g.op("Sigmoid", [score_], name="probability"), "float32", ("N", 1))
    return serialize(g.model()), fields


@pytest.mark.parametrize("front", ["plain", "finite", "other order", "computed", "unlike"])
@pytest.mark.parametrize("rows", [0, 1, 3, 70])
def test_tensors_tables_and_matrices_give_what_onnxruntime_gives(front: str, rows: int) -> None:
    import pyarrow as pa

    model, fields = numeric_model(front)
    rng = np.random.default_rng(rows)
    x = np.where(rng.random((rows, 3)) < 0.3, rng.choice(ODD, (rows, 3)), rng.normal(size=(rows, 3))).astype(
        np.float32
    )
    feeds = {f.name: x[:, i : i + 1] for i, f in enumerate(fields)}
    outputs = ["probability", "features", "score"]
    whole = onnx.load_model_from_string(model)
    whole.graph.output.append(onnx.ValueInfoProto(name="features"))
    session = GraphSession(model, fields)
    expected = open_session(serialize(whole), 1).run(outputs, feeds) if rows else None
    table = pa.table({f.name: pa.array(x[:, i].astype(np.float64)) for i, f in enumerate(fields)})
    for found in (
        session.run_feeds(feeds, outputs),
        session.run(table, outputs),
        session.run_matrix(x, outputs),
        session.run_matrix(x.astype(np.float64), outputs),
    ):
        assert list(found) == outputs
        for i, name in enumerate(outputs):
            if expected is None:
                assert len(found[name]) == 0
            else:
                assert found[name].shape == expected[i].shape
                np.testing.assert_array_equal(found[name], expected[i], strict=True)
    assert session._two is not None or not rows


def test_a_matrix_is_for_numbers_only_and_of_one_shape(make_trained: Any) -> None:
    made = make_trained("binary", "lightgbm")
    with pytest.raises(UsageError, match="'city' is a string"):
        GraphSession(made.model, made.signature.inputs).run_matrix(np.zeros((1, 6)), ["score"])
    model, fields = numeric_model("plain")
    with pytest.raises(UsageError, match=r"shape \(1, 4\)"):
        GraphSession(model, fields).run_matrix(np.zeros((1, 4)), ["score"])
    with pytest.raises(UsageError, match="type <U1"):
        GraphSession(model, fields).run_matrix(np.array([["1", "2", "3"]]), ["score"])
