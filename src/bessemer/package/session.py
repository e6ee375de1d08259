"""Running the graph over Arrow data.

A heavy graph (thousands of trees) is loaded once, as the part behind its features, whatever is asked of it; what
makes the features is a graph of its own. A small batch runs through a graph as it is. A large one is cut (see
`package.cut`): what depends on one text column alone is computed once for each distinct value and looked up by row,
because handing a text tensor to onnxruntime costs a Python object and a copy a row. All ways run the same nodes on
the same values.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from onnx import helper

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.signature import MISSING_TIMESTAMP, Field
from bessemer.package.cut import Cut, behind, extract, find_cut, values
from bessemer.package.feeds import NUMPY, to_columns, to_tensor
from bessemer.package.graph import serialize

#: From this many rows on, distinct texts are encoded once.
CUT_ROWS = 64
#: A graph of this many bytes is heavy: onnxruntime takes ten times as much memory for each session of it.
HEAVY = 4 << 20
#: What the learner sees: the value where a heavy graph is parted.
FEATURES = "features"


def _element(kind: str) -> int:
    """The element type of a tensor as onnxruntime writes it: 'tensor(int64)' -> TensorProto.INT64."""
    number: int = onnx.TensorProto.DataType.Value(kind.removeprefix("tensor(").removesuffix(")").upper())
    return number


def open_session(model: bytes, threads: int) -> Any:
    """An onnxruntime session on the CPU, sequential, with `threads` threads inside an operator."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # Threads that spin while they wait take the core from those who work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class _Whole:
    """The part of the graph that some outputs need, in one session."""

    def __init__(self, model: Any, outputs: Sequence[str], threads: int) -> None:
        part = extract(model, list(model.graph.input), outputs)
        self.outputs = list(outputs)
        self.inputs = [i.name for i in part.graph.input]
        self.session = open_session(serialize(part), threads)

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        found: list[np.ndarray] = self.session.run(self.outputs, {name: feeds[name] for name in self.inputs})
        return found


class _Cut:
    """The same in two sessions: distinct texts -> frontier, and frontier + other inputs -> outputs."""

    def __init__(self, model: Any, cut: Cut, outputs: Sequence[str], threads: int) -> None:
        self.frontier = dict(cut.frontier)
        self.encoder = open_session(serialize(cut.encoder(model)), threads)
        looked_up = []
        for made in self.encoder.get_outputs():
            shape = ["N", *(d if isinstance(d, int) else None for d in made.shape[1:])]
            looked_up.append(helper.make_tensor_value_info(made.name, _element(made.type), shape))
        rest = [name for name in outputs if name not in self.frontier]
        part = extract(model, [*model.graph.input, *looked_up], rest)
        self.inputs = {i.name for i in part.graph.input}
        self.outputs, self.rest = list(outputs), rest
        self.session = open_session(serialize(part), threads) if rest else None

    def run(self, columns: Mapping[str, pa.Array], fields: Sequence[Field]) -> list[np.ndarray] | None:
        """The outputs, or None where a looked-up value turns out not to have one row for each text."""
        texts = set(self.frontier.values())
        coded = {name: _distinct(columns[name]) for name in texts}
        distinct_texts = {name: distinct for name, (distinct, _) in coded.items()}
        found = self.encoder.run(list(self.frontier), distinct_texts)
        feeds = {f.name: to_tensor(columns[f.name], f) for f in fields if f.name in self.inputs}
        for (value, text), rows in zip(self.frontier.items(), found, strict=True):
            distinct, codes = coded[text]
            if rows.ndim == 0 or len(rows) != len(distinct):
                return None
            feeds[value] = rows.take(codes, axis=0)
        made = dict(feeds)
        if self.session is not None:
            wanted = {name: feeds[name] for name in self.inputs}
            made.update(zip(self.rest, self.session.run(self.rest, wanted), strict=True))
        return [made[name] for name in self.outputs]


def _distinct(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The distinct texts (D, 1) of a column ('' for null) and each row's index into them."""
    coded = column if pt.is_dictionary(column.type) else column.dictionary_encode()
    texts, codes = coded.dictionary.to_pylist(), coded.indices
    if codes.null_count:
        codes = pc.fill_null(codes.cast(pa.int64()), len(texts))
        texts.append("")
    distinct = np.empty((len(texts), 1), dtype=object)
    distinct[:, 0] = ["" if text is None else text for text in texts]
    return distinct, codes.to_numpy(zero_copy_only=False)


def _give_back() -> None:
    """Let the system have what was freed: glibc keeps the hundreds of megabytes that parsing a large graph took."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


class _Halves:
    """A heavy graph in two: raw columns -> features, and one session from the features to all outputs."""

    def __init__(
        self, front: Any, head: bytes, outputs: set[str], inputs: Sequence[Field], threads: int
    ) -> None:
        self.outputs = outputs
        self.front = GraphSession(front, inputs, threads=threads)
        self._head = open_session(head, threads)
        _give_back()

    def knows(self, outputs: Sequence[str]) -> bool:
        return all(name == FEATURES or name in self.outputs for name in outputs)

    def run(self, features: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        wanted = [name for name in outputs if name != FEATURES]
        found: dict[str, np.ndarray] = {FEATURES: features}
        if wanted:
            found |= zip(wanted, self._head.run(wanted, {FEATURES: features}), strict=True)
        return {name: found[name] for name in outputs}


class GraphSession:
    """A graph that is run over Arrow tables; safe to use from several threads.

    Args:
        model: an ONNX model, its bytes, or the path of its file.
        inputs: its input fields (a Signature's `inputs`).
        threads: threads inside an operator.

    >>> from bessemer.package.graph import GraphBuilder
    >>> g = GraphBuilder("double")
    >>> x = g.input("x", "float32", ("N", 1))
    >>> g.output(g.op("Mul", [x, g.constant(np.float32(2))], name="y"), "float32", ("N", 1))
    >>> session = GraphSession(g.model(), [Field("x", "number", "float32")])
    >>> session.run(pa.table({"x": [1.5, None]}), ["y"])["y"].tolist()
    [[3.0], [nan]]
    """

    def __init__(self, model: bytes | Path | Any, inputs: Sequence[Field], *, threads: int = 1) -> None:
        self.inputs = tuple(inputs)
        self.threads = threads
        self._source = model.read_bytes() if isinstance(model, Path) else model
        self._lock = threading.Lock()
        self._whole: dict[tuple[str, ...], _Whole] = {}
        self._cuts: dict[tuple[str, ...], _Cut | None] = {}
        size = len(self._source) if isinstance(self._source, bytes) else self._source.ByteSize()
        self._heavy = size >= HEAVY
        self._parted: _Halves | None = None

    def _model(self) -> Any:
        if isinstance(self._source, bytes):  # parsed again for each new set of outputs rather than kept
            return onnx.load_model_from_string(self._source)
        return self._source

    def _parsed(self, outputs: Sequence[str]) -> Any:
        model = self._model()
        known = values(model)
        for name in outputs:
            if name not in known:
                raise UsageError(f"the graph has no value '{name}'", fix=did_you_mean(name, sorted(known)))
        return model

    def _halves(self, outputs: Sequence[str]) -> _Halves | None:
        """The halves of a heavy graph that give these outputs; None where the graph is to be run as a whole."""
        with self._lock:
            if self._heavy and self._parted is None:
                self._part()
        return self._parted if self._parted is not None and self._parted.knows(outputs) else None

    def _part(self) -> None:
        """Load the halves, if there are two."""
        model = self._model()
        outputs = {o.name for o in model.graph.output}
        head = behind(model, FEATURES, sorted(outputs))
        self._heavy = head is not None
        if head is None:
            return
        front, content = extract(model, model.graph.input, [FEATURES]), serialize(head)
        del model, head  # each takes several times the graph's bytes, as onnxruntime's own will
        self._parted = _Halves(front, content, outputs, self.inputs, self.threads)

    def _session(self, outputs: tuple[str, ...]) -> _Whole:
        with self._lock:
            if outputs not in self._whole:
                self._whole[outputs] = _Whole(self._parsed(outputs), outputs, self.threads)
            return self._whole[outputs]

    def _cut_session(self, outputs: tuple[str, ...]) -> _Cut | None:
        with self._lock:
            if outputs not in self._cuts:
                model = self._parsed(outputs)
                cut = find_cut(model, outputs)
                self._cuts[outputs] = _Cut(model, cut, outputs, self.threads) if cut.frontier else None
            return self._cuts[outputs]

    def run(
        self, table: pa.Table | pa.RecordBatch, outputs: Sequence[str], *, allow_missing: bool = False
    ) -> dict[str, np.ndarray]:
        """The values of some outputs, or of any other values of the graph, for N rows.

        Args:
            table: the raw columns; others are ignored.
            outputs: names of values, e.g. 'features', 'score', 'probability', 'prediction'.
            allow_missing: whether nullable columns may be absent.

        Returns:
            name -> array whose first axis has N rows.

        Raises:
            DataError: columns are missing or of an impossible type (see `feeds.to_feeds`).
            UsageError: the graph has no such value.
        """
        names = tuple(outputs)
        if table.num_rows and (halves := self._halves(names)) is not None:
            made = halves.front.run(table, [FEATURES], allow_missing=allow_missing)
            return halves.run(made[FEATURES], names)
        columns = to_columns(table, self.inputs, allow_missing=allow_missing)
        if table.num_rows >= CUT_ROWS and (cut := self._cut_session(names)) is not None:
            found = cut.run(columns, self.inputs)
            if found is not None:
                return dict(zip(names, found, strict=True))
        return self.run_feeds({f.name: to_tensor(columns[f.name], f) for f in self.inputs}, names)

    def run_feeds(self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """The same for tensors of shape (N, 1) that are ready: one for each input, of its tensor type."""
        names = tuple(outputs)
        rows = len(next(iter(feeds.values()))) if feeds else 0
        if rows and (halves := self._halves(names)) is not None:
            made = halves.front.run_feeds(feeds, [FEATURES])
            return halves.run(made[FEATURES], names)
        if rows:
            return dict(zip(names, self._session(names).run(feeds), strict=True))
        # Not every kernel takes an empty tensor: run a row of missing values and give none of it.
        nothing = {f.name: missing_tensor(f) for f in self.inputs}
        found = self._session(names).run(nothing)
        return {name: array[:0] for name, array in zip(names, found, strict=True)}


def missing_tensor(field: Field) -> np.ndarray:
    """The (1, 1) tensor of a missing value of a field."""
    if field.tensor == "string":
        return np.array([[""]], dtype=object)
    missing = MISSING_TIMESTAMP if field.dtype == "timestamp" else float("nan")
    return np.array([[missing]], dtype=NUMPY[field.tensor])
