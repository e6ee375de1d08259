"""A model of numbers alone, for what takes a matrix: score = the sum of its inputs, missing ones as 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from bessemer.core.signature import Field, Signature
from bessemer.package.graph import GraphBuilder
from bessemer.package.session import GraphSession
from bessemer.serve.batching import Lane
from bessemer.serve.dialect import Subject
from bessemer.serve.predictor import Predictor
from bessemer.serve.repository import Repository
from bessemer.serve.spec import ServeSpec


def numeric(
    inputs: int = 3, kinds: tuple[str, ...] = ("number", "integer", "boolean"), **settings: Any
) -> Repository:
    """A server's models: the one model 'sum'; its inputs x0, x1, ... are of these kinds in turn."""
    fields = tuple(Field(f"x{i}", kinds[i % len(kinds)], "float32") for i in range(inputs))  # type: ignore[arg-type]
    g = GraphBuilder("sum")
    for field in fields:
        g.input(field.name, "float32", ("N", 1))
    features = g.op("Concat", [field.name for field in fields], name="features", axis=1)
    zeros = g.op("Where", [g.op("IsNaN", [features]), g.constant(np.float32(0)), features])
    score = g.op("MatMul", [zeros, g.constant(np.ones((inputs, 1), dtype=np.float32))], name="score")
    flat = g.constant(np.array([-1], dtype=np.int64))
    g.output(g.op("Reshape", [score, flat], name="prediction"), "float32", ("N",))
    g.output(score, "float32", ("N", 1))
    outputs = (
        Field("prediction", "number", "float32", nullable=False),
        Field("score", "number", "float32", nullable=False, shape=(1,)),
    )
    signature: Any = Signature(fields, outputs, task="regression", target="sum")
    subject = Subject("sum", "2", signature, (), ServeSpec(**settings))
    return Repository(
        subject.spec, [Lane(subject, Predictor(signature, GraphSession(g.model(), fields), None))]
    )
