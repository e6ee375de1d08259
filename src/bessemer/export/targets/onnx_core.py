"""The numeric core as ONNX: standard operators on one matrix, for runtimes that know neither texts nor trees."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from bessemer.environments.workers.timing import microseconds_a_row
from bessemer.export.base import Base
from bessemer.export.protocol import Answers, Source
from bessemer.export.samples import Samples
from bessemer.export.sidecar import encoded, python_usage, write_encoder
from bessemer.package.runtime import open_session

FILE = "core.onnx"
#: Rows of a check that are computed at once: trees as products hold rows * trees * leaves numbers.
_AT_ONCE = 256


class OnnxCore(Base):
    """`core.onnx` and `encoder.json`."""

    takes: ClassVar[Literal["core"]] = "core"

    def refuses(self, source: Source) -> str:
        source.core  # noqa: B018 -- says why there is none
        return ""

    def graph(self, source: Source) -> bytes:
        """What is written."""
        return source.core.graph

    def export(self, source: Source, out: Path) -> str:
        (out / FILE).write_bytes(self.graph(source))
        decided = "print(encoder.decide(score))" if source.core.program else "print(score)"
        return f"""{write_encoder(source, out)}

```python
import onnxruntime
{python_usage(source)}

session = onnxruntime.InferenceSession("{FILE}")
(score,) = session.run(["score"], {{"encoded": encoded}})
{decided}
```
"""

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        import onnxruntime

        session = open_session((out / FILE).read_bytes(), 1)
        rows, asked = encoded(source, out, samples), [source.core.outputs[-1]]
        made = [
            session.run(asked, {"encoded": rows[start : start + _AT_ONCE]})[0]
            for start in range(0, len(rows), _AT_ONCE)
        ]
        return Answers(np.concatenate(made), f"onnxruntime {onnxruntime.__version__}")

    def latency(self, source: Source, out: Path, samples: Samples) -> dict[str, float]:
        session = open_session((out / FILE).read_bytes(), 1)
        asked = [source.core.outputs[-1]]
        return microseconds_a_row(
            lambda rows: session.run(asked, {"encoded": rows}), encoded(source, out, samples)
        )
