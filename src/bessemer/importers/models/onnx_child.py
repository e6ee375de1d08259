"""What a foreign ONNX graph answers, asked in a process of its own: a hostile one may take all memory, or never end.

`python -m bessemer.importers.models.onnx_child FOLDER` reads `graph.onnx` and `rows.npy` there and writes
`answers.npz`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from bessemer.importers.models.foreign import refused

#: Bytes of memory beside what Python and onnxruntime take, and seconds of CPU and of the clock.
_MEMORY, _CPU, _CLOCK = 4 * 2**30, 120, 600
#: Rows that are asked alone; how often all are asked at once.
_ALONE, _TIMES = 4, 8


def probe(graph: bytes, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Answers by name: to the rows (`whole`), the first ones alone (`alone`), all backwards (`back`), all of them eight
    times over (`many`), and a row of missing values (`missing`).

    Raises:
        FormatError: onnxruntime refuses the graph, or it takes more than a model should.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "graph.onnx").write_bytes(graph)
        np.save(folder / "rows.npy", rows)
        # -P: a file of the working folder must not stand in for a module
        line = [sys.executable, "-P", "-m", __name__, str(folder)]
        try:
            done = subprocess.run(line, capture_output=True, timeout=_CLOCK, check=False)  # noqa: S603 - this module
        except subprocess.TimeoutExpired:
            raise _too_much() from None
        if done.returncode < 0:
            raise _too_much()
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise refused("onnxruntime cannot run the ONNX graph", said[-1][:300] if said else "")
        with np.load(folder / "answers.npz", allow_pickle=False) as found:
            return {key: found[key] for key in found.files}


def _too_much() -> Exception:
    return refused(
        "the ONNX graph cannot be run on a few rows",
        f"it crashes, or takes more than {_MEMORY / 2**30:.0f} GiB of memory or {_CPU} seconds",
        "import a smaller model",
    )


def _limit() -> None:
    """Hold this process to its share, on systems that know how."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + _MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU, _CPU))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        return


def _answer(folder: Path) -> None:
    from bessemer.package.runtime import open_session

    rows = np.load(folder / "rows.npy", allow_pickle=False)
    graph = (folder / "graph.onnx").read_bytes()
    import onnxruntime  # noqa: F401 - before the limit: libraries reserve what they never use

    _limit()
    session = open_session(graph, 1)

    def ask(some: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(["score"], {"features": some})[0])

    found = {
        "whole": ask(rows),
        "back": ask(rows[::-1].copy()),
        "many": ask(np.tile(rows, (_TIMES, 1))),
        "missing": ask(np.full_like(rows[:1], np.nan)),
    }
    alone = [ask(rows[i : i + 1]).reshape(-1) for i in range(_ALONE)]
    np.savez(folder / "answers.npz", alone=np.concatenate(alone), **found)  # type: ignore[arg-type]


if __name__ == "__main__":
    try:
        _answer(Path(sys.argv[1]))
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors have no common class; it is somebody's file
        sys.exit((str(error).splitlines() or [type(error).__name__])[0])
