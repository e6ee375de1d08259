"""How good a model is while its labels have not come: estimates held against what labels said later.

    .venv/bin/python benchmarks/late_labels.py [--rows 100000 2000]

The data sets are those that NannyML carries: a model's predictions on rows of a reference and, later, of chunks whose
labels are known by now. Ours is what `bessemer monitor` says of a chunk without labels, by the reference that the
profile stage would make; NannyML's are CBPE (classifiers) and DLE (regressions), in an environment of its own that is
made when it is not there. Both see the same reference rows and the same chunks. `--rows`: of the reference, at most.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from peers.late_labels import SETS, LateSet, estimates
from peers.machine import machine

from bessemer.core.signature import Task
from bessemer.monitor.performance import performance
from bessemer.monitor.reference import Reference
from bessemer.monitor.scored import Scored
from bessemer.monitor.window import Window
from bessemer.profile.groups import calibration
from bessemer.profile.outputs import expected, residual_sketch
from bessemer.profile.outputs import performance as measured
from bessemer.stats.metrics.outcome import Outcome, classified, estimated
from bessemer.stats.metrics.table import Scorer


def outcome_of(path: Path, task: str) -> Outcome:
    """Rows of a file as the peer's program writes it."""
    table = pq.read_table(path)
    predicted, said, truth = (table[name].to_numpy() for name in ("predicted", "said", "truth"))
    if task == "regression":
        return estimated(truth, predicted)
    return classified("binary", truth, np.stack([1 - said, said], axis=1), predicted)


def reference_of(outcome: Outcome) -> Reference:
    """What the profile stage keeps of test rows, as far as estimates need it."""
    rng = np.random.default_rng(0)
    known = measured(outcome, 200, 0.95, rng)
    facts: dict[str, Any] = {"format": 1, "output_rows": outcome.rows, "performance": known}
    facts["calibration"] = calibration(outcome)
    facts["estimated"] = expected(outcome, list(known), rng, facts["calibration"])
    if outcome.task == "regression":
        facts["residuals"] = residual_sketch(outcome)
    return Reference(facts)


def chunks(outcome: Outcome, size: int) -> Iterator[Outcome]:
    return (outcome.take(np.arange(start, start + size)) for start in range(0, outcome.rows, size))


def ours(reference: Reference, chunk: Outcome, metrics: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """The estimate of each metric: value, low, high."""
    nothing = np.full(chunk.rows, np.nan)
    predicted = np.asarray(chunk.predicted, dtype=np.float64)
    scored = Scored(Window(chunk.rows, {}), predicted, np.asarray(chunk.probability, np.float64), nothing, 0)
    task: Task = chunk.task
    found = performance(reference, scored, task, metrics[0], np.random.default_rng(7)).estimated
    return {name: found[name].to_json(name) for name in metrics}


def table(folder: Path, rows: int) -> None:
    told = json.loads(estimates(folder, rows))
    for name, about in SETS.items():
        known = outcome_of(folder / f"{name}-reference.parquet", about.task)
        later = list(chunks(outcome_of(folder / f"{name}-analysis.parquet", about.task), about.size))
        truth = np.array([Scorer(chunk, list(about.metrics))() for chunk in later])
        reference = reference_of(known)
        found = [ours(reference, chunk, about.metrics) for chunk in later]
        rows_of(name, about, known, truth, found, told[name])


def rows_of(
    name: str,
    about: LateSet,
    known: Outcome,
    truth: np.ndarray[Any, Any],
    found: list[dict[str, dict[str, float]]],
    told: Mapping[str, Mapping[str, list[float]]],
) -> None:
    """Two rows a metric: the mean absolute error of estimates, and how often the truth lies within their bounds."""
    before = Scorer(known, list(about.metrics))()
    for k, metric in enumerate(about.metrics):
        real = truth[:, k]
        own = {key: np.array([each[metric][key] for each in found]) for key in ("value", "low", "high")}
        theirs = {key: np.array(values, dtype=float) for key, values in told[metric].items()}
        assert len(theirs["value"]) == len(real), "the same chunks"
        stays = float(np.abs(real - before[k]).mean())
        moves = f"{before[k]:.4g} | {real.min():.4g} - {real.max():.4g} | {stays:.3g}"
        cells = " | ".join(judged(real, each) for each in (own, theirs))
        print(f"| {name}, {metric} | {known.rows:,} | {len(real)} | {moves} | {cells} |", flush=True)


def judged(real: np.ndarray[Any, Any], found: Mapping[str, np.ndarray[Any, Any]]) -> str:
    error = float(np.abs(found["value"] - real).mean())
    inside = int(((found["low"] <= real) & (real <= found["high"])).sum())
    width = float((found["high"] - found["low"]).mean())
    return f"{error:.3g} | {inside} of {len(real)} ({width:.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 2000])
    options = parser.parse_args()
    print(machine())
    for name, about in SETS.items():
        print(f"- {name}: {about.origin}; chunks of {about.size:,}")
    print(
        "| data, metric | reference rows | chunks | then | since | error of 'as then' "
        "| Bessemer: error | within (width) | NannyML: error | within (width) |"
    )
    print("|" + " --- |" * 10)
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            table(Path(folder), rows)


if __name__ == "__main__":
    main()
