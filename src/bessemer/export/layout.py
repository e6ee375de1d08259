"""Models whose columns no encoder can read (images, long texts): what their numbers are, in words and an example."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.export.protocol import Source
from bessemer.export.samples import samples_of
from bessemer.package.image_pixels import write_image
from bessemer.package.images import content_of

EXAMPLE, PICTURE, FILL = "example.npy", "example.png", "fill.json"
_PLACE = re.compile(r"\[(\d+),(\d+)\] (\w+)$")


def write_example(source: Source, out: Path) -> str:
    """A row's features, as a picture where the model takes nothing but one, and what stands for missing ones.

    Returns:
        what the README says of the numbers, as Markdown.
    """
    core = source.core
    row = samples_of(source.model).features[:1]
    if shape := picture_of(source):
        pixels = row.reshape(shape).transpose(1, 2, 0)
        (out / PICTURE).write_bytes(content_of(write_image(pixels)))
    else:
        np.save(out / EXAMPLE, row, allow_pickle=False)
        told = {"fill": [float(v) for v in core.fill], "flags": list(core.flags)}
        (out / FILL).write_text(json.dumps(told) + "\n", encoding="utf-8")
    return "\n".join(
        [
            f"There is no encoder: {core.why}. The model takes `encoded`, (rows, {core.width}) float32. Its columns:",
            "",
            *_blocks(source.model.info["features"]),
            *_missing(source),
            "",
            "`bessemer.load(PACKAGE).features(rows)` makes the features, a column each, of whatever the package takes.",
        ]
    )


def python_of(source: Source) -> str:
    """Lines of Python that make `encoded` of the example."""
    if shape := picture_of(source):
        channels, height, width = shape
        mode, order = ("L", "") if channels == 1 else ("RGB", ".transpose(2, 0, 1)")
        return (
            f'import numpy as np\nfrom PIL import Image\n\nimage = Image.open("{PICTURE}").convert("{mode}")'
            f"  # {width} wide, {height} high\n"
            f"encoded = np.float32(np.asarray(image){order}.reshape(1, -1)) / 255"
        )
    return (
        f'import json\nimport numpy as np\n\nfill = json.load(open("{FILL}"))\nfeatures = np.load("{EXAMPLE}")\n'
        'missing = np.isnan(features)\nfilled = np.where(missing, fill["fill"], features)\n'
        'encoded = np.float32(np.concatenate([filled, missing[:, fill["flags"]]], axis=1))'
    )


def picture_of(source: Source) -> tuple[int, int, int] | None:
    """(channels, height, width) where the features are the pixels of one image and nothing else."""
    features = source.model.info["features"]
    if source.core.flags or len({f["group"] for f in features}) != 1:
        return None
    return _shape(features)


def _shape(features: Sequence[dict[str, Any]]) -> tuple[int, int, int] | None:
    """Of the pixels of an image: (channels, height, width), a colour after the other, each row by row."""
    if any(feature.get("kind") != "pixel" for feature in features):
        return None
    found = [_PLACE.search(feature["name"]) for feature in features]
    places = [(int(at[1]), int(at[2]), at[3]) for at in found if at is not None]
    if not places or len(places) != len(features):
        return None
    height, width = max(y for y, _, _ in places) + 1, max(x for _, x, _ in places) + 1
    colours = list(dict.fromkeys(colour for _, _, colour in places))
    expected = [(y, x, colour) for colour in colours for y in range(height) for x in range(width)]
    return (len(colours), height, width) if places == expected else None


def _blocks(features: Sequence[dict[str, Any]]) -> list[str]:
    found, start = [], 0
    for (group, kind), block in groupby(features, key=lambda f: (f.get("group"), f.get("kind", "number"))):
        some = list(block)
        stop = start + len(some)
        found.append(f"- {start} to {stop - 1}: {_said(group, kind, some)}")
        start = stop
    return found


def _said(group: Any, kind: str, block: Sequence[dict[str, Any]]) -> str:
    if shape := _shape(block):
        channels, height, width = shape
        colours = "grey" if channels == 1 else "all of red, then green, then blue"
        return f"the pixels of `{group}`, {height} high and {width} wide, row by row, {colours}, from 0 to 1"
    return f"`{group}`: {block[0].get('meaning', kind)}" + (" and so on" if len(block) > 1 else "")


def _missing(source: Source) -> list[str]:
    core = source.core
    if picture_of(source):
        return []
    flags = f"- {len(core.fill)} to {core.width - 1}: 1 where a feature of `flags` is missing, else 0"
    return [
        *([flags] if core.flags else []),
        f"\nIn the place of what is missing goes its number of `{FILL}`.",
    ]
