"""The numeric core of a network with products of 8-bit integers: a quarter of the size."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.export.numeric.half import multiplies
from bessemer.export.numeric.int8 import WAYS
from bessemer.export.protocol import Source, UncarriedError
from bessemer.export.samples import samples_of
from bessemer.export.targets.onnx_core import OnnxCore
from bessemer.package.runtime import open_session

#: Rows for calibration are drawn otherwise than those that the artefact is held against the package on.
_SEED = 1


class Int8Settings(Spec):
    how: Literal["auto", "static", "dense", "dynamic"] = Field(
        "auto",
        description="static: ranges of activations from rows of the package's profile; dense: the same of fully "
        "connected layers only; dynamic: ranges by request; auto: that of half the size that answers most alike",
    )


class OnnxInt8(OnnxCore):
    """`core.onnx`, quantised, and `encoder.json`."""

    limit: float = 0.05
    Settings: ClassVar[type[Spec]] = Int8Settings

    settings: Int8Settings

    def refuses(self, source: Source) -> str:
        if source.has_trees:
            return "quantising changes nothing in trees: they compare numbers and multiply none"
        return "" if multiplies(source.core.graph) else "it multiplies no matrices"

    def graph(self, source: Source) -> bytes:
        core = source.core.graph
        rows = source.core.encoded(samples_of(source.model, seed=_SEED).features)
        ways = WAYS if self.settings.how == "auto" else {"": WAYS[self.settings.how]}
        made = [way(core, rows) for way in ways.values()]
        found = min(_worth_it(made, core), key=lambda graph: _loss(source, graph, rows))
        if len(found) >= len(core):
            raise UncarriedError(f"quantised it is no smaller: {len(found):,} bytes, the core {len(core):,}")
        return found


def _worth_it(made: list[bytes], core: bytes) -> list[bytes]:
    """Those of half the size, if any: one that leaves most as it is answers most alike, and saves nothing."""
    return [graph for graph in made if 2 * len(graph) <= len(core)] or made


def _loss(source: Source, graph: bytes, rows: np.ndarray) -> tuple[int, float]:
    """Rows of another class than by the core itself, then the mean difference."""
    name = source.core.outputs[-1]
    ours, theirs = (
        open_session(one, 1).run([name], {"encoded": rows})[0] for one in (source.core.graph, graph)
    )
    flips = 0 if source.model.task == "regression" else (ours.argmax(axis=1) != theirs.argmax(axis=1)).sum()
    return int(flips), float(np.abs(ours - theirs).mean())
