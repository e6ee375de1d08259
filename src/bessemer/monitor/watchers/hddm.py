"""Errors by HDDM: means under Hoeffding's or McDiarmid's bound (Frías-Blanco et al. 2015), of river."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.monitor.watchers.error_stream import ErrorStream, RiverDetector


class Settings(Spec):
    """What the project file may say."""

    mean: Literal["average", "weighted"] = Field(
        "average",
        description="HDDM_A (`average`), for sudden changes, or HDDM_W (`weighted`), for gradual ones.",
    )
    drift_confidence: float = Field(
        0.001, gt=0, lt=1, description="Its significance; a smaller one alarms less often."
    )
    weight: float = Field(0.05, gt=0, lt=1, description="Of the last error in the weighted mean.")


class Hddm(ErrorStream):
    """The errors in the order in which labels came, by the Hoeffding drift detection method."""

    name: ClassVar[str] = "hddm"
    Settings: ClassVar[type[Spec]] = Settings

    def detector(self) -> RiverDetector:
        from river.drift.binary import HDDMA, HDDMW

        surely = self._settings.drift_confidence
        both: dict[str, Any] = {"drift_confidence": surely, "warning_confidence": min(0.999, 5 * surely)}
        average = self._settings.mean == "average"
        found: RiverDetector = HDDMA(**both) if average else HDDMW(**both, lambda_val=self._settings.weight)
        return found
