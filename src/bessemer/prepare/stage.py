"""The stage: splits the labelled rows, fits the preprocessor, and makes the training matrix with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bessemer.core import canonical
from bessemer.core.artifact import ArtifactRef
from bessemer.core.stage import Context
from bessemer.package.session import GraphSession
from bessemer.prepare.assemble import Preprocessor, assemble
from bessemer.prepare.check import check
from bessemer.prepare.engine_rows import train_rows
from bessemer.prepare.fit import fit_columns
from bessemer.prepare.given import given_preprocessor
from bessemer.prepare.labelled import Labelled, open_labelled
from bessemer.prepare.leakage import warn_of_leaks
from bessemer.prepare.matrix import write_matrix, write_weights
from bessemer.prepare.parts import check_parts, write_parts
from bessemer.prepare.spec import PrepareSpec
from bessemer.prepare.splits import PARTS, Split, decide
from bessemer.prepare.train_table import Folds, GroupFolds


def run(spec: PrepareSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """labelled -> splits and preprocessor.

    Raises:
        ProjectError: the settings name what the data does not have, or what cannot be; all faults at once.
        DataError: the data cannot be split as asked, or no column is left to learn from.
        StoreError: disk full or not writable.
    """
    spec = spec.located(ctx.project_dir)
    data = open_labelled(ctx.open(inputs["labelled"]))
    derived = check(spec, data)
    split, paths = _split(spec, data, ctx)
    with ctx.connect() as connection:
        folds = _folds(spec, connection, paths["train"], int(ctx.rng("folds").integers(2**32)))
        with train_rows(connection, spec, data, split, paths, folds, ctx) as learnt:
            if spec.given is not None:
                preprocessor = given_preprocessor(spec, data, learnt, ctx.project_dir, ctx)
            else:
                preprocessor = assemble(data, fit_columns(spec, data, derived, learnt, ctx), derived)
    files, rows = _matrix(spec, data, preprocessor, paths, folds, ctx)
    facts = {
        "rows": rows,
        "task": data.task,
        "classes": list(data.classes),
        "target": data.target,
        "method": split.method,
        "refold": split.refold,
        "group": spec.split.group,
        **({"further": [one.to_json() for one in data.further]} if data.further else {}),
    }
    return {
        "splits": ctx.store.put("splits", files, facts),
        "preprocessor": ctx.store.put(
            "preprocessor",
            {
                "preprocessor.onnx": preprocessor.graph,
                "features.json": canonical.dump_bytes(preprocessor.features_json()),
                "signature.json": canonical.dump_bytes(preprocessor.signature.to_json()),
            },
            {
                "features": len(preprocessor.features),
                "inputs": len(preprocessor.signature.inputs),
                **({"blocks": [b.to_json() for b in preprocessor.blocks]} if preprocessor.blocks else {}),
            },
        ),
    }


def _split(spec: PrepareSpec, data: Labelled, ctx: Context) -> tuple[Split, dict[str, Path]]:
    with ctx.connect() as connection, ctx.progress("split"):
        split = decide(connection, data, spec.split, int(ctx.rng("split").integers(2**32)))
        for note in split.notes:
            ctx.note(note)
        paths = write_parts(data, split, ctx)
        check_parts(connection, data, paths, ctx)
    return split, paths


def _folds(spec: PrepareSpec, connection: Any, part: Path, seed: int) -> Folds:
    if spec.split.group is None:
        return Folds(spec.folds, seed)
    return GroupFolds(spec.folds, seed, spec.split.group, connection, part)


def _matrix(
    spec: PrepareSpec,
    data: Labelled,
    preprocessor: Preprocessor,
    paths: Mapping[str, Path],
    folds: Folds,
    ctx: Context,
) -> tuple[dict[str, Path | bytes], dict[str, int]]:
    """The files of `splits` and the rows of each part."""
    import pyarrow.parquet as pq

    session = GraphSession(preprocessor.graph, preprocessor.signature.inputs, threads=ctx.threads)
    files: dict[str, Path | bytes] = {}
    rows = {part: int(pq.read_metadata(paths[part]).num_rows) for part in PARTS}
    with ctx.progress("compute features", sum(rows.values())) as bar:
        for part in PARTS:
            X, y = ctx.temporary(f"{part}.X.npy"), ctx.temporary(f"{part}.y.npy")
            own = folds if part == "train" else None
            further = ctx.temporary(f"{part}.further.npy") if data.further else None
            write_matrix(data, preprocessor, session, paths[part], X, y, further=further, folds=own, bar=bar)
            if part == "train":
                warn_of_leaks(data, preprocessor, X, y, further, ctx)
            files |= {f"{part}.parquet": paths[part], f"{part}.X.npy": X, f"{part}.y.npy": y}
            if further is not None:
                files[f"{part}.further.npy"] = further
            if spec.weight is not None:
                weights = ctx.temporary(f"{part}.weight.npy")
                write_weights(paths[part], spec.weight, weights)
                files[f"{part}.weight.npy"] = weights
    return files, rows
