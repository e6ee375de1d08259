"""The numeric core as ONNX: standard operators on one matrix, for runtimes that know neither texts nor trees."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from bessemer.export.protocol import Answers, NoSettings, Source
from bessemer.export.samples import Samples
from bessemer.export.sidecar import encoded, write_encoder
from bessemer.package.runtime import open_session

FILE = "core.onnx"


class OnnxCore:
    """`core.onnx` and `encoder.json`."""

    takes: ClassVar[Literal["core"]] = "core"
    environment: ClassVar[str] = ""
    limit: ClassVar[float] = 1e-5
    Settings: ClassVar[type[NoSettings]] = NoSettings

    def __init__(self, settings: NoSettings) -> None:
        self.settings = settings

    def refuses(self, source: Source) -> str:
        source.core  # noqa: B018 -- says why there is none
        return ""

    def export(self, source: Source, out: Path) -> str:
        (out / FILE).write_bytes(source.core.graph)
        return f"""{write_encoder(source, out)}

```python
import onnxruntime
from encoder import Encoder

encoder = Encoder.load("encoder.json")
session = onnxruntime.InferenceSession("{FILE}")
(score,) = session.run(["score"], {{"encoded": encoder.encode(rows)}})
print(encoder.decide(score))
```
"""

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        import onnxruntime

        session = open_session((out / FILE).read_bytes(), 1)
        (values,) = session.run([source.core.outputs[-1]], {"encoded": encoded(source, out, samples)})
        return Answers(values, f"onnxruntime {onnxruntime.__version__}")
