"""A model's signature in a file: columns with their types and what stands for missing values, classes, the target."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from import_model_support import agree, answers, imported
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

from bessemer.api import import_model, load
from bessemer.core.errors import FormatError, ProjectError, UsageError
from bessemer.importers.models.signature import ColumnSaid, ImageSaid, Said, signature_of

X, DIGIT = (part[:300] for part in load_digits(return_X_y=True))
NAMES = ["ink", "edge", "corner", "side"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LightGBM on four columns, one of them a category of pandas."""
    at = tmp_path_factory.mktemp("signature") / "model.txt"
    booster = lightgbm.LGBMClassifier(n_estimators=8, num_leaves=7, min_child_samples=5, verbose=-1, n_jobs=1)
    booster.fit(table(), DIGIT % 2).booster_.save_model(at)
    return at


def table() -> pd.DataFrame:
    found = pd.DataFrame(X[:, [19, 28, 35, 42]], columns=NAMES)
    side = pd.Categorical(np.where(found["side"] > 8, "left", np.where(found["side"] > 2, "mid", "right")))
    return found.assign(side=side)


def written(text: str, tmp_path: Path) -> Path:
    (tmp_path / "signature.yaml").write_text(text)
    return tmp_path / "signature.yaml"


WHOLE = """
target: odd
task: binary
classes: [even, odd]
inputs:
  ink: {dtype: integer, nullable: false, domain: {min: 0, max: 16}}
  edge: {missing: 16}
  corner: number
  side: {dtype: string, missing: left}
"""


def test_it_says_more_of_the_columns(model: Path, tmp_path: Path) -> None:
    made = imported(model, signature=written(WHOLE, tmp_path))
    ink, edge, _, side = made.signature.inputs
    assert (ink.dtype, ink.nullable, dict(ink.domain)) == ("integer", False, {"min": 0, "max": 16})
    assert (edge.dtype, edge.nullable, side.dtype) == ("number", True, "string")
    assert (made.signature.target, made.classes) == ("odd", ("even", "odd"))


def test_what_stands_for_a_missing_value_is_taken_for_it(model: Path, tmp_path: Path) -> None:
    made = imported(model, signature=written(WHOLE, tmp_path))
    holes = table().astype({"side": object})
    holes.loc[::3, "edge"], holes.loc[1::3, "side"] = np.nan, None
    holes.loc[3, "edge"] = np.inf
    filled = holes.fillna({"edge": 16, "side": "left"}).replace({"edge": {np.inf: 16}})
    wanted = lightgbm.Booster(model_file=model).predict(filled.astype({"side": table()["side"].dtype}))
    agree(made, holes, np.stack([1 - wanted, wanted], axis=1))
    assert np.abs(answers(imported(model), holes)[:, 1] - wanted).max() > 0.01


def test_the_signature_of_a_package_is_one(model: Path, tmp_path: Path) -> None:
    first = imported(model, signature=written(WHOLE, tmp_path))
    text = json.dumps(first.signature.to_json())
    again = imported(model, signature=written(text, tmp_path))
    assert again.signature == first.signature


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "taks: binary\ninputs:\n  ink: {dtyp: integer}\n  edge: {dtype: numbr}\ntask: binry",
            [
                "line 1: taks: unknown key 'taks'\n    fix: did you mean 'task'?",
                "line 3: inputs.ink.dtyp: unknown key 'dtyp'\n    fix: did you mean 'dtype'?",
                "line 4: inputs.edge.dtype: should be 'number'",
                "line 5: task: should be 'binary', 'multiclass' or 'regression', not 'binry'",
            ],
        ),
        (
            "inputs:\n- {name: a, shap: []}\n- {name: a}\n- {dtype: number}\n- 3",
            [
                "line 2: inputs.a.shap: unknown key 'shap'\n    fix: did you mean 'shape'?",
                "line 3: inputs.1: 'a' is named twice",
                "line 4: inputs.2: it has no name",
                "line 5: inputs.3: it has no name",
            ],
        ),
        (
            "inputs:\n  a: {image: {size: [8, 8], channels: 2}}\n  b: {dtype: image, missing: 3}\n"
            "  c: {dtype: number, image: {}}\n  d: {image: {size: [1024, 1024]}}\n  e: {image: {std: [0]}}\n"
            "  f: {image: {mean: [1, 2], channels: 3}}",
            [
                "line 2: inputs.a.image.channels: should be 1 or 3, not 2",
                "line 3: inputs.b: a missing image is a black one",
                "line 4: inputs.c: a column of images is no number",
                "line 5: inputs.d.image: an image of 1024 x 1024 is too large",
                "line 6: inputs.e.image: 'std' has [0.0]",
                "line 7: inputs.f.image: 'mean' has 2 numbers",
            ],
        ),
        ("inputs: {a: {domain: {min: 3, max: 1}}}", ["'min' is 3, above 'max', 1"]),
        ("inputs: {a: {domain: {max: 1e40}}}", ["give numbers of 64 bits"]),
        ("task: regression\nclasses: [a, b]", ["a regression has no classes"]),
        ("task: binary\nclasses: [a, b, c]", ["two classes, not 3"]),
        ("classes: [a, a]", ["named twice"]),
        ("further: [{name: b}]", ["further"]),
        ("inputs: {a: timestamp}", ["should be 'number', 'integer', 'boolean', 'string' or 'image'"]),
        ("inputs: [", ["not YAML"]),
        ("- a", ["not a mapping of keys"]),
    ],
)  # fmt: skip
def test_all_faults_of_the_file_at_once(text: str, said: list[str], tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as error:
        signature_of(text, "signature.yaml")
    assert len(error.value.faults) == len(said), str(error.value)
    for one in said:
        assert one in str(error.value)


def test_a_model_that_is_another_is_told_of_all_at_once(model: Path, tmp_path: Path) -> None:
    text = "task: regression\ninputs: {ink: string, edge: {missing: x}, corner: image, side: {missing: mdi}}"
    with pytest.raises(ProjectError) as error:
        imported(model, signature=written(text, tmp_path))
    assert [fault.path for fault in error.value.faults] == [
        "task", "inputs.ink", "inputs.edge", "inputs.corner", "inputs.side"
    ]  # fmt: skip
    for one in ("is binary, not regression", "takes a number there", "'x' is no number", "takes no images"):
        assert one in str(error.value)
    assert "did you mean 'mid'" in str(error.value)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("target: odd", {"target": "even"}, "--target says even, and the signature says odd"),
        (
            "inputs: [a, b, c, d]",
            {"columns": NAMES},
            "--columns says ink,edge,corner,side, and the signature",
        ),
        ("classes: [0, 1]", {"classes": ["no", "yes"]}, "--classes says no,yes"),
        ("inputs: [a, b]", {}, "the signature names 2 columns, and the model takes 4"),
        ("inputs: [edge, ink, corner, side]", {}, "the model's own columns in another order"),
        ("scores: logits", {}, "says what its numbers are"),
    ],
)
def test_what_contradicts_is_refused(
    text: str, options: dict[str, Any], said: str, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        imported(model, signature=written(text, tmp_path), **options)


def test_what_is_said_twice_alike_is_taken(model: Path, tmp_path: Path) -> None:
    path = written("target: odd\nclasses: [0, 1]\ninputs: [a, b, c, d]", tmp_path)
    made = imported(model, signature=path, target="odd", classes=["0", "1"], columns=["a", "b", "c", "d"])
    assert made.classes == (0, 1)
    assert [field.name for field in made.signature.inputs] == ["a", "b", "c", "d"]


def test_the_command_takes_it(model: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "bessemer", "import", str(model), "-o", "m.bsm"]
    given = written(WHOLE, tmp_path)
    done = subprocess.run([*line, "--signature", str(given)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert load(Path("m.bsm")).signature.target == "odd"
    with pytest.raises(UsageError, match=r"cannot read the signature none\.yaml"):
        import_model(model, signature="none.yaml")


def test_a_project_of_its_target_needs_no_option(model: Path, tmp_path: Path) -> None:
    """`--data` takes the target of the signature."""
    with pytest.raises(UsageError, match="or a signature with one"):
        import_model(model, data="rows.parquet", signature=written("classes: [0, 1]", tmp_path))


def test_it_says_which_output_is_meant(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Neg", ["x"], ["first"]), helper.make_node("Abs", ["x"], ["second"])]
    outputs = [value(name, TensorProto.FLOAT, ["N", 1]) for name in ("first", "second")]
    made = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, ["N", 1])], outputs)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(FormatError, match="2 outputs of numbers: first, second") as error:
        imported(tmp_path / "m.onnx")
    assert "output: NAME" in error.value.fix
    with pytest.raises(FormatError, match="no output 'secnd'"):
        imported(tmp_path / "m.onnx", signature=written("output: secnd", tmp_path))
    said = imported(tmp_path / "m.onnx", signature=written("output: second\ntask: regression", tmp_path))
    agree(said, pd.DataFrame({"x": [-2.0, 3.0]}), [2.0, 3.0])


def test_whole_numbers_beyond_their_domain_count_as_the_nearest(tmp_path: Path) -> None:
    """A table of four rows has nothing for a fifth."""
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Gather", ["w", "x"], ["y"])]
    inputs, outputs = [value("x", TensorProto.INT64, ["N", 1])], [value("y", TensorProto.FLOAT, ["N", 1])]
    weights = numpy_helper.from_array(np.array([5, 6, 7, 8], dtype=np.float32), "w")
    made = helper.make_graph(nodes, "g", inputs, outputs, [weights])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(FormatError, match="cannot run"):
        imported(tmp_path / "m.onnx")
    text = "inputs: {code: {dtype: integer, missing: 2, domain: {min: 0, max: 3}}}"
    said = imported(tmp_path / "m.onnx", signature=written(text, tmp_path))
    agree(said, pd.DataFrame({"code": [0.0, 3.0, 9.0, -1.0, np.nan]}), [5.0, 8.0, 8.0, 5.0, 7.0])


KEYS = sorted({"a", "b", *Said.model_fields, *ColumnSaid.model_fields, *ImageSaid.model_fields})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5), st.text(max_size=5))
def test_any_file_is_read_or_its_faults_are_told(value: dict[str, Any], noise: str) -> None:
    text = yaml.safe_dump(value, allow_unicode=True) + noise
    with contextlib.suppress(ProjectError):
        assert isinstance(signature_of(text, "signature.yaml"), Said)


def test_numbers_without_end_are_faults() -> None:
    with pytest.raises(ProjectError, match="1 fault"):
        signature_of("inputs: {a: {missing: 1e999}}", "signature.yaml")
