"""Reads ORC files in a process of its own: on a damaged file Arrow's reader may end the process that it is in.

    python -m bessemer.acquire.orc_worker FILE...

Each file becomes one Arrow IPC stream on standard output, stripe by stripe. What is wrong goes to standard error.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.core.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

#: The schema's metadata says how many rows there will be.
_ROWS = b"rows"
_FIX = "it may have been cut while it was copied or written: get it again"


def read(files: list[Path]) -> Iterator[pa.RecordBatch]:
    """The rows of the files in order; of each first a batch without rows.

    Raises:
        DataError: a file is damaged; it is named.
    """
    import pyarrow as pa

    command = [sys.executable, "-P", "-m", __name__, *map(str, files)]
    with tempfile.TemporaryFile() as said, ExitStack() as stack:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said)  # noqa: S603 - ourselves
        stack.callback(child.wait)
        stack.callback(child.kill)
        assert child.stdout is not None
        stack.enter_context(child.stdout)
        for path in files:
            try:
                with pa.ipc.open_stream(child.stdout) as stream:
                    missing = int(stream.schema.metadata[_ROWS])
                    for batch in stream:
                        missing -= batch.num_rows
                        yield batch
                if missing:  # to Arrow a stream that was cut between two batches is whole
                    raise OSError(f"{missing} rows are missing")
            except (pa.ArrowException, OSError) as error:
                child.wait()
                said.seek(0)
                words = said.read().decode("utf-8", "replace").strip().splitlines()
                why = words[-1] if words and child.returncode > 0 else "its reader could not go on"
                raise DataError(f"'{path.name}' cannot be read", why=why, fix=_FIX) from error


def write(files: list[str]) -> None:
    """Write each file as a stream to standard output."""
    import pyarrow as pa
    from pyarrow.orc import ORCFile

    for path in files:
        file = ORCFile(path)
        schema = file.schema.with_metadata({_ROWS: str(file.nrows)})
        with pa.ipc.new_stream(sys.stdout.buffer, schema) as stream:
            stream.write_batch(pa.RecordBatch.from_pylist([], schema))
            for stripe in range(file.nstripes):
                stream.write_batch(file.read_stripe(stripe))
        sys.stdout.buffer.flush()


def main() -> None:
    """Exit code 1 and one line for whoever waits for the rows, where a file is damaged."""
    import pyarrow as pa

    try:
        write(sys.argv[1:])
    except (pa.ArrowException, OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
