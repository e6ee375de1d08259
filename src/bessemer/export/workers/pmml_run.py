"""PMML: asks JPMML-Evaluator, in Java, what a document says of rows."""

import json
import sys
from pathlib import Path

import pandas as pd
from jpmml_evaluator import make_evaluator
from jpmml_evaluator.metadata import __version__

sys.path.append(
    str(Path(__file__).resolve().parents[1])
)  # for `timing`, which knows nothing of its neighbours
from timing import microseconds_a_row


def main():
    folder = Path(sys.argv[1])
    asked = json.loads((folder / "question.json").read_text(encoding="utf-8"))
    evaluator = make_evaluator(asked["file"])
    rows = pd.DataFrame(asked["rows"], columns=asked["columns"], dtype=object)
    answer = {"runtime": f"JPMML-Evaluator {__version__}"}
    if asked["time"]:
        answer["latency"] = microseconds_a_row(lambda part: _answers(evaluator, part, asked), rows)
    else:
        answer["answers"] = _answers(evaluator, rows, asked)
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _answers(evaluator, rows, asked):
    made = evaluator.evaluateAll(rows)
    if "errors" in made and made["errors"].notna().any():
        raise SystemExit(made["errors"].dropna().iloc[0])
    return made[asked["outputs"]].to_numpy(dtype=object).tolist()


main()
