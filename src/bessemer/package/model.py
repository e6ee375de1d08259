"""A model that was loaded from a package: rows in, predictions out, with or without the reasons."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import BessemerError, MissingExtra, PackageError, UsageError, did_you_mean
from bessemer.core.further import outputs_of
from bessemer.core.signature import Field, Signature
from bessemer.package.attribution.chosen import chosen_from
from bessemer.package.contributions import Contributions
from bessemer.package.manifest import Manifest
from bessemer.package.outliers import OUTLIER, check_has_outliers
from bessemer.package.read import PackageContents, read_package
from bessemer.package.records import rows_to_feeds
from bessemer.package.session import GraphSession

if TYPE_CHECKING:
    import pyarrow as pa

#: A larger table is predicted in batches of this many rows, so that memory follows the batch.
BATCH_ROWS = 65_536


def load(
    source: str | Path | bytes,
    *,
    threads: int | None = None,
    trust: Sequence[bytes] | None = None,
    key: str | Path | None = None,
) -> Model:
    """Open a model package: container, signature, digests, format and graph are checked first.

    Args:
        source: a `.bsm` file, an fsspec URL, or the file's bytes.
        threads: how many batches are predicted at once; one by default. It does not change any number.
        trust: the public keys to trust instead of those of this user.
        key: a public key file to trust as well.

    Raises:
        PackageError: the package is refused; the error says why.
    """
    return Model(read_package(source, trust=trust, key=key), threads=threads or 1)


class Model:
    """A model ready to predict; safe to use from several threads.

    name, version: of the package. task: binary, multiclass or regression. signature: its typed inputs and
    outputs. classes: in order of the class index; for binary `classes[1]` is the positive one.
    """

    def __init__(self, contents: PackageContents, *, threads: int = 1) -> None:
        self.contents = contents
        self.threads = max(1, threads)
        graph, inputs = contents.bytes("model.onnx"), contents.signature.inputs
        self.session = GraphSession(graph, inputs, sample=_feeds_or_none(self.sample, inputs))
        self._lock = threading.Lock()
        self._explainer: Contributions | None = None

    def __repr__(self) -> str:
        return f"<Model {self.name} {self.version}: {self.task} of '{self.signature.target}'>"

    def _repr_html_(self) -> str:
        from bessemer.core.rich_html import card, details, figure, text

        metric = str(self.evaluation.get("metric") or "")
        facts = [
            ("predicts", text(f"{self.signature.target} ({self.task})")),
            ("classes", text(", ".join(map(str, self.classes)))),
            *((f"also {one.name}", text(one.task)) for one in self.signature.further),
            ("learner", text(self.info.get("learner"))),
            (metric, figure((self.evaluation.get("metrics") or {}).get(metric))),
            ("inputs", text(f"{len(self.signature.inputs)} columns")),
        ]
        return card(f"{self.name} {self.version}", facts, details("signature", self.signature._repr_html_()))

    @property
    def manifest(self) -> Manifest:
        return self.contents.manifest

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def signature(self) -> Signature:
        return self.contents.signature

    @property
    def task(self) -> str:
        return self.signature.task

    @property
    def classes(self) -> tuple[Any, ...]:
        return self.signature.classes

    @cached_property
    def info(self) -> dict[str, Any]:
        """model.json: learner, parameters, features, calibration."""
        value: dict[str, Any] = self.contents.json("model.json")
        return value

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """evaluation.json: metrics with intervals, slices, gates; {} where the package has none."""
        return self._optional("evaluation.json")

    @cached_property
    def reference(self) -> dict[str, Any]:
        """reference.json: what monitoring compares against; {} where the package has none."""
        return self._optional("reference.json")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """provenance.json: what it was made from, and the parity of graph and native model."""
        return self._optional("provenance.json")

    @cached_property
    def card(self) -> str:
        """The model card, in Markdown."""
        return self.contents.text("card.md") if "card.md" in self.contents else ""

    @cached_property
    def sample(self) -> list[dict[str, Any]]:
        """A few input rows to try the model with; [] where the package has none."""
        return self.contents.json("sample.json") if "sample.json" in self.contents else []

    def _optional(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = self.contents.json(name) if name in self.contents else {}
        return value

    @property
    def groups(self) -> tuple[str, ...]:
        """The columns that contributions are given for."""
        return tuple(self.info["groups"])

    @property
    def explainer(self) -> Contributions:
        """What explains predictions, as the project file said; made when the first explanation is asked for.

        Raises:
            PackageError: the package has no native model, or names a method that this version does not know.
        """
        with self._lock:
            if self._explainer is None:
                native = self.info.get("native") or {}
                if native.get("file") not in self.contents:
                    raise PackageError("the package has no native model, so it cannot explain predictions")
                content = self.contents.bytes(native["file"])
                told, width = self._optional("explainer.json"), len(self.info["features"])
                chosen = chosen_from(told, self.contents.bytes, width)
                self._explainer = Contributions(native["kind"], content, self.info, chosen=chosen)
            return self._explainer

    def columns(self, *, explain: bool = False, outliers: bool = False) -> tuple[str, ...]:
        """The names of the columns `predict` gives.

        `prediction`; for two classes `probability` (of the positive class), for more `probability_CLASS` each;
        of a further target the same as `prediction_TARGET`, `probability_TARGET` and `probability_TARGET_CLASS`; with
        `outliers` also `outlier`, with `explain` also `score`, `base` and `contribution_GROUP` each.

        Raises:
            UsageError: `outliers`, and the model was trained without.
        """
        names = ["prediction"]
        if self.task == "binary":
            names.append("probability")
        elif self.task == "multiclass":
            names += [f"probability_{name}" for name in self.classes]
        names += [name for one in self.signature.further for name in one.columns]
        if outliers:
            check_has_outliers(self)
            names.append(OUTLIER)
        if explain:
            names += ["score", "base", *(f"contribution_{group}" for group in self.groups)]
        return tuple(names)

    def predict(
        self,
        data: Any,
        *,
        explain: bool = False,
        outliers: bool = False,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Predict every row; the result has the same rows in the same order.

        Args:
            data: a pyarrow Table or RecordBatch, a pandas or polars DataFrame, a list of dicts, a dict of lists.
                Columns the model does not know are ignored; nullable ones that are absent are missing.
            explain: add `score`, `base` and a contribution for each input column and derived feature. Base and
                contributions sum to the score within 1e-4: log-odds of the positive class, the score of the
                predicted class, or the predicted value.
            outliers: add `outlier`, how unusual each row is: the share of held-out rows that are less so, 0 to 1.
            columns: which of the result's columns to give; by default all.

        Returns:
            an Arrow table with the columns that `columns()` names.

        Raises:
            DataError: a column is missing or holds what cannot be converted.
            UsageError: `columns` has an unknown name, or `outliers` of a model that was trained without.
            MissingExtra: pyarrow is not installed; `predict_rows` does without.
        """
        table = _as_table(data)
        wanted = self._wanted(explain, outliers, columns)
        if table.num_rows <= BATCH_ROWS:
            return self._predict(table, explain, wanted)
        import pyarrow as pa

        parts = self.predict_batches(_slices(table), explain=explain, outliers=outliers, columns=columns)
        return pa.concat_tables(parts)

    def predict_rows(
        self, rows: Sequence[Mapping[str, Any]], *, explain: bool = False, outliers: bool = False
    ) -> list[dict[str, Any]]:
        """Predict rows of Python values, without Arrow; the answer has the same rows in the same order.

        Args:
            rows: a list of dicts. A key that a row lacks is missing; keys the model does not know are ignored.
            explain, outliers: as `predict`.

        Returns:
            for each row what `columns()` names, as Python numbers, text and booleans: what `predict` gives.

        Raises:
            DataError: a column is missing or holds what cannot be converted (see `records.rows_to_feeds`).
            UsageError: a row is no mapping, or `outliers` of a model that was trained without.

        >>> from bessemer.testing.models import ROWS, tiny_model
        >>> [(row["prediction"], round(row["probability"], 2)) for row in tiny_model("binary").predict_rows(ROWS[:1])]
        [('yes', 0.91)]
        """
        if isinstance(rows, Mapping | str | bytes) or not isinstance(rows, Sequence):
            raise UsageError(f"cannot take rows from a {type(rows).__name__}", fix="give a list of dicts")
        names, inputs = self.columns(explain=explain, outliers=outliers), self.signature.inputs
        found: list[dict[str, Any]] = []
        for start in range(0, len(rows), BATCH_ROWS):
            feeds = rows_to_feeds(rows[start : start + BATCH_ROWS], inputs)
            made = self._found(self.session.run_feeds(feeds, self._asked(explain, outliers)), explain)
            listed = [made[name].tolist() for name in names]
            found += (dict(zip(names, values, strict=True)) for values in zip(*listed, strict=True))
        return found

    def predict_matrix(
        self, matrix: np.ndarray, *, explain: bool = False, outliers: bool = False
    ) -> dict[str, np.ndarray]:
        """Predict a matrix of numbers: the quickest way in, where every input is a number or a boolean.

        Args:
            matrix: (N, inputs), a column for each of `signature.inputs` in order; NaN is missing.
            explain, outliers: as `predict`.

        Returns:
            an array (N,) for each name of `columns()`.

        Raises:
            UsageError: the matrix is of another shape, an input is no number that float32 holds, or `outliers` of a
                model that was trained without.
        """
        return self._found(self.session.run_matrix(matrix, self._asked(explain, outliers)), explain)

    def predict_batches(
        self,
        batches: Iterable[Any],
        *,
        explain: bool = False,
        outliers: bool = False,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.Table]:
        """Predict a stream: a table for each batch, in order, `threads` batches at a time.

        Raises:
            DataError, UsageError: as `predict`.
        """
        wanted = self._wanted(explain, outliers, columns)
        if self.threads == 1:
            for batch in batches:
                yield self._predict(_as_table(batch), explain, wanted)
            return
        with ThreadPoolExecutor(self.threads, thread_name_prefix="bessemer-predict") as pool:
            ahead: deque[Future[pa.Table]] = deque()
            for batch in batches:
                ahead.append(pool.submit(self._predict, _as_table(batch), explain, wanted))
                if len(ahead) > self.threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def features(self, data: Any) -> pa.Table:
        """What the learner sees: the features, float32, one column each (NaN is missing)."""
        made = self.session.run(_as_table(data), ["features"], allow_missing=True)["features"]
        import pyarrow as pa

        names = [feature["name"] for feature in self.info["features"]]
        return pa.Table.from_arrays([pa.array(made[:, i]) for i in range(made.shape[1])], names=names)

    def _wanted(self, explain: bool, outliers: bool, columns: Sequence[str] | None) -> tuple[str, ...]:
        known = self.columns(explain=explain, outliers=outliers)
        for name in columns or ():
            if name not in known:
                raise UsageError(f"the model gives no column '{name}'", fix=did_you_mean(name, known))
        return known if columns is None else tuple(columns)

    def _predict(self, table: pa.Table, explain: bool, wanted: Sequence[str]) -> pa.Table:
        import pyarrow as pa

        asked = self._asked(explain, OUTLIER in wanted)
        made = self._found(self.session.run(table, asked, allow_missing=True), explain)
        texts = {name: pa.string() if made[name].dtype == object else None for name in wanted}
        return pa.table({name: pa.array(made[name], texts[name]) for name in wanted})

    def _asked(self, explain: bool, outliers: bool) -> tuple[str, ...]:
        """The values of the graph that an answer is made of."""
        outputs = ("prediction",) if self.task == "regression" else ("prediction", "probability")
        outputs = (*outputs, *outputs_of(self.signature.further))
        if outliers:
            check_has_outliers(self)
            outputs = (*outputs, OUTLIER)
        return (*outputs, "score", "features") if explain else outputs

    def _found(self, made: Mapping[str, np.ndarray], explain: bool) -> dict[str, np.ndarray]:
        """Each column of the answer, (N,)."""
        found = {"prediction": made["prediction"]}
        if self.task == "binary":
            found["probability"] = made["probability"][:, 1]
        elif self.task == "multiclass":
            found |= {f"probability_{name}": made["probability"][:, i] for i, name in enumerate(self.classes)}
        for one in self.signature.further:
            found[one.prediction] = made[one.prediction]
            found |= {name: made[one.probability][:, i] for name, i in one.shares}
        if OUTLIER in made:
            found[OUTLIER] = made[OUTLIER]
        return found | self._explained(made) if explain else found

    def _explained(self, made: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        base, grouped = self.explainer.grouped(made["features"], self.groups)
        rows = np.arange(len(base))
        chosen = made["probability"].argmax(axis=1) if self.task == "multiclass" else np.zeros(len(base), int)
        found = {"score": made["score"][rows, chosen], "base": base[rows, chosen]}
        for i, group in enumerate(self.groups):
            found[f"contribution_{group}"] = grouped[rows, i, chosen]
        return found


def _as_table(data: Any) -> pa.Table:
    """Whatever holds rows as an Arrow table (see `package.tabular`)."""
    try:
        from bessemer.package.tabular import as_table
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        missing = MissingExtra("predict", "pyarrow", "arrow")
        missing.fix += "; or use `predict_rows`, which needs no more than numpy"
        raise missing from None
    return as_table(data)


def _feeds_or_none(sample: Any, inputs: Sequence[Field]) -> dict[str, np.ndarray] | None:
    """The sample as tensors; None where it has no rows, or none that make some: it was meant to be looked at."""
    try:
        return rows_to_feeds(sample, inputs) if isinstance(sample, list) and sample else None
    except BessemerError:
        return None


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, BATCH_ROWS):
        yield table.slice(start, BATCH_ROWS)
