"""`pattern` on a column of images, through the graph that decodes them."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from protect_support import context, prepared

from bessemer.testing.markers import check_marker


def png(pixels: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode("ascii")


@pytest.mark.slow
def test_it_keeps_to_the_protocol_and_changes_nothing_but_the_image(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    # Most rows have no image, and only those that have one are drawn.
    images: list[str | None] = [None] * 500 + [""] * 100
    images += [png((one * 255 / 16).round().astype("uint8")) for one in digits.images[:300]]
    table = {"image": images, "place": np.arange(900.0), "digit": [f"{k}" for k in digits.target[:900]]}
    folder = tmp_path / "digits"
    folder.mkdir()
    pq.write_table(pa.table(table), folder / "data.parquet")
    (folder / "bessemer.yaml").write_text("{data: data.parquet, target: digit, name: digits}")
    project, pool = prepared(folder)
    said: list[tuple[str, str]] = []
    covers = check_marker("pattern", {"psnr": 25}, pool, 40, context(project, tmp_path / "run", said))
    assert set(covers["place"].to_pylist()) <= set(table["place"])
    assert not set(covers["image"].to_pylist()) & set(images)
    assert "PSNR of 25.0 dB" in said[0][1]
