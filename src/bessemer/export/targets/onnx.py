"""The whole graph as it is: raw columns in, predictions out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from bessemer.environments.workers.timing import microseconds_a_row
from bessemer.export.base import Base
from bessemer.export.protocol import Answers, Source
from bessemer.export.samples import Samples
from bessemer.package.records import rows_to_feeds
from bessemer.package.runtime import open_session

FILE = "model.onnx"


class Onnx(Base):
    """`model.onnx`, which onnxruntime runs everywhere."""

    takes: ClassVar[Literal["graph"]] = "graph"
    limit: float = 0.0

    def refuses(self, source: Source) -> str:
        return ""

    def export(self, source: Source, out: Path) -> str:
        (out / FILE).write_bytes(source.graph)
        return usage(source)

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        return run_graph(source, open_session((out / FILE).read_bytes(), 1), samples)

    def latency(self, source: Source, out: Path, samples: Samples) -> dict[str, float]:
        return graph_latency(source, open_session((out / FILE).read_bytes(), 1), samples)


def usage(source: Source, file: str = FILE) -> str:
    names = ", ".join(f'"{field.name}": ...' for field in source.model.signature.inputs[:3])
    return f"""Each column is an input of shape (rows, 1): numbers float32 (NaN is missing), texts ('' is missing),
moments int64 microseconds since 1970 (-2**63 is missing).

```python
import onnxruntime

session = onnxruntime.InferenceSession("{file}")
answers = session.run(["prediction"], {{{names}}})
```
"""


def run_graph(source: Source, session: Any, samples: Samples) -> Answers:
    """What a session of onnxruntime with the package's inputs and outputs says."""
    import onnxruntime

    labels, values = session.run(_outputs(source), _feeds(source, session, samples.rows))
    found = np.asarray(values, dtype=np.float32)
    return Answers(found, f"onnxruntime {onnxruntime.__version__}", labels.tolist())


def graph_latency(source: Source, session: Any, samples: Samples) -> dict[str, float]:
    """Microseconds a row, from tensors of raw columns."""
    feeds, wanted = _feeds(source, session, samples.rows), _outputs(source)

    def run(places: np.ndarray) -> Any:
        return session.run(wanted, {name: column[places] for name, column in feeds.items()})

    return microseconds_a_row(run, np.arange(len(samples)))


def _outputs(source: Source) -> list[str]:
    return ["prediction", "score" if source.model.task == "regression" else "probability"]


def _feeds(source: Source, session: Any, rows: list[dict[str, Any]]) -> dict[str, Any]:
    feeds = rows_to_feeds(rows, source.model.signature.inputs)
    taken = {i.name for i in session.get_inputs()}
    return {name: value for name, value in feeds.items() if name in taken}
