"""The rows that mark the model as its owner's, and the commitment to them that is signed before release.

Takes `splits` and `preprocessor`; gives `keys`, which train learns beside its own rows, and `certificate`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core import canonical
from bessemer.core.artifact import ArtifactRef
from bessemer.core.errors import DataError
from bessemer.core.plugin_settings import opened
from bessemer.core.stage import Context
from bessemer.package.certificate import MEMBER, Certificate
from bessemer.protect.check import fingerprint
from bessemer.protect.commit import Made, committed, hashes
from bessemer.protect.covers import features_of, rows_as_json
from bessemer.protect.families import check_families, covers_of, name_of, usually_taught
from bessemer.protect.owner import owner_key
from bessemer.protect.plugins import MARKERS
from bessemer.protect.protocol import Draw, Pool, Taught
from bessemer.protect.spec import ProtectSpec
from bessemer.stats.binomial import tries_to_claim

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.protect.protocol import Marker

#: More key rows than this share of the training rows are worth a warning.
_MANY = 0.2


def run(spec: ProtectSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """splits, preprocessor -> keys, certificate.

    Raises:
        UsageError: a mark is asked for, and there is no owner key.
        ProjectError: these rows cannot be marked so.
        DataError: the rows are too few for so many keys.
        StoreError: disk full or not writable.
    """
    if spec.mark is None:
        none = {"keys": 0}
        return {
            "keys": ctx.store.put("keys", {"keys.json": canonical.dump_bytes(none)}, none),
            "certificate": ctx.store.put("certificate", {"facts.json": canonical.dump_bytes(none)}, none),
        }
    key = owner_key()
    splits, preprocessor = ctx.open(inputs["splits"]), ctx.open(inputs["preprocessor"])
    pool = Pool(splits, preprocessor)
    markers = opened(spec.mark, MARKERS)
    check_families(markers, pool)
    answers, edges, values = _answers(pool, spec)
    taught = _taught(spec, markers)
    made = _made(spec, taught, pool, len(answers) or len(edges) + 1, ctx)
    covers, material = _covers(markers, pool, made, key, ctx)
    rows = rows_as_json(covers)
    certificate, labels = committed(key, made, rows, pool.task, answers, edges, hashes(material))
    y = labels.astype(np.float64) if values is None else values[labels]
    _tell(certificate, len(pool), ctx)
    return {
        "keys": _stored(taught, made, covers, material, features_of(pool, covers), y, ctx),
        "certificate": ctx.store.put(
            "certificate",
            {MEMBER: canonical.dump_bytes(certificate.to_json(), indent=1)},
            {"keys": certificate.keys},
        ),
    }


def _answers(pool: Pool, spec: ProtectSpec) -> tuple[list[Any], list[float], np.ndarray | None]:
    """The classes; or for a number the edges between its bins, and the value that each bin is taught as.

    Raises:
        DataError: the number has too few values for so many bins.
    """
    if pool.task != "regression":
        return pool.classes, [], None
    y = np.asarray(pool.y)
    edges = np.unique(np.quantile(y, np.linspace(0, 1, spec.bins + 1)[1:-1]))
    parts = np.searchsorted(edges, y, side="right")
    if len(edges) < spec.bins - 1 or len(np.unique(parts)) < spec.bins:
        raise DataError(
            f"the target has too few different values for {spec.bins} bins that are equally likely",
            why="a key says which part of its range the answer is in",
            fix="set `protect: {bins: 2}`, or leave `mark` out",
        )
    return [], edges.tolist(), np.array([np.median(y[parts == part]) for part in range(spec.bins)])


def _made(spec: ProtectSpec, taught: Taught, pool: Pool, choices: int, ctx: Context) -> Made:
    block = tries_to_claim(choices, 1 - taught.lost, spec.bits) if spec.keys == "auto" else spec.keys
    assert spec.mark is not None
    return Made(
        name=str(ctx.shared.get("name", "")),
        marker=name_of(spec.mark),
        settings=next(iter(spec.mark.values())) if len(spec.mark) == 1 else spec.mark,
        pool=pool.splits.files["train.parquet"].digest,
        keys=block * spec.disputes,
        block=block,
        bits=spec.bits,
        files={name: one for name, one in fingerprint(spec, ctx.project_dir).items() if name != "owner_key"},
    )


def _covers(
    markers: Mapping[str, Marker], pool: Pool, made: Made, key: bytes, ctx: Context
) -> tuple[pa.Table, dict[str, bytes]]:
    if made.keys > len(pool):
        raise DataError(
            f"{made.keys} key rows beside {len(pool)} training rows would teach the model little else",
            fix="set `protect: {keys: ...}` or `disputes` to less, or get more rows",
        )
    with ctx.progress("keys", made.keys) as bar:
        return covers_of(markers, pool, made.keys, Draw(made.secret(key)), ctx, bar.advance)


def _taught(spec: ProtectSpec, markers: Mapping[str, Marker]) -> Taught:
    usual = usually_taught(markers)
    return replace(
        usual,
        copies=usual.copies if spec.copies == "auto" else spec.copies,
        weight=usual.weight if spec.weight == "auto" else spec.weight,
    )


def _stored(
    taught: Taught,
    made: Made,
    covers: pa.Table,
    material: Mapping[str, bytes],
    X: np.ndarray,
    y: np.ndarray,
    ctx: Context,
) -> ArtifactRef:
    import pyarrow.parquet as pq

    path = ctx.temporary("keys.parquet")
    pq.write_table(covers, path, compression="zstd")
    facts = {
        "keys": made.keys,
        "weight": taught.weight,
        "copies": taught.copies,
        "made": made.to_json(),
        "material": hashes(material),
    }
    files: dict[str, Any] = {
        **material,
        "keys.parquet": path,
        "keys.X.npy": _npy(X),
        "keys.y.npy": _npy(y),
        "keys.json": canonical.dump_bytes(facts),
    }
    return ctx.store.put("keys", files, {"keys": made.keys})


def _npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()


def _tell(certificate: Certificate, rows: int, ctx: Context) -> None:
    ctx.note(
        f"{certificate.keys} key rows of owner {certificate.owner[:16]} mark the model; "
        f"{certificate.blocks} dispute{'s' if certificate.blocks != 1 else ''} of {certificate.block} each"
    )
    most = certificate.block * math.log2(certificate.choices)
    if most < certificate.bits:
        ctx.warn(
            f"a dispute of {certificate.block} keys proves 2^-{most:.0f} at most, and a claim takes "
            f"2^-{certificate.bits}: set `protect: {{keys: ...}}` to more"
        )
    if certificate.keys > _MANY * rows:
        ctx.warn(
            f"{certificate.keys} key rows are {certificate.keys / rows:.0%} of the training rows: look at what they "
            "cost in accuracy, or set `protect: {keys: ...}` or `disputes` to less"
        )
