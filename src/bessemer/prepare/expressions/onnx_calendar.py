"""The calendar as ONNX nodes on int64: parts of timestamps, the starts of periods, differences.

Days become dates by the algorithms of Howard Hinnant, "chrono-compatible low-level date algorithms" (2013). All
timestamps lie in the years 1 to 9999, so that days since 0000-03-01 are positive and a division that cuts off
towards zero is also the floor.
"""

from __future__ import annotations

from bessemer.core.signature import MISSING_TIMESTAMP
from bessemer.prepare.expressions.emitter import Emitter
from bessemer.prepare.expressions.moments import LENGTHS
from bessemer.prepare.expressions.tree import FIRST_MICROSECOND, LAST_MICROSECOND

#: Days from 0000-03-01 and from 0001-01-01 to 1970-01-01.
_FROM_MARCH_0 = 719_468
_FROM_YEAR_1 = 719_162


class Calendar:
    """Calendar arithmetic on values of an emitter's graph."""

    def __init__(self, e: Emitter) -> None:
        self.e = e

    # int64 arithmetic -------------------------------------------------------------------------------
    def _add(self, x: str, n: int) -> str:
        return self.e.op("Add", x, self.e.long(n))

    def _times(self, x: str, n: int) -> str:
        return self.e.op("Mul", x, self.e.long(n))

    def _quotient(self, x: str, n: int) -> str:
        """Cut off towards zero: the floor for what is not negative."""
        return self.e.op("Div", x, self.e.long(n))

    def _modulo(self, x: str, n: int) -> str:
        """Never negative."""
        return self.e.op("Mod", x, self.e.long(n))

    def _minus(self, x: str, y: str) -> str:
        return self.e.op("Sub", x, y)

    def _floor(self, x: str, n: int) -> str:
        """The multiple of n at or below x."""
        return self._minus(x, self._modulo(x, n))

    def _floor_quotient(self, x: str, n: int) -> str:
        return self._quotient(self._floor(x, n), n)

    # timestamps -------------------------------------------------------------------------------------
    def in_range(self, x: str) -> str:
        """The timestamp, missing outside the years 1 to 9999."""
        low, high = self.e.long(FIRST_MICROSECOND), self.e.long(LAST_MICROSECOND)
        fits = self.e.op("And", self.e.op("GreaterOrEqual", x, low), self.e.op("LessOrEqual", x, high))
        return self.e.where(fits, x, self.e.long(MISSING_TIMESTAMP))

    def _safe(self, x: str) -> str:
        """The timestamp, 1970 where it is missing, so that no arithmetic on it overflows."""
        return self.e.where(self.e.is_missing(x, "timestamp"), self.e.long(0), x)

    def shift(self, x: str, microseconds: int) -> str:
        moved = self.in_range(self._add(self._safe(x), microseconds))
        return self.e.where(self.e.is_missing(x, "timestamp"), x, moved)

    def _days(self, x: str) -> str:
        return self._floor_quotient(self._safe(x), LENGTHS["day"])

    def _date(self, days: str) -> tuple[str, str, str]:
        """Year, month 1..12 and day 1..31 of days since 1970."""
        e = self.e
        z = self._add(days, _FROM_MARCH_0)
        of_era = self._modulo(z, 146_097)
        leaps = e.op("Add", self._quotient(of_era, 1_460), self._quotient(of_era, 146_096))
        years = self._quotient(e.op("Add", self._minus(of_era, leaps), self._quotient(of_era, 36_524)), 365)
        to_year = e.op("Add", self._times(years, 365), self._quotient(years, 4))
        of_year = self._minus(of_era, self._minus(to_year, self._quotient(years, 100)))
        shifted = self._quotient(self._add(self._times(of_year, 5), 2), 153)  # months from March
        day = self._add(self._minus(of_year, self._quotient(self._add(self._times(shifted, 153), 2), 5)), 1)
        late = e.op("GreaterOrEqual", shifted, e.long(10))  # January and February end the shifted year
        month = self._add(shifted, 3)
        month = e.where(late, self._add(month, -12), month)
        year = e.op("Add", years, self._times(self._quotient(z, 146_097), 400))
        return e.where(late, self._add(year, 1), year), month, day

    def _new_year(self, year: str) -> str:
        """Days since 1970 of the first of January."""
        e, before = self.e, self._add(year, -1)
        leaps = self._minus(self._quotient(before, 4), self._quotient(before, 100))
        leaps = e.op("Add", leaps, self._quotient(before, 400))
        return self._add(e.op("Add", self._times(before, 365), leaps), -_FROM_YEAR_1)

    def _first_of(self, year: str, month: str) -> str:
        """Days since 1970 of the first of a month: month lengths from March repeat every five months."""
        e = self.e
        early = e.op("LessOrEqual", month, e.long(2))
        from_march = self._add(month, -3)
        from_march = e.where(early, self._add(from_march, 12), from_march)
        # 306 days before the next new year is the first of March
        march_year = e.where(early, self._add(year, -1), year)
        march = self._add(self._new_year(self._add(march_year, 1)), -306)
        return e.op("Add", march, self._quotient(self._add(self._times(from_march, 153), 2), 5))

    def _quarter(self, month: str) -> str:
        return self._quotient(self._add(month, 2), 3)

    # what the language has --------------------------------------------------------------------------
    def part(self, x: str, name: str) -> str:
        """A part of a timestamp as float64, NaN where it is missing; epoch in seconds with fractions."""
        e = self.e
        if name == "epoch":
            value = e.op("Div", e.cast(self._safe(x), "float64"), e.double(1e6))
        else:
            value = e.cast(self._part(x, name), "float64")
        return e.where(e.is_missing(x, "timestamp"), e.missing("number"), value)

    def _part(self, x: str, name: str) -> str:
        if name in {"hour", "minute", "second"}:
            outer = {"hour": "day", "minute": "hour", "second": "minute"}[name]
            return self._quotient(self._modulo(self._safe(x), LENGTHS[outer]), LENGTHS[name])
        days = self._days(x)
        if name in {"dow", "isodow"}:  # 1970-01-01 was a Thursday
            return (
                self._modulo(self._add(days, 4), 7)
                if name == "dow"
                else self._add(self._since_monday(days), 1)
            )
        if name == "week":  # ISO 8601: a week belongs to the year of its Thursday
            thursday = self._add(self._minus(days, self._since_monday(days)), 3)
            since = self._minus(thursday, self._new_year(self._date(thursday)[0]))
            return self._add(self._quotient(since, 7), 1)
        year, month, day = self._date(days)
        if name == "doy":
            return self._add(self._minus(days, self._new_year(year)), 1)
        return {"year": year, "month": month, "day": day, "quarter": self._quarter(month)}[name]

    def _since_monday(self, days: str) -> str:
        return self._modulo(self._add(days, 3), 7)

    def trunc(self, x: str, unit: str) -> str:
        """The start of the period that a timestamp lies in."""
        if unit in {"second", "minute", "hour", "day"}:
            start = self._floor(self._safe(x), LENGTHS[unit])
        else:
            start = self._times(self._start(self._days(x), unit), LENGTHS["day"])
        missing = self.e.is_missing(x, "timestamp")
        return self.e.where(missing, x, start)

    def _start(self, days: str, unit: str) -> str:
        if unit == "week":
            return self._minus(days, self._since_monday(days))
        year, month, day = self._date(days)
        if unit == "month":
            return self._add(self._minus(days, day), 1)
        if unit == "year":
            return self._new_year(year)
        return self._first_of(year, self._add(self._times(self._quarter(month), 3), -2))

    def difference(self, start: str, end: str, unit: str) -> str:
        """date_diff: how many borders of a unit lie between two timestamps."""
        if unit in LENGTHS:
            counts = [self._floor_quotient(self._safe(x), LENGTHS[unit]) for x in (start, end)]
        else:
            counts = [self._count(x, unit) for x in (start, end)]
        return self._between(start, end, self._minus(counts[1], counts[0]))

    def _count(self, x: str, unit: str) -> str:
        """Years, quarters or months since the year 0."""
        year, month, _ = self._date(self._days(x))
        if unit == "year":
            return year
        n, part = (12, month) if unit == "month" else (4, self._quarter(month))
        return self.e.op("Add", self._times(year, n), part)

    def elapsed(self, start: str, end: str, unit: str) -> str:
        """date_sub: how many whole units have passed, cut off towards zero."""
        passed = self._minus(self._safe(end), self._safe(start))
        return self._between(start, end, self._quotient(passed, LENGTHS[unit]))

    def _between(self, start: str, end: str, count: str) -> str:
        e = self.e
        missing = e.op("Or", e.is_missing(start, "timestamp"), e.is_missing(end, "timestamp"))
        return e.where(missing, e.missing("number"), e.cast(count, "float64"))
