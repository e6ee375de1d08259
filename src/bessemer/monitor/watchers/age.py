"""How old the model and its data are, and whether what computes its predictions has changed since."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

from pydantic import Field

from bessemer.core.spec import Duration, Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.watching.watched import Said, Watched

_DAY = 86_400.0


class AgeSettings(Spec):
    """When a model is old, and which libraries must be those it was made with."""

    package: Duration | None = Field(
        365 * _DAY, description="How old the package may be; `null` lets it grow as old as it likes."
    )
    data: Duration | None = Field(
        None, description="How old the newest time among the training rows may be, where the model has one."
    )
    libraries: list[str] = Field(
        ["onnxruntime"], description="Whose versions must be those that the package was made with."
    )


class Age:
    """Facts: the age of the package and of its data, and libraries whose versions here are not those it was made with.

    What holds on is found in every window: how often it is told is a matter of alerts.
    """

    kind: ClassVar[Kind] = "model"
    again: ClassVar[bool] = False
    Settings: ClassVar[type[Spec]] = AgeSettings

    def __init__(self, settings: AgeSettings) -> None:
        self._settings = settings

    def watch(self, watched: Watched) -> Said:
        end = watched.window.end
        made = (
            dt.datetime.fromisoformat(watched.model.manifest.created).astimezone(dt.UTC).replace(tzinfo=None)
        )
        newest = _newest(watched)
        libraries = _libraries(watched.model.provenance.get("libraries") or {})
        figures = {
            "package_days": (end - made).total_seconds() / _DAY,
            "data_days": None if newest is None else (end - newest).total_seconds() / _DAY,
            "libraries": libraries,
        }
        return Said((*self._ages(figures), *self._changes(libraries)), figures)

    def _ages(self, figures: dict[str, Any]) -> Iterator[Test]:
        kinds = (
            ("package", self._settings.package, "the package is {:.0f} days old, {:.0f} are allowed"),
            ("data", self._settings.data, "the newest training row is {:.0f} days old, {:.0f} are allowed"),
        )
        for name, allowed, words in kinds:
            days = figures[f"{name}_days"]
            if allowed is not None and days is not None and days * _DAY > allowed:
                text = words.format(days, allowed / _DAY)
                yield Test("age", name, self.kind, "days", days, text, of="service")

    def _changes(self, libraries: dict[str, Any]) -> Iterator[Test]:
        for name in self._settings.libraries:
            then, here = (libraries.get(name) or {}).get("made_with"), (libraries.get(name) or {}).get("here")
            if then is not None and then != here:
                text = f"the package was made with {name} {then}; here is {here or 'none'}"
                yield Test("age", name, self.kind, "another version", 1.0, text, of="service")


def _newest(watched: Watched) -> dt.datetime | None:
    """The newest of all times among the training rows that was past when the package was made."""
    made = dt.datetime.fromisoformat(watched.model.manifest.created).astimezone(dt.UTC).replace(tzinfo=None)
    told = [
        dt.datetime.fromisoformat(facts["max"])
        for facts in watched.reference.facts["columns"].values()
        if facts["dtype"] == "timestamp" and facts.get("max") is not None
    ]
    return max((moment for moment in told if moment <= made), default=None)


def _libraries(made_with: dict[str, str]) -> dict[str, Any]:
    """By library the version the package was made with and the one that is installed here."""
    return {name: {"made_with": then, "here": _here(name)} for name, then in made_with.items()}


def _here(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
