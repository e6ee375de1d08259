"""Why errors have become more: because other rows come, or because the same rows now have other labels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.watching.importance import ROWS, importances
from bessemer.monitor.watching.labelled import NO_ERRORS, Labelled, labelled, moment
from bessemer.monitor.watching.regions import Grouping, groupings, is_plain, tallied, worst
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.stats.arrays import Floats
from bessemer.stats.error_bins import ErrorBins, Split, relation_p, split
from bessemer.stats.two_sample import chi_square, chi_square_p

#: The figures say that something has changed where it would be by chance in so few windows.
_SURE = 0.01
_WIDTH = 1.96


class Settings(Spec):
    """What the project file may say."""

    labels: int = Field(
        200, ge=30, description="It speaks when so many labels have come, and then begins anew."
    )


class Relation:
    """The labelled rows against test rows of which the model was as sure, of each kind apart."""

    kind: ClassVar[Kind] = "concept"
    again: ClassVar[bool] = False
    empty: ClassVar[bool] = True  # labels come also while nothing is asked
    Settings: ClassVar[type[Spec]] = Settings

    def __init__(self, settings: Any) -> None:
        self._least = settings.labels

    def watch(self, watched: Watched) -> Said:
        known = watched.reference.errors
        if known is None:
            return Said(figures={"why": NO_ERRORS}, memory=watched.memory)
        groups = groupings(watched.reference, watched.window.inputs)
        tally = Tally(known, groups, watched.memory)
        for some in labelled(watched, known, watched.window.inputs):
            tally.add(some)
        if tally.rows < self._least:
            waiting = {"labels": int(tally.rows), "wanted": self._least}
            return Said(figures={"waiting": waiting}, memory=tally.memory())
        change = changed(known, tally)
        if change["verdict"] in ("relation", "both"):
            weights = importances(watched.model, tally.sample(), list(groups))
            change["regions"] = worst(groups, tally.sums, weights, float(known.counts.sum()))
        return Said((_test(known, tally, change["text"]),), {"change": change})


class Tally:
    """Rows and wrong rows by bin and by group, of windows until there are enough labels."""

    def __init__(self, known: ErrorBins, groups: Mapping[str, Grouping], memory: Mapping[str, Any]) -> None:
        self._known, self._groups = known, groups
        self._rate = known.errors / np.maximum(known.counts, 1)
        bins = memory.get("bins") or [[0.0] * len(known.counts)] * 2
        self.counts, self.errors = (np.array(part, dtype=np.float64) for part in bins)
        # a window without rows does not know which inputs are logged: what is known of them stays
        empty = {name: np.zeros((len(group.names), 3)) for name, group in groups.items()}
        earlier = {name: np.array(sums, dtype=np.float64) for name, sums in memory.get("groups", {}).items()}
        self.sums: dict[str, Floats] = {**empty, **earlier}
        self.since: int | None = memory.get("since")
        self.until: int | None = memory.get("until")
        self._kept: list[Any] = []

    @property
    def rows(self) -> float:
        return float(self.counts.sum())

    def add(self, some: Labelled) -> None:
        there = np.isfinite(some.order)
        place, wrong = self._known.places(some.order[there]), some.wrong[there].astype(np.float64)
        if not len(place):
            return
        self.counts += np.bincount(place, minlength=len(self.counts))
        self.errors += np.bincount(place, wrong, minlength=len(self.errors))
        self.since = int(some.times[0]) if self.since is None else self.since
        self.until = int(some.times[-1])
        batch = some.batch.take(np.flatnonzero(there))
        plain = [name for name, group in self._groups.items() if is_plain(group, batch.column(f"in.{name}"))]
        for name in plain:
            self.sums[name] += tallied(
                self._groups[name], batch.column(f"in.{name}"), wrong, self._rate[place]
            )
        if len(plain) == len(self._groups) and sum(part.num_rows for part in self._kept) < ROWS:
            self._kept.append(batch)

    def memory(self) -> dict[str, Any]:
        return {
            "bins": [self.counts.tolist(), self.errors.tolist()],
            "groups": {name: sums.tolist() for name, sums in self.sums.items()},
            "since": self.since,
            "until": self.until,
        }

    def sample(self) -> Any:
        """Some of this window's rows, as inputs of the model."""
        import pyarrow as pa

        if not self._kept:
            return pa.table({})
        table = pa.Table.from_batches(self._kept)
        inputs = [name for name in table.column_names if name.startswith("in.")]
        return table.select(inputs).rename_columns([name.removeprefix("in.") for name in inputs])


def changed(known: ErrorBins, tally: Tally) -> dict[str, Any]:
    """What has changed: `verdict` (nothing, inputs, relation or both), a sentence, and the figures behind it."""
    found = split(known, tally.counts, tally.errors)
    more, fewer = relation_p(known, tally.counts, tally.errors)
    inputs = chi_square_p(*chi_square(known.counts, tally.counts))
    relation = min(1.0, 2 * min(more, fewer))
    verdict = {(False, False): "nothing", (True, False): "inputs", (False, True): "relation"}.get(
        (inputs <= _SURE, relation <= _SURE), "both"
    )
    assert tally.since is not None
    assert tally.until is not None
    return {
        "verdict": verdict,
        "text": _text(verdict, found),
        "labels": int(tally.rows),
        "since": moment(tally.since),
        "until": moment(tally.until),
        "before": found.before,
        "now": found.now,
        "harder": _interval(found.harder, found.spread_harder),
        "relation": _interval(found.relation, found.spread_relation),
        "alike": found.alike,
        "p_inputs": inputs,
        "p_relation": relation,
    }


def _interval(value: float, spread: float) -> dict[str, float]:
    return {"value": value, "low": value - _WIDTH * spread, "high": value + _WIDTH * spread}


def _text(verdict: str, found: Split) -> str:
    rates = f"errors went from {found.before:.1%} to {found.now:.1%}"
    rows = f"{found.harder * 100:+.1f} points because rows have become {'harder' if found.harder > 0 else 'easier'}"
    labels = f"{found.relation * 100:+.1f} points because such rows now have other labels"
    if verdict == "nothing":
        return f"neither inputs nor relation have changed for certain: {rates}"
    if verdict == "inputs":
        return f"inputs changed, relation held: {rates}, {rows}"
    if verdict == "relation":
        return f"relation changed: {rates}, {labels}"
    return f"inputs and relation changed: {rates}, {rows}, {labels}"


def _test(known: ErrorBins, tally: Tally, text: str) -> Test:
    found = split(known, tally.counts, tally.errors)
    more, _ = relation_p(known, tally.counts, tally.errors)
    statistic = "errors beyond those of such rows before"
    critical = partial(_critical, spread=found.spread_relation)
    return Test("relation", "error", "concept", statistic, found.relation, text, more, critical, "output")


def _critical(probability: float, *, spread: float) -> float:
    """About what is exceeded by chance as rarely: the test itself is exact."""
    return -NormalDist().inv_cdf(max(probability, 1e-300)) * spread
