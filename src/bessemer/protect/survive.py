"""What is left of a mark when somebody tries to remove it, and what is left of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bessemer.core.errors import MissingExtra, UsageError, did_you_mean
from bessemer.package.certificate import MEMBER, Certificate, Verdict
from bessemer.package.decision import Decision
from bessemer.protect.plugins import REMOVALS
from bessemer.protect.removals.removal import Margin, Stolen

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact

_SEED = 0


class Made(Protocol):
    """A project whose last run made artifacts."""

    def artifact(self, name: str) -> Artifact: ...


@dataclass(frozen=True)
class Survival:
    """The mark and the model after a removal.

    metric: the accuracy on the test rows, or R^2 of a number; difference: to the model as it was.
    refused: why the removal could not be tried, or ''; then the rest means nothing.
    """

    removal: str
    metric: float
    difference: float
    verdict: Verdict | None
    refused: str = ""

    def to_json(self) -> dict[str, Any]:
        found = {"removal": self.removal, "metric": self.metric, "difference": self.difference}
        return {**found, "refused": self.refused, **(self.verdict.to_json() if self.verdict else {})}


def survived(project: Made, only: Sequence[str] = ()) -> Iterator[Survival]:
    """The model as it was, then each removal at each level.

    The thief has the whole model and the validation rows, which it did not learn from.

    Raises:
        UsageError: the last run has no mark, or no removal has such a name.
    """
    for name in only:
        if name not in REMOVALS:
            raise UsageError(f"no removal '{name}'", fix=did_you_mean(name, REMOVALS))
    bench = Bench(project)
    yield bench.judged("as it is", bench.stolen.margin())
    for name in only or REMOVALS.names():
        yield from _tried(name, bench)


def _tried(name: str, bench: Bench) -> Iterator[Survival]:
    removal = REMOVALS.load(name)()
    if why := removal.refuses(bench.stolen):
        yield Survival(name, 0.0, 0.0, None, why)
        return
    for level in removal.LEVELS:
        try:
            after = removal.remove(bench.stolen, level)
        except MissingExtra as missing:
            yield Survival(name, 0.0, 0.0, None, str(missing).partition("\n")[0])
            return
        yield bench.judged(removal.name(level), after)


class Bench:
    """The last run of a project, as survival is measured on it."""

    def __init__(self, project: Made) -> None:
        keys, certificate = project.artifact("keys"), project.artifact("certificate")
        if not keys.meta["keys"]:
            raise UsageError(
                "the last run has no mark that could survive",
                fix="write `protect: {mark: crossover}` and run again",
            )
        self._certificate = Certificate.from_json(certificate.json(MEMBER))
        model, splits = project.artifact("model"), project.artifact("splits")
        self._facts = model.json("model.json")
        native = self._facts["native"]
        self._keys, taught = _array(keys, "keys.X.npy"), _array(keys, "keys.y.npy")
        self._labels = (
            taught.astype(np.int64) if self._certificate.answers else self._certificate.labels_said(taught)
        )
        self._X, self._y = _array(splits, "test.X.npy"), _array(splits, "test.y.npy")
        self.stolen = Stolen(
            native["kind"],
            model.bytes(native["file"]),
            self._facts["task"],
            len(self._facts["classes"]),
            _array(splits, "valid.X.npy"),
            _array(splits, "valid.y.npy"),
            _SEED,
        )
        self._before = self._metric(self.stolen.margin())

    def judged(self, name: str, margin: Margin) -> Survival:
        metric = self._metric(margin)
        said = self._said(margin, self._keys)
        answers = self._certificate.answers
        told = np.array([answers[k] for k in said], dtype=object) if answers else said
        verdict = self._certificate.verdict(self._labels, told)
        return Survival(name, metric, metric - self._before, verdict)

    def _metric(self, margin: Margin) -> float:
        said = self._said(margin, self._X)
        if self._facts["classes"]:
            return float(np.mean(said == self._y))
        spread = float(np.mean((self._y - self._y.mean()) ** 2))
        return 1 - float(np.mean((said - self._y) ** 2)) / max(spread, 1e-300)

    def _said(self, margin: Margin, X: np.ndarray) -> np.ndarray:
        """(n,) the class index, or the number, as the graph makes it of the margin."""
        calibration, decision = self._facts["calibration"], self._facts["decision"]
        score = margin(np.ascontiguousarray(X)) * calibration["scale"] + calibration["offset"]
        if self._facts["task"] == "regression":
            found: np.ndarray = score[:, 0]
            return found
        if self._facts["task"] == "multiclass":
            return np.asarray(score.argmax(axis=1))
        threshold = Decision.from_json(decision).threshold
        return np.asarray(score[:, 0] >= np.log(threshold / (1 - threshold)), dtype=np.int64)


def _array(artifact: Artifact, name: str) -> np.ndarray:
    found: np.ndarray = np.load(artifact.path(name), allow_pickle=False)
    return found
