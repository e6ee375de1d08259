"""The attack stage: what was asked for, against the very graph that ships, on rows of the test part.

Takes `model`, `splits` and `preprocessor`; gives `robustness`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bessemer.attack.gates import judge
from bessemer.attack.plugins import ATTACKS
from bessemer.attack.protocol import Sample, Victim
from bessemer.attack.sound import check_sound
from bessemer.attack.spec import AttackSpec
from bessemer.attack.trial import tried
from bessemer.core import canonical
from bessemer.core.artifact import ArtifactRef
from bessemer.core.parquet import rows_at
from bessemer.core.plugin_settings import opened
from bessemer.core.signature import Signature
from bessemer.core.stage import Context
from bessemer.stats.arrays import tidy


def run(spec: AttackSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """model, splits, preprocessor -> robustness: `robustness.json` where an attack was asked for, else `none.json`.

    Raises:
        SoundnessError: a certificate says what an attack has shown to be wrong.
        MissingExtra: an attack needs a library that is not installed.
        StoreError: disk full or not writable.
    """
    if not spec.attacks:
        return {
            "robustness": ctx.store.put("robustness", {"none.json": b"{}"}, {"attacks": 0, "passed": True})
        }
    model, splits = ctx.open(inputs["model"]), ctx.open(inputs["splits"])
    victim = Victim(
        model.json("model.json"),
        Signature.from_json(model.json("signature.json")),
        model,
        splits,
        ctx.open(inputs["preprocessor"]),
        spec.constraints,
    )
    sample = drawn(victim, spec.rows, spec.confidence, ctx)
    found = tried(opened(spec.attacks, ATTACKS), victim, sample, ctx, spec.samples)
    for name, one in found.items():
        if "refused" not in one:
            one["settings"] = spec.attacks[name]
    check_sound(found)
    facts = {
        "rows": len(sample),
        "confidence": spec.confidence,
        "attacks": found,
        **_judged(spec, found, ctx),
    }
    files = {"robustness.json": canonical.dump_bytes(tidy(facts))}
    meta = {"attacks": len(found), "passed": facts["passed"]}
    return {"robustness": ctx.store.put("robustness", files, meta)}


def _judged(spec: AttackSpec, found: Mapping[str, Any], ctx: Context) -> dict[str, Any]:
    gates = judge(spec.gates, found)
    for gate in gates:
        if not gate["passed"]:
            ctx.warn(f"gate '{gate['gate']}' failed: {gate['why']} (required: {gate['required']})")
    return {"gates": gates, "passed": all(gate["passed"] for gate in gates)}


def drawn(victim: Victim, most: int, confidence: float, ctx: Context) -> Sample:
    """All test rows, or `most` of them drawn at random, in their order."""
    splits = victim.splits
    chosen = np.arange(int(splits.meta["rows"]["test"]))
    if len(chosen) > most:
        chosen = np.sort(ctx.rng("rows").choice(chosen, most, replace=False))
    X = np.load(splits.path("test.X.npy"), mmap_mode="r", allow_pickle=False)
    y = np.load(splits.path("test.y.npy"), allow_pickle=False)
    columns = [field.name for field in victim.signature.inputs]
    table = rows_at(splits.path("test.parquet"), chosen, columns)
    return Sample(table, np.ascontiguousarray(X[chosen], dtype=np.float32), y[chosen], confidence)
