"""What predictions cost."""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind
from bessemer.monitor.watching.served import served
from bessemer.monitor.watching.watched import Said, Watched


class Cost:
    """CPU seconds at their price: figures, and no tests.

    It counts the CPU that is used, not the machines that are paid for while they wait: give the price of an hour that
    is used.
    """

    kind: ClassVar[Kind] = "operations"
    again: ClassVar[bool] = False
    empty: ClassVar[bool] = True

    class Settings(Spec):
        """What CPU costs."""

        cpu_hour: float = Field(gt=0, allow_inf_nan=False, description="The price of an hour of one CPU.")
        currency: str = Field("USD", min_length=1, max_length=8, description="What it is in.")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def watch(self, watched: Watched) -> Said:
        found = served(watched)
        if found is None or math.isnan(found.cpu):
            return Said()
        rows, price = found.count("rows"), found.cpu / 3600 * self._settings.cpu_hour
        seconds = (watched.window.end - watched.window.start).total_seconds()
        return Said(
            figures={
                "currency": self._settings.currency,
                "cost": price,
                "rows": int(rows),
                "per_1000_rows": 1000 * price / rows if rows else None,
                "per_30_days": price / seconds * 30 * 86_400,
            }
        )
