"""Graphs inside nodes, operators that are allowed by name, and images where they are run, measured and shown."""

from __future__ import annotations

import base64
import importlib.util
import io
import subprocess
import sys
from typing import Any

import duckdb
import numpy as np
import onnx
import pyarrow as pa
import pytest
from PIL import Image

from bessemer.core.errors import FormatError, MissingExtra
from bessemer.core.signature import Field
from bessemer.package import images, runtime
from bessemer.package.attribution.plugins import Players
from bessemer.package.contributions import Contributions
from bessemer.package.cut import extract
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.image_measures import MEASURES, measure, measure_names, with_measures
from bessemer.package.safety import check_graph
from bessemer.package.session import GraphSession
from bessemer.package.shapley import estimated_shapley, evaluations
from bessemer.prepare.plugins import TRANSFORMS
from bessemer.prepare.spec import ImageSpec, PrepareSpec
from bessemer.testing.transforms import train_column

RNG = np.random.default_rng(3)
PHOTOS = [RNG.integers(0, 256, (8, 8)).astype(np.uint8) for _ in range(6)]


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> str:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return base64.b64encode(out.getvalue()).decode()


TEXTS = [encoded(pixels) for pixels in PHOTOS]


def doubled() -> GraphBuilder:
    """x (N, 1) -> a Loop over its rows with an If in it: twice the positive ones, else 0."""
    g = GraphBuilder("loop")
    x = g.input("x", "float32", ("N", 1))
    body = g.inner("body")
    row, going = body.input("row", "int64", ()), body.input("going", "bool", ())
    value = body.op("Gather", [x, row], axis=0)
    positive = body.op("Squeeze", [body.op("Greater", [value, g.constant(np.float32(0))])])
    branches = {}
    for name, factor in (("then_branch", 2), ("else_branch", 0)):
        inner = body.inner(name)
        inner.output(inner.op("Mul", [value, g.constant(np.float32(factor))]), "float32", (1,))
        branches[name] = inner.graph()
    body.output(body.op("Identity", [going]), "bool", ())
    body.output(body.op("If", [positive], **branches), "float32", (1,))
    count = g.op("Gather", [g.op("Shape", [x]), g.constant(np.int64(0))])
    y = g.op("Loop", [count, g.constant(np.array(True))], name="y", body=body.graph())
    g.output(y, "float32", ("N", 1))
    return g


def test_graphs_inside_nodes_are_embedded_under_names_of_their_own() -> None:
    inner = doubled().model()
    g = GraphBuilder("twice")
    x = g.input("x", "float32", ("N", 1))
    once = g.embed(inner, {"x": x}, "a/")["y"]
    g.output(
        g.embed(inner, {"x": once}, "a/")["y"], "float32", ("N", 1)
    )  # the same prefix: every name is taken
    model = g.model()
    onnx.checker.check_model(model)
    found = runtime.open_session(serialize(model), 1).run(None, {"x": np.float32([[1], [-1], [3]])})[0]
    assert found.ravel().tolist() == [4, 0, 12]


def test_a_part_of_a_graph_keeps_what_its_inner_graphs_read() -> None:
    model = doubled().model()
    part = extract(model, list(model.graph.input), ["y"])
    assert runtime.open_session(serialize(part), 1).run(["y"], {"x": np.float32([[5]])})[0].tolist() == [[10]]


def image_model(**settings: Any) -> Any:
    """photo -> features: its pixels; and their mean as `score`."""
    spec = PrepareSpec(image=ImageSpec(**settings))
    fitted = TRANSFORMS.load("image")().fit(train_column("string", values=TEXTS), spec, None)
    g = GraphBuilder("image")
    block = fitted.add(g, g.input("photo", "string", ("N", 1)))
    features = g.op("Identity", [block.value], name="features")
    g.output(g.op("ReduceMean", [features, g.constant(np.int64([1]))], name="score"), "float32", ("N", 1))
    return g.model()


def image_session(**settings: Any) -> GraphSession:
    return GraphSession(
        image_model(**settings), [Field("photo", "string", "string", domain={"media": "image"})]
    )


def test_operators_are_allowed_by_name_inside_loops_too() -> None:
    model = image_model()
    check_graph(serialize(model))
    loop = next(node for node in model.graph.node if node.op_type == "Loop")
    nodes = next(a.g for a in loop.attribute if a.name == "body").node
    branch = next(a.g for node in nodes for a in node.attribute if a.name == "else_branch")
    decoder = next(node for node in branch.node if node.op_type == "DecodeImage")
    for domain, op in (("com.microsoft", "DecodeImage"), ("com.microsoft.extensions", "EncodeImage")):
        decoder.domain, decoder.op_type = domain, op
        with pytest.raises(FormatError, match="foreign operators"):
            check_graph(serialize(model))


def test_what_needs_no_extension_does_not_load_it() -> None:
    model = image_model()
    model.graph.node.append(onnx.helper.make_node("Identity", ["photo"], ["same"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("same", onnx.TensorProto.STRING, ["N", 1]))
    part = extract(model, list(model.graph.input), ["same"])
    assert {opset.domain for opset in part.opset_import} == {"", "ai.onnx.ml"}
    assert {opset.domain for opset in model.opset_import} > {"", "ai.onnx.ml"}


def test_a_missing_extension_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    runtime._extensions.cache_clear()
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if "extensions" in name else real(name, *more)
    )
    with pytest.raises(MissingExtra, match=r"onnxruntime_extensions"):
        image_session().run_feeds({"photo": np.array([[TEXTS[0]]], dtype=object)}, ["score"])
    runtime._extensions.cache_clear()


def test_many_rows_are_run_in_blocks_and_a_broken_one_keeps_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = image_session()
    texts = np.array([TEXTS[i % 6] for i in range(11)], dtype=object).reshape(-1, 1)
    whole = session.run_feeds({"photo": texts}, ["score", "features"])
    monkeypatch.setattr(images, "IMAGE_ROWS", 4)
    monkeypatch.setattr("bessemer.package.session.IMAGE_ROWS", 4)
    parts = session.run_feeds({"photo": texts}, ["score", "features"])
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    texts[9] = "no image"
    with pytest.raises(images.RefusedImage, match="row 9"):
        session.run_feeds({"photo": texts}, ["score"])
    with pytest.raises(images.RefusedImage, match="row 9"):
        session.run(pa.table({"photo": texts.ravel().tolist()}), ["score"])


def test_no_rows_are_no_answers() -> None:
    assert image_session().run_feeds({"photo": np.zeros((0, 1), dtype=object)}, ["score"])["score"].shape == (
        0,
        1,
    )


def head_of_pixels(features: int) -> bytes:
    g = GraphBuilder("head")
    x = g.input("features", "float32", ("N", features))
    weights = g.constant(RNG.normal(size=(features, 2)).astype(np.float32))
    g.output(g.op("Tanh", [g.op("MatMul", [x, weights])], name="score"), "float32", ("N", 2))
    return b'{"baseline": [%s]}\n' % b", ".join([b"0"] * features) + serialize(g.model())


def test_an_image_is_one_player() -> None:
    kinds = ["pixel"] * 64 + ["number"] * 2
    facts = {
        "features": [
            {"name": str(i), "group": "photo" if i < 64 else f"n{i}", "kind": k} for i, k in enumerate(kinds)
        ],
        "groups": ["photo", "n64", "n65"],
    }
    explain = Contributions("head", head_of_pixels(66), facts)
    x = RNG.normal(size=(5, 66)).astype(np.float32)
    base, sums = explain.grouped(x)
    assert sums.shape == (5, 3, 2)
    assert np.allclose(base + sums.sum(axis=1), explain.score(x), atol=1e-6)
    assert explain.work < evaluations(66) * explain.native.margin_work / 20
    # three players have six orders: all are asked, and the values are Shapley's
    player = Players.named([f["group"] for f in facts["features"]], kinds).together
    exact = estimated_shapley(explain.native.margin, x, np.zeros(66), player=player)
    assert not exact.error.any()
    assert np.allclose(exact.each[:, 0], sums[:, 0])


@pytest.mark.parametrize(
    ("features", "orders", "exact"), [(2, 2, True), (3, 2, False), (3, 6, True), (4, 16, False)]
)
def test_all_orders_are_used_where_there_are_no_more_than_asked_for(
    features: int, orders: int, exact: bool
) -> None:
    def margin(x: np.ndarray) -> np.ndarray:
        return np.sin(x).prod(axis=1, keepdims=True)

    x = RNG.normal(size=(4, features))
    found = estimated_shapley(margin, x, np.ones(features), permutations=orders)
    every = estimated_shapley(margin, x, np.ones(features), permutations=24)
    assert bool((found.error == 0).all()) == exact
    assert np.allclose(found.each, every.each, atol=1e-12) == exact


def test_players_change_nothing_where_every_feature_is_alone() -> None:
    def margin(x: np.ndarray) -> np.ndarray:
        return np.sin(x[:, :1]) * x[:, 1:2] + x[:, 2:3]

    x = RNG.normal(size=(4, 3))
    one = estimated_shapley(margin, x, np.ones(3))
    other = estimated_shapley(margin, x, np.ones(3), player=np.arange(3))
    assert np.array_equal(one.each, other.each)


#: What took the square of the blanks' number: a million of them would be days.
BLANKS = """
import sys
from bessemer.package.images import NoImage, image_facts
for text in ("iVBORw0KGgo" + " " * 1_000_000 + "!", "iVBORw0KGgo" + "=" + "\\n" * 1_000_000 + "!"):
    try:
        image_facts(text)
    except NoImage as why:
        print(why)
"""


def test_blanks_in_a_base64_take_no_more_time_than_they_are_many() -> None:
    found = subprocess.run(
        [sys.executable, "-c", BLANKS], capture_output=True, text=True, timeout=300, check=True
    )
    assert found.stdout.splitlines() == ["an image whose base64 has other characters in it"] * 2


def test_measures_tell_what_changed() -> None:
    pixels = np.tile(np.uint8([[0, 200], [200, 0]]), (8, 8))
    plain, dark, blurred = (
        dict(zip(MEASURES, measure(encoded(each)), strict=True))
        for each in (pixels, pixels // 2, np.full_like(pixels, 100))
    )
    assert (plain["width"], plain["height"]) == (16, 16)
    assert plain["brightness"] == pytest.approx(100 / 255)
    assert dark["brightness"] == pytest.approx(50 / 255)
    assert dark["contrast"] == pytest.approx(plain["contrast"] / 2)
    assert blurred["sharpness"] == 0 < dark["sharpness"] < plain["sharpness"]
    assert measure("no image") is None


def test_sixteen_bits_are_measured_and_shown_as_the_graph_has_them() -> None:
    """Pillow's conversion to colours clips at 255, so that nearly all would be white."""
    deep = RNG.integers(0, 65536, (128, 128)).astype(np.uint16)
    found = dict(zip(MEASURES, measure(encoded(deep)), strict=True))
    assert found["brightness"] == pytest.approx((deep >> 8).mean() / 255, abs=1e-3)
    assert found["contrast"] == pytest.approx((deep >> 8).std() / 255, abs=1e-3)
    small = Image.open(io.BytesIO(base64.b64decode(images.shown(encoded(deep)))))
    wanted = (deep >> 8).reshape(64, 2, 64, 2).mean(axis=(1, 3))
    assert np.abs(np.asarray(small.convert("L")) - wanted).max() <= 1


def test_measures_stand_in_the_place_of_images() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE rows (id INTEGER, photo VARCHAR)")
    connection.executemany(
        "INSERT INTO rows VALUES (?, ?)", [(1, TEXTS[0]), (2, None), (3, "/9j/broken"), (4, "")]
    )
    found = connection.execute(f"FROM {with_measures(connection, 'rows', ['photo'])} ORDER BY id")
    assert [column[0] for column in found.description] == ["id", *measure_names("photo")]
    rows = found.fetchall()
    assert rows[0][1:3] == (8, 8)
    assert all(value is None for row in rows[1:] for value in row[1:])


def test_what_is_shown_of_an_image_is_small_and_an_image() -> None:
    large = encoded(RNG.integers(0, 256, (300, 500, 3)).astype(np.uint8))
    small = images.shown(large)
    assert len(large) > 500_000
    assert len(small) < 20_000
    facts = images.image_facts(small)
    assert (facts.height, facts.width) == (38, 64)
    assert images.shown(TEXTS[0]) == TEXTS[0]
    assert images.shown("a text" * 5000) == "a text" * 5000
    assert images.shown(large[:9000]) == ""
