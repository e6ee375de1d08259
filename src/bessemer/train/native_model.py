"""A fitted model from its native form alone: what a killed run had finished, without the learner's library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.package.natives import open_native
from bessemer.train.learner import Native

if TYPE_CHECKING:
    from bessemer.package.natives import NativeModel
    from bessemer.train.learner import Fitted

#: Values of the rows that a head is asked at once: the layers of a network for images need many times as many.
_VALUES = 2**21

Curves = Mapping[str, list[tuple[int, float]]]


@dataclass(frozen=True)
class HeadModel:
    """A model whose native form holds its ONNX head (kind `head`).

    private: what its training promises of single rows, where it was private.
    whole: the graph of all targets, `features` -> a score each (`Problem.scores`); b"" where there is one target.
    """

    form: Native
    params: Mapping[str, Any]
    iterations: int
    curves: Curves = field(default_factory=dict)
    private: Mapping[str, Any] | None = None
    whole: bytes = b""

    @cached_property
    def _model(self) -> NativeModel:
        return open_native(self.form.kind, self.form.content, 1)

    def margin(self, X: np.ndarray) -> np.ndarray:
        if not len(X):
            return self.margin(np.zeros((1, X.shape[1]), dtype=np.float32))[:0]
        at_once = max(1, _VALUES // max(1, X.shape[1]))
        parts = [self._model.margin(X[first : first + at_once]) for first in range(0, len(X), at_once)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def contributions(self, X: np.ndarray) -> np.ndarray:
        base, each = self._model.contributions(X)
        return np.concatenate([each, base[:, None, :]], axis=1).transpose(0, 2, 1)

    def to_onnx(self) -> Any:
        import onnx

        return onnx.load_model_from_string(self.form.content.partition(b"\n")[2])

    def all_onnx(self) -> Any:
        """The ONNX model of all targets; that of the main one where there is no other."""
        import onnx

        return onnx.load_model_from_string(self.whole) if self.whole else self.to_onnx()

    def native(self) -> Native:
        return self.form


def restored(native: Native, params: Mapping[str, Any], iterations: int, curves: Curves) -> Fitted:
    """The model again.

    Raises:
        FormatError: a kind that has no such form.
    """
    if native.kind == "trees":
        from bessemer.package.trees.codec import decode
        from bessemer.package.trees.shapley import TreeShapley
        from bessemer.train.tree_model import TreeModel

        trees = decode(native.content)
        return TreeModel(trees, TreeShapley(trees, threads=2).margin, params, iterations, curves)
    if native.kind == "linear":
        from bessemer.train.learners.linear import LinearModel

        values = {k: np.asarray(v, dtype=np.float32) for k, v in json.loads(native.content).items()}
        return LinearModel(**values, params=params, iterations=iterations, curves=curves)
    if native.kind == "constant":
        from bessemer.train.learners.constant import ConstantModel

        score = np.asarray(json.loads(native.content)["score"], dtype=np.float32)
        return ConstantModel(score, params, iterations, curves)
    if native.kind == "pairs":
        from bessemer.package.pairs import decode_paired
        from bessemer.train.paired import PairedModel

        encoder, kind, content = decode_paired(native.content)
        return PairedModel(encoder, restored(Native(kind, "inner", content), params, iterations, curves))
    if native.kind == "ensemble":
        from bessemer.package.natives import decode_ensemble
        from bessemer.train.ensemble import Ensemble

        members: list[tuple[float, Fitted]] = []
        for part in decode_ensemble(native.content):
            rounds = 0 if members else iterations  # of all together, since nothing says whose they are
            member = restored(Native(part.kind, "member", part.content), {}, rounds, {})
            members.append((part.weight, member))
        return Ensemble(tuple(members), params, curves)
    return HeadModel(native, params, iterations, curves)
