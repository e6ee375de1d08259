"""One Python file that needs nothing but Python: trees, linear models and small networks, raw rows in."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from pprint import pformat
from typing import Any, ClassVar, Literal

import numpy as np

from bessemer.export.base import Base
from bessemer.export.protocol import Answers, Source, UncarriedError
from bessemer.export.rowwise.build import program_of
from bessemer.export.rowwise.lines import run_lines
from bessemer.export.rowwise.to_json import to_json
from bessemer.export.samples import Samples
from bessemer.export.sidecar import example_rows
from bessemer.package.decision import Decision

#: Characters of a model that is still a file to carry about.
LARGEST = 20_000_000
_MARK = "# What follows is the model.\n"


class PythonFile(Base):
    """`NAME.py`: the model as data behind a small interpreter of the standard library."""

    takes: ClassVar[Literal["native"]] = "native"
    limit: float = 1e-6

    def refuses(self, source: Source) -> str:
        program_of(source.model)
        return (
            ""
            if threshold_of(source) is not None
            else "its decision has another threshold for each group of rows"
        )

    def export(self, source: Source, out: Path) -> str:
        told = {
            "task": source.model.task,
            "target": source.model.signature.target,
            "classes": list(source.model.classes),
            "threshold": threshold_of(source),
            **to_json(program_of(source.model).needed(*_outputs(source))),
        }
        data = json.dumps(told, separators=(",", ":"), ensure_ascii=True)
        if len(data) > LARGEST:
            raise UncarriedError(
                f"it would be a file of {len(data) / 1e6:.0f} MB, and {LARGEST / 1e6:.0f} is the limit"
            )
        reader = files("bessemer.export.readers").joinpath("plain.py").read_text(encoding="utf-8")
        head, tail = reader.replace("MODULE", source.slug).split(_MARK)
        before, after = tail.split('if __name__ == "__main__":')
        text = f'{head}{before.strip()}\n\n\nload(json.loads({_literal(data)}))\n\nif __name__ == "__main__":{after}'
        (out / f"{source.slug}.py").write_text(text, encoding="utf-8")
        rows = pformat(example_rows(source), width=100, sort_dicts=False)
        return f"""`{source.slug}.py` needs Python 3.8 or later and no package.

```python
from {source.slug} import predict

print(predict({rows}))
```

`python {source.slug}.py < rows.jsonl` answers a row a line.
"""

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        with tempfile.TemporaryDirectory(prefix="bessemer-python-") as folder:
            # -I -S: without this environment's packages
            command = [sys.executable, "-I", "-S", "-B", str((out / f"{source.slug}.py").absolute())]
            said = run_lines(command, [json.dumps(row) for row in samples.rows], Path(folder))
        answers = [json.loads(line) for line in said]
        labels: list[Any] = [answer["prediction"] for answer in answers]
        runtime = f"Python {platform.python_version()}"
        if source.model.task == "regression":
            return Answers(np.array(labels, dtype=np.float32)[:, None], runtime)
        values = np.array([list(answer["probability"].values()) for answer in answers], dtype=np.float32)
        return Answers(values, runtime, labels)


def _outputs(source: Source) -> list[str]:
    return ["score"] if source.model.task == "regression" else ["probability"]


def threshold_of(source: Source) -> float | None:
    """Of a binary decision, 0 of others; None where groups of rows have their own."""
    decision = Decision.from_json(source.model.info.get("decision"))
    if decision.groups:
        return None
    return float(np.float32(decision.threshold)) if source.model.task == "binary" else 0.0


def _literal(text: str) -> str:
    """A Python literal in lines of readable length."""
    lines = [text[at : at + 100] for at in range(0, len(text), 100)]
    return "\n    " + "\n    ".join(repr(line) for line in lines) + "\n"
