"""Workbooks, written by the libraries that people write them with, in an environment of their own."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import environments

_PINS = ("openpyxl==3.1.5", "xlwt==1.3.0", "odfpy==1.4.1")
#: Reads {sheet: rows} from its first argument; a cell is a value or {kind: text}.
_SCRIPT = """
import datetime as dt, json, sys
sheets, path, more = json.loads(open(sys.argv[1]).read()), sys.argv[2], json.loads(sys.argv[3])
MADE = {"datetime": dt.datetime.fromisoformat, "date": dt.date.fromisoformat, "time": dt.time.fromisoformat,
        "seconds": lambda s: dt.timedelta(seconds=s)}

def value(cell):
    if isinstance(cell, dict):
        ((kind, said),) = cell.items()
        return MADE[kind](said)
    return cell

def xlsx():
    import openpyxl
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for i, row in enumerate(rows, 1):
            for j, cell in enumerate(row, 1):
                if cell is not None:
                    sheet.cell(i, j, value(cell))
        for area in more.get("merged", []):
            sheet.merge_cells(area)
        if name in more.get("hidden", []):
            sheet.sheet_state = "hidden"
    book.save(path)

def xls():
    import xlwt
    book = xlwt.Workbook()
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                made = value(cell)
                style = {dt.datetime: "YYYY-MM-DD HH:MM:SS", dt.date: "YYYY-MM-DD", dt.time: "HH:MM:SS"}.get(type(made))
                if made is not None:
                    sheet.write(i, j, made, *([xlwt.easyxf(num_format_str=style)] if style else []))
    book.save(path)

def ods():
    from odf.opendocument import OpenDocumentSpreadsheet
    from odf.table import Table, TableCell, TableRow
    from odf.text import P
    book = OpenDocumentSpreadsheet()
    for name, rows in sheets.items():
        table = Table(name=name)
        for row in rows:
            line = TableRow()
            for cell in map(value, row):
                if cell is None:
                    made = TableCell()
                elif isinstance(cell, bool):
                    made = TableCell(valuetype="boolean", booleanvalue=str(cell).lower())
                elif isinstance(cell, str):
                    made = TableCell(valuetype="string")
                    made.addElement(P(text=cell))
                elif isinstance(cell, dt.date):
                    made = TableCell(valuetype="date", datevalue=cell.isoformat())
                else:
                    made = TableCell(valuetype="float", value=repr(cell))
                line.addElement(made)
            table.addElement(line)
        book.spreadsheet.addElement(table)
    book.save(path)

{"xlsx": xlsx, "xls": xls, "ods": ods}[path.rpartition(".")[2]]()
"""


def write(file: Path, sheets: Mapping[str, Sequence[Sequence[Any]]], **more: Any) -> None:
    """Write a workbook; the ending says which kind.

    Args:
        sheets: the rows of each. merged: areas to merge, as B2:C3. hidden: names of sheets.
    """
    given = file.with_suffix(".json")
    given.write_text(
        json.dumps({name: [list(map(_cell, row)) for row in rows] for name, rows in sheets.items()})
    )
    python = environments.environment("spreadsheets", *_PINS)
    environments.run(python, _SCRIPT, str(given), str(file), json.dumps(more))
    given.unlink()


def _cell(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, dt.date):
        return {"date": value.isoformat()}
    if isinstance(value, dt.time):
        return {"time": value.isoformat()}
    return {"seconds": value.total_seconds()} if isinstance(value, dt.timedelta) else value
