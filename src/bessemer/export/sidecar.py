"""What goes beside a numeric core: the encoder, and who reads it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from pprint import pformat
from typing import Any

import numpy as np

from bessemer.export.javascript import encoder_js
from bessemer.export.layout import python_of, write_example
from bessemer.export.protocol import Source
from bessemer.export.samples import Samples, samples_of

_READERS = files("bessemer.export.readers")


def write_encoder(source: Source, out: Path) -> str:
    """`encoder.json` and its readers; an example of features where the columns cannot be encoded outside
    the graph.

    Returns:
        what the README says of it, as Markdown.
    """
    core = source.core
    if core.program is None:
        return write_example(source, out)
    (out / "encoder.json").write_bytes(core.encoder_json)
    (out / "encoder.py").write_bytes(_READERS.joinpath("encoder.py").read_bytes())
    (out / "encoder.js").write_text(encoder_js(), encoding="utf-8")
    return (
        "`encoder.json` makes the model's numbers of raw rows: `encoder.py` reads it with NumPy alone,\n"
        "`encoder.js` in browsers and Node.\n"
        f"The model takes `encoded`, (rows, {core.width}) float32 without NaN."
    )


def python_usage(source: Source) -> str:
    """Lines of Python, for a README, that make `encoded` of what stands beside the artefact."""
    if source.core.program is None:
        return python_of(source)
    rows = pformat(example_rows(source), width=100, sort_dicts=False)
    return f"""from encoder import Encoder

rows = {rows}
encoder = Encoder.load("encoder.json")
encoded = encoder.encode(rows)"""


def example_rows(source: Source) -> list[dict[str, Any]]:
    """A row for examples: no stored one where the package knows how to draw others."""
    rows, stored = samples_of(source.model).rows, len(source.model.sample)
    return (rows[stored:] or rows)[:1]


def encoded(source: Source, out: Path, samples: Samples) -> np.ndarray:
    """What the core is fed, (N, width) float32: by the encoder beside it where there is one, which is proven too."""
    if not (out / "encoder.json").is_file():
        return source.core.encoded(samples.features)
    from bessemer.export.readers.encoder import Encoder

    reader: Any = Encoder
    found: np.ndarray = reader.load(out / "encoder.json").encode(samples.rows)
    return found


def features(source: Source, out: Path, samples: Samples) -> np.ndarray:
    """The features (N, F) float32, NaN is missing: by the encoder likewise."""
    if not (out / "encoder.json").is_file():
        return samples.features
    from bessemer.export.readers.encoder import Encoder

    reader: Any = Encoder
    found: np.ndarray = reader.load(out / "encoder.json").features(samples.rows)
    return found
