"""The model card within the report: the same facts and words as the package's `card.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bessemer.core.signature import Field, Signature
from bessemer.package.card import model_card

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context


def card_of(
    artifacts: Mapping[str, Artifact], ctx: Context, categories: Mapping[str, Sequence[Any]] | None = None
) -> str:
    """The card as Markdown, without what only the package stage knows: parity, ignored gates, rows that travel.

    categories: of each column those that may be named; None: all.
    """
    signature = Signature.from_json(artifacts["model"].json("signature.json"))
    if categories is not None:
        signature = replace(signature, inputs=tuple(_named(f, categories) for f in signature.inputs))
    explained = artifacts.get("explanations")
    return model_card(
        name=str(ctx.shared.get("name") or "model"),
        version=str(ctx.shared.get("version") or ""),
        description=str(ctx.shared.get("description") or ""),
        signature=signature,
        model_json=artifacts["model"].json("model.json"),
        evaluation=artifacts["evaluation"].json("evaluation.json"),
        explanations=explained.json("explanations.json") if explained else {},
        explainer={},
        splits=artifacts["splits"].meta,
        parity={},
        gates_ignored=False,
    )


def _named(field: Field, categories: Mapping[str, Sequence[Any]]) -> Field:
    if "categories" not in field.domain:
        return field
    return replace(field, domain={**field.domain, "categories": list(categories.get(field.name, ()))})
