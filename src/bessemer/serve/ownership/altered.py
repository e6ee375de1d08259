"""The wrong answers: put into predictions where they are made, so that each protocol gives the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.core.signature import Signature
from bessemer.package.altered_answers import Alteration, row_texts, wrong_class
from bessemer.package.answer_key import mark_key
from bessemer.serve.ownership.spec import OwnershipSpec
from bessemer.serve.predictor import own_feeds
from bessemer.serve.wire import Array, Batch, Predictions


class AlteredAnswers:
    """Gives a keyed share of rows a wrong class, to the same client always the same.

    Probabilities and scores say it too: of several classes two change places; of two the probability is reflected, so
    that it lies on the other side of what decides.
    """

    def __init__(self, alteration: Alteration, signature: Signature, thresholds: Sequence[float]) -> None:
        self.alteration, self._signature = alteration, signature
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
        true = [self._place[one] for one in outputs["prediction"][at].tolist()]
        for row, own in zip(at, true, strict=True):
            wrong = wrong_class(own, int(shifts[row]), len(self._place))
            outputs["prediction"][row] = self._signature.classes[wrong]
            self._say(outputs, row, own, wrong)
        return Predictions(outputs)

    def _say(self, outputs: dict[str, Array], row: Any, own: int, wrong: int) -> None:
        """Let what stands beside the prediction agree with it."""
        if len(self._place) > 2:
            for name in ("probability", "score"):
                if name in outputs:
                    outputs[name][row, [own, wrong]] = outputs[name][row, [wrong, own]]
            return
        if "probability" not in outputs:
            return
        second = reflected(float(outputs["probability"][row, 1]), self._least, self._most, up=wrong == 1)
        outputs["probability"][row] = (1 - second, second)
        if "score" in outputs:
            inside = min(max(second, 1e-7), 1 - 1e-7)
            outputs["score"][row, 0] = np.log(inside / (1 - inside))


def reflected(probability: float, least: float, most: float, *, up: bool) -> float:
    """A probability on the other side of every threshold, as far from it as it was on its own.

    >>> reflected(0.9, 0.5, 0.5, up=False), reflected(0.3, 0.3, 0.3, up=False) < 0.3
    (0.09999999999999998, True)
    """
    if up:
        own = max(0.0, 1 - probability / max(most, 1e-9))
        found = most + (1 - most) * own
        return float(min(1.0, max(found, np.nextafter(np.float32(most), np.float32(1)))))
    own = max(0.0, (probability - least) / max(1 - least, 1e-9))
    found = least * (1 - own)
    return float(max(0.0, min(found, np.nextafter(np.float32(least), np.float32(0)))))


def altered_of(
    spec: OwnershipSpec | None, name: str, signature: Signature, thresholds: Sequence[float]
) -> AlteredAnswers | None:
    """What alters the answers of a model; None where nothing is asked for.

    Raises:
        UsageError: the key cannot be read, or the model predicts a number.
    """
    if spec is None:
        return None
    if signature.task == "regression":
        raise UsageError(
            f"the answers of '{name}' cannot be marked by `serve: ownership`: it predicts a number",
            why="only a class can be another one; a number that is a little off is found by nobody",
            fix="take out `ownership`, or serve this model from another server",
        )
    return AlteredAnswers(
        Alteration(mark_key(Path(spec.key)), name, spec.share, spec.digits), signature, thresholds
    )
