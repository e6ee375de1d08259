"""One question about some rows of a package: which explainer, with which settings, and the answer."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.explain.from_package import row_contributions, sample_of
from bessemer.explain.local import predicted, said
from bessemer.explain.plugins import EXPLAINERS
from bessemer.explain.spec import parse_explainers
from bessemer.explain.values import plain, tidy

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.explain.explanation import Explanation
    from bessemer.explain.sample import Sample
    from bessemer.explain.subject import Subject
    from bessemer.package.model import Model

#: What is shown without an explainer's name: the contributions to each row's score, by the package's own method.
OWN = "row_contributions"


@dataclass(frozen=True)
class Answer:
    """What was found about some rows.

    name: of the explainer. rows: {"row", "values", "prediction", "probability"?, "actual"?} of each row that was asked
    about. notes: what the explainer left out.
    """

    model: str
    version: str
    name: str
    explanation: Explanation
    rows: list[dict[str, Any]]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "version": self.version,
            "explainer": self.name,
            "rows": tidy(self.rows),
            "notes": list(self.notes),
            **tidy(self.explanation.to_json()),
        }


def answer(
    model: Model,
    rows: pa.Table,
    name: str = "",
    *,
    settings: Mapping[str, Any] | None = None,
    asked: Sequence[int] | None = None,
    background: pa.Table | None = None,
    seed: int = 0,
) -> Answer:
    """Explain rows with a package alone.

    Args:
        rows: raw rows; a column of the target's name holds what is actual.
        name: an explainer; by default the contributions to each row's score.
        settings: of the explainer, as in the project file. asked: positions of the rows to explain; all by default.
        background: rows to take values from, and to be influenced by; by default drawn from the package's profile.
        seed: of everything that is drawn at random.

    Raises:
        UsageError: no such explainer, setting or row, or the explainer cannot explain this model or these rows.
        DataError: a column is missing or holds what cannot be converted. PackageError: there is no native model.

    >>> import pyarrow as pa
    >>> from bessemer.testing.models import ROWS, tiny_model
    >>> found = answer(tiny_model("binary"), pa.Table.from_pylist([dict(ROWS[0])]))
    >>> {k: v for k, v in found.explanation.content["rows"][0]["contributions"].items() if abs(v) > 0.6}
    {'monthly charges': 1.1015625, 'contract': 2.0}
    """
    if name not in ("", OWN) and name not in EXPLAINERS:
        raise UsageError(f"no explainer is called '{name}'", fix=did_you_mean(name, [*EXPLAINERS, OWN]))
    checked = _checked(name, settings or {})
    subject, sample = sample_of(model, rows, asked=asked, background=background)
    notes: list[str] = []
    explanation = (
        row_contributions(subject, sample)
        if name in ("", OWN)
        else _explained(name, checked, subject, sample, seed, notes)
    )
    shown = _rows(subject, sample)
    return Answer(model.name, model.version, name or OWN, explanation, shown, tuple(notes))


def _checked(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    if name in ("", OWN):
        if settings:
            raise UsageError(f"{OWN} has no settings", fix="name an explainer that has them: --with NAME")
        return {}
    try:
        return parse_explainers({name: dict(settings)})[name]
    except ValueError as error:
        raise UsageError(str(error)) from None


def _explained(
    name: str, settings: dict[str, Any], subject: Subject, sample: Sample, seed: int, notes: list[str]
) -> Explanation:
    kind = EXPLAINERS.load(name)
    if getattr(kind, "NEEDS_ACTUAL", False) and np.isnan(sample.actual).any():
        target = subject.signature.target
        raise UsageError(f"{name} needs the actual value of every row", fix=f"add the column '{target}'")
    explainer = kind(kind.Settings.model_validate(settings))
    if why := explainer.refuses(subject):
        raise UsageError(f"{name} cannot explain this model", why=why)

    def told(event: str, data: Mapping[str, Any]) -> None:
        if event in ("note", "warning"):
            notes.append(str(data["text"]))

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        ctx = Context(Store(place / "store"), "explain", {}, seed, place, place / "work", emit=told)
        return explainer.explain(subject, sample, ctx, lambda: None)


def _rows(subject: Subject, sample: Sample) -> list[dict[str, Any]]:
    import pyarrow as pa

    asked = list(sample.asked or ())
    table = sample.table.take(pa.array(asked, type=pa.int64()))
    found, probability = predicted(subject, table)
    shown = []
    for i, (row, values) in enumerate(zip(asked, table.to_pylist(), strict=True)):
        one = {"row": row, "values": {name: plain(value) for name, value in values.items()}}
        one["prediction"] = said(subject, float(found[i]))
        if subject.classes:
            one["probability"] = float(probability[i][int(found[i])])
        if not np.isnan(sample.actual[row]):
            one["actual"] = said(subject, float(sample.actual[row]))
        shown.append(one)
    return shown
