"""Values that break what was not thought of."""

from __future__ import annotations

from random import Random
from typing import Any

NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 2, 7, 255, 256, -128, 65_535, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53 + 1, 2**63 - 1, 2**63),
    *(-(2**63), -(2**63) - 1, 2**64, 2**70, 10**30, 10**400, 0.5, -0.0, 1e-320, 3.5e38, -3.5e38, 1e308, 1.5),
    *(float("nan"), float("inf"), float("-inf"), 1_700_000_000, 253_402_300_800, 1e18),
)
TEXTS = (
    *("", " ", "0", "1", "-1", "1.5", "1e999", "NaN", "Infinity", "null", "true", "tiny", "1.0.0", "1000000"),
    *("tenure", "monthly charges", "autopay", "contract", "désactivé", "prediction", "probability", "score"),
    *(
        "yes",
        "no",
        "Month-to-month",
        "2024-01-31T12:00:00Z",
        "2024-02-30",
        "9999-12-31T23:59:60+24:00",
        "0000-00-00",
    ),
    *(
        "serving_default",
        "predict",
        "binary",
        "FP32",
        "FP64",
        "INT64",
        "BYTES",
        "BOOL",
        "UINT64",
        "FP16",
        "BF16",
    ),
    *(
        "\x00",
        "\n",
        "\r\n",
        "\ufeff",
        "\u202e",
        "é" * 40,
        "x" * 300,
        "%00",
        "../..",
        "{}",
        "[]",
        "$ref",
        "__proto__",
    ),
    *(
        "\ud800",
        "=",
        ",",
        '"',
        "'",
        "\\",
        "\x7f",
        "AAAA",
        "////",
        "====",
        "b64",
        "data",
        "instances",
        "explain",
    ),
)
BYTES = (
    *(
        b"",
        b"\x00",
        b"\xff",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x80",
        b"\x7f\xff\xff\xff",
        b"\x80",
        b"\xc0\x80",
    ),
    *(
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\r\n\r\n",
        b"--",
        b"null",
        b"NaN",
        b"1e999",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
    ),
    *(
        b"\xff" * 9 + b"\x01",
        b"\x93NUMPY",
        b"PAR1",
        b"PK\x03\x04",
        b"\x0a\x23\xd7\xce",
        b",",
        b"\n",
        b"\x1f\x8b",
    ),
)


def any_value(random: Random, depth: int = 0) -> Any:
    """A JSON value of any type."""
    kind = random.randrange(8 if depth < 3 else 6)
    if kind < 2:
        return random.choice(NUMBERS)
    if kind < 4:
        return random.choice(TEXTS)
    if kind < 6:
        return random.choice((None, True, False))
    if kind == 6:
        return [any_value(random, depth + 1) for _ in range(random.randrange(4))]
    return {random.choice(TEXTS): any_value(random, depth + 1) for _ in range(random.randrange(4))}
