"""The model card within the report: the same facts and words as the package's `card.md`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bessemer.core.signature import Signature
from bessemer.package.card import model_card

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact
    from bessemer.core.stage import Context


def card_of(artifacts: Mapping[str, Artifact], ctx: Context) -> str:
    """The card as Markdown, without what only the package stage knows: parity, ignored gates, rows that travel."""
    explained = artifacts.get("explanations")
    return model_card(
        name=str(ctx.shared.get("name") or "model"),
        version=str(ctx.shared.get("version") or ""),
        description=str(ctx.shared.get("description") or ""),
        signature=Signature.from_json(artifacts["model"].json("signature.json")),
        model_json=artifacts["model"].json("model.json"),
        evaluation=artifacts["evaluation"].json("evaluation.json"),
        explanations=explained.json("explanations.json") if explained else {},
        explainer={},
        splits=artifacts["splits"].meta,
        parity={},
        gates_ignored=False,
    )
