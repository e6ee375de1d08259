"""All detectors over one window, and what is found when chance is taken into account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from bessemer.core.blas import one_thread
from bessemer.monitor.finding import Finding, Of, Test
from bessemer.monitor.performance import Performance
from bessemer.monitor.plugins import DETECTORS
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Window
from bessemer.stats.arrays import tidy


@dataclass(frozen=True)
class Check:
    """What came out for one window.

    rows: of the window. false_alarm: the probability that anything is found if nothing has changed. tests: all that was
    looked at; findings: what is out of the ordinary, facts first, then the surest. performance: where rows were scored.
    figures: what each watcher has to show, by its name.
    """

    rows: int
    false_alarm: float
    tests: tuple[Test, ...]
    findings: tuple[Finding, ...]
    performance: Performance | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def alarm(self) -> bool:
        return bool(self.findings)

    def to_json(self) -> dict[str, Any]:
        tested: dict[str, dict[str, Any]] = {of: {} for of in get_args(Of)}
        for test in self.tests:
            found = {"statistic": test.statistic, "value": test.value, "p_value": test.p_value}
            tested[test.of].setdefault(test.column, {})[test.detector] = found
        value: dict[str, Any] = tidy(
            {
                "alarm": self.alarm,
                "rows": self.rows,
                "false_alarm": self.false_alarm,
                "findings": [finding.to_json() for finding in self.findings],
                "columns": tested["input"],
                "outputs": tested["output"],
                "clients": tested["client"],
                "service": tested["service"],
                "performance": None if self.performance is None else self.performance.to_json(),
                "figures": dict(self.figures),
            }
        )
        return value


@one_thread()
def compared(reference: Reference, window: Window, detectors: Sequence[str], of: Of = "input") -> list[Test]:
    """What each detector says of a window of inputs, or of outputs."""
    tests = (test for name in detectors for test in DETECTORS.load(name)().tests(reference, window))
    return [replace(test, of=of) for test in tests]


def decide(
    tests: Sequence[Test],
    rows: int,
    false_alarm: float,
    performance: Performance | None = None,
    figures: Mapping[str, Any] | None = None,
) -> Check:
    """What is found, when every test is considered.

    Args:
        false_alarm: the probability that a window without any change has a finding, over all tests together
            (Bonferroni).
    """
    by_chance = [test for test in tests if test.p_value is not None]
    each = false_alarm / max(1, len(by_chance))
    found = [_finding(test, each) for test in tests if test.p_value is None or test.p_value <= each]
    found.sort(key=lambda finding: (-1.0 if finding.p_value is None else finding.p_value, finding.column))
    return Check(rows, false_alarm, tuple(tests), tuple(found), performance, figures or {})


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
        test.of,
    )
