"""Trained models in their own form: what exact contributions are computed from, one class a kind.

A native model is data: arrays, text or an ONNX head. The learner's own library is not needed, except LightGBM for its
own text, which packages of format 1 may have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import FormatError, MissingExtra, did_you_mean
from bessemer.package.pairs import decode_paired


class NativeModel(Protocol):
    """A trained model in its own form. x is (N, F) float32; both answers are float64, before calibration.

    work: what the contributions of one row cost, in about a nanosecond of one thread.
    """

    @property
    def work(self) -> float: ...

    def margin(self, x: np.ndarray) -> np.ndarray:
        """The raw score, (N, K')."""

    def contributions(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Base (N, K') and each feature's part (N, F, K')."""


class LightGBMText:
    """LightGBM's own text, as packages of format 1 may have it."""

    def __init__(self, native: bytes, threads: int) -> None:
        try:
            import lightgbm
        except ModuleNotFoundError:
            raise MissingExtra("explaining this package", "lightgbm", "lightgbm") from None

        self._booster = lightgbm.Booster(model_str=native.decode("utf-8"))
        self._outputs = int(self._booster.num_model_per_iteration())
        self._threads = threads
        self.work = 3_000.0 * self._booster.num_trees()

    def margin(self, x: np.ndarray) -> np.ndarray:
        raw = self._booster.predict(x, raw_score=True, num_threads=self._threads)
        return np.asarray(raw, dtype=np.float64).reshape(len(x), self._outputs)

    def contributions(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = self._booster.predict(x, pred_contrib=True, num_threads=self._threads)
        split = np.asarray(found, dtype=np.float64).reshape(len(x), self._outputs, x.shape[1] + 1)
        split = split.transpose(0, 2, 1)
        return split[:, -1, :], split[:, :-1, :]


class Linear:
    """A sum over features, each standardised, with the training mean where it is missing."""

    def __init__(self, native: bytes, threads: int) -> None:
        fitted = {name: np.asarray(value, dtype=np.float64) for name, value in json.loads(native).items()}
        self._impute, self._mean, self._scale = fitted["impute"], fitted["mean"], fitted["scale"]
        self.weights, self._intercept = fitted["coef"].T, fitted["intercept"]  # (F, K'), (K',)
        self.work = float(self.weights.size)

    def standard(self, x: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> float64, what the weights apply to."""
        wide = x.astype(np.float64)
        standard: np.ndarray = (np.where(np.isnan(wide), self._impute, wide) - self._mean) / self._scale
        return standard

    def margin(self, x: np.ndarray) -> np.ndarray:
        total: np.ndarray = self.standard(x) @ self.weights + self._intercept
        return total

    def contributions(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        base = np.broadcast_to(self._intercept, (len(x), len(self._intercept)))
        return base, self.standard(x)[:, :, None] * self.weights[None, :, :]


class Constant:
    """The same score for every row."""

    def __init__(self, native: bytes, threads: int) -> None:
        self._score = np.asarray(json.loads(native)["score"], dtype=np.float64)
        self.work = 1.0

    def margin(self, x: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self._score, (len(x), len(self._score)))

    def contributions(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.margin(x), np.zeros((*x.shape, len(self._score)))


def _trees(native: bytes, threads: int) -> NativeModel:
    from bessemer.package.trees.codec import decode
    from bessemer.package.trees.shapley import TreeShapley

    return TreeShapley(decode(native), threads)


class Head:
    """A network's ONNX head: contributions are sampled Shapley values against one baseline row."""

    def __init__(self, native: bytes, threads: int) -> None:
        from bessemer.package.runtime import open_session
        from bessemer.package.safety import check_graph
        from bessemer.package.shapley import evaluations

        line, _, graph = native.partition(b"\n")
        nan = float("nan")
        baseline = [nan if v is None else v for v in json.loads(line)["baseline"]]
        self.baseline = np.array(baseline, dtype=np.float32)  #: (F,), NaN allowed
        check_graph(graph)
        self._session = open_session(graph, threads)
        self.margin_work = len(graph) / 4
        self.work = evaluations(len(self.baseline)) * self.margin_work

    def margin(self, x: np.ndarray) -> np.ndarray:
        found = self._session.run(["score"], {"features": np.ascontiguousarray(x, dtype=np.float32)})[0]
        return np.asarray(found, dtype=np.float64)

    def contributions(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        from bessemer.package.shapley import sampled_shapley

        base, each = sampled_shapley(self.margin, x, self.baseline)
        return np.broadcast_to(base, (len(x), len(base))), each


class Paired:
    """A model of the features and of pairs of columns; each pair's part goes to its two columns, half and half."""

    def __init__(self, native: bytes, threads: int) -> None:
        self.encoder, kind, content = decode_paired(native)
        self.model = open_native(kind, content, threads)
        self.work = self.model.work

    def margin(self, x: np.ndarray) -> np.ndarray:
        return self.model.margin(self.encoder.added(x))

    def contributions(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        base, each = self.model.contributions(self.encoder.added(x))
        return base, self.encoder.shared(each)


@dataclass(frozen=True)
class Weighted:
    """One member of an ensemble: what it counts, and its native model."""

    weight: float
    kind: str
    content: bytes


class Ensemble:
    """The weighted sum of its members' margins; so its contributions are the weighted sum of theirs."""

    def __init__(self, native: bytes, threads: int) -> None:
        self.members = [(m.weight, open_native(m.kind, m.content, threads)) for m in decode_ensemble(native)]
        self.work = sum(model.work for _, model in self.members)

    def margin(self, x: np.ndarray) -> np.ndarray:
        total: np.ndarray = np.sum([weight * model.margin(x) for weight, model in self.members], axis=0)
        return total

    def contributions(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        (first, model), *others = self.members
        base, each = (first * values for values in model.contributions(x))
        for weight, model in others:
            more = model.contributions(x)
            base, each = base + weight * more[0], each + weight * more[1]
        return base, each


_KINDS: Mapping[str, Callable[[bytes, int], NativeModel]] = {
    "lightgbm": LightGBMText,
    "linear": Linear,
    "constant": Constant,
    "trees": _trees,
    "head": Head,
    "pairs": Paired,
    "ensemble": Ensemble,
}


def open_native(kind: str, content: bytes, threads: int) -> NativeModel:
    """The native model in these bytes.

    Raises:
        FormatError: a kind this version does not know, or bytes that are not of that kind.
    """
    if kind not in _KINDS:
        raise FormatError(
            f"no contributions for a native model of kind '{kind}'", fix=did_you_mean(kind, _KINDS)
        )
    return _KINDS[kind](content, threads)


def components(model: NativeModel) -> Iterator[NativeModel]:
    """The models that a model is made of, itself where it is of one piece."""
    if isinstance(model, Ensemble):
        for _, member in model.members:
            yield from components(member)
    elif isinstance(model, Paired):
        yield from components(model.model)
    else:
        yield model


def margin_work(model: NativeModel) -> float:
    """What the margin of one row costs, in about a nanosecond of one thread; more than that for what is not known."""
    return sum(getattr(one, "margin_work", one.work) for one in components(model))


def encode_ensemble(members: Sequence[Weighted]) -> bytes:
    """A line of JSON that says what each member is, and their bytes one after the other.

    >>> decode_ensemble(encode_ensemble([Weighted(0.5, "constant", b"{}")]))
    [Weighted(weight=0.5, kind='constant', content=b'{}')]
    """
    head = [{"weight": m.weight, "kind": m.kind, "size": len(m.content)} for m in members]
    return b"".join([canonical.dump_bytes(head), b"\n", *(m.content for m in members)])


def decode_ensemble(content: bytes) -> list[Weighted]:
    """What `encode_ensemble` wrote.

    Raises:
        FormatError: it is not that.
    """
    line, _, rest = content.partition(b"\n")
    found, at = [], 0
    try:
        rows: list[dict[str, Any]] = json.loads(line)
        for row in rows:
            size = int(row["size"])
            if size < 0 or row["kind"] == "ensemble":
                raise ValueError("an ensemble has no ensembles in it")
            found.append(Weighted(float(row["weight"]), str(row["kind"]), rest[at : at + size]))
            at += size
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError("the native ensemble cannot be read", why=str(error)) from error
    if at != len(rest) or not found:
        raise FormatError("the native ensemble cannot be read", why="its size is not what it says")
    return found
