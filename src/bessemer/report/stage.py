"""The report stage: everything that was found, as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping

from bessemer.core.artifact import ArtifactRef
from bessemer.core.errors import BessemerError
from bessemer.core.stage import Context
from bessemer.report.html import render
from bessemer.report.spec import ReportSpec
from bessemer.report.view import build

#: Without these there is nothing to report.
NEEDED = ("model", "splits", "evaluation")


def run(spec: ReportSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """Write the report from the artifacts that are there.

    Takes `model`, `splits`, `evaluation`, and where they are given `statistics`, `contract`, `quarantine`,
    `labelled`, `preprocessor`, `history`, `explanations` and `reference`; gives `report`.

    Raises:
        BessemerError: one of the first three is not given.
    """
    if missing := [kind for kind in NEEDED if kind not in inputs]:
        raise BessemerError(
            f"no report without {', '.join(missing)}", fix="run the stages that make them first: bessemer run"
        )
    artifacts = {kind: ctx.open(ref) for kind, ref in inputs.items()}
    page = render(build(spec, artifacts, ctx), theme=spec.theme)
    return {"report": ctx.store.put("report", {"report.html": page.encode("utf-8")}, {})}
