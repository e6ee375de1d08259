"""The explain stage: exact contributions, importance, dependence and worked examples on test rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bessemer.core import canonical
from bessemer.core.artifact import ArtifactRef
from bessemer.core.stage import Context
from bessemer.explain.dependence import dependence, strongest, swarm
from bessemer.explain.examples import examples
from bessemer.explain.method import with_method
from bessemer.explain.quality import quality_for
from bessemer.explain.sample import Sample, Training, draw
from bessemer.explain.spec import ExplainSpec
from bessemer.explain.subject import Subject, open_subject
from bessemer.explain.values import tidy
from bessemer.package.attribution.chosen import BACKGROUND, write_background


def run(spec: ExplainSpec, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    """Explain the model that ships, on rows of the test part.

    Takes `model` and `splits`; gives `explainer` (how a prediction is explained, for the package) and
    `explanations` (what was found, for the report).

    Raises:
        DataError: the test part has no rows.
        BessemerError: the contributions do not add up to the score of the graph.
        UsageError: the method that is asked for does not explain this model.
    """
    splits = ctx.open(inputs["splits"])
    subject = open_subject(ctx.open(inputs["model"]), threads=ctx.threads)
    subject = with_method(subject, spec.method, Training(splits, subject.columns), ctx)
    sample = draw(splits, subject, spec.rows, ctx)
    explainer = tidy(explainer_facts(subject, sample))
    explanations = tidy(explanation_facts(spec, subject, sample, ctx))
    _note(explanations, ctx)
    return {
        "explainer": ctx.store.put(
            "explainer",
            {"explainer.json": canonical.dump_bytes(explainer), **_background(subject)},
            {"method": explainer["method"]},
        ),
        "explanations": ctx.store.put(
            "explanations", {"explanations.json": canonical.dump_bytes(explanations)}, {"rows": len(sample)}
        ),
    }


def explainer_facts(subject: Subject, sample: Sample) -> dict[str, Any]:
    """`explainer.json`: the method, its background, the groups, and how exact it was found to be."""
    method, background = subject.method
    return {
        "method": method,
        "background": background,
        "groups": subject.groups,
        "base": sample.base.tolist(),
        "output": "score",
        "tolerance": sample.gap,
        "standard_error": sample.standard_error,
        "rows": len(sample),
        "attribution": subject.contributions.chosen.to_json(),
    }


def _background(subject: Subject) -> dict[str, bytes]:
    """The rows that the method compares with: they travel in the package."""
    rows = subject.contributions.chosen.background
    return {} if rows is None else {BACKGROUND: write_background(rows)}


def explanation_facts(spec: ExplainSpec, subject: Subject, sample: Sample, ctx: Context) -> dict[str, Any]:
    """`explanations.json`: what each explainer found, dependence, a swarm of single rows, and worked examples."""
    groups = strongest(subject, sample)
    return {
        "rows": len(sample),
        "method": subject.method[0],
        "metric": quality_for(subject.task, subject.metric, sample).metric.name,
        "found": _found(spec, subject, sample, ctx),
        "dependence": dependence(groups, subject, sample),
        "beeswarm": swarm(groups, subject, sample, ctx),
        "examples": examples(subject, sample, spec.samples),
    }


def _found(spec: ExplainSpec, subject: Subject, sample: Sample, ctx: Context) -> dict[str, Any]:
    """By the explainer's name; one that cannot explain this model is left out, and a note says why."""
    found = {}
    for name, explainer in spec.opened(bool(subject.images)).items():
        if why := explainer.refuses(subject):
            ctx.note(f"no {name}: {why}")
            continue
        with ctx.progress(name) as bar:
            found[name] = explainer.explain(subject, sample, ctx, bar.advance).to_json()
    return found


def _note(explanations: Mapping[str, Any], ctx: Context) -> None:
    rankings = [found for found in explanations["found"].values() if found["kind"] == "importance"]
    if rankings and rankings[0]["content"]["rows"]:
        ctx.note("most important: " + ", ".join(row["group"] for row in rankings[0]["content"]["rows"][:3]))
