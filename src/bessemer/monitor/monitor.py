"""The Python door of monitoring: a package that watches what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import UsageError
from bessemer.monitor.check import Check, check
from bessemer.monitor.plugins import DETECTORS, USUAL
from bessemer.monitor.reference import reference_of
from bessemer.monitor.scan import scan
from bessemer.monitor.tables import opened

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
        UsageError: there is no such detector, or the probability is none.
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
        if false_alarm is not None and not 0 < false_alarm < 1:
            raise UsageError(f"false_alarm is {false_alarm}", fix="give a probability between 0 and 1")
        self.false_alarm = false_alarm

    def check(self, data: Any) -> Check:
        """Compare rows with the reference, in one pass and in memory that does not grow with them.

        Args:
            data: a path, folder, glob or URL of Parquet, CSV or JSON lines; or a table as `Model.predict` takes it.

        Raises:
            DataError: it cannot be read, or has no rows.
        """
        with opened(data) as (connection, relation):
            window = scan(connection, relation, self.reference.columns)
        if not window.rows:
            from bessemer.core.errors import DataError

            raise DataError("the window has no rows", fix="give rows to compare")
        return check(self.reference, window, detectors=self.detectors, false_alarm=self.false_alarm)
