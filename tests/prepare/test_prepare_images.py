"""Images and tokens in the graph: pixels as others decode them, missing and broken ones, and blocks in the matrix."""

from __future__ import annotations

import base64
import io
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from bessemer.core.blocks import Block, blocks_of
from bessemer.core.errors import DataError
from bessemer.core.parquet import bytes_a_row
from bessemer.core.signature import Field, Signature
from bessemer.package.images import MOST_PIXELS, RefusedImage
from bessemer.package.session import CUT_ROWS, GraphSession
from bessemer.prepare.kinds import Left, kind_of, profile
from bessemer.prepare.plugins import TRANSFORMS
from bessemer.prepare.spec import ImageSpec, PrepareSpec, TokensSpec
from bessemer.testing.transforms import check_transform, graph_of, tensor_of, train_column

GREY = [(pixels * 255 / 16).astype(np.uint8) for pixels in load_digits().images[:40]]
RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG", mode: str = "", **options: Any) -> str:
    out, image = io.BytesIO(), Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(out, kind, **options)
    return base64.b64encode(out.getvalue()).decode()


def seen(values: list, wanted: list | None = None, **settings: Any) -> np.ndarray:
    """What the graph makes of `wanted`, by what is fitted on `values`."""
    spec = PrepareSpec(image=ImageSpec(**settings))
    fitted = TRANSFORMS.load("image")().fit(train_column("string", values=values), spec, None)
    return session_of(fitted).run_feeds({"column": tensor_of("string", wanted or values)}, ["block"])["block"]


def session_of(fitted: Any) -> GraphSession:
    return GraphSession(
        graph_of(fitted, "string"), [Field("column", "string", "string", domain={"media": "image"})]
    )


def test_images_keep_the_conformance_suite() -> None:
    check_transform(TRANSFORMS.load("image")(), values=[encoded(GREY[0]), encoded(GREY[1]), None])


def test_grey_pixels_are_those_of_the_file() -> None:
    found = seen([encoded(pixels) for pixels in GREY])
    assert found.dtype == np.float32
    assert np.array_equal(np.round(found.reshape(-1, 8, 8) * 255), GREY)
    assert 0 <= found.min() < found.max() <= 1


def test_colours_are_red_green_and_blue_and_grey_is_itu_r_601() -> None:
    colour = seen([encoded(RGB)], size=(20, 30))
    assert np.allclose(colour.reshape(3, 20, 30), RGB.transpose(2, 0, 1) / 255, atol=1e-6)
    grey = seen([encoded(RGB)], size=(20, 30), channels=1)
    assert np.allclose(grey.reshape(20, 30), RGB @ [0.299, 0.587, 0.114] / 255, atol=1e-6)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_is_decoded_as_pillow_does(mode: str) -> None:
    y, x = np.mgrid[0:16, 0:24]
    pixels = np.stack([x * 9, y * 14, 255 - x * 5], axis=2).astype(np.uint8)
    text = encoded(pixels, "JPEG", mode, quality=95, subsampling=0)
    expected = Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")
    found = seen([text], size=(16, 24), channels=3).reshape(3, 16, 24).transpose(1, 2, 0)
    assert np.abs(found - np.asarray(expected) / 255).max() <= 1.01 / 255


@pytest.mark.parametrize("mode", ["P", "1", "LA", "RGBA"])
def test_every_kind_of_png_is_decoded(mode: str) -> None:
    expected = np.asarray(Image.fromarray(RGB).convert(mode).convert("RGB")).transpose(2, 0, 1)
    found = seen([encoded(RGB, mode=mode)], size=(20, 30), channels=3)
    assert np.allclose(found.reshape(3, 20, 30), expected / 255, atol=1e-6)


def test_without_a_word_the_most_frequent_size_and_colours_where_there_are_any() -> None:
    small, large = encoded(GREY[0]), encoded(np.tile(RGB, (10, 10, 1)))
    fit = TRANSFORMS.load("image")().fit
    assert fit(train_column("string", values=[small]), PrepareSpec(), None).shape == (1, 8, 8)
    assert fit(train_column("string", values=[small, large, large]), PrepareSpec(), None).shape == (3, 43, 64)


def test_stretch_crop_and_pad() -> None:
    wide = (
        np.repeat([[0, 255, 255, 0]], 2, axis=0).repeat(4, axis=0).repeat(4, axis=1).astype(np.uint8)
    )  # 8 x 16
    stretched, cropped, padded = (
        seen([encoded(wide)], size=(8, 8), fit=fit).reshape(8, 8) for fit in ("stretch", "crop", "pad")
    )
    assert np.allclose(stretched[0], stretched[0][::-1])
    assert stretched[0, 0] < 0.2 < 0.8 < stretched[0, 3]
    assert np.allclose(cropped, 1)
    assert np.allclose(padded[[0, 1, 6, 7]], 0)
    assert padded[3].max() > 0.8


def test_ways_to_write_the_same_file_are_the_same_image() -> None:
    text = encoded(RGB)
    lines = base64.encodebytes(base64.b64decode(text)).decode()
    urls = text.replace("+", "-").replace("/", "_").rstrip("=")
    found = seen([text], [text, "data:image/png;base64," + text, lines, urls])
    assert "\n" in lines
    assert urls != text
    assert all(np.array_equal(found[0], other) for other in found[1:])


def test_a_missing_image_is_black_and_marked_where_training_has_missing_ones() -> None:
    text = encoded(GREY[0])
    found = seen([text, None], [text, None, ""])
    assert found.shape == (3, 65)
    assert found[:, 64].tolist() == [0, 1, 1]
    assert not found[1:, :64].any()
    assert seen([text], [text, None]).shape == (2, 64), "no feature for what training never had"


def _bomb() -> str:
    """A small PNG that claims more pixels than are decoded."""
    side = int(MOST_PIXELS**0.5) + 1
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    packed = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + packed).decode()


WHOLE, PHOTO = encoded(RGB), encoded(RGB, "JPEG")
BROKEN = {
    "no base64 of a PNG or JPEG file": "hello",
    "a damaged image file": WHOLE[:800],
    "a damaged JPEG file": PHOTO[:600],
    "other characters": PHOTO[:300] + "==" + PHOTO[300:],
    "no header": WHOLE[:12],
    "pixels: at most": _bomb(),
}


@pytest.mark.parametrize("why", BROKEN)
def test_a_broken_image_is_named_by_its_row(why: str) -> None:
    with pytest.raises(RefusedImage, match=why) as caught:
        seen([WHOLE], [WHOLE, None, BROKEN[why], WHOLE])
    assert (caught.value.column, caught.value.row) == ("column", 2)


def test_a_value_that_is_no_image_stops_the_fit_and_says_what_to_do() -> None:
    with pytest.raises(DataError, match="'column' is taken as images, and has 'hello'") as caught:
        seen([WHOLE, "hello"])
    assert "as: text" in caught.value.fix


_FUZZ = """
import sys, base64, io
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from bessemer.package.images import NoImage, image_facts
sys.path.insert(0, "tests/prepare")
import test_prepare_images as suite
ways = ({}, {"progressive": True}, {"optimize": True})
photos = [base64.b64decode(suite.encoded(suite.RGB, "JPEG", **way)) for way in ways]
fitted = suite.TRANSFORMS.load("image")().fit(
    suite.train_column("string", values=[suite.PHOTO]), suite.PrepareSpec(), None)
session, decoded = suite.session_of(fitted), 0
for seed in range(150):
    rng = np.random.default_rng(seed)
    content = bytearray(photos[seed % 3])
    for place in rng.integers(2, len(content) - 2, 3):
        content[place] = rng.integers(256)
    text = base64.b64encode(bytes(content)).decode()
    try:
        session.run_feeds({"column": suite.tensor_of("string", [text])}, ["block"])
        decoded += 1
    except suite.RefusedImage:
        pass
print("alive", decoded)
"""


@pytest.mark.slow
def test_no_damaged_jpeg_ends_the_process() -> None:
    """The decoder in the graph calls exit() at some of them: none of those may come so far."""
    done = subprocess.run(
        [sys.executable, "-c", _FUZZ], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert 10 < int(done.stdout.split()[-1]) < 140, "some are read, some are not"


def test_columns_of_images_are_recognised() -> None:
    def kind(values: list) -> Any:
        column = train_column("string", values=values)
        return kind_of(column, profile([column])[0])

    photos = [encoded(pixels) for pixels in GREY[:30]]
    assert kind(photos) == "image"
    assert kind([*photos[:20], None, PHOTO]) == "image"
    assert kind(["data:image/png;base64," + text for text in photos[:5]]) == "image"
    assert kind([photos[0], "some text", PHOTO]) == "categorical"
    assert isinstance(kind([f"{i:06}" for i in range(60)]), Left)


def fit_tokens(values: list, **settings: Any) -> Any:
    spec = PrepareSpec(tokens=TokensSpec(**settings))
    return TRANSFORMS.load("tokens")().fit(train_column("string", values=values), spec, None)


def test_tokens_are_words_in_their_order() -> None:
    fitted = fit_tokens(["the cat sat.", "The dog", "a cat", None], length=5)
    asked = ["The cat flew", "", None, "a b c d e f", "dog dog"]
    found = session_of(fitted).run_feeds({"column": tensor_of("string", asked)}, ["block"])["block"]
    assert fitted.layout.levels == 2 + 5
    assert found[0].tolist() == [3, 2, 1, 0, 0]
    assert not found[1:3].any()
    assert found[3].tolist() == [found[3, 0], 1, 1, 1, 1]
    assert found[4].tolist() == [found[4, 0]] * 2 + [0] * 3
    assert len({*found[0, :2], found[3, 0], found[4, 0]}) == 4


def test_tokens_that_keep_case_and_a_small_vocabulary() -> None:
    fitted = fit_tokens(["Good good", "Good"], length=2, vocabulary=1, lower=False)
    assert session_of(fitted).run_feeds({"column": tensor_of("string", ["Good good"])}, ["block"])[
        "block"
    ].tolist() == [[2, 1]]


def query_of_rows() -> str:
    listed = ", ".join(
        f"('{encoded(GREY[i % 40])}', {i}, 'a text of word{i % 7} and more', {i % 3 == 0})"
        for i in range(150)
    )
    return f"FROM (VALUES {listed}) AS t(photo, age, said, y)"


def test_blocks_stand_in_the_meta_and_fit_the_matrix(bench: Any) -> None:
    spec = {"columns": {"said": {"as": "tokens", "tokens": {"length": 6}}}}
    made = bench.prepare(query_of_rows(), spec=spec)
    photo, said = blocks_of(made.preprocessor.meta)
    assert photo == Block("photo", "image", 0, 64, (1, 8, 8))
    assert (said.group, said.kind, said.start, said.stop, said.shape) == ("said", "tokens", 65, 71, (6,))
    assert said.levels == made.X("train")[:, said.start : said.stop].max() + 1
    assert {f["kind"] for f in made.features[:64]} == {"pixel"}
    rows = made.rows("test").to_pylist()
    for row, features in zip(rows, made.X("test"), strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(row["photo"]))), dtype=float)
        assert np.allclose(features[:64].reshape(8, 8) * 255, pixels, atol=1e-4)
    signature = made.preprocessor.json("signature.json")
    domain = next(field for field in signature["inputs"] if field["name"] == "photo")["domain"]
    assert domain == {"media": "image"}


def test_columns_that_are_cut_out_and_images_go_together(bench: Any) -> None:
    made = bench.prepare(query_of_rows(), spec={"columns": {"said": {"as": "tokens"}}})
    inputs = Signature.from_json(made.preprocessor.json("signature.json")).inputs
    session, table = GraphSession(made.preprocessor.path("preprocessor.onnx"), inputs), made.rows("train")
    assert len(table) >= CUT_ROWS
    whole = session.run(table, ["features"])["features"]
    assert session._cut_session(("features",)) is not None, "texts are looked up, images are not"
    alone = [session.run(table.slice(i, 1), ["features"])["features"] for i in range(len(table))]
    assert np.array_equal(whole, np.concatenate(alone))
    assert np.array_equal(whole, made.X("train"))


def test_a_broken_image_in_the_data_stops_preparation_by_its_row(bench: Any) -> None:
    broken = query_of_rows().replace(encoded(GREY[3])[40:], "AAAA", 1)
    with pytest.raises(DataError, match=r"column 'photo', row \d+ of the \w+ part: a damaged image file"):
        bench.prepare(broken, spec={"columns": {"photo": {"as": "image"}}})


def test_rows_of_large_values_are_measured(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    texts = [str(i) + "x" * 10_000 for i in range(50)]
    pq.write_table(pa.table({"id": range(50), "photo": texts}), path, compression="zstd")
    assert 10_000 < bytes_a_row(path) < 11_000
    assert bytes_a_row(path, ["id"]) < 20


# shapes that are all length -----------------------------------------------------------------------------
#: Runs a graph over a text, and says by how many kilobytes the process grew and what the values lie between.
RUN = """
import resource, sys
import numpy as np
from bessemer.package.runtime import open_session
session = open_session(open(sys.argv[1], "rb").read(), 1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(found,) = session.run(["block"], {"column": np.array([[sys.argv[2]]], dtype=object)})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, found.min(), found.max())
"""


@pytest.mark.slow
def test_a_line_is_cut_before_it_is_made_larger(tmp_path: Path) -> None:
    """As large as its height has to be it would have 64 x 1,280,000 pixels."""
    line = np.zeros((1, 20_000), dtype=np.uint8)
    line[:, 9_000:11_000] = 255
    text, spec = encoded(line), PrepareSpec(image=ImageSpec(size=(64, 64), channels=1, fit="crop"))
    fitted = TRANSFORMS.load("image")().fit(train_column("string", values=[text]), spec, None)
    (tmp_path / "graph.onnx").write_bytes(graph_of(fitted, "string"))
    asked = [sys.executable, "-c", RUN, str(tmp_path / "graph.onnx"), text]
    found = subprocess.run(asked, capture_output=True, text=True, check=True)
    kilobytes, least, most = found.stdout.split()
    assert int(kilobytes) < 150_000
    assert (float(least), float(most)) == (1, 1)


@pytest.mark.parametrize("shape", [(1, 129), (129, 1), (1, 5000)])
def test_a_line_that_is_padded_keeps_a_pixel_of_its_short_side(shape: tuple[int, int]) -> None:
    found = seen([encoded(np.full(shape, 255, dtype=np.uint8))], size=(64, 64), channels=1, fit="pad")
    image = found.reshape(64, 64) if shape[0] == 1 else found.reshape(64, 64).T
    assert np.allclose(image.sum(axis=1), np.where(np.arange(64) == 31, 64, 0), atol=1e-4)


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (7, 50), (64, 64), (9, 9)])
def test_crop_stretches_the_middle_and_pad_the_whole_inside_a_frame(shape: tuple[int, int]) -> None:
    (height, width), (tall, wide) = shape, (8, 12)
    pixels = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)

    def made(part: np.ndarray, tall: int, wide: int, fit: str) -> np.ndarray:
        return seen([encoded(part)], size=(tall, wide), channels=1, fit=fit).reshape(tall, wide)

    high, broad = min(height, int(width * tall / wide + 0.5)), min(width, int(height * wide / tall + 0.5))
    top, left = (height - high) // 2, (width - broad) // 2
    middle = pixels[top : top + high, left : left + broad]
    assert np.allclose(made(pixels, tall, wide, "crop"), made(middle, tall, wide, "stretch"), atol=1e-6)
    high, broad = min(tall, int(height * wide / width + 0.5)), min(wide, int(width * tall / height + 0.5))
    top, left = (tall - high) // 2, (wide - broad) // 2
    framed = np.zeros((tall, wide))
    framed[top : top + high, left : left + broad] = made(pixels, high, broad, "stretch")
    assert np.allclose(made(pixels, tall, wide, "pad"), framed, atol=1e-6)


def test_rows_all_over_the_part_are_looked_at() -> None:
    """Files come class by class: the first ones do not say what the others are like."""
    import duckdb

    small, large = encoded(GREY[0]), encoded(np.tile(RGB, (10, 10, 1)))
    column = train_column("string", values=[small])
    connection = duckdb.connect()
    connection.execute("CREATE TABLE train (x0 VARCHAR, y INTEGER, fold INTEGER)")
    connection.execute("INSERT INTO train SELECT ?, 0, 0 FROM range(900)", [small])
    connection.execute("INSERT INTO train SELECT ?, 1, 0 FROM range(1100)", [large])
    fitted = TRANSFORMS.load("image")().fit(replace(column, connection=connection), PrepareSpec(), None)
    assert fitted.shape == (3, 43, 64)


def test_sixteen_bits_are_the_upper_eight() -> None:
    deep = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
    assert np.allclose(seen([encoded(deep)], channels=1)[0], (deep >> 8).ravel() / 255, atol=1e-6)
