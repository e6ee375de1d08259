"""Running a model in C: rows as text in, numbers out; on this machine, and on an emulated Cortex-M."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.signature import Field
from bessemer.environments.tools import run_tool
from bessemer.export.readers import encoder

#: Rows that are run on a board: emulated, each takes a thousand times as long.
_BOARD_ROWS = 64
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n"})


#: What ends the input of the program in `main.c`, where a board has no other end of it.
END = "!\n"


def row_line(columns: Sequence[Field], row: Mapping[str, Any]) -> str:
    """A row as the program in `main.c` reads it."""
    line = "\t".join(_part(row.get(column.name), column) for column in columns)
    return f"\\{line}" if line.startswith("!") else line


def _part(value: Any, column: Field) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if column.tensor == "string":
        return str(value).translate(_ESCAPES)
    if column.dtype == "timestamp":
        reader: Any = encoder  # is without types: it leaves the house
        return str(reader.microseconds(value))
    return repr(float(value))


def answers_of(lines: Sequence[str]) -> np.ndarray:
    """(N, C) float32 of the program's lines."""
    kept = [line for line in lines if line and not line.startswith("#")]
    return np.array([[float(part) for part in line.split("\t")] for line in kept], dtype=np.float32)


def on_board(folder: Path, rows: Sequence[str], expected: np.ndarray) -> dict[str, Any]:
    """What the model takes on a Cortex-M4 with an FPU, where its compiler and QEMU are installed.

    flash_bytes: code and constants of the encoder and the model. ram_bytes: their static data. stack_bytes: the deeper
    of both, without the C library's functions. instructions_per_row: of the encoder and the model, counted by QEMU.
    max_difference: to the answers of this machine.
    """
    missing = [tool for tool in ("arm-none-eabi-gcc", "qemu-system-arm") if shutil.which(tool) is None]
    if missing:
        return {"cortex_m4": f"not run: {' and '.join(missing)} not installed"}
    run_tool(["make", "cortex"], folder=folder)
    some = folder / "some.txt"
    some.write_text("\n".join(rows[:_BOARD_ROWS]) + f"\n{END}", encoding="utf-8")
    said = run_tool(["make", "-s", "run"], folder=folder, given=some, seconds=600)
    found = answers_of(said.splitlines())
    counted = re.search(r"# rows (\d+) instructions (\d+)", said)
    sizes = _sizes(run_tool(["arm-none-eabi-size", "model.o", "encoder.o"], folder=folder))
    away = np.abs(found - expected[: len(found)]).max(initial=0.0) if len(found) else np.inf
    return {
        "cortex_m4": {
            **sizes,
            "stack_bytes": max(map(_stack, (folder / "model.su", folder / "encoder.su"))),
            "rows": len(found),
            "instructions_per_row": int(counted[2]) // max(1, int(counted[1])) if counted else None,
            "max_difference": float(away),
        }
    }


def _sizes(said: str) -> dict[str, int]:
    """By `size`: text, data, bss of each file; what is in flash is text and data."""
    rows = [list(map(int, line.split()[:3])) for line in said.splitlines()[1:]]
    return {
        "flash_bytes": sum(text + data for text, data, _ in rows),
        "ram_bytes": sum(data + bss for _, data, bss in rows),
    }


def _stack(file: Path) -> int:
    """The deepest function and the deepest that it may call: of ours, one level."""
    deep = sorted((int(line.split("\t")[1]) for line in file.read_text().splitlines()), reverse=True)
    return sum(deep[:2])
