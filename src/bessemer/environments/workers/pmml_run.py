"""PMML: asks JPMML-Evaluator, in Java, what a document says of rows."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from jpmml_evaluator import make_evaluator
from jpmml_evaluator.metadata import __version__
from timing import microseconds_a_row


def main():
    folder = Path(sys.argv[1])
    asked = json.loads((folder / "question.json").read_text(encoding="utf-8"))
    evaluator = make_evaluator(asked["file"])
    rows = np.array(asked["rows"], dtype=object)
    answer = {"runtime": f"JPMML-Evaluator {__version__}"}
    if asked["time"]:
        answer["latency"] = microseconds_a_row(lambda part: _answers(evaluator, part, asked), rows)
    else:
        answer["answers"] = _answers(evaluator, rows, asked)
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _answers(evaluator, rows, asked):
    table = pd.DataFrame(rows, columns=asked["columns"], dtype=object)
    made, errors = evaluator.evaluateAll(table, error_col=None)
    if errors is not None and errors.notna().any():
        raise SystemExit(errors.dropna().iloc[0])
    return made[asked["outputs"]].to_numpy(dtype=object).tolist()


if __name__ == "__main__":
    main()
