"""A model of Keras or TensorFlow as an ONNX graph: converted by their own libraries, in a place of their own.

This process reads none of it. A worker loads it within limits, has tf2onnx write the graph, and holds that against the
model itself (`workers/tensorflow_onnx.py`); what comes back is an ONNX file of somebody else, like any other.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bessemer.environments.errors import ToolEnded
from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.environments.work import work
from bessemer.importers.models.foreign import Asked, Foreign, refused
from bessemer.importers.models.onnx import graph_read
from bessemer.importers.models.trees import reading

_ENVIRONMENT = "tensorflow"
#: Seconds of the clock for loading, converting and comparing; the worker holds itself to memory and CPU.
_CLOCK = 900.0


def converted(how: str, files: Mapping[str, bytes], paths: tuple[str, ...], asked: Asked) -> Foreign:
    """The model, as its graph says it.

    Args:
        how: a reader of `workers/tensorflow_read.py`. files: by their paths in a folder. paths: what the reader is
            given, of them; `.` for the folder.

    Raises:
        FormatError: it is refused, cannot be converted, or the graph says something else.
        UsageError: what was asked for does not fit it. ToolError: TensorFlow cannot be installed,
            or does not start.
    """
    environment = ENVIRONMENTS[_ENVIRONMENT]
    environment.ensure(asked.tell)
    with tempfile.TemporaryDirectory(prefix="bessemer-model-") as place:
        folder = Path(place)
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        question = {"read": how, "paths": [str(folder / path) for path in paths]}
        try:
            made = work(environment, "tensorflow_onnx.py", question, tell=asked.tell, seconds=_CLOCK)
        except ToolEnded as error:
            raise refused(
                "the model cannot be loaded and converted",
                f"it crashes TensorFlow, or takes too much memory or time: {error.why.splitlines()[-1][:200]}",
                "import a smaller model; or export it as ONNX where it was trained",
            ) from None
    if said := made.said.get("refused"):
        raise refused(*map(str, said))
    with reading("graph of the model"):
        foreign = graph_read(made.arrays["graph"].tobytes(), asked, made.said["missing"])
    notes = [
        f"{made.said['read']} loaded it and {made.said['wrote']} wrote its graph, in a place of their own; the two say "
        f"the same of {made.said['rows']} rows of random numbers"
    ]
    if made.said["tables"]:
        notes.append("a number that one of its tables does not have counts as the nearest one that it has")
    return replace(foreign, notes=(*notes, *foreign.notes))
