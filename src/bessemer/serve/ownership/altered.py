"""The wrong answers: put into predictions where they are made, so that each protocol gives the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.core.signature import Signature
from bessemer.package.altered_answers import Alteration, row_texts, wrong_class
from bessemer.package.answer_key import mark_key
from bessemer.serve.ownership.spec import OwnershipSpec
from bessemer.serve.ownership.turned import Head, head_of, turned
from bessemer.serve.predictor import own_feeds
from bessemer.serve.wire import Batch, Predictions

if TYPE_CHECKING:
    from bessemer.package.model import Model


class AlteredAnswers:
    """Gives a keyed share of rows a wrong class, to the same client always the same.

    Probabilities and scores say it too, and agree with each other to the last bit as those of true answers do.
    """

    def __init__(
        self, alteration: Alteration, signature: Signature, thresholds: Sequence[float], head: Head
    ) -> None:
        self.alteration, self._signature, self._head = alteration, signature, head
        self._place = {one: i for i, one in enumerate(signature.classes)}
        self._least, self._most = min(thresholds, default=0.5), max(thresholds, default=0.5)

    def on(self, client: str, batch: Batch, predictions: Predictions) -> Predictions:
        """The predictions of a batch, with those that are altered for this client."""
        inputs = self._signature.inputs
        texts = row_texts(own_feeds(batch, inputs), inputs, self.alteration.digits)
        chosen, shifts = self.alteration.of(client, texts)
        at = np.flatnonzero(chosen)
        if not len(at):
            return predictions
        outputs = {name: np.array(array) for name, array in predictions.outputs.items()}
        own = np.array([self._place[one] for one in outputs["prediction"][at].tolist()])
        wrong = np.array(
            [wrong_class(o, int(s), len(self._place)) for o, s in zip(own, shifts[at], strict=True)]
        )
        for row, place in zip(at, wrong, strict=True):
            outputs["prediction"][row] = self._signature.classes[place]
        said = turned(self._head, outputs["score"][at], own, wrong, self._least, self._most)
        outputs["score"][at], outputs["probability"][at] = said
        return Predictions(outputs)


def altered_of(
    spec: OwnershipSpec | None, model: Model, thresholds: Sequence[float]
) -> AlteredAnswers | None:
    """What alters the answers of a model; None where nothing is asked for.

    Raises:
        UsageError: the key cannot be read, the model predicts a number, or its probabilities are not of its score.
    """
    if spec is None:
        return None
    signature, name = model.signature, model.name
    if signature.task == "regression":
        raise UsageError(
            f"the answers of '{name}' cannot be marked by `serve: ownership`: it predicts a number",
            why="only a class can be another one; a number that is a little off is found by nobody",
            fix="take out `ownership`, or serve this model from another server",
        )
    alteration = Alteration(mark_key(Path(spec.key)), name, spec.share, spec.digits)
    return AlteredAnswers(
        alteration, signature, thresholds, head_of(model.contents.bytes("model.onnx"), name)
    )
