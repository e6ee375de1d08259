"""A job from one place into another that is killed three times, whatever the places are."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_SETTINGS = "keep=['id'], batch_rows=100, part_rows=500, told=lambda n, before: print(n, before, flush=True)"
_SCRIPT = f"import sys; from bessemer.api import predict; predict(*sys.argv[1:4], {_SETTINGS})"


def parts(fs: Any, folder: str) -> pa.Table:
    """What stands in the finished files of a folder."""
    names = sorted(fs.glob(f"{folder}/part-*"))
    return pa.concat_tables(pq.read_table(io.BytesIO(fs.cat_file(name))) for name in names)


def check_killed_on_the_way(
    base: str,
    write: Callable[[str, bytes], None],
    fs: Any,
    folder: str,
    model: Any,
    package: Path,
    rows: pa.Table,
) -> None:
    """Every row stands in the output once and in order, and the last call takes over what stood there.

    Args:
        base: the URL of a folder. write: puts bytes at a path below it. fs, folder: to read the output by.
        rows: 4,000, with an `id`.
    """
    for part in range(4):
        buffer = io.BytesIO()
        pq.write_table(rows.slice(part * 1000, 1000), buffer, row_group_size=300)
        write(f"in/day={part}/rows.parquet", buffer.getvalue())
    arguments = [sys.executable, "-c", _SCRIPT, str(package), f"{base}/in/", f"{base}/out/"]
    for _ in range(3):
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(8):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    whole = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.splitlines()
    assert whole[0].endswith("True"), "the last call takes over what stands there"
    fs.invalidate_cache()
    out = parts(fs, f"{folder}/out")
    assert out["id"].to_pylist() == rows["id"].to_pylist()
    assert out["prediction"].to_pylist() == model.predict(rows)["prediction"].to_pylist()
