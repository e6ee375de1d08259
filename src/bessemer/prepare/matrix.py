"""The training matrix: each part's rows through the preprocessor, streamed to .npy files.

The files are written from front to back rather than through a memory map: on a full disk a write to a map
kills the process, a write to a file is an error that can be told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from bessemer.core.errors import DataError
from bessemer.core.parquet import bytes_a_row
from bessemer.core.store import explained
from bessemer.package.images import RefusedImage
from bessemer.prepare.assemble import Folded, Preprocessor
from bessemer.prepare.labelled import Labelled
from bessemer.prepare.train_table import Folds

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Progress
    from bessemer.package.session import GraphSession

#: Rows of a batch, fewer where rows are wide: a batch has about this many numbers.
_ROWS, _NUMBERS = 65_536, 2**24


class NpyWriter:
    """Writes an array of known shape to a .npy file, rows at a time."""

    def __init__(self, path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
        self.path, self.dtype, self.shape = path, np.dtype(dtype), shape
        self._left = shape[0]
        self._file: BinaryIO | None = None

    def __enter__(self) -> NpyWriter:
        with explained("writing", self.path):
            self._file = self.path.open("wb")
            header = {"descr": self.dtype.str, "fortran_order": False, "shape": self.shape}
            np.lib.format.write_array_header_1_0(self._file, header)
        return self

    def write(self, rows: np.ndarray) -> None:
        """Append rows, of the shape of the array but for the first axis."""
        assert self._file is not None
        assert rows.shape[1:] == self.shape[1:]
        self._left -= len(rows)
        with explained("writing", self.path):
            self._file.write(np.ascontiguousarray(rows, dtype=self.dtype).data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        with explained("writing", self.path):
            self._file.close()
        assert error is not None or self._left == 0


def batch_rows(rows: int, numbers: int) -> int:
    """Rows of a batch, for `rows` rows of this many numbers: batches of one size, without a small one at the end.

    >>> batch_rows(66_000, 20), batch_rows(2_000, 10_000)
    (33000, 1000)
    """
    most = max(1, min(_ROWS, _NUMBERS // max(numbers, 1)))
    return max(1, math.ceil(rows / math.ceil(rows / most))) if rows else 1


def _broken(error: RefusedImage, done: int, part: Path) -> DataError:
    return DataError(
        f"column '{error.column}', row {done + error.row:,} of the {part.name.partition('.')[0]} part: {error.reason}",
        why="it is taken as images: a model cannot learn from one that is broken",
        fix="leave the row out in `acquire: {sql: ...}`; a source of `images` leaves broken files out by itself",
    )


def encode_target(column: pa.Array, classes: Sequence[Any]) -> np.ndarray:
    """A target as float64: the class index, or the value; NaN where it is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if classes:
        column = pc.index_in(column, value_set=pa.array(classes, type=column.type))
    found: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return found


def read_batches(path: Path, columns: Sequence[str], texts: Sequence[str], rows: int) -> Iterator[Any]:
    """Batches of a Parquet file; the `texts` come dictionary-encoded, as they are stored."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, read_dictionary=list(texts)) as file:
        yield from file.iter_batches(batch_size=rows, columns=list(columns), use_threads=True)


def write_matrix(
    data: Labelled,
    preprocessor: Preprocessor,
    session: GraphSession,
    part: Path,
    X: Path,
    y: Path,
    *,
    further: Path | None = None,
    folds: Folds | None,
    bar: Progress,
) -> None:
    """Run a part through the graph.

    Args:
        part: the part's Parquet file.
        X, y: where its features (float32, rows x features) and target (float64, rows) go.
        further: where its further targets (float64, rows x targets) go, if there are any.
        folds: for the train part: its rows' target means are those of the other folds.
    """
    import pyarrow.parquet as pq

    inputs = preprocessor.signature.inputs
    count, rows = len(preprocessor.features), pq.read_metadata(part).num_rows
    # Every part asks for the same values, so that one session serves them all.
    outputs = ["features", *dict.fromkeys(f.index for f in preprocessor.folded)]
    columns = dict.fromkeys([*(f.name for f in inputs), *data.targets])
    texts = [f.name for f in inputs if f.dtype == "string" and not f.is_image]
    images = [f.name for f in inputs if f.is_image]
    done, size = (
        0,
        batch_rows(rows, max(count, len(inputs)) + (bytes_a_row(part, images) // 4 if images else 0)),
    )
    with ExitStack() as files:
        features = files.enter_context(NpyWriter(X, np.float32, (rows, count)))
        targets = files.enter_context(NpyWriter(y, np.float64, (rows,)))
        others = None
        if further is not None:
            others = files.enter_context(NpyWriter(further, np.float64, (rows, len(data.further))))
        for batch in read_batches(part, list(columns), texts, size):
            try:
                found = session.run(batch, outputs)
            except RefusedImage as error:
                raise _broken(error, done, part) from None
            values = found["features"]
            if folds is not None and preprocessor.folded:
                values = values.copy()
                _replace(values, found, preprocessor.folded, folds.of(np.arange(done, done + len(values))))
            features.write(values)
            targets.write(encode_target(batch.column(data.target), data.classes))
            if others is not None:
                each = [encode_target(batch.column(one.name), one.classes) for one in data.further]
                others.write(np.stack(each, axis=1))
            done += len(values)
            bar.advance(len(values))


def write_weights(part: Path, column: str, path: Path) -> None:
    """How much each row of a part counts, float64 (rows,).

    Raises:
        DataError: a weight is missing, infinite, or not above 0.
    """
    import pyarrow.parquet as pq

    values = pq.read_table(part, columns=[column])[column].to_numpy().astype(np.float64)
    wrong = ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        raise DataError(
            f"'{column}' is no weight in {int(wrong.sum())} rows",
            why=f"a weight is a number above 0; one is {values[wrong][0]:g}",
            fix="filter those rows out, or give them a weight, in `acquire: {sql: ...}`",
        )
    with NpyWriter(path, np.float64, values.shape) as file:
        file.write(values)


def _replace(
    values: np.ndarray, found: dict[str, np.ndarray], folded: Sequence[Folded], fold: np.ndarray
) -> None:
    """Put what the other folds say in place of the graph's target means, for the rows of a batch."""
    for some in folded:
        index = found[some.index].reshape(-1)
        values[:, list(some.columns)] = some.table[fold, index]
