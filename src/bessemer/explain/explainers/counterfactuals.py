"""Counterfactuals: the least that would have to be different for the model to say something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.errors import did_you_mean
from bessemer.core.spec import Spec
from bessemer.explain.aims import Aim, aim_of, wrong_aim
from bessemer.explain.counterfactual_search import Allowed, Search
from bessemer.explain.distance import Gower
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.local import explained_rows, predicted, said
from bessemer.explain.perturb import pool
from bessemer.explain.values import plain

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.perturb import Places, Pool
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

#: How many background rows values are taken from.
BACKGROUND = 2000


class Counterfactuals:
    """Rows like the explained one that the graph predicts otherwise: near, with few changes, unlike each other.

    Values are those that background rows have: integers stay whole, categories known, numbers within their range, and a
    value never becomes missing. Each one is scored once more by the graph that ships before it is given. The distance
    is Gower's: 0 for the same row, 1 where every column is as different as can be.

    Source: Wachter, Mittelstadt and Russell, "Counterfactual explanations without opening the black box", 2017;
    Mothilal, Sharma and Tan, "Explaining machine learning classifiers through diverse counterfactual explanations",
    FAT* 2020 (DiCE); Brughmans, Leyman and Martens, "NICE", 2023.
    """

    kind: ClassVar[Kind] = "counterfactuals"

    class Settings(Spec):
        """What may change, and what is wanted."""

        rows: int = Field(8, ge=1, le=1000, description="How many rows are explained.")
        count: int = Field(3, ge=1, le=50, description="Counterfactuals of a row, at most.")
        changes: int = Field(5, ge=1, le=100, description="The most columns that may differ.")
        wanted: str | None = Field(
            None,
            description="A class, or in regression '> 100', '<= 5', '+10%', '-20'; by default the next best class, "
            "or the other side of the median prediction.",
        )
        immutable: list[str] = Field(default_factory=list, description="Columns that may not change.")
        increase: list[str] = Field(default_factory=list, description="Columns that may only become more.")
        decrease: list[str] = Field(default_factory=list, description="Columns that may only become less.")

        @property
        def named(self) -> list[str]:
            return [*self.immutable, *self.increase, *self.decrease]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        """A column, class or bound that is not one of this model's."""
        return unordered(self.settings, subject) or wrong_aim(self.settings.wanted, subject)

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        positions = explained_rows(subject, sample, self.settings.rows)
        cells = pool(subject, sample, positions, BACKGROUND, ctx.rng("counterfactuals", "background"))
        allowed = self._allowed()
        hunt = _Hunt(subject, cells, allowed, self.settings)
        rows = []
        for at, row in enumerate(positions):
            prediction = said(subject, float(hunt.own[at]))
            rows.append({"row": row, "prediction": prediction, **hunt.answer(at, sample)})
            advance()
        return Explanation(
            self.kind,
            Baseline(f"the row as it is; new values are those of {cells.text}"),
            self._error(rows),
            {"rows": rows},
        )

    def _allowed(self) -> Allowed:
        fixed = {*self.settings.immutable, *(set(self.settings.increase) & set(self.settings.decrease))}
        directions = [(name, 1) for name in self.settings.increase]
        directions += [(name, -1) for name in self.settings.decrease]
        return Allowed(frozenset(fixed), tuple(directions))

    def _error(self, rows: list[dict[str, Any]]) -> Error:
        without = sum(not row["found"] for row in rows)
        return Error(
            "rows without an answer",
            without / len(rows) if rows else 0.0,
            f"{without} of {len(rows)} rows have no counterfactual here, which does not prove that there is none; "
            "each that is given was predicted as wanted by the graph that ships",
        )


def unordered(settings: Counterfactuals.Settings, subject: Subject) -> str:
    """What is wrong with the columns that settings name, in a sentence; '' where nothing is."""
    kinds = {field.name: field.dtype for field in subject.signature.inputs}
    for name in settings.named:
        if name not in kinds:
            return f"it has no column '{name}' ({did_you_mean(name, kinds)})"
    for name in (*settings.increase, *settings.decrease):
        if kinds[name] in ("string", "boolean"):
            return f"column '{name}' has no order to increase or decrease along: name it under `immutable`"
    return ""


class _Hunt:
    """What the search of every row shares: the values, the distance and what the background is predicted as."""

    def __init__(
        self, subject: Subject, cells: Pool, allowed: Allowed, settings: Counterfactuals.Settings
    ) -> None:
        self.subject, self.cells, self.allowed, self.settings = subject, cells, allowed, settings
        self.values = np.column_stack([column.values for column in cells.columns])
        self.gower = Gower.of(cells.columns)
        everything, _ = predicted(subject, cells.table)
        self.own, self.found = everything[: cells.first], everything[cells.first :]
        self.middle = float(np.median(self.found))

    def answer(self, at: int, sample: Sample) -> dict[str, Any]:
        """`wanted`, `found`, and `why` where nothing was found."""
        score = sample.score[self.cells.rows[at]]
        aim = aim_of(self.settings.wanted, self.subject, float(self.own[at]), score, self.middle)
        if aim is None:
            wanted = str(self.settings.wanted)
            return {"wanted": wanted, "found": [], "why": f"it is predicted as wanted already: {wanted}"}
        search = Search(
            self.cells,
            at,
            self.values,
            self.gower,
            self.allowed.of(self.cells, at),
            lambda places: aim.gain(self.subject, self.cells.mixed(places)),
            self.settings.changes,
        )
        donors = self.cells.first + np.flatnonzero(aim.reached(self.subject, self.found))
        places, best = search.run(donors, self.settings.count)
        found = self._checked(search, places, aim)
        return {
            "wanted": aim.text,
            "found": found,
            **({} if found else {"why": self._why(best, len(donors))}),
        }

    def _checked(self, search: Search, places: Places, aim: Aim) -> list[dict[str, Any]]:
        """What the graph predicts as wanted, as the explanation has it, the nearest first."""
        table = self.cells.mixed(places)
        outcome, probability = predicted(self.subject, table)
        changed, apart = search.changed(places), search.apart(places).mean(axis=1)
        own, rows = self.cells.table.slice(search.at, 1).to_pylist()[0], table.to_pylist()
        found = []
        for i in np.argsort(apart, kind="stable"):
            if aim.reached(self.subject, outcome)[i]:
                names = [c.name for c, other in zip(self.cells.columns, changed[i], strict=True) if other]
                one = {
                    "changes": {name: [plain(own[name]), plain(rows[i][name])] for name in names},
                    "prediction": said(self.subject, float(outcome[i])),
                    "distance": float(apart[i]),
                }
                found.append(one | self._probability(probability[i], aim))
        return found

    def _probability(self, probability: Floats, aim: Aim) -> dict[str, float]:
        return {"probability": float(probability[aim.output])} if len(probability) else {}

    def _why(self, best: float, donors: int) -> str:
        held = len(self.allowed.fixed) + len(self.allowed.directions)
        words = [
            f"no row with at most {self.settings.changes} changed columns was found that is predicted so"
        ]
        if best > 0:
            words.append("more changes would do it: raise `changes`")
        elif np.isfinite(best):
            words.append(f"the best one stays {-best:.3g} of the score short")
        if not donors:
            words.append(f"none of {self.cells.text} is")
        elif held:
            words.append(f"{donors} of {self.cells.text} are, but {held} columns may not change freely")
        return "; ".join(words)
