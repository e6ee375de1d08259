"""The model that is explained: the bytes that ship, and exact contributions from its native form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.blocks import Block, blocks_of
from bessemer.core.signature import Signature
from bessemer.package.attribution.plugins import METHODS as ATTRIBUTIONS
from bessemer.package.decision import Decision

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.artifact import Artifact
    from bessemer.explain.sample import Floats
    from bessemer.package.contributions import Contributions
    from bessemer.package.session import GraphSession

#: The most rows that go through the graph at once.
BLOCK = 20_000

#: What a native model's contributions are called and measured against, by the kind of the native model.
METHODS: Mapping[str, tuple[str, str]] = {
    "trees": ("tree_path_dependent", "training distribution inside the trees"),
    "head": ("sampled_shapley", "the median of each feature over the training rows"),
    "ensemble": ("weighted_members", "the weighted mean of the members' own baselines"),
    "linear": ("linear", "the mean of each feature over the training rows"),
    "constant": ("constant", "none: the score is the same for every row"),
}


@dataclass(frozen=True)
class Subject:
    """A model under explanation.

    facts: `model.json`.
    groups: the distinct groups (raw columns and derived features) in the order of the features.
    columns: the raw input columns of the graph.
    native: the model in its own form (see `package.natives`), for explainers that look inside.
    graph: gives the bytes of the graph that ships, for those that take gradients of it.
    """

    facts: Mapping[str, Any]
    signature: Signature
    session: GraphSession
    contributions: Contributions
    native: bytes = b""
    graph: Callable[[], bytes] = bytes

    @property
    def task(self) -> str:
        return str(self.facts["task"])

    @property
    def metric(self) -> str:
        return str(self.facts["metric"])

    @property
    def classes(self) -> list[Any]:
        return list(self.facts["classes"])

    @property
    def features(self) -> list[dict[str, Any]]:
        return list(self.facts["features"])

    @property
    def groups(self) -> list[str]:
        return list(self.facts["groups"])

    @property
    def columns(self) -> list[str]:
        return [field.name for field in self.signature.inputs]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Features that mean something together: the pixels of an image, the words of a text."""
        return blocks_of(self.facts)

    @property
    def images(self) -> frozenset[str]:
        """The input columns that are images: they are shuffled and attributed as a whole, and have no curve."""
        return frozenset(field.name for field in self.signature.inputs if field.is_image)

    @property
    def method(self) -> tuple[str, str]:
        """The method's name and its background, as `explainer.json` has them."""
        chosen = self.contributions.chosen
        if chosen.method != "auto":
            rows = 0 if chosen.background is None else len(chosen.background)
            return chosen.method, ATTRIBUTIONS.load(chosen.method).against.format(rows=rows)
        kind = str(self.facts["native"]["kind"])
        return METHODS.get(kind, (kind, "as the learner defines it"))

    def boundary(self, table: pa.Table) -> Floats:
        """Of two classes: the score from which on each raw row is positive, (N,) log-odds; 0 without a threshold."""
        decision = Decision.from_json(self.facts.get("decision"))
        t = np.clip(decision.thresholds(table, table.num_rows).astype(np.float64), 1e-12, 1 - 1e-12)
        found: Floats = np.log(t / (1 - t))
        return found

    def scored(self, table: pa.Table) -> Floats:
        """The graph's raw score of raw rows: (N, K) float64; K is 1, or one a class in multiclass.

        Rows go through in blocks, so that memory follows the block.
        """
        blocks = [
            self.session.run(table.slice(first, BLOCK), ["score"])["score"].astype(np.float64)
            for first in range(0, table.num_rows, BLOCK)
        ]
        outputs = max(1, len(self.classes) if self.task == "multiclass" else 1)
        return np.concatenate(blocks).reshape(-1, outputs) if blocks else np.zeros((0, outputs))


def open_subject(model: Artifact, *, threads: int = 1) -> Subject:
    """Open the graph and the native model of a `model` artifact.

    `threads` share the rows when contributions are computed, which changes no bit. The graph has one thread: a
    sum over trees in another order differs in the last bits.
    """
    from bessemer.package.contributions import Contributions
    from bessemer.package.session import GraphSession

    facts = model.json("model.json")
    signature = Signature.from_json(model.json("signature.json"))
    native = facts["native"]
    return Subject(
        facts=facts,
        signature=signature,
        session=GraphSession(model.path("model.onnx"), signature.inputs, threads=1),
        contributions=Contributions(native["kind"], model.bytes(native["file"]), facts, threads=threads),
        native=model.bytes(native["file"]),
        graph=partial(model.bytes, "model.onnx"),
    )
