"""What mitigation changes on adult, and what it costs: whole runs, judged once on the same test rows.

    .venv/bin/python benchmarks/fairness.py [--data ../shared/data/adult]

`sex` and `race` are no inputs of the model, except where its thresholds are by `sex`. Reweighing and thresholds are
set in the project file alone. Every figure has its 95 % interval from 500 resamples of the test rows.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bessemer import Project

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "adult"
CASES: Mapping[str, Mapping[str, Any]] = {
    "nothing": {},
    "reweighing": {"reweigh": ["sex"]},
    "thresholds, demographic parity": {"threshold": {"groups": ["sex"], "fair": "demographic_parity"}},
    "thresholds, equal opportunity": {"threshold": {"groups": ["sex"], "fair": "equal_opportunity"}},
    "thresholds, equalised odds": {"threshold": {"groups": ["sex"], "fair": "equalised_odds"}},
}
CRITERIA = ("disparate_impact", "demographic_parity", "equal_opportunity", "equalised_odds")
METRICS = ("accuracy", "f1", "log_loss")


def project(data: Path, train: Mapping[str, Any]) -> dict[str, Any]:
    sources = {part: {"csv": str(data / f"{part}.csv")} for part in ("train", "test")}
    sql = "select *, 'train' as part from train union all by name select *, 'test' as part from test"
    return {
        "name": "adult",
        "target": "income",
        "acquire": {"sources": sources, "sql": sql},
        "prepare": {"split": {"given": "part"}, "exclude": ["sex", "race", "part"]},
        "train": {"learner": "lightgbm", **train},
        "evaluate": {"fairness": ["sex"], "replicates": 500, "find_slices": False},
    }


def figure(found: Mapping[str, Any]) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="a folder with train.csv and test.csv")
    data = parser.parse_args().data.resolve()
    print(f"| mitigation | {' | '.join((*CRITERIA, *METRICS))} |")
    print("| --- " * (1 + len(CRITERIA) + len(METRICS)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bessemer.yaml"
        for name, train in CASES.items():
            file.write_text(yaml.safe_dump(project(data, train)))
            made = Project(file)
            made.run(upto="evaluate", track=False)
            found = made.artifact("evaluation").json("evaluation.json")
            criteria, metrics = found["fairness"]["criteria"]["sex"], found["metrics"]
            cells = [*(criteria[c] for c in CRITERIA), *(metrics[m] for m in METRICS)]
            print(f"| {name} | {' | '.join(map(figure, cells))} |", flush=True)


if __name__ == "__main__":
    main()
