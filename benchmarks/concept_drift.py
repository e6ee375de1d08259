"""Concept drift: how late each detector finds more errors, against how often it cries for nothing.

    .venv/bin/python benchmarks/concept_drift.py [--seeds 20]

First the detectors as they are, label by label, at three settings each: errors of one in ten that become 15 in a
hundred, at once, little by little (over 2,000 labels), or off and on (every 500 labels). Then the watchers as
`bessemer monitor` runs them, on windows of 100 labels with 2 in 100,000 false alarms a window (one a month, hourly
windows, 70 tests): on such errors with few and with many test rows, and on streams that river carries. There a model
learns from the first rows, is tested on the next, and watched on the rest. SEA, Agrawal and STAGGER change the concept
of every other row; Phishing, Bananas and Shuttle are real and shuffled, and every other label is turned over where the
first column is above its mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier
from peers.machine import machine
from river import datasets
from river.datasets import synth
from river.drift.binary import EDDM

from bessemer.core.plugin_settings import opened
from bessemer.monitor.plugins import WATCHERS
from bessemer.monitor.watchers.cusum import charted
from bessemer.monitor.watchers.error_stream import Tail
from bessemer.stats.bernoulli_cusum import chart, levels
from bessemer.stats.cusum_chance import reached_p
from bessemer.stats.error_bins import ErrorBins
from bessemer.stats.excursion import Excursion, follow
from bessemer.stats.latest_rise import latest_rise

BEFORE, WORSE, AFTER, CALM = 0.10, 0.15, 10_000, 50_000
WINDOW, EACH, FALSE_ALARM = 100, 2e-5, 1 / 720
RIVER: dict[str, list[dict[str, Any]]] = {
    "adwin": [{"delta": 0.2}, {"delta": 0.002}, {"delta": 2e-5}],
    "ddm": [{"drift_threshold": 2.5}, {"drift_threshold": 3.0}, {"drift_threshold": 4.0}],
    "hddm": [
        {"drift_confidence": 0.01},
        {"drift_confidence": 0.001},
        {"mean": "weighted", "drift_confidence": 0.001},
    ],
    "page_hinkley": [{"threshold": 25.0}, {"threshold": 50.0}, {"threshold": 100.0}],
}
#: Levels of the chart, as evidence.
CUSUM = (4.0, 6.0, 8.0)


# label by label ------------------------------------------------------------------------------------------


def rates(change: str) -> np.ndarray:
    """The error rate at each label after a change began."""
    if change == "sudden":
        return np.full(AFTER, WORSE)
    if change == "gradual":
        return BEFORE + (WORSE - BEFORE) * np.minimum(1.0, np.arange(AFTER) / 2000)
    return np.where(np.arange(AFTER) // 500 % 2 == 0, WORSE, BEFORE)


def by_chart(limit: float, errors: np.ndarray) -> list[int]:
    """Where the chart alarms; it begins anew after each."""
    asked, found, start = chart(BEFORE, 1.5), [], 0
    while True:
        there = np.flatnonzero(levels(asked, errors[start:]) >= limit / asked.evidence(1))
        if not len(there):
            return found
        start += int(there[0]) + 1
        found.append(start - 1)


def by_river(name: str, settings: dict[str, Any], errors: np.ndarray) -> list[int]:
    return alarms(opened({name: settings}, WATCHERS)[name].detector(), errors)


def alarms(detector: Any, errors: np.ndarray) -> list[int]:
    found = []
    for i, error in enumerate(errors.astype(int).tolist()):
        detector.update(error)
        if detector.drift_detected:
            found.append(i)
    return found


def label_by_label(seeds: int) -> None:
    detectors: dict[str, Callable[[np.ndarray], list[int]]] = {
        f"cusum, evidence {limit:g}": partial(by_chart, limit) for limit in CUSUM
    }
    for name, variants in RIVER.items():
        for settings in variants:
            words = ", ".join(str(value) for value in settings.values())
            detectors[f"{name}, {words}"] = partial(by_river, name, settings)
    detectors["eddm (not offered)"] = lambda errors: alarms(EDDM(), errors)
    print("| detector | false alarms in 10,000 labels | sudden: delay (found) | gradual | recurring |")
    print("| --- | --- | --- | --- | --- |")
    for name, detect in detectors.items():
        false = [len(detect(np.random.default_rng(s).random(CALM) < BEFORE)) for s in range(seeds)]
        cells = [f"{sum(false) / seeds / CALM * 10_000:.2f}"]
        cells += [told(list(delays(detect, change, seeds))) for change in ("sudden", "gradual", "recurring")]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def delays(detect: Callable[[np.ndarray], list[int]], change: str, seeds: int) -> Iterator[float]:
    """The first alarm after 5,000 calm labels; what alarms before the change is no finding of it."""
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 1])
        errors = rng.random(5000 + AFTER) < np.concatenate([np.full(5000, BEFORE), rates(change)])
        yield next((place - 5000.0 for place in detect(errors) if place >= 5000), np.inf)


def told(found: list[float]) -> str:
    there = [delay for delay in found if np.isfinite(delay)]
    median = f"{np.median(found):,.0f}" if np.isfinite(np.median(found)) else "-"
    return f"{median} ({len(there)}/{len(found)})"


# as watchers ---------------------------------------------------------------------------------------------


def watched_by_chart(known: ErrorBins, errors: np.ndarray) -> list[int]:
    """The windows that have a finding; the chart begins anew after each."""
    asked, at, found = charted(known, 1.5, FALSE_ALARM), Excursion(), []
    wrong, rows = float(known.errors.sum()), float(known.counts.sum())
    for i, window in enumerate(errors.reshape(-1, WINDOW)):
        at, peak = follow(asked, window, np.arange(WINDOW), at)
        if asked.evidence(peak.level) > 6 and reached_p(asked, peak.level, WINDOW, wrong, rows) <= EACH:
            found.append(i)
            at = Excursion()
    return found


def watched_by_river(name: str, known: ErrorBins, errors: np.ndarray) -> list[int]:
    watcher, found = opened({name: {}}, WATCHERS)[name], []
    tail = Tail(watcher.detector, {})
    for i, window in enumerate(errors.reshape(-1, WINDOW)):
        tail.add(window.astype(int).tolist(), 0)
        rise = latest_rise(tail.bits) if tail.alarm is not None else None
        if rise is not None and rise.p_value <= EACH:
            found.append(i)
            tail = Tail(watcher.detector, {})
    return found


def stream(name: str, seed: int) -> tuple[Any, Any, Any, Any]:
    """Rows and labels before and after the change."""
    made = {
        "SEA": lambda part: synth.SEA(variant=3 * part, seed=seed + 7 * part, noise=0.1),
        "Agrawal": lambda part: synth.Agrawal(
            classification_function=4 * part, seed=seed + 7 * part, perturbation=0.1
        ),
        "STAGGER": lambda part: synth.STAGGER(classification_function=part, seed=seed + 7 * part),
    }
    if name in made:
        old, new = (list(made[name](part).take(18_000)) for part in (0, 1))
        late = [(new if i % 2 else old)[i] for i in range(12_000, 18_000)]
        return *table(old[:12_000]), *table(late)
    rows = list(
        {"Phishing": datasets.Phishing, "Bananas": datasets.Bananas, "Shuttle": datasets.Shuttle}[name]()
    )
    X, y = table(rows)
    order = np.random.default_rng(seed).permutation(len(y))[:18_000]
    X, y, cut = X[order], y[order], len(order) // 2
    late, rng = y[cut:].copy(), np.random.default_rng([seed, 2])
    other = (X[cut:, 0] > X[:, 0].mean()) & (rng.random(len(late)) < 0.5)
    return X[:cut], y[:cut], X[cut:], np.where(other, 1 - late, late)


def table(rows: list[tuple[dict[Any, Any], Any]]) -> tuple[np.ndarray, np.ndarray]:
    names = sorted(rows[0][0], key=str)
    columns = [[row[name] for row, _ in rows] for name in names]
    coded = [
        np.unique(column, return_inverse=True)[1] if isinstance(column[0], str) else column
        for column in columns
    ]
    return np.array(coded, dtype=float).T, np.array([int(label) for _, label in rows])


def errors_of(name: str, seed: int) -> tuple[ErrorBins, np.ndarray, int]:
    """The errors of a model of the first third, tested on the second: the reference, what follows, its calm windows."""
    if name.startswith("errors"):
        return planted(float(name.split()[-1].replace(",", "")), seed)
    X, y, X_late, y_late = stream(name, seed)
    third = len(y) // 3
    model = LGBMClassifier(n_estimators=60, num_leaves=15, random_state=seed, n_jobs=1, verbose=-1)
    model.fit(X[:third], y[:third])
    wrong = model.predict(X) != y
    tested, calm = wrong[third : 2 * third], wrong[2 * third :]
    known = ErrorBins(
        np.array([0.0, 1.0]), np.array([float(len(tested))]), np.array([float(tested.sum())]), np.zeros(0)
    )
    late = model.predict(X_late) != y_late
    quiet, loud = len(calm) // WINDOW, len(late) // WINDOW
    return known, np.concatenate([calm[: quiet * WINDOW], late[: loud * WINDOW]]), quiet


def planted(test_rows: float, seed: int) -> tuple[ErrorBins, np.ndarray, int]:
    rng = np.random.default_rng([seed, 3])
    wrong = float(rng.binomial(int(test_rows), BEFORE))
    known = ErrorBins(np.array([0.0, 1.0]), np.array([test_rows]), np.array([wrong]), np.zeros(0))
    errors = rng.random(5000 + AFTER) < np.concatenate([np.full(5000, BEFORE), np.full(AFTER, WORSE)])
    return known, errors, 5000 // WINDOW


def as_watchers(seeds: int) -> None:
    names = ["cusum", *RIVER]
    print(f"\n| stream | test rows | error before, after | {' | '.join(names)} | false |")
    print(f"| --- | --- | --- |{' --- |' * len(names)} --- |")
    made = [f"errors, test rows: {rows:,}" for rows in (500, 5_000, 50_000)]
    for name in (*made, "SEA", "Agrawal", "STAGGER", "Phishing", "Bananas", "Shuttle"):
        streams = [errors_of(name, seed) for seed in range(seeds)]
        before = np.mean([errors[: quiet * WINDOW].mean() for _, errors, quiet in streams])
        after = np.mean([errors[quiet * WINDOW :].mean() for _, errors, quiet in streams])
        cells, false, calm = [], 0, 0
        for watcher in names:
            late = []
            for known, errors, quiet in streams:
                found = (
                    watched_by_chart(known, errors)
                    if watcher == "cusum"
                    else watched_by_river(watcher, known, errors)
                )
                false, calm = false + sum(i < quiet for i in found), calm + quiet
                late.append(next(((i + 1 - quiet) * WINDOW for i in found if i >= quiet), np.inf))
            cells.append(told(late))
        rows = f"{streams[0][0].counts.sum():,.0f}"
        shown = f"{before:.1%}, {after:.1%}"
        print(f"| {name} | {rows} | {shown} | {' | '.join(cells)} | {false} of {calm:,} |", flush=True)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seeds", type=int, default=20)
    asked.add_argument("--stream-seeds", type=int, default=10)
    given = asked.parse_args()
    print(machine(), flush=True)
    label_by_label(given.seeds)
    as_watchers(given.stream_seeds)


if __name__ == "__main__":
    main()
