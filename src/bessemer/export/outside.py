"""Targets whose tools write and run the artefact in an environment of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.environments.work import Work, work
from bessemer.export.base import Base
from bessemer.export.protocol import Answers, NotRunError, Source
from bessemer.export.samples import Samples
from bessemer.export.sidecar import encoded, python_usage, write_encoder

#: One thread, and the order of sets in Python: the same each time.
_SETTLED = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


class Outside(Base):
    """A core that a worker (see `workers/asked.py`) writes and runs.

    worker: its file. most: rows that the artefact takes at once, 0 for any number.
    """

    takes: ClassVar[Literal["graph", "core", "network", "native"]] = "core"
    worker: ClassVar[str] = ""
    most: int = 0

    def refuses(self, source: Source) -> str:
        source.core  # noqa: B018 -- says why there is none
        return ""

    def graph(self, source: Source) -> bytes:
        """What the worker writes the artefact of."""
        return source.core.graph

    def given(self, source: Source) -> dict[str, np.ndarray]:
        """The same as arrays."""
        return {"graph": np.frombuffer(self.graph(source), dtype=np.uint8)}

    def asks(self, source: Source) -> Mapping[str, Any]:
        """What the worker is told besides."""
        return {}

    def wrote(self, said: dict[str, Any]) -> None:
        """Is given what the worker said when it had written.

        Raises:
            UncarriedError: the artefact is none.
        """

    def usage(self, source: Source) -> str:
        """Lines of Python after those that make `encoded`: they make `score`."""
        raise NotImplementedError

    def words(self, source: Source) -> str:
        """What the README says before its example."""
        return ""

    def export(self, source: Source, out: Path) -> str:
        beside = write_encoder(source, out)
        self.wrote(self._work("write", source, out, self.given(source)).said)
        return f"{beside}\n{self.words(source)}\n\n{self.example(source)}\n"

    def example(self, source: Source) -> str:
        decided = "print(encoder.decide(score))" if source.core.program else "print(score)"
        return f"```python\n{python_usage(source)}\n\n{self.usage(source).strip()}\n{decided}\n```"

    def elsewhere(self) -> str:
        """Why what it writes cannot be run here, as a clause; '' where it can."""
        return ""

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        done = self._run(source, out, samples)
        return Answers(done.arrays["values"], done.said["runtime"])

    def encoded(self, source: Source, out: Path, samples: Samples) -> np.ndarray:
        """What it is fed, (N, width) float32."""
        return encoded(source, out, samples)

    def latency(self, source: Source, out: Path, samples: Samples) -> dict[str, float]:
        """Microseconds a row, for 1 and 64 at once."""
        found: dict[str, float] = self._run(source, out, samples, time=True).said["latency"]
        return found

    def _run(self, source: Source, out: Path, samples: Samples, *, time: bool = False) -> Work:
        if why := self.elsewhere():
            raise NotRunError(why)
        return self._work("run", source, out, {"x": self.encoded(source, out, samples)}, time=time)

    def _work(
        self, do: str, source: Source, out: Path, arrays: Mapping[str, np.ndarray], *, time: bool = False
    ) -> Work:
        core = source.core
        question = {
            "do": do,
            "out": str(out.resolve()),
            "time": time,
            "most": self.most,
            "width": core.width,
            "outputs": len(core.outputs),
            "names": list(core.outputs),
            **self.asks(source),
        }
        place = ENVIRONMENTS[self.environment]
        return work(place, self.worker, question, arrays, tell=source.tell, environ=_SETTLED)
