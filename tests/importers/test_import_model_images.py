"""ONNX graphs that take images: the package takes PNG files, and gives the graph what its signature says it wants."""

from __future__ import annotations

import io
import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from import_model_support import imported
from onnx import TensorProto, helper, numpy_helper
from torch_support import DIGIT, HELD, SIGNATURE, convnet, pictures, png, softmax, taken
from torch_support import said as told

from bessemer.api import explain, import_model, load
from bessemer.core.errors import BessemerError, FormatError
from bessemer.importers.models.onnx import _head
from bessemer.importers.models.onnx_graph import opened
from bessemer.importers.models.onnx_inputs import inputs_of
from bessemer.importers.models.signature import signature_of
from bessemer.importers.models.signed import asked_of
from bessemer.package.model import Model
from bessemer.package.row_bytes import row_bytes
from bessemer.package.runtime import open_session
from bessemer.serve.server import make_app
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Request

HEIGHT, WIDTH = 2, 4
COUNT = 3 * HEIGHT * WIDTH
PICTURES = np.random.default_rng(3).integers(0, 256, (5, HEIGHT, WIDTH, 3), dtype=np.uint8)


def weighted(dims: list[Any], element: int = TensorProto.FLOAT) -> bytes:
    """A graph that adds all numbers of an image, each with a weight of its own: 1, 2, 3... in the graph's order."""
    nodes = [
        helper.make_node("Cast", ["photo"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    weights = np.arange(1, COUNT + 1, dtype=np.float32).reshape(-1, 1) / COUNT
    made = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("photo", element, dims)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString())


def sums(images: np.ndarray) -> np.ndarray:
    """What `weighted` says of images in the order in which it takes them."""
    return np.asarray(images.reshape(len(images), -1).astype(np.float64) @ (np.arange(1, COUNT + 1) / COUNT))


def read(data: bytes, signature: str, tmp_path: Path) -> Model:
    (tmp_path / "model").write_bytes(data)
    (tmp_path / "signature.yaml").write_text(signature)
    return imported(tmp_path / "model", signature=tmp_path / "signature.yaml")


FIRST, LAST = PICTURES.transpose(0, 3, 1, 2) / 255, PICTURES / 255
MEAN, STD = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.25, 0.3])


@pytest.mark.parametrize(
    ("dims", "element", "image", "taken"),
    [
        (["N", 3, HEIGHT, WIDTH], TensorProto.FLOAT, "{}", FIRST),
        (["N", HEIGHT, WIDTH, 3], TensorProto.FLOAT, "{scale: 255}", PICTURES),
        (["N", HEIGHT, WIDTH, 3], TensorProto.UINT8, "{scale: 255}", PICTURES),
        (["N", HEIGHT, WIDTH, 3], TensorProto.UINT8, "{}", PICTURES),
        (["N", HEIGHT, WIDTH, 3], TensorProto.INT64, "{}", PICTURES),
        (["N", HEIGHT, WIDTH, 3], TensorProto.FLOAT, "{scale: 255, mean: [127.5], std: [127.5]}", LAST * 2 - 1),
        (
            ["N", 3, "H", "W"], TensorProto.FLOAT,
            f"{{size: [2, 4], layout: NCHW, mean: {MEAN.tolist()}, std: {STD.tolist()}}}",
            ((LAST - MEAN) / STD).transpose(0, 3, 1, 2),
        ),
        (
            ["N", 3, HEIGHT, WIDTH], TensorProto.FLOAT,
            "{layout: NCHW, scale: 255, order: bgr, mean: [103.9, 116.8, 123.7]}",
            (PICTURES[..., ::-1] - np.array([103.9, 116.8, 123.7])).transpose(0, 3, 1, 2),
        ),
        (["N", COUNT], TensorProto.FLOAT, "{size: [2, 4], channels: 3}", FIRST),
        (["N", COUNT], TensorProto.FLOAT, "{size: [2, 4], channels: 3, layout: NHWC}", LAST),
    ],
)  # fmt: skip
def test_it_gets_what_it_was_trained_on(dims: list[Any], element: int, image: str, taken: np.ndarray) -> None:
    """Of the pixels that the package makes of images: from 0 to 1, all of red first."""
    asked = asked_of(said=signature_of(f"inputs: {{photo: {{image: {image}}}}}", "signature.yaml"))
    model = opened(weighted(dims, element))
    inputs, columns = inputs_of(model, asked)
    assert columns[0].fitted.layout.shape == (3, HEIGHT, WIDTH)  # type: ignore[union-attr]
    pixels = np.float32(FIRST.reshape(len(FIRST), -1))
    (found,) = open_session(_head(model, inputs, "y", ""), 1).run(["score"], {"features": pixels})
    wanted = sums(np.asarray(taken, dtype=np.float64))
    assert np.abs(found[:, 0] - wanted).max() <= 1e-5 * max(1, np.abs(wanted).max())


def test_files_of_colours_are_decoded_for_it(tmp_path: Path) -> None:
    signature = "inputs: {photo: {image: {scale: 255, order: bgr}}}"
    model = read(weighted(["N", HEIGHT, WIDTH, 3]), signature, tmp_path)
    found = [row["prediction"] for row in model.predict_rows([{"photo": png(p)} for p in PICTURES])]
    np.testing.assert_allclose(found, sums(PICTURES[..., ::-1]), rtol=1e-5)


def test_an_image_beside_a_column(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Flatten", ["photo"], ["flat"]),
        helper.make_node("ReduceSum", ["flat", "one"], ["ink"], keepdims=1),
        helper.make_node("Mul", ["ink", "age"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes, "g",
        [value("photo", TensorProto.FLOAT, ["N", 1, HEIGHT, WIDTH]), value("age", TensorProto.FLOAT, ["N", 1])],
        [value("y", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(np.array([1]), "one")],
    )  # fmt: skip
    data = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    model = read(data.SerializeToString(), "inputs: {scan: image, years: integer}", tmp_path)
    assert [(f.name, f.dtype, f.is_image) for f in model.signature.inputs] == [
        ("scan", "string", True), ("years", "integer", False)
    ]  # fmt: skip
    grey = PICTURES[0, :, :, 0]
    (row,) = model.predict_rows([{"scan": png(grey), "years": 3}])
    assert row["prediction"] == pytest.approx(3 * grey.sum() / 255, rel=1e-6)


@pytest.mark.parametrize(
    ("dims", "image", "message"),
    [
        (["N", 3, HEIGHT, WIDTH], "{layout: NCHW, size: [4, 4]}", "images of 4 x 4 .* takes 2 x 4 of 3 channels"),
        (["N", 3, HEIGHT, WIDTH], "{layout: NHWC}", "images of 4 channels in the layout NHWC"),
        (["N", 3, HEIGHT, 3], "{}", "where the channels are is not clear"),
        (["N", 3, "H", "W"], "{layout: NCHW}", "said neither by the model nor by the signature"),
        (["N", COUNT], "{size: [2, 3], channels: 3}", "takes 24 numbers"),
        (["N", 1, 3, HEIGHT, WIDTH], "{}", "takes 5 dimensions"),
        (["N"], "{}", "takes 1 dimensions"),
        (["N", COUNT], "{}", "said neither by the model nor by the signature"),
        (["N", 5, HEIGHT, WIDTH], "{layout: NCHW}", "images of 5 channels"),
        (["N", 3, HEIGHT, WIDTH], "{mean: [1, 2]}", "have 2 numbers, and the images 3 channels"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(dims: list[Any], image: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BessemerError, match=message):
        read(weighted(dims), f"inputs: {{photo: {{image: {image}}}}}", tmp_path)


@pytest.mark.parametrize("image", ["{mean: [100]}", "{scale: 300}", "{std: [0.5]}"])
def test_bytes_do_not_wrap(image: str, tmp_path: Path) -> None:
    data = weighted(["N", HEIGHT, WIDTH, 3], TensorProto.UINT8)
    with pytest.raises(BessemerError, match="takes whole ones from 0 to 255"):
        read(data, f"inputs: {{photo: {{image: {image}}}}}", tmp_path)


def test_the_file_to_write_for_bytes_is_of_bytes(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(weighted(["N", HEIGHT, WIDTH, 3], TensorProto.UINT8))
    with pytest.raises(FormatError) as error:
        imported(tmp_path / "model")
    assert "layout: NHWC, scale: 255" in error.value.fix


@pytest.fixture(scope="module")
def graph() -> bytes:
    """The convnet as torch writes it."""
    kept = io.BytesIO()
    torch.onnx.export(
        convnet(),
        (taken(slice(2)),),
        kept,
        input_names=["photo"],
        dynamic_axes={"photo": {0: "n"}},
        dynamo=False,
    )
    return kept.getvalue()


def test_a_convnet_of_torch_takes_pictures(graph: bytes, tmp_path: Path) -> None:
    model = read(graph, SIGNATURE, tmp_path)
    wanted = softmax(told(convnet(), taken(HELD)))
    rows = model.predict_rows(pictures(HELD))
    found = np.array([[row[f"probability_{i}"] for i in range(10)] for row in rows])
    assert np.abs(found - wanted).max() <= 1e-5
    assert [row["prediction"] for row in rows] == wanted.argmax(axis=1).tolist()
    assert row_bytes(model.contents.bytes("model.onnx")) == 4 * 8 * 64 * 2  # one layer's numbers in and out


def test_the_error_has_the_file_to_write(graph: bytes, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(graph)
    with pytest.raises(FormatError, match=r"4 dimensions \(N, 1, 8, 8\)") as error:
        imported(tmp_path / "model")
    file = textwrap.dedent(error.value.fix.partition("\n")[2])
    model = read(graph, file.replace("[A, B]", "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"), tmp_path)
    assert model.signature.input("photo").is_image


def test_it_explains_and_serves_pictures(graph: bytes, tmp_path: Path) -> None:
    model = read(graph, SIGNATURE, tmp_path)
    asked = pictures(slice(1500, 1502))
    for row in explain(model, asked).explanation.content["rows"]:
        assert list(row["contributions"]) == ["photo"]
        assert row["base"] + row["contributions"]["photo"] == pytest.approx(row["score"], abs=1e-5)
    app = make_app(model, ServeSpec())
    body = json.dumps({"rows": asked}).encode()
    answer = app.handle(Request("POST", "/predict", {}, {"content-type": "application/json"}, body))
    assert answer.status == 200, answer.body
    wanted = told(convnet(), taken(slice(1500, 1502))).argmax(axis=1).tolist()
    assert [row["prediction"] for row in json.loads(answer.body)["predictions"]] == wanted
    refused = app.handle(Request("POST", "/predict", {}, {}, b'{"rows": [{"photo": "no picture"}]}'))
    assert refused.status in (400, 422), refused.body


@pytest.mark.slow
def test_the_flow_judges_a_convnet_on_pictures(graph: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(graph)
    (tmp_path / "s.yaml").write_text(SIGNATURE)
    rows = slice(1000, 1300)
    table = pd.DataFrame(pictures(rows)).assign(digit=DIGIT[rows])
    table.to_parquet(tmp_path / "rows.parquet")
    done = import_model(
        tmp_path / "net.onnx", signature=tmp_path / "s.yaml", data=str(tmp_path / "rows.parquet")
    )
    model = load(done.path)
    assert done.lacks == {}
    assert model.signature.input("photo").is_image
    assert [block["kind"] for block in model.info["blocks"]] == ["image"]
    asked = pictures(slice(1500, 1510))
    found = [row["prediction"] for row in model.predict_rows(asked)]
    assert found == told(convnet(), taken(slice(1500, 1510))).argmax(axis=1).tolist()
    assert "photo: brightness" in json.loads(model.contents.bytes("reference.json"))["columns"]
