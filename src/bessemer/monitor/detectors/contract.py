"""Rows that break the data contract that the training data was held to."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import ClassVar

from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.reference import Reference
from bessemer.monitor.window import Broken, Window
from bessemer.stats.shift import exceeds, exceeds_critical


class Contract:
    """One test a column, of the rule that is broken most surely: whether more rows break it than may.

    As many may as a run of the project sets aside; where a share of missing values is in the contract, that many.
    """

    kind: ClassVar[Kind] = "quality"

    def tests(self, reference: Reference, window: Window) -> Iterator[Test]:
        rules = sorted(window.broken, key=lambda rule: rule.column)
        for column, own in groupby(rules, key=lambda rule: rule.column):
            yield self._worst(column, list(own))

    def _worst(self, column: str, rules: list[Broken]) -> Test:
        found = [exceeds(rule.rows, rule.of, rule.allowed) for rule in rules]
        p, worst = min(zip(found, rules, strict=True), key=lambda pair: (pair[0], -pair[1].rows))
        told = f"{worst.rows:,} of {worst.of:,} rows break `{worst.rule}` of the contract, {worst.allowed:.1%} may"
        return Test(
            *("contract", column, self.kind, f"share that breaks {worst.rule}", worst.rows / worst.of, told),
            min(1.0, p * len(rules)),
            partial(_critical, worst.of, worst.allowed, len(rules)),
        )


def _critical(rows: int, allowed: float, rules: int, probability: float) -> float:
    return exceeds_critical(rows, allowed, probability / rules) / rows
