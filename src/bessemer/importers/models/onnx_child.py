"""What a foreign ONNX graph answers, asked in a process of its own: a hostile one may take all memory, or never end.

`python -m bessemer.importers.models.onnx_child FOLDER` reads `rows.npy` and the graphs `0.onnx`, `1.onnx`... there and
writes `answers.npz`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bessemer.importers.models.limited import hold, main, run_limited

#: Rows that are asked alone; how often all are asked at once.
_ALONE, _TIMES = 4, 8


def probe(graph: bytes, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Answers by name: to the rows (`whole`), the first ones alone (`alone`), all backwards (`back`), all of them eight
    times over (`many`), and a row of missing values (`missing`).

    Raises:
        FormatError: onnxruntime refuses the graph, or it takes more than a model should.
    """
    return _asked([graph], rows)


def scores(graphs: Sequence[bytes], rows: np.ndarray) -> list[np.ndarray]:
    """What each of several graphs from `features` to `score` answers to the rows.

    Raises:
        FormatError: as for `probe`.
    """
    found = _asked(graphs, rows, "each")
    return [found[str(i)] for i in range(len(graphs))]


def _asked(graphs: Sequence[bytes], rows: np.ndarray, how: str = "probe") -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i, graph in enumerate(graphs):
            (folder / f"{i}.onnx").write_bytes(graph)
        np.save(folder / "rows.npy", rows)
        (folder / "how").write_text(how)
        run_limited(__name__, folder, "the ONNX graph", "onnxruntime cannot run the ONNX graph")
        with np.load(folder / "answers.npz", allow_pickle=False) as found:
            return {key: found[key] for key in found.files}


def _answer(folder: Path) -> None:
    import onnxruntime  # noqa: F401 - before the limit

    from bessemer.train.parity import scores_of

    rows = np.load(folder / "rows.npy", allow_pickle=False)
    graphs = [(folder / f"{i}.onnx").read_bytes() for i in range(len(list(folder.glob("*.onnx"))))]
    hold()
    each = (folder / "how").read_text() == "each"
    found = (
        {str(i): scores_of(graph, rows) for i, graph in enumerate(graphs)}
        if each
        else _probe(graphs[0], rows)
    )
    np.savez(folder / "answers.npz", **found)  # type: ignore[arg-type]


def _probe(graph: bytes, rows: np.ndarray) -> dict[str, np.ndarray]:
    from bessemer.package.runtime import open_session

    session = open_session(graph, 1)

    def ask(some: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(["score"], {"features": some})[0])

    return {
        "whole": ask(rows),
        "back": ask(rows[::-1].copy()),
        "many": ask(np.tile(rows, (_TIMES, 1))),
        "missing": ask(np.full_like(rows[:1], np.nan)),
        "alone": np.concatenate([ask(rows[i : i + 1]).reshape(-1) for i in range(_ALONE)]),
    }


if __name__ == "__main__":
    main(_answer)
