"""Spreadsheets: a sheet, or a part of one, of .xlsx, .xlsm, .xlsb, .xls and .ods, read by calamine."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from bessemer.acquire.filebatches import FileBatches
from bessemer.acquire.options import Checksum, PathText
from bessemer.acquire.reading import told
from bessemer.acquire.sheet import Area, letters, rows_of
from bessemer.acquire.sources.csv import NULL_TEXTS
from bessemer.acquire.unpack import refuse_bomb
from bessemer.acquire.widening import Widening
from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa
    from python_calamine import CalamineSheet, CalamineWorkbook

_ROWS = 10_000
_FIX = "open it with the program that wrote it and save it again, without a password"


class ExcelSource(Spec):
    excel: PathText = Field(
        description="Workbooks (.xlsx, .xlsm, .xlsb, .xls, .ods): a file, folder, glob, URL or python:// path."
    )
    sheet: str | int | None = Field(
        default=None,
        description="The sheet's name, or its number from 1 on; the first that is visible by default.",
    )
    range: str | None = Field(
        default=None, description="The part of the sheet to read, as B3:F200, B3 (from there on) or B:F."
    )
    header: bool = Field(
        default=True, description="Whether the first row that is not empty has the column names."
    )
    null: tuple[str, ...] = Field(
        default=NULL_TEXTS, strict=False, description="Texts that mean a missing value."
    )
    sha256: Checksum = None

    @field_validator("range")
    @classmethod
    def _area(cls, text: str | None) -> str | None:
        if text is not None:
            Area.parse(text)
        return text


class Excel(FileBatches):
    """One table from one or more workbooks.

    A merged cell's value stands in each of its cells. Of formulas the values count that the program saved last; errors
    such as #N/A are missing values. Rows without any value are left out.
    """

    kind = "excel"
    options: ExcelSource

    def batches(self, files: list[Path]) -> Iterator[pa.RecordBatch]:
        from python_calamine import load_workbook

        widening = Widening(self.uri(), whole=True)
        for path in files:
            _check_size(path)
            with told(path.name, _FIX), load_workbook(path) as workbook:
                sheet = self._sheet(workbook, path)
                rows = self._rows(sheet, widening)
                while some := list(islice(rows, _ROWS)):
                    yield widening.batch(some)
        yield widening.batch([])

    def _sheet(self, workbook: CalamineWorkbook, path: Path) -> CalamineSheet:
        from python_calamine import SheetVisibleEnum

        names, wanted = workbook.sheet_names, self.options.sheet
        if isinstance(wanted, int):
            if not 1 <= wanted <= len(names):
                raise DataError(
                    f"'{path.name}' has no sheet {wanted}", fix=f"there are {len(names)}: {', '.join(names)}"
                )
            wanted = names[wanted - 1]
        if wanted is None:
            seen = [m.name for m in workbook.sheets_metadata if m.visible == SheetVisibleEnum.Visible]
            wanted = (seen or names)[0]
        if wanted not in names:
            raise DataError(f"'{path.name}' has no sheet '{wanted}'", fix=did_you_mean(wanted, names))
        return workbook.get_sheet_by_name(wanted)

    def _rows(self, sheet: CalamineSheet, widening: Widening) -> Iterator[dict[str, Any]]:
        """The rows below the header, by the names of their columns."""
        area = Area.parse(self.options.range) if self.options.range else Area()
        rows = rows_of(sheet, area, frozenset(self.options.null), self.options.header)
        first = next(rows, None)
        if first is None:
            raise DataError(
                f"sheet '{sheet.name}' is empty{f' in {self.options.range}' if self.options.range else ''}",
                why="no cell has a value",
                fix="name another `sheet` or `range`",
            )
        names: dict[int, str] = {}
        if self.options.header:
            names = {column: str(value).strip() for column, value in first.items()}
            widening.columns(names.values())
            if len(set(names.values())) < len(names):
                raise DataError(
                    f"sheet '{sheet.name}' has a column name twice: {', '.join(names.values())}",
                    fix="rename one, or say where the table is, as `range: B3:F200`",
                )
        for row in rows if self.options.header else chain([first], rows):
            yield {names.get(column) or letters(column): value for column, value in row.items()}


def _check_size(path: Path) -> None:
    """Refuse a workbook that would unpack to much more than data does: it is held in memory as a whole."""
    if path.suffix.lower() == ".xls" or not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as packed:
        for member in packed.infolist():
            refuse_bomb(path.name, member.compress_size, member.file_size)
