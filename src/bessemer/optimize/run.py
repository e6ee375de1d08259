"""Optimising a package: every version is made, timed and judged; the best one becomes its child."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.errors import DataError, MissingExtra, PackageError, UsageError
from bessemer.optimize.child import write_child
from bessemer.optimize.choose import Tried, fastest, pareto
from bessemer.optimize.judge import Said, check_metric, floor, loss_of
from bessemer.optimize.measure import BATCHES, cost_of, settings_of
from bessemer.optimize.parity import parity_of
from bessemer.optimize.plugins import WAYS
from bessemer.optimize.rows import Rows
from bessemer.optimize.variant import Parent, UnsuitedError, Variant
from bessemer.package.model import Model
from bessemer.package.session import GraphSession
from bessemer.stats.metrics.outcome import class_indices
from bessemer.stats.metrics.table import lookup

Tell = Callable[[str], None]

#: The share of rows that may be of another class where it is not said.
CHANGED = 0.05


@dataclass(frozen=True)
class Asked:
    """What is wanted.

    ways: by name, with their settings; all of them where there are none. most: the loss that is allowed, a share.
    changed: the share of rows that may be answered otherwise, besides; None for the usual one. batch: the size of
    requests that counts. metric: '' for the task's usual one. confidence: that the version which is taken keeps to
    what is allowed.
    """

    ways: Mapping[str, Mapping[str, Any]]
    most: float = 0.01
    batch: int = 1
    metric: str = ""
    confidence: float = 0.95
    seed: int = 0
    changed: float | None = None


@dataclass(frozen=True)
class Limits:
    """What a version is held to.

    most: of the loss. changed: of the share of rows that are answered otherwise. confidence: that the version which is
    taken keeps to both. versions: how many were judged. each: the confidence of every upper end, so high that all of
    them hold together with `confidence` (Bonferroni): the best of many is chosen by the rows that it is judged on.
    floor: what these rows cannot exclude, even of a version that loses nothing on them.
    """

    most: float
    changed: float
    confidence: float
    versions: int
    each: float
    floor: float

    def __str__(self) -> str:
        sure = f"{100 * self.confidence:.4g}% confidence"
        return f"The upper ends hold together with {sure}; versions tried: {self.versions}."


@dataclass(frozen=True)
class Found:
    """tried: everything, the parent in its usual setting first. front: the Pareto set. taken: the chosen one.
    refused: by way or version, why there is none. limits: what they are held to."""

    tried: list[Tried]
    front: list[Tried]
    taken: Tried
    refused: dict[str, str]
    limits: Limits


def search(model: Model, rows: Rows, asked: Asked, tell: Tell) -> Found:
    """Make, time and judge all versions.

    Raises:
        UsageError: no such way, setting, batch or metric.
        DataError: there are no rows to judge on, or the metric says nothing of them.
    """
    _check(model, rows, asked)
    parent = Parent(model, rows.learn_features, asked.seed, tell)
    plain = Variant("as it is", parent.graph, same=True)
    before = _said(model, plain.graph, rows)
    if rows.truth is not None:
        check_metric(model.signature.task, before, rows.truth, asked.metric)
    made, refused = _made(parent, asked.ways)
    made = _carried(model, made, rows, refused)
    limits = _limits(model, rows, asked, len(made))
    tried = [
        one
        for variant in [plain, *made]
        for one in _trials(model, variant, rows, before, asked, limits, tell)
    ]
    taken = fastest(tried, asked.batch, limits.most, limits.changed) or tried[0]
    return Found(tried, pareto(tried), taken, refused, limits)


def _check(model: Model, rows: Rows, asked: Asked) -> None:
    """What can be told before anything is made."""
    if asked.batch not in BATCHES:
        raise UsageError(
            f"requests of {asked.batch} rows are not timed", fix=f"one of {', '.join(map(str, BATCHES))}"
        )
    if not 0.5 < asked.confidence < 1:
        raise UsageError(f"the confidence is {asked.confidence}", fix="a number above 0.5 and below 1: 0.95")
    if not rows.count:
        raise DataError("the package has no rows to try it on", fix="give some with --data FILE")
    if asked.metric:
        lookup(model.signature.task, asked.metric)
        if rows.truth is None:
            raise UsageError(
                f"'{asked.metric}' takes right answers, and no row has one in '{model.signature.target}'",
                fix="give rows that have, with --data FILE, or leave out --metric",
            )


def _limits(model: Model, rows: Rows, asked: Asked, versions: int) -> Limits:
    changed = asked.changed
    if changed is None:
        # the metric of a regression sees every difference, and without right answers `most` is of the same rows
        changed = 1.0 if rows.truth is None or model.task == "regression" else CHANGED
    each = 1 - (1 - asked.confidence) / max(1, versions)
    return Limits(
        asked.most, changed, asked.confidence, versions, each, floor(rows.labelled or rows.count, each)
    )


def _made(parent: Parent, asked: Mapping[str, Mapping[str, Any]]) -> tuple[list[Variant], dict[str, str]]:
    from pydantic import ValidationError

    found: list[Variant] = []
    refused: dict[str, str] = {}
    for name in asked or WAYS:
        try:
            kind: Any = WAYS.load(name)
            way = kind(kind.Settings.model_validate(dict(asked.get(name, {}))))
            found += way.variants(parent)
        except UnsuitedError as error:
            refused[name] = str(error)
        except MissingExtra as error:
            if name in asked:
                raise
            refused[name] = f"{error.what}: {error.fix}"
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise UsageError(f"'{name}' cannot be set so", why=told) from None
    return found, refused


def _carried(model: Model, made: list[Variant], rows: Rows, refused: dict[str, str]) -> list[Variant]:
    """Those whose graph says what the model says that is to explain it; of the others it is told."""
    found = []
    for variant in made:
        try:
            found.append(replace(variant, parity=parity_of(model, variant, rows.table)))
        except PackageError as error:
            refused[variant.name] = error.what
    return found


def _trials(
    model: Model, variant: Variant, rows: Rows, before: Said, asked: Asked, limits: Limits, tell: Tell
) -> Sequence[Tried]:
    tell(f"trying {variant.name}")
    said = before if variant.name == "as it is" else _said(model, variant.graph, rows)
    variant = replace(variant, same=variant.same and _same(said, before))
    rng = np.random.default_rng([asked.seed, 7])
    loss = loss_of(model.signature.task, before, said, rows.truth, asked.metric, limits.each, rng)
    outputs = _outputs(model)
    return [
        Tried(
            variant,
            setting,
            cost_of(variant.graph, model.signature.inputs, rows.judge, outputs, setting),
            loss,
        )
        for setting in settings_of(variant.graph)
    ]


def _same(a: Said, b: Said) -> bool:
    """Whether all answers are the same, bit for bit."""
    return a.values.tobytes() == b.values.tobytes() and np.array_equal(a.classes, b.classes)


def _outputs(model: Model) -> list[str]:
    return ["prediction", "score" if model.task == "regression" else "probability"]


def _said(model: Model, graph: bytes, rows: Rows) -> Said:
    session = GraphSession(graph, model.signature.inputs)
    found = session.run_feeds(dict(rows.judge), _outputs(model))
    if model.task == "regression":
        return Said(found["score"], np.empty(0, dtype=np.int64))
    return Said(found["probability"], class_indices(found["prediction"], model.classes))


def optimized(
    model: Model, rows: Rows, out: Path, asked: Asked, version: str, tell: Tell = lambda line: None
) -> tuple[Found, dict[str, Any], int]:
    """Search, and write the child.

    Returns:
        what was found, what stands in `optimization.json`, and the child's size in bytes.

    Raises:
        UsageError, DataError: as `search`. StoreError: disk full or read-only.
    """
    found = search(model, rows, asked, tell)
    told = {
        "parent": {"name": model.name, "version": model.version, "manifest_sha256": model.manifest.digest},
        "taken": found.taken.to_json(),
        "limits": asdict(found.limits),
        "batch": asked.batch,
        # times and all: the choice follows from them, and nothing reads them but whoever asks why it was made
        "pareto": [one.to_json() for one in found.front],
        "refused": found.refused,
    }
    return found, told, write_child(model, found, told, out, version)
