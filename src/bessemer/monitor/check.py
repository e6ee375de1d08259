"""All detectors over one window, and what is found when chance is taken into account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.monitor.finding import Finding, Test
from bessemer.monitor.plugins import DETECTORS, USUAL
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.arrays import tidy


@dataclass(frozen=True)
class Check:
    """What came out for one window.

    rows: of the window. false_alarm: the probability that anything is found if nothing has changed. tests: all that was
    looked at; findings: what is out of the ordinary, facts first, then the surest.
    """

    rows: int
    false_alarm: float
    tests: tuple[Test, ...]
    findings: tuple[Finding, ...]

    @property
    def alarm(self) -> bool:
        return bool(self.findings)

    def to_json(self) -> dict[str, Any]:
        columns: dict[str, dict[str, Any]] = {}
        for test in self.tests:
            found = {"statistic": test.statistic, "value": test.value, "p_value": test.p_value}
            columns.setdefault(test.column, {})[test.detector] = found
        value: dict[str, Any] = tidy(
            {
                "alarm": self.alarm,
                "rows": self.rows,
                "false_alarm": self.false_alarm,
                "findings": [finding.to_json() for finding in self.findings],
                "columns": columns,
            }
        )
        return value


def check(
    reference: Reference,
    window: Window,
    *,
    detectors: Sequence[str] = USUAL,
    false_alarm: float | None = None,
) -> Check:
    """Compare a window with the reference.

    Args:
        detectors: names of `DETECTORS`.
        false_alarm: the probability that a window without any change has a finding, over all columns and detectors
            together (Bonferroni); what the package says by default.
    """
    wanted = reference.false_alarm if false_alarm is None else false_alarm
    tests = [test for name in detectors for test in DETECTORS.load(name)().tests(reference, window)]
    by_chance = [test for test in tests if test.p_value is not None]
    each = wanted / max(1, len(by_chance))
    found = [_finding(test, each) for test in tests if test.p_value is None or test.p_value <= each]
    found.sort(key=lambda finding: (-1.0 if finding.p_value is None else finding.p_value, finding.column))
    return Check(window.rows, wanted, tuple(tests), tuple(found))


def _finding(test: Test, probability: float) -> Finding:
    threshold = test.threshold(probability) if test.threshold is not None else None
    return Finding(
        test.detector,
        test.column,
        test.kind,
        test.statistic,
        test.value,
        threshold,
        test.p_value,
        test.text,
    )
