"""Documents of PMML, rows to ask them, and what JPMML-Evaluator, in a process of its own, says of these.

`jpmml_*.pmml` were written by sklearn2pmml 0.133 (scikit-learn 1.9, LightGBM 4.7, XGBoost 3.2), all others by hand. Run
this file to write `answers.json` again.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.importers.models.pmml.columns import Raw, dictionary
from bessemer.importers.models.pmml.literals import literals
from bessemer.importers.models.pmml.xml import Element, parse

FOLDER = Path(__file__).parent / "pmml"
DOCUMENTS = sorted(path.stem for path in FOLDER.glob("*.pmml"))
_ROWS = 30
_ASK = """
import json, sys
import pandas as pd
from jpmml_evaluator import make_evaluator
for line in sys.stdin:
    asked = json.loads(line)
    rows = pd.DataFrame(asked["rows"], columns=asked["columns"], dtype=object)
    made, _ = make_evaluator(asked["file"]).evaluateAll(rows, error_col=None)
    said = made.astype(object).where(made.notna(), None).to_dict("records")
    print(json.dumps([{str(k): v for k, v in row.items() if isinstance(v, (int, float, str))} for row in said]))
"""


def content(name: str) -> bytes:
    return (FOLDER / f"{name}.pmml").read_bytes()


def rows_of(data: bytes, count: int = _ROWS, seed: int = 0) -> tuple[list[str], list[list[Any]]]:
    """Rows at and around what a document compares with, a sixth of their values missing and some texts unseen."""
    root = parse(data)
    known, texts, limits = dictionary(root), literals(root), _limits(root)
    outer = next(child for child in root.children if child.first("MiningSchema"))
    active = [
        f for f in outer.one("MiningSchema").all("MiningField") if f.get("usageType", "active") == "active"
    ]
    names = [f.get("name") for f in active]
    rng = np.random.default_rng(seed)
    rows = [
        [_value(known[name], list(texts.get(name, ())), limits.get(name, []), rng) for name in names]
        for _ in range(count)
    ]
    return names, rows


def _limits(root: Element) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for one in root.walk():
        if one.tag == "SimplePredicate" and one.get("value").replace(".", "").replace("-", "").isdigit():
            found.setdefault(one.get("field"), []).append(float(one.get("value")))
    return found


def _value(raw: Raw, texts: list[str], limits: list[float], rng: np.random.Generator) -> Any:
    if rng.random() < 1 / 6:
        return None
    if raw.kind == "string":
        return str(rng.choice([*texts, "unseen"])) or None
    if raw.kind == "boolean":
        return bool(rng.random() < 0.5)
    value = float(rng.choice(limits or [0, 1, 2, -2, 5])) + float(
        rng.choice([0, 0, 1e-3, -1e-3, 0.5, -1, 10])
    )
    return round(value) if raw.kind == "integer" else float(np.float32(value))


def ask(questions: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """What JPMML-Evaluator says: a dict a row, empty where it has no answer."""
    ENVIRONMENTS["pmml"].ensure(print)
    lines = "\n".join(map(json.dumps, questions))
    done = subprocess.run(
        [str(ENVIRONMENTS["pmml"].program), "-c", _ASK],
        input=lines,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def questions() -> dict[str, dict[str, Any]]:
    """The rows of each document."""
    asked = {}
    for name in DOCUMENTS:
        columns, rows = rows_of(content(name))
        asked[name] = {"file": str(FOLDER / f"{name}.pmml"), "columns": columns, "rows": rows}
    return asked


def numbers(said: list[dict[str, Any]]) -> list[list[float] | None]:
    """The probabilities by class, sorted, or the only number of each row; None where there is none."""
    found: list[list[float] | None] = []
    for row in said:
        shares = [row[key] for key in sorted(row) if key.startswith("probability(")]
        values = shares or [value for value in row.values() if isinstance(value, float)][:1]
        found.append(values or None)
    return found


def target_of(data: bytes) -> Raw | None:
    """What the document's model says, where its schema names it."""
    root = parse(data)
    outer = next(child for child in root.children if child.first("MiningSchema"))
    fields = outer.one("MiningSchema").all("MiningField")
    name = next((f.get("name") for f in fields if f.get("usageType") in ("target", "predicted")), "")
    return dictionary(root).get(name)


def labels(name: str, said: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The class that each row is said to be, None where there is none; nothing of a regression."""
    target = target_of(content(name))
    if target is None or not any(key.startswith("probability(") for row in said for key in row):
        return {}
    return {"labels": [row.get(target.name) for row in said]}


def main() -> None:
    asked = questions()
    answers = ask(list(asked.values()))
    kept = {
        name: {"columns": q["columns"], "rows": q["rows"], "answers": numbers(said)} | labels(name, said)
        for (name, q), said in zip(asked.items(), answers, strict=True)
    }
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(one, separators=(',', ':'))}" for name, one in kept.items()
    )
    (FOLDER / "answers.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
