"""Files that are never opened, because that runs what is in them; and how their models are taken over safely."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bessemer.core.errors import FormatError

_SKLEARN = """where the model was trained, load it yourself and write it as skops:
    import joblib, skops.io                     # pip install skops
    skops.io.dump(joblib.load("model.pkl"), "model.skops")
  a model of LightGBM:  model.booster_.save_model("model.txt")
  a model of XGBoost:   model.get_booster().save_model("model.json")
  a model of CatBoost:  model.save_model("model.json", format="json")"""
_TORCH = """where the model was trained, load it yourself and export it:
    torch.onnx.export(model.eval(), (torch.zeros(1, F),), "model.onnx", input_names=["features"], dynamic_axes={"features": {0: "N"}})
  or torch.export.save(torch.export.export(model.eval(), (torch.zeros(2, F),), dynamic_shapes=({0: torch.export.Dim("N")},)), "model.pt2")
  or keep its weights alone: safetensors.torch.save_file(model.state_dict(), "model.safetensors")"""  # noqa: E501
_CATBOOST = """where the model was trained, save it as JSON:
    catboost.CatBoost().load_model("model.cbm").save_model("model.json", format="json")
  with the training pool (pool=...) where it has categories"""
_XGBOOST = """where the model was trained, save it as JSON:
    xgboost.Booster(model_file="model.bin").save_model("model.json")    # with XGBoost below 3.1"""
_TENSORFLOW = """import the model that it was made of: its SavedModel folder, or its .keras file"""


@dataclass(frozen=True)
class Refusal:
    """A kind of file that is refused: what it is called, why it is, and the lines that convert it."""

    title: str
    why: str
    fix: str
    recognises: Callable[[bytes], bool]


_RUNS = "reading it runs whatever code its author put there"
#: The first opcodes of a pickle without a header (protocols 0 and 1): a mark, a list, a dict, a global, a tuple.
_OLD_PICKLE = re.compile(
    rb"(\(*c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n|\(+[ldti]|[\]\}]q.|\(?[IFSVL][^\n]{0,200}\n[p.(])"
)


def _pickled(head: bytes) -> bool:
    return (len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5) or _OLD_PICKLE.match(head) is not None


def _packed(head: bytes) -> bool:
    """What joblib writes with `compress`: zlib, gzip, bzip2, xz or lz4 around a pickle."""
    magics = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x5d\x00\x00", b"\x04\x22\x4d\x18", b"ZF")
    return head.startswith(magics) or (
        head[:1] == b"\x78" and head[1:2] in b"\x01\x5e\x9c\xda" and len(head) > 1
    )


def _zip_with(*names: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(b"PK\x03\x04") and any(name in head for name in names)


_LEGACY_TORCH = b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"


def _begins(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magics)


#: In the order in which they are looked for.
REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        "a file of PyTorch",
        f"it holds a pickle: {_RUNS}",
        _TORCH,
        _zip_with(b"data.pkl", b"/byteorder", b"constants.pkl", b"code/"),
    ),
    Refusal(
        "a file of PyTorch from before 1.6",
        f"it is a pickle: {_RUNS}",
        _TORCH,
        lambda head: head.startswith(b"\x80\x02") and _LEGACY_TORCH in head[:32],
    ),
    Refusal("a pickle (joblib writes them too)", _RUNS, _SKLEARN, _pickled),
    Refusal(
        "a compressed file, as joblib writes its pickles",
        f"what is in it is not looked at: {_RUNS}",
        _SKLEARN,
        _packed,
    ),
    Refusal(
        "an array of numpy, which may hold pickles",
        f"{_RUNS}, where its elements are objects",
        _SKLEARN,
        _begins(b"\x93NUMPY"),
    ),
    Refusal(
        "CatBoost's binary form (.cbm)",
        "only the JSON form says what its numbers mean",
        _CATBOOST,
        _begins(b"CBM1"),
    ),
    Refusal(
        "XGBoost's old binary form",
        "only JSON and UBJSON say what their numbers mean",
        _XGBOOST,
        _begins(b"binf", b"bs64"),
    ),
    Refusal(
        "TensorFlow's form for small devices",
        "its weights are rounded, and its operators are TensorFlow's own",
        _TENSORFLOW,
        lambda head: head[4:8] == b"TFL3",
    ),
    Refusal("GGUF", "language models are not imported", "serve it by what it was made for", _begins(b"GGUF")),
)


def refused_kind(head: bytes) -> Refusal | None:
    """What a file that begins with these bytes is, where it is not to be opened."""
    return next((kind for kind in REFUSALS if kind.recognises(head)), None)


def refuse(name: str, head: bytes) -> None:
    """Stop at a file that is not to be opened.

    Raises:
        FormatError: it is one; the error has the lines that convert it.
    """
    if (kind := refused_kind(head)) is not None:
        raise FormatError(f"{name} is {kind.title}, which is refused unopened", why=kind.why, fix=kind.fix)
