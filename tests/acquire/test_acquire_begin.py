"""`bessemer init` on a workbook, a lake's table, a dataset and a folder of images gives a project that lands."""

from __future__ import annotations

from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.orc
import pytest
from PIL import Image

import bessemer
from bessemer.api import scaffold
from systems import spreadsheets

pytestmark = pytest.mark.slow

ROWS = {"id": list(range(40)), "x": [i % 7 for i in range(40)], "bought": ["yes", "no"] * 20}


def workbook(folder: Path) -> str:
    spreadsheets.write(folder / "table.xlsx", {"Data": [list(ROWS), *zip(*ROWS.values(), strict=True)]})
    return "table.xlsx"


def lake(folder: Path) -> str:
    deltalake.write_deltalake(folder / "lake" / "orders", pa.table(ROWS))
    return "lake/orders"


def orc(folder: Path) -> str:
    pa.orc.write_table(pa.table(ROWS), folder / "a.orc")
    return "a.orc"


def photos(folder: Path) -> str:
    for i in range(6):
        for name, colour in (("cat", 0), ("dog", 255)):
            (folder / "photos" / name).mkdir(parents=True, exist_ok=True)
            Image.new("L", (4 + i, 4), colour).save(folder / "photos" / name / f"{i}.png")
    return "photos"


@pytest.mark.parametrize(
    ("make", "target"), [(workbook, "bought"), (lake, "bought"), (orc, "bought"), (photos, "label")]
)
def test_init_and_the_first_stage(
    make: object, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(make)
    monkeypatch.chdir(tmp_path)
    data = make(tmp_path)
    written = scaffold("shop", data=data, target=target, folder=tmp_path)
    assert f'data: "{data}"' in written.read_text("utf-8")
    project = bessemer.Project(written)
    project.run(upto="validate")
    assert project.artifact("data").meta["rows"] == (12 if data == "photos" else 40)
