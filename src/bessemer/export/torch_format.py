"""What targets that write one file of torch's share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from bessemer.environments.workers.timing import microseconds_a_row
from bessemer.export.base import Base
from bessemer.export.protocol import Answers, Source
from bessemer.export.samples import Samples
from bessemer.export.sidecar import encoded, python_usage, write_encoder
from bessemer.export.torch_core import answers_of, module_of


class TorchFormat(Base, ABC):
    """FILE: what it is called. RUNTIME: what runs it. LOADED: Python that makes a callable of it, for the README."""

    FILE: ClassVar[str]
    RUNTIME: ClassVar[str]
    LOADED: ClassVar[str]

    takes: ClassVar[Literal["network"]] = "network"
    limit: float = 1e-6

    def refuses(self, source: Source) -> str:
        module_of(source)
        return ""

    @abstractmethod
    def write(self, source: Source, file: Path) -> None:
        """Write the file."""

    @abstractmethod
    def load(self, file: Path) -> Callable[[Any], Any]:
        """Rows (N, width) float32 -> the core's outputs."""

    def remark(self) -> str:
        """What else the README says, as Markdown."""
        return ""

    def export(self, source: Source, out: Path) -> str:
        self.write(source, out / self.FILE)
        outputs = ", ".join(source.core.outputs)
        decided = "print(encoder.decide(score.numpy()))" if source.core.program else f"print({outputs})"
        return f"""{write_encoder(source, out)}
It gives `({outputs},)`. {self.remark()}

```python
import torch
{python_usage(source)}

model = {self.LOADED}
with torch.no_grad():
    ({outputs},) = model(torch.from_numpy(encoded))
{decided}
```
"""

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        import torch

        values = answers_of(self.load(out / self.FILE), encoded(source, out, samples))
        return Answers(values, f"torch {torch.__version__} ({self.RUNTIME})")

    def latency(self, source: Source, out: Path, samples: Samples) -> dict[str, float]:
        import torch

        model = self.load(out / self.FILE)
        with torch.no_grad():
            return microseconds_a_row(
                lambda rows: model(torch.from_numpy(rows)), encoded(source, out, samples)
            )
