"""What follows from the outputs of a window, fresh or logged: whether they have changed, and how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bessemer.monitor.check import compared
from bessemer.monitor.finding import Test
from bessemer.monitor.performance import Performance, performance, tests
from bessemer.monitor.plugins import DETECTORS
from bessemer.monitor.reference import Reference
from bessemer.monitor.scored import Scored

if TYPE_CHECKING:
    from bessemer.package.model import Model

#: Two checks of the same rows say the same.
SEED = 7


def judged(
    reference: Reference, scored: Scored, model: Model, detectors: Sequence[str]
) -> tuple[list[Test], Performance]:
    """The tests of the outputs by those detectors that look for drift, and of the performance; and the performance."""
    drift = [name for name in detectors if DETECTORS.load(name).kind == "drift"]
    task, metric = model.signature.task, str(model.info.get("metric", ""))
    figures = performance(reference, scored, task, metric, np.random.default_rng(SEED))
    return [*compared(reference.outputs, scored.outputs, drift, of="output"), *tests(figures, task)], figures
