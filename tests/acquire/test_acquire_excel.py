"""Workbooks keep what every source must do, as far as a spreadsheet can; sheets, ranges, merged cells, formulas."""

from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bessemer.core.errors import DataError
from bessemer.testing.sources import CHECKS, Check, read
from systems.folders import Folders
from systems.spreadsheets import write

pytestmark = pytest.mark.slow


class Workbooks(Folders):
    """A spreadsheet has doubles, texts, booleans and times to the millisecond, and nothing else."""

    kind, ending = "excel", ".xlsx"
    lacks = Folders.lacks | {"time", "zoned", "decimal", "nested", "infinite", "wide", "long", "blank"}

    def write(self, file: Path, table: pa.Table) -> None:
        write(file, {"Sheet": [table.column_names, *zip(*table.to_pydict().values(), strict=True)]})


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_workbooks(check: Check, tmp_path: Path) -> None:
    check(Workbooks(tmp_path / "there"), tmp_path / "here")


ROWS = [
    ["id", "flag", "part", "text", "day", "when"],
    [1, True, 0.5, "a", dt.date(2024, 2, 29), dt.datetime(2024, 1, 1, 12, 30)],
    [2, None, None, None, None, None],
    [3, False, -7, "ü🙂", dt.date(1999, 12, 31), dt.datetime(1969, 12, 31, 23, 59, 59)],
]
TYPED = {
    "id": [1, 2, 3],
    "flag": [True, None, False],
    "part": [0.5, None, -7.0],
    "text": ["a", None, "ü🙂"],
    "day": [dt.datetime(2024, 2, 29), None, dt.datetime(1999, 12, 31)],
    "when": [dt.datetime(2024, 1, 1, 12, 30), None, dt.datetime(1969, 12, 31, 23, 59, 59)],
}


@pytest.mark.parametrize("ending", ["xlsx", "xls", "ods"])
def test_every_kind_of_workbook(ending: str, tmp_path: Path) -> None:
    write(tmp_path / f"a.{ending}", {"Data": ROWS})
    assert read({"excel": f"a.{ending}"}, tmp_path).to_pydict() == TYPED


def test_a_binary_workbook(tmp_path: Path) -> None:
    binary_workbook(tmp_path / "a.xlsb", [["id", "name"], [1.0, "x"], [2.5, "y"]])
    assert read({"excel": "a.xlsb"}, tmp_path).to_pydict() == {"id": [1.0, 2.5], "name": ["x", "y"]}


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workbook as people have it: a title, a table below it, merged cells, a formula, notes, other sheets."""
    folder = tmp_path_factory.mktemp("book")
    rows: list[list[Any]] = [
        ["Sales 2024", None, None, None, None],
        [],
        [None, "region", "amount", "mixed", "time", None],
        [None, "north", 1, 5, dt.timedelta(hours=30), None],
        [None, None, 2, "five", dt.time(0, 1), "a note"],
        [None, "south", "=1+2", 2.5, None, None],
        [],
        [None, "NA", 4, True, None, None],
        ["end"],
    ]
    others = {"Hidden": [["a", "b"], [1, 2]], "Sales": rows, "Empty": [], "Second": [["id", "x"], [1, 2]]}
    write(folder / "book.xlsx", others, merged=["B4:B5"], hidden=["Hidden"])
    return folder


def test_the_first_visible_sheet_and_a_range_of_it(book: Path) -> None:
    found = read({"excel": "book.xlsx", "range": "B3:E8"}, book).to_pydict()
    assert found == {
        "region": ["north", "north", "south", None],
        "amount": [1, 2, None, 4],
        "mixed": ["5", "five", "2.5", "true"],
        "time": [108_000.0, 60.0, None, None],
    }


def test_a_column_without_a_name_has_its_letter(book: Path) -> None:
    assert read({"excel": "book.xlsx", "range": "B3:F8"}, book)["F"].to_pylist() == [
        None,
        "a note",
        None,
        None,
    ]
    found = read({"excel": "book.xlsx", "sheet": "Second", "header": False}, book)
    assert found.to_pydict() == {"A": ["id", "1"], "B": ["x", "2"]}


def test_sheets_by_number_and_the_nearest_name(book: Path) -> None:
    assert read({"excel": "book.xlsx", "sheet": 4}, book).to_pydict() == {"id": [1], "x": [2]}
    for sheet, said in (
        ("Salse", "Sales"),
        (9, "there are 4: Hidden, Sales"),
        ("Empty", "no cell has a value"),
    ):
        with pytest.raises(DataError) as caught:
            read({"excel": "book.xlsx", "sheet": sheet}, book)
        assert said in str(caught.value)


def test_a_bad_range_is_a_fault_of_the_project_file(book: Path) -> None:
    for text in ("", "3B", "B3:A1", "B9:B2", "B3:F8:G9"):
        with pytest.raises(ValueError, match="range"):
            read({"excel": "book.xlsx", "range": text}, book)


def test_many_rows_widen_once(tmp_path: Path) -> None:
    """A column of numbers that has a text far below is text from the first row on."""
    rows = [[i, i if i < 15_000 else f"t{i}", i / 2 if i == 12_000 else i] for i in range(16_000)]
    write(tmp_path / "a.xlsx", {"S": [["id", "x", "y"], *rows]})
    found = read({"excel": "a.xlsx"}, tmp_path)
    assert found["x"].to_pylist() == [str(row[1]) for row in rows]
    assert found["y"].to_pylist() == [float(row[2]) for row in rows]


def test_what_is_no_workbook_or_a_bomb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "b.xls").write_bytes(b"not a workbook")
    with zipfile.ZipFile(tmp_path / "c.xlsx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b"\0" * 200 * 2**20)
    for name, said in (("a.xlsx", "cannot be read"), ("b.xls", "cannot be read"), ("c.xlsx", "zip bomb")):
        with pytest.raises(DataError, match=said):
            read({"excel": name}, tmp_path)


def binary_workbook(file: Path, rows: list[list[float | str]]) -> None:
    """A workbook of BIFF12 records ([MS-XLSB]): what Excel alone writes."""
    import struct

    def record(kind: int, content: bytes = b"") -> bytes:
        head = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
        size, length = b"", len(content)
        while True:
            length, part = length >> 7, length & 0x7F
            size += bytes([part | (0x80 if length else 0)])
            if not length:
                return head + size + content

    def text(value: str) -> bytes:
        return struct.pack("<I", len(value)) + value.encode("utf-16-le")

    cells = b""
    for number, row in enumerate(rows):
        cells += record(0, struct.pack("<IIHBBI", number, 0, 0, 0, 0, 0)[:16] + b"\0")
        for column, value in enumerate(row):
            place = struct.pack("<II", column, 0)
            known = (
                record(6, place + text(value))
                if isinstance(value, str)
                else record(5, place + struct.pack("<d", value))
            )
            cells += known
    size = struct.pack("<IIII", 0, len(rows) - 1, 0, len(rows[0]) - 1)
    sheet = record(129) + record(148, size) + record(145) + cells + record(146) + record(130)
    book = record(131) + record(143) + record(156, struct.pack("<II", 0, 1) + text("rId1") + text("Data"))
    book += record(144) + record(132)
    kinds = "http://schemas.openxmlformats.org/package/2006/"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{kinds}content-types"><Default Extension="bin" '
            'ContentType="application/vnd.ms-excel.sheet.binary.macroEnabled.main"/><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/></Types>',
        )
        packed.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{kinds}relationships"><Relationship Id="rId1" Type="{office}officeDocument" '
            'Target="xl/workbook.bin"/></Relationships>',
        )
        packed.writestr(
            "xl/_rels/workbook.bin.rels",
            f'<Relationships xmlns="{kinds}relationships"><Relationship Id="rId1" Type="{office}worksheet" '
            'Target="worksheets/sheet1.bin"/></Relationships>',
        )
        packed.writestr("xl/workbook.bin", book)
        packed.writestr("xl/worksheets/sheet1.bin", sheet)
