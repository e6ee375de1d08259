"""Saliency maps beside a single row, in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Opened

from bessemer.core import canonical
from bessemer.explain.pixel_maps import pixel_map

pytestmark = pytest.mark.slow


def test_a_map_is_drawn_beside_its_image(made: Callable[[str], Any], browser: Any, tmp_path: Path) -> None:
    one = made("multiclass")
    facts = one.store.get(one.refs["explanations"]).json("explanations.json")
    position = facts["examples"][0]["position"]
    parts = np.zeros((1, 4, 6))
    parts[0, 1, 2], parts[0, 3, 5] = 2.0, -1.0
    drawn = pixel_map(np.full((1, 4, 6), 0.5, np.float32), parts, 64)
    facts["found"]["saliency_maps"] = {
        "kind": "maps",
        "baseline": {"text": "the mean image", "value": []},
        "error": {"measure": "completeness gap", "value": 0.1, "text": "what is left"},
        "content": {"rows": [{"row": position, "column": "<b>photo</b>", "class": "Ideal", **drawn}]},
    }
    maps = one.store.put("explanations", {"explanations.json": canonical.dump_bytes(facts)}, {})
    file = tmp_path / "report.html"
    file.write_text(one.report(refs={**one.refs, "explanations": maps}), "utf-8")
    opened = Opened(browser, file)
    opened.go(f"row={position}")
    figure = opened.page.locator("figure.maps")
    assert figure.locator("canvas").count() == 2
    said = re.sub(r"\s+", " ", figure.inner_text())
    assert "<b>photo</b>: the score for Ideal is raised by 2 where" in said
    assert "lowered by 1 where" in said
    drawing = "canvas => [...canvas.getContext('2d').getImageData(0, 0, 6, 4).data]"
    pixels = np.reshape(figure.locator("canvas").nth(1).evaluate(drawing), (4, 6, 4))
    for_it, against, nothing = pixels[1, 2], pixels[3, 5], pixels[0, 0]
    assert for_it[0] > for_it[2] + 50, "orange"
    assert against[2] > against[0] + 20, "blue"
    assert max(nothing[:3]) - min(nothing[:3]) < 3, "grey"
    opened.quiet()
    opened.close()
