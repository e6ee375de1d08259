"""Outputs that are no numbers."""

from __future__ import annotations

from typing import ClassVar

from bessemer.core.spec import Spec
from bessemer.core.sql import quote
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.tables import opened
from bessemer.monitor.watching.watched import Said, Watched


class NanSettings(Spec):
    """Nothing may be said."""


class Nan:
    """Every output of every row must be finite: NaN and infinity are facts, as is a row without a prediction."""

    kind: ClassVar[Kind] = "model"
    again: ClassVar[bool] = False
    Settings: ClassVar[type[Spec]] = NanSettings

    def __init__(self, settings: NanSettings) -> None:
        pass

    def watch(self, watched: Watched) -> Said:
        with opened(watched.window.path) as (connection, relation):
            kinds = {
                row[0]: str(row[1])
                for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
            }
            wrong = {name: _wrong(name, kind) for name, kind in kinds.items() if name.startswith("out.")}
            wrong = {name: condition for name, condition in wrong.items() if condition}
            counts = ", ".join(f"count_if({condition})" for condition in wrong.values())
            found = connection.execute(f"SELECT {counts} FROM {relation}").fetchone()
        bad = {name.removeprefix("out."): n for name, n in zip(wrong, found, strict=True) if n}
        tests = tuple(
            Test(
                "nan", name, self.kind, "rows", n, f"{n:,} rows have a {name} that is not finite", of="output"
            )
            for name, n in bad.items()
        )
        return Said(tests, {"rows": bad})


def _wrong(name: str, kind: str) -> str:
    """SQL that is true of a value that cannot be; '' where none can be wrong. A log may lack probabilities."""
    value = quote(name)
    number = f"NOT isfinite({value})" if kind in ("FLOAT", "DOUBLE") else ""
    missing = f"{value} IS NULL" if name == "out.prediction" else ""
    return " OR ".join(part for part in (missing, number) if part)
