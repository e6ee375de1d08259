"""What goes beside a numeric core: the encoder, and who reads it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.export.protocol import Source
from bessemer.export.samples import Samples

_READERS = files("bessemer.export.readers")


def write_encoder(source: Source, out: Path) -> str:
    """`encoder.json` and its readers; where the columns cannot be encoded outside the graph, nothing.

    Returns:
        what the README says of it, as Markdown.
    """
    core = source.core
    if core.program is None:
        return _features_alone(source)
    (out / "encoder.json").write_bytes(core.encoder_json)
    for reader in ("encoder.py",):
        (out / reader).write_bytes(_READERS.joinpath(reader).read_bytes())
    return (
        "`encoder.json` makes the model's numbers of raw rows: `encoder.py` reads it with NumPy alone.\n"
        f"The model takes `encoded`, (rows, {core.width}) float32 without NaN."
    )


def _features_alone(source: Source) -> str:
    core = source.core
    lines = [
        f"There is no encoder: {core.why}. Give the model its features, (rows, {core.width}) float32:",
        "`bessemer.load(PACKAGE).features(rows)` makes them, a column each.",
    ]
    if np.any(core.fill):
        lines.append("What is missing is the number that `fill.json` has in its place.")
    return "\n".join(lines)


def encoded(source: Source, out: Path, samples: Samples) -> np.ndarray:
    """What the core is fed, (N, width) float32: by the encoder beside it where there is one, which is proven too."""
    if not (out / "encoder.json").is_file():
        return source.core.encoded(samples.features)
    from bessemer.export.readers.encoder import Encoder

    reader: Any = Encoder
    found: np.ndarray = reader.load(out / "encoder.json").encode(samples.rows)
    return found
