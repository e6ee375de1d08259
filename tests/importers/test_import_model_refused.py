"""What is refused unopened, and damaged files of every form: words, never a traceback, and nothing that runs."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pytest
import skops.io
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_model_support import agree, imported
from safetensors.numpy import save
from sklearn.datasets import load_digits
from sklearn.tree import DecisionTreeClassifier

from bessemer.core.errors import BessemerError, FormatError, UsageError
from bessemer.importers.models.assemble import members_of
from bessemer.importers.models.foreign import Asked
from bessemer.importers.models.formats import FORMATS, format_of
from bessemer.importers.models.ubjson import loads

ONNX = Path(__file__).parent / "onnx"
X, DIGIT = (part[:200] for part in load_digits(return_X_y=True))
X, ODD = X[:, 16:22], DIGIT % 2


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return made.getvalue()


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_are_refused_unopened(protocol: int, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(pickle.dumps(Bomb(tmp_path / "ran"), protocol))
    with pytest.raises(FormatError, match=r"pickle.*refused unopened") as error:
        imported(tmp_path / "model.onnx")
    assert "skops.io.dump" in error.value.fix
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("data", "said", "line"),
    [
        (gzip.compress(pickle.dumps([1]), mtime=0), "compressed", "skops.io.dump"),
        (b"\x78\x9c" + bytes(9), "compressed", "skops.io.dump"),
        (zipped("archive/data.pkl", "archive/byteorder"), "PyTorch", "torch.onnx.export"),
        (b"CBM1" + bytes(99), "CatBoost", 'format="json"'),
        (b"binf" + bytes(99), "XGBoost", "save_model"),
        (b"\x93NUMPY\x01\x00" + bytes(99), "numpy", "skops.io.dump"),
    ],
)
def test_the_message_says_how_to_convert_it(data: bytes, said: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_bytes(data)
    with pytest.raises(FormatError, match=said) as error:
        imported(tmp_path / "model.txt")
    assert line in error.value.fix


def test_what_is_no_model_says_what_is(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"hello")
    with pytest.raises(UsageError, match="no model that can be imported") as error:
        imported(tmp_path / "model")
    assert "ONNX" in error.value.fix
    with pytest.raises(UsageError, match="cannot read"):
        imported(tmp_path / "none")


def weights(**said: Any) -> bytes:
    rng = np.random.default_rng(0)
    tensors = {
        "0.weight": rng.normal(size=(5, 6)), "0.bias": rng.normal(size=5),
        "2.weight": rng.normal(size=(1, 5)), "2.bias": rng.normal(size=1),
    }  # fmt: skip
    told = {"task": "binary", "layers": ["0", "2"], "activation": "tanh", "scale": [2.0] * 6, **said}
    arrays = {name: array.astype(np.float32) for name, array in tensors.items()}
    return bytes(save(arrays, metadata={"bessemer": json.dumps(told)} if said.get("task", "x") else None))


def test_safetensors_of_a_perceptron(tmp_path: Path) -> None:
    import pandas as pd
    from safetensors.numpy import load

    (tmp_path / "m").write_bytes(weights(classes=["no", "yes"], columns=list("abcdef")))
    net, rows = load(weights()), X[:50] / 9
    hidden = np.tanh(rows / 2 @ net["0.weight"].T.astype(float) + net["0.bias"])
    p = 1 / (1 + np.exp(-(hidden @ net["2.weight"].T.astype(float) + net["2.bias"])))[:, 0]
    model = imported(tmp_path / "m")
    assert model.classes == ("no", "yes")
    agree(model, pd.DataFrame(rows, columns=list("abcdef")), np.stack([1 - p, p], axis=1))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"task": ""}, "do not say of which network"),
        ({"task": "ranking"}, "'ranking' is none"),
        ({"layers": ["0", "9"]}, "no tensor '9.weight'"),
        ({"layers": ["0", "0", "2"]}, "layer 1 takes"),
        ({"layers": ["0"] * 40_000}, "more weights than the file has"),
        ({"activation": "swush"}, "swush"),
        ({"scale": [0] * 6}, "scaled by 0"),
        ({"layers": []}, "no layers"),
    ],
)
def test_weights_without_their_network_are_refused(said: Any, words: str, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(weights(**said))
    with pytest.raises(FormatError, match=words):
        imported(tmp_path / "m")


@pytest.mark.parametrize(
    "data", [b"[" * 500, b"{i\x01a[$D#L" + b"\x7f" * 8, b"S" + b"L" + b"\xff" * 8, b"[#L" + b"\x7f" * 8, b""]
)
def test_ubjson_is_bounded(data: bytes) -> None:
    with pytest.raises(ValueError):
        loads(data)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small real model in each form."""
    boosted = lightgbm.LGBMClassifier(n_estimators=2, num_leaves=4, verbose=-1, n_jobs=1).fit(X, ODD)
    booster = xgboost.XGBClassifier(n_estimators=2, max_depth=2, n_jobs=1).fit(X, ODD).get_booster()
    grown = catboost.CatBoostClassifier(
        iterations=2, depth=2, thread_count=1, verbose=0, allow_writing_files=False
    ).fit(X, ODD)
    saved = tmp_path_factory.mktemp("catboost") / "model.json"
    grown.save_model(str(saved), format="json")
    return {
        "catboost": saved.read_bytes(),
        "lightgbm": boosted.booster_.model_to_string().encode(),
        "xgboost": bytes(booster.save_raw("json")),
        "ubjson": bytes(booster.save_raw("ubj")),
        "skops": skops.io.dumps(DecisionTreeClassifier(max_depth=2).fit(X, ODD)),
        "safetensors": weights(),
        "onnx": (ONNX / "logistic_zipmap.onnx").read_bytes(),
    }


ODDITIES = [b"9" * 12, b"nan", b"-1", b"1e999", b"\xff\xff\xff\xff", b"null", b"[]", b"{}", b"\x00", b'"']


@settings(
    max_examples=20, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@pytest.mark.parametrize(
    "form", ["lightgbm", "xgboost", "ubjson", "catboost", "skops", "safetensors", "onnx"]
)
@given(data=st.data())
def test_damaged_files_are_models_or_are_refused(
    form: str, files: dict[str, bytes], data: st.DataObject
) -> None:
    content = bytearray(files[form])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        end = at + data.draw(st.sampled_from([0, 1, 4, 60, 10**6]))
        content[at:end] = data.draw(st.sampled_from(ODDITIES) | st.binary(max_size=3))
        content = content or bytearray(b"x")
    name = "xgboost" if form == "ubjson" else form
    try:
        found = FORMATS.load(name)().read(bytes(content), Asked())
        members_of(found, title=form, data=b"", name="m", version="1", target="y")
    except BessemerError:
        return
    assert found.inputs


def test_a_file_is_known_by_what_is_in_it(files: dict[str, bytes], tmp_path: Path) -> None:
    for form, content in files.items():
        (tmp_path / "data.pkl").write_bytes(content)
        assert format_of(tmp_path / "data.pkl") == ("xgboost" if form == "ubjson" else form)
