"""Trees under attack: what is certified, what stands, what falls, and what it costs, on telco and adult.

    .venv/bin/python benchmarks/attack_trees.py [--data telco adult] [--rows 100] [--norm l_inf] [--nodes 2000]

LightGBM as a project trains it by default, on the first 4,000 rows of train.csv; the attacks are those of the stage
`attack`, on rows of its own test part. Free: all columns may move; `fixed`: what a person is may not. Seconds are CPU
time a row, setting up among it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pyarrow.csv
import pyarrow.parquet as pq

from bessemer.api import Project
from bessemer.attack.constraints import Limit
from bessemer.attack.plugins import ATTACKS
from bessemer.attack.protocol import Victim
from bessemer.attack.stage import drawn
from bessemer.core.signature import Signature
from bessemer.testing.attacks import context

SHARED = Path(__file__).parents[2] / "shared" / "data"
#: Of each table: the target, and what a person is.
DATA = {
    "telco": ("Churn", ["gender", "SeniorCitizen", "Partner", "Dependents"]),
    "adult": ("income", ["age", "race", "sex", "native_country", "fnlwgt"]),
}
ATTACKED = ("interval", "minimal", "query_search")


def trained(data: str, folder: Path) -> Project:
    table = pyarrow.csv.read_csv(SHARED / data / "train.csv").slice(0, 4000)
    pq.write_table(table, folder / "data.parquet")
    target = DATA[data][0]
    own = {"name": data, "data": "data.parquet", "target": target, "train": {"learner": "lightgbm"}}
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA))
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--norm", choices=["l0", "l1", "l_inf"], default="l_inf")
    parser.add_argument("--nodes", type=int, default=2000)
    asked = parser.parse_args()
    for data in asked.data:
        with tempfile.TemporaryDirectory() as folder:
            project = trained(data, Path(folder))
            for words, fixed in (("free", []), ("fixed", DATA[data][1])):
                for name in ATTACKED:
                    told = attacked(victim(project, fixed), name, asked, Path(folder) / "attack")
                    print(f"| {data}, {words} | {name} | {told} |", flush=True)


if __name__ == "__main__":
    main()
