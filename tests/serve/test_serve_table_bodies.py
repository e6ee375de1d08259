"""CSV, numpy's arrays, Parquet and RecordIO in a request's body: what they become, and what is refused."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.core.signature import MISSING_TIMESTAMP, Field, Signature
from bessemer.serve.columns import rows_to_feeds
from bessemer.serve.csv_rows import read_csv
from bessemer.serve.dialect import Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.npy import read_npy, read_npz
from bessemer.serve.npy_format import parse_npy
from bessemer.serve.parquet import read_parquet
from bessemer.serve.parquet_pages import unpacked_size
from bessemer.serve.protos import message
from bessemer.serve.recordio import MAGIC, framed, frames, read_recordio
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Batch
from bessemer.testing.models import INPUTS, tiny_signature

NAMES = [field.name for field in INPUTS]
TINY = Subject("tiny", "1", tiny_signature("binary"), spec=ServeSpec(max_rows=4, max_body=16 * 1024))
NUMBERS = (Field("a", "number", "float32"), Field("b", "integer", "float32", nullable=False))
TWO = Subject("two", "1", Signature(NUMBERS, (), task="regression", target="y"), spec=ServeSpec(max_rows=4))
ONE = Subject("one", "1", Signature(NUMBERS[:1], (), task="regression", target="y"))


def rows(batch: Batch, subject: Subject = TINY) -> list[tuple[Any, ...]]:
    """What the graph would be fed, a tuple a row, with None for missing."""
    fields = subject.signature.inputs
    if batch.matrix is not None:
        assert batch.matrix.dtype == np.float32
        columns = [column.tolist() for column in batch.matrix.T]
    else:
        feeds = batch.feeds if batch.feeds is not None else rows_to_feeds(batch.values or [], fields)
        assert all(feeds[field.name].shape == (batch.rows, 1) for field in fields)
        columns = [feeds[field.name].reshape(-1).tolist() for field in fields]
    found = list(zip(*columns, strict=True))
    assert len(found) == batch.rows
    missing = {MISSING_TIMESTAMP, ""}
    return [tuple(None if v != v or v in missing else v for v in row) for row in found]


def refused(read: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(RequestError) as caught:
        read()
    return caught.value.status, caught.value.line


WHOLE = (8, 70.5, 1, "Month-to-month", 1_706_702_400_000_000)
TEXT = "8,70.5,true,Month-to-month,2024-01-31T12:00:00Z\n64,,,,\n"


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.replace("\n", "\r\n"),
        "\ufeff" + ",".join(NAMES) + "\n" + TEXT,
        ",".join(NAMES) + "\n\n" + TEXT + "\n",
        "contract, tenure ,autopay,désactivé,monthly charges,customer\n"
        '"Month-to-month",8,1,2024-01-31 12:00,70.5,7\n,64,NA,NaT,nan,8\n',
    ],
)
def test_csv(text: str) -> None:
    batch = read_csv(TINY, text.encode())
    assert batch.typed
    assert rows(batch) == [WHOLE, (64, None, None, None, None)]


def test_a_header_may_name_less_and_text_stays_as_it_is() -> None:
    batch = read_csv(TINY, b'contract,tenure\n" a ""b"", c\nd",8\nNA,9\n')
    assert rows(batch) == [(8, None, None, ' a "b", c\nd', None), (9, None, None, "NA", None)]


def test_whether_the_first_line_is_a_header_can_be_said() -> None:
    one = Subject("s", "1", Signature((Field("word", "string", "string"),), (), classes=("a", "b")))
    assert rows(read_csv(one, b"word\nx\n"), one) == [("x",)]
    assert rows(read_csv(one, b"word\nx\n", header=False), one) == [("word",), ("x",)]
    status, text = refused(lambda: read_csv(one, b"x\ny\n", header=True))
    assert (status, "did you mean" in text or "no such input" in text) == (400, True)


@pytest.mark.parametrize(
    "text",
    [
        "1.5,2\n-3e2,4\n",
        "1.5,2\r\n-300,4",
        "1.5, 2\n\n-300.0,4\n",
        "a,b\n1.5,2\n-300,4",
        '"1.5",2\n-300,4',
        "+1.5,2.\n-300,4",
    ],
)
def test_numbers_are_read_quickly_or_slowly_to_the_same(text: str) -> None:
    batch = read_csv(TWO, text.encode())
    assert batch.typed
    assert rows(batch, TWO) == [(1.5, 2), (-300, 4)]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"1],[2\n", 400, "'1]' is not a number"),
        (b"[1,2]\n", 400, "'[1' is not a number"),
        (b"1,2,3\n1\n", 400, "3 values for 2 columns"),
        (b"1,2.5\n", 400, "2.5 is not a whole number"),
        (b"1,true\n", 400, "'true' is not a whole number"),
        (b"1,2\n" * 5, 413, "more than the 4"),
    ],
)
def test_refused_numbers(body: bytes, status: int, text: str) -> None:
    found, line = refused(lambda: rows(read_csv(TWO, body), TWO))
    assert (found, text in line) == (status, True), line


CSV = [
    (b"8,70.5\n", 400, "2 values for 5 columns"),
    (b"8,70.5,maybe,x,2024-01-31\n", 400, "'maybe' is not true or false"),
    (b"eight,70.5,true,x,2024-01-31\n", 400, "'eight' is not a whole number"),
    (b"1_0,70.5,true,x,2024-01-31\n", 400, "'1_0' is not a whole number"),
    (b"tenure,contrct\n8,x\n", 400, "did you mean 'contract'?"),
    (b"autopay,contract\n1,x\n", 400, "required and absent"),
    (b"tenure,tenure\n8,8\n", 400, "not different names"),
    (b"\xff\xfe", 400, "not UTF-8"),
    (b'"8', 400, "not valid CSV"),
    (b"8,1,1,a,\n" * 5, 413, "more than the 4"),
    (b"8,1,1,a,\n" * 500, 413, "more than the 4"),
    (b"x,1,1,a,\n" * 4, 400, "row 3"),
]


@pytest.mark.parametrize(("body", "status", "text"), CSV)
def test_refused_csv(body: bytes, status: int, text: str) -> None:
    found, line = refused(lambda: read_csv(TINY, body))
    assert (found, text in line) == (status, True), line


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array), allow_pickle=True)
    return stream.getvalue()


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: np.asarray(array) for name, array in arrays.items()})
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f8", "i1", "i8", "u2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_matrix_of_numbers(kind: str, order: str) -> None:
    array = np.array([[1, 2], [3, 4], [5, 6]], dtype=kind, order=order)  # type: ignore[call-overload]
    batch = read_npy(TWO, npy(array))
    assert batch.matrix is not None
    assert rows(batch, TWO) == [(1, 2), (3, 4), (5, 6)]


def test_other_shapes_and_missing_values() -> None:
    assert rows(read_npy(TWO, npy([np.nan, 2.0])), TWO) == [(None, 2)]
    assert rows(read_npy(ONE, npy([1.5, 2.5])), ONE) == [(1.5,), (2.5,)]
    table = np.array([(3, 1.5, b"x")], dtype=[("b", "i4"), ("a", "f4"), ("more", "S1")])
    assert rows(read_npy(TWO, npy(table)), TWO) == [(1.5, 3)]


def test_a_matrix_of_text_is_read_as_csv_is() -> None:
    cells = [["8", "70.5", "true", "Month-to-month", "2024-01-31T12:00:00Z"], ["64", "", "", "", ""]]
    wanted = [WHOLE, (64, None, None, None, None)]
    assert rows(read_npy(TINY, npy(cells))) == wanted
    assert rows(read_npy(TINY, npy(np.array(cells).astype("S30")))) == wanted


def test_columns_of_an_npz() -> None:
    moments = np.array(["2024-01-31T12:00:00", "NaT"], dtype="datetime64[s]")
    columns = {"désactivé": moments, "tenure": [[8], [64]], "contract": ["Month-to-month", ""]}
    batch = read_npz(TINY, npz(**columns, autopay=[True, False]))
    assert rows(batch) == [(8, None, 1, "Month-to-month", WHOLE[4]), (64, None, 0, None, None)]
    micro = read_npz(TINY, npz(tenure=[8], désactivé=np.array([WHOLE[4]])))
    assert rows(micro) == [(8, None, None, None, WHOLE[4])]


ARRAYS = [
    (lambda: read_npy(TWO, b"x"), 400, "no .npy file"),
    (lambda: read_npy(TWO, npy(np.array([{"a": 1}], dtype=object))), 400, "Python objects"),
    (lambda: read_npy(TWO, npy([[1.0, 2.0]])[:-1]), 400, "has 15 bytes"),
    (lambda: read_npy(TWO, npy([[1.0, 2.0]]) + b"x"), 400, "has 17 bytes"),
    (lambda: read_npy(TWO, npy(np.zeros((2, 3)))), 400, "send the shape (rows, 2)"),
    (lambda: read_npy(TWO, npy(np.zeros((2, 2, 2)))), 400, "send the shape (rows, 2)"),
    (lambda: read_npy(TWO, npy([[1.0, 2.5]])), 400, "2.5 is not a whole number"),
    (lambda: read_npy(TWO, npy([[1 + 2j, 2]])), 400, "cannot be complex128"),
    (lambda: read_npy(TWO, npy(np.zeros((5, 2)))), 413, "more than the 4"),
    (lambda: read_npy(TINY, npy(np.zeros((1, 5)))), 400, "'contract' is a string and cannot be float64"),
    (lambda: read_npz(TINY, b"PK\x03\x04"), 400, "no .npz file"),
    (lambda: read_npz(TINY, npz(tenur=[1])), 400, "did you mean 'tenure'?"),
    (lambda: read_npz(TINY, npz(tenure=[1], autopay=[True, False])), 400, "differ in their rows"),
    (lambda: read_npz(TINY, npz(tenure=np.zeros((2, 2)))), 400, "has the shape (2, 2)"),
    (lambda: read_npz(TINY, npz(tenure=np.zeros(5))), 413, "more than the 4"),
    (lambda: read_npz(TINY, npz(tenure=np.zeros(1_000_000))), 413, "too large"),
]


@pytest.mark.parametrize(("read", "status", "text"), ARRAYS)
def test_refused_arrays(read: Callable[[], Any], status: int, text: str) -> None:
    found, line = refused(read)
    assert (found, text in line) == (status, True), line


def test_a_shape_that_is_not_there_costs_nothing() -> None:
    whole = npy(np.zeros((1, 2), dtype=np.float32))
    huge = whole.replace(b"(1, 2)", b"(9" + b"9" * 17 + b", 2)")  # the header is padded with blanks
    place = huge.index(b"\n")
    length = struct.pack("<H", place + 1 - 10)
    status, line = refused(lambda: parse_npy(huge[:8] + length + huge[10:]))
    assert (status, "has 8 bytes" in line) == (400, True), line


def parquet(table: pa.Table | None = None, **columns: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns) if table is None else table, stream)
    return stream.getvalue()


def test_parquet() -> None:
    moments = pa.array([WHOLE[4], None], pa.timestamp("us", "UTC"))
    columns = {"tenure": [8, 64], "contract": ["Month-to-month", None], "autopay": [True, None]}
    body = parquet(**columns, désactivé=moments, __index_level_0__=[3, 5])
    assert rows(read_parquet(TINY, body)) == [
        (8, None, 1, "Month-to-month", WHOLE[4]),
        (64, None, None, None, None),
    ]
    frame = pd.DataFrame({"b": [1, 2], "a": [0.5, None]}, index=[7, 9])
    stream = io.BytesIO()
    frame.to_parquet(stream)
    assert rows(read_parquet(TWO, stream.getvalue()), TWO) == [(0.5, 1), (None, 2)]


PARQUETS = [
    (lambda: read_parquet(TINY, b"PAR1"), 400, "no Parquet file"),
    (lambda: read_parquet(TINY, parquet(tenure=[1], contrct=["x"])), 400, "did you mean 'contract'?"),
    (lambda: read_parquet(TINY, parquet(autopay=[True])), 400, "required and absent"),
    (lambda: read_parquet(TINY, parquet(tenure=["eight"])), 400, "'eight' is no integer"),
    (lambda: read_parquet(TINY, parquet(tenure=[1] * 5)), 413, "more than the 4"),
    (lambda: read_parquet(TINY, parquet(tenure=[[1] * 9])), 400, "of type list"),
    # 100 kB in a page of a few bytes, refused before it is unpacked
    (lambda: read_parquet(TINY, parquet(tenure=[1], contract=["x" * 100_000])), 413, "too large"),
    # a dictionary of one value: 16 kB in the file, 64 kB in the table
    (lambda: read_parquet(TINY, parquet(tenure=[1] * 4, contract=["x" * 20_000] * 4)), 413, "too large"),
]


@pytest.mark.parametrize("options", [{}, {"compression": "none"}, {"data_page_version": "2.0"}])
def test_the_size_of_a_parquet_file_is_known_before_it_is_unpacked(options: dict[str, Any]) -> None:
    stream = io.BytesIO()
    texts = [str(number) * 50 for number in range(2000)]
    pq.write_table(
        pa.table({"tenure": list(range(2000)), "contract": texts}), stream, row_group_size=500, **options
    )
    about = pq.ParquetFile(stream).metadata
    told = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    # the footer counts the pages' headers too, which are small
    assert 0.97 * told < unpacked_size(stream.getvalue()) <= told


@pytest.mark.parametrize(("read", "status", "text"), PARQUETS)
def test_refused_parquet(read: Callable[[], Any], status: int, text: str) -> None:
    found, line = refused(read)
    assert (found, text in line) == (status, True), line


def record(**features: Any) -> bytes:
    """A record; a feature is a list of numbers, (keys, values), or text."""
    made = message("aialgs.data.Record")()
    for name, value in features.items():
        slot = made.features[name]
        if isinstance(value, str):
            slot.bytes.value.append(value.encode())
        elif isinstance(value, tuple):
            slot.float32_tensor.keys.extend(value[0])
            slot.float32_tensor.values.extend(value[1])
        else:
            slot.float64_tensor.values.extend(value)
    return bytes(made.SerializeToString())


def test_recordio() -> None:
    body = framed(record(values=[1.5, 2])) + framed(record(values=[float("nan"), 3]))
    assert rows(read_recordio(TWO, body), TWO) == [(1.5, 2), (None, 3)]
    assert rows(read_recordio(TWO, framed(record(values=([1], [7])))), TWO) == [(0, 7)]
    body = framed(record(tenure=[8], contract="Month-to-month", autopay=[1], **{"monthly charges": []}))
    assert rows(read_recordio(TINY, body)) == [(8, None, 1, "Month-to-month", None)]


def test_frames_as_the_format_has_them() -> None:
    # a record that has the magic number in it is written in parts, which meet where it was
    assert framed(b"abcde") == b"\x0a\x23\xd7\xce\x05\x00\x00\x00abcde\x00\x00\x00"
    parts = b"".join(
        MAGIC + struct.pack("<I", flag << 29 | 4) + text
        for flag, text in ((1, b"abcd"), (2, b"efgh"), (3, b"ijkl"))
    )
    assert list(frames(parts + framed(b""))) == [MAGIC.join([b"abcd", b"efgh", b"ijkl"]), b""]


RECORDS = [
    (b"x", "no RecordIO frame at byte 0"),
    (framed(b"abc")[:-4], "is broken"),
    (MAGIC + struct.pack("<I", 1 << 29), "has no end"),
    (MAGIC + struct.pack("<I", 2 << 29), "is broken"),
    (framed(b"\xff\xff"), "record 0 cannot be read"),
    (framed(record(values=[1])), "1 values for 2 inputs"),
    (framed(record(values=([2], [7]))), "the key 2 is none of 2 inputs"),
    (framed(record(values=([0, 1], [7]))), "2 keys are given for 1 values"),
    (framed(record(values="text")), "no tensor of numbers"),
    (framed(record(a=[1, 2], b=[1])), "has 2 values"),
    (framed(record(a="text", b=[1])), "'text' is not a number"),
    (framed(record(aa=[1], b=[1])), "did you mean 'a'?"),
]


@pytest.mark.parametrize(
    ("body", "text"),
    RECORDS,
    ids=lambda value: value if isinstance(value, str) else "record",  # a map's bytes have no order
)
def test_refused_records(body: bytes, text: str) -> None:
    status, line = refused(lambda: rows(read_recordio(TWO, body), TWO))
    assert (status, text in line) == (400, True), line


def test_too_many_records() -> None:
    assert refused(lambda: read_recordio(TWO, framed(record(values=[1, 2])) * 5))[0] == 413


WHOLES = {
    "csv": (read_csv, TINY, (",".join(NAMES) + "\n" + TEXT).encode()),
    "csv of numbers": (read_csv, TWO, b"1.5,2\n3,4\n"),
    "npy": (read_npy, TWO, npy([[1.0, 2.0], [3.0, 4.0]])),
    "structured npy": (read_npy, TWO, npy(np.array([(3, 1.5)], dtype=[("b", "i4"), ("a", "f4")]))),
    "text npy": (read_npy, TWO, npy([["1", "2"]])),
    "npz": (read_npz, TINY, npz(tenure=[8, 64], contract=["a", "b"])),
    "parquet": (read_parquet, TINY, parquet(tenure=[8, 64], contract=["a", None])),
    "recordio": (read_recordio, TINY, framed(record(tenure=[8], contract="x")) * 2),
}


@pytest.mark.parametrize("name", WHOLES)
@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_changed_bytes_are_read_or_refused(name: str, data: st.DataObject) -> None:
    read, subject, whole = WHOLES[name]
    body = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    for changed in (bytes(body), bytes(body[:cut])):
        with contextlib.suppress(RequestError):  # anything else that is raised fails the test
            rows(read(subject, changed), subject)
