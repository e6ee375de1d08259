"""Running the graph over Arrow data, tensors or a matrix.

A graph of trees is run in two halves: what makes the features (`package.front`), and what is behind them
(`package.head`), where our own code walks the trees. So is a heavy graph without it: its second half is loaded once,
whatever is asked. Other graphs run as they are. A large batch is cut besides (see `package.cut`): what depends on one
text column alone is computed once for each distinct value and looked up by row, because handing a text tensor to
onnxruntime costs a Python object and a copy a row. All ways give the same bits.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.signature import Field
from bessemer.package.cut import Cut, behind, extract, find_cut, is_behind, value_info, values
from bessemer.package.front import Front, find_join
from bessemer.package.head import FEATURES, HEAVY, Head, PlainHead, tree_nodes, walked
from bessemer.package.images import IMAGE_ROWS, RefusedImage, decodable, image_inputs, in_blocks
from bessemer.package.matrix import MATRIX, of_one_matrix
from bessemer.package.onnx_format import element_type, parse, serialize
from bessemer.package.outliers import OUTLIER, without_outliers
from bessemer.package.runtime import give_back, open_session
from bessemer.package.texts import Texts
from bessemer.package.values import missing_tensor

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CUT_ROWS", "GraphSession", "missing_tensor"]

#: From this many rows on, distinct texts are encoded once.
CUT_ROWS = 64
#: Outputs that nobody pays for who does not ask for them.
_ASIDE = {OUTLIER}


class _Whole:
    """The part of the graph that some outputs need, in one session.

    made: inputs beside the graph's own: values of it that are computed elsewhere.
    """

    def __init__(self, model: Any, outputs: Sequence[str], threads: int, made: Sequence[Any] = ()) -> None:
        part = extract(model, [*model.graph.input, *made], outputs)
        self.outputs = list(outputs)
        self.inputs = [i.name for i in part.graph.input]
        self.session = open_session(serialize(part), threads)
        self._images = image_inputs(part)
        self._decoder = (
            extract(part, list(part.graph.input), [*self._images.values()]) if self._images else None
        )

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        given = {name: feeds[name] for name in self.inputs}
        if self._decoder is not None:
            return self._with_images(given)
        found: list[np.ndarray] = self.session.run(self.outputs, given)
        return found

    def _with_images(self, given: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The same where texts are decoded as images: one that is none is named.

        Raises:
            RefusedImage: with its column and row.
        """
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

        given = decodable(given, self._images)
        try:
            found: list[np.ndarray] = self.session.run(self.outputs, given)
        except (Fail, InvalidArgument, RuntimeException):
            self._find_fault(given, (Fail, InvalidArgument, RuntimeException))
            raise
        return found

    def _find_fault(self, given: Mapping[str, np.ndarray], faults: tuple[type[Exception], ...]) -> None:
        decoder = open_session(serialize(self._decoder), 1)
        for row in range(len(given[next(iter(self._images))])):
            for name, value in self._images.items():
                try:
                    decoder.run([value], {name: given[name][row : row + 1] for name in self._images})
                except faults:
                    raise RefusedImage(name, row, "a damaged image file") from None


class _Cut:
    """The same in two sessions: distinct texts -> frontier, and frontier + other inputs -> outputs."""

    def __init__(self, model: Any, cut: Cut, outputs: Sequence[str], threads: int) -> None:
        self.frontier = dict(cut.frontier)
        encoder = cut.encoder(model)
        self.encoder = open_session(serialize(encoder), threads)
        # A loop over texts takes milliseconds a text: what it made is looked up when a text comes again.
        loops = any(node.op_type == "Loop" for node in encoder.graph.node)
        self._texts = Texts(self.frontier) if loops else None
        looked_up = []
        for made in self.encoder.get_outputs():
            shape = ["N", *(d if isinstance(d, int) else None for d in made.shape[1:])]
            looked_up.append(value_info(model, made.name, element_type(made.type), shape))
        rest = [name for name in outputs if name not in self.frontier]
        self.outputs, self.rest = list(outputs), rest
        self.whole = _Whole(model, rest, threads, looked_up) if rest else None
        self.inputs = set(self.whole.inputs if self.whole else ())

    def run(self, columns: Mapping[str, pa.Array], fields: Sequence[Field]) -> list[np.ndarray] | None:
        """The outputs, or None where a looked-up value turns out not to have one row for each text."""
        from bessemer.package.feeds import distinct, to_tensor

        texts = set(self.frontier.values())
        coded = {name: distinct(columns[name]) for name in texts}
        distinct_texts = {name: different for name, (different, _) in coded.items()}
        found = self._encoded(distinct_texts)
        feeds = {f.name: to_tensor(columns[f.name], f) for f in fields if f.name in self.inputs}
        for (value, text), rows in zip(self.frontier.items(), found, strict=True):
            different, codes = coded[text]
            if rows.ndim == 0 or len(rows) != len(different):
                return None
            feeds[value] = rows.take(codes, axis=0)
        made = dict(feeds)
        if self.whole is not None:
            made.update(zip(self.rest, self.whole.run(feeds), strict=True))
        return [made[name] for name in self.outputs]

    def _encoded(self, texts: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The frontier's values for distinct texts, in its order."""
        known = self._texts.find(texts) if self._texts is not None else None
        if known is not None:
            return [known[name] for name in self.frontier]
        found: list[np.ndarray] = self.encoder.run(list(self.frontier), texts)
        if self._texts is not None:
            self._texts.learn(texts, dict(zip(self.frontier, found, strict=True)))
        return found


class _Halves:
    """A graph in two: raw columns -> features, and the features -> all outputs.

    aside: what gives the outputs that are computed only where they are asked for; made when that first happens.
    """

    def __init__(
        self, value: str, outputs: set[str], front: Front, head: Head, aside: Callable[[], Head] | None = None
    ) -> None:
        self._value, self._outputs = value, outputs | {value}
        self.front, self._head = front, head
        self._make, self._aside, self._lock = aside, cast("Head | None", None), threading.Lock()
        self._known = self._outputs | (_ASIDE if aside is not None else set())

    def knows(self, outputs: Sequence[str]) -> bool:
        return self._known.issuperset(outputs)

    def run(self, features: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        if not self._outputs.issuperset(outputs):
            return self._with_aside(features, outputs)
        wanted = [name for name in outputs if name != self._value]
        if len(wanted) == len(outputs):
            return self._head.run(features, wanted)
        found = self._head.run(features, wanted) if wanted else {}
        found[self._value] = features
        return {name: found[name] for name in outputs}

    def _with_aside(self, features: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        asked = [name for name in outputs if name in _ASIDE]
        rest = [name for name in outputs if name not in _ASIDE]
        found = self.run(features, rest) if rest else {}
        found.update(self._asked().run(features, asked))
        return {name: found[name] for name in outputs}

    def _asked(self) -> Head:
        if self._aside is None:
            with self._lock:
                if self._aside is None:
                    assert self._make is not None
                    self._aside = self._make()
        return self._aside


class GraphSession:
    """A graph that is run over Arrow tables, tensors or a matrix; safe to use from several threads.

    Args:
        model: an ONNX model, its bytes, or the path of its file.
        inputs: its input fields (a Signature's `inputs`).
        threads: threads inside an operator of onnxruntime.
        sample: the tensors of some raw rows (as `run_feeds` takes them); before our own code walks the graph's trees
            it must agree with onnxruntime on them.

    >>> import pyarrow as pa
    >>> from bessemer.package.graph import GraphBuilder
    >>> g = GraphBuilder("double")
    >>> x = g.input("x", "float32", ("N", 1))
    >>> g.output(g.op("Mul", [x, g.constant(np.float32(2))], name="y"), "float32", ("N", 1))
    >>> session = GraphSession(g.model(), [Field("x", "number", "float32")])
    >>> session.run(pa.table({"x": [1.5, None]}), ["y"])["y"].tolist()
    [[3.0], [nan]]
    """

    def __init__(
        self,
        model: bytes | Path | Any,
        inputs: Sequence[Field],
        *,
        threads: int = 1,
        sample: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.inputs = tuple(inputs)
        self.threads = threads
        #: Whether `run_matrix` can be used: all inputs are float32.
        self.takes_matrix = all(field.tensor == "float32" for field in self.inputs)
        self._has_images = any(field.is_image for field in self.inputs)
        self._sample = sample
        self._source = model.read_bytes() if isinstance(model, Path) else model
        self._lock = threading.Lock()
        self._whole: dict[tuple[str, ...], _Whole] = {}
        self._cuts: dict[tuple[str, ...], _Cut | None] = {}
        self._matrix: dict[tuple[str, ...], _Whole] = {}
        self._parted = False
        self._two: _Halves | None = None

    def _model(self) -> Any:
        if isinstance(self._source, bytes):  # parsed again for each new set of outputs rather than kept
            return parse(self._source)
        return self._source

    def _parsed(self, outputs: Sequence[str]) -> Any:
        model = self._model()
        known = values(model)
        for name in outputs:
            if name not in known:
                raise UsageError(f"the graph has no value '{name}'", fix=did_you_mean(name, sorted(known)))
        return model

    def _halves(self, outputs: Sequence[str]) -> _Halves | None:
        """The halves of the graph if they give these outputs; None where the graph is to be run as a whole."""
        if not self._parted:
            with self._lock:
                if not self._parted:
                    self._two = self._part()
                    self._parted, self._sample = True, None
        return self._two if self._two is not None and self._two.knows(outputs) else None

    def _part(self) -> _Halves | None:
        """Load the halves, if there are two and it pays."""
        whole = self._model()
        model = without_outliers(whole)  # what is not asked for must not weigh on what is
        has_aside = model is not whole
        del whole
        outputs = sorted(o.name for o in model.graph.output)
        trees = tree_nodes(model)
        value = trees[0].input[0] if trees else FEATURES
        heavy = model.ByteSize() >= HEAVY
        if not (trees or heavy) or not is_behind(model, value, outputs):
            return None
        front, ours = self._front(model, value), walked(model, value, outputs)
        del model, trees  # they take several times the graph's bytes, and onnxruntime's own will
        head: Head | None = None
        if ours is not None:
            head = ours.head(self._sample_features(front), self.threads)
            del ours
        if head is None and heavy:
            content = serialize(behind(self._model(), value, outputs))
            head = PlainHead(content, value, self.threads)
            del content
        if heavy:
            give_back()
        if head is None:
            return None
        aside = self._aside(front, value) if has_aside else None
        return _Halves(value, set(outputs), front, head, aside)

    def _aside(self, front: Front, value: str) -> Callable[[], Head] | None:
        """What makes the head of the outputs that are computed only where they are asked for; None where they need more
        than the features."""
        rows, asked = self._sample_features(front), sorted(_ASIDE)

        def make() -> Head:
            part = behind(self._model(), value, asked)
            ours = walked(part, value, asked)
            head = ours.head(rows, self.threads) if ours is not None else None
            return head or PlainHead(serialize(part), value, self.threads)

        return make if is_behind(self._model(), value, asked) else None

    def _front(self, model: Any, value: str) -> Front:
        join = find_join(model, value) if _has_extension() else None
        asked = join.others if join else (value,)
        part = extract(model, list(model.graph.input), asked)
        texts = {}
        if join is not None:
            texts = {name: text for name, text in find_cut(model, asked).frontier.items() if name in asked}
        session = GraphSession(part, self.inputs, threads=self.threads)
        return Front(join, session, value, self.inputs, texts)

    def _sample_features(self, front: Front) -> np.ndarray | None:
        if not self._sample or not len(next(iter(self._sample.values()))):
            return None
        return front.of_feeds(self._sample)

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
        from bessemer.package.feeds import to_columns

        columns = to_columns(table, self.inputs, allow_missing=allow_missing)
        return self.run_columns(columns, table.num_rows, outputs)

    def run_columns(
        self, columns: Mapping[str, pa.Array], rows: int, outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """The same for columns that `feeds.to_columns` made: one for each input, of `rows` rows."""
        names = tuple(outputs)
        if self._has_images and rows > IMAGE_ROWS:
            return in_blocks(
                lambda part: self.run_columns(part, len(next(iter(part.values()))), names), columns, rows
            )
        if rows and (halves := self._halves(names)) is not None:
            return halves.run(halves.front.of_columns(columns, rows), names)
        if rows >= CUT_ROWS and (cut := self._cut_session(names)) is not None:
            found = cut.run(columns, self.inputs)
            if found is not None:
                return dict(zip(names, found, strict=True))
        from bessemer.package.feeds import to_tensor

        return self.run_feeds({f.name: to_tensor(columns[f.name], f) for f in self.inputs}, names)

    def run_feeds(self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """The same for tensors of shape (N, 1) that are ready: one for each input, of its tensor type."""
        names = tuple(outputs)
        rows = len(next(iter(feeds.values()))) if feeds else 0
        if self._has_images and rows > IMAGE_ROWS:
            return in_blocks(lambda part: self.run_feeds(part, names), feeds, rows)
        if rows and (halves := self._halves(names)) is not None:
            return halves.run(halves.front.of_feeds(feeds), names)
        if rows:
            return dict(zip(names, self._session(names).run(feeds), strict=True))
        # Not every kernel takes an empty tensor: run a row of missing values and give none of it.
        nothing = {f.name: missing_tensor(f) for f in self.inputs}
        found = self._session(names).run(nothing)
        return {name: array[:0] for name, array in zip(names, found, strict=True)}

    def run_matrix(self, matrix: np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """The same for all inputs in one matrix: quicker than a tensor for each where rows are few.

        Args:
            matrix: (N, inputs) of numbers, a column for each of `inputs` in order; NaN is missing.

        Raises:
            UsageError: not all inputs are float32 (see `takes_matrix`), or the matrix is of another shape.

        >>> from bessemer.testing.models import tiny_session
        >>> tiny_session("binary").takes_matrix
        False
        """
        x = self._one_matrix(matrix)
        names = tuple(outputs)
        if not len(x):
            return self.run_feeds({f.name: x[:, i : i + 1] for i, f in enumerate(self.inputs)}, names)
        if (halves := self._halves(names)) is not None:
            return halves.run(halves.front.of_matrix(x), names)
        return dict(zip(names, self._matrix_session(names).run({MATRIX: x}), strict=True))

    def _one_matrix(self, matrix: np.ndarray) -> np.ndarray:
        width = len(self.inputs)
        if not self.takes_matrix:
            other = next(field for field in self.inputs if field.tensor != "float32")
            raise UsageError(
                f"the model takes no matrix: '{other.name}' is a {other.dtype}",
                fix="give a table (`run`) or a tensor for each input (`run_feeds`)",
            )
        if matrix.ndim != 2 or matrix.shape[1] != width or matrix.dtype.kind not in "fiub":
            raise UsageError(
                f"the matrix is of shape {matrix.shape} and type {matrix.dtype}",
                fix=f"give numbers of shape (N, {width}): a column for each input, in the signature's order",
            )
        return np.ascontiguousarray(matrix, dtype=np.float32)

    def _matrix_session(self, outputs: tuple[str, ...]) -> _Whole:
        with self._lock:
            if outputs not in self._matrix:
                model = of_one_matrix(self._parsed(outputs), [field.name for field in self.inputs])
                self._matrix[outputs] = _Whole(model, outputs, self.threads)
            return self._matrix[outputs]


def _has_extension() -> bool:
    return importlib.util.find_spec("bessemer.package.trees._walker") is not None
