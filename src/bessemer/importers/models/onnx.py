"""ONNX of any exporter, as a head of ours: columns of numbers in, one score for each output out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from bessemer.core import canonical
from bessemer.importers.models.foreign import EXACT, Asked, Foreign, Input, classes_of, refused
from bessemer.importers.models.onnx_answers import answers_of
from bessemer.importers.models.onnx_child import probe
from bessemer.importers.models.onnx_graph import opened
from bessemer.importers.models.onnx_inputs import Taken, inputs_of
from bessemer.importers.models.onnx_meaning import meaning
from bessemer.importers.models.trees import reading
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.row_bytes import say_row_bytes
from bessemer.prepare.transforms.base import Plain
from bessemer.train.learner import Native
from bessemer.train.networks.export_size import largest_step

#: Rows that the graph is asked to see what it answers: at most, at least, and the numbers in them.
_PROBES, _FEWEST, _VALUES = 32, 4, 2**20
#: By how much answers to the same row may differ.
_NOISE = 1e-4
#: The least probability whose logarithm is taken: the smallest normal float32.
_LEAST = np.float32(np.finfo(np.float32).tiny)


class Onnx:
    """A graph that takes numbers: one matrix, or columns by name."""

    TITLE: ClassVar[str] = "ONNX"

    def recognises(self, head: bytes) -> bool:
        """The message begins with the version of its format (field 1), and goes on with one of the next fields."""
        return (
            len(head) > 2
            and head[0] == 0x08
            and 1 <= head[1] <= 64
            and head[2] in b"\x12\x1a\x22\x28\x32\x3a\x42\x72"
        )

    def read(self, data: bytes, asked: Asked) -> Foreign:
        with reading("ONNX model"):
            return graph_read(data, asked)


def graph_read(data: bytes, asked: Asked, missing: bool = True) -> Foreign:
    """The model in an ONNX graph, also one that another form was turned into.

    Args:
        missing: whether its answers to missing values are those of the form that it was turned into.

    Raises:
        FormatError: it is refused, damaged, or holds what has no counterpart.
        UsageError: what was asked for does not fit it.
    """
    model = opened(data)
    taken, inputs = inputs_of(model, asked)
    answers = answers_of(model, asked.signature.output if asked.signature is not None else "")
    raw, takes_missing = _probed(_head(model, taken, answers.value, ""), taken)
    task, count, kind, assumed = meaning(answers, raw, asked)
    classes = classes_of(asked, answers.classes, count) if count else ()
    graph = _head(model, taken, answers.value, kind)
    line = canonical.dump_bytes({"baseline": [0.0] * sum(one.width for one in taken)})
    notes = ["its contributions are told against a row of zeros; --data finds a better one", *assumed]
    takes_missing = takes_missing and missing
    notes += _of_missing(inputs, asked, takes_missing)
    if any(one.rounded for one in taken):
        notes.append(f"it gets its numbers as float32: whole ones beyond {EXACT:,} are rounded")
    if not takes_missing:
        inputs = tuple(
            replace(one, nullable=False) if isinstance(one.fitted, Plain) else one for one in inputs
        )
    native = Native("head", "head.onnx", line + b"\n" + graph)
    params = {"producer": str(model.producer_name)[:100]}
    return Foreign("onnx", task, classes, inputs, native, params, 0, tuple(notes), untried=True)


def _of_missing(inputs: Sequence[Input], asked: Asked, takes_missing: bool) -> Iterator[str]:
    """What is worth saying of missing values of the columns of which a signature does not say it."""
    told = {} if asked.signature is None else asked.signature.inputs
    columns = [one for one in inputs if isinstance(one.fitted, Plain)]
    bare = [
        one
        for one in columns
        if (said := told.get(one.column.name)) is None
        or (said.missing is None and said.nullable is not False)
    ]
    if any(one.precision == "whole" for one in bare):
        yield "it takes whole numbers: a missing one is a number to it"
    if bare and not takes_missing:
        names = [one.column.name for one in bare[:5]] + ["..."] * (len(bare) > 5)
        whose = "" if len(bare) == len(columns) else f" of {', '.join(names)}"
        yield f"no value{whose} may be missing: it does not say what stands for one (a signature can)"


def _head(model: Any, taken: Sequence[Taken], value: str, kind: str) -> bytes:
    """The graph from `features` to `score`; of no kind: to the value as it is."""
    g = GraphBuilder("imported")
    x = g.input("features", "float32", ("N", sum(one.width for one in taken)))
    bindings, first = {}, 0
    for one in taken:
        part = x
        if len(taken) > 1:
            part = g.op("Gather", [x, g.constant(np.arange(first, first + one.width))], axis=1)
        bindings[one.name] = one.bind(g, part)
        first += one.width
    made = g.cast(g.embed(model, bindings, "imported/")[value], "float32")
    if kind:
        made = _KINDS[kind](g, made)
    g.output(g.op("Identity", [made], name="score"), "float32", ("N", "K"))
    whole = g.model()
    if any(one.pixels is not None for one in taken):
        say_row_bytes(whole, "score", largest_step(whole))
    return serialize(whole)


def _column(g: GraphBuilder, value: str) -> str:
    return g.op("Reshape", [value, g.constant(np.array([-1, 1]))])


def _log(g: GraphBuilder, value: str) -> str:
    return g.op("Log", [g.op("Max", [value, g.constant(_LEAST)])])


def _one_probability(g: GraphBuilder, value: str) -> str:
    """(N,) or (N, 1) probabilities of the second class -> log-odds."""
    p = _column(g, value)
    return g.op("Sub", [_log(g, p), _log(g, g.op("Sub", [g.constant(np.float32(1)), p]))])


def _two(g: GraphBuilder, value: str) -> str:
    """(N, 2) scores -> (N, 1) of the second class."""
    return g.op("MatMul", [value, g.constant(np.array([[-1], [1]], dtype=np.float32))])


_KINDS: Mapping[str, Callable[[GraphBuilder, str], str]] = {
    "number": _column,
    "probability": _one_probability,
    "two probabilities": lambda g, value: _two(g, _log(g, value)),
    "probabilities": _log,
    "log-odds": _column,
    "two scores": _two,
    "scores": lambda g, value: g.op("Identity", [value]),
}


def _probed(graph: bytes, taken: Sequence[Taken]) -> tuple[np.ndarray, bool]:
    """What the graph answers to some rows, and whether it has an answer to a row of missing values.

    Raises:
        FormatError: onnxruntime refuses it, there is no answer for each row, or it depends on the other rows or on
            chance.
    """
    rows = _rows(taken)
    count = len(rows)
    told = probe(graph, rows)
    found = told["whole"]
    if found.ndim not in (1, 2) or found.shape[0] != count or not np.isfinite(found).all():
        raise refused(
            f"the ONNX graph answers {count} rows with numbers of shape {found.shape}",
            "a score for each row was wanted, and finite",
        )
    raw = np.asarray(found, dtype=np.float64)
    first = raw.reshape(-1)[: len(told["alone"])]
    same = (
        _near(told["alone"], first),
        _near(told["back"], raw[::-1]),
        _near(told["many"], np.concatenate([raw] * (len(told["many"]) // count))),
    )
    if not all(same):
        raise refused(
            "the ONNX graph gives a row another answer when it is asked beside other rows, or again",
            "what a row says must come from that row alone",
            "export it for evaluation (no statistics of the batch, no dropout, no sampling)",
        )
    return raw, bool(np.isfinite(told["missing"]).all())


def _rows(taken: Sequence[Taken]) -> np.ndarray:
    """(N, F) float32 rows to ask: numbers from 0 on, pixels from 0 to 1; fewer of large images."""
    rng = np.random.default_rng(0)
    width = sum(one.width for one in taken)
    rows = np.abs(rng.normal(size=(max(_FEWEST, min(_PROBES, _VALUES // width)), width)) * 3)
    first = 0
    for one in taken:
        if one.pixels is not None:
            rows[:, first : first + one.width] = rng.random((len(rows), one.width))
        first += one.width
    return rows.astype(np.float32)


def _near(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether answers are the same but for the last bits of sums."""
    size = max(1.0, float(np.abs(wanted).max()))
    return found.shape == wanted.shape and bool((np.abs(found - wanted) <= _NOISE * size).all())
