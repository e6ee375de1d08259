"""Errors by DDM: the rate so far against its lowest (Gama et al. 2004), of river."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.monitor.watchers.error_stream import ErrorStream, RiverDetector


class Settings(Spec):
    """What the project file may say."""

    warm_start: int = Field(30, ge=1, description="It does not look before so many labels.")
    drift_threshold: float = Field(
        3.0, gt=0, description="By so many standard deviations the rate is above its lowest."
    )


class Ddm(ErrorStream):
    """The errors in the order in which labels came, by the drift detection method."""

    name: ClassVar[str] = "ddm"
    Settings: ClassVar[type[Spec]] = Settings

    def detector(self) -> RiverDetector:
        from river.drift.binary import DDM

        found: RiverDetector = DDM(**self._settings.model_dump())
        return found
