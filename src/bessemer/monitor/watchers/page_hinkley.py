"""Errors by the test of Page and Hinkley: a sum of what is above the mean (Page 1954; Hinkley 1970), of river."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.monitor.watchers.error_stream import ErrorStream, RiverDetector


class Settings(Spec):
    """What the project file may say."""

    min_instances: int = Field(30, ge=1, description="It does not look before so many labels.")
    delta: float = Field(0.005, ge=0, lt=1, description="A rise of the error rate that does not count.")
    threshold: float = Field(50.0, gt=0, description="The sum at which it alarms.")
    alpha: float = Field(0.9999, gt=0, le=1, description="How much of the sum is kept at each label.")


class PageHinkley(ErrorStream):
    """The errors in the order in which labels came, by the test of Page and Hinkley, for a rise."""

    name: ClassVar[str] = "page_hinkley"
    Settings: ClassVar[type[Spec]] = Settings

    def detector(self) -> RiverDetector:
        from river.drift import PageHinkley as Detector

        found: RiverDetector = Detector(**self._settings.model_dump(), mode="up")
        return found
