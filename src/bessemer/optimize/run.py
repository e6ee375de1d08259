"""Optimising a package: every version is made, timed and judged; the best one becomes its child."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.errors import DataError, MissingExtra, UsageError
from bessemer.optimize.child import write_child
from bessemer.optimize.choose import Tried, fastest, pareto
from bessemer.optimize.judge import Said, loss_of
from bessemer.optimize.measure import BATCHES, cost_of, settings_of
from bessemer.optimize.plugins import WAYS
from bessemer.optimize.rows import Rows
from bessemer.optimize.variant import Parent, UnsuitedError, Variant
from bessemer.package.model import Model
from bessemer.package.session import GraphSession
from bessemer.stats.metrics.outcome import class_indices

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What is wanted.

    ways: by name, with their settings; all of them where there are none. most: the loss that is allowed, a share.
    batch: the size of requests that counts. metric: '' for the task's usual one. confidence: of what is allowed.
    """

    ways: Mapping[str, Mapping[str, Any]]
    most: float = 0.01
    batch: int = 1
    metric: str = ""
    confidence: float = 0.95
    seed: int = 0


@dataclass(frozen=True)
class Found:
    """tried: everything, the parent in its usual setting first. front: the Pareto set. taken: the chosen one.
    refused: by way, why it made nothing."""

    tried: list[Tried]
    front: list[Tried]
    taken: Tried
    refused: dict[str, str]


def search(model: Model, rows: Rows, asked: Asked, tell: Tell) -> Found:
    """Make, time and judge all versions.

    Raises:
        UsageError: no such way, setting, batch or metric.
        DataError: there are no rows to judge on.
    """
    if asked.batch not in BATCHES:
        raise UsageError(
            f"requests of {asked.batch} rows are not timed", fix=f"one of {', '.join(map(str, BATCHES))}"
        )
    if not rows.count:
        raise DataError("the package has no rows to try it on", fix="give some with --data FILE")
    parent = Parent(model, rows.learn_features, asked.seed, tell)
    plain = Variant("as it is", parent.graph, same=True)
    made, refused = _made(parent, asked.ways)
    before = _said(model, plain.graph, rows)
    tried = [one for variant in [plain, *made] for one in _trials(model, variant, rows, before, asked, tell)]
    front = pareto(tried)
    return Found(tried, front, fastest(tried, asked.batch, asked.most) or tried[0], refused)


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


def _trials(
    model: Model, variant: Variant, rows: Rows, before: Said, asked: Asked, tell: Tell
) -> Sequence[Tried]:
    tell(f"trying {variant.name}")
    said = before if variant.name == "as it is" else _said(model, variant.graph, rows)
    if _same(said, before):
        variant = Variant(variant.name, variant.graph, variant.native, same=True)
    rng = np.random.default_rng([asked.seed, 7])
    loss = loss_of(model.signature.task, before, said, rows.truth, asked.metric, asked.confidence, rng)
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
        "allowed_loss": asked.most,
        "batch": asked.batch,
        "confidence": asked.confidence,
        "pareto": [one.to_json() for one in found.front],
        "refused": found.refused,
    }
    return found, told, write_child(model, found.taken, told, out, version)
