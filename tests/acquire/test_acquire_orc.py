"""ORC files keep what every source must do; stripes stream, and what cannot be read is told."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.orc
import pytest

from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import fingerprint
from bessemer.core.errors import DataError
from bessemer.testing.sources import CHECKS, Check, read
from systems.folders import Folders

pytestmark = pytest.mark.slow


class OrcFiles(Folders):
    kind, ending = "orc", ".orc"

    def write(self, file: Path, table: pa.Table) -> None:
        pa.orc.write_table(table, file, stripe_size=64 * 1024)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_orc_files(check: Check, tmp_path: Path) -> None:
    check(OrcFiles(tmp_path / "there"), tmp_path / "here")


def test_all_stripes_are_read_in_order(tmp_path: Path) -> None:
    rows = 200_000
    pa.orc.write_table(
        pa.table({"id": range(rows), "x": [str(i) for i in range(rows)]}),
        tmp_path / "a.orc",
        stripe_size=64 * 1024,
    )
    assert pa.orc.ORCFile(tmp_path / "a.orc").nstripes > 3
    assert read({"orc": "a.orc"}, tmp_path)["id"].to_pylist() == list(range(rows))


@pytest.mark.parametrize("codec", ["uncompressed", "zlib", "snappy", "lz4", "zstd"])
def test_every_codec(codec: str, tmp_path: Path) -> None:
    table = pa.table({"id": range(1000), "x": ["same"] * 1000})
    pa.orc.write_table(table, tmp_path / "a.orc", compression=codec)
    assert read({"orc": "a.orc"}, tmp_path).num_rows == 1000


def test_a_file_that_was_cut_is_named(tmp_path: Path) -> None:
    pa.orc.write_table(pa.table({"id": range(1000), "x": range(1000)}), tmp_path / "a.orc")
    content = (tmp_path / "a.orc").read_bytes()
    for cut in (content[:-20], content[: len(content) // 2], b"ORC", b"no ORC at all"):
        (tmp_path / "a.orc").write_bytes(cut)
        with pytest.raises(DataError, match=r"'a\.orc' cannot be read"):
            read({"orc": "a.orc"}, tmp_path)


def test_a_file_that_ends_its_reader_is_an_error(tmp_path: Path) -> None:
    """Changed bytes make Arrow's reader fail, and in some places crash: never this process, and never in silence."""
    pa.orc.write_table(
        pa.table({"id": range(200), "s": [str(i) * 3 for i in range(200)], "l": [[i] for i in range(200)]}),
        tmp_path / "a.orc",
        compression="zlib",
    )
    content, random, told = (tmp_path / "a.orc").read_bytes(), Random(1), 0
    for _ in range(8):
        changed = bytearray(content)
        for place in random.sample(range(len(content) // 2, len(content)), 4):
            changed[place] = random.randrange(256)
        (tmp_path / "a.orc").write_bytes(changed)
        try:
            read({"orc": "a.orc"}, tmp_path)
        except DataError as error:
            told += "'a.orc' cannot be read" in str(error)
    assert told > 3


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    spec = AcquireSpec.model_validate({"sources": {"data": {"orc": "*.orc"}}})
    pa.orc.write_table(pa.table({"id": [1], "x": [2]}), tmp_path / "a.orc")
    one = fingerprint(spec, tmp_path)
    assert fingerprint(spec, tmp_path) == one
    pa.orc.write_table(pa.table({"id": [1], "x": [3]}), tmp_path / "a.orc")
    assert fingerprint(spec, tmp_path) != one
