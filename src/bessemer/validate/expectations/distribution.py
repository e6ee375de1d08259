"""Columns distributed as in the snapshot that was accepted last."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from bessemer.core.errors import ContractError, did_you_mean
from bessemer.stats.distance import jensen_shannon, kolmogorov_smirnov, psi, psi_bias, psi_threshold
from bessemer.stats.two_sample import kolmogorov_critical
from bessemer.validate.protocol import Breach, Subject, WholeExpectation, WholeSettings
from bessemer.validate.sketch import count

#: Below these a difference is not worth a word, however sure it is (of psi the usual "moderate" one, Siddiqi 2006).
_LEAST = {"psi": 0.1, "ks": 0.1, "js": 0.1}


class DistributionSettings(WholeSettings):
    columns: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Which columns; by default all but times and those that the contract says are unique.",
    )
    by: Literal["psi", "ks", "js"] = Field(
        default="psi",
        description="The distance: psi (population stability index), ks (Kolmogorov-Smirnov), js (Jensen-Shannon).",
    )
    above: float | None = Field(
        default=None, ge=0, description="The distance from which on it matters; 0.1 by default."
    )
    false_alarm: float = Field(
        default=0.01,
        gt=0,
        lt=0.5,
        description="How likely one of the columns is told of where nothing has changed: small snapshots differ by "
        "chance.",
    )
    severity: Literal["stop", "warn"] = Field(
        default="warn", description="warn: it is told; stop: the run stops."
    )


class Distribution(WholeExpectation):
    """`distribution`, or `distribution: [age, city]`. A column breaks it whose distance is above what matters and above
    what chance gives with so many rows."""

    Settings = DistributionSettings
    short = "columns"

    def title(self) -> str:
        named = f": {', '.join(self.settings.columns)}" if self.settings.columns else ""
        return f"distribution{named}"

    def columns(self) -> Sequence[str]:
        return tuple(self.settings.columns)

    def compares(self) -> bool:
        return True

    def breaches(self, subject: Subject) -> Iterable[Breach]:
        if subject.accepted is None or not subject.rows or not subject.accepted.rows:
            return
        names = [name for name in self._names(subject) if name in subject.accepted.columns]
        for name in names:
            then = subject.accepted.columns[name]
            if then["dtype"] != subject.columns[name]:
                continue  # the contract judges types
            counts, missing = count(subject.connection, subject.relation, name, then["dtype"], then)
            if breach := self._compared(name, then, counts, missing, len(names), subject):
                yield breach

    def _names(self, subject: Subject) -> Sequence[str]:
        assert subject.accepted is not None
        if not self.settings.columns:
            times = {name for name, kind in subject.columns.items() if kind == "TIMESTAMP"}
            return [n for n in subject.columns if n not in times and n not in subject.keys]
        for name in self.settings.columns:
            if name not in subject.accepted.columns:
                raise ContractError(
                    f"the accepted snapshot has no column '{name}', which '{self.name}' compares",
                    why=did_you_mean(name, subject.accepted.columns),
                    fix="bessemer validate --accept --yes",
                )
        return tuple(self.settings.columns)

    def _compared(
        self, name: str, then: Any, counts: np.ndarray[Any, Any], missing: int, columns: int, subject: Subject
    ) -> Breach | None:
        reference = np.asarray([*then["counts"], then["missing"]], dtype=np.float64)
        window = np.asarray([*counts, missing], dtype=np.float64)
        kept = (reference > 0) | (window > 0)
        reference, window = reference[kept], window[kept]
        if len(reference) < 2:
            return None
        chance, found = self._distance(reference, window, self.settings.false_alarm / columns, subject, name)
        limit = _LEAST[self.settings.by] if self.settings.above is None else self.settings.above
        if found <= max(limit, chance):
            return None
        return Breach(
            name,
            f"{self.settings.by} {found:.3g} from the accepted snapshot; {max(limit, chance):.3g} may be",
        )

    def _distance(
        self, reference: Any, window: Any, false_alarm: float, subject: Subject, name: str
    ) -> tuple[float, float]:
        """What chance gives at most, and what was found; of psi without what chance gives on average."""
        n, m = float(reference.sum()), float(window.sum())
        if self.settings.by == "ks":
            return kolmogorov_critical(false_alarm, n, m), float(kolmogorov_smirnov(reference, window))
        rng = subject.ctx.rng("distribution", name)
        limit = psi_threshold(reference, int(m), false_alarm, rng)
        if self.settings.by == "js":  # near equality the divergence is an eighth of psi (Lin 1991), in bits
            return math.sqrt(limit / (8 * math.log(2))), float(jensen_shannon(reference, window))
        bias = psi_bias(len(reference), n, m)
        return limit - bias, float(psi(reference, window)) - bias
