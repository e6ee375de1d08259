"""`encoder.js`: the operators that the report computes in a browser, and a reader of `encoder.json` behind them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from bessemer.report.html import ONNX_SCRIPTS

_HEAD = """\
"use strict";
// Reads `encoder.json`: raw rows in, the numbers that an exported model takes out. Needs nothing else.
//
//   const { Encoder } = require("./encoder.js");                  // in Node; in a page: <script src="encoder.js">,
//   const encoder = new Encoder(JSON.parse(text));                // which gives BessemerEncoder.Encoder
//   const encoded = encoder.encode([{ age: 41, city: "Oslo" }]);  // rows * encoder.width numbers, for the model
//   const labels = encoder.decide(scores);                        // what the model's scores say
//
// A column that a row lacks, null and NaN are missing.
const BessemerEncoder = (() => {
const has = (value) => value !== null && value !== undefined;
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
"""
_TAIL = """\
})();
if (typeof module !== "undefined") module.exports = BessemerEncoder;
else globalThis.BessemerEncoder = BessemerEncoder;
"""


@cache
def encoder_js() -> str:
    """One script, for Node and for pages."""
    assets = files("bessemer.report") / "assets"
    parts = [assets.joinpath(name).read_text(encoding="utf-8") for name in ONNX_SCRIPTS]
    reader = files("bessemer.export.readers").joinpath("encoder.js").read_text(encoding="utf-8")
    return _HEAD + "".join(parts) + reader + _TAIL
