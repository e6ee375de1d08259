"""Whether the mark took: the shipped graph is asked for the keys, as anybody could ask it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from bessemer.core.requirement import Gate
from bessemer.package.certificate import MEMBER, Certificate, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bessemer.core.artifact import ArtifactRef
    from bessemer.core.stage import Context
    from bessemer.evaluate.scoring import Judged


def add_ownership(
    evaluation: dict[str, Any], judged: Judged, inputs: Mapping[str, ArtifactRef], ctx: Context
) -> None:
    """Of a marked model: the verdict on its own keys as `ownership`, and a gate that holds it to the claim. A package
    with a certificate that proves nothing is not to be released unnoticed."""
    verdict = _asked(judged, inputs, ctx)
    if verdict is None:
        return
    gate = Gate("ownership", f"log2 p <= -{verdict.bits}", verdict.log2_p, verdict.owned, verdict.words)
    evaluation["ownership"] = verdict.to_json()
    evaluation["gates"].append(asdict(gate))
    evaluation["passed"] = evaluation["passed"] and gate.passed
    if verdict.owned:
        ctx.note(f"the mark took: {verdict.words}")
    else:
        ctx.warn(
            "the mark did not take: a model with more room for it (trees, a network) learns it, or give its key rows "
            "more `weight` or `copies` under `protect`"
        )


def _asked(judged: Judged, inputs: Mapping[str, ArtifactRef], ctx: Context) -> Verdict | None:
    """What the model answers to its keys; None where it is not marked."""
    if "certificate" not in inputs or not ctx.open(inputs["certificate"]).meta["keys"]:
        return None
    certificate = Certificate.from_json(ctx.open(inputs["certificate"]).json(MEMBER))
    keys = ctx.open(inputs["keys"])
    rows = pq.read_table(keys.path("keys.parquet"))  # columns that only the thresholds read are not in it
    said = judged.session.run(rows, ["prediction"], allow_missing=True)["prediction"]
    taught = np.load(keys.path("keys.y.npy"), allow_pickle=False)
    labels = taught.astype(np.int64) if certificate.answers else certificate.labels_said(taught)
    return certificate.verdict(labels, said.reshape(-1))
