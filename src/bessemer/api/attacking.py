"""Attacks on what is not in a project: a package file, or a server that can only be asked."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.api.landing import landed
from bessemer.core.errors import DataError, MissingExtra, ProjectError, UsageError
from bessemer.core.redaction import remember_environment

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.attack.protocol import Attack, Sample, Victim
    from bessemer.attack.spec import AttackSpec
    from bessemer.core.signature import DType, Field
    from bessemer.core.stage import Context, Emit
    from bessemer.package.remote.client import Door
    from bessemer.package.remote.purse import Purse

#: Rows of the data that are read, at most: they say what values a column has, and are drawn from.
MOST_ROWS = 10_000
#: The types of landed columns, as constraints are checked against them.
_SQL_TYPES: Mapping[DType, str] = {
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "string": "VARCHAR",
    "timestamp": "TIMESTAMP",
}
#: Classes of a target, at most: more are no classes.
_CLASSES = 1000


@dataclass(frozen=True)
class Asking:
    """How a server is asked.

    door: the dialect, the key, headers. questions: rows in all, over all attacks; None for no bound. per_second: rows
    a second; None for no bound.
    """

    door: Door | None = None
    questions: int | None = 10_000
    per_second: float | None = 100.0


def attack(
    target: str | Path,
    data: str,
    label: str = "",
    *,
    attacks: Sequence[str | Mapping[str, Any]] = (),
    asking: Asking | None = None,
    seed: int = 0,
    key: str | Path | None = None,
    emit: Emit = lambda kind, data: None,
    **settings: Any,
) -> dict[str, Any]:
    """Attack a package or a server, without a project.

    Args:
        target: a package, or the address of a model on a server (http://...), which is asked and nothing else.
        data: rows, from any source that a project takes, with the right answers.
        label: the column of these; by default that of the package.
        attacks: as in the project file; all that fit by default.
        asking: of a server: how, and how much.
        seed: of everything random. key: a public key to trust for a package. emit: is told of progress and warnings.
        settings: as `attack` of the project file: `rows`, `samples`, `confidence`, `constraints`.

    Returns:
        `rows`, `confidence`, `attacks` (as in `robustness.json`), `asked` (rows that a server was sent) and `target`.

    Raises:
        UsageError: it cannot be attacked so. ProjectError: constraints, or the settings of an attack, name a column
            that is not there or that takes none. DataError: the rows cannot be read, or have no right answers.
        PackageError: the package is refused. MissingExtra: an attack that is named needs a library.
    """
    remember_environment()
    spec = _spec({"attacks": list(attacks), "rows": 100, **settings})
    with tempfile.TemporaryDirectory() as folder:
        ctx = _context(Path(folder), seed, emit)
        if str(target).startswith(("http://", "https://")):
            return _server(str(target), data, label, spec, asking or Asking(), ctx)
        return _package(target, data, label, spec, key, ctx)


def _spec(settings: Mapping[str, Any]) -> AttackSpec:
    from pydantic import ValidationError

    from bessemer.attack.spec import AttackSpec

    try:
        return AttackSpec.model_validate(settings)
    except ValidationError as error:
        told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise UsageError("the attack cannot be what is asked for", why="; ".join(told)) from None


def _context(folder: Path, seed: int, emit: Emit) -> Context:
    from bessemer.core.stage import Context
    from bessemer.core.store import Store

    (folder / "work").mkdir()
    return Context(
        Store(folder / "store"),
        "attack",
        {},
        seed,
        folder,
        folder / "work",
        emit=emit,
        log=logging.getLogger("bessemer"),
    )


def _package(
    target: str | Path, data: str, label: str, spec: AttackSpec, key: str | Path | None, ctx: Context
) -> dict[str, Any]:
    from bessemer.api.packages import load
    from bessemer.attack.outside import of_package
    from bessemer.explain.from_package import actual_of, typed
    from bessemer.predict.head import first_rows

    model = load(target, key=key)
    if label and label != model.signature.target:
        raise UsageError(
            f"the package predicts '{model.signature.target}', not '{label}'", fix="leave out --target"
        )
    given = first_rows(data, model.signature.inputs, MOST_ROWS, optional=model.signature.target)
    y = actual_of(model, given)
    if not (known := np.isfinite(y)).any():
        raise DataError(
            f"no row says what is right: '{model.signature.target}' is missing",
            fix="an attack is held against right answers: give rows that have them",
        )
    _check_columns(spec, model.signature.inputs)
    (rows,) = typed([given.filter(known)], model.signature.inputs)
    victim = of_package(model, rows, y[known], spec.constraints, ctx)
    return {"target": f"{model.name} {model.version}", **_tried(victim, spec, ctx, None)}


def _server(
    url: str, data: str, label: str, spec: AttackSpec, asking: Asking, ctx: Context
) -> dict[str, Any]:
    from bessemer.attack.outside import inputs_of, of_server
    from bessemer.package.remote.client import Client, Door
    from bessemer.package.remote.purse import Purse, SpentError
    from bessemer.package.remote.text import shown_url

    if not label:
        raise UsageError("which column has the right answers?", fix="name it with --target COLUMN")
    rows, y, classes = _labelled(data, label, ctx)
    inputs = inputs_of(rows)
    _check_columns(spec, inputs)
    purse = Purse(asking.questions, asking.per_second)
    client = Client(url, inputs, asking.door or Door(), purse)
    victim = of_server(client, inputs, rows, y, classes, spec.constraints, ctx)
    try:
        return {"target": shown_url(url), **_tried(victim, spec, ctx, purse), "asked": purse.asked}
    except SpentError as error:  # before any attack began
        raise UsageError(f"the server cannot be attacked with so few questions: {error}") from None


def _check_columns(spec: AttackSpec, inputs: Sequence[Field]) -> None:
    from bessemer.attack.check import check_columns

    if faults := check_columns(spec, {one.name: _SQL_TYPES[one.dtype] for one in inputs}, {}):
        raise ProjectError(faults, "the attack")


def _labelled(data: str, label: str, ctx: Context) -> tuple[pa.Table, Any, list[Any]]:
    """Rows without the target, the class index of each, and the classes in their order."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    here = data if "://" in data else str(Path(data).absolute())
    path = landed("rows", here, label, ctx.project_dir).path("data.parquet")
    with pq.ParquetFile(path) as file:
        table = next(iter(file.iter_batches(MOST_ROWS)), None)
    if table is None:
        raise DataError("there are no rows to attack with")
    rows = pa.Table.from_batches([table])
    rows = rows.filter(pc.is_valid(rows.column(label)))
    said = rows.column(label).to_pylist()
    classes = sorted(set(said))
    if not 2 <= len(classes) <= _CLASSES:
        raise DataError(
            f"'{label}' has {len(classes)} values, and no classes",
            fix="an attack turns one class into another: give rows of a target with 2 classes or more",
        )
    place = {one: i for i, one in enumerate(classes)}
    return rows.drop_columns([label]), np.array([place[one] for one in said], dtype=np.float64), classes


def _tried(victim: Victim, spec: AttackSpec, ctx: Context, purse: Purse | None) -> dict[str, Any]:
    import pyarrow.parquet as pq

    from bessemer.attack.outside import NOTE, drawn
    from bessemer.attack.piecemeal import Piecemeal
    from bessemer.attack.sound import check_sound
    from bessemer.attack.trial import plain, tried
    from bessemer.stats.arrays import tidy

    X = np.load(victim.splits.path("test.X.npy"), allow_pickle=False)
    y = np.load(victim.splits.path("test.y.npy"), allow_pickle=False)
    sample = drawn(pq.read_table(victim.splits.path("test.parquet")), X, y, spec.rows, spec.confidence, ctx)
    named, refused = _fitting(victim, spec, sample)
    run = plain if purse is None else Piecemeal(purse, len(named))
    found = tried(named, victim, sample, ctx, spec.samples, run)
    for name, one in found.items():
        if "refused" not in one:
            one["settings"] = spec.attacks.get(name, {})
            one["notes"] = [NOTE, *one["notes"]]
    check_sound(found)
    facts: dict[str, Any] = tidy(
        {"rows": len(sample), "confidence": spec.confidence, "attacks": {**refused, **found}}
    )
    return facts


def _fitting(
    victim: Victim, spec: AttackSpec, sample: Sample
) -> tuple[dict[str, Attack], dict[str, dict[str, Any]]]:
    """The attacks that fit, and by name why others do not; those that nobody named and that only a library lacks for
    are among the others."""
    from bessemer.attack.outside import unkept
    from bessemer.attack.plugins import ATTACKS

    if victim.oracle is not None:  # so that it is known what it answers with
        victim.oracle.scores(sample.table.slice(0, 1))
    fit: dict[str, Attack] = {}
    refused: dict[str, dict[str, Any]] = {}
    for name in spec.attacks or ATTACKS:
        try:
            kind: Any = ATTACKS.load(name)
        except MissingExtra as error:
            if name in spec.attacks:
                raise
            refused[name] = {"kind": "evasion", "refused": f"{error.what}: {error.fix}"}
            continue
        one: Attack = kind(kind.Settings.model_validate(spec.attacks.get(name, {})))
        if why := _unfit(kind, victim) or one.refuses(victim) or unkept(one, victim):
            refused[name] = {"kind": kind.kind, "refused": why}
        else:
            fit[name] = one
    return fit, refused


def _unfit(kind: type[Attack], victim: Victim) -> str:
    asks = getattr(kind, "ASKS", None)
    if victim.oracle is None:
        if kind.kind in ("privacy", "poisoning"):
            return "it needs the rows that the model was trained on, and how: run it in the project"
        return ""
    if asks is None:
        return "it needs the model itself, and here there are only answers"
    if asks == "scores" and not victim.oracle.gives_scores:
        return "it needs probabilities or scores, and the server gives the class alone"
    return ""
