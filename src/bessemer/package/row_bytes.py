"""Graphs that take much memory for a row: they say how much, and are run over some rows at once.

What a network's layers hold of one row is many times the row itself, so the callers' blocks, which are of rows or of
raw values, may be tens of gigabytes inside it. The number stands in the metadata of the node that gives the network's
answer: it goes wherever the node goes, into the one graph and into the parts that are cut out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from bessemer.package.onnx_format import all_nodes, parse

#: The key of the metadata; its value is a whole number of bytes.
KEY = "bessemer.row_bytes"
#: Bytes that the largest step of a graph may take.
MOST_BYTES = 256 * 2**20


def say_row_bytes(model: Any, value: str, size: int) -> None:
    """Note at the node that makes `value` how many bytes its graph takes for a row."""
    node = next(node for node in model.graph.node if value in node.output)
    node.metadata_props.add(key=KEY, value=str(size))


def row_bytes(model: bytes) -> int:
    """The most that a node of a model says; 0 where none says anything.

    >>> row_bytes(b"")
    0
    """
    if KEY.encode() not in model:  # most graphs: they need not be parsed for it
        return 0
    said = [
        entry.value
        for node in all_nodes(parse(model).graph)
        for entry in node.metadata_props
        if entry.key == KEY
    ]
    return max(
        (int(value) for value in said if value.isascii() and value.isdigit() and len(value) < 16), default=0
    )


class InParts:
    """An onnxruntime session whose runs take at most `MOST_BYTES` in the largest step, or are of one row.

    Rows are axis 0 of all inputs and outputs, and do not depend on each other; where they are not, a run is whole.

    Args:
        session: with `run`, `get_inputs` and `get_outputs`. size: bytes that a row takes.
    """

    def __init__(self, session: Any, size: int) -> None:
        self.session = session
        self.rows = max(1, MOST_BYTES // size)
        self.get_inputs, self.get_outputs = session.get_inputs, session.get_outputs

    def run(self, outputs: Sequence[str] | None, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """What the session's own `run` gives."""
        rows = {len(value) if np.ndim(value) else -1 for value in feeds.values()}
        count = rows.pop() if len(rows) == 1 else 0
        if count <= self.rows:
            return self._run(outputs, feeds)
        parts = -(-count // self.rows)
        edges = [count * part // parts for part in range(parts + 1)]  # parts of about the same size
        found: list[list[np.ndarray]] = []
        for start, stop in pairwise(edges):
            found.append(self._run(outputs, {name: value[start:stop] for name, value in feeds.items()}))
            if any(not np.ndim(value) or len(value) != stop - start for value in found[-1]):
                return self._run(outputs, feeds)
        return [np.concatenate(values) for values in zip(*found, strict=True)]

    def _run(self, outputs: Sequence[str] | None, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        found: list[np.ndarray] = self.session.run(outputs, feeds)
        return found
