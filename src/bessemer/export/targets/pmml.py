"""PMML 4.4: one document that scoring engines of many makers read.

It takes raw columns: their encoding is derived fields, trees are tree models with thresholds as they are, and what
follows them is derived fields again. Where the encoding has no form in PMML, it takes the features, and the encoder
goes beside it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from pprint import pformat
from typing import Any, ClassVar, Literal

import numpy as np

from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.environments.work import Work, work
from bessemer.export.base import Base
from bessemer.export.pmml.document import Document, of_features, of_rows
from bessemer.export.protocol import Answers, NoSettings, NotRunError, Source, UncarriedError
from bessemer.export.rowwise.build import program_of
from bessemer.export.samples import Samples
from bessemer.export.sidecar import example_rows, features, write_encoder
from bessemer.export.targets.python_file import threshold_of

FILE = "model.pmml"


class Pmml(Base):
    """`model.pmml`: raw columns, or features, in; predictions and probabilities out."""

    takes: ClassVar[Literal["native"]] = "native"
    environment: ClassVar[str] = "pmml"
    limit: float = 1e-6

    def __init__(self, settings: NoSettings) -> None:
        self.settings = settings
        self._made: tuple[Source, Document, bool] | None = None

    def refuses(self, source: Source) -> str:
        self._written(source)
        return ""

    def export(self, source: Source, out: Path) -> str:
        document, raw = self._written(source)
        (out / FILE).write_bytes(document.content)
        beside = "" if raw else f"{write_encoder(source, out)}\nThe document takes its `features`."
        return f"""{beside}
Engines of PMML 4.4 read `{FILE}`. In Python, with jpmml-evaluator, pandas and Java 11 or later:

```python
{_lines(source, document, raw)}
print(model.evaluateAll(rows).to_dict("records"))
```

What is missing is None or NaN. `{document.prediction}` is the answer{_more(source)}.
"""

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        done = self._asked(source, out, samples)
        said, runtime = done.said["answers"], done.said["runtime"]
        values = np.array([row[1:] or row for row in said], dtype=np.float32)
        return Answers(values, runtime, _labels(source, said))

    def latency(self, source: Source, out: Path, samples: Samples) -> dict[str, float]:
        """Microseconds a row, for 1 and 64 at once."""
        found: dict[str, float] = self._asked(source, out, samples, time=True).said["latency"]
        return found

    def _written(self, source: Source) -> tuple[Document, bool]:
        """The document, written once, and whether it takes raw columns.

        Raises:
            UncarriedError: the model has no form in PMML.
        """
        if self._made is None or self._made[0] is not source:
            self._made = (source, *_document(source))
        return self._made[1:]

    def _asked(self, source: Source, out: Path, samples: Samples, *, time: bool = False) -> Work:
        if not shutil.which("java"):
            raise NotRunError("JPMML-Evaluator needs Java 11 or later, and there is no 'java' on the PATH")
        document, raw = self._written(source)
        question = {
            "file": str((out / FILE).resolve()),
            "columns": document.columns,
            "rows": _raw(samples, document) if raw else _encoded(source, out, samples, document),
            "outputs": [document.prediction, *document.probabilities],
            "time": time,
        }
        return work(ENVIRONMENTS[self.environment], "pmml_run.py", question, tell=source.tell)


def _document(source: Source) -> tuple[Document, bool]:
    model, threshold = source.model, threshold_of(source)
    if threshold is None:
        raise UncarriedError("its decision has another threshold for each group of rows")
    program = program_of(model)
    needed = program.needed("score" if model.task == "regression" else "probability")
    try:
        return of_rows(model, needed, threshold), True
    except UncarriedError as error:
        if source.core.program is None:
            raise error from None
    return of_features(model, program, threshold), False


def _raw(samples: Samples, document: Document) -> list[list[Any]]:
    return [[row[name] for name in document.columns] for row in samples.rows]


def _encoded(source: Source, out: Path, samples: Samples, document: Document) -> list[list[Any]]:
    found = features(source, out, samples)
    names = [feature["name"] for feature in source.model.info["features"]]
    kept = found[:, [names.index(name) for name in document.columns]]
    return [[None if np.isnan(value) else float(value) for value in row] for row in kept]


def _labels(source: Source, said: list[list[Any]]) -> list[Any] | None:
    if source.model.task == "regression":
        return None
    classes: Mapping[str, Any] = {str(label): label for label in source.model.classes}
    return [classes[row[0]] for row in said]


def _lines(source: Source, document: Document, raw: bool) -> str:
    """Python that makes `rows` and `model`."""
    rows = example_rows(source)
    if raw:
        rows = [{name: row[name] for name in document.columns} for row in rows]
    table = f"rows = {pformat(rows, width=100, sort_dicts=False)}"
    start = ["import pandas as pd\nfrom jpmml_evaluator import make_evaluator\n"]
    load = f'model = make_evaluator("{FILE}")'
    if raw:
        return "\n".join([*start, table.replace("rows = ", "rows = pd.DataFrame(", 1) + ")", load])
    names = [feature["name"] for feature in source.model.info["features"]]
    made = [
        "from encoder import Encoder\n",
        table,
        f"names = {pformat(names, width=100, compact=True)}",
        'rows = pd.DataFrame(Encoder.load("encoder.json").features(rows), columns=names)',
    ]
    return "\n".join([*start, *made, load])


def _more(source: Source) -> str:
    return "" if source.model.task == "regression" else ", beside the probability of each class"
