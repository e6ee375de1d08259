"""Embeddings against a reference of them, and real images as vectors."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from bessemer.core.errors import DataError, FormatError
from bessemer.monitor.embeddings import EmbeddingReference
from bessemer.monitor.images import image_embeddings
from bessemer.stats.image_features import WIDTH
from bessemer.stats.packed import pack


def vectors(n: int, seed: int, turn: float = 0.0) -> np.ndarray:
    """Vectors of 64 numbers near a surface of six dimensions; turned a little, each number is as it was on average."""
    plane = np.random.default_rng(1).normal(size=(6, 64))
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 6))
    hidden[:, 0] = turn * hidden[:, 1] + np.sqrt(1 - turn**2) * hidden[:, 0]
    return np.tanh(hidden @ plane) + 0.1 * rng.normal(size=(n, 64))


@pytest.mark.slow
def test_false_alarms_over_many_references() -> None:
    p = [
        EmbeddingReference.of(vectors(3000, 100 + i)).compare(vectors(400, 5000 + 12 * i + j)).p_value
        for i in range(10)
        for j in range(12)
    ]
    assert 2 < sum(each < 0.1 for each in p) < 25, "12 of 120 on average"
    assert sum(each < 0.001 for each in p) < 4


def test_a_change_of_shape_is_found() -> None:
    reference = EmbeddingReference.of(vectors(6400, 2))
    found = reference.compare(vectors(1000, 3, turn=0.5))
    assert found.p_value < 1e-6
    assert found.value > found.critical(1e-6)
    assert found.critical(found.p_value) == pytest.approx(found.value, rel=1e-3)


def test_parts_add_up_to_the_whole() -> None:
    first = EmbeddingReference.of(vectors(2000, 4))
    more = vectors(3000, 5)
    whole = first.merged(more)
    parts = first.added(first.empty().merged(more[:1000]).added(first.empty().merged(more[1000:])))
    assert whole.features.rows == parts.features.rows == 5000
    np.testing.assert_allclose(whole.features.mean, parts.features.mean, atol=1e-12)
    np.testing.assert_allclose(whole.features.covariance, parts.features.covariance, atol=1e-12)
    with pytest.raises(DataError, match="different centres"):
        first.added(EmbeddingReference.of(more))
    assert first.empty().added(first.empty()).features.rows == 0
    assert first.empty().added(first.empty()).added(first).features.rows == 2000
    for few in (first.empty(), first.empty().merged(more[:100])):
        with pytest.raises(DataError, match=f"has {few.features.rows} vectors, too few"):
            few.compare(more)


def test_a_reference_survives_json() -> None:
    reference = EmbeddingReference.of(vectors(2000, 6))
    again = EmbeddingReference.from_json(json.loads(json.dumps(reference.to_json())))
    window = vectors(300, 7)
    assert again.compare(window).value == pytest.approx(reference.compare(window).value, rel=1e-3)
    day = again.empty().merged(window)
    assert reference.added(day).features.rows == again.added(reference.empty().merged(window)).features.rows


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"covariance": "AAAA"},
        {"rows": -5},
        {"rows": "5"},
        {"rows": 2.5},
        {"scale": 0},
        {"scale": float("nan")},
        {"scale": 10**400},
        {"centre": ""},
        {"centre": pack([np.nan])},
        {"mean": "", "covariance": ""},
        {"mean": pack(np.full(40, np.inf))},
        {"covariance": pack(np.arange(1600.0))},
        {"covariance": pack(-np.eye(40))},
        {"mean": 3},
    ],
)
def test_json_that_is_no_reference_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="no reference of embeddings"):
        EmbeddingReference.from_json({**EmbeddingReference.of(vectors(2000, 6)).to_json(), **change})


def test_what_is_no_object_is_no_reference() -> None:
    for wrong in ({}, []):
        with pytest.raises(FormatError):
            EmbeddingReference.from_json(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((500, 3)),
        np.ones((30, 3)),
        np.ones(5),
        np.full((500, 2), np.nan),
        np.zeros((0, 2)),
        [["a"]] * 500,
        [[1.0, 2.0], [3.0]],
        np.random.default_rng(0).normal(size=(500, 2)) * 1e200,
        np.random.default_rng(0).normal(size=(500, 2)) + 1e39,
    ],
)
def test_what_is_no_reference_is_refused(wrong: Any) -> None:
    with pytest.raises(DataError):
        EmbeddingReference.of(wrong)


def test_windows_that_do_not_fit_are_refused() -> None:
    reference = EmbeddingReference.of(vectors(2000, 8))
    with pytest.raises(DataError, match="64"):
        reference.compare(np.zeros((100, 3)))
    with pytest.raises(DataError, match="too few"):
        reference.compare(vectors(20, 9))


@pytest.mark.parametrize("far", [1e39, -1e300, 1.7e308])
def test_a_number_that_cannot_be_measured_is_told(far: float) -> None:
    """Its features would be NaN, and nothing would be found in any window that has it."""
    reference = EmbeddingReference.of(vectors(2000, 8))
    window = vectors(500, 9) + 1
    assert reference.compare(window).p_value < 1e-6
    window[7, 3] = far
    with pytest.raises(DataError, match="1 of the vectors are too far away"):
        reference.compare(window)


# images ----------------------------------------------------------------------------------------------
def _encoded(pixels: np.ndarray, kind: str) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 real images of written digits (UCI), and which they are."""
    from sklearn.datasets import load_digits

    images, which = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    return images.reshape(-1, 8, 8)[order] / 16, which[order]


@pytest.mark.slow
def test_digits_that_are_others_are_found(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, which = digits
    made = image_embeddings(list(images))
    assert made.shape == (1797, WIDTH)
    reference = EmbeddingReference.of(made[:1000])
    rest, names = made[1000:], which[1000:]
    assert reference.compare(rest[:400]).p_value > 0.001
    assert reference.compare(rest[400:]).p_value > 0.001
    more_of_one = np.concatenate([rest[:250], rest[names == 1], rest[names == 7]])
    assert reference.compare(more_of_one).p_value < 1e-4
    darker = image_embeddings(list(images[1000:1300] * 0.85))
    assert reference.compare(darker).p_value < 1e-6


def test_files_are_as_their_pixels() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    smooth = np.repeat(np.repeat(pixels[::16, ::16], 16, 0), 16, 1)
    png, jpeg, array = image_embeddings([_encoded(smooth, "PNG"), _encoded(smooth, "JPEG"), smooth])
    np.testing.assert_array_equal(png, array)
    np.testing.assert_allclose(jpeg[:48], array[:48], atol=0.06)
    grey = smooth[:, :, 0]
    np.testing.assert_array_equal(*image_embeddings([grey, np.repeat(grey[..., None], 3, 2)]))


def test_sixteen_bits_are_scaled() -> None:
    """Grey of 16 bits is as the same grey of 8; cut off at 255 all but the darkest would be white."""
    grey = np.random.default_rng(3).integers(0, 256, (32, 32), dtype=np.uint8)
    deep = grey.astype(np.uint16) * 257
    np.testing.assert_array_equal(*image_embeddings([_encoded(grey, "PNG"), _encoded(deep, "PNG")]))


def test_broken_files_are_told() -> None:
    """Whatever a decoder raises of them."""
    pixels = np.random.default_rng(4).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    rng = np.random.default_rng(5)
    refused = 0
    for whole in (_encoded(pixels, "PNG"), _encoded(pixels, "JPEG")):
        for _ in range(400):
            broken = bytearray(whole)
            for _ in range(3):
                broken[rng.integers(0, 200)] = rng.integers(0, 256)
            try:
                assert np.isfinite(image_embeddings([bytes(broken)])).all()
            except DataError:
                refused += 1
    assert refused > 400


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        np.zeros((2, 2)) + 7,
        np.zeros((3, 3), int),
        np.zeros((0, 8), np.uint8),
        np.zeros(8, np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.full((8, 8), np.nan),
        np.broadcast_to(np.uint8(0), (8000, 8000)),
    ],
)
def test_what_is_no_image_is_refused(wrong: Any) -> None:
    with pytest.raises(DataError, match="image 0 cannot be read"):
        image_embeddings([wrong])


def test_an_image_that_claims_to_be_huge_is_refused() -> None:
    from PIL import Image

    out = io.BytesIO()
    Image.new("1", (8000, 8000)).save(out, "PNG")
    with pytest.raises(DataError, match="pixels"):
        image_embeddings([out.getvalue()])
