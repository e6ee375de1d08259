"""The Python door of monitoring: a package that watches what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import DataError, UsageError
from bessemer.monitor.check import Check, compared, decide
from bessemer.monitor.contract import broken_rules
from bessemer.monitor.joint import check_parts
from bessemer.monitor.judge import SEED, judged
from bessemer.monitor.plugins import DETECTORS, USUAL, parts_read
from bessemer.monitor.reference import reference_of
from bessemer.monitor.scan import scan
from bessemer.monitor.scored import Scored
from bessemer.monitor.scored import score as scored_rows
from bessemer.monitor.tables import opened
from bessemer.monitor.window import Window

if TYPE_CHECKING:
    from bessemer.package.model import Model


class Monitor:
    """Compares rows with what a package says is normal.

    Args:
        package: a `.bsm` file, an fsspec URL, or a model that was loaded.
        detectors: which to run, by name; the usual ones by default (see `docs/monitor.md`).
        false_alarm: the probability that a window without any change has a finding; what the package says by default.

    Raises:
        PackageError: the package is refused. FormatError: it has no reference.
        UsageError: there is no such detector, it needs what the package has not, or the probability is none.
    """

    def __init__(
        self,
        package: str | Path | Model,
        *,
        detectors: Sequence[str] = USUAL,
        false_alarm: float | None = None,
    ) -> None:
        from bessemer.package.model import load

        self.model = load(package) if isinstance(package, str | Path) else package
        self.reference = reference_of(self.model)
        self.detectors = tuple(detectors)
        for name in self.detectors:
            DETECTORS.ref(name)  # a wrong name is told now
        check_parts(self.reference, parts_read(self.detectors))
        if false_alarm is not None and not 0 < false_alarm < 1:
            raise UsageError(f"false_alarm is {false_alarm}", fix="give a probability between 0 and 1")
        self.false_alarm = false_alarm

    def check(self, data: Any, *, score: bool = False) -> Check:
        """Compare rows with the reference, in one pass and in memory that does not grow with them.

        Args:
            data: a path, folder, glob or URL of Parquet, CSV or JSON lines; or a table as `Model.predict` takes it.
            score: also let the model predict the rows, compare its outputs, measure its performance on the rows that
                have a label (the target's column), and estimate it on all.

        Raises:
            DataError: it cannot be read, or has no rows.
        """
        with opened(data) as (connection, relation):
            window = scan(connection, relation, self.reference, parts_read(self.detectors))
            if not window.rows:
                raise DataError("the window has no rows", fix="give rows to compare")
            window = self.held(connection, relation, window)
            tests = compared(self.reference, window, self.detectors)
            scored = self._scored(connection, relation) if score else None
        figures = None
        if scored is not None:
            more, figures = judged(self.reference, scored, self.model, self.detectors)
            tests += more
        wanted = self.reference.false_alarm if self.false_alarm is None else self.false_alarm
        return decide(tests, window.rows, wanted, figures)

    def held(self, connection: Any, relation: str, window: Window) -> Window:
        """The window of a relation, held to the contract in the package where that is asked for."""
        if "contract" not in self.detectors:
            return window
        broken = broken_rules(connection, relation, self.model, self.reference, window.rows)
        return replace(window, broken=broken)

    def _scored(self, connection: Any, relation: str) -> Scored:
        outputs, rng = self.reference.outputs.columns, np.random.default_rng(SEED)
        return scored_rows(connection, relation, self.model, outputs, rng)
