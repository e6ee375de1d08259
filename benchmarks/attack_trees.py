"""Trees under attack: what is certified, what stands, what falls, and what it costs, on telco and adult.

    .venv/bin/python benchmarks/attack_trees.py [--data telco adult] [--rows 100] [--norm l_inf] [--nodes 2000]
    .venv/bin/python benchmarks/attack_trees.py --robust 0.1 0.25 [--seeds 3] [--rows 200] [--learner lightgbm]

LightGBM as a project trains it by default, on the first 4,000 rows of train.csv; the attacks are those of the stage
`attack`, on rows that the project itself keeps back of them. Free: all columns may move; `fixed`: what a person is may
not. Seconds are CPU time a row, setting up among it.

With `--robust` the learner is trained plainly, and by `certified` against each of these budgets, with several seeds
(other splits, other draws); all are attacked by the same budgets, on the same rows. Shares are of the rows of all seeds
together, with Wilson's interval of 95 %; `gained` is the difference to plain training, with Newcombe's, as if the rows
were not the same ones, which makes it wider.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pyarrow.csv
import pyarrow.parquet as pq

from bessemer.api import Project
from bessemer.attack.plugins import ATTACKS
from bessemer.attack.protocol import Victim
from bessemer.attack.stage import drawn
from bessemer.core.constraints import Limit
from bessemer.core.signature import Signature
from bessemer.stats.intervals import wilson
from bessemer.testing.attacks import context

SHARED = Path(__file__).parents[2] / "shared" / "data"
#: Of each table: the target, and what a person is.
DATA = {
    "telco": ("Churn", ["gender", "SeniorCitizen", "Partner", "Dependents"]),
    "adult": ("income", ["age", "race", "sex", "native_country", "fnlwgt"]),
}
ATTACKED = ("interval", "minimal", "query_search")
#: What is certified, and what stands exactly: no search can find more.
EXACT = ("interval", "minimal")


def trained(
    data: str, folder: Path, seed: int = 7, learner: str = "lightgbm", robust: dict[str, Any] | None = None
) -> Project:
    folder.mkdir(exist_ok=True)
    table = pyarrow.csv.read_csv(SHARED / data / "train.csv").slice(0, 4000)
    pq.write_table(table, folder / "data.parquet")
    train = {"learner": learner, **({"robust": robust} if robust else {})}
    own = {"name": data, "data": "data.parquet", "target": DATA[data][0], "train": train, "seed": seed}
    track = {"mlflow": "off", "tensorboard": "off"}
    (folder / "bessemer.yaml").write_text(json.dumps({**own, "track": track}), "utf-8")
    project = Project(folder)
    project.run(upto="train", track=False)
    return project


def victim(project: Project, fixed: list[str]) -> Victim:
    model = project.artifact("model")
    signature = Signature.from_json(model.json("signature.json"))
    parts = (project.artifact("splits"), project.artifact("preprocessor"))
    held = {field.name: Limit(immutable=True) for field in signature.inputs if field.name in fixed}
    return Victim(model.json("model.json"), signature, model, *parts, held)


def attacked(one: Victim, name: str, asked: argparse.Namespace, folder: Path) -> str:
    kind = ATTACKS.load(name)
    settings: dict[str, Any] = {"norm": asked.norm} | ({"nodes": asked.nodes} if name == "minimal" else {})
    attack = kind(kind.Settings.model_validate(settings))
    if why := attack.refuses(one):
        return why
    ctx = context(folder)
    sample = drawn(one, asked.rows, 0.95, ctx)
    begin = time.process_time()
    found = attack.attack(one, sample, ctx, lambda: None)
    seconds = (time.process_time() - begin) / len(sample)
    shown = [
        f"{p.value:.0%}" + (f" ({p.more['proven']:.0%})" if "proven" in p.more else "") for p in found.curve
    ]
    return f"{' | '.join(shown)} | {seconds:.4f}"


def robust(data: str, asked: argparse.Namespace, folder: Path) -> None:
    """A row of the table for each way of training and each budget."""
    budgets = tuple(asked.robust)
    ways: list[float | None] = [None, *budgets]
    right: dict[tuple[float | None, str, float], int] = dict.fromkeys(
        itertools.product(ways, EXACT, (0.0, *budgets)), 0
    )
    rows = 0
    for seed in range(asked.seeds):
        for eps in ways:
            way = {"certified": {"eps": eps}} if eps else None
            project = trained(data, folder / f"{seed} {eps}", seed, asked.learner, way)
            one, ctx = victim(project, []), context(folder / "attack")
            sample = drawn(one, asked.rows, 0.95, ctx)
            for name in EXACT:
                kind = ATTACKS.load(name)
                attack = kind(kind.Settings.model_validate({"budgets": list(budgets)}))
                for point in attack.attack(one, sample, ctx, lambda: None).curve:
                    right[eps, name, point.budget or 0.0] += round(point.value * len(sample))
        rows += len(sample)
    for eps in ways:
        shown = []
        for name, budget in [("interval", 0.0), *itertools.product(EXACT, budgets)]:
            hits, before = right[eps, name, budget], right[None, name, budget]
            gained = "" if eps is None else f" ({_gained(hits, before, rows)})"
            shown.append(f"{_share(hits, rows)}{gained}")
        words = "plain" if eps is None else f"certified at {eps:g}"
        print(f"| {data} | {words} | {' | '.join(shown)} |", flush=True)


def _share(hits: int, rows: int) -> str:
    low, high = wilson(hits, rows, 0.95)
    return f"{100 * hits / rows:.1f} [{100 * low:.0f}, {100 * high:.0f}]"


def _gained(now: int, before: int, rows: int) -> str:
    """The difference of two shares in points, with Newcombe's interval (1998, his method 10)."""
    ends = [(k / rows, *wilson(k, rows, 0.95)) for k in (now, before)]
    (p, low, high), (q, least, most) = ends
    down, up = math.hypot(p - low, most - q), math.hypot(high - p, q - least)
    # whole numbers have no -0
    return f"{100 * (p - q):+.1f} [{round(100 * (p - q - down)):+d}, {round(100 * (p - q + up)):+d}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA))
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--norm", choices=["l0", "l1", "l_inf"], default="l_inf")
    parser.add_argument("--nodes", type=int, default=2000)
    parser.add_argument("--robust", nargs="+", type=float, metavar="EPS")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--learner", choices=["lightgbm", "xgboost"], default="lightgbm")
    asked = parser.parse_args()
    if asked.robust:
        heads = [f"{name} {budget:g}" for name, budget in itertools.product(EXACT, asked.robust)]
        print(f"| table | training | clean | {' | '.join(heads)} |")
        for data in asked.data:
            with tempfile.TemporaryDirectory() as folder:
                robust(data, asked, Path(folder))
        return
    for data in asked.data:
        with tempfile.TemporaryDirectory() as folder:
            project = trained(data, Path(folder))
            for words, fixed in (("free", []), ("fixed", DATA[data][1])):
                for name in ATTACKED:
                    told = attacked(victim(project, fixed), name, asked, Path(folder) / "attack")
                    print(f"| {data}, {words} | {name} | {told} |", flush=True)


if __name__ == "__main__":
    main()
