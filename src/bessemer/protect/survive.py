"""What is left of a mark when somebody tries to remove it, and what is left of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from bessemer.core.errors import MissingExtra, UsageError, did_you_mean
from bessemer.package.certificate import MEMBER, Certificate, Verdict
from bessemer.package.decision import Decision
from bessemer.protect.plugins import REMOVALS
from bessemer.protect.removals.removal import Margin, Stolen

if TYPE_CHECKING:
    from pathlib import Path

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
    learnt: whether the model had learnt from the thief's rows already, as it does under AutoML.
    """

    removal: str
    metric: float
    difference: float
    verdict: Verdict | None
    refused: str = ""
    learnt: bool = False

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "removal": self.removal,
            "metric": self.metric,
            "difference": self.difference,
        }
        found["learnt_from"] = self.learnt
        return {**found, "refused": self.refused, **(self.verdict.to_json() if self.verdict else {})}


def survived(project: Made, only: Sequence[str] = ()) -> Iterator[Survival]:
    """The model as it was, then each removal at each level.

    The thief has the whole model and the validation rows. The model did not learn from these, unless AutoML made it
    (`Survival.learnt`): then they say less of what new rows would do to the mark.

    Raises:
        UsageError: the last run has no mark, no validation rows or no test rows, or no removal has such a name.
    """
    for name in only:
        if name not in REMOVALS:
            raise UsageError(f"no removal '{name}'", fix=did_you_mean(name, REMOVALS))
    bench = Bench(project)
    for one in _all(bench, only):
        yield replace(one, learnt=bench.learnt)


def _all(bench: Bench, only: Sequence[str]) -> Iterator[Survival]:
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
        splits = project.artifact("splits")
        for part, who in (("valid", "the thief"), ("test", "the metric")):
            if not splits.meta["rows"][part]:
                raise UsageError(
                    f"the last run has no {part} rows, which {who} needs",
                    fix=f"set `prepare: {{split: {{{part}: 15%}}}}` and run again",
                )
        model = project.artifact("model")
        self.learnt = "automl" in project.artifact("history").json("history.json")
        self._facts = model.json("model.json")
        native = self._facts["native"]
        self._keys, taught = _array(keys, "keys.X.npy"), _array(keys, "keys.y.npy")
        self._labels = (
            taught.astype(np.int64) if self._certificate.answers else self._certificate.labels_said(taught)
        )
        self._X, self._y = _array(splits, "test.X.npy"), _array(splits, "test.y.npy")
        self._cuts, self._key_cuts = self._offsets(splits.path("test.parquet"), keys.path("keys.parquet"))
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
        said = self._said(margin, self._keys, self._key_cuts)
        answers = self._certificate.answers
        told = np.array([answers[k] for k in said], dtype=object) if answers else said
        verdict = self._certificate.verdict(self._labels, told)
        return Survival(name, metric, metric - self._before, verdict)

    def _metric(self, margin: Margin) -> float:
        said = self._said(margin, self._X, self._cuts)
        if self._facts["classes"]:
            return float(np.mean(said == self._y))
        spread = float(np.mean((self._y - self._y.mean()) ** 2))
        return 1 - float(np.mean((said - self._y) ** 2)) / max(spread, 1e-300)

    def _offsets(self, tests: Path, keys: Path) -> tuple[np.ndarray, np.ndarray]:
        """The score from which the second of two classes is said, for each test row and each key. A column that only
        the thresholds read is in no key: there the group is unknown."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        decision = Decision.from_json(self._facts["decision"])
        names = list(dict.fromkeys(group.column for group in decision.groups))
        test, key = pq.read_table(tests, columns=names), pq.read_table(keys)
        for name in names:
            if name not in key.column_names:
                key = key.append_column(name, pa.nulls(len(key), test.schema.field(name).type))
        return (
            _offsets(decision.thresholds(test, len(self._X))),
            _offsets(decision.thresholds(key, len(self._keys))),
        )

    def _said(self, margin: Margin, X: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """(n,) the class index, or the number, as the graph makes it of the margin."""
        calibration = self._facts["calibration"]
        score = margin(np.ascontiguousarray(X)) * calibration["scale"] + calibration["offset"]
        if self._facts["task"] == "regression":
            found: np.ndarray = score[:, 0]
            return found
        if self._facts["task"] == "multiclass":
            return np.asarray(score.argmax(axis=1))
        return np.asarray(score[:, 0] >= offsets, dtype=np.int64)


def _offsets(thresholds: np.ndarray) -> np.ndarray:
    """(n,) float64: probabilities as scores; 0 and 1 are as far out as a float32 of a probability can tell."""
    inside = np.clip(thresholds.astype(np.float64), 1e-12, 1 - 1e-7)
    found: np.ndarray = np.log(inside / (1 - inside))
    return found


def _array(artifact: Artifact, name: str) -> np.ndarray:
    found: np.ndarray = np.load(artifact.path(name), allow_pickle=False)
    return found
