"""What workers with two duties have in common: to write an artefact of a graph, and to run one.

The argument is a folder with `question.json` and, to write, `graph.npy` (the bytes of the core), to run, `x.npy`.
"""

import json
import sys
from pathlib import Path

import numpy as np
from timing import microseconds_a_row

#: Rows that are asked for at once, in turn, where any number can be: it must not matter.
_PARTS = (1, 7)


def main(write, load):
    """Do what is asked.

    Args:
        write: (content of the core, folder for the artefact, question, a folder for the time being).
        load: (folder of the artefact, question) -> the runtime's name and version, and what makes of (n, width)
            float32 a list of the core's outputs.
    """
    folder = Path(sys.argv[1])
    asked = json.loads((folder / "question.json").read_text(encoding="utf-8"))
    out = Path(asked["out"])
    if asked["do"] == "write":
        graph = folder / "graph.npy"
        content = np.load(graph).tobytes() if graph.is_file() else b""
        said = write(content, out, asked, folder) or {}
    else:
        said = _run(*load(out, asked), folder, asked)
    (folder / "answer.json").write_text(json.dumps(said), encoding="utf-8")


def _run(runtime, run, folder, asked):
    x = np.load(folder / "x.npy")
    most = asked["most"] or len(x)
    parts = [part for part in np.split(x, np.cumsum([n for n in _PARTS if n <= most])) if len(part)]
    parts = [part[i : i + most] for part in parts for i in range(0, len(part), most)]
    np.save(folder / "out_values.npy", np.concatenate([run(part)[-1] for part in parts]))
    if not asked["time"]:
        return {"runtime": runtime}
    return {
        "runtime": runtime,
        "latency": microseconds_a_row(lambda rows: _in_parts(run, rows, asked["most"]), x),
    }


def _in_parts(run, rows, most):
    """All rows, no more than `most` at once (0: all)."""
    most = most or len(rows)
    for i in range(0, len(rows), most):
        run(rows[i : i + most])
