"""`encoder.js`: the reader of an encoder in JavaScript gives what the one in Python gives, nearly to the bit."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rowwise_support import TABLES, kinds, model

from bessemer.export.javascript import encoder_js
from bessemer.export.numeric import core_of
from bessemer.export.readers.encoder import Encoder
from bessemer.export.readers.encoder import tensor as reader_tensor
from bessemer.export.samples import samples_of

_SCRIPT = """
const { Encoder } = require("./encoder.js"), fs = require("fs");
const told = JSON.parse(fs.readFileSync("told.json", "utf-8")), encoder = new Encoder(told.encoder);
const encoded = Array.from(encoder.encode(told.rows), (v) => (Number.isFinite(v) ? v : String(v)));
fs.writeFileSync("answer.json", JSON.stringify({ encoded, width: encoder.width,
  labels: encoder.decide(Float32Array.from(told.scores)), probability: encoder.task === "regression" ? [] :
  encoder.probability(Float32Array.from(told.scores)) }));
"""


def in_node(folder: Path, told: dict[str, Any], script: str = _SCRIPT) -> dict[str, Any]:
    node = shutil.which("node")
    assert node, "`make node` installs it"
    (folder / "encoder.js").write_text(encoder_js())
    (folder / "told.json").write_text(json.dumps(told))
    (folder / "run.js").write_text(script)
    done = subprocess.run([node, "run.js"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(json.loads((folder / "answer.json").read_text()))


# all but two are mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("kind", kinds(*TABLES, "table_net", "words"))
def test_it_gives_what_python_gives(kind: str, tmp_path: Path) -> None:
    program = core_of(model(kind)).program
    assert program is not None
    samples, reader = samples_of(model(kind)), Encoder(json.loads(json.dumps(program)))
    told = {"encoder": program, "rows": samples.rows, "scores": samples.scores.ravel().tolist()}
    found = in_node(tmp_path, told)
    encoded = np.array(found["encoded"], dtype=np.float32).reshape(-1, found["width"])
    assert np.allclose(encoded, reader.encode(samples.rows), rtol=2e-7, atol=1e-7)
    if model(kind).task == "regression":
        assert np.allclose(found["labels"], reader.decide(samples.scores))
    else:
        assert found["labels"] == samples.labels
        assert np.allclose(found["probability"], samples.values, atol=1e-6)


def test_moments_in_other_zones_are_the_same(tmp_path: Path) -> None:
    program = core_of(model("derived")).program
    row = {**samples_of(model("derived")).rows[0], "seen": None}
    seen = [
        "2020-02-29T23:30:00",
        "2020-02-29T23:30:00Z",
        "2020-03-01T01:30:00+02:00",
        "2020-02-29T18:00:00-05:30",
    ]
    told = {"encoder": program, "rows": [{**row, "seen": s} for s in [*seen, None]], "scores": [0.0]}
    encoded = np.array(in_node(tmp_path, told)["encoded"], dtype=np.float32).reshape(5, -1)
    assert np.array_equal(encoded[1:4], encoded[[0, 0, 0]])
    assert not np.array_equal(encoded[4], encoded[0])
    assert np.array_equal(encoded, Encoder(program).encode(told["rows"]))


_VALUES = """
const { columnTensor } = require("./encoder.js"), fs = require("fs");
const told = JSON.parse(fs.readFileSync("told.json", "utf-8"));
const read = (column, value) => {
  try { return String(columnTensor(column, [value]).data[0]); } catch { return null; }
};
fs.writeFileSync("answer.json", JSON.stringify({ said: told.columns.map((c) => told.values.map((v) => read(c, v))) }));
"""


def test_raw_values_are_what_they_are_to_python(tmp_path: Path) -> None:
    """Of those that JSON has: '' is missing and no 0, numbers may be texts, and what is none is refused."""
    values: list[Any] = [None, "", " ", 0, 1, 2, -7, 0.5, True, False, [1], [], {}]
    values += ["1", " 41 ", "1e3", "0x10", "inf", "true", " FALSE ", "yes"]
    kinds = [("number", "float32"), ("integer", "float32"), ("boolean", "float32"), ("string", "string")]
    columns = [{"name": "x", "dtype": dtype, "tensor": tensor} for dtype, tensor in kinds]
    said = in_node(tmp_path, {"columns": columns, "values": values}, _VALUES)["said"]
    for column, found in zip(columns, said, strict=True):
        for value, text in zip(values, found, strict=True):
            try:
                expected = reader_tensor([value], column).item()
            except ValueError:
                assert text is None, (column, value)
                continue
            assert text is not None, (column, value)
            if column["tensor"] == "string":
                assert text == expected
            else:
                assert np.array_equal(float(text), expected, equal_nan=True), (column, value)
