"""A native model that takes features of pairs of columns besides, as bytes: a line of JSON, then the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import FormatError
from bessemer.package.pair_features import PairFeatures
from bessemer.package.pair_levels import LevelPairs
from bessemer.package.pair_sums import SumPairs

#: Form of pairs -> its class, and the type of each of its arrays.
_FORMS: Mapping[str, tuple[type[Any], Mapping[str, Any]]] = {
    "levels": (
        LevelPairs,
        {
            "columns": np.int64,
            "codes": np.float32,
            "start": np.float32,
            "table": np.float32,
            "owners": np.int64,
        },
    ),
    "sums": (SumPairs, {"owners": np.int64, "weights": np.float32}),
}


def encode_paired(encoder: PairFeatures, kind: str, content: bytes) -> bytes:
    """A line of JSON with the encoder, and the native model that takes what it gives.

    >>> made = SumPairs(np.array([[0, 1]]), np.float32([[[1, 1], [2, -1]]]))
    >>> decode_paired(encode_paired(made, "constant", b"{}"))[1:]
    ('constant', b'{}')
    """
    form = next(name for name, (own, _) in _FORMS.items() if isinstance(encoder, own))
    arrays = {name: getattr(encoder, name).tolist() for name in _FORMS[form][1]}
    return canonical.dump_bytes({"form": form, "encoder": arrays, "kind": kind}) + b"\n" + content


def decode_paired(content: bytes) -> tuple[PairFeatures, str, bytes]:
    """What `encode_paired` wrote. Pairs of categories may stand before sums of numbers, and no other way.

    Raises:
        FormatError: it is not that.
    """
    line, _, rest = content.partition(b"\n")
    try:
        head = json.loads(line)
        kind, form = str(head["kind"]), str(head["form"])
        made, arrays = _FORMS[form]
        encoder: PairFeatures = made(**{n: np.array(head["encoder"][n], dtype=t) for n, t in arrays.items()})
        nested = kind == "pairs" and (form != "levels" or _form_of(rest) != "sums")
        if kind == "ensemble" or nested or not encoder.fits():
            raise ValueError(f"a '{kind}' of pairs")
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise FormatError("the native model of pairs cannot be read", why=str(error)) from error
    return encoder, kind, rest


def _form_of(content: bytes) -> str:
    return str(json.loads(content.partition(b"\n")[0])["form"])
