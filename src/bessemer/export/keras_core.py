"""The numeric core as a model of Keras, and what the formats of TensorFlow share.

It is built by `workers/keras_model.py`, in the environment that has TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.environments.work import Work, work
from bessemer.export.base import Base
from bessemer.export.numeric.core import ENCODED
from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.numeric.steps import steps_of
from bessemer.export.protocol import Answers, Source
from bessemer.export.samples import Samples
from bessemer.export.sidecar import encoded, python_usage, write_encoder

ENVIRONMENT = "tensorflow"
#: What a runtime may say besides that goes into the record.
_MEASURED = ("flash_bytes", "arena_bytes")


def write_core(
    source: Source,
    files: Mapping[str, Path],
    *,
    arrays: Mapping[str, np.ndarray] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Have the core written.

    Args:
        files: by format, a writer of `workers/tensorflow_write.py`. arrays, more: what the writer asks for besides.

    Returns:
        what the writers said.

    Raises:
        UncarriedError: there is no core, or it has an operator that Keras has nothing for.
        ToolError: TensorFlow failed.
    """
    core = source.core
    steps = steps_of(core.graph)
    question = {
        "name": source.slug,
        "width": core.width,
        "outputs": list(core.outputs),
        "steps": steps.steps,
        "constants": list(steps.constants),
        "write": [[kind, str(path.absolute())] for kind, path in files.items()],
        **more,
    }
    given = {f"c{i}": array for i, array in enumerate(steps.constants.values())} | dict(arrays or {})
    made = work(ENVIRONMENTS[ENVIRONMENT], "tensorflow_write.py", question, given, tell=source.tell)
    if why := made.said.get("refused"):
        raise UncarriedError(why)
    return made.said


def ask(source: Source, worker: str, read: str, paths: Sequence[Path], rows: np.ndarray, **more: Any) -> Work:
    """What something that was written says of rows.

    Args:
        worker: the script that runs it. read: which of its readers. rows: (N, width) float32.
    """
    question = {"read": read, "paths": [str(path.absolute()) for path in paths], **more}
    return work(ENVIRONMENTS[ENVIRONMENT], worker, question, {ENCODED: rows}, tell=source.tell)


class KerasTarget(Base):
    """A target that is written of the model of Keras."""

    takes: ClassVar[Literal["core"]] = "core"
    environment: ClassVar[str] = ENVIRONMENT
    limit: float = 1e-6

    def refuses(self, source: Source) -> str:
        source.core  # noqa: B018 -- says why there is none
        return ""

    def asked(self, source: Source, out: Path, samples: Samples, **more: Any) -> Work:
        """What it says of samples, in its own runtime. more: what else that is asked for."""
        raise NotImplementedError

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        found = self.asked(source, out, samples)
        beside = {name: value for name, value in found.said.items() if name in _MEASURED}
        return Answers(found.arrays[source.core.outputs[-1]], found.said["runtime"], beside=beside)

    def latency(self, source: Source, out: Path, samples: Samples) -> dict[str, float]:
        told: dict[str, float] = self.asked(source, out, samples, time=True).said["latency"]
        return told


class KerasFiles(KerasTarget):
    """A target that is files of Keras or TensorFlow, by its format.

    kinds: the format of each file. read: how `workers/tensorflow_run.py` loads them.
    """

    kinds: ClassVar[Mapping[str, str]]
    read: ClassVar[str]

    def files(self, source: Source, out: Path) -> dict[str, Path]:
        """Where each format of it is."""
        return {kind: out / file for kind, file in self.kinds.items()}

    def usage(self, source: Source) -> str:
        """Lines of Python that make `model`, which is called with rows."""
        raise NotImplementedError

    def export(self, source: Source, out: Path) -> str:
        files = self.files(source, out)
        for path in files.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        write_core(source, files)
        return f"{write_encoder(source, out)}\n\n{python_reader(source, self.usage(source))}"

    def asked(self, source: Source, out: Path, samples: Samples, **more: Any) -> Work:
        paths = list(self.files(source, out).values())
        return ask(source, "tensorflow_run.py", self.read, paths, encoded(source, out, samples), **more)


def python_reader(
    source: Source, load: str, call: str = "found = model(encoded)", array: str = ".numpy()"
) -> str:
    """A runnable example, as Markdown: it loads the model, asks it and says what the answers mean."""
    decided = (
        f'encoder.decide(found["score"]{array})'
        if source.core.program
        else f'found["{source.core.outputs[-1]}"]'
    )
    return f"""```python
{python_usage(source)}

{load}
{call}
print({decided})
```
"""
