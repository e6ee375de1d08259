"""Errors by ADWIN: a window that shrinks where its halves differ (Bifet and Gavaldà 2007), of river."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.monitor.watchers.error_stream import ErrorStream, RiverDetector


class Settings(Spec):
    """What the project file may say."""

    delta: float = Field(0.002, gt=0, lt=1, description="Its significance; a smaller one alarms less often.")
    clock: int = Field(32, ge=1, description="It looks after every so many labels.")
    grace_period: int = Field(10, ge=1, description="It does not look before so many labels.")


class Adwin(ErrorStream):
    """The errors in the order in which labels came, by adaptive windowing."""

    name: ClassVar[str] = "adwin"
    Settings: ClassVar[type[Spec]] = Settings

    def detector(self) -> RiverDetector:
        from river.drift import ADWIN

        found: RiverDetector = ADWIN(**self._settings.model_dump())
        return found
