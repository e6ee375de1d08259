"""Clients whose labels are less likely than others': feedback that is poisoned, or that comes from a broken join."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.scored import truth_of
from bessemer.monitor.watching.asked import NOBODY, recent
from bessemer.monitor.watching.clients import CLIENTS, OTHERS
from bessemer.monitor.watching.logged import outputs_in
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.package.prediction_log.read import labels_given
from bessemer.stats.arrays import Floats
from bessemer.stats.givers import compare_givers, label_surprise
from bessemer.stats.unlabelled import Residuals

#: Of a regression an error counts as so many times the usual one at most.
_FARTHEST = 5.0


class FeedbackSettings(Spec):
    """Whose labels are watched, and from how many on."""

    least: int = Field(50, ge=20, description="A client is judged once it has given so many labels.")
    ignore: list[str] = Field([], description="Clients whose labels are not watched.")


class FeedbackLabels:
    """How much less likely each client's labels are than the model expected, against those of the other clients.

    A label that nobody doubts says little, one that the model was sure against says much. Where all clients' labels
    have changed none stands out: that is a concept that drifts. So it takes labels of `OTHERS` clients beside.
    """

    kind: ClassVar[Kind] = "adversary"
    again: ClassVar[bool] = False
    empty: ClassVar[bool] = True
    Settings: ClassVar[type[Spec]] = FeedbackSettings

    def __init__(self, settings: FeedbackSettings) -> None:
        self._settings = settings

    def watch(self, watched: Watched) -> Said:
        sums = {client: np.array(found) for client, found in watched.memory.get("open", {}).items()}
        last = {client: np.array(found) for client, found in watched.memory.get("last", {}).items()}
        for client, found in _given(watched):
            if client not in self._settings.ignore:
                sums[client] = sums.pop(client, np.zeros(3)) + found
        ready = [client for client, found in sums.items() if found[2] >= self._settings.least]
        for client in ready:
            last.pop(client, None)
            last[client] = sums.pop(client)
        tests, shown = _judged(ready, last)
        memory = {
            name: {client: found.tolist() for client, found in recent(kept, CLIENTS).items()}
            for name, kept in (("open", sums), ("last", last))
        }
        return Said(tuple(tests), {"excess": shown, "clients": len(last)}, memory)


def _judged(ready: list[str], last: dict[str, Floats]) -> tuple[list[Test], dict[str, float]]:
    if len(last) <= OTHERS or not ready:
        return [], {}
    names = list(last)
    total, variance, labels = np.stack(list(last.values()), axis=1)
    places = [names.index(client) for client in ready]
    found = compare_givers(total / labels, variance / labels**2, places)
    each = list(zip(ready, places, found.excess.tolist(), found.p_value.tolist(), strict=True))
    tests = [_test(client, excess, int(labels[place]), p_value) for client, place, excess, p_value in each]
    return tests, {client: excess for client, _, excess, _ in each}


def _test(client: str, excess: float, labels: int, p_value: float) -> Test:
    text = (
        f"the {labels:,} labels that '{client}' gave are less likely than other clients': the model was {excess:.3f} "
        "further from them"
    )
    return Test(
        *("feedback", client, "adversary", "surprise of the labels", excess, text, p_value, None, "client")
    )


def _given(watched: Watched) -> Iterator[tuple[str, Floats]]:
    """Of each client of a batch: the sum of the surprise of its labels, its variance, and how many there are."""
    signature, residuals = watched.model.signature, watched.reference.residuals
    window = watched.window
    names = _outputs(watched)
    for batch in labels_given(
        watched.log, watched.name, watched.model.version, _utc(window.start), _utc(window.end), names
    ):
        truth = truth_of(batch.column("label"), signature)
        known = np.isfinite(truth)
        predicted, probability, _ = outputs_in(batch, signature)
        if signature.task == "regression":
            assert residuals is not None, "the reference of a regression has its errors"
            over, variance = _errors(truth[known], predicted[known], residuals)
        else:
            over, variance = label_surprise(probability[known], truth[known])
        givers = np.array(batch.column("giver").to_pylist(), dtype=object)[known]
        for client in dict.fromkeys(givers.tolist()):
            own = givers == client
            yield client or NOBODY, np.array([over[own].sum(), variance[own].sum(), own.sum()])


def _errors(truth: Floats, predicted: Floats, residuals: Residuals) -> tuple[Floats, Floats]:
    """Of a regression: each error against those of the test rows with predictions of that size, and its variance."""
    counts = np.maximum(residuals.counts, 1)
    usual = np.maximum(residuals.absolute / counts, 1e-12)
    spread = np.maximum(residuals.squared / counts / usual**2 - 1, 1e-3)
    place = np.searchsorted(residuals.edges[1:-1], predicted)
    over = np.minimum(np.abs(truth - predicted) / usual[place], _FARTHEST) - 1
    return over, spread[place]


def _outputs(watched: Watched) -> list[str]:
    signature = watched.model.signature
    if signature.task == "regression":
        return ["out.prediction"]
    if signature.task == "binary":
        return ["out.prediction", "out.probability", "out.score"]
    return ["out.prediction", *(f"out.probability_{name}" for name in signature.classes)]


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.replace(tzinfo=dt.UTC)
