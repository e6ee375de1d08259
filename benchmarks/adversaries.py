"""Who asks to find out how a model answers: what watching costs a query, what it finds, what it cries for nothing.

    .venv/bin/python benchmarks/adversaries.py [--data adult telco] [--windows 60] [--attacks 5]

Models are made by `bessemer run` (LightGBM) of real tables; harmless traffic is made of their test rows, from clients
who ask little or much, in the order of a column, for one segment, over and over; attacks ask the real model. CPU time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "monitor"))

from adversary_support import Looking, harmless, read, window  # noqa: E402
from attacks import Domain, Rows, hop_skip_jump, jacobian, joined, shuffled, size, square, take, uniform  # noqa: E402
from peers.machine import machine  # noqa: E402

import bessemer  # noqa: E402
from bessemer.monitor.reference import reference_of  # noqa: E402
from bessemer.monitor.watchers.fingerprints import FEW, Fingerprints  # noqa: E402
from bessemer.monitor.watchers.near_queries import NearQueries  # noqa: E402
from bessemer.monitor.watchers.uniform_queries import UniformQueries  # noqa: E402
from bessemer.stats.answer_mark import mark_evidence, mark_shares, score_of, wave_of  # noqa: E402
from bessemer.stats.givers import compare_givers, label_surprise  # noqa: E402
from bessemer.stats.image_prints import SeenImages, image_prints  # noqa: E402

DATA = ROOT.parent / "shared" / "data"
TARGETS = {"adult": "income", "telco": "Churn"}
WATCHERS = {"near_queries": NearQueries, "uniform_queries": UniformQueries, "fingerprints": Fingerprints}
#: One false alarm a month of hourly windows, of some 40 tests in each.
ALARM = 1 / 730 / 40


def trained(name: str, folder: Path) -> Any:
    """The package that `bessemer run` makes."""
    (folder / "bessemer.yaml").write_text(
        f"name: {name}\ndata: {DATA / name / 'train.csv'}\ntarget: {TARGETS[name]}\ntrain: {{learner: lightgbm}}\n"
    )
    bessemer.Project(folder / "bessemer.yaml").run()
    return bessemer.load(next((folder / "build").glob("*.bsm")))


class Table:
    """A model with the rows to ask it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.model = name, trained(name, folder)
        dtypes = {field.name: field.dtype for field in self.model.signature.inputs}
        self.train, self.test = (read(DATA / name / f"{part}.csv", dtypes) for part in ("train", "test"))
        self.domain, self.reference = Domain.of(self.train), reference_of(self.model)

    def ask(self, rows: Rows) -> np.ndarray:
        table = pa.table({name: pa.array(values, from_pandas=True) for name, values in rows.items()})
        return np.asarray(self.model.session.run(table, ["probability"])["probability"][:, 1])

    def attacks(self, seed: int) -> Iterator[tuple[str, Rows]]:
        rng, n = np.random.default_rng(seed), size(self.test)
        seeds = take(self.test, rng.permutation(n)[:100])
        yield "Jacobian augmentation", joined(list(jacobian(self.ask, self.domain, seeds, 4, 0.1, rng)))
        yield "HopSkipJump", joined(list(self._edges(rng, 2)))
        rows = [take(self.test, [int(i)]) for i in rng.permutation(n)[:4]]
        yield "Square", joined([square(self.ask, self.domain, row, 0.3, 200, rng) for row in rows])
        yield "uniform extraction", uniform(self.domain, 300, rng)
        yield "shuffled columns", shuffled(self.train, 300, rng)

    def _edges(self, rng: np.random.Generator, count: int) -> Iterator[Rows]:
        """HopSkipJump on rows for which another row's numbers alone change the class."""
        while count:
            row = take(self.test, [int(rng.integers(size(self.test)))])
            others = self.domain.scaled(take(self.test, rng.permutation(size(self.test))[:200]))
            repeated = take(row, np.zeros(len(others), dtype=int))
            other = (self.ask(self.domain.moved(repeated, others)) > 0.5) != (self.ask(row)[0] > 0.5)
            if other.any():
                count -= 1
                yield hop_skip_jump(self.ask, self.domain, row, others[int(other.argmax())], 10, rng)


def watched(table: Table, windows: int, attacks: int, folder: Path) -> dict[str, Any]:
    """Windows without harm, then attacks among such windows."""
    looking = {name: Looking(kind(kind.Settings()), table.reference) for name, kind in WATCHERS.items()}
    p_values: dict[str, list[float]] = {name: [] for name in WATCHERS}
    false, seconds, queries = dict.fromkeys(WATCHERS, 0), dict.fromkeys(WATCHERS, 0.0), 0
    for turn in range(windows):
        one = window(folder, harmless(table.test, turn), np.random.default_rng(turn))
        queries += one.rows
        for name, watcher in looking.items():
            begin = time.process_time()
            found = [float(test.p_value or 0.0) for test in watcher.at(one).values()]
            seconds[name] += time.process_time() - begin
            p_values[name] += found
            false[name] += min(found) < ALARM
    report: dict[str, Any] = {
        name: {
            "us a query": seconds[name] / queries * 1e6,
            "clients": len(values),
            "p < 0.01": float(np.mean(np.array(values) < 0.01)),
            "p < 0.001": float(np.mean(np.array(values) < 0.001)),
            "false windows": f"{false[name]} of {windows}",
        }
        for name, values in p_values.items()
    }
    hits: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for seed in range(attacks):
        for attack, rows in table.attacks(seed):
            traffic = [*harmless(table.test, 1000 + seed), (f"mallory-{seed}", rows)]
            _count(
                hits, attack, f"mallory-{seed}", looking, window(folder, traffic, np.random.default_rng(seed))
            )
        rows = dict(table.attacks(seed))["Jacobian augmentation"]
        who = np.random.default_rng(seed).integers(0, 100, size(rows))
        keys = [(f"key-{seed}-{i}", take(rows, who == i)) for i in range(100)]
        traffic = [*harmless(table.test, 2000 + seed), *keys]
        one = window(folder, traffic, np.random.default_rng(seed))
        _count(hits, "the first by 100 keys", FEW, {"fingerprints": looking["fingerprints"]}, one)
    report["attacks"] = {
        attack: {name: _summary(values) for name, values in by.items()} for attack, by in hits.items()
    }
    return report


def _count(hits: Any, attack: str, client: str, looking: dict[str, Looking], one: Any) -> None:
    for name, watcher in looking.items():
        test = watcher.at(one).get(client)
        found = (test.value, float(test.p_value or 0.0)) if test is not None else (0.0, 1.0)
        hits.setdefault(attack, {}).setdefault(name, []).append(found)


def _summary(values: list[tuple[float, float]]) -> dict[str, float]:
    shares, ps = zip(*values, strict=True)
    found = [float(np.mean(np.array(ps) < limit)) for limit in (0.001, ALARM)]
    return {"share": float(np.median(shares)), "found at 0.001": found[0], "found at a month's": found[1]}


def poisoned(table: Table, seeds: int = 40, clients: int = 30) -> dict[str, Any]:
    """Labels of `clients` clients with errors of their own (2 % in the mean), one of whom turns some round."""
    p = table.ask(table.test)
    found: dict[str, Any] = {}
    harmless_p: list[float] = []
    for share in (0.1, 0.2, 0.4):
        caught = []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            each = np.stack(
                [_labels(p, rng, share if i == 0 else rng.beta(1, 49)) for i in range(clients)], axis=1
            )
            total, variance, count = each
            judged = compare_givers(total / count, variance / count**2, range(clients))
            caught.append(judged.p_value[0])
            harmless_p += judged.p_value[1:].tolist()
        found[f"{share:.0%} turned round"] = {
            f"found at {a:g}": float(np.mean(np.array(caught) < a)) for a in (0.01, 0.001)
        }
    found["harmless"] = {f"p < {a:g}": float(np.mean(np.array(harmless_p) < a)) for a in (0.01, 0.001)}
    return found


def _labels(p: np.ndarray, rng: np.random.Generator, wrong: float) -> tuple[float, float, int]:
    n = int(rng.integers(200, 600))
    mine = p[rng.integers(0, len(p), n)]
    label = (rng.random(n) < mine) ^ (rng.random(n) < wrong)
    over, variance = label_surprise(np.stack([1 - mine, mine], axis=1), label.astype(int))
    return float(over.sum()), float(variance.sum()), n


def marked(table: Table, harm: float = 0.01, seeds: int = 5) -> dict[str, Any]:
    """The p-value of the right client's mark, in answers and in copies that LightGBM learnt from them."""
    from lightgbm import LGBMRegressor

    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        asked = take(table.train, rng.permutation(size(table.train))[:3000])
        p, wave = table.ask(asked).astype(np.float64), wave_of(bytes([seed]) * 32, "mallory\nmodel")
        given = mark_shares(np.stack([1 - p, p], axis=1), wave, harm)[:, 1]
        features = table.domain.encoded(asked)
        for name, taught in (("copy, asked again", given), ("copy of unmarked answers", p)):
            copy = LGBMRegressor(n_estimators=400, num_leaves=63, verbose=-1, n_jobs=1)
            said = 1 / (1 + np.exp(-copy.fit(features, score_of(taught)).predict(features)))
            found.setdefault(name, []).append(mark_evidence(score_of(p), said - p, wave, rng)[1])
        for name, answers, own in (
            ("200 answers", given, wave),
            ("200 answers to two decimals", given.round(2), wave),
            ("200 answers, another client's mark", given, wave_of(bytes([seed]) * 32, "shop\nmodel")),
        ):
            found.setdefault(name, []).append(
                mark_evidence(score_of(p[:200]), (answers - p)[:200], own, rng)[1]
            )
    return {
        name: {"median p": float(np.median(values)), "greatest p": max(values)}
        for name, values in found.items()
    }


def images() -> dict[str, float]:
    """The Square attack (L-infinity) on scikit-learn's digits, a logistic model."""
    from digits_square import attacked_digits

    digits = attacked_digits(attacks=40)
    settings = {"window": 10, "step": 4, "kept": 30}
    begin = time.process_time()
    known = image_prints(digits.harmless, **settings)
    seen = SeenImages()
    harmless_shared = seen.add(known)
    cost = (time.process_time() - begin) / len(known) * 1e6
    shared = np.concatenate([seen.add(image_prints(asked, **settings))[1:] for asked in digits.asked])
    return {
        "us an image": cost,
        "attacks that succeed": digits.succeeded,
        "queries flagged from the second on": float(np.mean(shared >= 12)),
        "harmless images flagged": float(np.mean(harmless_shared >= 12)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--windows", type=int, default=60)
    parser.add_argument("--attacks", type=int, default=5)
    asked = parser.parse_args()
    report: dict[str, Any] = {"machine": machine()}
    for name in asked.data:
        with tempfile.TemporaryDirectory() as folder:
            table = Table(name, Path(folder))
            report[name] = watched(table, asked.windows, asked.attacks, Path(folder))
            report[name]["feedback"] = poisoned(table)
            report[name]["marks"] = marked(table)
    report["images"] = images()
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
