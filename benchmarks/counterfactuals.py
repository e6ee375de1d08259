"""Counterfactuals: ours and DiCE's for the same rows of the same model, judged by the same graph.

    .venv/bin/python benchmarks/counterfactuals.py --data FOLDER --target NAME [--install] [--rows N]

FOLDER has train.csv and test.csv of a table with two classes; rows with missing values are left out, because DiCE takes
none. The model is our LightGBM; three counterfactuals are asked for each row, of the other class. For each tool: the
share of rows with an answer, the share of all answers that the graph says flip, the mean number of changed columns and
the mean Gower distance of those, how unlike the answers of a row are (mean Gower distance between them), and seconds
a row.

DiCE lives in an environment of its own, which `--install` makes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from bessemer.api import Project
from bessemer.core.stage import Context
from bessemer.explain.distance import Gower
from bessemer.explain.explainers.counterfactuals import Counterfactuals
from bessemer.explain.local import predicted
from bessemer.explain.perturb import as_column
from bessemer.explain.sample import draw
from bessemer.explain.subject import Subject, open_subject

PEERS = Path.home() / ".cache" / "bessemer-bench" / "dice"
PINS = ("dice-ml==0.12", "onnxruntime", "pyarrow")
COUNT = 3

DICE = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import dice_ml, numpy as np, onnxruntime, pandas as pd
job = json.load(open(sys.argv[1]))
session = onnxruntime.InferenceSession(job["model"])
kinds = {i.name: i.type for i in session.get_inputs()}

class Model:
    def predict_proba(self, frame):
        feeds = {}
        for name, kind in kinds.items():
            values = frame[name].to_numpy()
            made = values.astype(str).astype(object) if "string" in kind else values.astype(np.float32)
            feeds[name] = made.reshape(-1, 1)
        return session.run(["probability"], feeds)[0]
    def predict(self, frame):
        return self.predict_proba(frame).argmax(axis=1)

train, rows = pd.DataFrame(job["train"]), pd.DataFrame(job["rows"])
data = dice_ml.Data(dataframe=train, continuous_features=job["numbers"], outcome_name="_y")
explainer = dice_ml.Dice(data, dice_ml.Model(model=Model(), backend="sklearn"), method=job["method"])
found, seconds = [], 0.0
for i in range(len(rows)):
    begin = time.perf_counter()
    more = {"random_seed": 1} if job["method"] == "random" else {}
    try:
        one = explainer.generate_counterfactuals(
            rows[i:i + 1], total_CFs=job["count"], desired_class="opposite", verbose=False, **more)
        frame = one.cf_examples_list[0].final_cfs_df
    except Exception as error:
        frame = None
    seconds += time.perf_counter() - begin
    found.append([] if frame is None else json.loads(frame.drop(columns="_y").to_json(orient="records")))
print("ANSWER" + json.dumps({"found": found, "seconds": seconds}))
"""


def install() -> None:
    venv.create(PEERS, clear=True, with_pip=True)
    subprocess.run([str(PEERS / "bin" / "python"), "-m", "pip", "install", "--quiet", *PINS], check=True)


def project(folder: Path, data: Path, target: str) -> Project:
    for name in ("train", "test"):
        table = pa.csv.read_csv(
            data / f"{name}.csv", convert_options=pa.csv.ConvertOptions(strings_can_be_null=True)
        )
        pa.csv.write_csv(table.drop_null(), folder / f"{name}.csv")
    settings = {"name": "bench", "data": "train.csv", "target": target, "train": {"learner": "lightgbm"}}
    (folder / "bessemer.yaml").write_text(json.dumps(settings))
    made = Project(folder)
    made.run(upto="train")
    return made


def ours(
    subject: Subject, sample: Any, ctx: Context, rows: list[int]
) -> tuple[list[list[dict[str, Any]]], float]:
    from dataclasses import replace

    begin = time.perf_counter()
    asked = replace(sample, asked=tuple(rows))
    found = Counterfactuals(Counterfactuals.Settings(count=COUNT)).explain(subject, asked, ctx, lambda: None)
    seconds = time.perf_counter() - begin
    own = sample.table.take(pa.array(rows)).to_pylist()
    answers = []
    for row, answer in zip(own, found.content["rows"], strict=True):
        answers.append([{**row, **{k: v[1] for k, v in one["changes"].items()}} for one in answer["found"]])
    return answers, seconds


def theirs(job: dict[str, Any], method: str, folder: Path) -> tuple[list[list[dict[str, Any]]], float] | None:
    python = PEERS / "bin" / "python"
    if not python.exists():
        print("DiCE: absent (--install makes its environment)")
        return None
    (folder / "job.json").write_text(json.dumps({**job, "method": method}))
    done = subprocess.run(
        [str(python), "-c", DICE, str(folder / "job.json")], capture_output=True, text=True, timeout=3600
    )
    if done.returncode:
        print(f"DiCE {method}: failed: {done.stderr.strip().splitlines()[-1][:200]}")
        return None
    said = json.loads(done.stdout.partition("ANSWER")[2])
    return said["found"], said["seconds"]


def judge(name: str, subject: Subject, sample: Any, rows: list[int], found: Any, seconds: float) -> None:
    own = sample.table.take(pa.array(rows))
    flat = [row for answers in found for row in answers]
    schema = own.schema
    made = [{field.name: _typed(row[field.name], field.type) for field in schema} for row in flat]
    table = pa.concat_tables([sample.table, pa.Table.from_pylist(made, schema=schema)]).combine_chunks()
    columns = [as_column(column, table.column(column)) for column in table.column_names]
    values, n = np.column_stack([column.values for column in columns]), len(sample)
    gower = Gower.of([as_column(c, sample.table.column(c)) for c in table.column_names])
    owner = np.repeat(np.arange(len(rows)), [len(answers) for answers in found])
    before, _ = predicted(subject, own)
    after, _ = predicted(subject, table.slice(n))
    flips = after != before[owner]
    parts = gower.parts(values[n:], values[rows][owner])
    changed = (parts > 0).sum(axis=1)
    apart = [
        gower.between(values[n:][(owner == i) & flips], values[n:][(owner == i) & flips])
        for i in range(len(rows))
    ]
    unlike = [float(d[np.triu_indices(len(d), 1)].mean()) for d in apart if len(d) > 1]
    answered = np.mean([bool(flips[owner == i].any()) for i in range(len(rows))])
    print(
        f"{name:14} rows answered {answered:6.1%}  valid {flips.mean():6.1%}  changed {changed[flips].mean():5.2f}  "
        f"distance {parts[flips].mean():.4f}  between answers {np.mean(unlike):.4f}  {seconds / len(rows):7.2f} s a row"
    )


def _typed(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_string(kind):
        return str(value)
    return int(value) if pa.types.is_integer(kind) else float(value)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--install", action="store_true")
    given = parser.parse_args()
    if given.install:
        install()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        made = project(folder, given.data, given.target)
        ctx = Context(made.store, "explain", {}, 0, folder, folder / "work")
        subject = open_subject(made.artifact("model"))
        sample = draw(made.artifact("splits"), subject, 1000, ctx)
        rows = np.sort(np.random.default_rng(0).choice(len(sample), given.rows, replace=False)).tolist()
        judge("Bessemer", subject, sample, rows, *ours(subject, sample, ctx, rows))
        assert sample.training is not None
        train = sample.training.draw(2000, ctx.rng("dice"))
        label = {"_y": train.actual.astype(int).tolist()}
        numbers = [f.name for f in subject.signature.inputs if f.dtype in ("integer", "number")]
        job = {
            "model": str(made.artifact("model").path("model.onnx")),
            "train": {**train.table.to_pydict(), **label},
            "rows": sample.table.take(pa.array(rows)).to_pydict(),
            "numbers": numbers,
            "count": COUNT,
        }
        for method in ("random", "genetic", "kdtree"):
            if (answer := theirs(job, method, folder)) is not None:
                judge(f"DiCE {method}", subject, sample, rows, *answer)


if __name__ == "__main__":
    main()
