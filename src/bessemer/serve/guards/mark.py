"""Marked answers of one client: a wave in its probabilities that only a key knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bessemer.serve.errors import RequestError
from bessemer.serve.wire import Array, Batch, Predictions
from bessemer.stats.answer_mark import mark_numbers, mark_shares, score_of, wave_of

if TYPE_CHECKING:
    from bessemer.serve.dialect import Subject


class Mark:
    """What marks the answers of a client.

    key: at least 16 bytes. client: its name. harm: by how much a probability is moved at most; of a number its share.
    """

    def __init__(self, key: bytes, client: str, harm: float) -> None:
        self._key, self._client, self._harm = key, client, harm

    @staticmethod
    def check(batch: Batch) -> None:
        """Refuse (403) what would tell the score that the mark hides."""
        if batch.explain:
            raise RequestError(403, "answers are not explained to this client at present")

    def on(self, subject: Subject, predictions: Predictions) -> Predictions:
        """The predictions with the mark; what is predicted stays, and the score says the same as the probability."""
        wave = wave_of(self._key, mark_name(self._client, subject.name))
        outputs = dict(predictions.outputs)
        if "probability" in outputs:
            given = outputs["probability"]
            marked = mark_shares(given, wave, self._harm, subject.thresholds).astype(given.dtype)
            changed = {"probability": marked}
            if "score" in outputs:
                changed["score"] = _scores(outputs["score"], given, marked)
        else:
            changed = {
                name: mark_numbers(outputs[name], wave, self._harm).astype(outputs[name].dtype)
                for name in ("prediction", "score")
                if name in outputs
            }
        return Predictions({**outputs, **changed})


def mark_name(client: str, model: str) -> str:
    """What the wave of a client's answers is named by: those of two models have nothing in common."""
    return f"{client}\n{model}"


def _scores(scores: Array, before: Array, after: Array) -> Array:
    """Raw scores moved as their probabilities were."""
    if scores.shape[1] == 1:
        moved = score_of(after[:, 1]) - score_of(before[:, 1])
        return (scores + moved[:, None]).astype(scores.dtype)
    tiny = np.finfo(np.float32).tiny
    found: Array = scores + np.log(np.maximum(after, tiny)) - np.log(np.maximum(before, tiny))
    return found.astype(scores.dtype)
